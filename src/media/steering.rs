//! What the publisher of a connection is asked to send, so that nobody's uplink and processor pay for pictures that nobody sees.
//! Pure: it is told the time, what is wanted of each video, and which encodings come; it answers which of them are wanted, and the
//! rate that all may take together.
//!
//! Whoever wants more gets it at once. Less is asked for only after nobody has wanted more for some seconds: people look back.
//! Clients that understand it are sent orders, which name the encodings. Others are held to a rate (REMB), at which libwebrtc leaves out its
//! higher encodings by itself. A video in one encoding has nothing to leave out: its rate follows the paths of those who watch it.

mod orders;
mod wish;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub(crate) use self::orders::{Order, SentOrders};
pub use self::wish::Wish;
use super::layers::{LayerSet, MAX_LAYERS};
use crate::ids::TrackId;

/// Time between two looks at a connection while nothing special happens, and between two estimates that it is sent: libwebrtc
/// takes the newest for true for as long.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Time within which a connection is looked at anew after a change. What many joiners change counts together.
pub(crate) const SOON: Duration = Duration::from_millis(100);
/// Time for which nobody must want something before it is no longer asked for.
const QUIET: Duration = Duration::from_secs(5);
/// Heights that are remembered of those that were wanted in that time. Windows are dragged through many.
const LESS_MAX: usize = 4;
/// Rate of the videos that nobody watches, each: enough for a small picture, so that the first viewer waits for a key frame alone.
const UNWATCHED_BPS: u64 = 50_000;
/// Least rate for the sound of a connection, so that no bound on pictures ever starves it: twice what browsers send.
const SOUND_BPS: u64 = 64_000;
/// Least rates of a video in one encoding that is seen by one person, and by several. Below that a picture is no use.
const ONE_TO_ONE_BPS: u64 = 100_000;
const ONE_TO_MANY_BPS: u64 = 250_000;
/// Part of the wanted encodings' rate that they may take, in hundredths, at first and at most.
const MARGIN: u64 = 115;
const MARGIN_MAX: u64 = 400;
/// Least margin. Below, the wanted encodings themselves would go.
const MARGIN_MIN: u64 = 50;
/// Time after which it shows whether a sender keeps to another bound.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// Time for which a path that showed a limit counts as filled. To try more disturbs the picture for a moment where it does not fit.
const FILLED_FOR: Duration = Duration::from_secs(60);

/// Heights of pictures, and the most that browsers send in an encoding of this height (the table of libwebrtc's simulcast).
/// Measured rates would not do: of a picture that stands still they are so low that the next encoding would stop too.
const USUAL_RATES: [(u16, u64); 5] = [
    (180, 200_000),
    (270, 450_000),
    (360, 700_000),
    (540, 1_200_000),
    (720, 2_500_000),
];
const USUAL_RATE_MAX: u64 = 5_000_000;

/// The rate that browsers send pictures of this height at, at most.
pub(crate) fn usual_rate(height: u16) -> u64 {
    let known = USUAL_RATES.iter().find(|(of, _)| height <= *of);
    known.map_or(USUAL_RATE_MAX, |(_, rate)| *rate)
}

/// One encoding of a video, as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    /// Height of its pictures, where that is known.
    pub height: Option<u16>,
    /// Whether it is sent now.
    pub is_live: bool,
}

/// One video that comes over a connection.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub id: TrackId,
    pub wish: Wish,
    /// Encodings that have come so far.
    pub encodings: SmallVec<[Encoding; MAX_LAYERS]>,
    /// Number of encodings that were negotiated, or of spatial layers in one.
    pub negotiated: usize,
}

impl Published {
    fn is_single(&self) -> bool {
        self.negotiated <= 1 && self.encodings.len() <= 1
    }

    /// Whether there is an encoding among `these` that is sent now, or one that is not.
    fn has(&self, live: bool, these: impl Fn(usize) -> bool) -> bool {
        let mut encodings = self.encodings.iter().enumerate();
        encodings.any(|(at, encoding)| encoding.is_live == live && these(at))
    }

    /// Places of the encodings in the order of their heights. `None` if a height is not known.
    fn order(&self) -> Option<SmallVec<[(u16, u8); MAX_LAYERS]>> {
        let heights = self.encodings.iter().enumerate();
        let heights = heights.map(|(at, encoding)| Some((encoding.height?, at as u8)));
        let mut order = heights.collect::<Option<SmallVec<[(u16, u8); MAX_LAYERS]>>>()?;
        order.sort_unstable();
        Some(order)
    }
}

