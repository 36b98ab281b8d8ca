//! What single inputs do: REMB, silence, demand, and the times at which the estimator wants to be called.

use super::super::flight::Lost;
use super::super::loss::{Answer, Loss, Verdict};
use super::super::{Estimator, Micros, Report, State};
use super::link::Path;
use super::measure::Run;
use super::world::{Conduct, Controller, SECOND};

const MBIT: u64 = 1_000_000;

/// Sends at `rate` for a while, and all of it arrives after 20 ms.
fn send(estimator: &mut Estimator, from: Micros, to: Micros, rate: u64) {
    let gap = 1_200 * 8 * SECOND / rate;
    let (mut now, mut reports) = (from, Vec::new());
    while now < to {
        estimator.sent(now, 1_200, None);
        reports.push(Report {
            sent: now,
            bytes: 1_200,
            arrived: Some(now + 20_000),
            probe: None,
        });
        if reports.last().unwrap().sent >= reports[0].sent + 60_000 {
            estimator.feedback(now + 40_000, Some(40_000), &reports);
            reports.clear();
        }
        now += gap;
    }
    estimator.feedback(now + 40_000, Some(40_000), &reports);
}

/// The time until the next probe, if nothing is sent from now on and nothing is reported.
fn until_a_probe(estimator: &mut Estimator, now: Micros) -> Option<Micros> {
    let mut at = now;
    while at < now + 20 * SECOND {
        at = estimator.next_timeout()?;
        estimator.timeout(at);
        if estimator.next_probe(at).is_some() {
            return Some(at - now);
        }
    }
    None
}

/// Everything waits behind a receiver that did not read for a while, and some of it is lost. Then no rate is left for video, so nothing
/// more is reported.
#[test]
fn a_path_to_which_nothing_is_sent_is_taken_for_empty_after_a_while() {
    for (lost_of_ten, queue) in [(0, 420_000), (0, 80_000), (3, 420_000), (4, 80_000)] {
        let mut estimator = Estimator::new(0);
        estimator.demand(0, 8 * MBIT);
        send(&mut estimator, 0, 3 * SECOND, MBIT);
        let mut now = 3 * SECOND;
        for _ in 0..8 {
            let packet = |number: u64| Report {
                sent: now + number * 10_000,
                bytes: 1_200,
                arrived: (number % 10 >= lost_of_ten).then_some(now + number * 10_000 + 20_000 + queue),
                probe: None,
            };
            let reports: Vec<Report> = (0..10).map(packet).collect();
            reports
                .iter()
                .for_each(|report| estimator.sent(report.sent, report.bytes, None));
            now += 100_000;
            estimator.feedback(now + queue, Some(40_000), &reports);
        }
        now += queue;
        assert_eq!(estimator.next_probe(now), None, "{lost_of_ten} {queue}");
        let waited = until_a_probe(&mut estimator, now);
        assert!(
            waited.is_some_and(|waited| waited < 3 * SECOND),
            "{lost_of_ten} {queue}: {waited:?}, {:?}",
            estimator.outcome()
        );
    }
}

#[test]
fn a_receivers_own_estimate_counts_where_packets_are_not_reported() {
    let mut estimator = Estimator::new(0);
    estimator.remb(SECOND, 2 * MBIT, 0);
    assert_eq!(estimator.outcome().target, 1_900_000);
    assert_eq!(estimator.outcome().proven, 1_900_000);
    estimator.remb(2 * SECOND, 2 * MBIT, 128);
    assert_eq!(estimator.outcome().target, 1_900_000 * 384 / 512, "half is lost");
    estimator.remb(2 * SECOND + 100_000, 2 * MBIT, 128);
    assert_eq!(estimator.outcome().target, 1_900_000 * 384 / 512, "it is the same loss");
    for second in 3..20 {
        estimator.remb(second * SECOND, 2 * MBIT, 0);
    }
    assert_eq!(estimator.outcome().target, 1_900_000);
    estimator.remb(20 * SECOND, 0, 0);
    assert_eq!(estimator.outcome().target, 50_000);
}

#[test]
fn a_receivers_own_estimate_is_left_aside_where_packets_are_reported() {
    let mut estimator = Estimator::new(0);
    send(&mut estimator, 0, SECOND, 300_000);
    let target = estimator.outcome().target;
    estimator.remb(SECOND, 100_000, 0);
    assert_eq!(estimator.outcome().target, target);
    estimator.remb(12 * SECOND, 100_000, 0);
    assert_eq!(estimator.outcome().target, 95_000);
}

