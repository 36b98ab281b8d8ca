//! patchbay: a WebRTC selective forwarding unit with its signaling inside.
//!
//! The modules stand in the order in which a request, then a packet, travels. `ARCHITECTURE.md` is the map.

#![forbid(unsafe_code)]

pub(crate) mod alias;
pub mod clock;
pub mod destination;
pub mod ids;
pub mod pinning;
pub(crate) mod ports;
pub mod pulse;
pub mod shares;
pub mod sound;
mod tasks;
pub(crate) mod text;
pub mod video;
mod whole_file;
mod x509;

pub mod cli;
pub mod config;
pub mod server;

pub mod http;
pub mod signaling;

pub mod accounts;
pub mod acme;
pub mod auth;
pub mod channels;
pub mod conferences;
pub mod domain;
pub mod hub;
pub mod push;
pub mod robots;
pub mod storage;
pub mod webhooks;

#[allow(
    clippy::indexing_slicing,
    reason = "packets are sliced as their headers say, after a look at their length: the fuzz targets try that; and the keys \
              that a worker keeps are of what it has, as worker/audit.rs checks"
)]
pub mod media;

#[cfg(feature = "load")]
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "where it panics, a measurement ends, and nothing else"
)]
pub mod load;
