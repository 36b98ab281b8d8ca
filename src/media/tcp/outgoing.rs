//! What a TCP connection has still to send. Pure.
//!
//! A client that reads slowly must hold up nobody, and must not be shown an ever older picture. So the queue has a bound in bytes and
//! one in time. Beyond either, video goes, the oldest first, until half of the bound is free again: one long gap does less harm
//! than many short ones, each of which spoils pictures. Everything else (sound, RTCP, checks, handshakes) stays in order; only what
//! finds no room beside others of its kind is lost. A packet of which the first bytes have left stays whole.
//!
//! What is dropped is missing in the client's feedback, so the estimate of its path takes it for loss, and it asks for it
//! again, or for a key frame, as after any loss.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::framing::header;

/// Bytes that wait in one connection at most: a second of 4 Mb/s.
pub const MAX_BYTES: usize = 512 * 1024;

/// Time that video waits at most. Packets are kept for resends for as long (`retransmit/cache.rs`), so what is later is of no
/// use to anybody.
pub const MAX_WAIT: Duration = Duration::from_secs(1);

/// Bytes of a buffer that is kept while nothing waits.
const KEPT_BYTES: usize = 16 * 1024;

/// What kind of packet it is, for the time when not all have room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Video: of no use when it is late.
    Video,
    /// Anything else.
    Kept,
}

/// The packets that wait, with their framing.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// The frames one after the other. Those before `start` have been sent.
    bytes: Vec<u8>,
    start: usize,
    /// The frames that have not been sent whole, in the order of their bytes.
    frames: VecDeque<Frame>,
    /// Bytes of the first of these that have been sent.
    begun: usize,
    /// Frames of video among them.
    videos: usize,
}

#[derive(Debug)]
struct Frame {
    len: usize,
    importance: Importance,
    since: Instant,
}

impl Outgoing {
    /// Adds a packet, where no more than `bound` bytes may wait. Returns how many packets were dropped, with this one.
    pub fn push(&mut self, now: Instant, packet: &[u8], importance: Importance, bound: usize) -> u64 {
        let Some(header) = header(packet) else { return 1 };
        let len = header.len() + packet.len();
        let mut dropped = 0;
        if self.waiting().len() + len > bound || self.is_late(now) {
            dropped = self.cut(now, bound);
        }
        if self.waiting().len() + len > bound {
            return dropped + 1;
        }
        if self.start > self.waiting().len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(packet);
        self.videos += usize::from(importance == Importance::Video);
        self.frames.push_back(Frame {
            len,
            importance,
            since: now,
        });
        dropped
    }

