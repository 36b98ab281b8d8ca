//! Congestion feedback to publishers: transport-wide arrival times, and a receiver's estimate for those without.

use std::time::Instant;

/// Records arrivals of transport-wide sequence numbers on one connection and writes the feedback packets
/// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
pub struct TransportFeedback {
    _private: (),
}

impl TransportFeedback {
    pub fn new(_epoch: Instant) -> TransportFeedback {
        todo!()
    }

    /// Bounded: a sender that jumps about in sequence space costs nothing.
    pub fn received(&mut self, _now: Instant, _transport_sequence: u16) {
        todo!()
    }

    /// Appends zero or more complete RTCP packets (PT 205, FMT 15) that tell of everything received since the last
    /// call to `out`; each at most `max_bytes` long.
    pub fn write(&mut self, _sender_ssrc: u32, _media_ssrc: u32, _max_bytes: usize, _out: &mut Vec<u8>) {
        todo!()
    }
}

/// REMB (draft-alvestrand-rmcat-remb-03) for publishers that negotiated no transport-wide feedback: loss-based,
/// rising by 8 % a second below 2 % loss, falling by half the loss above 10 %, as libwebrtc's sender does.
pub struct ReceiverEstimate {
    _private: (),
}

impl ReceiverEstimate {
    pub fn new(_start_bps: u64, _min_bps: u64, _max_bps: u64) -> ReceiverEstimate {
        todo!()
    }

    /// `fraction_lost` in 1/256, of the interval that ends now.
    pub fn update(&mut self, _now: Instant, _fraction_lost: u8, _received_bps: u64) -> u64 {
        todo!()
    }

    /// Appends one complete RTCP REMB packet.
    pub fn write(&self, _sender_ssrc: u32, _media_ssrcs: &[u32], _out: &mut Vec<u8>) {
        todo!()
    }
}
