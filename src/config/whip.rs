//! Settings of WHIP and WHEP.

use serde::{Deserialize, Serialize};

/// Settings of programs that publish and watch by WHIP and WHEP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Whip {
    /// Whether those that publish need no token, where `auth.required` does not ask for one.
    pub publish_without_token: bool,
    /// Whether those that watch, whom nobody sees, need none there.
    pub watch_without_token: bool,
}

impl Default for Whip {
    fn default() -> Self {
        Self {
            publish_without_token: true,
            watch_without_token: false,
        }
    }
}
