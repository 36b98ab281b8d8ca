//! Keeps one subscriber's stream continuous over changes of its source (another simulcast layer, a publisher that restarted, a
//! pause) and over packets that are left out. Sequence numbers have a hole only where a packet is missing that may still come,
//! timestamps go on by the clock of the publisher or at the pace of real time, and VP8's picture numbers go up by one.
//!
//! An *epoch* is a stretch of the copy that came from one source. Its constant offset gives each packet a [place](left_out) in
//! the copy. A packet's number is its place less the number of places before it that were left out. Both are arithmetic, so a
//! late packet finds its number, and a subscriber's NACK finds its packet: only one bit is stored per packet, and that only
//! once something is left out.

#[cfg(test)]
mod against_a_model;
mod left_out;
mod left_pictures;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use self::left_out::{Before, LeftOut};
use self::left_pictures::LeftPictures;
use super::codec::vp8;
use super::rtp::sequence_distance;

/// Id of a stream whose sequence numbers have nothing to do with those of others. Never reused, on any worker; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(pub u64);

/// Epochs that are remembered, for packets that come late and NACKs for packets sent before a change. Each change of a layer
/// needs a key frame, and these come at most twice a second; a packet that is four seconds late helps nobody.
const EPOCHS: usize = 8;

/// Packets of a source that the copy may lack at once: as many as a receiver of RTP takes for loss (RFC 3550 A.1 MAX_DROPOUT).
const MAX_SKIP: u64 = 3_000;

/// Distance from a number to its place at the beginning: one turn of the sequence numbers, so that the places of late packets
/// never go below zero.
const ONE_TURN: u64 = 1 << 16;

/// A stretch of the copy that came from one source.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    source: SourceId,
    /// Place of its first packet. The epoch ends where the next one begins.
    first: u64,
    /// Number that turns the source's extended sequence number into the place when added (modulo 2^64).
    place_offset: u64,
    timestamp_offset: u32,
    /// The source's timestamp of its first packet, and the time after that in which its pictures come [closer](Epoch::time), or 0.
    begins: u32,
    catches_up: u32,
    /// Numbers that turn the source's fields into the copy's when added.
    vp8_offset: vp8::Continuous,
}

/// Numbers of one packet in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Extended sequence number: the low 16 bits go into the header, all of it into SRTP's index.
    pub sequence: u64,
    pub timestamp: u32,
    pub vp8: vp8::Continuous,
}

/// A packet of the copy traced back to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePlace {
    pub source: SourceId,
    /// Extended sequence number that the source gave it.
    pub sequence: u64,
    epoch: usize,
    place: u64,
}

/// What a packet of a source says about itself.
#[derive(Clone, Copy, Debug)]
pub struct IncomingPacket<'a> {
    pub source: SourceId,
    /// Extended sequence number: counted on over the turns of the source's numbers.
    pub sequence: u64,
    pub timestamp: u32,
    /// RTP time of the source at the beginning of its publisher's wall clock, if that is known.
    pub origin: Option<u32>,
    pub vp8: Option<&'a vp8::Descriptor>,
}

#[derive(Debug)]
pub struct Rewriter {
    clock_rate: u32,
    /// Source now forwarded; the last epoch belongs to it.
    source: Option<SourceId>,
    /// Newest place so far.
    newest: u64,
    epochs: SmallVec<[Epoch; EPOCHS]>,
    left_out: LeftOut,
    left_pictures: LeftPictures,
    last_timestamp: u32,
    /// Origin of the newest packet.
    last_origin: Option<u32>,
    /// RTP time by which the present epoch is ahead of the publisher's clock, because its first picture was taken before one that
    /// was sent already.
    ahead: u32,
    last_vp8: vp8::Continuous,
    last_at: Option<Instant>,
}

impl Rewriter {
    /// `first_sequence` should be random (RFC 3550 §5.1) and below 2^15, so that a receiver that misses the first
    /// packets cannot mistake the roll-over counter.
    pub fn new(clock_rate: u32, first_sequence: u16) -> Rewriter {
        Rewriter {
            clock_rate,
            source: None,
            newest: ONE_TURN + u64::from(first_sequence & 0x7fff) - 1,
            epochs: SmallVec::new(),
            left_out: LeftOut::default(),
            left_pictures: LeftPictures::default(),
            last_timestamp: 0,
            last_origin: None,
            ahead: 0,
            last_vp8: vp8::Continuous::default(),
            last_at: None,
        }
    }

