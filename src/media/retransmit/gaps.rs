//! The packets that are missing from one stream, and when to ask for each of them (RFC 4585 §6.2.1).

use std::time::{Duration, Instant};

/// Gaps followed at the same time: a second of video at 2.5 Mbit/s. With more, the answer would be a burst larger than the key
/// frame that makes them needless; with fewer, a short outage of a large stream would cost a key frame.
const GAPS_MAX: usize = 256;

/// Time for which a packet counts as late, not lost: networks reorder packets within a burst, not over more.
const REORDER_WAIT: Duration = Duration::from_millis(5);

/// Newer packets that end this wait: if a stream goes on without the missing packet, the packet is lost (RFC 5681 §3.2 uses
/// three as well).
const REORDER_PACKETS: u32 = 3;

/// The shortest time between two requests. After a shorter one the answer to the last request may still be on its way, even
/// from the next house.
const INTERVAL_MIN: Duration = Duration::from_millis(20);

/// Requests for one packet. If eight requests are lost or not answered, the sender no longer has the packet, or nothing gets
/// through.
const REQUESTS_MAX: u8 = 8;

#[derive(Clone, Copy, Debug)]
struct Gap {
    sequence: u64,
    /// Time of the last request; before the first one, the time at which the gap was seen.
    since: Instant,
    /// Value of [`Gaps::newer_packets`] when the gap was seen.
    seen_at_packet: u32,
    requests: u8,
}

impl Gap {
    fn is_due(&self, now: Instant, interval: Duration, newer_packets: u32) -> bool {
        let waited = now.saturating_duration_since(self.since);
        if self.requests > 0 {
            return waited >= interval;
        }
        // The packet by which the gap was seen is the first newer one.
        let newer = newer_packets.wrapping_sub(self.seen_at_packet).wrapping_add(1);
        newer >= REORDER_PACKETS || waited >= REORDER_WAIT
    }
}

/// Missing packets by extended sequence number, ascending.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    gaps: Vec<Gap>,
    /// Number of packets that advanced the stream.
    newer_packets: u32,
    gave_up: bool,
    /// Time of the next request, or a time before it, while any packet is missing.
    next: Option<Instant>,
}

impl Gaps {
    /// Notes that the stream advanced past `missing` packets, of which the first has the number `first`.
    pub(crate) fn advanced(&mut self, now: Instant, first: u64, missing: u16) {
        self.newer_packets = self.newer_packets.wrapping_add(1);
        if missing == 0 {
            return;
        }
        let missing = usize::from(missing);
        if self.gaps.len() + missing > GAPS_MAX {
            self.gaps.clear();
            self.gave_up = true;
            self.next = Some(now);
            return;
        }
        if self.gaps.capacity() < GAPS_MAX {
            // Allocates once in a stream's life: later gaps use the same memory.
            self.gaps.reserve_exact(GAPS_MAX);
        }
        let due = now + REORDER_WAIT;
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
        self.gaps.extend((first..).take(missing).map(|sequence| Gap {
            sequence,
            since: now,
            seen_at_packet: self.newer_packets,
            requests: 0,
        }));
    }

    pub(crate) fn filled(&mut self, sequence: u64) {
        if let Ok(index) = self.gaps.binary_search_by_key(&sequence, |gap| gap.sequence) {
            self.gaps.remove(index);
        }
    }

    pub fn clear(&mut self) {
        self.gaps.clear();
        self.gave_up = false;
        self.next = None;
    }

    /// Whether [`Self::due`] may have something to do, now or later.
    pub(crate) fn is_pending(&self) -> bool {
        !self.gaps.is_empty() || self.gave_up
    }

    /// Time at which to call [`Self::due`] next: there are no earlier requests.
    pub fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.is_pending())
    }

    /// Calls `request` for each gap that is due, ascending. Gives up gaps before `oldest`, and gaps after their last request. True
    /// if any was given up since the last call.
    pub(crate) fn due(&mut self, now: Instant, interval: Duration, oldest: u64, mut request: impl FnMut(u16)) -> bool {
        let mut gave_up = std::mem::take(&mut self.gave_up);
        self.next = None;
        let next = &mut self.next;
        let interval = interval.max(INTERVAL_MIN);
        let newer_packets = self.newer_packets;
        self.gaps.retain_mut(|gap| {
            if gap.sequence < oldest {
                gave_up = true;
                return false;
            }
            if gap.is_due(now, interval, newer_packets) {
                if gap.requests == REQUESTS_MAX {
                    gave_up = true;
                    return false;
                }
                gap.requests += 1;
                gap.since = now;
                request(gap.sequence as u16);
            }
            let due = gap.since + if gap.requests > 0 { interval } else { REORDER_WAIT };
            *next = Some(next.map_or(due, |next| next.min(due)));
            true
        });
        gave_up
    }
}