/// What is wanted of one video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    All,
    /// Encodings up to this place in the order of heights.
    UpTo(u8),
    None,
}

/// What is remembered of one video.
struct Video {
    id: TrackId,
    /// Height that counts.
    height: u16,
    /// Lower heights, the highest first: the time since which no more than each was wanted.
    less: SmallVec<[(Instant, u16); LESS_MAX]>,
    /// The wish of those who watched it last.
    last: Wish,
    share: Share,
    wanted: LayerSet,
}

impl Video {
    fn new(id: TrackId) -> Video {
        Video {
            id,
            height: Wish::ANY,
            less: SmallVec::new(),
            last: Wish::EVERYTHING,
            share: Share::All,
            wanted: LayerSet::ALL,
        }
    }

    /// Takes a wish: at once if it is more, and after a while if it is less.
    fn take(&mut self, now: Instant, wish: Wish) {
        if wish.viewers > 0 {
            self.last = wish;
        }
        if wish.height >= self.height {
            self.height = wish.height;
            self.less.clear();
            return;
        }
        let mut since = now;
        while let Some(&(before, height)) = self.less.last()
            && height <= wish.height
        {
            since = before;
            self.less.pop();
        }
        // Without the steps before, the height falls a little later, and then as far.
        self.less.truncate(LESS_MAX - 1);
        self.less.push((since, wish.height));
        let is_due = |(since, _): &&(Instant, u16)| now.saturating_duration_since(*since) >= QUIET;
        let due = self.less.iter().take_while(is_due).count();
        if let Some((_, height)) = self.less.drain(..due).next_back() {
            self.height = height;
        }
    }

    fn settle(&mut self, published: &Published) {
        let order = published.order();
        let enough = |order: &SmallVec<[(u16, u8); MAX_LAYERS]>| {
            let at = order.iter().position(|(height, _)| *height >= self.height)?;
            let is_last = at + 1 == order.len() && order.len() >= published.negotiated;
            (!is_last).then_some(at as u8)
        };
        self.share = match (self.height, &order) {
            (0, _) => Share::None,
            _ if published.is_single() => Share::All,
            (_, Some(order)) => enough(order).map_or(Share::All, Share::UpTo),
            (_, None) => Share::All,
        };
        self.wanted = match (self.share, order) {
            (Share::All, _) | (Share::UpTo(_), None) => LayerSet::ALL,
            (Share::None, _) => LayerSet::default(),
            (Share::UpTo(top), Some(order)) => {
                let dropped = &order[usize::from(top) + 1..];
                (0..8).map(|at| dropped.iter().all(|(_, other)| *other != at)).collect()
            }
        };
    }

    /// The rate of a video in one encoding. `None` if nothing bounds it.
    fn rate_of_paths(&self) -> Option<u64> {
        let Wish { viewers, path, .. } = self.last;
        match (viewers, path) {
            (_, Wish::UNKNOWN) => None,
            // It follows a little below, so that the queue in the middle stays empty, and sound has its place.
            (0 | 1, path) => Some((path / 100 * 95).max(ONE_TO_ONE_BPS)),
            (_, path) => Some(path.max(ONE_TO_MANY_BPS)),
        }
    }

    fn usual_rate(&self, published: &Published, top: u8) -> u64 {
        let order = published.order().unwrap_or_default();
        let wanted = order.iter().take(usize::from(top) + 1);
        wanted.map(|(height, _)| usual_rate(*height)).sum()
    }
}

/// What is known of a viewer's path to those who send to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PathSeen {
    /// Rate that it carries, in bits per second.
    pub target: u64,
    /// Time at which it last showed that it carries no more.
    pub full: Option<Instant>,
}

impl PathSeen {
    /// Whether it has shown a limit lately. Before, more is to be tried.
    pub(crate) fn is_filled(&self, now: Instant) -> bool {
        self.full
            .is_some_and(|full| now.saturating_duration_since(full) < FILLED_FOR)
    }
}

/// What is asked of one connection.
#[derive(Default)]
pub(crate) struct Steering {
    videos: SmallVec<[Video; 1]>,
    /// Rate that everything may take. `None` if nothing bounds it.
    bound: Option<u64>,
    margin: Margin,
    /// Time and value of the last estimate.
    sent: Option<(Instant, u64)>,
}

