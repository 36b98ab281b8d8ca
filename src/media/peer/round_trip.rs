//! The round trip of a path, as feedback shows it.

use crate::media::bandwidth::outgoing::Micros;

/// Time over which the least round trip is taken for the true one: twice.
const ROUND_TRIP_WINDOW: Micros = 1_000_000;

/// Above the least time by more than this, packets wait in a queue.
const QUEUE: Micros = 60_000;

/// The least time between a packet and its feedback. What the client waits before it sends feedback is in it.
#[derive(Clone, Copy, Default)]
pub(super) struct RoundTrip {
    window: Micros,
    before: Option<Micros>,
    least: Option<Micros>,
    newest: Micros,
}

impl RoundTrip {
    pub(super) fn note(&mut self, now: Micros, time: Micros) {
        let window = now / ROUND_TRIP_WINDOW;
        if window != self.window {
            (self.window, self.before, self.least) = (window, self.least, None);
        }
        self.newest = time;
        self.least = Some(self.least.map_or(time, |least| least.min(time)));
    }

    /// The newest round trip, if packets wait in a queue.
    pub(super) fn with_queue(&self) -> Option<Micros> {
        let least = self.get()?;
        (self.newest > least + QUEUE).then_some(self.newest)
    }

    pub(super) fn get(&self) -> Option<Micros> {
        self.least.into_iter().chain(self.before).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_is_the_least_of_the_last_seconds() {
        let mut round_trip = RoundTrip::default();
        assert_eq!(round_trip.get(), None);
        for (now, time, expected) in [(100, 90, 90), (200, 50, 50), (300, 70, 50)] {
            round_trip.note(now, time);
            assert_eq!(round_trip.get(), Some(expected));
        }
        assert_eq!(round_trip.with_queue(), None);
        round_trip.note(250, 60_100);
        assert_eq!(round_trip.with_queue(), Some(60_100));
        round_trip.note(260, 60_050);
        assert_eq!(
            round_trip.with_queue(),
            None,
            "clients wait for so long before they report"
        );
        round_trip.note(ROUND_TRIP_WINDOW + 1, 80);
        assert_eq!(round_trip.get(), Some(50));
        round_trip.note(2 * ROUND_TRIP_WINDOW + 1, 85);
        assert_eq!(round_trip.get(), Some(80));
    }
}
