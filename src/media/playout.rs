//! The least time for which a viewer is asked to hold pictures back (playout-delay), where packets are lost. A picture that waits for
//! a packet to come again comes late; a viewer that shows pictures as they come skips it, and those that build on it. Pure.

use std::time::{Duration, Instant};

/// The shares of lost packets, in 1/256, from which on pictures are held back, and down to which they still are: 3 % and 1 %.
const LOSSY_FROM: u8 = 8;
const LOSSY_DOWN_TO: u8 = 3;
/// Time for which they are still held back after that. Each change lets pictures run faster or slower for a moment.
const STAYS_FOR: Duration = Duration::from_secs(20);
/// Time until a packet is asked for: the last one of a picture is missed by the next picture, 50 ms later at twenty a second, and
/// browsers ask in rounds of 20 ms.
const NOTICE: Duration = Duration::from_millis(80);
/// Bounds of the time. People who talk with one another notice half a second.
const LEAST: Duration = Duration::from_millis(80);
const MOST: Duration = Duration::from_millis(500);
/// Part by which the round trip must have grown before the time is made longer.
const GROWN_BY: u32 = 4;
/// The delay grows in steps: all at once, the picture would stand still for as long as it grows by.
const STEP: Duration = Duration::from_millis(80);
const BETWEEN_STEPS: Duration = Duration::from_millis(400);
/// The units of the header extension.
const UNIT_MS: u128 = 10;
/// The greatest delay, in units: ten seconds, as libwebrtc has without the extension.
const UPPER_BOUND: u32 = 1_000;

/// How long one viewer is asked to hold pictures back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Playout {
    /// Last time at which the path was lossy.
    lossy: Option<Instant>,
    needed: Duration,
    delay: Duration,
    /// Time at which the delay has grown last.
    grown: Option<Instant>,
}

impl Playout {
    /// Takes what is known of the path.
    pub fn update(&mut self, now: Instant, lost_256: u8, round_trip: Duration) {
        let from = if self.delay.is_zero() {
            LOSSY_FROM
        } else {
            LOSSY_DOWN_TO
        };
        if lost_256 >= from {
            self.lossy = Some(now);
            // A packet that is lost twice needs two round trips and a part of another.
            let needed = (NOTICE + round_trip * 5 / 2).clamp(LEAST, MOST);
            if needed > self.needed + self.needed / GROWN_BY {
                self.needed = needed;
            }
        } else if self
            .lossy
            .is_some_and(|lossy| now.saturating_duration_since(lossy) >= STAYS_FOR)
        {
            (self.needed, self.delay) = (Duration::ZERO, Duration::ZERO);
        }
        let may_grow = self
            .grown
            .is_none_or(|grown| now.saturating_duration_since(grown) >= BETWEEN_STEPS);
        if self.delay < self.needed && may_grow {
            self.delay = self.needed.min(self.delay + STEP);
            self.grown = Some(now);
        }
    }

    /// The value of the header extension: two times of twelve bits. `None` while it was never needed.
    pub fn value(&self) -> Option<[u8; 3]> {
        self.lossy?;
        let units = (self.delay.as_millis() / UNIT_MS) as u32;
        let [_, high, middle, low] = (units << 12 | UPPER_BOUND).to_be_bytes();
        Some([high, middle, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The least delay, in milliseconds, and the greatest.
    fn delays(playout: &Playout) -> Option<(u32, u32)> {
        let [high, middle, low] = playout.value()?;
        let both = u32::from_be_bytes([0, high, middle, low]);
        Some(((both >> 12) * 10, (both & 0xfff) * 10))
    }

    #[test]
    fn pictures_are_held_back_for_some_round_trips_where_packets_are_lost() {
        for (round_trip, least) in [(1, 80), (20, 130), (150, 450), (900, 500)] {
            let mut playout = Playout::default();
            (0..20).for_each(|step| playout.update(epoch() + ms(200 * step), 26, ms(round_trip)));
            assert_eq!(delays(&playout), Some((least, 10_000)));
        }
    }

    #[test]
    fn the_delay_grows_in_steps_so_that_no_picture_stands_still_for_long() {
        let mut playout = Playout::default();
        let steps = (0..12_u64).map(|step| {
            playout.update(epoch() + ms(200 * step), 26, ms(150));
            delays(&playout).unwrap().0
        });
        let expected = [80, 80, 160, 160, 240, 240, 320, 320, 400, 400, 450, 450];
        assert_eq!(steps.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nobody_is_asked_before_anything_is_lost_and_later_for_no_delay() {
        let mut playout = Playout::default();
        playout.update(epoch(), 7, ms(20));
        assert_eq!(playout.value(), None);
        playout.update(epoch() - ms(400), 8, ms(20));
        playout.update(epoch(), 8, ms(20));
        playout.update(epoch() + ms(15_000), 3, ms(20));
        playout.update(epoch() + ms(34_000), 0, ms(20));
        assert_eq!(delays(&playout), Some((130, 10_000)));
        playout.update(epoch() + ms(35_000), 0, ms(20));
        assert_eq!(
            delays(&playout),
            Some((0, 10_000)),
            "the client keeps the last value that it was sent"
        );
    }

    #[test]
    fn a_round_trip_that_changes_a_little_changes_nothing() {
        let mut playout = Playout::default();
        for (second, (round_trip, least)) in (0..).zip([(20, 130), (28, 130), (20, 130), (60, 230), (20, 230)]) {
            for step in 0..5 {
                playout.update(epoch() + ms(1_000 * second + 200 * step), 26, ms(round_trip));
            }
            assert_eq!(delays(&playout), Some((least, 10_000)));
        }
    }
}
