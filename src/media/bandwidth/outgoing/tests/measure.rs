//! What a run came to, and what is asked of it.

use super::super::Micros;
use super::link::Path;
use super::world::{Conduct, Controller, Flow, SECOND, Tenth, World};

/// Makes a controller that begins at a time.
pub type Make = dyn Fn(Micros) -> Box<dyn Controller>;

/// What is asked of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
    /// The first bar is wanted and not reached. The second one is what is reached, and must not become worse.
    MostMissed(f64, f64),
    /// The figure is shown, and nothing is asked of it.
    Shown,
}

impl Bar {
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Bar::AtLeast(least) => value >= least,
            Bar::AtMost(most) | Bar::MostMissed(_, most) => value <= most,
            Bar::Within(least, most) => (least..=most).contains(&value),
            Bar::Shown => true,
        }
    }

    /// Which of two values is worse.
    pub fn worse(self, a: f64, b: f64) -> f64 {
        let distance = |value: f64| match self {
            Bar::AtLeast(_) | Bar::Shown => -value,
            Bar::AtMost(_) | Bar::MostMissed(..) => value,
            Bar::Within(least, most) => (value - f64::midpoint(least, most)).abs(),
        };
        if distance(b) > distance(a) { b } else { a }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bar::AtLeast(least) => write!(out, "≥ {least}"),
            Bar::AtMost(most) => write!(out, "≤ {most}"),
            Bar::Within(least, most) => write!(out, "{least}–{most}"),
            Bar::MostMissed(wanted, reached) => write!(out, "≤ {wanted}, missed; ≤ {reached}"),
            Bar::Shown => write!(out, "–"),
        }
    }
}

/// A figure of a run.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub what: &'static str,
    pub value: f64,
    pub bar: Bar,
}

pub fn figure(what: &'static str, value: f64, bar: Bar) -> Figure {
    Figure { what, value, bar }
}

/// A run of one flow of ours, or several.
pub struct Run {
    pub world: World,
}

impl Run {
    pub fn of(make: &Make, path: Path, conduct: Conduct, seed: u64, seconds: u64) -> Run {
        let mut world = World::new(path, seed);
        world.flows.push(Flow::new(make(0), conduct, seed, 0));
        world.run(seconds * SECOND);
        Run { world }
    }

    /// A run in which media always take what the target allows.
    pub fn plain(make: &Make, path: Path, seed: u64, seconds: u64) -> Run {
        Run::of(make, path, Conduct::default(), seed, seconds)
    }

    pub fn tenths(&self, from: f64, to: f64) -> &[Tenth] {
        &self.world.flows[0].tenths[(from * 10.0) as usize..(to * 10.0) as usize]
    }

    /// Seconds from `from` on until the target is `percent` of `kbit`.
    pub fn reaches(&self, from: f64, kbit: u64, percent: u64) -> f64 {
        let mut tenths = self.world.flows[0].tenths.iter().skip((from * 10.0) as usize);
        let found = tenths.position(|tenth| tenth.target >= kbit * 10 * percent);
        found.map_or(f64::INFINITY, |tenths| (tenths + 1) as f64 / 10.0)
    }

    /// Seconds from `from` on until media have a layer.
    pub fn has_layer(&self, from: f64, kbit: u64) -> f64 {
        let mut tenths = self.world.flows[0].tenths.iter().skip((from * 10.0) as usize);
        let found = tenths.position(|tenth| tenth.media == kbit * 1_000);
        found.map_or(f64::INFINITY, |tenths| (tenths + 1) as f64 / 10.0)
    }

    /// The share of the time in which media have a layer, in percent.
    pub fn in_layer(&self, from: f64, to: f64, kbit: u64) -> f64 {
        let tenths = self.tenths(from, to);
        let has = tenths.iter().filter(|tenth| tenth.media == kbit * 1_000).count();
        has as f64 * 100.0 / tenths.len() as f64
    }

    /// The share of `kbit` that was delivered, in percent.
    pub fn used(&self, from: f64, to: f64, kbit: u64) -> f64 {
        let bytes: u64 = self.tenths(from, to).iter().map(|tenth| tenth.delivered).sum();
        bytes as f64 * 8.0 / ((to - from) * kbit as f64 * 10.0)
    }

    /// The share of what was sent that did not enter the link, in percent.
    pub fn dropped(&self, from: f64, to: f64) -> f64 {
        let dropped: u64 = self.tenths(from, to).iter().map(|tenth| tenth.dropped).sum();
        let sent: u64 = self.tenths(from, to).iter().map(|tenth| tenth.sent).sum();
        dropped as f64 * 100.0 / sent.max(1) as f64
    }

    fn queue(&self, from: f64, to: f64) -> &[Micros] {
        &self.world.queue[(from * 100.0) as usize..(to * 100.0) as usize]
    }

    /// The queue in milliseconds that is exceeded in a twentieth of the time, with what our own frames add.
    pub fn queue_95(&self, from: f64, to: f64) -> f64 {
        at_95(self.queue(from, to).to_vec())
    }

    /// The same of the queue that frames find: the least of each twentieth of a second.
    pub fn standing_95(&self, from: f64, to: f64) -> f64 {
        let least = |some: &[Micros]| some.iter().copied().min().unwrap_or(0);
        at_95(self.queue(from, to).chunks(5).map(least).collect())
    }

    /// Seconds from `from` on until the queue, once it was longer, stays below 100 ms for half a second.
    pub fn drains(&self, from: f64) -> f64 {
        let queue = &self.world.queue[(from * 100.0) as usize..];
        let long = queue.iter().position(|queue| *queue >= 100_000).unwrap_or(0);
        let is_short = |some: &[Micros]| some.iter().all(|queue| *queue < 100_000);
        let short = queue[long..].windows(50).position(is_short);
        short.map_or(f64::INFINITY, |hundredths| (long + hundredths) as f64 / 100.0)
    }

    /// The mean target, in kilobits a second.
    pub fn mean_target(&self, from: f64, to: f64) -> f64 {
        let tenths = self.tenths(from, to);
        tenths.iter().map(|tenth| tenth.target as f64).sum::<f64>() / tenths.len() as f64 / 1_000.0
    }
}

fn at_95(mut values: Vec<Micros>) -> f64 {
    values.sort_unstable();
    values[values.len() * 19 / 20] as f64 / 1_000.0
}