/// The number of times that padding is sent in a minute in which a receiver's own estimate grows by so many percent a second.
fn probes_for_estimate(percent: u64) -> usize {
    let mut estimator = Estimator::new(0);
    estimator.demand(0, 100 * MBIT);
    let (mut estimate, mut probes) = (MBIT, 0);
    for half in 1..=120 {
        let now = half * SECOND / 2;
        estimator.remb(now, estimate, 0);
        estimate += estimate * percent / 200;
        if let Some(probe) = estimator.next_probe(now) {
            probes += 1;
            assert_eq!(probe.bits_per_second, estimator.outcome().target);
            assert!(u64::from(probe.bytes) * 4 + 4 > probe.bits_per_second, "two seconds");
            estimator.sent(now, probe.bytes, Some(probe.cluster));
        }
    }
    probes
}

#[test]
fn padding_for_a_receivers_own_estimate_goes_on_while_it_grows_and_becomes_rare() {
    let (growing, not) = (probes_for_estimate(6), probes_for_estimate(0));
    assert!((12..=24).contains(&growing), "{growing}");
    assert!((3..=6).contains(&not), "{not}");
}

#[test]
fn without_reports_less_is_sent_and_at_last_none() {
    let mut estimator = Estimator::new(0);
    send(&mut estimator, 0, SECOND, 300_000);
    let before = estimator.outcome().target;
    let begin = 2 * SECOND;
    estimator.sent(begin, 1_200, None);
    for (seconds, part, state) in [(2, 2, false), (4, 4, false), (6, 8, false), (8, 8, true)] {
        let at = begin + seconds * SECOND;
        assert_eq!(estimator.next_timeout(), Some(at));
        estimator.timeout(at - 1);
        estimator.timeout(at);
        let outcome = estimator.outcome();
        assert!(outcome.target <= (before / part).max(50_000), "{seconds}: {outcome:?}");
        assert_eq!(outcome.state == State::Silent, state, "{seconds}");
    }
    assert_eq!(estimator.next_timeout(), None, "there is nothing more to do");
    let report = Report {
        sent: begin,
        bytes: 1_200,
        arrived: Some(begin + 20_000),
        probe: None,
    };
    estimator.demand(11 * SECOND, 3 * MBIT);
    estimator.feedback(11 * SECOND, None, &[report]);
    assert_ne!(estimator.outcome().state, State::Silent);
    assert!(
        estimator.next_probe(11 * SECOND).is_some(),
        "the old rate is tried at once"
    );
}

#[test]
fn who_sends_nothing_and_wants_nothing_is_not_woken() {
    let mut estimator = Estimator::new(0);
    assert_eq!(estimator.next_timeout(), None);
    estimator.demand(SECOND, 0);
    assert_eq!(estimator.next_timeout(), None);
    assert_eq!(estimator.outcome().target, 50_000);
    estimator.demand(2 * SECOND, MBIT);
    assert!(estimator.next_probe(2 * SECOND).is_some(), "more is wanted than before");
    assert!(estimator.next_timeout().is_some());
}

#[test]
fn what_was_proven_ends_with_a_fall() {
    let mut estimator = Estimator::new(0);
    estimator.demand(0, 8 * MBIT);
    let probe = estimator.next_probe(0).unwrap();
    assert_eq!(probe.bits_per_second, 900_000);
    let mut reports = Vec::new();
    for number in 0..20 {
        let at = number * 1_200 * 8 * SECOND / 900_000;
        estimator.sent(at, 1_200, Some(probe.cluster));
        reports.push(Report {
            sent: at,
            bytes: 1_200,
            arrived: Some(at + 20_000),
            probe: Some(probe.cluster),
        });
    }
    estimator.feedback(260_000, Some(40_000), &reports);
    let outcome = estimator.outcome();
    assert!((800_000..=1_100_000).contains(&outcome.proven), "{outcome:?}");
    assert_eq!((outcome.probes_won, outcome.probes_lost), (1, 0));
    assert_eq!(outcome.target, outcome.proven);
    // Now the path carries 200 kb/s, and its queue grows.
    for round in 0..20 {
        let sent = 300_000 + round * 50_000;
        let reports: [Report; 4] = std::array::from_fn(|number| Report {
            sent,
            bytes: 1_200,
            arrived: Some(320_000 + (round * 4 + number as u64) * 48_000),
            probe: None,
        });
        estimator.sent(sent, 4_800, None);
        estimator.feedback(320_000 + (round * 4 + 4) * 48_000, Some(40_000), &reports);
    }
    let outcome = estimator.outcome();
    assert!(outcome.proven <= 300_000, "{outcome:?}");
    assert!(outcome.target <= 300_000, "{outcome:?}");
    assert!(outcome.queue_delay > 500_000, "{outcome:?}");
}

