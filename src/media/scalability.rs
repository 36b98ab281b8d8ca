//! The spatial and temporal layers of one encoding: how much of its rate each takes, and which of them one copy has.
//!
//! Leaving out the highest ones lowers the rate at once, without a key frame: of temporal ones at the price of fewer pictures a
//! second, of spatial ones at that of smaller ones.

use std::time::{Duration, Instant};

use super::codec::{FrameMark, SPATIAL_LAYERS};

/// Temporal layers of an encoding. VP8 can say four; browsers send three at most.
const TEMPORAL_LAYERS: usize = 4;

/// All layers of an encoding, however many it has.
pub(crate) const WHOLE: u8 = u8::MAX;

/// The length of a window: some turns of the pattern in which pictures of several layers follow one another, also at five pictures
/// a second.
const WINDOW: Duration = Duration::from_secs(2);

/// The highest spatial and temporal layer of an encoding that a copy is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub spatial: u8,
    pub temporal: u8,
}

impl Limit {
    pub(crate) const NONE: Limit = Limit {
        spatial: WHOLE,
        temporal: WHOLE,
    };

    /// Whether a copy with this limit has all that one with the other limit has.
    pub(crate) fn covers(self, other: Limit) -> bool {
        self.spatial >= other.spatial && self.temporal >= other.temporal
    }
}

/// Bytes of each spatial and temporal layer.
type Bytes = [[u32; TEMPORAL_LAYERS]; SPATIAL_LAYERS];

/// The part of an encoding's bytes that each of its layers takes.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    /// Time at which the window ends.
    ends: Option<Instant>,
    /// Bytes in this window, and in the one before.
    bytes: Bytes,
    before: Bytes,
    /// Time since which each spatial layer is sent.
    since: [Option<Instant>; SPATIAL_LAYERS],
    /// Whether any picture has opened a temporal layer other than the lowest.
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

/// A part in which an encoding can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub limit: Limit,
    pub share: Share,
    /// The highest spatial layer in it.
    pub highest: u8,
    /// Time since which that is sent. `None` for the lowest.
    pub since: Option<Instant>,
}

impl Shares {
    pub(crate) fn received(&mut self, now: Instant, mark: FrameMark, bytes: usize) {
        match self.ends {
            Some(ends) if now < ends => {}
            ends => self.turn(now, ends),
        }
        // What is above counts as the highest.
        let spatial = usize::from(mark.spatial).min(SPATIAL_LAYERS - 1);
        if let Some(counter) = self.bytes[spatial].get_mut(usize::from(mark.temporal)) {
            *counter = counter.saturating_add(bytes as u32);
        }
        if spatial > 0 && self.since[spatial].is_none() {
            self.since[spatial] = Some(now);
        }
        self.has_openings |= mark.opens & !1 != 0;
    }

    /// Ends a window, and begins the next.
    fn turn(&mut self, now: Instant, ends: Option<Instant>) {
        let goes_on = ends.is_some_and(|ends| now < ends + WINDOW);
        let ended = std::mem::take(&mut self.bytes);
        self.before = if goes_on { ended } else { Bytes::default() };
        self.ends = Some(now + WINDOW);
        for (since, bytes) in self.since.iter_mut().zip(&self.before) {
            *since = since.filter(|_| bytes.iter().any(|&bytes| bytes > 0));
        }
    }

    /// The parts in which the encoding can be sent, and the share of the rate that each takes. The last is all of it.
    pub(crate) fn parts(&self, now: Instant) -> impl Iterator<Item = Part> {
        let is_measured = self.ends.is_some_and(|ends| now < ends + WINDOW);
        let bytes: [[u64; TEMPORAL_LAYERS]; SPATIAL_LAYERS] = std::array::from_fn(|spatial| {
            std::array::from_fn(|temporal| match is_measured {
                true => u64::from(self.bytes[spatial][temporal]) + u64::from(self.before[spatial][temporal]),
                false => 0,
            })
        });
        let up_to = move |spatial: usize, temporal: usize| -> u64 {
            let frames = bytes[..=spatial].iter();
            frames.flat_map(|bytes| &bytes[..=temporal]).sum()
        };
        let has_spatial = move |spatial: usize| bytes[spatial].iter().any(|&bytes| bytes > 0);
        let has_temporal = move |temporal: usize| bytes.iter().any(|bytes| bytes[temporal] > 0);
        let top = (0..SPATIAL_LAYERS)
            .rev()
            .find(|&spatial| has_spatial(spatial))
            .unwrap_or(0);
        let most = (0..TEMPORAL_LAYERS)
            .rev()
            .find(|&temporal| has_temporal(temporal))
            .unwrap_or(0);
        let since = self.since;
        let whole = up_to(top, most);
        let part = move |spatial: usize, temporal: usize| Part {
            limit: Limit {
                spatial: if spatial == top { WHOLE } else { spatial as u8 },
                temporal: if temporal == most { WHOLE } else { temporal as u8 },
            },
            share: match whole {
                0 => Share::ALL,
                whole => Share {
                    part: up_to(spatial, temporal),
                    whole,
                },
            },
            highest: spatial as u8,
            since: since[spatial],
        };
        let spatial = (0..=top).filter(move |&spatial| spatial == top || has_spatial(spatial));
        spatial.flat_map(move |spatial| {
            let temporal = (0..=most).filter(move |&temporal| temporal == most || has_temporal(temporal));
            temporal.map(move |temporal| part(spatial, temporal))
        })
    }
}

