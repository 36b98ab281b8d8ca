//! The integration tests: one binary, one module a subject.

mod clients;
mod hostile;
mod netsim;
mod pages;
mod repair;
mod restart;
#[path = "../support/mod.rs"]
mod support;
mod tidy;
mod transcripts;
mod websocket;
mod worker;
