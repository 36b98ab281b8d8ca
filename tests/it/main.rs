//! The integration tests: one binary, one module a subject.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by its panic"
)]

mod arrows;
mod calls;
mod cli;
mod clients;
mod conference;
mod desk;
mod front;
mod hostile;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../support/house.rs"]
mod house;
#[cfg(feature = "load")]
mod load;
mod netsim;
mod pages;
mod push;
mod repair;
mod restart;
// It asks the workers whether what they keep agrees, which a release build does not answer.
#[cfg(debug_assertions)]
mod simulation;
mod storage;
#[path = "../support/mod.rs"]
mod support;
mod tidy;
mod transcripts;
mod websocket;
mod whip;
mod wire_words;
mod worker;
