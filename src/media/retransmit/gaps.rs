//! The packets that are missing from one stream, and when each is to be asked for (RFC 4585 §6.2.1).

use std::time::{Duration, Instant};

/// Gaps followed at once: a second of video at 2.5 Mbit/s. Asking for more would bring back a burst larger than the
/// key frame that starts anew without them; with fewer a short outage of a large stream would cost a key frame.
const GAPS_MAX: usize = 256;

/// A packet is taken for late, not lost, for this long: reordering happens within a network's burst, not over more.
const REORDER_WAIT: Duration = Duration::from_millis(5);

/// So many newer packets end the wait: a stream that goes on without the missing one has lost it (RFC 5681 §3.2 takes
/// three as well).
const REORDER_PACKETS: u32 = 3;

/// Asking more often than this would ask for what is already under way, even next door.
const INTERVAL_MIN: Duration = Duration::from_millis(20);

/// Eight requests lost or unanswered mean that the sender no longer has the packet, or that there is no way through.
const REQUESTS_MAX: u8 = 8;

#[derive(Clone, Copy, Debug)]
struct Gap {
    sequence: u64,
    /// The last request, or when the gap was seen if there was none.
    since: Instant,
    /// [`Gaps::newer_packets`] when the gap was seen.
    seen_at_packet: u32,
    requests: u8,
}

impl Gap {
    fn is_due(&self, now: Instant, interval: Duration, newer_packets: u32) -> bool {
        let waited = now.saturating_duration_since(self.since);
        if self.requests > 0 {
            return waited >= interval;
        }
        // The packet that showed the gap is the first newer one.
        let newer = newer_packets.wrapping_sub(self.seen_at_packet).wrapping_add(1);
        newer >= REORDER_PACKETS || waited >= REORDER_WAIT
    }
}

/// Missing packets by extended sequence number, ascending.
#[derive(Debug, Default)]
pub struct Gaps {
    gaps: Vec<Gap>,
    /// Counts packets that advanced the stream.
    newer_packets: u32,
    gave_up: bool,
    /// When the next of them is to be asked for; no later, while any is pending.
    next: Option<Instant>,
}

impl Gaps {
    /// The stream advanced past `missing` packets that begin with `first`.
    pub fn advanced(&mut self, now: Instant, first: u64, missing: u16) {
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
            // Once in a stream's life: later gaps find the room made.
            self.gaps.reserve_exact(GAPS_MAX);
        }
        let asks = now + REORDER_WAIT;
        self.next = Some(self.next.map_or(asks, |next| next.min(asks)));
        self.gaps.extend((first..).take(missing).map(|sequence| Gap {
            sequence,
            since: now,
            seen_at_packet: self.newer_packets,
            requests: 0,
        }));
    }

    pub fn filled(&mut self, sequence: u64) {
        if let Ok(index) = self.gaps.binary_search_by_key(&sequence, |gap| gap.sequence) {
            self.gaps.remove(index);
        }
    }

    pub fn clear(&mut self) {
        self.gaps.clear();
        self.gave_up = false;
        self.next = None;
    }

    /// Whether [`Self::due`] may have anything to tell, now or later.
    pub fn is_pending(&self) -> bool {
        !self.gaps.is_empty() || self.gave_up
    }

    /// When to call [`Self::due`] next: nothing is to be asked for earlier.
    pub fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.is_pending())
    }

    /// Calls `ask` for each gap that is due, ascending; gives up on those before `oldest` and on those asked for often
    /// enough. True if any was given up on since the last call.
    pub fn due(&mut self, now: Instant, interval: Duration, oldest: u64, mut ask: impl FnMut(u16)) -> bool {
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
                ask(gap.sequence as u16);
            }
            let asks = gap.since + if gap.requests > 0 { interval } else { REORDER_WAIT };
            *next = Some(next.map_or(asks, |next| next.min(asks)));
            true
        });
        gave_up
    }
}
