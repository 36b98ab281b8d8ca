//! Fuzzing: whatever bytes arrive, nothing panics, loops, or breaks a rule that its reader relies on.
//!
//! `targets/` says what is fuzzed. Here it runs on stable Rust: each target starts from the inputs in `corpus/TARGET/` and
//! from those in its code, changes them at random, and runs for `PATCHBAY_FUZZ_SECONDS` (default 2). The seed is drawn, and
//! printed when an input fails; `PATCHBAY_FUZZ_SEED` repeats a run. An input that fails is written below `target/fuzz/`: mend
//! the fault that it shows, and move it into the corpus. `tests/fuzz-long` runs for longer; if there is nightly Rust, it uses
//! libFuzzer (`fuzz/`), which follows the code that inputs reach.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a target fails by its panic"
)]

mod engine;
mod targets;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use engine::{corpus, fuzz, fuzz_for};
use targets::{ALL, INPUT_BYTES, Target, named};

/// The most kept inputs for a clone of the repository to carry, and for a test run to begin with.
const CORPUS_FILES_MAX: usize = 2_000;
const CORPUS_BYTES_MAX: usize = 1_000_000;

/// One test for each target, so that they run beside one another and one can be asked for.
macro_rules! fuzz_targets {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                fuzz(named(stringify!($target)));
            }
        )*

        #[test]
        fn every_target_is_fuzzed() {
            let tested = vec![$(stringify!($target)),*];
            assert_eq!(tested, names());
        }
    };
}

fuzz_targets! {
    stun
    checks
    dtls
    rtp
    rtcp
    payloads
    dependency
    members
    feedback
    sdp
    groupcall
    call
    devices
    messages
    together
    conferences
    dapi
    rules
    multipart
    multipart_type
    recording
    rewriter
    frames
    outgoing
    turn
}

fn names() -> Vec<&'static str> {
    ALL.iter().map(|target| target.name).collect()
}

/// The files kept for a target, found without the engine.
fn files(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus().join(target)).unwrap_or_else(|error| panic!("{target}: {error}"));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_kept_input_is_run() {
    thread_local!(static RUN: RefCell<BTreeSet<Vec<u8>>> = RefCell::default());
    for target in ALL {
        let recorded = Target {
            name: target.name,
            seeds: || vec![b"a seed".to_vec()],
            prepare: || {
                Box::new(|input| {
                    RUN.with_borrow_mut(|run| run.insert(input.to_vec()));
                })
            },
        };
        fuzz_for(&recorded, Duration::ZERO, 1);
        let run = RUN.take();
        let files = files(target.name);
        assert!(!files.is_empty(), "{}: nothing is kept", target.name);
        for file in files {
            assert!(run.contains(&fs::read(&file).unwrap()), "{} is not run", file.display());
        }
        assert!(
            run.contains(&b"a seed"[..]) && run.contains(&b""[..]),
            "{}",
            target.name
        );
    }
}

#[test]
fn the_corpus_is_small_and_has_no_folder_that_nobody_reads() {
    let entries = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut folders: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut targets = names();
    folders.sort();
    targets.sort();
    assert_eq!(folders, targets);
    let all: Vec<PathBuf> = targets.into_iter().flat_map(files).collect();
    let lengths: Vec<usize> = all
        .iter()
        .map(|file| fs::metadata(file).unwrap().len() as usize)
        .collect();
    let bytes: usize = lengths.iter().sum();
    assert!(all.len() <= CORPUS_FILES_MAX, "{} files", all.len());
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
    assert!(lengths.iter().all(|&len| len <= INPUT_BYTES));
}

/// libFuzzer wants a program for each target.
#[test]
fn libfuzzer_has_every_target() {
    let folder = corpus().join("../../../fuzz");
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    let programs: Vec<&str> = programs
        .iter()
        .map(|program| program["name"].as_str().unwrap())
        .collect();
    assert_eq!(programs, names());
    for name in programs {
        let text = fs::read_to_string(folder.join(format!("targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("patchbay_fuzz::target!(\"{name}\");")), "{name}");
    }
}
