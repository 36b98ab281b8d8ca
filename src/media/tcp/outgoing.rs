//! What a TCP connection has still to send. Pure.
//!
//! A client that reads slowly must hold up nobody, and must be shown or played nothing old. So what waits has a bound in bytes, and media
//! one in time. Beyond either, video goes, the oldest first, until half of the bound is free again: one long gap does less harm
//! than many short ones, each of which spoils pictures. Sound goes when it is older than [`MAX_SOUND_WAIT`], packet by packet. Everything
//! else (RTCP, checks, handshakes) stays; only what finds no room beside others of its kind is lost, and a connection where that waits
//! for some seconds is to be closed ([`Outgoing::is_stuck`]). A packet of which the first bytes have left stays whole. What is sent is
//! sent in its order.
//!
//! What is dropped is missing in the client's feedback, so the estimate of its path takes it for loss, and it asks for it
//! again, or for a key frame, as after any loss.
//!
//! Packets of one importance stand in a ring of their own, with numbers that say the order of all. So whatever goes is at the front of
//! a ring, and adding a packet costs the same however many wait.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use super::framing::header;

/// Bytes that wait in one connection at most: a second of 4 Mb/s.
pub const MAX_BYTES: usize = 512 * 1024;

/// Bytes that may wait in any connection, however much waits in others: a key frame of a large picture and the sound beside it. With less
/// its client would never see a picture. It is about what a connection costs otherwise.
pub const KEY_FRAME_BYTES: usize = 96 * 1024;

/// Time that video waits at most. Packets are kept for resends for as long (`retransmit/cache.rs`), so what is later is of no
/// use to anybody.
pub const MAX_WAIT: Duration = Duration::from_secs(1);

/// Time that sound waits at most. ITU-T G.114 has people talk at cross purposes beyond 400 ms.
pub const MAX_SOUND_WAIT: Duration = Duration::from_millis(400);

/// Time that anything else waits at most, after which its connection is of no use. Its client has got no answer to its checks for so
/// long, and has looked for another way: browsers call a connection lost after five seconds of that.
pub const STUCK_AFTER: Duration = Duration::from_secs(10);

/// Bytes of a ring that are kept while nothing waits.
const KEPT_BYTES: usize = 16 * 1024;

/// Bytes offered to the socket at once: more than it takes in one go, as little of what it holds may be unsent.
const PIECES_BYTES: usize = 64 * 1024;

/// What kind of packet it is, for the time when not all have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Video: of no use when it is late.
    Video,
    /// Sound: of no use when it is late, and so little that it leaves room for the rest.
    Sound,
    /// Anything else.
    Kept,
}

impl Importance {
    const COUNT: usize = 3;
}

/// Packets that were dropped, and their bytes with the framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub packets: u64,
    pub bytes: u64,
}

impl AddAssign for Dropped {
    fn add_assign(&mut self, other: Dropped) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl Dropped {
    fn one(len: usize) -> Dropped {
        let bytes = len as u64;
        Dropped { packets: 1, bytes }
    }
}

/// The packets that wait, with their framing.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// By their [`Importance`].
    rings: [Ring; Importance::COUNT],
    /// The number of the next packet.
    next: u64,
    /// Bytes that wait in all rings.
    len: usize,
    /// The ring whose first packet has begun to leave. It is the first of all.
    begun: Option<usize>,
}

/// The packets of one importance, in their order.
#[derive(Debug, Default)]
struct Ring {
    /// The frames one after the other.
    bytes: VecDeque<u8>,
    frames: VecDeque<Frame>,
}

#[derive(Debug)]
struct Frame {
    /// Its place among those of all rings.
    number: u64,
    /// Bytes of it that have not been sent.
    len: usize,
    since: Instant,
}

impl Frame {
    fn has_waited(&self, now: Instant, time: Duration) -> bool {
        now.saturating_duration_since(self.since) >= time
    }
}

