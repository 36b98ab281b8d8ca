//! The rows of the table: each a link, and what is asked of whoever estimates it.

use super::super::{Estimator, Micros};
use super::link::Path;
use super::tcp::Tcp;
use super::world::{Conduct, Controller, Flow, SECOND, World};

pub type Make = dyn Fn(Micros) -> Box<dyn Controller>;

pub const OURS: &Make = &|now| Box::new(Estimator::new(now));

pub const SEEDS: std::ops::RangeInclusive<u64> = 1..=7;

/// What a run came to. Times are in milliseconds, shares in percent; `None` where it never came to it.
#[derive(Clone, Debug, Default)]
pub struct Result {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
}

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

    fn tenths(&self, from: f64, to: f64) -> &[super::world::Tenth] {
        &self.world.flows[0].tenths[(from * 10.0) as usize..(to * 10.0) as usize]
    }

    /// Seconds from `from` on until the target is `percent` of `kbit`.
    pub fn reaches(&self, from: f64, kbit: u64, percent: u64) -> f64 {
        let tenths = &self.world.flows[0].tenths;
        let found = tenths
            .iter()
            .skip((from * 10.0) as usize)
            .position(|tenth| tenth.target >= kbit * 10 * percent);
        found.map_or(f64::INFINITY, |tenths| (tenths + 1) as f64 / 10.0)
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

    /// The queue in milliseconds that is exceeded in a twentieth of the time.
    pub fn queue_95(&self, from: f64, to: f64) -> f64 {
        let mut queue = self.world.queue[(from * 100.0) as usize..(to * 100.0) as usize].to_vec();
        queue.sort_unstable();
        queue[queue.len() * 19 / 20] as f64 / 1_000.0
    }

    /// The same without our own bursts: the least queue of each twentieth of a second.
    pub fn standing_95(&self, from: f64, to: f64) -> f64 {
        let queue = &self.world.queue[(from * 100.0) as usize..(to * 100.0) as usize];
        let mut least: Vec<Micros> = queue.chunks(5).map(|some| *some.iter().min().unwrap()).collect();
        least.sort_unstable();
        least[least.len() * 19 / 20] as f64 / 1_000.0
    }

    /// Seconds from `from` on until the queue, once it was longer, stays below 100 ms for half a second.
    pub fn drains(&self, from: f64) -> f64 {
        let queue = &self.world.queue[(from * 100.0) as usize..];
        let long = queue.iter().position(|queue| *queue >= 100_000).unwrap_or(0);
        let last = queue[long..]
            .windows(50)
            .position(|some| some.iter().all(|queue| *queue < 100_000));
        last.map_or(f64::INFINITY, |hundredths| (long + hundredths) as f64 / 100.0)
    }
}

fn print(name: &str, run: impl Fn(u64) -> String) {
    let lines: Vec<String> = SEEDS.map(|seed| run(seed)).collect();
    if std::env::var("EACH").is_ok() {
        for (i, l) in lines.iter().enumerate() {
            println!("{name} seed {}: {l}", i + 1);
        }
    }
    println!("{name} seeds {} :: {}", lines[0], worst(&lines));
}

fn path(kbit: u64, change: impl Fn(&mut Path)) -> Path {
    let mut path = Path::of(kbit);
    change(&mut path);
    path
}

fn plain(path: Path, seed: u64, seconds: u64) -> Run {
    Run::of(OURS, path, Conduct::default(), seed, seconds)
}