/// The layers that one copy has.
#[derive(Debug)]
pub(crate) struct Filter {
    limit: Limit,
    /// Temporal layers, as bits, of which the subscriber has all that their next pictures depend on.
    open: u8,
    /// Spatial layers of which it has all that their next frames depend on.
    open_spatial: u8,
    picture: Picture,
}

/// The newest picture.
#[derive(Debug)]
struct Picture {
    timestamp: Option<u32>,
    /// Whether the copy has it.
    is_taken: bool,
    /// Spatial layers, as bits, of whose frames it is known whether the copy has them, and those that it has.
    decided: u8,
    taken: u8,
    /// The limit that held when it began.
    limit: u8,
    /// The highest spatial layer of the copy's part of it.
    top: u8,
}

impl Default for Filter {
    fn default() -> Filter {
        Filter {
            limit: Limit::NONE,
            open: u8::MAX,
            open_spatial: u8::MAX,
            picture: Picture {
                timestamp: None,
                is_taken: true,
                decided: 0,
                taken: 0,
                limit: WHOLE,
                top: HIGHEST,
            },
        }
    }
}

/// The highest spatial layer that packets can tell.
const HIGHEST: u8 = 7;

impl Filter {
    /// Lets the copy have the layers up to `limit`: from the next picture on, as far as it has fewer. A temporal layer that it gets
    /// anew begins at a picture that opens it, a spatial one at a frame that depends on no earlier picture. True if it is another
    /// limit than before.
    pub(crate) fn limit(&mut self, limit: Limit) -> bool {
        std::mem::replace(&mut self.limit, limit) != limit
    }

    pub(crate) fn highest(&self) -> Limit {
        self.limit
    }

    /// Whether some of the layers that it is to have are not open yet.
    pub(crate) fn waits(&self) -> bool {
        self.waits_for_size() || waits(self.open, self.limit.temporal)
    }

    /// Whether some of the spatial layers are not.
    pub(crate) fn waits_for_size(&self) -> bool {
        waits(self.open_spatial, self.limit.spatial)
    }

    /// Whether the copy has the frame of a packet, which is of the newest picture of its source. `begins` is true at a key frame.
    #[inline]
    pub(crate) fn takes(&mut self, mark: FrameMark, timestamp: u32, begins: bool) -> bool {
        if self.picture.timestamp != Some(timestamp) {
            self.begin_picture(mark, timestamp, begins);
        }
        let own = mark.spatial_bit();
        if self.picture.decided & own == 0 {
            self.decide_frame(mark, own);
        }
        self.picture.taken & own != 0
    }

    /// The highest spatial layer of the copy's part of the newest picture, if that may lack higher ones. `None` too if the copy has
    /// nothing of it.
    #[inline]
    pub(crate) fn top(&self) -> Option<u8> {
        (self.picture.top < HIGHEST && self.picture.is_taken).then_some(self.picture.top)
    }

    fn begin_picture(&mut self, mark: FrameMark, timestamp: u32, begins: bool) {
        if begins {
            (self.open, self.open_spatial) = (u8::MAX, u8::MAX);
        }
        // Layers above one that is closed may depend on it.
        let open = self.open_spatial.trailing_ones().saturating_sub(1) as u8;
        self.picture = Picture {
            timestamp: Some(timestamp),
            is_taken: (self.limit.temporal == WHOLE && self.open == u8::MAX) || self.decide_picture(mark),
            decided: 0,
            taken: 0,
            limit: self.limit.spatial,
            top: open.min(self.limit.spatial),
        };
    }

    fn decide_picture(&mut self, mark: FrameMark) -> bool {
        let own = 1_u8 << mark.temporal.min(7);
        let up_to = own | (own - 1);
        let is_decodable = mark.opens & own != 0 || self.open & up_to == up_to;
        let takes = mark.temporal == 0 || (mark.temporal <= self.limit.temporal && is_decodable);
        match takes {
            true => self.open |= mark.opens | u8::from(mark.temporal == 0),
            // The later pictures of this layer depend on this one.
            false => self.open &= !own,
        }
        takes
    }

    fn decide_frame(&mut self, mark: FrameMark, own: u8) {
        let picture = &mut self.picture;
        picture.decided |= own;
        if !picture.is_taken {
            // A whole picture is left out, on which no frame of another one depends.
            return;
        }
        let lacks_lower = mark.uses_lower && picture.decided & !picture.taken & own >> 1 != 0;
        let is_open = !mark.is_predicted || self.open_spatial & own != 0;
        if own == 1 || (mark.spatial <= picture.limit && is_open && !lacks_lower) {
            picture.taken |= own;
            picture.top = picture.top.max(mark.spatial);
            self.open_spatial |= own;
        } else {
            // The later frames of this layer depend on this one.
            self.open_spatial &= !own;
        }
    }
}

/// Whether one of the layers up to `limit` is not open.
fn waits(open: u8, limit: u8) -> bool {
    open != u8::MAX && (0..=HIGHEST).any(|layer| layer <= limit && open & 1 << layer == 0)
}

#[cfg(test)]
mod tests;