impl Outgoing {
    /// Adds a packet, where no more than `bound` bytes may wait. Returns what was dropped for it, or instead of it.
    pub fn push(&mut self, now: Instant, packet: &[u8], importance: Importance, bound: usize) -> Dropped {
        let Some(header) = header(packet) else {
            return Dropped::one(packet.len());
        };
        let len = header.len() + packet.len();
        let mut dropped = self.forget_late(now);
        if self.len + len > bound {
            dropped += self.make_room(bound / 2);
        }
        let has_room = self.len + len <= bound;
        let ring = self.rings.get_mut(importance as usize).filter(|_| has_room);
        let Some(ring) = ring else {
            dropped += Dropped::one(len);
            return dropped;
        };
        ring.bytes.extend(&header);
        ring.bytes.extend(packet);
        let (number, since) = (self.next, now);
        ring.frames.push_back(Frame { number, len, since });
        self.next += 1;
        self.len += len;
        dropped
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether something that is not dropped has waited for too long.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let kept = self.rings.get(Importance::Kept as usize);
        let oldest = kept.and_then(|ring| ring.frames.front());
        oldest.is_some_and(|frame| frame.has_waited(now, STUCK_AFTER))
    }

    /// Puts what is to be sent next into `pieces`, in its order. Returns the number of pieces.
    pub fn pieces<'a>(&'a self, pieces: &mut [IoSlice<'a>]) -> usize {
        // How many frames of each ring are among the pieces, and their bytes.
        let mut taken = [(0, 0); Importance::COUNT];
        let (mut count, mut total) = (0, 0);
        while total < PIECES_BYTES
            && let Some((index, until)) = self.first_after(&taken)
            && let (Some(ring), Some(taken)) = (self.rings.get(index), taken.get_mut(index))
        {
            let start = taken.1;
            while let Some(frame) = ring.frames.get(taken.0).filter(|frame| frame.number < until)
                && total < PIECES_BYTES
            {
                *taken = (taken.0 + 1, taken.1 + frame.len);
                total += frame.len;
            }
            // A ring may have its end in the middle of its memory.
            let (front, back) = ring.bytes.as_slices();
            let part = |bytes: &'a [u8], from: usize| {
                let end = taken.1.saturating_sub(from).min(bytes.len());
                bytes.get(start.saturating_sub(from)..end).unwrap_or_default()
            };
            for part in [part(front, 0), part(back, front.len())] {
                if part.is_empty() {
                    continue;
                }
                let Some(piece) = pieces.get_mut(count) else {
                    return count;
                };
                *piece = IoSlice::new(part);
                count += 1;
            }
        }
        count
    }

    /// The ring with the first frame beyond those taken, and the number of the next frame of another ring.
    fn first_after(&self, taken: &[(usize, usize); Importance::COUNT]) -> Option<(usize, u64)> {
        let (mut first, mut until) = (None, u64::MAX);
        for (index, (ring, taken)) in self.rings.iter().zip(taken).enumerate() {
            let Some(frame) = ring.frames.get(taken.0) else {
                continue;
            };
            match first {
                Some((_, number)) if number < frame.number => until = until.min(frame.number),
                _ => {
                    until = first.map_or(until, |(_, number): (usize, u64)| until.min(number));
                    first = Some((index, frame.number));
                }
            }
        }
        first.map(|(index, _)| (index, until))
    }

    /// Records that so many of the waiting bytes have been sent.
    pub fn sent(&mut self, bytes: usize) {
        let mut left = bytes.min(self.len);
        self.len -= left;
        while left > 0
            && let Some((index, _)) = self.first_after(&Default::default())
            && let Some(ring) = self.rings.get_mut(index)
            && let Some(frame) = ring.frames.front_mut()
        {
            let part = left.min(frame.len);
            left -= part;
            frame.len -= part;
            ring.bytes.drain(..part);
            let is_whole = frame.len == 0;
            self.begun = (!is_whole).then_some(index);
            if is_whole {
                ring.frames.pop_front();
                ring.give_back();
            }
        }
    }

    /// Drops the media that have waited for too long.
    pub fn forget_late(&mut self, now: Instant) -> Dropped {
        let is_late = |frame: &Frame| frame.has_waited(now, MAX_WAIT);
        let mut dropped = Dropped::default();
        if self.first_that_may_go(Importance::Video).is_some_and(is_late) {
            dropped = self.cut(Importance::Video, |frame, _| frame.has_waited(now, MAX_WAIT / 2));
        }
        dropped += self.cut(Importance::Sound, |frame, _| frame.has_waited(now, MAX_SOUND_WAIT));
        dropped
    }

    /// Drops all media, for a client that is only to be sent the last words.
    pub fn forget_media(&mut self) -> Dropped {
        let mut dropped = self.cut(Importance::Video, |_, _| true);
        dropped += self.cut(Importance::Sound, |_, _| true);
        dropped
    }

    /// Drops video until no more than `wanted` bytes wait, or none is left that may go.
    fn make_room(&mut self, wanted: usize) -> Dropped {
        let len = self.len;
        self.cut(Importance::Video, |_, cut| len - cut > wanted)
    }

    /// The first frame of which nothing has left.
    fn first_that_may_go(&self, importance: Importance) -> Option<&Frame> {
        let index = importance as usize;
        let first = usize::from(self.begun == Some(index));
        self.rings.get(index)?.frames.get(first)
    }

    /// Drops frames from the first one of which nothing has left, while `goes` says so of the next one and the bytes dropped so far.
    fn cut(&mut self, importance: Importance, goes: impl Fn(&Frame, usize) -> bool) -> Dropped {
        let index = importance as usize;
        let first = usize::from(self.begun == Some(index));
        let Some(ring) = self.rings.get_mut(index) else {
            return Dropped::default();
        };
        let (mut packets, mut cut) = (0, 0);
        while let Some(frame) = ring.frames.get(first).filter(|frame| goes(frame, cut)) {
            cut += frame.len;
            packets += 1;
            // One frame at most is before it.
            ring.frames.remove(first);
        }
        if cut > 0 {
            let start = ring.frames.front().filter(|_| first > 0).map_or(0, |begun| begun.len);
            ring.bytes.drain(start..start + cut);
            ring.give_back();
            self.len -= cut;
        }
        let bytes = cut as u64;
        Dropped { packets, bytes }
    }
}

