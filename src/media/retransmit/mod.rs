//! Loss repair, both ways: what is missing from a publisher's stream ([`LossTracker`]) and the packets kept to answer
//! subscribers' NACKs ([`PacketCache`]). Each publisher packet is stored once, however many subscribers there are.

mod cache;
mod gaps;
mod loss;

pub use cache::PacketCache;
pub use loss::{Arrival, LossTracker, Reception};
