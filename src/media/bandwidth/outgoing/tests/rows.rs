//! The rows of the table: each a link, and what is asked of whoever estimates it. The bars are those of people who have measured such
//! links; where one is not reached, it says so.

use super::link::Path;
use super::measure::Bar::{AtLeast, AtMost, MostMissed, Shown, Within};
use super::measure::{Figure, Make, Run, figure};
use super::tcp::Tcp;
use super::world::{Conduct, Flow, SECOND, World};

pub struct Row {
    pub name: &'static str,
    pub run: fn(&Make, u64) -> Vec<Figure>,
}

pub const ROWS: &[Row] = &[
    row("3 Mb/s, round trip 40 ms", clean),
    row("3 Mb/s, round trip 100 ms", |make, seed| far(make, seed, 100, 2.0)),
    row("3 Mb/s, round trip 200 ms", |make, seed| far(make, seed, 200, 2.5)),
    row("3 Mb/s, round trip 300 ms", |make, seed| far(make, seed, 300, 3.0)),
    row("3 Mb/s, 5 % lost by chance", |make, seed| lossy(make, seed, 5, 80.0)),
    row("3 Mb/s, 10 % lost by chance", |make, seed| lossy(make, seed, 10, 75.0)),
    row("3 Mb/s, 20 % lost by chance", |make, seed| lossy(make, seed, 20, 60.0)),
    row("1 → 3 Mb/s", step_up),
    row("3 → 1 Mb/s", step_down),
    row("2 → 0.5 Mb/s, queue of 1 s", bloat),
    row("3 Mb/s, queue of 15 ms", |make, seed| shallow(make, seed, 15)),
    row("3 Mb/s, queue of 30 ms", |make, seed| shallow(make, seed, 30)),
    row("policer of 1 Mb/s, 15 kB", policer),
    row("3 Mb/s, jitter of 10 ms", |make, seed| jitter(make, seed, 10, 90.0)),
    row("3 Mb/s, jitter of 30 ms", |make, seed| jitter(make, seed, 30, 80.0)),
    row("3 Mb/s, jitter of 60 ms", |make, seed| jitter(make, seed, 60, 40.0)),
    row("1 → 2.5 → 0.6 → 1 Mb/s (RFC 8867 §5.1)", variable),
    row("two of them on 3 Mb/s", two),
    row("beside Reno on 3 Mb/s, queue of 150 ms", |make, seed| {
        download(make, seed, false, 150)
    }),
    row("beside Reno on 3 Mb/s, queue of 300 ms", |make, seed| {
        download(make, seed, false, 300)
    }),
    row("beside CUBIC on 3 Mb/s, queue of 150 ms", |make, seed| {
        download(make, seed, true, 150)
    }),
    row("beside CUBIC on 3 Mb/s, queue of 300 ms", |make, seed| {
        download(make, seed, true, 300)
    }),
    row("beside Reno on 3 Mb/s, queue of 50 ms", |make, seed| {
        download(make, seed, false, 50)
    }),
    row("beside Reno on 3 Mb/s, queue of 1 s", |make, seed| {
        download(make, seed, false, 1_000)
    }),
    row("beside CUBIC on 3 Mb/s, queue of 50 ms", |make, seed| {
        download(make, seed, true, 50)
    }),
    row("beside CUBIC on 3 Mb/s, queue of 1 s", |make, seed| {
        download(make, seed, true, 1_000)
    }),
    row("0.2 Mb/s of media, then 2.5, on 3 Mb/s", application),
    row("three layers on 5 → 0.7 → 5 → 0.3 → 5 Mb/s", layers),
    row("three layers, token bucket of 5 kB, 5 → 0.7 → 5 → 0.3 → 5 Mb/s", bucket),
    row("three layers, policer of 0.7 Mb/s, 15 kB", policed_layers),
    row(
        "three layers and two voices, 5 Mb/s, a receiver that stands still for 120 ms",
        standstills,
    ),
    row("3 Mb/s, no feedback for 2 s", silence),
    row("3 Mb/s, 10 % lost before us", upstream),
];

const fn row(name: &'static str, run: fn(&Make, u64) -> Vec<Figure>) -> Row {
    Row { name, run }
}

fn path(kbit: u64, change: impl Fn(&mut Path)) -> Path {
    let mut path = Path::of(kbit);
    change(&mut path);
    path
}

