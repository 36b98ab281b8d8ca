//! How many records of a kind there may be, and how many of them from one client address.

use crate::shares::{ClientAddress, Denied, Pot, Share};

/// The number of records of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    pub in_all: u64,
    /// The part of `in_all` for the records that come from one client address.
    pub share: Share,
}

impl Quota {
    /// Whether one more may come from `client`, where there are `recorded`, and `from_there` of them from that address.
    pub(super) fn allows(&self, client: ClientAddress, recorded: i64, from_there: i64) -> Result<(), Denied> {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let mut pot = Pot::new(self.in_all, self.share);
        pot.count(client, count(from_there));
        pot.count(ClientAddress::THIS_MACHINE, count(recorded.saturating_sub(from_there)));
        pot.allows(client, 1)
    }
}
