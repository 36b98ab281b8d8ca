//! Settings of the relay (TURN) for clients whose network lets nothing else through.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Config;

/// Settings of our own relay, or of one elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    pub relay: TurnRelay,
    /// The port of our relay, for UDP and TCP. 0: the system chooses.
    pub port: u16,
    /// The name or address by which clients reach our relay. Empty: that by which they have come.
    pub host: String,
    /// Addresses of a relay elsewhere (RFC 7065). Empty: our own.
    pub urls: Vec<String>,
    /// The file of the secret that signs credentials. Empty: one is made at each start.
    pub secret_file: PathBuf,
    pub credentials_lifetime_s: u32,
}

/// Whether this server relays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnRelay {
    /// Where other machines can reach it, and its port is free.
    Auto,
    On,
    #[default]
    Off,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            relay: TurnRelay::Off,
            port: 3_478,
            host: String::new(),
            urls: Vec::new(),
            secret_file: PathBuf::new(),
            credentials_lifetime_s: 86_400,
        }
    }
}

impl Config {
    /// Whether this server is to relay.
    pub(crate) fn relays(&self) -> bool {
        match self.turn.relay {
            TurnRelay::Auto => !self.is_loopback_only() && self.turn.urls.is_empty(),
            TurnRelay::On => true,
            TurnRelay::Off => false,
        }
    }
}
