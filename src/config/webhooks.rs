//! Settings of webhooks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Settings of the messages to the operator's back end: see [`crate::webhooks`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// The URL that they are posted to. Empty: none are posted.
    pub url: String,
    pub secret: String,
    pub allow_private_addresses: bool,
}

/// A text without the secret. The URL may hold one, too.
impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Webhooks");
        debug.field("allow_private_addresses", &self.allow_private_addresses);
        debug.finish_non_exhaustive()
    }
}
