//! Key frame requests to a publisher: merged over all who ask, and limited for each stream.

use std::time::{Duration, Instant};

/// The least time between two requests for one stream. A key frame has the size of ten or more other frames:
/// subscribers who join, leave and lose packets could otherwise make a publisher send nothing else, at the cost of
/// everyone's picture. Longer, and somebody who joins would see nothing for that much longer.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

/// Time after which a request or its key frame counts as lost: longer than round trip, encoding, and the paced
/// sending of a large frame take together, on nearly every path.
const REPEAT_AFTER: Duration = Duration::from_secs(1);

/// Time between requests to a sender that sends on, but never a key frame: somebody sees nothing, but the answer to
/// the quick requests is long overdue.
const PATIENT_AFTER: Duration = Duration::from_secs(3);

/// Repetitions of a request. A sender that lets six requests pass does not send now (muted, gone, or without a
/// camera picture). Asking begins again when somebody asks again.
const REPEATS_MAX: u8 = 5;

/// Decides when a PLI is sent to one incoming video stream. A request is sent at once if none was sent within the
/// interval, otherwise when the interval ends. A key frame that arrives in between answers it. An unanswered
/// request is repeated, a bounded number of times.
#[derive(Debug, Default)]
pub struct KeyFrameRequests {
    /// The time of the next request; `None` when nobody waits for a key frame, or asking was given up.
    due: Option<Instant>,
    last_sent: Option<Instant>,
    repeats_left: u8,
}

impl KeyFrameRequests {
    /// Asks for a key frame, for somebody who needs one.
    pub(crate) fn want(&mut self, now: Instant) {
        let allowed = self.last_sent.map_or(now, |sent| now.max(sent + INTERVAL_MIN));
        self.due = Some(self.due.map_or(allowed, |due| due.min(allowed)));
        self.repeats_left = REPEATS_MAX;
    }

    /// Asks again, for somebody who has asked before and still waits. Where asking was given up it begins again,
    /// slowly.
    pub(crate) fn still_wanted(&mut self, now: Instant) {
        if self.due.is_none() {
            let patient = self.last_sent.map_or(now, |sent| now.max(sent + PATIENT_AFTER));
            self.due = Some(patient);
            self.repeats_left = 0;
        }
    }

    /// Records that a key frame has begun to arrive.
    pub fn arrived(&mut self) {
        self.due = None;
    }

    /// When the next request must be sent, if any.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// True when a PLI must be sent now. Call when [`Self::due`] has come, and after [`Self::want`].
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        self.last_sent = Some(now);
        self.due = self.repeats_left.checked_sub(1).map(|left| {
            self.repeats_left = left;
            now + REPEAT_AFTER
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    /// The milliseconds at which requests are sent, with a tick every ten.
    fn sent(requests: &mut KeyFrameRequests, millis: std::ops::Range<u64>) -> Vec<u64> {
        millis.step_by(10).filter(|millis| requests.poll(at(*millis))).collect()
    }

    #[test]
    fn a_first_request_is_sent_at_once() {
        let mut requests = KeyFrameRequests::default();
        assert!(!requests.poll(at(0)), "nobody asked");
        requests.want(at(10));
        assert!(requests.poll(at(10)));
        assert!(!requests.poll(at(10)));
    }

    #[test]
    fn many_who_ask_at_once_cause_one_request() {
        let mut requests = KeyFrameRequests::default();
        for _ in 0..50 {
            requests.want(at(0));
        }
        assert_eq!(sent(&mut requests, 0..990), [0]);
    }

    #[test]
    fn whoever_asks_soon_after_a_request_waits_for_the_interval_to_end() {
        let mut requests = KeyFrameRequests::default();
        requests.want(at(0));
        assert!(requests.poll(at(0)));
        requests.arrived();
        requests.want(at(200));
        assert_eq!(sent(&mut requests, 200..1_000), [500]);
    }

    #[test]
    fn a_key_frame_answers_all_who_wait() {
        let mut requests = KeyFrameRequests::default();
        requests.want(at(0));
        assert!(requests.poll(at(0)));
        requests.want(at(100));
        requests.arrived();
        assert!(sent(&mut requests, 100..10_000).is_empty());
    }

    #[test]
    fn a_storm_of_requests_is_thinned_to_two_a_second() {
        let mut requests = KeyFrameRequests::default();
        let mut sent = 0;
        for millis in 0..10_000 {
            requests.want(at(millis));
            if millis % 100 == 7 {
                requests.arrived();
                requests.want(at(millis));
            }
            sent += u32::from(requests.poll(at(millis)));
        }
        assert_eq!(sent, 20);
    }

    #[test]
    fn an_unanswered_request_is_repeated_five_times() {
        let mut requests = KeyFrameRequests::default();
        requests.want(at(0));
        assert_eq!(sent(&mut requests, 0..60_000), [0, 1_000, 2_000, 3_000, 4_000, 5_000]);
        requests.want(at(60_000));
        assert_eq!(sent(&mut requests, 60_000..62_500), [60_000, 61_000, 62_000]);
    }

    #[test]
    fn who_waits_on_is_not_forgotten_and_does_not_hurry() {
        let mut requests = KeyFrameRequests::default();
        requests.want(at(0));
        let mut sent = Vec::new();
        for millis in (0..20_000).step_by(10) {
            requests.still_wanted(at(millis));
            if requests.poll(at(millis)) {
                sent.push(millis);
            }
        }
        assert_eq!(
            sent,
            [0, 1_000, 2_000, 3_000, 4_000, 5_000, 8_000, 11_000, 14_000, 17_000]
        );
    }

    #[test]
    fn asking_again_does_not_wait_for_the_repetition() {
        let mut requests = KeyFrameRequests::default();
        requests.want(at(0));
        assert!(requests.poll(at(0)));
        requests.want(at(700));
        assert_eq!(sent(&mut requests, 700..1_800), [700, 1_700]);
    }
}
