//! Each row of the table as a test, for all seeds, and the table itself.

use super::super::Estimator;
use super::measure::{Figure, Make};
use super::others::{Interceptors, Libwebrtcs};
use super::rows::ROWS;

const OURS: &Make = &|now| Box::new(Estimator::new(now));
const WEBRTCS: &Make = &|now| Box::new(Libwebrtcs::new(now));
const INTERCEPTORS: &Make = &|_| Box::new(Interceptors::new());
const SEEDS: std::ops::RangeInclusive<u64> = 1..=7;

/// The figures of a row, each the worst of all seeds.
fn worst(name: &str, make: &Make) -> Vec<Figure> {
    let row = ROWS.iter().find(|row| row.name == name).unwrap();
    let mut worst: Vec<Figure> = Vec::new();
    for figures in SEEDS.map(|seed| (row.run)(make, seed)) {
        if worst.is_empty() {
            worst = figures;
            continue;
        }
        for (worst, figure) in worst.iter_mut().zip(figures) {
            worst.value = figure.bar.worse(worst.value, figure.value);
        }
    }
    worst
}

#[track_caller]
fn passes(name: &str) {
    for figure in worst(name, OURS) {
        assert!(figure.bar.is_met(figure.value), "{name}: {figure:?}");
    }
}

macro_rules! rows {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            passes($name);
        })*

        #[test]
        fn every_row_is_tested() {
            let tested = [$($name),*];
            assert!(ROWS.iter().map(|row| row.name).eq(tested));
        }
    };
}

rows! {
    a_clean_link_is_full_at_once: "3 Mb/s, round trip 40 ms",
    a_round_trip_of_100_ms: "3 Mb/s, round trip 100 ms",
    a_round_trip_of_200_ms: "3 Mb/s, round trip 200 ms",
    a_round_trip_of_300_ms: "3 Mb/s, round trip 300 ms",
    a_twentieth_is_lost_by_chance: "3 Mb/s, 5 % lost by chance",
    a_tenth_is_lost_by_chance: "3 Mb/s, 10 % lost by chance",
    a_fifth_is_lost_by_chance: "3 Mb/s, 20 % lost by chance",
    a_link_becomes_faster: "1 → 3 Mb/s",
    a_link_becomes_slower: "3 → 1 Mb/s",
    a_queue_of_a_second_is_emptied: "2 → 0.5 Mb/s, queue of 1 s",
    a_queue_of_15_ms: "3 Mb/s, queue of 15 ms",
    a_queue_of_30_ms: "3 Mb/s, queue of 30 ms",
    a_policer: "policer of 1 Mb/s, 15 kB",
    jitter_of_10_ms: "3 Mb/s, jitter of 10 ms",
    jitter_of_30_ms: "3 Mb/s, jitter of 30 ms",
    jitter_of_60_ms: "3 Mb/s, jitter of 60 ms",
    a_link_that_varies: "1 → 2.5 → 0.6 → 1 Mb/s (RFC 8867 §5.1)",
    two_come_to_equal_shares: "two of them on 3 Mb/s",
    reno_with_a_queue_of_150_ms: "beside Reno on 3 Mb/s, queue of 150 ms",
    reno_with_a_queue_of_300_ms: "beside Reno on 3 Mb/s, queue of 300 ms",
    cubic_with_a_queue_of_150_ms: "beside CUBIC on 3 Mb/s, queue of 150 ms",
    cubic_with_a_queue_of_300_ms: "beside CUBIC on 3 Mb/s, queue of 300 ms",
    reno_with_a_queue_of_50_ms: "beside Reno on 3 Mb/s, queue of 50 ms",
    reno_with_a_queue_of_a_second: "beside Reno on 3 Mb/s, queue of 1 s",
    cubic_with_a_queue_of_50_ms: "beside CUBIC on 3 Mb/s, queue of 50 ms",
    cubic_with_a_queue_of_a_second: "beside CUBIC on 3 Mb/s, queue of 1 s",
    media_that_want_little_and_then_much: "0.2 Mb/s of media, then 2.5, on 3 Mb/s",
    layers_come_back: "three layers on 5 → 0.7 → 5 → 0.3 → 5 Mb/s",
    layers_behind_a_token_bucket: "three layers, token bucket of 5 kB, 5 → 0.7 → 5 → 0.3 → 5 Mb/s",
    layers_behind_a_policer: "three layers, policer of 0.7 Mb/s, 15 kB",
    a_receiver_that_stands_still: "three layers and two voices, 5 Mb/s, a receiver that stands still for 120 ms",
    feedback_that_is_missing_for_two_seconds: "3 Mb/s, no feedback for 2 s",
    loss_before_us_is_not_the_links: "3 Mb/s, 10 % lost before us",
}

/// Prints the table of `benches/BANDWIDTH.md`. `ROW` in the environment prints the rows whose names contain it.
#[test]
#[ignore = "it prints; the rows are tests of their own"]
fn the_table() {
    let only = std::env::var("ROW").unwrap_or_default();
    println!("| link | figure | bar | ours | `goog_cc` | `Gcc` |\n|---|---|---|---|---|---|");
    let shown = |value: f64| {
        if value.is_finite() {
            format!("{value:.1}")
        } else {
            "never".to_owned()
        }
    };
    for row in ROWS.iter().filter(|row| row.name.contains(&only)) {
        let [ours, webrtcs, interceptors] = [OURS, WEBRTCS, INTERCEPTORS].map(|make| worst(row.name, make));
        for (index, figure) in ours.iter().enumerate() {
            let name = if index == 0 { row.name } else { "" };
            let others = [&webrtcs, &interceptors].map(|all| shown(all[index].value));
            let [webrtc, interceptor] = others;
            let ours = shown(figure.value);
            println!(
                "| {name} | {} | {} | {ours} | {webrtc} | {interceptor} |",
                figure.what, figure.bar
            );
        }
    }
}
