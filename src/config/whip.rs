//! Settings of WHIP and WHEP.

use serde::{Deserialize, Serialize};

/// Settings of programs that publish and watch by WHIP and WHEP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Whip {
    /// Whether they need no token, where `auth.required` does not ask for one.
    pub without_token: bool,
}

impl Default for Whip {
    fn default() -> Self {
        Self { without_token: true }
    }
}
