//! The integration tests: one binary, one module a subject.

mod hostile;
mod pages;
mod repair;
mod clients;
mod netsim;
mod restart;
#[path = "../support/mod.rs"]
mod support;
mod tidy;
mod transcripts;
mod websocket;
mod worker;
