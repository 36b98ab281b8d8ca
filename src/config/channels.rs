//! Settings of channels.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::auth::access_token::App;

/// Settings of channels: rooms that are entered with an access token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    pub app_id: String,
    /// The secret that signs access tokens.
    pub app_certificate: String,
    pub token_lifetime_s: u32,
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Channels {
            app_id,
            token_lifetime_s,
            ..
        } = self;
        write!(
            f,
            "Channels {{ app_id: {app_id:?}, token_lifetime_s: {token_lifetime_s}, .. }}"
        )
    }
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            app_id: String::new(),
            app_certificate: String::new(),
            token_lifetime_s: 86_400,
        }
    }
}

impl Channels {
    /// The configured app. `None`: the recorded one.
    pub(crate) fn app(&self) -> Option<App> {
        // The check of the configuration has seen that both are good, or neither is given.
        App::new(&*self.app_id, &*self.app_certificate).ok()
    }
}
