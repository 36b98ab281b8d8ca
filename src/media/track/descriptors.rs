//! The dependency descriptors of a track's packets.

use super::reading::descriptor;
use super::{Layer, Track};
use crate::media::codec::Kind;
use crate::media::packet::Dependency;
use crate::media::rtp::{Extension, Header};

impl Track {
    /// Notes under which id packets have dependency descriptors. Packets that are kept have them under the id before: nobody gets
    /// these packets any more.
    pub(super) fn expect_descriptors(&mut self) {
        let is_it = |extension| extension == Extension::DependencyDescriptor && self.kind == Kind::Video;
        let id = self.extensions.known().find(|&(_, extension)| is_it(extension));
        let id = id.map_or(0, |(id, _)| id);
        if std::mem::replace(&mut self.descriptor_id, id) != id {
            self.layers.iter_mut().for_each(Layer::forget_packets);
        }
    }

    /// The dependency descriptor of a packet.
    pub(crate) fn descriptor<'p>(&self, header: &Header, packet: &'p [u8]) -> Option<&'p [u8]> {
        descriptor(self.descriptor_id, header, packet)
    }

    /// Reads the descriptors of this batch again that could not be read when they came: the packet with the structure may have come
    /// after them. Call once, before the packets are forwarded.
    pub(crate) fn describe_rest(&mut self, buffer: &[u8]) {
        if self.descriptor_id == 0 {
            return;
        }
        for arrived in &mut self.arrivals {
            let arrival = &arrived.packet;
            if let (Dependency::Unreadable, Some(layer)) =
                (arrived.dependency, self.layers.get(usize::from(arrival.layer)))
            {
                let packet = &buffer[arrival.start..arrival.end];
                let again = layer.describe_again(descriptor(self.descriptor_id, &arrival.header, packet));
                if let Dependency::Frame(_) = again {
                    arrived.dependency = again;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Feed, ParticipantId, PeerId, RoomId, TrackId};
    use crate::media::clock::Newest;
    use crate::media::extension_ids::ExtensionIds;
    use crate::media::keys::TransportKey;
    use crate::media::names::{TrackName, TrackRef};
    use crate::media::retransmit::Pool;
    use crate::media::rewrite::SourceId;
    use crate::media::track::Origin;
    use crate::media::virtual_time::epoch;

    #[test]
    fn packets_with_descriptors_under_another_id_are_not_kept() {
        let name = TrackName {
            feed: Feed::Camera,
            kind: Kind::Video,
            number: 0,
        };
        let participant = ParticipantId(1);
        let name = TrackRef { participant, name };
        let origin = Origin::Transport(TransportKey::default());
        let mut track = Track::empty(TrackId(1), origin, RoomId(1), name, PeerId(1));
        let mut pool = Pool::new(1 << 20);
        let mut layer = Layer::new(Kind::Video, 90_000, 9, b"", SourceId(1));
        let at = epoch();
        layer.newest = Some(Newest {
            extended: 5,
            timestamp: 0,
            at,
        });
        track.layers.push(layer);
        let mut is_kept = |id: u8| {
            track.layers[0].cache.store(at, 5, &[7; 40], &mut pool);
            track.extensions = ExtensionIds::default();
            track.extensions.learn(&[(id, Extension::DependencyDescriptor)]);
            track.expect_descriptors();
            track.layers[0].kept(5).is_some()
        };
        assert_eq!([9, 9, 11, 11].map(&mut is_kept), [false, true, false, true]);
        track.layers[0].cache.release(&mut pool);
    }
}
