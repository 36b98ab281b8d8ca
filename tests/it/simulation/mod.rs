//! Hub, families, media workers, clients and the network between them, all in one and in virtual time, with faults: workers die
//! or stand still, sockets die, storage is slow or fails, the process stands still, packets are lost, delayed, repeated and
//! reordered. The events of a run are drawn from its seed.
//!
//! A run has three parts. First everything happens that the plan wants. Then nothing fails any longer, and within a limit of
//! time everybody has to be where they want to be, to know who else is there, and to get media. At last everybody leaves, and
//! nothing may be left. Meanwhile each packet, message and count is judged, and the insides of the workers are checked.
//! `judge.rs`, `person.rs`, `account.rs`, `engines.rs`, `run.rs`, `audit.rs`, `silence.rs` and `expectations.rs` say why what they demand
//! must hold. Each check must have had something to judge at least once over all runs (`tally.rs`).
//!
//! `PATCHBAY_SIMULATION_SEED=17 cargo test --test it simulation -- --nocapture` repeats one run, and prints all that happens in
//! it. `PATCHBAY_SIMULATION_RUNS` says how many seeds are tried.

mod account;
mod asker;
mod audit;
mod calls;
mod connection;
mod deeds;
mod disturbance;
mod engines;
mod expectations;
mod family;
mod gauges;
mod group;
mod hosts;
mod judge;
mod person;
mod plan;
mod run;
mod silence;
mod socket;
mod stays;
mod storage;
mod streams;
mod surroundings;
mod tally;
mod writers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use engines::WORKERS;
use gauges::Gauges;
use hosts::HostDeed;
use person::Person;
use plan::{Ask, Deed, Fault, LOSSES_MAX, Plan, Role};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use run::{Identities, Run};
use surroundings::Log;
use tally::Tally;

/// The number of runs if nothing else is set.
const RUNS: u64 = 1_000;

/// A time long enough for a run on the busiest machine. A run that takes longer stands still at one instant of virtual time.
const REAL_TIME_MAX: Duration = Duration::from_secs(120);

/// A worker that hangs is noticed after ten seconds, a dead connection restarted after eight, and both may come together.
const WELL_WITHIN: Duration = Duration::from_secs(40);

/// A call rings at once at those who are there, and some of them read late.
const RINGS_WITHIN: Duration = Duration::from_secs(6);

/// Storage is asked whether somebody may come, and may have become slow just before.
const REACHABLE_WITHIN: Duration = Duration::from_secs(4);

/// A socket whose client has vanished is noticed after 25 s, and closing takes a few more.
const REMOVED_WITHIN: Duration = Duration::from_secs(40);

/// The number of runs in which every check has something to judge.
const ENOUGH_RUNS: u64 = 300;

/// The part of the runs in which a worker is lost while everybody leaves.
const LOST_AT_THE_END_IN: f64 = 0.3;

/// Lines of a failed run's log that are printed.
const LOG_TAIL: usize = 80;

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")),
    )
}

fn identities() -> &'static Identities {
    static IDENTITIES: OnceLock<Identities> = OnceLock::new();
    IDENTITIES.get_or_init(Identities::generate)
}

/// Runs once. Any error in it panics. Its log is written as it goes on.
fn run(seed: u64, log: Log) -> Tally {
    let plan = Plan::draw(seed);
    let gauges = Arc::new(Gauges::default());
    let _recording = metrics::set_default_local_recorder(&*gauges);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut run = Run::new(seed, &plan, identities(), gauges.clone(), log);
        run.follow(&plan).await;
        let mut random = StdRng::seed_from_u64(!seed);
        settle(&mut run, &mut random).await;
        leave(&mut run, &mut random).await;
        run.end().await
    })
}

/// Nothing fails any more: everybody must get what they want.
async fn settle(run: &mut Run, random: &mut StdRng) {
    run.calm_down();
    run.unseen(None).await;
    run.moderate(HostDeed::Leave).await;
    for index in 0..run.people.len() {
        if random.random_bool(0.8) || matches!(run.people[index].role, Role::Caller(_) | Role::Callee) {
            run.act(index, Deed::Come);
        }
    }
    let since_ms = run.at.now_ms() + 200;
    let is_well = run.go_on(WELL_WITHIN, |run| run.missing(since_ms).is_empty()).await;
    assert!(is_well, "not within {WELL_WITHIN:?}: {:#?}", run.missing(since_ms));
    let is_there = |person: &Person| person.is_in && matches!(person.role, Role::Writer(_));
    if run.people.iter().any(is_there) {
        // Whoever has just come is reachable by then.
        run.go_on(REACHABLE_WITHIN, |_| false).await;
        run.ask(Ask::Call).await;
        let all_ring = run.go_on(RINGS_WITHIN, |run| run.not_rung().is_empty()).await;
        assert!(all_ring, "not within {RINGS_WITHIN:?}: {:#?}", run.not_rung());
        run.at.tally.calls_that_rang_at_all += 1;
        run.invite_account();
        let all_agreed = run.go_on(RINGS_WITHIN, |run| run.not_agreed().is_empty()).await;
        assert!(all_agreed, "not within {RINGS_WITHIN:?}: {:#?}", run.not_agreed());
    }
}

