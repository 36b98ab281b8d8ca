//! Divides the bandwidth of one connection among the videos that it carries. Pure: it is told the time, what the path carries,
//! and which layers each video has; it answers which layer each video gets, and which get none.
//!
//! A step is a layer with some of its spatial and temporal layers, or all: smaller pictures, and fewer of them a second, take less.
//! Videos are served in an order:
//! those on stage, those who speak, the others. Each first gets its lowest step. Then they get one step more in turn, until each has
//! the height that its viewer wants, or nothing more fits. A video falls at once when its
//! layer does not fit. It rises only where there is room to spare, and after a fall only where the path has shown that it carries
//! as much. One connection's videos share nothing with those of another, so nobody pays for somebody else's path.

mod ladder;
mod limits;

use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub(crate) use self::limits::Budget;
use self::limits::Limits;
use super::layers::MAX_LAYERS;
use super::scalability::WHOLE;
use crate::video::{Cause, Quality, State};

/// Time between two divisions while nothing special happens.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time within which a connection is divided anew after a change. Visits to many connections are spread over as much.
const SOON: Duration = Duration::from_millis(100);
/// Time for which a layer must have been sent before a video rises to it. Its rate is not known before, and a layer that comes
/// and goes is not worth a key frame each time.
const MATURE_AFTER: Duration = Duration::from_secs(2);
/// Time between two rises of one connection: each is a burst (its key frame), whose effect is to be seen before the next.
const RISE_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two rises of one video.
const OWN_RISE_INTERVAL: Duration = Duration::from_millis(500);
/// Time for which a video that fell stays where it is. Queues empty meanwhile, and its picture does not change back and forth.
const STAYS_AFTER_FALL: Duration = Duration::from_secs(3);
/// Height that a video on stage gets before the others get their second step: faces can be read from it.
const STAGE_HEIGHT: u16 = 360;
/// Time for which the first video is sent though it does not fit: the path is mostly better again by then.
const HELD_FOR: Duration = Duration::from_secs(2);
/// The same for a video whose publisher follows the path: it has been asked for less, and it shows only after some time whether it
/// sends less.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(5);
/// Most by which a held video may exceed the target, in bits per second. More would drown the sound.
const HELD_EXCESS: u64 = 500_000;
/// Rate by which there must be more room than a paused video needs, besides a tenth of its own, before it is sent again.
const RESUME_MARGIN: u64 = 20_000;

/// Part of what is needed that a path must be able to carry besides, so that everything can rise: more than the tenths that
/// [`Limits`] leave free.
const RISE_MARGIN_SHARE: u64 = 5;

/// The part of a meeting that a video has, in the order in which videos are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Pinned, or a screen.
    OnStage,
    /// Speaks, or spoke lately: 0 is the newest speaker.
    Speaker(u16),
    Other,
}

/// Steps of one video: each of its layers, with one, two or all of its temporal layers; or one layer with three spatial ones. More
/// need a place elsewhere.
pub(crate) const MAX_STEPS: usize = 3 * MAX_LAYERS;

/// One layer that a video can be sent in, with its spatial and temporal layers up to one of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub layer: u8,
    /// Highest spatial and temporal layer, or [`WHOLE`].
    pub spatial: u8,
    pub temporal: u8,
    /// Rate that it takes, with all headers, in bits per second: now, if the video has it; else the most of the last seconds. So a
    /// key frame neither ends a layer, nor lets a video rise to one that will not fit.
    pub bits_per_second: u64,
    pub height: Option<u16>,
    /// Time since which it is sent without a pause.
    pub live_since: Instant,
}

/// What earlier divisions made of a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// Time of its last rise.
    raised: Option<Instant>,
    /// Time at which it got less than its viewer wants, because that did not fit. `None` once it has all again.
    fell: Option<Instant>,
    paused: bool,
}

impl History {
    /// Whether it gets less than its viewer wants.
    pub(crate) fn is_short(&self) -> bool {
        self.fell.is_some()
    }
}

/// What a division gives to a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Layer(u8),
    /// Nothing fits: it is not sent.
    Paused,
    /// Its viewer wants none of it.
    Unwanted,
    /// None of its layers is sent now.
    NoLayer,
}

