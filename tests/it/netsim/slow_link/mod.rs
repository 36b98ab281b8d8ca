//! A viewer whose link becomes slow, and fast again, with the whole server in virtual time. Somebody else's sound comes over the
//! same link, on a connection of its own.

mod call;
mod camera;
mod path;
mod scene;
mod watcher;

use std::ops::RangeInclusive;
use std::time::Duration;

use self::path::{FREE, Shape};
use self::scene::Scene;

const SEEDS: RangeInclusive<u64> = 1..=7;
const PHASE: Duration = Duration::from_secs(10);
/// Time in which everybody gets the full picture.
const BEGINNING: Duration = Duration::from_secs(8);
/// The highest layer.
const FULL: usize = 2;

/// What a viewer saw in one phase.
#[derive(Clone, Debug)]
struct Seen {
    frozen: Duration,
    /// The time until the last change of the layer. `None` if that was not to the one that was to come.
    settled: Option<Duration>,
    pictures: usize,
    /// The layers that were shown, and when each began.
    layers: Vec<(Duration, usize)>,
}

/// Changes the path of the first of two viewers. Returns what both see from then on; `layer` is to come for the first.
fn phase(scene: &mut Scene, shape: Shape, layer: usize) -> [Seen; 2] {
    let since = scene.now;
    scene.watchers[0].path.shape = shape;
    scene.run(PHASE);
    [(0, layer), (1, FULL)].map(|(viewer, layer)| {
        let watcher = &scene.watchers[viewer];
        let layers = watcher.layers(since);
        let last = layers.last().filter(|(_, last)| *last == layer);
        let is_first = layers.len() == 1;
        Seen {
            frozen: watcher.frozen(since, scene.now),
            settled: last.map(|(at, _)| if is_first { Duration::ZERO } else { *at }),
            pictures: watcher.pictures(since),
            layers,
        }
    })
}

fn scene(seed: u64) -> Scene {
    let mut scene = Scene::new(seed, 2);
    scene.run(BEGINNING);
    scene
}

fn link(kbps: u64) -> Shape {
    Shape { kbps, ..FREE }
}

/// Runs the phases with each seed, and compares what the first viewer sees with bars: milliseconds for which the picture stands
/// still at most, and until the layer has come. The other viewer, whose link is free, notices nothing.
fn assert_phases(phases: &[(Shape, usize, u128, u128)]) {
    for seed in SEEDS {
        let mut scene = scene(seed);
        for &(shape, layer, frozen, settled) in phases {
            let [slow, other] = phase(&mut scene, shape, layer);
            let is_right = slow.settled.is_some_and(|time| time.as_millis() <= settled);
            assert!(
                is_right && slow.frozen.as_millis() <= frozen,
                "seed {seed}: {shape:?} {slow:?}"
            );
            let is_calm = other.settled == Some(Duration::ZERO) && other.frozen == Duration::ZERO;
            assert!(is_calm, "seed {seed}, the other, beside {shape:?}: {other:?}");
        }
    }
}

/// Wanted are half a second of freezes at most, and the layer after 1.5 s, or 4 s when the link is fast again.
#[test]
fn a_viewer_sees_what_a_slow_link_carries_at_once_and_everything_when_it_is_fast_again() {
    assert_phases(&[
        (link(700), 1, 0, 1_100),
        (link(5_000), FULL, 0, 3_200),
        (link(300), 0, 500, 800),
        (link(5_000), FULL, 0, 3_700),
    ]);
}

/// Loss by chance says nothing of what a path carries: nobody gets fewer lines for it, not even while that is found out.
#[test]
fn a_path_that_loses_packets_by_chance_keeps_its_layer() {
    let mut faults = Vec::new();
    for (kbps, delay) in [(3_000, 10), (3_000, 75), (5_000, 3)] {
        let path = Shape {
            delay: Duration::from_millis(delay),
            ..link(kbps)
        };
        for (seed, loss) in SEEDS.flat_map(|seed| [0.05, 0.1, 0.2].map(|loss| (seed, loss))) {
            let mut scene = Scene::new(seed, 2);
            scene.watchers[0].path.shape = path;
            scene.run(BEGINNING);
            for _ in 0..2 {
                let [lossy, _] = phase(&mut scene, Shape { loss, ..path }, FULL);
                if lossy.settled != Some(Duration::ZERO) {
                    faults.push(format!("seed {seed}: {loss} lost, {path:?}: {:?}", lossy.layers));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Before, no seed had the full picture again after ten seconds. Half a second and four seconds would be better.
#[test]
fn a_route_that_becomes_longer_is_no_queue() {
    let longer = Shape {
        delay: Duration::from_millis(68),
        ..FREE
    };
    assert_phases(&[(longer, FULL, 1_300, 7_300)]);
}

/// Each part of the variable is a phase: kb/s, delay in ms, parts lost, jitter in ms, and the layer that is to come.
#[test]
#[ignore = "it prints what viewers see in the phases of PATCHBAY_TEST_PHASES, with PATCHBAY_TEST_SEEDS"]
fn phases_are_printed() {
    let phases = std::env::var("PATCHBAY_TEST_PHASES").unwrap_or_default();
    let last = std::env::var("PATCHBAY_TEST_SEEDS").map_or(*SEEDS.end(), |last| last.parse().unwrap());
    for seed in *SEEDS.start()..=last {
        let mut scene = scene(seed);
        for part in phases.split(',').filter(|part| !part.is_empty()) {
            let numbers: Vec<f64> = part.split(':').map(|number| number.parse().unwrap()).collect();
            let millis = |number: f64| Duration::from_secs_f64(number / 1_000.0);
            let shape = Shape {
                kbps: numbers[0] as u64,
                delay: millis(numbers[1]),
                loss: numbers[2],
                jitter: millis(numbers[3]),
                ..FREE
            };
            let dropped = scene.watchers[0].path.dropped;
            let [seen, _] = phase(&mut scene, shape, numbers[4] as usize);
            let watcher = &scene.watchers[0];
            println!(
                "seed {seed} {part}: frozen {:?}, settled {:?}, {} pictures, layers {:?}, {} dropped",
                seen.frozen,
                seen.settled,
                seen.pictures,
                seen.layers,
                watcher.path.dropped - dropped
            );
            for (at, stood) in watcher.freezes.iter().filter(|(at, _)| *at + PHASE >= scene.now) {
                println!(
                    "    stood still for {stood:?} until {:?}",
                    (*at + *stood + PHASE) - scene.now
                );
            }
        }
    }
}
