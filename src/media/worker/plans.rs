//! The times at which a worker's connections and tracks are visited next (`worker/planning.rs` decides).

use std::time::{Duration, Instant};

use crate::media::agenda::Agenda;
use crate::media::keys::{TrackKey, TransportKey};

/// Shortest time between two ticks. Each wake-up of a worker that sleeps costs some 50 µs, whatever it then does: a hundred a
/// second were a fifth of the whole cost of fifty subscribers.
pub(crate) const TICK: Duration = Duration::from_millis(25);
/// Shortest time between two ticks with repairs. A request waits for this time at most: a third of the shortest round trip over
/// the internet that matters.
pub(crate) const URGENT_TICK: Duration = Duration::from_millis(10);

/// Probes last some tens of milliseconds, and their packets are to be sent at an even rate.
const PROBE_QUANTUM: Duration = Duration::from_millis(1);

/// Grain of the times of slices: finer than the time between two slices on any path but the fastest, and as the groups in which
/// estimators look at packets.
const SLICE_QUANTUM: Duration = Duration::from_millis(5);

pub(crate) struct Plans {
    /// Connections: their timeouts, the reports to them, and the states that are followed there.
    pub connections: Agenda<TransportKey>,
    /// Tracks for whose subscribers layers are chosen.
    pub layers: Agenda<TrackKey>,
    /// Tracks whose packets or key frames are to be asked for.
    pub(crate) repairs: Agenda<TrackKey>,
    /// Connections whose probe goes on.
    pub(crate) probes: Agenda<TransportKey>,
    /// Connections at which something waits to be sent.
    pub(crate) slices: Agenda<TransportKey>,
}

impl Plans {
    pub fn new(epoch: Instant) -> Plans {
        Plans {
            connections: Agenda::new(epoch, TICK),
            layers: Agenda::new(epoch, TICK),
            repairs: Agenda::new(epoch, URGENT_TICK / 2),
            probes: Agenda::new(epoch, PROBE_QUANTUM),
            slices: Agenda::new(epoch, SLICE_QUANTUM),
        }
    }

    /// Makes the places of a new track now, so that nothing is allocated when its packets come.
    pub(crate) fn expect_track(&mut self, now: Instant, key: TrackKey) {
        self.layers.set(key, now);
        self.repairs.set(key, now);
    }

    /// Makes the place of a connection to which things may have to wait, so that nothing is allocated when they do.
    pub(crate) fn expect_slices(&mut self, now: Instant, key: TransportKey) {
        self.slices.set_earlier(key, now);
    }

    pub(crate) fn forget_track(&mut self, key: TrackKey) {
        self.layers.remove(key);
        self.repairs.remove(key);
    }
}