/// Everybody leaves, each in their own way: nothing may be left.
async fn leave(run: &mut Run, random: &mut StdRng) {
    run.at.note("leaving");
    run.ask(Ask::Leave).await;
    run.account.leave();
    for index in 0..run.people.len() {
        match random.random_range(0..5) {
            0 => run.act(index, Deed::Vanish),
            1 => {
                run.act(index, Deed::Leave);
                run.act(index, Deed::CloseSocket);
            }
            _ => run.act(index, Deed::CloseSocket),
        }
    }
    if random.random_bool(LOST_AT_THE_END_IN) && run.engines.lock().losses() < LOSSES_MAX {
        // The server does not know yet that some have vanished.
        let after = Duration::from_millis(random.random_range(0..3_000));
        run.go_on(after, |_| false).await;
        run.at.tally.workers_lost_at_the_end += 1;
        run.fail(Fault::WorkerDies(random.random_range(0..WORKERS))).await;
    }
    let is_empty = run.go_on(REMOVED_WITHIN, |run| run.leftovers().is_empty()).await;
    assert!(is_empty, "left after {REMOVED_WITHIN:?}: {:#?}", run.leftovers());
}

/// Runs one after the other. Returns an error with its seed.
fn run_all(seeds: &[u64], done: &mpsc::Sender<u64>) -> Result<(), String> {
    let mut tally = Tally::default();
    for &seed in seeds {
        let log = Log::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, log.clone())));
        let lines = log.lock().map(|lines| lines.clone()).unwrap_or_default();
        let is_alone = seeds.len() == 1;
        if outcome.is_err() || is_alone {
            let left_out = if is_alone {
                0
            } else {
                lines.len().saturating_sub(LOG_TAIL)
            };
            println!("{:#?}", Plan::draw(seed).events);
            println!("{}", lines[left_out..].join("\n"));
        }
        let judged = outcome.map_err(|_| {
            format!(
                "the run of seed {seed} failed; repeat it with PATCHBAY_SIMULATION_SEED={seed}, see CONTRIBUTING.md"
            )
        })?;
        tally.add(&judged);
        // Nobody listens after a failure.
        done.send(seed).ok();
    }
    println!("{tally:#?}");
    let missing = tally.missing();
    match seeds.len() as u64 >= ENOUGH_RUNS && !missing.is_empty() {
        true => Err(format!("never judged in {} runs: {missing:?}", seeds.len())),
        false => Ok(()),
    }
}

#[test]
fn rooms_and_calls_outlive_failures_around_them() {
    let seeds: Vec<u64> = match setting("PATCHBAY_SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (1..=setting("PATCHBAY_SIMULATION_RUNS").unwrap_or(RUNS)).collect(),
    };
    let (done, finished) = mpsc::channel();
    let runs = std::thread::spawn(move || run_all(&seeds, &done));
    let mut last = None;
    loop {
        match finished.recv_timeout(REAL_TIME_MAX) {
            Ok(seed) => last = Some(seed),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the run after that of seed {last:?} does not end: virtual time stands still")
            }
        }
    }
    if let Err(failure) = runs.join().expect("failures are caught") {
        panic!("{failure}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1..=8 {
        let lines = || {
            let log = Log::default();
            // An error in it is for the other test to report.
            catch_unwind(AssertUnwindSafe(|| run(seed, log.clone()))).ok();
            log.lock().map(|lines| lines.clone()).unwrap_or_default()
        };
        let (first, again) = (lines(), lines());
        let differs = first.iter().zip(&again).position(|(one, other)| one != other);
        assert_eq!(
            differs.map(|at| (&first[at], &again[at])),
            None,
            "the first line that differs, of seed {seed}"
        );
        assert_eq!(first.len(), again.len(), "lines of seed {seed}");
        assert!(first.len() > 20, "little happens in the run of seed {seed}");
    }
}