/// Feedback of packets that wait one behind the other, at last for `queue`. Returns its time.
fn late(estimator: &mut Estimator, from: Micros, queue: Micros) -> Micros {
    let packet = |number: u64| Report {
        sent: from + number * 20_000,
        bytes: 1_200,
        arrived: Some(from + number * 45_000 + 20_000),
        probe: None,
    };
    let reports: Vec<Report> = (0..=queue / 25_000).map(packet).collect();
    reports
        .iter()
        .for_each(|report| estimator.sent(report.sent, report.bytes, None));
    let at = reports.last().unwrap().sent + queue + 40_000;
    estimator.feedback(at, Some(40_000), &reports);
    at
}

#[test]
fn a_time_in_which_nothing_was_sent_is_no_slow_path() {
    for pause in [0, 600_000] {
        let mut estimator = Estimator::new(0);
        estimator.demand(0, MBIT);
        send(&mut estimator, 0, 2 * SECOND, 300_000);
        let before = estimator.outcome().target;
        // Everything stood still, and what was sent first after it came late.
        late(&mut estimator, 2 * SECOND + pause, 0);
        late(&mut estimator, 2 * SECOND + pause + 60_000, 125_000);
        let is_lower = estimator.outcome().target < before;
        assert_eq!(is_lower, pause == 0, "{pause}: {before} {:?}", estimator.outcome());
    }
}

/// Pictures of four packets each 50 ms, and the sound of two people. What is sent while the receiver stands still is read at its end.
#[test]
fn packets_that_are_late_together_lower_nothing() {
    for (sounds, pictures) in [(1, 0), (2, 0), (0, 1), (3, 1), (0, 4), (12, 8)] {
        let mut estimator = Estimator::new(0);
        estimator.demand(0, MBIT);
        send(&mut estimator, 0, 2 * SECOND, 800_000);
        let (before, still) = (estimator.outcome().target, 2 * SECOND + 10_000);
        let goes_on = still + 110_000;
        let packet = |sent: Micros, bytes| Report {
            sent,
            bytes,
            arrived: Some(goes_on.max(sent + 20_000)),
            probe: None,
        };
        // What the first report tells of.
        let sounds = (0..sounds).map(|number| packet(still + number * 8_000, 149));
        let pictures = (0..pictures).map(|number| packet(still + number / 4 * 50_000, 1_100));
        let mut reports: Vec<Report> = sounds.chain(pictures).collect();
        reports.sort_by_key(|report| report.sent);
        reports
            .iter()
            .for_each(|report| estimator.sent(report.sent, report.bytes, None));
        estimator.feedback(goes_on + 10_000, Some(40_000), &reports);
        let after = estimator.outcome().target;
        assert!(after >= before, "{}: {before} → {after}", reports.len());
    }
}

#[test]
fn nothing_is_probed_just_after_a_fall() {
    let mut estimator = Estimator::new(0);
    estimator.demand(0, MBIT);
    send(&mut estimator, 0, 2 * SECOND, 300_000);
    late(&mut estimator, 2 * SECOND, 0);
    let fell = late(&mut estimator, 2 * SECOND + 60_000, 125_000);
    assert_eq!(estimator.outcome().state, State::Holding);
    send(&mut estimator, fell, fell + 300_000, 100_000);
    estimator.demand(fell + 400_000, 4 * MBIT);
    assert_eq!(
        estimator.next_probe(fell + 400_000),
        None,
        "more is wanted, but the path was full"
    );
    send(&mut estimator, fell + 400_000, fell + 1_100_000, 100_000);
    assert!(estimator.next_probe(fell + 1_200_000).is_some());
}

#[test]
fn a_probe_that_makes_a_queue_ends() {
    for queue in [10_000, 50_000] {
        let mut estimator = Estimator::new(0);
        estimator.demand(0, 8 * MBIT);
        let probe = estimator.next_probe(0).unwrap();
        let packet = |number: u64, estimator: &mut Estimator| {
            let sent = number * 10_000;
            estimator.sent(sent, 1_200, Some(probe.cluster));
            Report {
                sent,
                bytes: 1_200,
                arrived: Some(sent + 20_000 + number * queue / 8),
                probe: Some(probe.cluster),
            }
        };
        let reports: [Report; 9] = std::array::from_fn(|number| packet(number as u64, &mut estimator));
        estimator.feedback(170_000, Some(40_000), &reports);
        assert_eq!(estimator.ends_probe(), queue > 30_000, "{queue}");
    }
}

#[test]
fn loss_that_stays_with_the_same_delivery_shows_a_full_path() {
    for (arrived, verdict) in [
        (800_000, Verdict::Full { arrived: 800_000 }),
        (640_000, Verdict::Inherent { target: MBIT }),
    ] {
        let mut loss = Loss::new();
        let second = |loss: &mut Loss, from: Micros| {
            (0..100).for_each(|number| loss.packet(from + number * 10_000, number % 5 == 0));
        };
        second(&mut loss, SECOND);
        loss.begin_trial(2 * SECOND, 40_000, MBIT, 800_000, 0.8);
        second(&mut loss, 2 * SECOND);
        // A fifth is lost as before, though less is sent.
        assert_eq!(loss.judge(3 * SECOND, arrived), None, "too early");
        assert_eq!(loss.judge(3 * SECOND + 100_000, arrived), Some(verdict));
    }
}

