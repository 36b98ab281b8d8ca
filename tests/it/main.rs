//! The integration tests: one binary, one module a subject.

mod hostile;
mod pages;
mod repair;
mod tidy;
mod transcripts;
mod websocket;
mod worker;
