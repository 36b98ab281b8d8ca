//! Who speaks: the audio level of each packet (RFC 6464), smoothed.

use std::time::Instant;

/// The level of one audio track.
#[derive(Debug, Default)]
pub struct AudioLevel {
    _private: (),
}

impl AudioLevel {
    /// `element` is the one byte of the RFC 6464 extension: V bit and level in -dBov.
    pub fn received(&mut self, _now: Instant, _element: u8) {
        todo!()
    }

    /// 0 (silence) to 127 (full scale), decaying to silence when packets stop.
    pub fn level(&self, _now: Instant) -> u8 {
        todo!()
    }

    pub fn is_speaking(&self, _now: Instant) -> bool {
        todo!()
    }
}
