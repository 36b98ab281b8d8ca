//! Shares: the part that one client address may use of what all clients use together. Pure; the time
//! is given.
//!
//! Without shares one client could use up what is there for everybody, and everybody else would be
//! refused.
//!
//! - [`Pot`]: an amount of something, of which no address takes more than a part.
//! - [`Rates`], made of [`TokenBucket`]s: how often each address may do something.
//! - [`Pace`]: how slow a transfer may be.

mod address;
mod pace;
mod pot;
mod rates;
mod token_bucket;

pub use address::ClientAddress;
pub(crate) use pace::Pace;
pub use pot::{Denied, Place, Share};
pub(crate) use pot::{Places, Pot};
pub(crate) use rates::Rates;
pub(crate) use token_bucket::TokenBucket;