    /// The bytes to send next.
    pub fn waiting(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Records that so many of the waiting bytes have been sent.
    pub fn sent(&mut self, bytes: usize) {
        self.start += bytes;
        self.begun += bytes;
        while let Some(frame) = self.frames.front().filter(|frame| frame.len <= self.begun) {
            self.begun -= frame.len;
            self.videos -= usize::from(frame.importance == Importance::Video);
            self.frames.pop_front();
        }
        if self.frames.is_empty() {
            self.bytes.clear();
            self.start = 0;
            if self.bytes.capacity() > KEPT_BYTES {
                self.bytes = Vec::new();
            }
        }
    }

    /// Whether video has waited for too long.
    fn is_late(&self, now: Instant) -> bool {
        let is_video = |frame: &&Frame| frame.importance == Importance::Video;
        let oldest = self.frames.iter().find(is_video).filter(|_| self.videos > 0);
        oldest.is_some_and(|frame| now.saturating_duration_since(frame.since) >= MAX_WAIT)
    }

    /// Drops video until half of both bounds is free, or none is left that may go. Returns the number of packets.
    fn cut(&mut self, now: Instant, bound: usize) -> u64 {
        let (mut from, mut to) = (self.start, 0);
        let mut left = self.waiting().len();
        let mut begun = self.begun;
        let mut dropped = 0;
        let bytes = &mut self.bytes;
        self.frames.retain(|frame| {
            let sent = std::mem::take(&mut begun);
            let len = frame.len - sent;
            let is_old = now.saturating_duration_since(frame.since) >= MAX_WAIT / 2;
            let is_video = frame.importance == Importance::Video;
            let goes = is_video && sent == 0 && (is_old || left > bound / 2);
            if goes {
                dropped += 1;
                left -= len;
            } else {
                bytes.copy_within(from..from + len, to);
                to += len;
            }
            from += len;
            !goes
        });
        self.bytes.truncate(to);
        self.start = 0;
        self.videos -= dropped;
        dropped as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::framing::{HEADER, split};
    use super::Importance::{Kept, Video};
    use super::*;
    use crate::media::virtual_time;

    /// A packet that says what it is.
    fn packet(importance: Importance, number: u32, len: usize) -> Vec<u8> {
        let mut packet = vec![u8::from(importance == Video); len];
        packet[1..5].copy_from_slice(&number.to_be_bytes());
        packet
    }

    /// The packets that a client would read, of which the first `sent` bytes have come before.
    fn drained(outgoing: &mut Outgoing, before: &[u8]) -> Vec<(bool, u32)> {
        let bytes = [before, outgoing.waiting()].concat();
        outgoing.sent(outgoing.waiting().len());
        let mut places = Vec::new();
        assert_eq!(split(&bytes, &mut places), Ok(bytes.len()), "frames are whole");
        let number = |packet: &[u8]| u32::from_be_bytes([packet[1], packet[2], packet[3], packet[4]]);
        let read = |place: std::ops::Range<usize>| (bytes[place.start] == 1, number(&bytes[place]));
        places.into_iter().map(read).collect()
    }

    fn is_rising(packets: &[(bool, u32)], video: bool) -> bool {
        let numbers: Vec<u32> = packets.iter().filter(|one| one.0 == video).map(|one| one.1).collect();
        numbers.is_sorted_by(|a, b| a < b)
    }

    #[test]
    fn everything_is_sent_in_order_while_there_is_room() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        for number in 0..300 {
            let importance = [Kept, Video][usize::from(number % 3 > 0)];
            assert_eq!(
                outgoing.push(now, &packet(importance, number, 1_000), importance, MAX_BYTES),
                0
            );
        }
        let packets = drained(&mut outgoing, &[]);
        assert!(packets.iter().map(|one| one.1).eq(0..300));
        assert!(outgoing.is_empty() && outgoing.bytes.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn the_oldest_video_goes_when_there_is_no_room_and_sound_stays_in_order() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let (mut dropped, mut sounds, mut videos) = (0, 0, 0_u64);
        for number in 0..2_000 {
            let importance = [Kept, Video][usize::from(number % 10 > 0)];
            let len = [100, 1_200][usize::from(importance == Video)];
            dropped += outgoing.push(now, &packet(importance, number, len), importance, MAX_BYTES);
            sounds += usize::from(importance == Kept);
            videos += u64::from(importance == Video);
            assert!(outgoing.waiting().len() <= MAX_BYTES);
            assert!(outgoing.bytes.len() <= 2 * MAX_BYTES);
        }
        let packets = drained(&mut outgoing, &[]);
        assert_eq!(packets.iter().filter(|one| !one.0).count(), sounds, "all sound");
        assert_eq!(packets.len() as u64, sounds as u64 + videos - dropped);
        assert!(is_rising(&packets, false) && is_rising(&packets, true));
        assert_eq!(packets.last(), Some(&(true, 1_999)), "the newest picture");
        // Video is gone in one piece: what is left has no holes.
        let left: Vec<u32> = packets.iter().filter(|one| one.0).map(|one| one.1).collect();
        let holes = left
            .windows(2)
            .filter(|pair| (pair[0] + 1..pair[1]).any(|number| number % 10 > 0));
        assert_eq!(holes.count(), 0);
    }

    #[test]
    fn video_that_has_waited_for_too_long_goes_up_to_half_of_the_time() {
        let start = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let step = MAX_WAIT / 20;
        let mut dropped = 0;
        for number in 0..=20 {
            let importance = [Kept, Video][usize::from(number % 2 > 0)];
            dropped += outgoing.push(
                start + step * number,
                &packet(importance, number, 500),
                importance,
                MAX_BYTES,
            );
            assert_eq!(dropped, 0, "{number}");
        }
        // The first picture is that of step 1.
        dropped += outgoing.push(start + step * 21, &packet(Kept, 21, 500), Kept, MAX_BYTES);
        assert_eq!(dropped, 6, "those of steps 1 to 11");
        let packets = drained(&mut outgoing, &[]);
        assert_eq!(packets.iter().find(|one| one.0), Some(&(true, 13)));
        assert_eq!(packets.iter().filter(|one| !one.0).count(), 12);
    }

    #[test]
    fn a_packet_that_has_begun_to_leave_is_never_cut() {
        let start = virtual_time::epoch();
        for begun in [1, 2, 3, 1_000, 1_001, 1_002, 1_003, 2_500] {
            let mut outgoing = Outgoing::default();
            for number in 0..10 {
                outgoing.push(start, &packet(Video, number, 1_000), Video, MAX_BYTES);
            }
            let before = outgoing.waiting()[..begun].to_vec();
            outgoing.sent(begun);
            let dropped = outgoing.push(start + 2 * MAX_WAIT, &packet(Kept, 10, 10), Kept, MAX_BYTES);
            let whole = begun / (HEADER + 1_000);
            let is_cut = begun % (HEADER + 1_000) > 0;
            assert_eq!(dropped as usize, 10 - whole - usize::from(is_cut), "{begun}");
            let packets = drained(&mut outgoing, &before);
            assert_eq!(packets.len(), whole + usize::from(is_cut) + 1);
            assert_eq!(packets.last(), Some(&(false, 10)));
        }
    }

    #[test]
    fn what_is_kept_has_a_bound_too_and_loses_the_newest() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let dropped: u64 = (0..1_000)
            .map(|n| outgoing.push(now, &packet(Kept, n, 1_000), Kept, MAX_BYTES))
            .sum();
        let packets = drained(&mut outgoing, &[]);
        assert_eq!(packets.len() as u64, 1_000 - dropped);
        assert!(packets.iter().map(|one| one.1).eq(0..packets.len() as u32));
        assert_eq!(packets.len(), MAX_BYTES / 1_002);
    }

    #[test]
    fn the_buffer_stays_bounded_while_some_of_it_is_always_waiting() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        let mut total = 0;
        for number in 0..5_000 {
            assert_eq!(outgoing.push(now, &packet(Kept, number, 1_000), Kept, MAX_BYTES), 0);
            total += 1_002;
            let some = outgoing.waiting().len().saturating_sub(10_000);
            outgoing.sent(some);
            assert!(outgoing.bytes.len() <= 25_000, "{}", outgoing.bytes.len());
        }
        assert!(total > 8 * MAX_BYTES);
    }

    #[test]
    fn a_bound_that_becomes_smaller_counts_from_the_next_packet_on() {
        let now = virtual_time::epoch();
        let mut outgoing = Outgoing::default();
        for number in 0..100 {
            outgoing.push(now, &packet(Video, number, 1_000), Video, MAX_BYTES);
        }
        assert!(outgoing.push(now, &packet(Video, 100, 1_000), Video, 20_000) > 80);
        assert!(outgoing.waiting().len() <= 20_000);
        assert_eq!(drained(&mut outgoing, &[]).last(), Some(&(true, 100)));
    }
}
