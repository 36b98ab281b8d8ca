//! Loss repair in both directions: the packets that are missing from a publisher's stream ([`LossTracker`]), and the packets
//! that are kept to answer subscribers' NACKs ([`PacketCache`]), in memory of a [`Pool`]. Each packet of a publisher is stored
//! once, however many subscribers there are.

mod cache;
mod gaps;
mod loss;
mod pool;

pub(crate) use cache::PacketCache;
pub(crate) use loss::{LossTracker, PacketOrder};
pub(crate) use pool::{CHUNK_BYTES, Pool, SOUND_CHUNK_BYTES, ceiling};
