//! What became of the newest frames of one subscription.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Frames that are remembered: those to which a chain's distance (eight bits) can reach. At thirty pictures a second in three
/// layers they are the last 2.8 seconds, longer than a lost packet is asked for.
const FRAMES: usize = 256;

/// How long a frame is waited for that others depend on. A lost packet is asked for up to eight times: this is enough for all of
/// them on a path of 75 ms. Waiting longer shows a torn or frozen picture for longer; waiting less asks for key frames that a
/// resent packet would have spared.
const PATIENCE: Duration = Duration::from_millis(600);

/// Frames that are waited for at a time. If there are more, the oldest is taken for lost.
const AWAITED: usize = 16;

/// Whether a frame is older than another one that has come. A number much older than what is remembered is of a stream that
/// began anew.
pub(super) fn is_late(number: u16, newest: u16) -> bool {
    let behind = newest.wrapping_sub(number);
    (1..FRAMES as u16).contains(&behind)
}

/// A number in the past that still tells late frames from others when the numbers have gone round.
pub(super) fn not_long_before(newest: u16, past: u16) -> u16 {
    match newest.wrapping_sub(past) {
        behind @ 0..0x8000 if usize::from(behind) >= FRAMES => newest.wrapping_sub(FRAMES as u16 - 1),
        _ => past,
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has not come yet.
    Missing,
    /// The subscriber does not have it and will not: it was left out, or is lost.
    LeftOut,
    /// The subscriber gets it, as a part of `target`, and perhaps with a mask of the targets that it gets.
    Forwarded { target: u8, active: Option<NonZeroU32> },
}

/// Where a frame's number is among those remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Newer,
    Known(Fate),
    /// Older than what is remembered.
    TooOld,
}

#[derive(Debug)]
pub(super) struct History {
    /// The newest frame, if there was one.
    newest: Option<u16>,
    /// What became of each, at the lowest bits of its number.
    fates: [Fate; FRAMES],
    /// The awaited frames without which each cannot be decoded, as bits: their places in [`Waiting`].
    hopes: [u16; FRAMES],
}

impl Default for History {
    fn default() -> History {
        History {
            newest: None,
            // What came before the first frame is not coming any more.
            fates: [Fate::LeftOut; FRAMES],
            hopes: [0; FRAMES],
        }
    }
}

impl History {
    /// The newest frame's number, if there was one.
    pub(super) fn newest(&self) -> Option<u16> {
        self.newest
    }

    pub(super) fn place(&self, number: u16) -> Place {
        let Some(newest) = self.newest else {
            return Place::Newer;
        };
        match newest.wrapping_sub(number) {
            behind if usize::from(behind) < FRAMES => Place::Known(self.fates[slot(number)]),
            behind if behind >= 1 << 15 => Place::Newer,
            _ => Place::TooOld,
        }
    }

    /// What became of the frame that is so far before `number`, which is the newest or remembered.
    pub(super) fn before(&self, number: u16, distance: u16) -> Fate {
        match self.place(number.wrapping_sub(distance)) {
            Place::Known(fate) if distance > 0 => fate,
            _ => Fate::LeftOut,
        }
    }

    /// Makes `number`, which is newer than all others, the newest. Those between may still come, unless they are too many.
    pub(super) fn advance(&mut self, number: u16) {
        let Some(newest) = self.newest.replace(number) else {
            return;
        };
        let steps = number.wrapping_sub(newest);
        if usize::from(steps) >= FRAMES {
            self.fates = [Fate::LeftOut; FRAMES];
            return;
        }
        for step in 1..=steps {
            let slot = slot(newest.wrapping_add(step));
            self.fates[slot] = Fate::Missing;
            self.hopes[slot] = 0;
        }
    }

    /// Writes down what became of a frame, if it is still remembered, and for which awaited ones it hopes.
    pub(super) fn set(&mut self, number: u16, fate: Fate, hopes: u16) {
        if matches!(self.place(number), Place::Known(_)) {
            self.fates[slot(number)] = fate;
            self.hopes[slot(number)] = hopes;
        }
    }

    pub(super) fn hopes(&self, number: u16) -> u16 {
        self.hopes[slot(number)]
    }

    /// An awaited frame has come: who hoped for it hopes for what it hopes for.
    pub(super) fn fulfil(&mut self, place: u8, hopes: u16) {
        for hope in self.hopes.iter_mut().filter(|hope| **hope >> place & 1 == 1) {
            *hope = *hope & !(1 << place) | hopes;
        }
    }

