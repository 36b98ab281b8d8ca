//! The pictures with which viewers may begin, in memory that has bounds.

use super::group::{TRACK_BYTES, WORKER_BYTES};
use super::reading::Reading;
use super::{Group, Layer, Track};
use crate::media::packet::{Arrived, BatchPacket};
use crate::media::pictures::EntryPoint;
use crate::media::retransmit::Pool;
use crate::media::rtp::Header;

impl Track {
    /// Ends the groups of all layers where their packets would take too much memory.
    pub(super) fn limit_groups(&mut self, pool: &Pool) {
        let held: usize = self.layers.iter().map(|layer| layer.cache.held()).sum();
        if held > TRACK_BYTES || pool.taken() > WORKER_BYTES {
            self.layers.iter_mut().for_each(Layer::end_group);
        }
    }

    /// A packet of a group that is kept, as it was when it came.
    pub(crate) fn recall(&self, layer_index: u8, extended: u64, group: &Group) -> Option<(Arrived, &[u8])> {
        let layer = self.layers.get(usize::from(layer_index))?;
        let packet = layer.kept(extended)?;
        let header = Header::parse(packet)?;
        let codec = self.codec(header.payload_type)?.codec;
        let payload = &packet[header.len..];
        let dependency = layer.describe_again(self.descriptor(&header, packet));
        let reading = Reading::new(codec, payload, dependency);
        let entry = match extended == group.first {
            true => group.entry,
            false => EntryPoint::Nobody,
        };
        let recalled = BatchPacket {
            layer: layer_index,
            source: layer.source,
            start: 0,
            end: packet.len(),
            header,
            extended,
            codec,
            entry,
            vp8: reading.vp8,
            mark: reading.mark,
            late: false,
            origin: layer.clock.map(|clock| clock.origin),
            padding: 0,
        };
        let arrived = Arrived {
            packet: recalled,
            dependency,
        };
        Some((arrived, packet))
    }
}
