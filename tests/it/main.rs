//! The integration tests: one binary, one module a subject.

mod pages;
mod tidy;
mod transcripts;
mod websocket;
mod worker;