    /// An awaited frame is lost: who hoped for it cannot be decoded, and is as good as left out.
    pub(super) fn disappoint(&mut self, place: u8) {
        for (hope, fate) in self.hopes.iter_mut().zip(&mut self.fates) {
            if *hope >> place & 1 == 1 {
                (*hope, *fate) = (0, Fate::LeftOut);
            }
        }
    }

    /// Nothing is awaited any more.
    pub(super) fn forget_hopes(&mut self) {
        self.hopes = [0; FRAMES];
    }
}

fn slot(number: u16) -> usize {
    usize::from(number) % FRAMES
}

/// A frame that is missing, and the targets (bits) that cannot go on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) number: u16,
    pub(super) targets: u32,
    since: Instant,
    /// Where it is among those that are waited for.
    pub(super) place: u8,
}

/// The missing frames on which what was forwarded depends.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    frames: [Option<Awaited>; AWAITED],
}

impl Waiting {
    /// Waits for a frame. Returns the one for which there is no place any more.
    pub(super) fn add(&mut self, number: u16, targets: u32, now: Instant) -> Option<Awaited> {
        let mut known = self.frames.iter_mut().flatten();
        if let Some(awaited) = known.find(|awaited| awaited.number == number) {
            awaited.targets |= targets;
            return None;
        }
        let free = self.frames.iter().position(Option::is_none);
        let oldest = || (0..AWAITED).min_by_key(|&place| self.frames[place].map(|awaited| awaited.since));
        let place = free.or_else(oldest)?;
        self.frames[place].replace(Awaited {
            number,
            targets,
            since: now,
            place: place as u8,
        })
    }

    /// A frame that has been waited for long enough: it is lost.
    pub(super) fn take_lost(&mut self, now: Instant) -> Option<Awaited> {
        self.take_if(|awaited| now >= awaited.since + PATIENCE)
    }

    /// A frame that has come, if it was waited for.
    pub(super) fn take(&mut self, number: u16) -> Option<Awaited> {
        self.take_if(|awaited| awaited.number == number)
    }

    fn take_if(&mut self, is_it: impl Fn(Awaited) -> bool) -> Option<Awaited> {
        self.frames.iter_mut().find(|place| place.is_some_and(&is_it))?.take()
    }

    /// The hope for this frame, as a bit.
    pub(super) fn hope(&self, number: u16) -> u16 {
        let awaited = self.frames.iter().flatten().find(|awaited| awaited.number == number);
        awaited.map_or(0, |awaited| 1 << awaited.place)
    }

    /// These targets (bits) were begun anew: they need nothing that is awaited.
    pub(super) fn forgive(&mut self, targets: u32) {
        for awaited in self.frames.iter_mut().flatten() {
            awaited.targets &= !targets;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time;

    #[test]
    fn if_more_frames_are_missing_than_can_be_waited_for_the_oldest_is_lost() {
        let now = virtual_time::epoch();
        let mut waiting = Waiting::default();
        for number in 0..AWAITED as u16 {
            let since = now + Duration::from_millis(u64::from(number));
            assert_eq!(waiting.add(number, 1, since), None);
        }
        assert_eq!(waiting.add(5, 2, now), None, "known");
        let lost = waiting.add(40, 1, now + PATIENCE / 2).unwrap();
        assert_eq!((lost.number, lost.place, waiting.hope(40)), (0, 0, 1));
        assert_eq!(waiting.take(5).map(|awaited| awaited.targets), Some(3));
        assert_eq!(waiting.take_lost(now + PATIENCE), None);
        let next = waiting.take_lost(now + PATIENCE + Duration::from_millis(1)).unwrap();
        assert_eq!(next.number, 1);
    }

    #[test]
    fn numbers_go_round_and_what_is_far_away_is_not_remembered() {
        let mut history = History::default();
        history.advance(65_530);
        history.set(65_530, Fate::LeftOut, 0);
        history.advance(3);
        assert_eq!(history.place(65_530), Place::Known(Fate::LeftOut));
        assert_eq!(history.place(65_535), Place::Known(Fate::Missing));
        assert_eq!(history.place(4), Place::Newer);
        assert_eq!(history.place(3_u16.wrapping_sub(256)), Place::TooOld);
        assert_eq!(history.before(3, 256), Fate::LeftOut);
        history.advance(259);
        assert_eq!(
            history.place(258),
            Place::Known(Fate::LeftOut),
            "too many to be waited for"
        );
        assert!(is_late(65_530, 3) && !is_late(3, 3) && !is_late(4, 3) && !is_late(3, 300));
    }
}
