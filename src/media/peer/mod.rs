//! One WebRTC connection.

pub mod negotiate;
