//! Padding that lets the packets of a frame leave in one system call.

use smallvec::SmallVec;

use super::packet::Arrived;

/// The most padding that a packet gets: two per cent of a full packet. More would still cost the server less than another send,
/// but it would load the subscriber's network.
const MAX_PADDING: usize = 24;

/// Chooses padding so that the packets of one frame leave in one GSO send. The segments of a send must have one length, only
/// the last may be shorter. Senders split a frame into packets whose lengths differ by a byte or so.
pub(crate) fn level(arrivals: &mut [Arrived], layer: u8) {
    let len = |arrived: &Arrived| arrived.packet.end - arrived.packet.start;
    let mut group: SmallVec<[usize; 64]> = SmallVec::new();
    let (mut least, mut most) = (usize::MAX, 0);
    for at in 0..=arrivals.len() {
        let next = arrivals
            .get(at)
            .map(|arrived| (arrived.packet.layer == layer && !arrived.packet.is_empty()).then(|| len(arrived)));
        let Some(size) = next.unwrap_or(Some(usize::MAX)) else {
            continue;
        };
        let goes_on = size != usize::MAX && size.max(most) - size.min(least) <= MAX_PADDING;
        if !goes_on || group.len() == group.inline_size() {
            let (_, others) = group.split_last().unwrap_or((&0, &[]));
            for &other in others {
                arrivals[other].packet.padding = (most - len(&arrivals[other])) as u8;
            }
            group.clear();
            (least, most) = (usize::MAX, 0);
        }
        if size != usize::MAX {
            group.push(at);
            (least, most) = (size.min(least), size.max(most));
        }
    }
}

/// Packets whose lengths are compared at once: about as many as one slice has.
const RUN_MAX: usize = 32;

/// The packets at the beginning that can be padded to one length, and that length. A packet without a length stands for itself.
pub(crate) fn run(sizes: impl Iterator<Item = Option<usize>>) -> (u64, usize) {
    let (mut packets, mut least, mut most) = (0, usize::MAX, 0);
    for size in sizes.take(RUN_MAX) {
        match size {
            Some(size) if packets == 0 || size.max(most) - size.min(least) <= MAX_PADDING => {
                (least, most) = (size.min(least), size.max(most));
            }
            None if packets == 0 => return (1, 0),
            _ => break,
        }
        packets += 1;
    }
    (packets, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::Codec;
    use crate::media::packet::{BatchPacket, Dependency};
    use crate::media::pictures::EntryPoint;
    use crate::media::rewrite::SourceId;
    use crate::media::rtp::Header;

    fn arrivals(sizes: &[(u8, usize)]) -> Vec<Arrived> {
        let header = Header::parse(&[0x80; 12]).unwrap();
        let arrival = |&(layer, len): &(u8, usize)| BatchPacket {
            layer,
            source: SourceId(1),
            start: 100,
            end: 100 + len,
            header,
            extended: 0,
            codec: Codec::Vp8,
            entry: EntryPoint::Nobody,
            vp8: None,
            mark: None,
            late: false,
            origin: None,
            padding: 0,
        };
        let arrived = |packet| Arrived {
            packet,
            dependency: Dependency::None,
        };
        sizes.iter().map(arrival).map(arrived).collect()
    }

    /// Padding for packets of these sizes, of one layer.
    fn padding(sizes: &[usize]) -> Vec<u8> {
        let with_layer: Vec<(u8, usize)> = sizes.iter().map(|&size| (0, size)).collect();
        let mut arrivals = arrivals(&with_layer);
        level(&mut arrivals, 0);
        arrivals.iter().map(|arrived| arrived.packet.padding).collect()
    }

    #[test]
    fn packets_of_a_frame_become_equally_long_but_the_last() {
        assert_eq!(padding(&[1_099, 1_099, 1_100, 1_100]), [1, 1, 0, 0]);
        assert_eq!(padding(&[1_100, 1_099, 1_100, 1_099]), [0, 1, 0, 0]);
        assert_eq!(padding(&[1_100]), [0]);
        assert_eq!(padding(&[]), [0; 0]);
    }

    #[test]
    fn packets_that_differ_much_are_left_alone() {
        assert_eq!(padding(&[1_100, 300, 1_100]), [0, 0, 0]);
        assert_eq!(padding(&[1_100, 1_099, 1_100, 300, 301, 302]), [0, 1, 0, 2, 1, 0]);
        // Each is within reach of its neighbours, but not of all others.
        assert_eq!(padding(&[1_100, 1_080, 1_060]), [0, 0, 0]);
    }

    #[test]
    fn each_layer_is_levelled_for_itself() {
        let mut mixed = arrivals(&[(0, 300), (1, 1_100), (0, 302), (1, 1_101), (0, 302)]);
        level(&mut mixed, 0);
        level(&mut mixed, 1);
        let padding: Vec<u8> = mixed.iter().map(|arrived| arrived.packet.padding).collect();
        assert_eq!(padding, [2, 1, 0, 0, 0]);
    }

    #[test]
    fn a_run_ends_at_a_packet_that_differs_much_or_is_missing() {
        let of = |sizes: &[usize]| run(sizes.iter().map(|&size| Some(size).filter(|size| *size > 0)));
        assert_eq!(of(&[1_100, 1_099, 1_101, 300, 301]), (3, 1_101));
        assert_eq!(of(&[300, 1_100]), (1, 300));
        assert_eq!(of(&[1_100, 0, 1_100]), (1, 1_100));
        assert_eq!(of(&[0, 1_100]), (1, 0));
        assert_eq!(of(&[1_100, 1_080, 1_060]), (2, 1_100));
        assert_eq!(of(&[]), (0, 0));
    }

    #[test]
    fn more_packets_than_one_send_holds_are_levelled_in_parts() {
        let sizes: Vec<usize> = (0..200).map(|at| 1_000 + at % 2).collect();
        let padding = padding(&sizes);
        let padded = padding.iter().filter(|&&padding| padding == 1).count();
        assert!((95..=100).contains(&padded), "{padded}");
    }
}
