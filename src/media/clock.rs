//! A publisher's clock as its sender reports describe it, and whether newer packets agree with that clock.

use std::time::{Duration, Instant};

use super::rewrite::ticks;

/// The time by which packets may come earlier or later against the clock than at the report: as long as a key frame takes
/// over a slow uplink. If it were shorter, delay would be taken for another clock; if longer, the time of a longer mute would
/// be announced as delay between sound and picture.
///
/// Until the publisher's next report (one second for pictures, up to five for sound) a shorter mute looks like delay: packets
/// come equally late after both. Only later ones show which it was: after a delay they catch up. Meanwhile sound may be half a
/// second away from its picture.
const AGREES_WITHIN: Duration = Duration::from_millis(500);

/// Time without a packet, two intervals of reports, after which a stream is not reported on (RFC 3550 §6.4): nobody knows
/// whether its clock goes on.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// The newest packet of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Newest {
    /// The packet's sequence number, counted on over the turns.
    pub extended: u64,
    pub timestamp: u32,
    pub at: Instant,
}

/// A sender's clock, from its last sender report: the same instant in wall clock and in RTP time.
#[derive(Clone, Copy, Debug)]
pub struct SenderClock {
    /// The publisher's wall clock in the report, in 32.32 fixed point seconds.
    pub ntp: u64,
    rtp: u32,
    pub received: Instant,
    /// RTP time at the beginning of the publisher's wall clock. Its layers have different RTP times and the same wall clock, so the
    /// difference of these is that of their RTP times.
    pub origin: u32,
    /// RTP time by which the packets were ahead of this clock when the report came. Mostly negative: the time that encoding and
    /// sending take.
    lead: i32,
}

impl SenderClock {
    /// The clock in a report that came just now. `newest` is the last packet of the stream before it.
    pub(crate) fn reported(now: Instant, ntp: u64, rtp: u32, newest: Option<&Newest>, clock_rate: u32) -> SenderClock {
        let mut clock = SenderClock {
            ntp,
            rtp,
            received: now,
            origin: rtp.wrapping_sub(((u128::from(ntp) * u128::from(clock_rate)) >> 32) as u32),
            lead: 0,
        };
        let fresh = newest.filter(|newest| now.saturating_duration_since(newest.at) <= AGREES_WITHIN);
        clock.lead = fresh.map_or(0, |newest| clock.lead_of(newest, clock_rate));
        clock
    }

