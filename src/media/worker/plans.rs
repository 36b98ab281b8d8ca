//! The times at which a worker's connections and tracks are visited next (`worker/planning.rs` decides).

use std::time::{Duration, Instant};

use crate::media::agenda::Agenda;
use crate::media::keys::{PeerKey, TrackKey};

/// Chores are done this often at most. Each wake-up of a worker that sleeps costs some 50 µs, whatever it then does: at a hundred a
/// second that was a fifth of the whole cost of fifty subscribers.
pub const TICK: Duration = Duration::from_millis(25);
/// Repairs are this often: a request waits at most so long, a third of the shortest round trip over the internet that matters.
pub const URGENT_TICK: Duration = Duration::from_millis(10);

pub struct Plans {
    /// Connections: their timeouts, the reports to them, and what is followed there.
    pub connections: Agenda<PeerKey>,
    /// Tracks for whose subscribers layers are chosen.
    pub layers: Agenda<TrackKey>,
    /// Tracks of which packets or key frames are to be asked for.
    pub repairs: Agenda<TrackKey>,
}

impl Plans {
    pub fn new(epoch: Instant) -> Plans {
        Plans {
            connections: Agenda::new(epoch, TICK),
            layers: Agenda::new(epoch, TICK),
            repairs: Agenda::new(epoch, URGENT_TICK / 2),
        }
    }

    /// A track is new. Its place is made now: when its packets come, nothing is allocated.
    pub fn expect_track(&mut self, now: Instant, key: TrackKey) {
        self.layers.set(key, now);
        self.repairs.set(key, now);
    }

    pub fn forget_track(&mut self, key: TrackKey) {
        self.layers.remove(key);
        self.repairs.remove(key);
    }
}
