//! The whole server, as a process, against clients made of the `webrtc` crate: real sockets on loopback, both families.

mod access;
mod channel;
mod flood;
#[cfg(debug_assertions)]
mod lost_worker;
pub mod peer;
mod relay;
mod relayed;
pub mod scenarios;
pub mod signaling;
mod tcp;
mod tcp_relay;
mod turn_bridge;
