//! Whether a subscription can carry anything: what is published may be in no format that its subscriber decodes. Decided by
//! the clock, from what was last received, so that the packet path has nothing to do for it.

use std::time::{Duration, Instant};

use super::codec::Codec;

/// The least time between two reports about one connection and one kind. A publisher may change its format with each packet: a
/// shorter time would let it fill logs and queues. With a longer one, people who watch a publisher that changes twice would
/// not be told for long.
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// What was last reported of the sound, or of the pictures, of one connection.
#[derive(Debug, Default)]
pub struct DecodingReports {
    /// The format that its client cannot decode.
    undecodable: Option<Codec>,
    quiet_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Undecodable(Codec),
    /// It is over: another format is sent, another is decoded, or nothing is sent.
    Decodable,
}

impl DecodingReports {
    /// Whether the last report stands.
    pub fn is_undecodable(&self) -> bool {
        self.undecodable.is_some()
    }

    /// Takes note of what is sent now that the subscriber cannot decode, if anything; returns what is to be reported.
    pub fn observe(&mut self, now: Instant, undecodable: Option<Codec>) -> Option<Change> {
        if undecodable == self.undecodable {
            return None;
        }
        if undecodable.is_some() && self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.undecodable = undecodable;
        Some(match undecodable {
            Some(codec) => {
                self.quiet_until = Some(now + REPORT_AGAIN);
                Change::Undecodable(codec)
            }
            None => Change::Decodable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    const VP9: Codec = Codec::Vp9 { profile: 0 };
    const AV1: Codec = Codec::Av1 { profile: 0, tier: 0 };

    #[test]
    fn a_format_is_reported_once_and_so_is_its_end() {
        let (mut decoding, now) = (DecodingReports::default(), epoch());
        assert_eq!(decoding.observe(now, None), None);
        assert_eq!(decoding.observe(now, Some(AV1)), Some(Change::Undecodable(AV1)));
        assert_eq!(decoding.observe(now + Duration::from_secs(60), Some(AV1)), None);
        assert_eq!(
            decoding.observe(now + Duration::from_secs(61), None),
            Some(Change::Decodable)
        );
        assert_eq!(decoding.observe(now + Duration::from_secs(62), None), None);
    }

    #[test]
    fn a_publisher_that_changes_with_each_packet_makes_two_reports_in_ten_seconds() {
        let (mut decoding, now) = (DecodingReports::default(), epoch());
        let mut reports = 0;
        for at in 0..1_000 {
            let sent = [Some(AV1), None, Some(VP9), None][at % 4];
            let report = decoding.observe(now + Duration::from_millis(at as u64 * 10), sent);
            reports += usize::from(report.is_some());
        }
        assert_eq!(reports, 2);
        let after = now + REPORT_AGAIN;
        assert_eq!(
            decoding.observe(after, Some(VP9)),
            Some(Change::Undecodable(VP9)),
            "the last one is not forgotten"
        );
    }
}
