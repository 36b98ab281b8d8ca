//! Fuzzing: whatever bytes arrive, nothing panics, loops, or breaks a rule that its reader relies on.
//!
//! Each target starts from the inputs in `corpus/TARGET/` and from those in its code, changes them at random, and runs for
//! `PATCHBAY_FUZZ_SECONDS` (default 2). The seed is drawn, and printed when an input fails; `PATCHBAY_FUZZ_SEED` repeats a run.
//! An input that fails is written below `target/fuzz/`: mend what it shows, and move it into the corpus. `tests/fuzz-long` runs for longer.

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../support/media_client.rs"]
mod media_client;

mod bytes;
mod engine;
mod files;
mod media;
mod members;
mod rules;
mod sdp;
mod signaling;