#[test]
fn a_probe_says_why_packets_are_lost() {
    let lost = |packets, lost| Lost {
        packets,
        lost,
        sent: 2 * MBIT,
        saturated: false,
    };
    let slow = Lost {
        sent: MBIT,
        ..lost(40, 8)
    };
    let saturated = |lost| Lost {
        saturated: true,
        ..lost
    };
    for (shown, is_filled, answer) in [
        (lost(40, 8), true, Answer::Chance),
        (lost(40, 24), true, Answer::Full),
        (lost(40, 24), false, Answer::Unclear),
        (saturated(lost(40, 24)), false, Answer::Full),
        (saturated(lost(40, 8)), false, Answer::Unclear),
        // Media leave in bursts, which a short queue does not hold.
        (lost(40, 0), true, Answer::Unclear),
        (lost(11, 2), true, Answer::Unclear),
        (slow, true, Answer::Unclear),
    ] {
        let mut loss = Loss::new();
        (0..100).for_each(|number| loss.packet(SECOND + number * 10_000, number % 5 == 0));
        assert!(loss.is_significant() && loss.may_be_chance());
        assert_eq!(loss.ask(2 * SECOND, 40_000, MBIT, is_filled), 2 * MBIT);
        assert_eq!(loss.answer(shown), answer, "{shown:?}");
        let next = if shown.saturated { MBIT / 2 * 3 } else { 2 * MBIT };
        if answer == Answer::Unclear {
            assert_eq!(loss.ask(3 * SECOND, 40_000, MBIT, is_filled), next);
        }
        let is_known = loss.inherent() > 0.15;
        assert_eq!(is_known, answer == Answer::Chance, "{shown:?}");
    }
}

#[test]
fn an_answer_is_not_waited_for_for_ever() {
    let mut loss = Loss::new();
    loss.ask(SECOND, 40_000, MBIT, false);
    assert!(loss.is_busy() && loss.may_ask_again());
    assert!(!loss.is_unanswered(SECOND + 700_000));
    assert_eq!(loss.ask(SECOND + 700_000, 40_000, MBIT, false), 2 * MBIT);
    assert!(!loss.may_ask_again());
    assert!(loss.is_unanswered(SECOND + 1_500_000));
    assert!(!loss.is_busy());
}

/// An estimator that believes that a fifth is lost by chance.
fn believer() -> Estimator {
    let mut estimator = Estimator::new(0);
    let shown = Lost {
        packets: 40,
        lost: 8,
        sent: 2 * MBIT,
        saturated: false,
    };
    (0..100).for_each(|number| estimator.loss.packet(number * 10_000, number % 5 == 0));
    estimator.loss.ask(0, 40_000, MBIT, true);
    assert_eq!(estimator.loss.answer(shown), Answer::Chance);
    estimator.loss.begin_anew(0);
    estimator
}

/// Before, it was asked once, and a policer that took a fifth of all packets did so for ever.
#[test]
fn what_is_believed_to_be_lost_by_chance_is_asked_again() {
    let make = |_| -> Box<dyn Controller> { Box::new(believer()) };
    for seed in 1..=7 {
        let mut policed = Path::of(10_000);
        policed.policer = Some((700_000, 15_000));
        let conduct = Conduct {
            demand: vec![(0, 1_050_000)],
            layers: vec![150_000, 400_000, 850_000],
            ..Conduct::default()
        };
        let run = Run::of(&make, policed, conduct, seed, 60);
        let (before, after) = (run.dropped(2.0, 8.0), run.dropped(20.0, 60.0));
        assert!(before > 8.0, "seed {seed}: {before} % were lost while it was believed");
        assert!(after < 4.0, "seed {seed}: {after} % were lost after that");
    }
}

#[test]
fn a_doubt_changes_nothing_unless_its_answer_is_sure() {
    let mut loss = believer().loss;
    (0..100).for_each(|number| loss.packet(9 * SECOND + number * 10_000, number % 5 == 0));
    assert!(!loss.is_significant() && !loss.is_doubtful(9 * SECOND) && loss.is_doubtful(10 * SECOND));
    loss.ask(10 * SECOND, 40_000, MBIT, true);
    assert!(!loss.is_doubtful(11 * SECOND));
    assert!(!loss.is_unanswered(12 * SECOND), "its belief stays");
    assert!(!loss.is_busy());
    loss.ask(20 * SECOND, 40_000, MBIT, true);
    assert!(loss.keeps_belief() && !loss.is_busy());
}