fn clean(make: &Make, seed: u64) -> Vec<Figure> {
    let run = Run::plain(make, Path::of(3_000), seed, 40);
    vec![
        figure("s to 85 %", run.reaches(0.0, 3_000, 85), AtMost(1.5)),
        figure("% used", run.used(10.0, 40.0, 3_000), AtLeast(90.0)),
        figure("ms of queue that frames find", run.standing_95(2.0, 40.0), AtMost(40.0)),
        // A frame that is sent at once fills a full link for 33 ms by itself; the bar is of packets that are spaced evenly.
        figure("ms of queue in all", run.queue_95(2.0, 40.0), MostMissed(40.0, 60.0)),
        figure("% dropped", run.dropped(0.0, 40.0), AtMost(0.5)),
    ]
}

fn far(make: &Make, seed: u64, milliseconds: u64, most: f64) -> Vec<Figure> {
    let run = Run::plain(
        make,
        path(3_000, |path| path.round_trip = milliseconds * 1_000),
        seed,
        40,
    );
    vec![
        figure("s to 85 %", run.reaches(0.0, 3_000, 85), AtMost(most)),
        figure("% used", run.used(10.0, 40.0, 3_000), Shown),
    ]
}

fn lossy(make: &Make, seed: u64, percent: u64, least: f64) -> Vec<Figure> {
    let run = Run::plain(make, path(3_000, |path| path.loss_percent = percent as f64), seed, 40);
    let carried = 3_000 * (100 - percent) / 100;
    vec![
        figure("s to 70 %", run.reaches(0.0, 3_000, 70), AtMost(5.0)),
        figure("% used of what arrives", run.used(20.0, 40.0, carried), AtLeast(least)),
    ]
}

fn step_up(make: &Make, seed: u64) -> Vec<Figure> {
    let more = |path: &mut Path| path.capacity.push((20 * SECOND, 3_000_000));
    let run = Run::plain(make, path(1_000, more), seed, 40);
    vec![figure("s to 85 %", run.reaches(20.0, 3_000, 85), AtMost(5.0))]
}

fn step_down(make: &Make, seed: u64) -> Vec<Figure> {
    let less = |path: &mut Path| path.capacity.push((23 * SECOND, 1_000_000));
    let run = Run::plain(make, path(3_000, less), seed, 43);
    vec![
        figure("s until the queue is below 100 ms", run.drains(23.0), AtMost(2.0)),
        figure("% dropped in 2 s", run.dropped(23.0, 25.0), AtMost(2.0)),
        figure("% used after it", run.used(26.0, 43.0, 1_000), Within(85.0, 105.0)),
    ]
}

fn bloat(make: &Make, seed: u64) -> Vec<Figure> {
    let less = |path: &mut Path| {
        path.queue = SECOND;
        path.queue_capacity = 500_000;
        path.capacity.push((23 * SECOND, 500_000));
    };
    let run = Run::plain(make, path(2_000, less), seed, 50);
    vec![
        figure("s until the queue is below 100 ms", run.drains(23.0), AtMost(4.0)),
        figure("% used", run.used(30.0, 50.0, 500), AtLeast(80.0)),
    ]
}

fn shallow(make: &Make, seed: u64, milliseconds: u64) -> Vec<Figure> {
    let run = Run::plain(make, path(3_000, |path| path.queue = milliseconds * 1_000), seed, 60);
    vec![
        figure("% used", run.used(20.0, 60.0, 3_000), AtLeast(85.0)),
        figure("% dropped", run.dropped(20.0, 60.0), AtMost(3.0)),
    ]
}

fn policer(make: &Make, seed: u64) -> Vec<Figure> {
    let policed = |path: &mut Path| path.policer = Some((1_000_000, 15_000));
    let run = Run::plain(make, path(10_000, policed), seed, 60);
    vec![
        figure("% used", run.used(20.0, 60.0, 1_000), AtLeast(85.0)),
        figure("% dropped", run.dropped(0.0, 60.0), AtMost(8.0)),
    ]
}

fn jitter(make: &Make, seed: u64, milliseconds: u64, least: f64) -> Vec<Figure> {
    let run = Run::plain(make, path(3_000, |path| path.jitter = milliseconds * 1_000), seed, 40);
    vec![figure("% used", run.used(10.0, 40.0, 3_000), AtLeast(least))]
}

