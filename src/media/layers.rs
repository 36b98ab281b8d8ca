//! Which simulcast layer a subscription should get. For now: the highest that is active.
//! An adaptive choice (by the subscriber's bandwidth) takes the place of [`target`].

use std::time::{Duration, Instant};

/// What is known of one layer of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerState {
    /// Received bits per second, smoothed: the order of quality where nothing else tells it.
    pub bitrate_bps: u64,
    pub last_packet: Option<Instant>,
}

/// A layer that has sent nothing for this long is taken to be off: a sender's slowest screen share still sends more
/// often, and a viewer waits no longer for a picture than this plus a key frame.
pub const INACTIVE_AFTER: Duration = Duration::from_millis(800);

/// Measures a stream's bit rate in windows.
#[derive(Debug, Default)]
pub struct RateMeter {
    _private: (),
}

impl RateMeter {
    pub fn received(&mut self, _now: Instant, _bytes: usize) {
        todo!()
    }

    pub fn bps(&self, _now: Instant) -> u64 {
        todo!()
    }
}

/// The index of the layer to aim for, given the one now forwarded; `None` when no layer is active.
/// A small difference in bit rate does not make a layer higher than the present one (no flapping).
pub fn target(_layers: &[LayerState], _current: Option<usize>, _now: Instant) -> Option<usize> {
    todo!()
}
