//! The newest key frame of a layer and all that came after it: with these pictures a viewer can begin, and nobody has to send a
//! key frame for them. Only places are noted. The packets are those that are kept for whoever misses some; they are kept for
//! longer while a group needs them.

use std::time::{Duration, Instant};

use crate::media::codec::Codec;
use crate::media::packet::BatchPacket;
use crate::media::pictures::EntryPoint;
use crate::media::retransmit::PacketCache;
use crate::media::rewrite::SourceId;

/// Age of the key frame up to which a viewer begins with it. With an older one it would have to catch up for too long, and a new
/// key frame comes sooner.
const BEGINS_UNTIL: Duration = Duration::from_secs(2);
/// Age up to which the packets are kept, for viewers who have begun at the last moment.
const KEPT_FOR: Duration = Duration::from_secs(3);
/// Packets and bytes with which a viewer begins at most: two seconds at 2.5 Mb/s. A second more of them is kept then too.
const PACKETS_MAX: u64 = 700;
const BYTES_MAX: usize = 700 * 1024;
/// Memory that the packets of one track may take, with all that is kept for NACKs, while a group is kept: three seconds at
/// 2.5 Mb/s.
pub(super) const TRACK_BYTES: usize = 1024 * 1024;
/// Memory that all packets of a worker may take while groups are kept.
pub(super) const WORKER_BYTES: usize = 64 * 1024 * 1024;

/// A key frame, and what has come after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub source: SourceId,
    /// Extended number of its first packet.
    pub first: u64,
    /// Time at which that came.
    pub begun: Instant,
    pub entry: EntryPoint,
    pub packets: u64,
    pub bytes: usize,
}

impl Group {
    /// The group that begins with this packet, if one does. Codecs that may have spatial layers have none: their pictures need
    /// more than the key frame of one layer.
    pub fn beginning(now: Instant, arrival: &BatchPacket) -> Option<Group> {
        let has_one_layer = matches!(arrival.codec, Codec::Vp8 | Codec::H264 { .. } | Codec::H265 { .. });
        (arrival.entry.is_open() && !arrival.late && has_one_layer).then_some(Group {
            source: arrival.source,
            first: arrival.extended,
            begun: now,
            entry: arrival.entry,
            packets: 0,
            bytes: 0,
        })
    }

    /// Counts a packet. False if the group is over: it is too old, or the packet was not kept.
    pub fn goes_on(&mut self, now: Instant, arrival: &BatchPacket, len: usize) -> bool {
        if arrival.extended >= self.first {
            self.packets += 1;
            self.bytes += len;
        }
        let age = now.saturating_duration_since(self.begun);
        arrival.source == self.source && len <= PacketCache::PACKET_BYTES && age < KEPT_FOR
    }

    /// Whether a viewer can begin here now, if `newest` is the newest packet: all is there, and not too much.
    pub fn is_open(&self, now: Instant, newest: u64) -> bool {
        let is_whole = newest.wrapping_sub(self.first).wrapping_add(1) == self.packets;
        let is_small = self.packets <= PACKETS_MAX && self.bytes <= BYTES_MAX;
        is_whole && is_small && now.saturating_duration_since(self.begun) <= BEGINS_UNTIL
    }

    /// Whether a viewer catches up within a time who gets `rate` bits per second, while so many come anew.
    pub fn fits(&self, bits_per_second: u64, rate: u64, within: Duration) -> bool {
        let spare = rate.saturating_sub(bits_per_second);
        self.bytes as u64 * 8 <= spare.saturating_mul(within.as_millis() as u64) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::Header;
    use crate::media::virtual_time::epoch;

    fn packet(codec: Codec, extended: u64, is_key: bool) -> BatchPacket {
        BatchPacket {
            layer: 0,
            source: SourceId(1),
            start: 0,
            end: 1_000,
            header: Header::parse(&[0x80; 12]).unwrap(),
            extended,
            codec,
            entry: match is_key {
                true => EntryPoint::Anybody(0),
                false => EntryPoint::Nobody,
            },
            vp8: None,
            mark: None,
            late: false,
            origin: None,
            padding: 0,
        }
    }

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    /// A group of so many packets of 1,000 bytes, a millisecond apart.
    fn group(packets: u64) -> Group {
        let key = packet(Codec::Vp8, 100, true);
        let mut group = Group::beginning(epoch(), &key).unwrap();
        for extended in 100..100 + packets {
            assert!(group.goes_on(at(extended - 100), &packet(Codec::Vp8, extended, false), 1_000));
        }
        group
    }

    #[test]
    fn viewers_begin_where_all_packets_are_there_and_few_and_young() {
        assert!(group(50).is_open(at(2_000), 149));
        assert!(!group(50).is_open(at(2_001), 149), "too old");
        assert!(!group(50).is_open(at(50), 150), "one has not come");
        assert!(group(700).is_open(at(700), 799));
        assert!(!group(701).is_open(at(701), 800), "too many");
        let mut large = group(500);
        large.bytes = BYTES_MAX + 1;
        assert!(!large.is_open(at(500), 599));
    }

    #[test]
    fn a_group_ends_with_its_stream_or_its_time_or_a_packet_that_is_not_kept() {
        let next = packet(Codec::Vp8, 150, false);
        assert!(group(50).goes_on(at(2_999), &next, 1_000));
        assert!(!group(50).goes_on(at(3_000), &next, 1_000));
        assert!(!group(50).goes_on(at(60), &next, PacketCache::PACKET_BYTES + 1));
        let source = SourceId(2);
        assert!(!group(50).goes_on(at(60), &BatchPacket { source, ..next }, 1_000));
    }

    #[test]
    fn codecs_that_may_have_spatial_layers_and_late_packets_begin_none() {
        for codec in [Codec::Vp9 { profile: 0 }, Codec::Av1 { profile: 0, tier: 0 }] {
            assert!(Group::beginning(epoch(), &packet(codec, 1, true)).is_none());
        }
        assert!(Group::beginning(epoch(), &packet(Codec::Vp8, 1, false)).is_none());
        let late = BatchPacket {
            late: true,
            ..packet(Codec::Vp8, 1, true)
        };
        assert!(Group::beginning(epoch(), &late).is_none());
    }

    #[test]
    fn a_viewer_who_would_catch_up_for_longer_than_a_second_does_not_begin() {
        // 125 kB are a second of 1 Mb/s.
        let group = group(125);
        let second = Duration::from_secs(1);
        assert!(group.fits(1_000_000, 2_000_000, second));
        assert!(!group.fits(1_000_001, 2_000_000, second));
        assert!(!group.fits(1_000_000, 900_000, second));
    }
}
