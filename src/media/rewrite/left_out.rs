//! Which places of a copy were left out, so that the numbers of its packets have no holes there.
//!
//! A *place* is the position of a packet among all packets that the copy's sources had for it: sent, left out, or still
//! missing. A packet's number is its place less the number of places before it that were left out. So one bit for each of the
//! newest places is enough to number a packet that comes late, and to find the packet that has a number, however often places
//! are left out.

/// Places that are remembered, up to the newest that was left out: as many as a packet can be late (the window of
/// [`LossTracker`](crate::media::retransmit::LossTracker)), and twice as many as packets are kept for NACKs. Older packets have
/// no number any more.
pub(super) const WINDOW: u64 = 1_024;

const WORDS: usize = (WINDOW / 64) as usize;

#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Bits of the last [`WINDOW`] places up to `newest`: set if the place was left out.
    packets: [u64; WORDS],
    /// Bits of those places with which a whole picture was left out. The bit of a place that was not left out means that it was
    /// sent empty.
    pictures: [u64; WORDS],
    /// Newest place that is remembered; 0 before the first.
    newest: u64,
    /// Number of places that were ever left out.
    packet_count: u64,
    /// Number of pictures that were ever left out, modulo their ids.
    picture_count: u16,
}

/// How much was left out before a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) packets: u64,
    pub(super) pictures: u16,
}

impl LeftOut {
    /// Remembers places up to `place`, which is newer than all that were left out before.
    fn advance(&mut self, place: u64) {
        if place - self.newest >= WINDOW {
            self.packets = [0; WORDS];
            self.pictures = [0; WORDS];
        } else {
            for (word, mask) in words(self.newest, place) {
                self.packets[word] &= !mask;
                self.pictures[word] &= !mask;
            }
        }
        self.newest = place;
    }

    /// Leaves out `place`, which is newer than all that were left out before. `picture` is true if another picture is left out
    /// with it.
    pub(super) fn push(&mut self, place: u64, picture: bool) {
        self.advance(place);
        let (word, bit) = (word(place), 1 << (place % 64));
        self.packets[word] |= bit;
        self.packet_count += 1;
        if picture {
            self.pictures[word] |= bit;
            self.picture_count = self.picture_count.wrapping_add(1);
        }
    }

    /// Notes that `place` is sent empty. `newest` is the newest place of the copy.
    pub(super) fn empty(&mut self, place: u64, newest: u64) {
        if newest > self.newest {
            self.advance(newest);
        }
        if self.is_remembered(place) {
            self.pictures[word(place)] |= 1 << (place % 64);
        }
    }

    /// Whether `place` was sent empty.
    pub(super) fn is_empty(&self, place: u64) -> bool {
        let bit = 1 << (place % 64);
        self.is_remembered(place) && self.pictures[word(place)] & !self.packets[word(place)] & bit != 0
    }

    fn is_remembered(&self, place: u64) -> bool {
        self.newest.checked_sub(place).is_some_and(|behind| behind < WINDOW)
    }

    /// How much was left out before `place`. `None` if the place itself was left out, or is too old.
    #[inline]
    pub(super) fn before(&self, place: u64) -> Option<Before> {
        if place > self.newest {
            return Some(self.all());
        }
        self.before_late(place)
    }

    #[cold]
    fn before_late(&self, place: u64) -> Option<Before> {
        if self.newest - place >= WINDOW || self.packets[word(place)] & (1 << (place % 64)) != 0 {
            return None;
        }
        let mut before = self.all();
        for (word, mask) in words(place, self.newest) {
            before.packets -= u64::from((self.packets[word] & mask).count_ones());
            let pictures = (self.pictures[word] & self.packets[word] & mask).count_ones();
            before.pictures = before.pictures.wrapping_sub(pictures as u16);
        }
        Some(before)
    }

    /// How much was ever left out.
    pub(super) fn all(&self) -> Before {
        Before {
            packets: self.packet_count,
            pictures: self.picture_count,
        }
    }

