//! Key frame requests towards a publisher: merged over all who ask, and limited per stream.

use std::time::Instant;

/// Decides when a PLI goes to one incoming video stream.
/// A request is sent at once if none was sent within the interval, otherwise when the interval ends; a key frame
/// that arrives in between answers it. An unanswered request is repeated, a bounded number of times.
#[derive(Debug, Default)]
pub struct KeyFrameRequests {
    _private: (),
}

impl KeyFrameRequests {
    /// Somebody needs a key frame.
    pub fn want(&mut self, _now: Instant) {
        todo!()
    }

    /// A key frame has begun to arrive.
    pub fn arrived(&mut self) {
        todo!()
    }

    /// True when a PLI is to be sent now. Call on every tick and after [`Self::want`].
    pub fn poll(&mut self, _now: Instant) -> bool {
        todo!()
    }
}