/// The part of a track for which a connection has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Any layer. Nobody knows what the path carries, or it was not divided since the track was attached.
    Any,
    Layer(u8),
    /// None: the copy is paused.
    Nothing,
}

/// One video of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Video {
    /// Its place among the connection's subscriptions.
    pub index: usize,
    /// Height at which it is shown. `None` if that is not known: then the highest is wanted. 0 if it is not shown.
    pub wanted_height: Option<u16>,
    /// Steps that it gets in each turn; at least one.
    pub priority: u8,
    pub place: Place,
    /// Whether its publisher follows what the path carries, so that it will fit.
    pub follows: bool,
    /// Layers that are sent now and that its viewer can decode.
    pub steps: SmallVec<[Step; MAX_STEPS]>,
    /// Layer that it has, or waits for.
    pub current: Option<u8>,
    /// Highest spatial and temporal layer that it has; and, as a result, that it gets.
    pub spatial: u8,
    pub temporal: u8,
    pub history: History,
    /// Result: what it gets.
    pub grant: Grant,
    /// Result: whether it gets less than it had because that does not fit. Then the old layer must stop now, and not at the next
    /// key frame.
    pub is_cut: bool,
    /// Steps from the cheapest to the best, without those that cost more than a better one.
    ladder: SmallVec<[Step; MAX_STEPS]>,
    /// Place on the ladder that its viewer wants.
    ideal: usize,
    /// Place on the ladder that it has.
    held: usize,
    /// Whether it begins: it has no layer that is sent, and not because it fell.
    begins: bool,
    /// Place on the ladder that it gets.
    at: Option<usize>,
}

impl Video {
    pub(crate) fn new(index: usize, place: Place, current: Option<u8>, history: History) -> Video {
        Video {
            index,
            wanted_height: None,
            priority: 1,
            place,
            follows: false,
            steps: SmallVec::new(),
            current,
            spatial: WHOLE,
            temporal: WHOLE,
            history,
            grant: Grant::NoLayer,
            is_cut: false,
            ladder: SmallVec::new(),
            ideal: 0,
            held: 0,
            begins: false,
            at: None,
        }
    }

    /// What its viewer gets, by the last division.
    pub(crate) fn quality(&self) -> Quality {
        let height = self.at.and_then(|at| self.ladder.get(at)?.height);
        let is_less = |wanted: u16| height.is_some_and(|height| height < wanted);
        let state = match self.grant {
            Grant::Unwanted => State::Unwanted,
            Grant::Paused => State::Paused(Cause::Bandwidth),
            Grant::NoLayer => State::Paused(Cause::Sender),
            Grant::Layer(_) if self.at < Some(self.ideal) => State::Reduced(Cause::Bandwidth),
            Grant::Layer(_) if self.wanted_height.is_some_and(is_less) => State::Reduced(Cause::Sender),
            Grant::Layer(_) => State::Full,
        };
        Quality {
            state,
            height,
            wanted: self.wanted_height,
        }
    }

    fn cost(&self, at: usize) -> u64 {
        self.ladder.get(at).map_or(0, |step| step.bits_per_second)
    }

    /// The rate that it would take if the path carried everything. A publisher that follows the path may have to send less than it could:
    /// up to twice as much is to be found out at a time.
    fn demand(&self) -> u64 {
        let cost = self.cost(self.ideal);
        if self.follows { cost.saturating_mul(2) } else { cost }
    }

    /// Writes down what it gets.
    fn conclude(&mut self, now: Instant) {
        let given = self.at.map(|at| &self.ladder[at]);
        (self.spatial, self.temporal) = given.map_or((WHOLE, WHOLE), |step| (step.spatial, step.temporal));
        let Some(at) = self.at else {
            self.grant = match () {
                () if self.wanted_height == Some(0) => Grant::Unwanted,
                () if self.steps.is_empty() => Grant::NoLayer,
                () => Grant::Paused,
            };
            if self.grant == Grant::Unwanted {
                // When it is wanted again, it begins anew.
                self.history = History::default();
            }
            if self.grant == Grant::Paused {
                self.is_cut = true;
                if !std::mem::replace(&mut self.history.paused, true) {
                    self.history.fell = Some(now);
                }
            }
            return;
        };
        self.grant = Grant::Layer(self.ladder[at].layer);
        self.history.paused = false;
        if at < self.held.min(self.ideal) {
            self.is_cut = true;
            self.history.fell = Some(now);
        } else if at == self.ideal {
            self.history.fell = None;
        }
        if self.layers_up(at) > 0 && !self.begins {
            self.history.raised = Some(now);
        }
    }
}