    /// The place that was not left out and has `kept` such places before it. `None` if it is too old.
    pub(super) fn place_of(&self, kept: u64) -> Option<u64> {
        // Places up to `newest` that were not left out.
        let Some(mut newer) = (self.newest - self.packet_count).checked_sub(kept) else {
            return Some(kept + self.packet_count);
        };
        let oldest = (self.newest + 1).saturating_sub(WINDOW);
        let mut end = self.newest;
        loop {
            // One word at a time, from the newest place to the oldest.
            let start = (end & !63).max(oldest);
            let kept = !self.packets[word(end)] & mask(start % 64, end % 64);
            match newer.checked_sub(u64::from(kept.count_ones())) {
                Some(rest) => newer = rest,
                None => return Some((end & !63) + nth_from_above(kept, newer as u32)),
            }
            if start == oldest {
                return None;
            }
            end = start - 1;
        }
    }
}

fn word(place: u64) -> usize {
    (place % WINDOW / 64) as usize
}

/// The bits from `first` to `last`, both included.
fn mask(first: u64, last: u64) -> u64 {
    (u64::MAX << first) & (u64::MAX >> (63 - last))
}

/// The places after `after`, up to and including `last`: words, and the bits in each. There must be fewer than [`WINDOW`].
fn words(after: u64, last: u64) -> impl Iterator<Item = (usize, u64)> {
    let first = after + 1;
    (first / 64..=last / 64).map(move |block| {
        let start = first.max(block * 64);
        let end = last.min(block * 64 + 63);
        (word(start), mask(start % 64, end % 64))
    })
}

/// The position of the bit that has `n` set bits above it.
fn nth_from_above(mut bits: u64, mut n: u32) -> u64 {
    let mut position = 0;
    for width in [32, 16, 8, 4, 2, 1] {
        let above = bits >> width;
        if n < above.count_ones() {
            bits = above;
            position += width;
        } else {
            n -= above.count_ones();
            bits &= (1 << width) - 1;
        }
    }
    position
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// First place: far from zero, as the places of a copy are.
    const FIRST: u64 = 100_000;

    #[test]
    fn before_anything_is_left_out_every_place_has_its_own_number() {
        let left_out = LeftOut::default();
        assert_eq!(left_out.before(7).unwrap().packets, 0);
        assert_eq!(left_out.place_of(7), Some(7));
    }

    #[test]
    fn a_bit_is_found_from_above() {
        for bits in [1, 1 << 63, u64::MAX, 0x8000_0000_0000_0001, 0x00f0_0f00_1234_8001_u64] {
            let mut positions: Vec<u64> = (0..64).filter(|at| bits & (1 << at) != 0).collect();
            positions.reverse();
            for (n, position) in positions.into_iter().enumerate() {
                assert_eq!(nth_from_above(bits, n as u32), position, "{bits:x}, {n}");
            }
        }
    }

    proptest! {
        /// The answers agree with a list of all places, whatever steps lie between the places that are left out.
        #[test]
        fn every_place_of_the_window_is_known_and_none_before_it(
            steps in prop::collection::vec((prop_oneof![8 => 1_u64..4, 2 => 1_u64..200, 1 => 1_u64..3_000], any::<bool>()), 1..400),
        ) {
            let mut left_out = LeftOut::default();
            let mut all: Vec<(u64, bool)> = Vec::new();
            let mut place = FIRST;
            for (step, picture) in steps {
                place += step;
                left_out.push(place, picture);
                all.push((place, picture));
            }
            let is_left_out = |place: u64| all.binary_search_by_key(&place, |(place, _)| *place).is_ok();
            for at in place - WINDOW - 70..place + 70 {
                let older = all.iter().filter(|(place, _)| *place < at);
                let expected = Before {
                    packets: older.clone().count() as u64,
                    pictures: older.filter(|(_, picture)| *picture).count() as u16,
                };
                let known = at + WINDOW > place;
                let before = left_out.before(at);
                prop_assert_eq!(before, (known && !is_left_out(at)).then_some(expected), "{}", at);
                if let Some(before) = before {
                    prop_assert_eq!(left_out.place_of(at - before.packets), Some(at));
                } else if !known && !is_left_out(at) {
                    prop_assert_eq!(left_out.place_of(at - expected.packets), None);
                }
            }
        }
    }
}
