//! The send rate announced to a publisher without transport-wide feedback, from loss alone.

use std::time::{Duration, Instant};

/// Loss in 1/256, as in reports. Below 2 % is noise of the path, above 10 % is a queue that overflows; between them
/// nothing is changed. libwebrtc's sender uses the same limits.
const LOSS_IS_NOISE_BELOW: u8 = 5;
const LOSS_IS_CONGESTION_ABOVE: u8 = 26;

/// The longest time for which one update raises the estimate, also after a pause.
const RISE_AT_MOST: Duration = Duration::from_secs(1);

/// The least time between two falls: reports of one and the same loss come closer together than a sender can react.
const FALL_INTERVAL: Duration = Duration::from_millis(300);

/// REMB (draft-alvestrand-rmcat-remb-03) for publishers that negotiated no transport-wide feedback. It depends on
/// loss: it rises by 8 % a second below 2 % loss, and falls by half the loss above 10 %, as libwebrtc's sender
/// does.
pub(crate) struct ReceiverEstimate {
    bps: u64,
    min_bps: u64,
    max_bps: u64,
    last_update: Option<Instant>,
    last_fall: Option<Instant>,
}

impl ReceiverEstimate {
    pub fn new(start_bps: u64, min_bps: u64, max_bps: u64) -> ReceiverEstimate {
        let max_bps = max_bps.max(min_bps);
        ReceiverEstimate {
            bps: start_bps.clamp(min_bps, max_bps),
            min_bps,
            max_bps,
            last_update: None,
            last_fall: None,
        }
    }

    /// Updates the estimate and returns it. `fraction_lost` is in 1/256, of the interval that ends now.
    pub fn update(&mut self, now: Instant, fraction_lost: u8, received_bps: u64) -> u64 {
        let since = self
            .last_update
            .map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last_update = Some(now);
        if fraction_lost < LOSS_IS_NOISE_BELOW {
            self.rise(since.min(RISE_AT_MOST), received_bps);
        } else if fraction_lost > LOSS_IS_CONGESTION_ABOVE {
            self.fall(now, fraction_lost, received_bps);
        }
        self.bps
    }

    fn rise(&mut self, passed: Duration, received_bps: u64) {
        // If only half of the estimate arrives, that does not show that more than the estimate would arrive, too.
        // (For a camera at rest, or one with little to send, the estimate stays.)
        if self.bps <= received_bps.saturating_add(received_bps / 2) {
            let step = u128::from(self.bps) * 8 * passed.as_millis() / 100_000;
            self.bps = self.bps.saturating_add(step as u64).min(self.max_bps);
        }
    }

    fn fall(&mut self, now: Instant, fraction_lost: u8, received_bps: u64) {
        if self
            .last_fall
            .is_some_and(|last| now.saturating_duration_since(last) < FALL_INTERVAL)
        {
            return;
        }
        self.last_fall = Some(now);
        // The fall starts from the rate that was sent: an estimate that nobody used up would take long to fall to a
        // value that matters.
        let lost = u128::from(fraction_lost);
        let sent_bps = u128::from(received_bps) * 256 / (256 - lost);
        let from = if received_bps == 0 {
            u128::from(self.bps)
        } else {
            sent_bps.min(u128::from(self.bps))
        };
        self.bps = ((from * (512 - lost) / 512) as u64).clamp(self.min_bps, self.max_bps);
    }

    pub fn bps(&self) -> u64 {
        self.bps
    }
}

