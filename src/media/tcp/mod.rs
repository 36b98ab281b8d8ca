//! Media by TCP (RFC 6544, passive), for clients whose network lets no UDP through.
//!
//! A client opens the connection, and its packets are framed (RFC 4571): two bytes of length before each. A task reads until the first
//! connectivity check ([`entrance`]). The check names a connection of ours, and that the worker on which it lives
//! ([`ufrag`]). From then on the TCP connection belongs to that worker's thread (`driver/tcp.rs`), as its UDP socket does.
//!
//! To the worker it is one more address of its client ([`Remote`](super::remote::Remote)). It looks the same to everything above: the client nominates it or
//! leaves it, as any path.

pub mod entrance;
pub mod first_bytes;
pub mod framing;
pub mod outgoing;
pub mod ufrag;
