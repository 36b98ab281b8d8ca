//! A seeded network between the engine's worker and webrtc-rs connections, in virtual time.

mod client;
mod interceptors;
mod media;
pub mod network;
mod received;
mod scenarios;
mod slow_link;
mod world;