impl Ring {
    /// Gives back its memory if nothing waits and there was much.
    fn give_back(&mut self) {
        if self.frames.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            *self = Ring::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::framing::{HEADER, split};
    use super::Importance::{Kept, Sound, Video};
    use super::*;
    use crate::media::virtual_time;

    /// A packet that says what it is.
    fn packet(importance: Importance, number: u32, len: usize) -> Vec<u8> {
        let mut packet = vec![importance as u8; len];
        packet[1..5].copy_from_slice(&number.to_be_bytes());
        packet
    }

    /// The next bytes, of which the socket takes so many at most.
    fn sent(outgoing: &mut Outgoing, most: usize) -> Vec<u8> {
        let mut pieces = [IoSlice::new(&[]); 8];
        let count = outgoing.pieces(&mut pieces);
        let mut bytes: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.to_vec()).collect();
        bytes.truncate(most);
        outgoing.sent(bytes.len());
        bytes
    }

    /// The packets that a client reads, which has read `bytes` before.
    fn drained(outgoing: &mut Outgoing, mut bytes: Vec<u8>) -> Vec<(Importance, u32)> {
        while !outgoing.is_empty() {
            bytes.extend(sent(outgoing, usize::MAX));
        }
        let mut places = Vec::new();
        assert_eq!(
            split(&bytes, &mut places, usize::MAX),
            Ok(bytes.len()),
            "frames are whole"
        );
        let number = |packet: &[u8]| u32::from_be_bytes([packet[1], packet[2], packet[3], packet[4]]);
        let read = |place: std::ops::Range<usize>| {
            let importance = [Video, Sound, Kept][usize::from(bytes[place.start])];
            (importance, number(&bytes[place]))
        };
        places.into_iter().map(read).collect()
    }