    /// The publisher's wall clock at `now`, in 32.32 fixed point seconds.
    pub(crate) fn ntp_at(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.received);
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        self.ntp.wrapping_add(elapsed.as_secs() << 32).wrapping_add(fraction)
    }

    /// The publisher's RTP time at `now`, which may be before the report.
    pub(crate) fn rtp_at(&self, now: Instant, clock_rate: u32) -> u32 {
        match now.checked_duration_since(self.received) {
            Some(after) => self.rtp.wrapping_add(ticks(after, clock_rate)),
            None => self.rtp.wrapping_sub(ticks(self.received - now, clock_rate)),
        }
    }

    fn lead_of(&self, newest: &Newest, clock_rate: u32) -> i32 {
        newest.timestamp.wrapping_sub(self.rtp_at(newest.at, clock_rate)) as i32
    }

    /// Whether this clock may be reported at `now`. A publisher's RTP time may have stood still while it was muted, or jumped. Its
    /// packets then leave the line of its last report, and only its next report gives another line. Until then, and while no
    /// packets come, no report is better than one that would move its sound against its picture.
    pub fn holds(&self, now: Instant, newest: &Newest, clock_rate: u32) -> bool {
        let change = self.lead_of(newest, clock_rate).wrapping_sub(self.lead);
        change.unsigned_abs() <= ticks(AGREES_WITHIN, clock_rate)
            && now.saturating_duration_since(newest.at) < SILENT_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(10_000 + millis)
    }

    /// A packet of RTP time `rtp_millis` that came at `millis`.
    fn packet(millis: u64, rtp_millis: i64) -> Newest {
        Newest {
            extended: 1,
            timestamp: (rtp_millis * 90) as u32,
            at: at(millis),
        }
    }

    fn clock(millis: u64, rtp_millis: i64, newest: Option<Newest>) -> SenderClock {
        let rtp = (rtp_millis * 90) as u32;
        SenderClock::reported(at(millis), 5 << 32, rtp, newest.as_ref(), 90_000)
    }

    #[test]
    fn the_clock_goes_on_in_both_times_from_the_report() {
        let clock = clock(100, 7_000, None);
        assert_eq!(clock.ntp_at(at(1_600)), (6 << 32) + (1 << 31));
        assert_eq!(clock.rtp_at(at(1_600), 90_000), 8_500 * 90);
        assert_eq!(clock.rtp_at(at(0), 90_000), 6_900 * 90);
    }

    #[test]
    fn two_layers_have_the_same_distance_whenever_they_report() {
        let report = |millis: u64, ahead: u32| {
            let ntp = (4_000_000_000 << 32) + ((millis << 32) / 1_000);
            let rtp = ((millis * 90) as u32).wrapping_add(ahead);
            SenderClock::reported(at(millis), ntp, rtp, None, 90_000).origin
        };
        for (one, other) in [(0, 0), (0, 1_000), (5_000, 200), (90_000_000, 90_000_777)] {
            let distance = report(other, 0xffff_0000).wrapping_sub(report(one, 7)) as i32;
            assert!(
                (distance - (0xffff_0000_u32.wrapping_sub(7)) as i32).abs() <= 1,
                "{distance}"
            );
        }
    }

    #[test]
    fn packets_that_go_on_with_the_clock_agree_with_it_whatever_their_delay_is() {
        for delay in [0, 50, 400, 1_500, -300] {
            let clock = clock(1_000, 1_000, Some(packet(990, 990 - delay)));
            for later in [1_000, 1_020, 5_000, 600_000] {
                let newest = packet(later, later as i64 - delay);
                assert!(clock.holds(at(later + 10), &newest, 90_000), "{delay} ms, {later}");
                let jitter = packet(later, later as i64 - delay - 400);
                assert!(
                    clock.holds(at(later + 10), &jitter, 90_000),
                    "{delay} ms, {later}, late"
                );
            }
        }
    }

    #[test]
    fn a_clock_that_stood_still_or_jumped_is_reported_no_more() {
        let before = clock(1_000, 1_000, Some(packet(990, 970)));
        assert!(
            !before.holds(at(8_000), &packet(7_990, 1_970), 90_000),
            "six seconds of mute"
        );
        assert!(!before.holds(at(8_000), &packet(7_990, 90_000), 90_000), "a jump ahead");
        assert!(!before.holds(at(8_000), &packet(7_990, -90_000), 90_000), "a jump back");
        let after = clock(8_000, 2_000, Some(packet(7_990, 1_970)));
        assert!(after.holds(at(8_100), &packet(8_090, 2_070), 90_000));
    }

    #[test]
    fn a_report_during_a_mute_is_judged_by_the_packets_that_follow_it() {
        // This packet shows that the clock goes on.
        let running = clock(5_000, 5_000, Some(packet(990, 970)));
        assert!(running.holds(at(9_000), &packet(8_990, 8_970), 90_000), "and so it did");
        assert!(
            !running.holds(at(9_000), &packet(8_990, 1_000), 90_000),
            "but it did not"
        );
        // This packet shows that the clock stands still.
        let standing = clock(8_900, 990, Some(packet(990, 970)));
        assert!(standing.holds(at(9_000), &packet(8_990, 1_000), 90_000));
    }

    #[test]
    fn nothing_is_reported_of_a_stream_that_is_silent() {
        let clock = clock(1_000, 1_000, Some(packet(990, 990)));
        assert!(clock.holds(at(2_900), &packet(990, 990), 90_000));
        assert!(!clock.holds(at(3_000), &packet(990, 990), 90_000));
    }
}
