//! What may wait for its turn; see [`Pacer`](crate::media::peer::pacing::Pacer).

use std::time::{Duration, Instant};

use super::Sender;
use crate::media::bandwidth::outgoing::Outcome;
use crate::media::keys::SubscriptionKey;

impl Sender {
    /// Whether the client has told something of the path.
    pub(crate) fn is_heard(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|outgoing| outgoing.is_heard)
    }

    /// Lets the pace follow what is known of the path. If that is nothing, nothing waits.
    pub(crate) fn pace(&mut self, outcome: Option<&Outcome>) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.pacer.follow(outcome);
        }
    }

    /// Whether a packet may be sent now whose frame has so many bytes so far.
    #[inline]
    pub(crate) fn may_send(&mut self, now: Instant, bytes: u32) -> bool {
        self.outgoing.as_mut().is_none_or(|outgoing| {
            outgoing.pacer.is_ordinary(bytes) || {
                let now = outgoing.micros(now);
                !outgoing.pacer.is_spent(now)
            }
        })
    }

    /// Whether a packet that has waited may be sent now.
    pub(crate) fn may_catch_up(&mut self, now: Instant) -> bool {
        self.may_send(now, u32::MAX)
    }

    /// Puts off a packet of so many bytes.
    pub(crate) fn put_off(&mut self, now: Instant, bytes: usize) {
        if let Some(outgoing) = &mut self.outgoing {
            let now = outgoing.micros(now);
            outgoing.pacer.put_off(now, bytes);
        }
    }

    /// Puts off a packet that is to be sent again, if it has to wait, and forgets it if it is on its way already. False if it is to be
    /// sent now.
    pub(crate) fn put_off_again(&mut self, now: Instant, subscription: SubscriptionKey, sequence: u16) -> bool {
        self.outgoing.as_mut().is_some_and(|outgoing| {
            let now = outgoing.micros(now);
            let on_its_way = outgoing.round_trip.with_queue();
            outgoing.pacer.is_on_its_way(now, subscription, sequence, on_its_way)
                || outgoing.pacer.put_off_again(now, subscription, sequence)
        })
    }

    /// The next packet that is to be sent again now.
    pub(crate) fn next_again(&mut self, now: Instant) -> Option<(SubscriptionKey, u16)> {
        let outgoing = self.outgoing.as_mut()?;
        let now = outgoing.micros(now);
        outgoing.pacer.next_again(now)
    }

    /// Whether what waits behind a long queue would take longer than anything is to wait.
    pub(crate) fn is_hopeless(&mut self, now: Instant) -> bool {
        self.outgoing.as_mut().is_some_and(|outgoing| {
            let now = outgoing.micros(now);
            outgoing.pacer.is_hopeless(now)
        })
    }

    /// Forgets all that waits, because it would come late.
    pub(crate) fn give_up_waiting(&mut self, now: Instant) {
        if let Some(outgoing) = &mut self.outgoing {
            let now = outgoing.micros(now);
            outgoing.pacer.give_up(now);
        }
    }

    /// Counts a packet of so many bytes that has waited as sent, or lost.
    pub(crate) fn left(&mut self, bytes: usize) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.pacer.left(bytes);
        }
    }

    /// Lets a copy catch up within a time that begins with earlier pictures, on a path that carries so many bits per second.
    pub(crate) fn begin_replay(&mut self, now: Instant, bits_per_second: u64, within: Duration) {
        if let Some(outgoing) = &mut self.outgoing {
            let now = outgoing.micros(now);
            outgoing.pacer.begin_replay(now, bits_per_second, within);
        }
    }

    /// Time of the next slice, if that is news.
    #[inline]
    pub(crate) fn plan_slice(&mut self, now: Instant) -> Option<Instant> {
        let outgoing = self.outgoing.as_mut()?;
        let now = outgoing.micros(now);
        let due = outgoing.pacer.plan(now)?;
        Some(outgoing.instant(due))
    }

    pub(crate) fn begin_slice(&mut self, now: Instant) {
        if let Some(outgoing) = &mut self.outgoing {
            let now = outgoing.micros(now);
            outgoing.pacer.begin_slice(now);
        }
    }

    /// Ends a slice. Returns the time of the next one, if `more` waits or a packet is to be sent again.
    pub(crate) fn end_slice(&mut self, now: Instant, more: bool) -> Option<Instant> {
        let outgoing = self.outgoing.as_mut()?;
        let now = outgoing.micros(now);
        let due = outgoing.pacer.end_slice(now, more)?;
        Some(outgoing.instant(due))
    }

    /// Only tests ask whether a packet waits to be sent again.
    #[cfg(debug_assertions)]
    pub(crate) fn has_waiting(&self) -> bool {
        self.outgoing
            .as_ref()
            .is_some_and(|outgoing| outgoing.pacer.has_waiting())
    }

    /// Forgets all that waits.
    pub(crate) fn forget_waiting(&mut self) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.pacer.forget();
        }
    }
}