/// What divisions have found out about one connection so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Division {
    /// Time of the last division.
    made: Option<Instant>,
    /// Time by which to divide anew, because something has changed that the last division did not know of.
    outdated: Option<Instant>,
    /// Target at the last division.
    target: u64,
    /// Rate that the videos and sounds take since then, and that sounds take alone.
    allocated: u64,
    sound: u64,
    /// Time of the last rise of one of the videos.
    raised: Option<Instant>,
    /// Time since which the first video does not fit.
    short_since: Option<Instant>,
    /// Time from which on a video that fell may rise again.
    stays_until: Option<Instant>,
}

impl Division {
    /// Time of the last division. `None` before the first one.
    pub(crate) fn made(&self) -> Option<Instant> {
        self.made
    }

    /// Lets the next look at the connection divide anew, which comes within [`SOON`].
    pub(crate) fn outdate(&mut self, now: Instant) {
        self.outdated.get_or_insert(now + SOON);
    }

    /// Time by which to divide, if nothing happens before. `None` before the first division.
    pub(crate) fn next(&self) -> Option<Instant> {
        let regular = self.made.map(|made| made + INTERVAL);
        regular.into_iter().chain(self.outdated).chain(self.stays_until).min()
    }

    /// Rate that sounds took at the last division.
    pub(crate) fn sound(&self) -> u64 {
        self.sound
    }

    /// Whether the target has room for this share of what was allocated, in 1/256.
    pub(crate) fn leaves_room(&self, target: u64, share_256: u8) -> bool {
        let left = target.saturating_sub(self.allocated);
        self.made.is_some() && left >= self.allocated / 256 * u64::from(share_256)
    }

    /// Whether to divide now: it is time, or the target is far from what was divided.
    pub(crate) fn is_due(&self, now: Instant, target: u64) -> bool {
        let falls = target < self.target && target < self.allocated / 10 * 9;
        let grows = target > self.target.saturating_add(self.target / 20 * 3);
        let is_time = self.made.is_none_or(|made| is_past(now, made, INTERVAL));
        let may_rise = self.stays_until.is_some_and(|until| now >= until);
        falls || grows || is_time || may_rise || self.outdated.is_some()
    }

    /// Divides. Returns the rate that the path would have to carry for all videos and sounds to be as is wanted, in bits per second.
    pub(crate) fn divide(&mut self, now: Instant, budget: &Budget, videos: &mut [Video]) -> u64 {
        let limits = Limits::of(budget);
        for video in &mut *videos {
            video.prepare(now);
        }
        videos.sort_unstable_by_key(|video| (video.place, video.index));
        let mut run = Run {
            now,
            limits,
            total: 0,
            riser: None,
            may_rise: self.raised.is_none_or(|raised| is_past(now, raised, RISE_INTERVAL)),
        };
        if !budget.is_silent || !budget.is_probed {
            self.give_lowest(&mut run, videos, budget.is_probed);
            for video in videos.iter_mut().filter(|video| video.place == Place::OnStage) {
                while video.is_low(STAGE_HEIGHT) && run.give_step(video) {}
            }
            while run.give_steps(videos) {}
        }
        let (mut ideal, mut is_short) = (0_u64, false);
        for video in &mut *videos {
            video.conclude(now);
            ideal = ideal.saturating_add(video.demand());
            is_short |= !video.ladder.is_empty() && video.at < Some(video.ideal);
        }
        if run.riser.is_some() {
            self.raised = Some(now);
        }
        self.made = Some(now);
        self.outdated = None;
        let fallen = videos.iter().filter_map(|video| video.history.fell);
        self.stays_until = fallen
            .map(|fell| fell + STAYS_AFTER_FALL)
            .filter(|until| *until > now)
            .min();
        (self.target, self.sound) = (budget.target, budget.sound);
        self.allocated = limits::with_repairs(run.total.saturating_add(budget.sound), budget);
        let ideal = limits::with_repairs(ideal.saturating_add(budget.sound), budget);
        // Videos rise only where the path has shown that it carries more than they need.
        ideal.saturating_add(if is_short { ideal / RISE_MARGIN_SHARE } else { 0 })
    }