    fn numbers(packets: &[(Importance, u32)], of: Importance) -> Vec<u32> {
        packets.iter().filter(|one| one.0 == of).map(|one| one.1).collect()
    }

    /// Adds a packet; the number of those that were dropped.
    fn add(outgoing: &mut Outgoing, now: Instant, importance: Importance, (number, len): (u32, usize)) -> u64 {
        let packet = packet(importance, number, len);
        outgoing.push(now, &packet, importance, MAX_BYTES).packets
    }

    #[test]
    fn everything_is_sent_in_order_while_there_is_room() {
        let now = virtual_time::epoch();
        for taken in [171, 1_002, 5_000, usize::MAX] {
            let mut outgoing = Outgoing::default();
            for number in 0..300 {
                let importance = [Kept, Video, Video, Sound][number as usize * 7 % 4];
                assert_eq!(add(&mut outgoing, now, importance, (number, 1_000)), 0);
            }
            assert_eq!(outgoing.len(), 300 * 1_002);
            let mut bytes = Vec::new();
            while !outgoing.is_empty() {
                bytes.extend(sent(&mut outgoing, taken));
            }
            let packets = drained(&mut outgoing, bytes);
            assert!(packets.iter().map(|one| one.1).eq(0..300), "{taken}");
            assert!(outgoing.rings.iter().all(|ring| ring.bytes.capacity() <= KEPT_BYTES));
        }
    }

