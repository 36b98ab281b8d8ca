//! The media engine.
//!
//! ```text
//! datagrams ─► driver ─► worker ─► demux ─► peer (ice, dtls, srtp) ─► track ─► subscription ─► egress ─► driver
//!              socket,    pure: given the time, returns               loss,     choose,
//!              clock      what to send and when to wake it            cache     rewrite, protect
//! ```
//!
//! A room lives on one worker until it is large. Then several workers serve it. Each has publishers and subscribers of its own,
//! and the workers send what is published to each other over [links](link). An offer (SDP) is read where it arrives, into a
//! [`description::Description`]. Negotiation is a pure function of that, on the signaling side ([`peer::negotiate`]). A worker
//! gets its result as [`session::PeerSpec`].

mod addresses;
mod agenda;
mod allocation;
pub(crate) mod bandwidth;
pub(crate) mod clock;
pub mod codec;
pub mod demux;
pub mod description;
pub mod doorbell;
pub mod driver;
pub(crate) mod egress;
pub mod engine;
pub(crate) mod extension_ids;
mod flags;
pub(crate) mod keyframes;
pub(crate) mod keys;
pub mod launch;
pub(crate) mod layers;
pub mod link;
pub mod load;
pub(crate) mod loudest;
pub mod messages;
pub mod names;
pub(crate) mod packet;
pub(crate) mod padding;
mod path_loss;
pub mod peer;
pub(crate) mod pictures;
pub mod player;
mod playout;
mod redundancy;
pub mod relay;
pub mod remote;
mod replacements;
pub mod report;
pub(crate) mod retransmit;
pub mod rewrite;
pub(crate) mod room;
pub mod rtcp;
pub mod rtp;
pub(crate) mod scalability;
pub mod session;
pub mod speaker;
mod speaking_order;
pub mod stats;
pub(crate) mod steering;
pub mod subscription;
pub mod tcp;
pub mod threads;
pub(crate) mod track;
pub(crate) mod undecodable;
pub mod worker;

#[cfg(test)]
pub(crate) mod virtual_time;
