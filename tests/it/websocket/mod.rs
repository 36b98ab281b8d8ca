//! The WebSocket loop: over a socket of channels in virtual time, and over real sockets of a whole server.

mod devices;
mod floods;
mod guesses;
mod messages;
mod pace;
mod resume;
mod resume_sockets;
mod sockets;
mod storms;
pub mod wire;