    #[test]
    fn the_oldest_video_goes_when_there_is_no_room_and_the_rest_stays_in_order() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let mut dropped = Dropped::default();
        for number in 0..2_000 {
            let importance = [Kept, Sound, Video][(number as usize % 10).min(2)];
            let len = [1_200, 100, 100][importance as usize];
            dropped += outgoing.push(now, &packet(importance, number, len), importance, MAX_BYTES);
            assert!(outgoing.len() <= MAX_BYTES);
        }
        let packets = drained(&mut outgoing, Vec::new());
        let expected = |rest| (0..2_000).filter(move |number| number % 10 == rest);
        assert!(numbers(&packets, Kept).into_iter().eq(expected(0)));
        assert!(numbers(&packets, Sound).into_iter().eq(expected(1)));
        assert!(packets.iter().map(|one| one.1).is_sorted(), "in the order of all");
        assert_eq!(packets.len() as u64, 2_000 - dropped.packets);
        assert_eq!(dropped.bytes, dropped.packets * 1_202);
        // Video is gone in one piece: what is left has no holes, and ends with the newest.
        let left = numbers(&packets, Video);
        let newest = (0..2_000).filter(|number| number % 10 > 1).skip(1_600 - left.len());
        assert!(left.into_iter().eq(newest));
    }

    #[test]
    fn video_that_has_waited_for_too_long_goes_up_to_half_of_the_time() {
        let start = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let step = MAX_WAIT / 20;
        for number in 0..=20 {
            let importance = [Kept, Video][usize::from(number % 2 > 0)];
            let now = start + step * number;
            assert_eq!(add(&mut outgoing, now, importance, (number, 500)), 0, "{number}");
        }
        // The first picture is that of step 1.
        let dropped = add(&mut outgoing, start + step * 21, Kept, (21, 500));
        assert_eq!(dropped, 6, "those of steps 1 to 11");
        let packets = drained(&mut outgoing, Vec::new());
        assert_eq!(numbers(&packets, Video)[0], 13);
        assert_eq!(numbers(&packets, Kept).len(), 12);
    }

    #[test]
    fn sound_that_has_waited_for_too_long_goes_and_what_is_left_is_in_order() {
        let start = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let step = Duration::from_millis(20);
        let mut dropped = 0;
        for number in 0..100 {
            dropped += add(&mut outgoing, start + step * number, Sound, (number, 100));
        }
        assert_eq!(dropped, 80, "as much waits as may");
        // Nothing is added any more: what is sent next is no older all the same.
        outgoing.forget_late(start + step * 109);
        let packets = drained(&mut outgoing, Vec::new());
        assert!(numbers(&packets, Sound).into_iter().eq(90..100));
    }

    #[test]
    fn a_packet_that_has_begun_to_leave_is_never_cut() {
        let start = virtual_time::epoch();
        for importance in [Video, Sound] {
            for begun in [1, 2, 3, 1_000, 1_001, 1_002, 1_003, 2_500] {
                let mut outgoing = Outgoing::default();
                for number in 0..10 {
                    add(&mut outgoing, start, importance, (number, 1_000));
                }
                let before = sent(&mut outgoing, begun);
                let dropped = add(&mut outgoing, start + 2 * MAX_WAIT, Kept, (10, 10));
                let whole = begun / (HEADER + 1_000);
                let is_cut = begun % (HEADER + 1_000) > 0;
                assert_eq!(dropped as usize, 10 - whole - usize::from(is_cut), "{begun}");
                let packets = drained(&mut outgoing, before);
                assert_eq!(packets.len(), whole + usize::from(is_cut) + 1);
                assert_eq!(packets.last(), Some(&(Kept, 10)));
            }
        }
    }

    #[test]
    fn what_is_kept_has_a_bound_too_and_loses_the_newest() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let dropped: u64 = (0..1_000).map(|n| add(&mut outgoing, now, Kept, (n, 1_000))).sum();
        let packets = drained(&mut outgoing, Vec::new());
        assert_eq!(packets.len() as u64, 1_000 - dropped);
        assert!(packets.iter().map(|one| one.1).eq(0..packets.len() as u32));
        assert_eq!(packets.len(), MAX_BYTES / 1_002);
    }

    #[test]
    fn a_connection_is_stuck_when_what_is_kept_has_waited_for_too_long() {
        let start = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        add(&mut outgoing, start, Video, (0, 1_000));
        assert!(!outgoing.is_stuck(start + 2 * STUCK_AFTER), "video is dropped instead");
        add(&mut outgoing, start, Kept, (1, 1_000));
        add(&mut outgoing, start + STUCK_AFTER / 2, Kept, (2, 1_000));
        assert!(!outgoing.is_stuck(start + STUCK_AFTER - Duration::from_millis(1)));
        assert!(outgoing.is_stuck(start + STUCK_AFTER));
        sent(&mut outgoing, 2_004);
        assert!(!outgoing.is_stuck(start + STUCK_AFTER));
    }

    #[test]
    fn the_buffer_stays_bounded_while_some_of_it_is_always_waiting() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let mut total = 0;
        for number in 0..5_000 {
            assert_eq!(add(&mut outgoing, now, Kept, (number, 1_000)), 0);
            total += 1_002;
            let some = outgoing.len().saturating_sub(10_000);
            sent(&mut outgoing, some);
            let kept = &outgoing.rings[Kept as usize];
            assert!(kept.bytes.capacity() <= 25_000, "{}", kept.bytes.capacity());
        }
        assert!(total > 8 * MAX_BYTES);
    }

    #[test]
    fn a_bound_that_becomes_smaller_counts_from_the_next_packet_on() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        for number in 0..100 {
            add(&mut outgoing, now, Video, (number, 1_000));
        }
        let dropped = outgoing.push(now, &packet(Video, 100, 1_000), Video, 20_000);
        assert!(dropped.packets > 80);
        assert!(outgoing.len() <= 20_000);
        assert_eq!(drained(&mut outgoing, Vec::new()).last(), Some(&(Video, 100)));
    }

    #[test]
    fn the_last_words_wait_for_no_media() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        for number in 0..10 {
            add(
                &mut outgoing,
                now,
                [Video, Sound, Kept][number as usize % 3],
                (number, 1_000),
            );
        }
        let before = sent(&mut outgoing, 5);
        assert_eq!(outgoing.forget_media().packets, 6);
        let expected = [(Video, 0), (Kept, 2), (Kept, 5), (Kept, 8)];
        assert_eq!(drained(&mut outgoing, before), expected);
    }
}
