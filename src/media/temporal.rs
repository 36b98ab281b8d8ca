//! The temporal layers of one encoding: how much of its rate each takes, and which of them one copy has.
//!
//! Leaving out the highest ones lowers the rate at once, without a key frame, at the price of fewer pictures a second.

use std::time::{Duration, Instant};

use super::codec::Temporal;

/// Temporal layers of an encoding. VP8 can say four; browsers send three at most.
const LAYERS: usize = 4;

/// All temporal layers of an encoding, however many it has.
pub(crate) const WHOLE: u8 = u8::MAX;

/// The length of a window: some turns of the pattern in which pictures of several layers follow one another, also at five pictures
/// a second.
const WINDOW: Duration = Duration::from_secs(2);

/// The part of an encoding's bytes that each temporal layer takes.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Time at which the window ends.
    ends: Option<Instant>,
    /// Bytes of each layer in this window, and in the one before.
    bytes: [u32; LAYERS],
    before: [u32; LAYERS],
    /// Whether any picture has opened a layer other than the lowest.
    pub(crate) has_openings: bool,
}

/// A part of a rate: of so many bytes so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    part: u64,
    whole: u64,
}

impl Share {
    const ALL: Share = Share { part: 1, whole: 1 };

    pub(crate) fn of(self, rate: u64) -> u64 {
        (u128::from(rate) * u128::from(self.part) / u128::from(self.whole)) as u64
    }
}

impl Shares {
    pub(crate) fn received(&mut self, now: Instant, temporal: Temporal, bytes: usize) {
        match self.ends {
            Some(ends) if now < ends => {}
            ends => {
                let goes_on = ends.is_some_and(|ends| now < ends + WINDOW);
                let ended = std::mem::take(&mut self.bytes);
                self.before = if goes_on { ended } else { [0; LAYERS] };
                self.ends = Some(now + WINDOW);
            }
        }
        if let Some(counter) = self.bytes.get_mut(usize::from(temporal.layer)) {
            *counter = counter.saturating_add(bytes as u32);
        }
        self.has_openings |= temporal.opens & !1 != 0;
    }

    /// The parts in which the encoding can be sent: the highest temporal layer of each, and its share of the rate. The last is
    /// [`WHOLE`].
    pub(crate) fn parts(&self, now: Instant) -> impl Iterator<Item = (u8, Share)> {
        let is_measured = self.ends.is_some_and(|ends| now < ends + WINDOW);
        let bytes: [u64; LAYERS] =
            std::array::from_fn(|layer| u64::from(self.bytes[layer]) + u64::from(self.before[layer]));
        let whole: u64 = bytes.iter().sum();
        let highest = bytes
            .iter()
            .rposition(|&bytes| bytes > 0)
            .filter(|_| is_measured)
            .unwrap_or(0);
        let part = move |layer: usize| Share {
            part: bytes[..=layer].iter().sum(),
            whole,
        };
        (0..highest)
            .filter(move |&layer| bytes[layer] > 0)
            .map(move |layer| (layer as u8, part(layer)))
            .chain(std::iter::once((WHOLE, Share::ALL)))
    }
}

/// The temporal layers that one copy has.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Highest layer that it is to have.
    limit: u8,
    /// Layers, as bits, of which the subscriber has all that their next pictures depend on.
    open: u8,
    /// Timestamp of the newest picture, and whether the copy has that.
    newest: Option<u32>,
    takes_newest: bool,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            limit: WHOLE,
            open: u8::MAX,
            newest: None,
            takes_newest: true,
        }
    }
}

impl Filter {
    /// Lets the copy have the layers up to `limit`: from the next picture on, as far as it has fewer. A layer that it gets anew
    /// begins at a picture that opens it. True if it is another limit than before.
    pub(crate) fn limit(&mut self, limit: u8) -> bool {
        std::mem::replace(&mut self.limit, limit) != limit
    }

    pub(crate) fn highest(&self) -> u8 {
        self.limit
    }

    /// Whether some of the layers that it is to have are not open yet.
    pub(crate) fn waits(&self) -> bool {
        self.open != u8::MAX && (0..LAYERS as u8).any(|layer| layer <= self.limit && self.open & 1 << layer == 0)
    }

    /// Whether the copy has the picture of a packet, which is the newest of its source. `begins` is true at a key frame.
    #[inline]
    pub(crate) fn takes(&mut self, temporal: Temporal, timestamp: u32, begins: bool) -> bool {
        if self.newest != Some(timestamp) {
            self.newest = Some(timestamp);
            if begins {
                self.open = u8::MAX;
            }
            self.takes_newest = (self.limit == WHOLE && self.open == u8::MAX) || self.decide(temporal);
        }
        self.takes_newest
    }

    fn decide(&mut self, temporal: Temporal) -> bool {
        let own = 1_u8 << temporal.layer.min(7);
        let up_to = own | (own - 1);
        let is_decodable = temporal.opens & own != 0 || self.open & up_to == up_to;
        let takes = temporal.layer == 0 || (temporal.layer <= self.limit && is_decodable);
        match takes {
            true => self.open |= temporal.opens | u8::from(temporal.layer == 0),
            // The later pictures of this layer depend on this one.
            false => self.open &= !own,
        }
        takes
    }
}

#[cfg(test)]
mod tests;