    /// The source now forwarded.
    pub fn source(&self) -> Option<SourceId> {
        self.source
    }

    /// Time of the newest packet.
    pub(crate) fn last_at(&self) -> Option<Instant> {
        self.last_at
    }

    /// Whether `sequence` of `source` goes on where the copy is. If a source went on without this copy for long (the copy had
    /// no path, or no codec for it), it is to be taken up anew: the subscriber could not follow over a step of more than half
    /// the sequence numbers.
    pub(crate) fn follows(&mut self, source: SourceId, sequence: u64) -> bool {
        if self.source != Some(source) {
            return false;
        }
        let ahead = self
            .epochs
            .last()
            .map_or(0, |epoch| epoch.place(sequence).wrapping_sub(self.newest) as i64);
        if ahead > MAX_SKIP as i64 {
            self.source = None;
        }
        self.source.is_some()
    }

    /// Whether `sequence` of `source` may be a packet that is missing: its place is among others that were sent or left out,
    /// even if the copy has left this source.
    pub(crate) fn may_miss(&self, source: SourceId, sequence: u64) -> bool {
        self.find(source, sequence)
            .is_some_and(|(_, place)| place <= self.newest)
    }

    /// Pauses the copy: its next packet takes up a source anew.
    pub fn pause(&mut self) {
        self.source = None;
    }

    /// The next source may be another publisher's, whose clock has nothing to do with that of the present one.
    pub(crate) fn forget_clock(&mut self) {
        self.last_origin = None;
    }

