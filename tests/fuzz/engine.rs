//! Makes inputs and runs them, for a bounded time.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::targets::{INPUT_BYTES, Target};

/// The longest time for one input. Real ones take microseconds; a crowded machine may stop the process for a
/// while.
const INPUT_WITHIN: Duration = Duration::from_secs(10);
/// Values at which lengths and counters break.
const EDGES: [u8; 10] = [0, 1, 2, 3, 0x0f, 0x10, 0x7f, 0x80, 0xfe, 0xff];

/// Runs a target with the inputs kept for it, with its seeds, and with changes of these.
pub fn fuzz(target: &Target) {
    let seconds = number("PATCHBAY_FUZZ_SECONDS").unwrap_or(2);
    let seed = number("PATCHBAY_FUZZ_SEED").unwrap_or_else(rand::random);
    fuzz_for(target, Duration::from_secs(seconds), seed);
}

pub fn fuzz_for(target: &Target, time: Duration, seed: u64) {
    let name = target.name;
    let run_one = (target.prepare)();
    let mut inputs = (target.seeds)();
    let seeds = inputs.len();
    inputs.extend(kept(name));
    let kept = inputs.len() - seeds;
    inputs.push(Vec::new());
    let until = now() + time;
    for input in &inputs {
        run(name, seed, input, &run_one);
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut runs = inputs.len();
    while now() < until {
        for _ in 0..64 {
            let input = change(&mut random, &inputs);
            run(name, seed, &input, &run_one);
            runs += 1;
        }
    }
    println!("{name}: {runs} inputs, {kept} of them kept; seed {seed}");
}

fn run(name: &str, seed: u64, input: &[u8], target: &dyn Fn(&[u8])) {
    let began = now();
    let result = catch_unwind(AssertUnwindSafe(|| target(input)));
    let took = now() - began;
    if result.is_ok() && took < INPUT_WITHIN {
        return;
    }
    let file = keep(name, input);
    eprintln!(
        "{name}: an input of {} bytes failed after {took:?}; seed {seed}; it is in {}",
        input.len(),
        file.display()
    );
    match result {
        Err(panic) => resume_unwind(panic),
        Ok(()) => panic!("{name}: an input took {took:?}"),
    }
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz").join(name);
    let sum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let file = folder.join(format!("{sum:016x}"));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, input))
        .expect("a folder for failures");
    file
}

/// The corpus: a folder for each target.
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn kept(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus().join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a corpus file").path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read(file).expect("a corpus file"))
        .collect()
}

/// One of the inputs, with one to eight changes.
fn change(random: &mut StdRng, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = inputs[random.random_range(0..inputs.len())].clone();
    for _ in 0..random.random_range(1..=8) {
        let at = random.random_range(0..=input.len());
        let len = random.random_range(0..=input.len() - at).min(64);
        match random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = EDGES[random.random_range(0..EDGES.len())],
            2 if at < input.len() => input[at] = random.random(),
            3 if at + 1 < input.len() => {
                let value = [0, 1, 0xff, input.len() as u16, 0xffff][random.random_range(0..5)];
                input[at..at + 2].copy_from_slice(&value.to_be_bytes());
            }
            4 => drop(input.drain(at..at + len)),
            5 => input.truncate(at),
            6 => {
                let copy = input[at..at + len].to_vec();
                input.splice(at..at, copy);
            }
            7 => {
                let other = &inputs[random.random_range(0..inputs.len())];
                let from = random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.insert(at, random.random()),
        }
    }
    input.truncate(INPUT_BYTES);
    input
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} must be a number, and is {text:?}")),
    )
}

#[allow(clippy::disallowed_methods, reason = "the engine runs for a time")]
fn now() -> Instant {
    Instant::now()
}
