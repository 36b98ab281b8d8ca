//! The fuzz targets. A target gets bytes, reads them as the program would, and panics if a rule is broken on which
//! other code relies. The driver makes the bytes: `engine.rs` on stable Rust, libFuzzer in `fuzz/`.

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../../support/media_client.rs"]
mod media_client;

mod bytes;
mod conferences;
mod dapi;
mod dependency;
mod feedback;
mod files;
mod ice;
mod media;
mod members;
mod recording;
mod rewriter;
mod rules;
mod sdp;
mod signaling;
mod tcp;
mod turn;

use std::time::Instant;

/// The longest input, for every driver: the longest offer among the fixtures fits.
pub const INPUT_BYTES: usize = 16 * 1024;

pub struct Target {
    /// The target's name, and that of its folder in the corpus.
    pub name: &'static str,
    /// Inputs to begin with: changes of them reach deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// The function that makes what all inputs share, and returns the function that runs one of them.
    pub prepare: fn() -> Run,
}

pub type Run = Box<dyn Fn(&[u8])>;

pub const ALL: &[Target] = &[
    ice::STUN,
    ice::CHECKS,
    media::DTLS,
    media::RTP,
    media::RTCP,
    media::PAYLOADS,
    dependency::DEPENDENCY,
    members::MEMBERS,
    feedback::FEEDBACK,
    sdp::SDP,
    signaling::GROUPCALL,
    signaling::CALL,
    signaling::DEVICES,
    signaling::MESSAGES,
    signaling::TOGETHER,
    conferences::CONFERENCES,
    dapi::DAPI,
    rules::RULES,
    files::MULTIPART,
    files::MULTIPART_TYPE,
    recording::RECORDING,
    rewriter::REWRITER,
    tcp::FRAMES,
    tcp::OUTGOING,
    turn::TURN,
];

pub fn named(name: &str) -> &'static Target {
    let found = ALL.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no target is called {name}"))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a target's time begins now; from then on it is virtual"
)]
fn now() -> Instant {
    Instant::now()
}