/// The margin above the usual rates of the wanted encodings. Senders may be configured for other rates than usual, so it is
/// corrected by what comes.
struct Margin {
    hundredths: u64,
    /// A margin at which encodings came that are not wanted.
    too_much: Option<u64>,
    /// Time at which to look again whether it is right.
    next: Option<Instant>,
}

impl Default for Margin {
    fn default() -> Margin {
        Margin {
            hundredths: MARGIN,
            too_much: None,
            next: None,
        }
    }
}

impl Margin {
    /// Corrects it, where encodings come that are not wanted, or some are missing that are.
    fn correct(&mut self, now: Instant, is_excess: bool, is_lack: bool) {
        let next = *self.next.get_or_insert(now + SETTLES_WITHIN);
        if now < next {
            return;
        }
        let larger = self.hundredths * 5 / 4;
        if is_excess && self.hundredths > MARGIN_MIN {
            self.too_much = Some(self.hundredths);
            self.hundredths = (self.hundredths * 17 / 20).max(MARGIN_MIN);
        } else if is_lack && !is_excess && larger <= MARGIN_MAX && self.too_much.is_none_or(|bad| larger < bad) {
            self.hundredths = larger;
        }
        self.next = Some(now + SETTLES_WITHIN);
    }
}

impl Steering {
    /// Settles what is wanted. `sound` is what the connection's sound takes, or `None` where it brings none. `takes_orders`
    /// says whether the client understands orders that name its encodings.
    pub(crate) fn decide(&mut self, now: Instant, published: &[Published], sound: Option<u64>, takes_orders: bool) {
        self.videos
            .retain(|video| published.iter().any(|one| one.id == video.id));
        let (mut total, mut is_bound) = (0_u64, !published.is_empty());
        let (mut changes, mut is_excess, mut is_lack) = (false, false, false);
        for one in published {
            let at = match self.videos.iter().position(|video| video.id == one.id) {
                Some(at) => at,
                None => {
                    self.videos.push(Video::new(one.id));
                    changes = true;
                    self.videos.len() - 1
                }
            };
            let video = &mut self.videos[at];
            let before = video.share;
            video.take(now, one.wish);
            video.settle(one);
            changes |= video.share != before;
            let rate = match video.share {
                Share::None if takes_orders => None,
                Share::None => Some(UNWATCHED_BPS),
                Share::All if one.is_single() => video.rate_of_paths(),
                Share::UpTo(top) if !takes_orders => {
                    is_excess |= one.has(true, |at| !video.wanted.contains(at));
                    is_lack |= one.has(false, |at| video.wanted.contains(at));
                    Some(video.usual_rate(one, top) / 100 * self.margin.hundredths)
                }
                Share::All | Share::UpTo(_) => None,
            };
            is_bound &= rate.is_some();
            total = total.saturating_add(rate.unwrap_or(0));
        }
        if changes {
            self.margin = Margin::default();
        }
        self.margin.correct(now, is_excess, is_lack);
        let sound = sound.map_or(0, |sound| sound.max(SOUND_BPS));
        self.bound = is_bound.then_some(total.saturating_add(sound));
    }

    /// Rate that everything may take together. `None` if nothing bounds it.
    pub(crate) fn bound(&self) -> Option<u64> {
        self.bound
    }

    /// The encodings of a video that are wanted.
    pub(crate) fn wanted(&self, id: TrackId) -> LayerSet {
        let video = self.videos.iter().find(|video| video.id == id);
        video.map_or(LayerSet::ALL, |video| video.wanted)
    }

    /// Whether anything is not wanted that could be sent.
    pub(crate) fn holds_back(&self) -> bool {
        self.bound.is_some() || self.videos.iter().any(|video| video.share != Share::All)
    }

    /// The estimate to send now, if any: in its turn, or because it is another by more than a tenth. `most` is what the way here
    /// carries.
    pub(crate) fn estimate(&mut self, now: Instant, is_its_turn: bool, most: u64) -> Option<u64> {
        let value = self.bound.map_or(most, |bound| bound.min(most));
        let is_news = self
            .sent
            .is_some_and(|(at, sent)| value.abs_diff(sent) > sent / 10 && now.saturating_duration_since(at) >= SOON);
        if !is_its_turn && !is_news {
            return None;
        }
        self.sent = Some((now, value));
        Some(value)
    }
}

#[cfg(test)]
mod tests;
