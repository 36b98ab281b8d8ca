//! Whether the path has just stood still: nothing arrived though something was under way, and then it came at once. Radio links do that,
//! and receivers that are busy. What was late because of it says nothing of the rate that the path carries.

use super::Micros;

/// The longest time between two packets that waited one behind the other. A path of 200 kb/s takes as long for a full packet.
const STILL: Micros = 50_000;
/// The time in which all that came late has been read. What waits for long after that waits for another reason.
const AT_ONCE: u32 = 30_000;
/// The time for which a standstill is a part of the rate of a short time.
const KEPT: u32 = 150_000;

pub(super) struct Standstill {
    /// The lowest bits of the newest arrival.
    newest: u32,
    /// The time from the end of the last standstill to the newest arrival.
    since: u32,
}

impl Standstill {
    pub(super) fn new() -> Standstill {
        Standstill {
            newest: 0,
            since: u32::MAX,
        }
    }

    /// Takes in a packet that arrived, and the time for which it waited in queues. True if it ended a standstill: it was under way for
    /// long, and nothing else arrived meanwhile.
    pub(super) fn packet(&mut self, arrived: Micros, waited: Micros) -> bool {
        let passed = (arrived as u32).wrapping_sub(self.newest);
        // It has been overtaken, or nothing has come for half an hour.
        if passed > u32::MAX / 2 {
            return false;
        }
        self.newest = arrived as u32;
        let is_end = Micros::from(passed).min(waited) > STILL;
        self.since = match self.since.saturating_add(passed) {
            _ if is_end => 0,
            AT_ONCE.. if waited > STILL => u32::MAX,
            since => since,
        };
        is_end
    }

    /// Whether there was one within the short time before the newest arrival.
    pub(super) fn is_recent(&self) -> bool {
        self.since < KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether there was a standstill lately, after packets that arrive and have waited so many milliseconds.
    fn after(packets_ms: &[(Micros, Micros)]) -> bool {
        let mut standstill = Standstill::new();
        for (arrived, waited) in packets_ms {
            standstill.packet(arrived * 1_000, waited * 1_000);
        }
        standstill.is_recent()
    }

    #[test]
    fn packets_that_are_late_together_have_stood_still() {
        assert!(after(&[(1_000, 0), (1_100, 80)]));
        assert!(after(&[(1_000, 0), (1_100, 80), (1_100, 60), (1_101, 40), (1_101, 0)]));
        assert!(!after(&[(1_000, 0), (1_100, 80), (1_250, 0)]), "it is long ago");
    }

    #[test]
    fn packets_that_wait_one_behind_the_other_and_a_time_in_which_nothing_was_sent_are_no_standstill() {
        assert!(!after(&[(1_000, 0), (1_030, 30), (1_060, 60), (1_100, 90)]));
        assert!(!after(&[(1_000, 0), (1_300, 2)]));
        assert!(!after(&[(1_000, 0), (900, 80)]), "it has been overtaken");
    }

    #[test]
    fn a_route_that_has_become_longer_does_not_stand_still() {
        assert!(after(&[(1_000, 0), (1_100, 80), (1_120, 80), (1_129, 70)]));
        assert!(!after(&[(1_000, 0), (1_100, 80), (1_120, 80), (1_140, 80)]));
    }
}