/// Appends one complete RTCP REMB packet.
pub(crate) fn write_estimate(bps: u64, sender_ssrc: u32, media_ssrcs: &[u32], out: &mut Vec<u8>) {
    // The count is one byte. No peer has more streams than that. If one did, the first ones would stand for all of them,
    // because the estimate is one for the connection.
    let media_ssrcs = &media_ssrcs[..media_ssrcs.len().min(255)];
    let words = 4 + media_ssrcs.len() as u16;
    // RFC 4585 §6.4: application layer feedback, FMT 15 of PSFB.
    out.extend_from_slice(&[0x80 | 15, 206]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(b"REMB");
    // Six bits of exponent, eighteen of mantissa; rounded down.
    let exponent = (64 - bps.leading_zeros()).saturating_sub(18);
    let rate = exponent << 18 | (bps >> exponent) as u32;
    out.extend_from_slice(&((media_ssrcs.len() as u32) << 24 | rate).to_be_bytes());
    for ssrc in media_ssrcs {
        out.extend_from_slice(&ssrc.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rtc_shared::marshal::Unmarshal;
    use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;

    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    #[test]
    fn without_loss_the_estimate_rises_by_eight_percent_a_second() {
        let mut estimate = ReceiverEstimate::new(1_000_000, 50_000, 10_000_000);
        let mut bps = estimate.update(at(0), 0, 1_000_000);
        assert_eq!(bps, 1_000_000, "no time has passed");
        for tenth in 1..=10 {
            bps = estimate.update(at(tenth * 100), 4, bps);
        }
        assert!((1_079_000..1_085_000).contains(&bps), "{bps}");
    }

    #[test]
    fn a_long_pause_is_one_second_of_rising() {
        let mut estimate = ReceiverEstimate::new(1_000_000, 50_000, 10_000_000);
        estimate.update(at(0), 0, 1_000_000);
        assert_eq!(estimate.update(at(60_000), 0, 1_000_000), 1_080_000);
    }

    #[test]
    fn the_estimate_does_not_run_away_from_what_is_sent() {
        let mut estimate = ReceiverEstimate::new(300_000, 50_000, 10_000_000);
        let mut bps = 0;
        for second in 0..100 {
            bps = estimate.update(at(second * 1_000), 0, 400_000);
        }
        assert!((600_000..650_000).contains(&bps), "{bps}");
    }

    #[test]
    fn moderate_loss_changes_nothing() {
        let mut estimate = ReceiverEstimate::new(1_000_000, 50_000, 10_000_000);
        for (second, loss) in [0, 6, 13, 25].into_iter().enumerate() {
            estimate.update(at(second as u64 * 1_000), loss, 500_000);
        }
        assert_eq!(estimate.update(at(9_000), 26, 1_000_000), 1_000_000);
        assert_eq!(estimate.update(at(10_000), 5, 1_000_000), 1_000_000);
    }

    #[test]
    fn heavy_loss_lowers_it_by_half_the_loss_of_what_was_sent() {
        let mut estimate = ReceiverEstimate::new(1_000_000, 50_000, 10_000_000);
        // A quarter of 1 Mbit/s is lost.
        assert_eq!(estimate.update(at(0), 64, 750_000), 875_000);
        assert_eq!(
            estimate.update(at(200), 64, 750_000),
            875_000,
            "the same loss, reported again"
        );
        assert_eq!(estimate.update(at(300), 64, 656_250), 765_625);
        let mut unused = ReceiverEstimate::new(10_000_000, 50_000, 10_000_000);
        assert_eq!(unused.update(at(0), 64, 750_000), 875_000);
        assert_eq!(
            unused.update(at(1_000), 128, 0),
            656_250,
            "nothing is known of what was sent"
        );
    }

    #[test]
    fn the_estimate_stays_within_its_limits() {
        let mut estimate = ReceiverEstimate::new(1_000, 50_000, 200_000);
        assert_eq!(estimate.update(at(0), 0, 0), 50_000);
        for second in 0..100 {
            estimate.update(at(second * 1_000), 0, u64::MAX);
        }
        assert_eq!(estimate.update(at(100_000), 0, u64::MAX), 200_000);
        for second in 200..300 {
            estimate.update(at(second * 1_000), 255, 1_000);
        }
        assert_eq!(estimate.update(at(301_000), 255, u64::MAX), 50_000);
        let mut odd = ReceiverEstimate::new(7, 100, 50);
        assert_eq!(odd.update(at(0), 0, 100), 100, "a maximum below the minimum");
    }

    #[test]
    fn remb_is_read_back_by_another_implementation() {
        for bps in [
            0,
            1,
            30_000,
            262_143,
            262_144,
            1_234_567,
            100_000_000,
            u64::from(u32::MAX),
        ] {
            for ssrcs in [&[][..], &[0xdead_beef], &[1, 2, 3]] {
                let mut out = Vec::new();
                write_estimate(bps, 77, ssrcs, &mut out);
                assert_eq!(out.len(), 20 + ssrcs.len() * 4);
                assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])) * 4 + 4, out.len());
                let decoded = ReceiverEstimatedMaximumBitrate::unmarshal(&mut &out[..]).unwrap();
                assert_eq!((decoded.sender_ssrc, &decoded.ssrcs[..]), (77, ssrcs));
                let (encoded, meant) = (f64::from(decoded.bitrate), bps as f64);
                // The decoder's own exponent for a mantissa of zero is wrong.
                assert!(
                    bps == 0 || (encoded <= meant && encoded >= meant * (1.0 - 1.0 / 131_072.0)),
                    "{encoded} for {meant}"
                );
            }
        }
    }

    #[test]
    fn more_ssrcs_than_a_packet_counts_are_left_out() {
        let mut out = Vec::new();
        write_estimate(1_000_000, 1, &[9; 300], &mut out);
        let decoded = ReceiverEstimatedMaximumBitrate::unmarshal(&mut &out[..]).unwrap();
        assert_eq!(decoded.ssrcs.len(), 255);
        assert_eq!(out.len(), 20 + 255 * 4);
    }
}