    /// Number that is added to the present source's timestamps.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.epochs.last().map(|epoch| epoch.timestamp_offset)
    }

    /// The newest number of the copy.
    pub fn highest_sequence(&self) -> u64 {
        self.newest
            .wrapping_sub(ONE_TURN)
            .wrapping_sub(self.left_out.all().packets)
    }

    /// Numbers for the copy of a packet. `None` if it is older than the point where its source was taken up, or so old that its
    /// number is not known any more.
    pub fn forward(&mut self, now: Instant, packet: &IncomingPacket<'_>) -> Option<Rewritten> {
        let (epoch, place) = match self.find(packet.source, packet.sequence) {
            Some(found) => found,
            None if self.follows(packet.source, packet.sequence) => return None,
            None => self.take_up(now, packet),
        };
        let rewritten = self.numbers(epoch, place, packet.timestamp, packet.vp8)?;
        if place > self.newest {
            self.newest = place;
            self.last_timestamp = rewritten.timestamp;
            self.last_origin = packet.origin;
            self.last_vp8 = rewritten.vp8;
            self.last_at = self.last_at.max(Some(now));
        }
        Some(rewritten)
    }

    /// Leaves out a packet that is nothing to the subscriber. If it is the newest, the next packet gets its number. If newer packets
    /// have their numbers already, no other packet can get this number. It is returned, so that the packet is sent under it without
    /// a payload, and the subscriber does not wait for it.
    pub fn leave_out(&mut self, packet: &IncomingPacket<'_>) -> Option<Rewritten> {
        let (epoch, place) = self.find(packet.source, packet.sequence)?;
        let rewritten = self.numbers(epoch, place, packet.timestamp, packet.vp8)?;
        if place <= self.newest {
            self.left_out.empty(place, self.newest);
            return Some(rewritten);
        }
        self.left_out.push(place, false);
        self.newest = place;
        None
    }

    /// Leaves out a packet because its whole picture is left out. As [`Rewriter::leave_out`], and a VP8 picture of which nothing was
    /// sent leaves its number to the next picture.
    pub fn leave_out_picture(&mut self, packet: &IncomingPacket<'_>) -> Option<Rewritten> {
        let (epoch, place) = self.find(packet.source, packet.sequence)?;
        if place <= self.newest {
            return self.leave_out(packet);
        }
        let rewritten = self.numbers(epoch, place, packet.timestamp, packet.vp8)?;
        let goes_on = self.left_pictures.goes_on(packet.timestamp, self.newest);
        if goes_on {
            // What is missing between two packets of one picture is of that picture, too.
            (self.newest + 1..place).for_each(|missing| self.left_out.push(missing, false));
        }
        let has_number = packet.vp8.is_some_and(|vp8| vp8.picture_id.is_some());
        let is_begun = rewritten.vp8.picture_id == self.last_vp8.picture_id;
        self.left_out.push(
            place,
            has_number && !goes_on && !is_begun && self.left_pictures.kept(packet.timestamp).is_none(),
        );
        self.left_pictures.push(packet.timestamp, place);
        self.newest = place;
        None
    }

    /// Whether packets of a frame were left out: that of a spatial layer in the picture with this timestamp of its source. Then the
    /// picture's number is another one's, or the layers below were sent as all of it, and what comes later must be left out, too.
    pub fn has_left_out(&self, timestamp: u32, spatial: u8) -> bool {
        self.left_pictures.kept(timestamp).is_some_and(|kept| spatial >= kept)
    }

    /// Notes that of the newest picture the spatial layers up to `top` are sent, and no others.
    #[inline]
    pub(crate) fn end_pictures_at(&mut self, timestamp: u32, top: u8) {
        self.left_pictures.keep(timestamp, top + 1);
    }

    /// The highest spatial layer of a picture that was sent, if others may have been left out.
    pub(crate) fn top_of(&self, timestamp: u32) -> Option<u8> {
        self.left_pictures.kept(timestamp)?.checked_sub(1)
    }

    /// Notes that a packet of the copy is sent without a payload.
    pub(crate) fn empty(&mut self, origin: &SourcePlace) {
        self.left_out.empty(origin.place, self.newest);
    }

    /// Whether a packet of the copy was sent without a payload, because its picture was left out.
    pub fn is_empty(&self, origin: &SourcePlace) -> bool {
        self.left_out.is_empty(origin.place)
    }

    fn take_up(&mut self, now: Instant, packet: &IncomingPacket<'_>) -> (usize, u64) {
        let place = self.newest + 1;
        let (timestamp, catches_up) = match self.last_at {
            None => (packet.timestamp, 0),
            Some(last) if now < last => self.before_others(last - now, packet),
            Some(last) => {
                let elapsed = now.saturating_duration_since(last).max(MIN_STEP);
                let by_arrival = self.last_timestamp.wrapping_add(self.ticks(elapsed));
                let by_clock = self.by_clock(packet, by_arrival);
                self.ahead = by_clock.map_or(0, |(_, ahead)| ahead);
                (by_clock.map_or(by_arrival, |(timestamp, _)| timestamp), 0)
            }
        };
        let epoch = Epoch {
            source: packet.source,
            first: place,
            place_offset: place.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
            begins: packet.timestamp,
            catches_up,
            vp8_offset: self.vp8_offset(packet.vp8),
        };
        self.source = Some(packet.source);
        if self.epochs.len() == EPOCHS {
            self.epochs.remove(0);
        }
        self.epochs.push(epoch);
        (self.epochs.len() - 1, place)
    }

    /// What turns the fields of a new epoch's first packet into those that come next in the copy.
    fn vp8_offset(&self, first: Option<&vp8::Descriptor>) -> vp8::Continuous {
        if self.last_at.is_none() {
            return vp8::Continuous::default();
        }
        let (last, first) = (self.last_vp8, continuous(first));
        let next = last
            .picture_id
            .wrapping_add(1)
            .wrapping_add(self.left_out.all().pictures);
        vp8::Continuous {
            picture_id: next.wrapping_sub(first.picture_id),
            tl0_pic_idx: last.tl0_pic_idx.wrapping_add(1).wrapping_sub(first.tl0_pic_idx),
            key_index: last.key_index.wrapping_add(1).wrapping_sub(first.key_index),
        }
    }

    /// The timestamp of the first packet of a new epoch by the publisher's clock: layers differ in the time that they take to
    /// encode and to send, so their arrival says less. Also by how much that is ahead of the clock. `None` if the clock is not
    /// known, or contradicts the arrival.
    fn by_clock(&self, packet: &IncomingPacket<'_>, by_arrival: u32) -> Option<(u32, u32)> {
        let exact = self.exact(packet, by_arrival)?;
        // A picture that was taken before the last one comes directly after it.
        let behind = self.next_timestamp().wrapping_sub(exact);
        match behind as i32 {
            ..=0 => Some((exact, 0)),
            _ if behind <= self.ticks(AHEAD_MAX) => Some((exact.wrapping_add(behind), behind)),
            _ => None,
        }
    }

    /// The timestamp of a new epoch's first packet if that came some time before the last one of the copy: the time at which it was
    /// taken, as for all after it. Also for how long its pictures come closer, because the copy is further on.
    fn before_others(&mut self, time: Duration, packet: &IncomingPacket<'_>) -> (u32, u32) {
        let by_arrival = self.last_timestamp.wrapping_sub(self.ticks(time));
        let exact = self.exact(packet, by_arrival).unwrap_or(by_arrival);
        self.ahead = 0;
        let behind = self.next_timestamp().wrapping_sub(exact);
        match behind as i32 {
            ..=0 => (exact, 0),
            _ => (exact, behind.wrapping_add(self.ticks(CATCHES_UP))),
        }
    }

    /// The time at which a picture was taken by the publisher's clock, as a timestamp of the copy.
    fn exact(&self, packet: &IncomingPacket<'_>, by_arrival: u32) -> Option<u32> {
        let distance = self.last_origin?.wrapping_sub(packet.origin?);
        let offset = self.epochs.last()?.timestamp_offset.wrapping_sub(self.ahead);
        let exact = packet.timestamp.wrapping_add(distance).wrapping_add(offset);
        let contradiction = exact.wrapping_sub(by_arrival) as i32;
        (contradiction.unsigned_abs() <= self.ticks(AGREES_WITHIN)).then_some(exact)
    }

    /// The least timestamp of the next picture over a change of source.
    fn next_timestamp(&self) -> u32 {
        self.last_timestamp.wrapping_add(self.ticks(MIN_STEP))
    }

    fn ticks(&self, time: Duration) -> u32 {
        ticks(time, self.clock_rate)
    }

    /// The epoch and the place of a source's packet, if it has a place: among those that have come, or next after them.
    #[inline]
    fn find(&self, source: SourceId, sequence: u64) -> Option<(usize, u64)> {
        let goes_on = self.source.map_or(0, |_| MAX_SKIP);
        let mut last = self.newest + goes_on;
        for (index, epoch) in self.epochs.iter().enumerate().rev() {
            let place = epoch.place(sequence);
            if epoch.source == source && (epoch.first..=last).contains(&place) {
                return Some((index, place));
            }
            last = epoch.first - 1;
        }
        None
    }

    fn numbers(&self, epoch: usize, place: u64, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Option<Rewritten> {
        let left_out = self.left_out.before(place)?;
        let epoch = self.epochs.get(epoch)?;
        let timestamp = epoch.time(place, timestamp, self.clock_rate);
        Some(epoch.apply(place, left_out, timestamp, vp8))
    }

    /// The source's packet that a packet of the copy came from. `None` if it was never sent, or too long ago.
    pub fn origin(&self, sequence: u16) -> Option<SourcePlace> {
        let highest = self.highest_sequence();
        let behind = sequence_distance(highest as u16, sequence);
        let extended = highest.wrapping_sub(u64::try_from(behind).ok()?);
        let place = self.left_out.place_of(extended.wrapping_add(ONE_TURN))?;
        let epoch = self.epochs.iter().rposition(|epoch| place >= epoch.first)?;
        let found = &self.epochs[epoch];
        Some(SourcePlace {
            source: found.source,
            sequence: place.wrapping_sub(found.place_offset),
            epoch,
            place,
        })
    }

    /// The same numbers that [`Rewriter::forward`] gave the packet the first time.
    pub fn again(&self, origin: &SourcePlace, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Option<Rewritten> {
        self.numbers(origin.epoch, origin.place, timestamp, vp8)
    }
}

/// Shortest time between two frames over a change of source: a step of zero would merge them into one.
const MIN_STEP: Duration = Duration::from_millis(10);

/// Most by which the publisher's clock and the arrival of a layer's first packet may differ. More is a clock that was changed, or
/// stood still while the publisher was muted.
const AGREES_WITHIN: Duration = Duration::from_millis(500);

/// Most by which an epoch may be ahead of the publisher's clock. Pictures of a layer that is behind the others by more come too late
/// for their sound anyway.
const AHEAD_MAX: Duration = Duration::from_millis(75);

/// The time in a copy that all those pictures take which came before others of it: less than a picture is shown for, so that viewers
/// see the newest, and enough for each to have a timestamp of its own.
const CATCHES_UP: Duration = Duration::from_millis(30);

/// Packets of an epoch among which such pictures are: more than are kept of any stream.
const CATCHES_UP_PACKETS: u64 = 1 << 12;

impl Epoch {
    /// The place of `sequence` of its source, if that is of this epoch at all.
    fn place(&self, sequence: u64) -> u64 {
        sequence.wrapping_add(self.place_offset)
    }

    /// The timestamp in the copy of a picture with this one. Pictures that came before others of the copy follow these closely: their
    /// times are pressed into [`CATCHES_UP`], from where on the times are those at which the pictures were taken.
    #[inline]
    fn time(&self, place: u64, timestamp: u32, clock_rate: u32) -> u32 {
        let exact = timestamp.wrapping_add(self.timestamp_offset);
        let since = timestamp.wrapping_sub(self.begins);
        // The difference of timestamps comes round after hours.
        if since >= self.catches_up || place.wrapping_sub(self.first) >= CATCHES_UP_PACKETS {
            return exact;
        }
        let room = ticks(CATCHES_UP, clock_rate);
        let until_exact = self.catches_up - since;
        let pressed = u64::from(until_exact) * u64::from(room) / u64::from(self.catches_up);
        exact.wrapping_add(until_exact).wrapping_sub(pressed as u32)
    }

    fn apply(&self, place: u64, left_out: Before, timestamp: u32, vp8: Option<&vp8::Descriptor>) -> Rewritten {
        let (vp8, offset) = (continuous(vp8), self.vp8_offset);
        Rewritten {
            sequence: place - ONE_TURN - left_out.packets,
            timestamp,
            vp8: vp8::Continuous {
                picture_id: vp8
                    .picture_id
                    .wrapping_add(offset.picture_id)
                    .wrapping_sub(left_out.pictures)
                    & 0x7fff,
                tl0_pic_idx: vp8.tl0_pic_idx.wrapping_add(offset.tl0_pic_idx),
                key_index: vp8.key_index.wrapping_add(offset.key_index) & 0x1f,
            },
        }
    }
}

fn continuous(vp8: Option<&vp8::Descriptor>) -> vp8::Continuous {
    vp8.map_or_else(vp8::Continuous::default, vp8::Descriptor::continuous)
}

/// RTP timestamp units in a length of time.
pub(crate) fn ticks(elapsed: Duration, clock_rate: u32) -> u32 {
    (elapsed.as_micros() as u64)
        .wrapping_mul(u64::from(clock_rate))
        .wrapping_div(1_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn packet(source: u64, sequence: u64, timestamp: u32) -> IncomingPacket<'static> {
        IncomingPacket {
            source: SourceId(source),
            sequence,
            timestamp,
            origin: None,
            vp8: None,
        }
    }

    #[test]
    fn a_change_of_layer_keeps_the_time_of_the_pictures_if_the_clock_is_known_and_agrees() {
        const RATE: i64 = 90;
        // Milliseconds between the two pictures by arrival, and as they were taken; and what the copy says.
        for (arrival, taken, expected) in [
            (33, 33, 33),
            (33, 90, 90),
            (133, 40, 40),
            (33, 0, 10),
            (33, -60, 10),
            (33, -70, 33),
            (600, 90, 600),
            (33, 600, 33),
        ] {
            let mut rewriter = Rewriter::new(90_000, 0);
            let of = |source, timestamp: i64, origin| IncomingPacket {
                origin: Some(origin),
                ..packet(source, 1, timestamp as u32)
            };
            let one = rewriter.forward(epoch(), &of(1, 1_000 * RATE, 500)).unwrap();
            let later = epoch() + Duration::from_millis(arrival);
            let ahead = 0xffff_ff00_u32;
            let timestamp = (1_000 + taken) * RATE + i64::from(ahead);
            let next = rewriter
                .forward(later, &of(2, timestamp, ahead.wrapping_add(500)))
                .unwrap();
            let step = next.timestamp.wrapping_sub(one.timestamp);
            assert_eq!(i64::from(step), expected * RATE, "{arrival} {taken}");
            // What was ahead is made up for at the next change.
            let back = rewriter
                .forward(
                    later,
                    &IncomingPacket {
                        sequence: 9,
                        ..of(1, 1_200 * RATE, 500)
                    },
                )
                .unwrap();
            let by_clock = (expected == taken || expected == 10).then_some(200 * RATE);
            let step = i64::from(back.timestamp.wrapping_sub(one.timestamp));
            assert!(
                by_clock.is_none_or(|expected| expected == step),
                "{step} after {arrival} {taken}"
            );
        }
    }

    #[test]
    fn pictures_that_came_before_others_of_the_copy_follow_them_closely_and_then_keep_their_times() {
        let at = |millis: u64| epoch() + Duration::from_millis(millis);
        for origin in [None, Some(500)] {
            let mut rewriter = Rewriter::new(90_000, 0);
            let of = |source, millis: u64| IncomingPacket {
                origin,
                ..packet(source, millis, (millis as u32).wrapping_mul(90))
            };
            let one = rewriter.forward(at(1_000), &of(1, 1_000)).unwrap();
            let mut times = vec![(1_000, one.timestamp)];
            // The first of them is forwarded as of the time at which it came, the others as of now.
            for millis in (600..1_600).step_by(40) {
                let now = if millis == 600 { millis } else { millis.max(1_000) };
                times.push((millis, rewriter.forward(at(now), &of(2, millis)).unwrap().timestamp));
            }
            for pair in times.windows(2) {
                let step = pair[1].1.wrapping_sub(pair[0].1);
                let is_exact = pair[1].0 > 1_040;
                assert!(
                    (1..=90 * if is_exact { 40 } else { 11 }).contains(&step),
                    "{origin:?}: {pair:?}"
                );
            }
            for (millis, timestamp) in &times[1..] {
                let taken = one
                    .timestamp
                    .wrapping_add((*millis as u32).wrapping_sub(1_000).wrapping_mul(90));
                assert!(*millis < 1_040 || *timestamp == taken, "{origin:?}: {millis}");
            }
            // Sent again, each has the same.
            for ((millis, timestamp), place) in times[1..].iter().zip((1..).step_by(40)) {
                let origin = rewriter.origin(place).unwrap();
                let again = rewriter.again(&origin, (*millis as u32) * 90, None).unwrap();
                assert_eq!(again.timestamp, *timestamp);
            }
        }
    }

    #[test]
    fn the_clock_of_another_publisher_says_nothing() {
        let mut rewriter = Rewriter::new(90_000, 0);
        let of = |source, timestamp| IncomingPacket {
            origin: Some(0),
            ..packet(source, 1, timestamp)
        };
        let one = rewriter.forward(epoch(), &of(1, 0)).unwrap();
        rewriter.forget_clock();
        let later = epoch() + Duration::from_millis(33);
        let next = rewriter.forward(later, &of(2, 9_000)).unwrap();
        assert_eq!(next.timestamp.wrapping_sub(one.timestamp), 33 * 90);
    }

    #[test]
    fn sequence_numbers_have_no_holes_over_a_change_of_source() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 100);
        let first: Vec<u64> = [65_534, 65_535, 65_536, 65_537]
            .map(|seq| rewriter.forward(now, &packet(1, seq, 0)).unwrap().sequence)
            .to_vec();
        assert_eq!(first, [100, 101, 102, 103]);
        let second: Vec<u64> = [7, 8, 9]
            .map(|seq| rewriter.forward(now, &packet(2, seq, 0)).unwrap().sequence)
            .to_vec();
        assert_eq!(second, [104, 105, 106]);
    }

    #[test]
    fn a_source_packet_from_before_the_change_is_not_forwarded() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0);
        rewriter.forward(now, &packet(1, 10, 0)).unwrap();
        rewriter.forward(now, &packet(2, 500, 0)).unwrap();
        assert_eq!(rewriter.forward(now, &packet(2, 499, 0)), None);
        assert_eq!(rewriter.forward(now, &packet(2, 501, 0)).unwrap().sequence, 2);
    }

    #[test]
    fn a_source_that_went_on_alone_is_taken_up_anew_and_no_number_is_used_twice() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0);
        for sequence in 0..40_000 {
            rewriter.forward(now, &packet(1, sequence, 0)).unwrap();
        }
        assert!(rewriter.follows(SourceId(1), 39_999 + 3_000));
        // Modulo 2^16 these are behind.
        assert!(!rewriter.follows(SourceId(1), 39_999 + 40_000));
        assert_eq!(rewriter.source(), None);
        let next = rewriter.forward(now, &packet(1, 39_999 + 40_000, 0)).unwrap();
        assert_eq!(next.sequence, 40_000);
    }

    #[test]
    fn reordered_packets_keep_their_places_and_holes_stay_holes() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 1_000);
        let order = [1, 4, 2, 3, 6].map(|seq| rewriter.forward(now, &packet(1, seq, 0)).unwrap().sequence);
        assert_eq!(order, [1_000, 1_003, 1_001, 1_002, 1_005]);
    }

    #[test]
    fn timestamps_go_on_at_the_pace_of_real_time_over_a_pause_and_a_reepoch() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0);
        let before = rewriter.forward(now, &packet(1, 1, 1_000_000)).unwrap().timestamp;
        let later = now + Duration::from_secs(2);
        let after = rewriter.forward(later, &packet(2, 9, 5)).unwrap().timestamp;
        assert_eq!(after.wrapping_sub(before), 180_000);
        let next = rewriter.forward(later, &packet(2, 10, 3_005)).unwrap().timestamp;
        assert_eq!(next.wrapping_sub(after), 3_000);
    }

    #[test]
    fn picture_numbers_go_up_by_one_over_a_change_of_layer() {
        let now = epoch();
        let descriptor = |value, tl0, key| vp8::Descriptor {
            picture_id: Some(vp8::PictureId {
                offset: 2,
                long: true,
                value,
            }),
            tl0_pic_idx: Some((4, tl0)),
            key_index: Some((5, key)),
            ..vp8::Descriptor::default()
        };
        let mut rewriter = Rewriter::new(90_000, 0);
        let (a, b) = (descriptor(0x7fff, 255, 31), descriptor(77, 3, 7));
        let first = rewriter
            .forward(
                now,
                &IncomingPacket {
                    vp8: Some(&a),
                    ..packet(1, 1, 0)
                },
            )
            .unwrap();
        let second = rewriter
            .forward(
                now,
                &IncomingPacket {
                    vp8: Some(&b),
                    ..packet(2, 1, 0)
                },
            )
            .unwrap();
        let fields = |rewritten: &Rewritten| {
            (
                rewritten.vp8.picture_id,
                rewritten.vp8.tl0_pic_idx,
                rewritten.vp8.key_index,
            )
        };
        assert_eq!(fields(&first), (0x7fff, 255, 31));
        assert_eq!(fields(&second), (0, 0, 0));
    }

    #[test]
    fn a_nack_is_traced_back_to_the_source_and_gives_the_same_numbers_again() {
        let now = epoch();
        let mut rewriter = Rewriter::new(90_000, 0x7ffe);
        let mut sent = Vec::new();
        for source in 1..4_u64 {
            for sequence in 65_530..65_540_u32 {
                let incoming = packet(source, u64::from(sequence), sequence * 3_000);
                sent.push((incoming, rewriter.forward(now, &incoming).unwrap()));
            }
        }
        for (incoming, rewritten) in sent {
            let origin = rewriter.origin(rewritten.sequence as u16).unwrap();
            assert_eq!((origin.source, origin.sequence), (incoming.source, incoming.sequence));
            assert_eq!(rewriter.again(&origin, incoming.timestamp, None), Some(rewritten));
        }
        assert_eq!(rewriter.origin(0x7ffd), None);
        assert_eq!(rewriter.origin(rewriter.highest_sequence() as u16 + 1), None);
    }
}