    /// Gives each video its lowest step, as far as they fit. The first one is held for a while where it does not fit.
    fn give_lowest(&mut self, run: &mut Run, videos: &mut [Video], may_pause_all: bool) {
        let mut shown = videos.iter_mut().filter(|video| !video.ladder.is_empty());
        if let Some(first) = shown.next() {
            let fits = run.give_first_step(first);
            self.short_since = if fits { None } else { self.short_since.or(Some(run.now)) };
            let held_for = if first.follows { FOLLOWS_WITHIN } else { HELD_FOR };
            let is_new = self.short_since.is_some_and(|since| !is_past(run.now, since, held_for));
            let (cost, room) = (first.cost(0), run.limits.keep);
            let is_nearly_enough = room >= cost / 5 * 3 && cost - room.min(cost) <= HELD_EXCESS;
            let is_held = (is_new || is_nearly_enough) && !first.history.paused;
            if !fits && (is_held || !may_pause_all) {
                first.at = Some(0);
                run.total = cost;
            }
        }
        for video in shown {
            run.give_first_step(video);
        }
    }
}

/// One division, while it is made.
struct Run {
    now: Instant,
    limits: Limits,
    /// Rate of what was given so far.
    total: u64,
    /// The one video that rises.
    riser: Option<usize>,
    /// Whether any video may rise now.
    may_rise: bool,
}

impl Run {
    fn give_first_step(&mut self, video: &mut Video) -> bool {
        let cost = video.cost(0);
        let needed = match video.history.paused {
            true if !video.follows => cost.saturating_add(cost / 10).saturating_add(RESUME_MARGIN),
            _ => cost,
        };
        let fits = self.total.saturating_add(needed) <= self.limits.keep;
        if fits {
            self.total += cost;
            video.at = Some(0);
        }
        fits
    }

    /// Gives each video one step more, or as many as its priority says. False if none fits.
    fn give_steps(&mut self, videos: &mut [Video]) -> bool {
        let mut any = false;
        for video in videos {
            for _ in 0..video.priority.max(1) {
                if !self.give_step(video) {
                    break;
                }
                any = true;
            }
        }
        any
    }

    fn give_step(&mut self, video: &mut Video) -> bool {
        let Some(at) = video.at.filter(|&at| at < video.ideal) else {
            return false;
        };
        // The ladder goes up in cost.
        let total = (self.total - video.cost(at)).saturating_add(video.cost(at + 1));
        if !self.allows(video, at + 1, total) {
            return false;
        }
        if video.layers_up(at + 1) > 0 && !video.begins {
            self.riser = Some(video.index);
        }
        self.total = total;
        video.at = Some(at + 1);
        true
    }

    /// Whether a video may have a step, if all videos then take `total`.
    fn allows(&self, video: &Video, at: usize, total: u64) -> bool {
        let has_proof = total <= self.limits.proof;
        if video.begins {
            return has_proof || total <= self.limits.spare;
        }
        if at <= video.held {
            return total <= self.limits.keep;
        }
        let layers_up = video.layers_up(at);
        if layers_up == 0 {
            // More pictures of the same layer need no key frame.
            return has_proof || total <= self.limits.spare;
        }
        let is_its_turn = self.riser.map_or(self.may_rise, |riser| riser == video.index);
        let has_stayed = |since: Option<Instant>, time| since.is_none_or(|since| is_past(self.now, since, time));
        is_its_turn
            && has_stayed(video.history.raised, OWN_RISE_INTERVAL)
            && has_stayed(video.history.fell, STAYS_AFTER_FALL)
            // Without proof it goes up by one layer at a time, and not at all where it fell.
            && (has_proof || (total <= self.limits.spare && video.history.fell.is_none() && layers_up == 1))
    }
}

fn is_past(now: Instant, since: Instant, time: Duration) -> bool {
    now.saturating_duration_since(since) >= time
}

#[cfg(test)]
mod tests;