fn worst(lines: &[String]) -> String {
    // per number position: min..max
    let nums = |s: &String| -> Vec<f64> {
        s.split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter_map(|t| t.trim_end_matches('.').parse().ok())
            .collect()
    };
    let all: Vec<Vec<f64>> = lines.iter().map(nums).collect();
    let n = all.iter().map(|v| v.len()).min().unwrap();
    (0..n)
        .map(|i| {
            let mut v: Vec<f64> = all.iter().map(|r| r[i]).collect();
            v.sort_by(f64::total_cmp);
            format!("[{} {} {}]", v[0], v[3], v[6])
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn survey() {
    let only = std::env::var("ROW").unwrap_or_default();
    let row = |name: &str, run: &dyn Fn(u64) -> String| {
        if name.contains(&only) {
            print(name, run);
        }
    };
    for rtt in [40u64, 100, 200, 300] {
        row(&format!("clean rtt {rtt}"), &|seed| {
            let run = plain(path(3_000, |p| p.round_trip = rtt * 1000), seed, 30);
            format!(
                "{:.1} s, used {:.0} %, q {:.0} ms, dropped {:.1} %",
                run.reaches(0.0, 3000, 85),
                run.used(10.0, 30.0, 3000),
                run.queue_95(1.0, 30.0),
                run.dropped(0.0, 30.0)
            )
        });
    }
    for loss in [5u64, 10, 20] {
        row(&format!("loss {loss}"), &|seed| {
            let run = plain(path(3_000, |p| p.loss_percent = loss as f64), seed, 40);
            let cap = 3000 * (100 - loss) / 100;
            format!(
                "70 % in {:.1} s, used {:.0} %, q {:.0}",
                run.reaches(0.0, 3000, 70),
                run.used(20.0, 40.0, cap),
                run.queue_95(1.0, 40.0)
            )
        });
    }
    row("step up", &|seed| {
        let run = plain(path(1_000, |p| p.capacity.push((20 * SECOND, 3_000_000))), seed, 40);
        format!(
            "{:.1} s, used before {:.0} after {:.0} %, q {:.0}",
            run.reaches(20.0, 3000, 85),
            run.used(10.0, 20.0, 1000),
            run.used(30.0, 40.0, 3000),
            run.queue_95(1.0, 40.0)
        )
    });
    row("step down", &|seed| {
        let run = plain(path(3_000, |p| p.capacity.push((23 * SECOND, 1_000_000))), seed, 40);
            for t in 225..270 {
                let x = run.world.flows[0].tenths[t];
                println!(
                    t,
                    x.target / 1000,
                    x.sent * 8 / 100,
                    x.delivered * 8 / 100,
                    x.dropped * 8 / 100,
                    run.world.queue[t * 10] / 1000
                );
            }
        }
        format!(
            "drains {:.1} s, dropped {:.1} %, after {:.0} %, {:.0} %",
            run.drains(23.0),
            run.dropped(23.0, 25.0),
            run.used(25.0, 40.0, 1000),
            run.used(25.0, 30.0, 1000)
        )
    });
    row("bloat", &|seed| {
        let run = plain(
            path(3_000, |p| {
                p.queue = SECOND;
                p.queue_capacity = 500_000;
                p.capacity.push((20 * SECOND, 500_000))
            }),
            seed,
            50,
        );
        format!(
            "drains {:.1} s, tail {:.0} %, q {:.0}",
            run.drains(20.0),
            run.used(30.0, 50.0, 500),
            run.queue_95(30.0, 50.0)
        )
    });
    for queue in [15u64, 30] {
        row(&format!("shallow {queue}"), &|seed| {
            let run = plain(path(3_000, |p| p.queue = queue * 1000), seed, 60);
            format!(
                "{:.1} s, tail {:.0} %, dropped {:.1} %, {:.1} %",
                run.reaches(0.0, 3000, 85),
                run.used(20.0, 60.0, 3000),
                run.dropped(20.0, 60.0),
                run.dropped(0.0, 20.0)
            )
        });
    }
    row("policer", &|seed| {
        let run = plain(path(10_000, |p| p.policer = Some((1_000_000, 15_000))), seed, 60);
        format!(
            "tail {:.0} %, dropped {:.1} %, {:.1} %",
            run.used(20.0, 60.0, 1000),
            run.dropped(20.0, 60.0),
            run.dropped(0.0, 20.0)
        )
    });
    for jitter in [10u64, 30, 60] {
        row(&format!("jitter {jitter}"), &|seed| {
            let run = plain(path(3_000, |p| p.jitter = jitter * 1000), seed, 40);
            format!(
                "{:.1} s, used {:.0} %, q {:.0}, dropped {:.1}",
                run.reaches(0.0, 3000, 85),
                run.used(10.0, 40.0, 3000),
                run.queue_95(1.0, 40.0),
                run.dropped(0.0, 40.0)
            )
        });
    }
    row("rfc8867", &|seed| {
        let run = plain(
            path(1_000, |p| {
                p.round_trip = 100_000;
                p.capacity.extend([
                    (40 * SECOND, 2_500_000),
                    (60 * SECOND, 600_000),
                    (80 * SECOND, 1_000_000),
                ])
            }),
            seed,
            100,
        );
        let phase = |from: f64, to: f64, kbit| {
            format!(
                "{:.0} % q {:.0}; ",
                run.used(from + 5.0, to, kbit),
                run.queue_95(from + 5.0, to)
            )
        };
        phase(0.0, 40.0, 1000) + &phase(40.0, 60.0, 2500) + &phase(60.0, 80.0, 600) + &phase(80.0, 100.0, 1000)
    });
    row("two", &|seed| {
        let mut world = World::new(path(3_000, |_| {}), seed);
        world.flows.push(Flow::new(OURS(0), Conduct::default(), seed, 0));
        world.flows.push(Flow::new(
            OURS(10 * SECOND),
            Conduct::default(),
            seed + 100,
            10 * SECOND,
        ));
        world.run(40 * SECOND);
        let rate = |flow: usize, from: usize, to: usize| {
            world.flows[flow].tenths[from..to]
                .iter()
                .map(|t| t.delivered as f64)
                .sum::<f64>()
        };
        let jain = |from, to| {
            let (a, b) = (rate(0, from, to), rate(1, from, to));
            (a + b) * (a + b) / (2.0 * (a * a + b * b))
        };
        format!("jain {:.2} {:.2} {:.2}", jain(150, 200), jain(250, 300), jain(350, 400))
    });
    for cubic in [false, true] {
        for queue in [50u64, 150, 300, 1000] {
            row(&format!("tcp cubic {cubic} queue {queue}"), &|seed| {
                let mut world = World::new(path(3_000, |p| p.queue = queue * 1000), seed);
                world.flows.push(Flow::new(OURS(0), Conduct::default(), seed, 0));
                world.downloads.push(Tcp::new(1, cubic));
                world.run(60 * SECOND);
                let run = Run { world };
                format!(
                    "share {:.0} %: {:.0} {:.0} {:.0}",
                    run.used(20.0, 60.0, 3000),
                    run.used(10.0, 20.0, 3000),
                    run.used(20.0, 40.0, 3000),
                    run.used(40.0, 60.0, 3000)
                )
            });
        }
    }
    row("app", &|seed| {
        let conduct = Conduct {
            demand: vec![(0, 200_000), (20 * SECOND, 2_500_000)],
            ..Conduct::default()
        };
        let run = Run::of(OURS, path(3_000, |_| {}), conduct, seed, 30);
        let most = run.tenths(0.0, 20.0).iter().map(|t| t.target).max().unwrap();
        format!("most {most}, {:.1} s", run.reaches(20.0, 2500, 85))
    });
    row("silence", &|seed| {
        let conduct = Conduct {
            feedback_dead: (20 * SECOND, 22 * SECOND),
            ..Conduct::default()
        };
        let run = Run::of(OURS, path(3_000, |_| {}), conduct, seed, 30);
        let least = run.tenths(20.0, 24.0).iter().map(|t| t.target).min().unwrap();
        format!(
            "least {least}, back {:.1} s, burst {}",
            run.reaches(22.5, 3000, 85),
            run.tenths(22.0, 25.0).iter().map(|t| t.burst).max().unwrap()
        )
    });
    row("upstream", &|seed| {
        let conduct = Conduct {
            upstream_loss_percent: 10.0,
            ..Conduct::default()
        };
        let run = Run::of(OURS, path(3_000, |_| {}), conduct, seed, 40);
        let mean = run.tenths(10.0, 40.0).iter().map(|t| t.target).sum::<u64>() / 300;
        format!("{:.1} s, target {mean}", run.reaches(0.0, 3000, 85))
    });
}
