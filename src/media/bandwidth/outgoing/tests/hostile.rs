//! Feedback that lies: the target stays within its limits, and nothing panics.

use proptest::prelude::*;

use super::super::{Estimator, Report};

fn report() -> impl Strategy<Value = Report> {
    let time = prop_oneof![any::<u64>(), 0u64..100_000_000, Just(0), Just(u64::MAX)];
    (
        time.clone(),
        any::<u32>(),
        prop::option::of(time),
        prop::option::of(0u8..4),
    )
        .prop_map(|(sent, bytes, arrived, probe)| Report {
            sent,
            bytes,
            arrived,
            probe,
        })
}

#[derive(Clone, Debug)]
enum Input {
    Sent(u64, u32, Option<u8>),
    Feedback(u64, Option<u64>, Vec<Report>),
    Demand(u64, u64),
    Remb(u64, u64, u8),
    Timeout(u64),
}

fn input() -> impl Strategy<Value = Input> {
    let step = prop_oneof![0u64..200_000, 0u64..20_000_000, any::<u64>()];
    prop_oneof![
        (step.clone(), any::<u32>(), prop::option::of(0u8..4)).prop_map(|(a, b, c)| Input::Sent(a, b, c)),
        (
            step.clone(),
            prop::option::of(any::<u64>()),
            prop::collection::vec(report(), 0..60)
        )
            .prop_map(|(a, b, c)| Input::Feedback(a, b, c)),
        (step.clone(), any::<u64>()).prop_map(|(a, b)| Input::Demand(a, b)),
        (step.clone(), any::<u64>(), any::<u8>()).prop_map(|(a, b, c)| Input::Remb(a, b, c)),
        step.prop_map(Input::Timeout),
    ]
}

proptest! {
    #[test]
    fn nothing_that_is_told_breaks_it(inputs in prop::collection::vec(input(), 1..120)) {
        let mut estimator = Estimator::new(0);
        let mut now = 0u64;
        for input in inputs {
            let mut pass = |step: u64| {
                now = now.saturating_add(step);
                now
            };
            match input {
                Input::Sent(step, bytes, probe) => estimator.sent(pass(step), bytes, probe),
                Input::Feedback(step, round_trip, reports) => estimator.feedback(pass(step), round_trip, &reports),
                Input::Demand(step, rate) => estimator.demand(pass(step), rate),
                Input::Remb(step, rate, lost) => estimator.remb(pass(step), rate, lost),
                Input::Timeout(step) => estimator.timeout(pass(step)),
            }
            if let Some(probe) = estimator.next_probe(now) {
                prop_assert!(probe.bits_per_second <= 36_000_000 && probe.packets_min > 0, "{:?}", probe);
            }
            let outcome = estimator.outcome();
            prop_assert!((50_000..=30_000_000).contains(&outcome.target), "{:?}", outcome);
            prop_assert!(outcome.smooth <= 30_000_000, "{:?}", outcome);
            prop_assert!(estimator.next_timeout().is_none_or(|at| at > now || now == u64::MAX));
        }
    }
}

#[test]
fn the_state_is_small() {
    assert!(size_of::<Estimator>() <= 4_096, "{}", size_of::<Estimator>());
}
