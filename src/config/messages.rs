//! Settings of the message socket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the message socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    pub offline_per_user: u32,
    pub offline_expire_after_h: u64,
    pub offline_total_mib: u64,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            offline_per_user: 200,
            offline_expire_after_h: 168,
            offline_total_mib: 64,
        }
    }
}

impl Messages {
    pub(crate) fn expire_after(&self) -> Duration {
        Duration::from_secs(self.offline_expire_after_h.saturating_mul(3_600))
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.offline_total_mib.saturating_mul(1 << 20)
    }
}
