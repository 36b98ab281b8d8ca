//! Answers to the reference times of clients that only receive (RFC 3611 §4.4, §4.5). They learn their round trip from nothing
//! else, and ask for lost packets again only when that time is over.
//!
//! A time is answered soon after it came, and again with each sender's report: browsers show a stream's round trip only as long as the
//! reports of that stream come with answers under its own SSRC.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Worker;
use crate::media::keys::TransportKey;
use crate::media::peer::{ReferenceTime, Transport};
use crate::media::rtcp::AnsweredTime;

/// SSRCs of one client whose times are answered. Browsers report under one for sound and one for pictures, or under one for each
/// stream that they send.
const ANSWERED: usize = 8;
/// Time for which a time is answered. Browsers send a new one each 1.5 s for pictures, and each 7.5 s for sound, at the latest. After
/// that the two clocks may have run apart.
const ANSWERED_FOR: Duration = Duration::from_secs(10);

impl Worker {
    /// Notes a reference time. It is answered at the connection's next visit. Of one SSRC only the newest time is answered.
    pub(super) fn reference_time_came(&mut self, now: Instant, key: TransportKey, ssrc: u32, time: u64) {
        let times = &mut self.transports[key].reference_times;
        let last = (time >> 16) as u32;
        times.retain(|known| known.ssrc != ssrc);
        if times.len() == ANSWERED {
            times.remove(0);
        }
        times.push(ReferenceTime {
            ssrc,
            last,
            received: now,
            is_answered: false,
        });
        self.visit_soon(now, key);
    }
}

/// Whether a time of its client was not answered yet.
pub(super) fn awaits_answers(transport: &Transport) -> bool {
    transport.reference_times.iter().any(|time| !time.is_answered)
}

/// The answers to the times that are not too old.
pub(super) fn answers(now: Instant, times: &[ReferenceTime]) -> SmallVec<[AnsweredTime; 2]> {
    let answer = |time: &ReferenceTime| {
        let elapsed = now.saturating_duration_since(time.received);
        (elapsed < ANSWERED_FOR).then_some(AnsweredTime {
            ssrc: time.ssrc,
            last: time.last,
            delay: (elapsed.as_micros() as u64 * 65_536 / 1_000_000) as u32,
        })
    };
    times.iter().filter_map(answer).collect()
}
