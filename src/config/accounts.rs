//! Settings of accounts.

use serde::{Deserialize, Serialize};

/// Settings of accounts, which are known by telephone number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    pub(crate) rotate_secret_after_d: u32,
    pub max_devices: i64,
    pub max_contacts: i64,
    pub mutual_contacts: bool,
    pub logins_per_minute: u32,
    pub new_accounts_per_hour: u32,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            rotate_secret_after_d: 90,
            max_devices: 100_000,
            max_contacts: 200,
            mutual_contacts: true,
            logins_per_minute: 60,
            new_accounts_per_hour: 60,
        }
    }
}

impl Accounts {
    pub(crate) fn rotate_after_s(&self) -> i64 {
        i64::from(self.rotate_secret_after_d) * 24 * 3_600
    }
}
