//! Answers to the reference times of clients that only receive (RFC 3611 §4.4, §4.5). They learn their round trip from nothing
//! else, and ask for lost packets again only when that time is over.

use std::time::Instant;

use super::Worker;
use crate::media::keys::TransportKey;
use crate::media::peer::ReferenceTime;
use crate::media::rtcp::{self, AnsweredTime};

/// SSRCs of one client whose times are answered. Browsers report under one SSRC, or under one for each stream that they send.
const ANSWERED: usize = 8;

impl Worker {
    /// Notes a reference time. It is answered at the connection's next visit. Of one SSRC only the newest time is answered.
    pub(super) fn reference_time_came(&mut self, now: Instant, key: TransportKey, ssrc: u32, time: u64) {
        let times = &mut self.transports[key].reference_times;
        let fresh = ReferenceTime {
            ssrc,
            last: (time >> 16) as u32,
            received: now,
        };
        match times.iter().position(|known| known.ssrc == ssrc) {
            Some(known) => times[known] = fresh,
            None if times.len() < ANSWERED => times.push(fresh),
            None => return,
        }
        self.visit_soon(now, key);
    }

    /// Writes the answers that a connection's client waits for.
    pub(super) fn answer_reference_times(&mut self, now: Instant, key: TransportKey) {
        let transport = &mut self.transports[key];
        if transport.reference_times.is_empty() {
            return;
        }
        let mut answers: smallvec::SmallVec<[AnsweredTime; ANSWERED]> = smallvec::SmallVec::new();
        answers.extend(transport.reference_times.drain(..).map(|time| {
            let elapsed = now.saturating_duration_since(time.received);
            AnsweredTime {
                ssrc: time.ssrc,
                last: time.last,
                delay: (elapsed.as_micros() as u64 * 65_536 / 1_000_000) as u32,
            }
        }));
        rtcp::write_answered_times(&mut self.scratch, transport.feedback_ssrc, &answers);
    }
}
