//! Whether a subscription can carry anything: a feed may be published only in formats that its subscriber does not decode. The
//! clock decides it, from what was last received, so the packet path has nothing to do for it.

use std::time::{Duration, Instant};

use super::codec::Codec;
use crate::ids::ParticipantId;

/// The least time between two reports about one connection and one kind. A publisher may change its format with each packet, so
/// a shorter time would let it fill logs and queues. After a longer time, people who watch a publisher that changes twice would
/// learn of it late.
const REPORT_AGAIN: Duration = Duration::from_secs(10);

/// Media that a participant publishes and that the client of a connection cannot decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable {
    pub publisher: ParticipantId,
    pub codec: Codec,
}

/// The last report about the sound, or about the pictures, of one connection.
#[derive(Debug, Default)]
pub struct DecodingReports {
    undecodable: Option<Undecodable>,
    quiet_until: Option<Instant>,
    /// Whether something that cannot be decoded was sent at the last look.
    seen: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodingChange {
    Undecodable(Undecodable),
    /// The last report no longer holds: another format is sent, another one is decoded, or nothing is sent.
    Decodable(Undecodable),
}

impl DecodingReports {
    /// The last report, if it still holds.
    pub(crate) fn standing(&self) -> Option<Undecodable> {
        self.undecodable
    }

    /// Whether there may be something to report soon, even if nothing happens: the last report may no longer hold, and a new
    /// one may have to wait.
    pub(crate) fn are_followed(&self) -> bool {
        self.seen || self.undecodable.is_some()
    }

    /// Notes what is sent now that the subscriber cannot decode, if anything. Returns what is to be reported.
    pub fn observe(&mut self, now: Instant, undecodable: Option<Undecodable>) -> Option<DecodingChange> {
        self.seen = undecodable.is_some();
        if undecodable == self.undecodable {
            return None;
        }
        if undecodable.is_some() && self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        let before = std::mem::replace(&mut self.undecodable, undecodable);
        match (before, undecodable) {
            // The former publisher is sent that their report is over. The other one follows at the next look.
            (Some(before), now) if now.is_none_or(|now| now.publisher != before.publisher) => {
                self.undecodable = None;
                Some(DecodingChange::Decodable(before))
            }
            (_, Some(undecodable)) => {
                self.quiet_until = Some(now + REPORT_AGAIN);
                Some(DecodingChange::Undecodable(undecodable))
            }
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    const VP9: Undecodable = Undecodable {
        publisher: ParticipantId(1),
        codec: Codec::Vp9 { profile: 0 },
    };
    const AV1: Undecodable = Undecodable {
        publisher: ParticipantId(1),
        codec: Codec::Av1 { profile: 0, tier: 0 },
    };

    #[test]
    fn a_format_is_reported_once_and_so_is_its_end() {
        let (mut decoding, now) = (DecodingReports::default(), epoch());
        assert_eq!(decoding.observe(now, None), None);
        assert_eq!(decoding.observe(now, Some(AV1)), Some(DecodingChange::Undecodable(AV1)));
        assert_eq!(decoding.observe(now + Duration::from_secs(60), Some(AV1)), None);
        assert_eq!(
            decoding.observe(now + Duration::from_secs(61), None),
            Some(DecodingChange::Decodable(AV1))
        );
        assert_eq!(decoding.observe(now + Duration::from_secs(62), None), None);
    }

    #[test]
    fn where_another_publisher_is_the_one_the_first_is_reported_to_be_over() {
        let (mut decoding, now) = (DecodingReports::default(), epoch());
        let other = Undecodable {
            publisher: ParticipantId(2),
            ..AV1
        };
        assert_eq!(decoding.observe(now, Some(AV1)), Some(DecodingChange::Undecodable(AV1)));
        let later = now + REPORT_AGAIN;
        assert_eq!(
            decoding.observe(later, Some(other)),
            Some(DecodingChange::Decodable(AV1))
        );
        assert_eq!(
            decoding.observe(later, Some(other)),
            Some(DecodingChange::Undecodable(other))
        );
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
            Some(DecodingChange::Undecodable(VP9)),
            "the last one is not forgotten"
        );
    }
}