fn variable(make: &Make, seed: u64) -> Vec<Figure> {
    let changes = |path: &mut Path| {
        path.round_trip = 100_000;
        let then = [
            (40 * SECOND, 2_500_000),
            (60 * SECOND, 600_000),
            (80 * SECOND, 1_000_000),
        ];
        path.capacity.extend(then);
    };
    let run = Run::plain(make, path(1_000, changes), seed, 100);
    let phases = [
        (5.0, 40.0, 1_000),
        (45.0, 60.0, 2_500),
        (65.0, 80.0, 600),
        (85.0, 100.0, 1_000),
    ];
    let used = phases.map(|(from, to, kbit)| run.used(from, to, kbit));
    let queue = phases.map(|(from, to, _)| run.queue_95(from, to));
    vec![
        figure("% used at 1", used[0], AtLeast(80.0)),
        figure("% used at 2.5", used[1], AtLeast(80.0)),
        figure("% used at 0.6", used[2], AtLeast(80.0)),
        figure("% used at 1 again", used[3], AtLeast(80.0)),
        figure(
            "ms of queue at most",
            queue.into_iter().fold(0.0, f64::max),
            AtMost(120.0),
        ),
    ]
}

fn two(make: &Make, seed: u64) -> Vec<Figure> {
    let mut world = World::new(Path::of(3_000), seed);
    let flow = |seed, from| Flow::new(make(from), Conduct::default(), seed, from);
    world.flows.push(flow(seed, 0));
    world.flows.push(flow(seed + 100, 10 * SECOND));
    world.run(30 * SECOND);
    let rates: Vec<f64> = world
        .flows
        .iter()
        .map(|flow| flow.tenths[250..300].iter().map(|tenth| tenth.delivered as f64).sum())
        .collect();
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    vec![figure(
        "fairness (Jain) after 20 s",
        sum * sum / (2.0 * squares),
        AtLeast(0.95),
    )]
}

fn download(make: &Make, seed: u64, cubic: bool, milliseconds: u64) -> Vec<Figure> {
    let mut world = World::new(path(3_000, |path| path.queue = milliseconds * 1_000), seed);
    world.flows.push(Flow::new(make(0), Conduct::default(), seed, 0));
    world.downloads.push(Tcp::new(1, cubic));
    world.run(60 * SECOND);
    let run = Run { world };
    let is_usual = (150..=300).contains(&milliseconds);
    let bar = if is_usual { Within(25.0, 75.0) } else { Shown };
    vec![figure("% of the link", run.used(20.0, 60.0, 3_000), bar)]
}

fn application(make: &Make, seed: u64) -> Vec<Figure> {
    let conduct = Conduct {
        demand: vec![(0, 200_000), (20 * SECOND, 2_500_000)],
        ..Conduct::default()
    };
    let run = Run::of(make, Path::of(3_000), conduct, seed, 30);
    let most = run.tenths(1.0, 20.0).iter().map(|tenth| tenth.target).max();
    vec![
        figure(
            "times the media, at most",
            most.unwrap_or(0) as f64 / 200_000.0,
            AtMost(2.0),
        ),
        figure("s to 85 %", run.reaches(20.0, 2_500, 85), AtMost(2.0)),
    ]
}

/// Media that cannot fill the link, and jump when they may.
fn layers(make: &Make, seed: u64) -> Vec<Figure> {
    let conduct = Conduct {
        demand: vec![(0, 780_000)],
        layers: vec![120_000, 350_000, 730_000],
        ..Conduct::default()
    };
    let changes = |path: &mut Path| {
        (path.queue, path.queue_capacity) = (200_000, 700_000);
        let then = [700_000, 5_000_000, 300_000, 5_000_000];
        let at = |phase: usize| (20 * phase as u64 + 23) * SECOND;
        path.capacity
            .extend(then.into_iter().enumerate().map(|(phase, rate)| (at(phase), rate)));
    };
    let run = Run::of(make, path(5_000, changes), conduct, seed, 110);
    let layer = |from, kbit| run.reaches(from, kbit, 110);
    vec![
        figure("s to the top layer", layer(0.0, 730), AtMost(1.5)),
        figure("s to the top layer after 0.7", layer(43.0, 730), AtMost(4.0)),
        figure("s to the top layer after 0.3", layer(83.0, 730), AtMost(4.0)),
        figure("% used at 0.7", run.used(28.0, 43.0, 350), AtLeast(95.0)),
        figure("% dropped at 0.7", run.dropped(23.0, 43.0), AtMost(2.0)),
    ]
}

