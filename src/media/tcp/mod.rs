//! Media by TCP (RFC 6544, passive), for clients whose network lets no UDP through. Packets are framed (RFC 4571): two bytes of length before
//! each. So far these are the pure parts.

pub mod first_bytes;
pub mod framing;
pub mod outgoing;
