//! Shares: what one client address may use of what all clients use together. Pure; the time is given.
//!
//! Without shares one client uses up what is there for everybody, and everybody else is refused.
//!
//! - [`Pot`]: so much of something, of which no address takes more than a part.
//! - [`Rates`], made of [`TokenBucket`]s: how often each may do something.
//! - [`Pace`]: how slow a transfer may be.

mod address;
mod pace;
mod pot;
mod rates;
mod token_bucket;

pub use address::ClientAddress;
pub use pace::Pace;
pub use pot::{Denied, Place, Places, Pot, Share};
pub use rates::Rates;
pub use token_bucket::TokenBucket;