/// The same behind a shaper that lets short bursts pass: what a short probe shows is its wire, not its rate. The top layer does not fit
/// 0.7 Mb/s, and the middle one does.
fn bucket(make: &Make, seed: u64) -> Vec<Figure> {
    let conduct = Conduct {
        demand: vec![(0, 1_050_000)],
        layers: vec![150_000, 400_000, 850_000],
        ..Conduct::default()
    };
    let changes = |path: &mut Path| {
        (path.queue, path.bucket, path.round_trip) = (200_000, 5_000, 2_000);
        let then = [700_000, 5_000_000, 300_000, 5_000_000];
        let at = |phase: usize| (20 * phase as u64 + 23) * SECOND;
        path.capacity
            .extend(then.into_iter().enumerate().map(|(phase, rate)| (at(phase), rate)));
    };
    let run = Run::of(make, path(5_000, changes), conduct, seed, 110);
    vec![
        figure("s to the top layer", run.has_layer(0.0, 850), AtMost(1.5)),
        figure(
            "s to the layer that fits 0.7",
            run.has_layer(23.0, 400).min(run.has_layer(23.0, 150)),
            AtMost(1.5),
        ),
        figure("% of the time above it", run.in_layer(24.5, 43.0, 850), AtMost(0.0)),
        figure("% of the time below it", run.in_layer(28.5, 43.0, 150), AtMost(0.0)),
        figure("% dropped at 0.7", run.dropped(24.5, 43.0), AtMost(0.5)),
        figure("s to the layer that fits 0.3", run.has_layer(63.0, 150), AtMost(1.5)),
        figure(
            "% of the time above it, too",
            100.0 - run.in_layer(64.5, 83.0, 150),
            AtMost(0.0),
        ),
        figure("s to the top layer after 0.7", run.has_layer(43.0, 850), AtMost(4.0)),
        figure("s to the top layer after 0.3", run.has_layer(83.0, 850), AtMost(4.0)),
    ]
}

/// What exceeds the policer is lost, and no queue tells of it.
fn policed_layers(make: &Make, seed: u64) -> Vec<Figure> {
    let conduct = Conduct {
        demand: vec![(0, 1_050_000)],
        layers: vec![150_000, 400_000, 850_000],
        ..Conduct::default()
    };
    let policed = |path: &mut Path| path.policer = Some((700_000, 15_000));
    let run = Run::of(make, path(10_000, policed), conduct, seed, 60);
    vec![
        figure(
            "% of the time above what fits",
            run.in_layer(20.0, 60.0, 850),
            AtMost(5.0),
        ),
        figure("% of the time below it", run.in_layer(20.0, 60.0, 150), AtMost(5.0)),
        figure("% dropped", run.dropped(0.0, 60.0), AtMost(3.0)),
    ]
}

/// The first report after a standstill tells only of packets that came late, often of sound alone.
fn standstills(make: &Make, seed: u64) -> Vec<Figure> {
    let conduct = Conduct {
        demand: vec![(0, 1_050_000)],
        layers: vec![150_000, 400_000, 850_000],
        voices: 2,
        ..Conduct::default()
    };
    let stands_still = |path: &mut Path| {
        path.round_trip = 2_000;
        path.standstills = Some((1_370_000, 120_000));
    };
    let run = Run::of(make, path(5_000, stands_still), conduct, seed, 60);
    vec![figure(
        "% of the time in the top layer",
        run.in_layer(5.0, 60.0, 850),
        AtLeast(99.0),
    )]
}

fn silence(make: &Make, seed: u64) -> Vec<Figure> {
    let conduct = Conduct {
        feedback_dead: (20 * SECOND, 22 * SECOND),
        ..Conduct::default()
    };
    let run = Run::of(make, Path::of(3_000), conduct, seed, 30);
    let burst = run.tenths(22.0, 25.0).iter().map(|tenth| tenth.burst).max();
    let least = run.tenths(21.0, 23.0).iter().map(|tenth| tenth.target).min();
    vec![
        figure(
            "% left of the target",
            least.unwrap_or(0) as f64 / 30_000.0,
            AtMost(60.0),
        ),
        figure("ms of media at once", burst.unwrap_or(0) as f64 / 1_000.0, AtMost(40.0)),
        figure("s to 85 % again", run.reaches(22.3, 3_000, 85) + 0.3, AtMost(3.0)),
    ]
}

fn upstream(make: &Make, seed: u64) -> Vec<Figure> {
    let mean = |upstream_loss_percent| {
        let conduct = Conduct {
            upstream_loss_percent,
            ..Conduct::default()
        };
        Run::of(make, Path::of(3_000), conduct, seed, 40).mean_target(10.0, 40.0)
    };
    vec![figure(
        "% of the target without it",
        mean(10.0) * 100.0 / mean(0.0),
        Within(95.0, 105.0),
    )]
}
