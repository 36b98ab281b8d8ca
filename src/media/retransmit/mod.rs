//! Loss repair, both ways: what is missing from a publisher's stream ([`LossTracker`]) and the packets kept to answer
//! subscribers' NACKs ([`PacketCache`]), in memory of a [`Pool`]. Each publisher packet is stored once, however many subscribers there are.

mod cache;
mod gaps;
mod loss;
mod pool;

pub use cache::PacketCache;
pub use loss::{Arrival, LossTracker, Reception};
pub use pool::{CHUNK_BYTES, Pool, SOUND_CHUNK_BYTES, ceiling};
