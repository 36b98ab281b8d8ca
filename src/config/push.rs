//! Settings of push services.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Settings of what wakes apps that are closed: see [`crate::push`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Push {
    /// The file of certificates that are trusted beside those of the system. Empty: none.
    pub certificates: PathBuf,
    pub allow_private_addresses: bool,
    pub apns: Apns,
    pub jpush: JPush,
}

/// Settings of Apple's push service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Apns {
    /// The file of the signing key. Empty: the service is not used.
    pub key_file: PathBuf,
    pub key_id: String,
    pub team_id: String,
    /// The bundle id of the app.
    pub topic: String,
    pub environment: ApnsEnvironment,
    /// The address that is used instead of Apple's. Empty: Apple's.
    pub url: String,
}

/// Which of Apple's services knows the tokens of the app's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApnsEnvironment {
    #[default]
    Production,
    Sandbox,
}

/// Settings of JPush.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JPush {
    /// The key that names the app. Empty: the service is not used.
    pub app_key: String,
    /// The file of the secret that goes with it.
    pub secret_file: PathBuf,
    pub url: String,
}

impl Default for JPush {
    fn default() -> Self {
        Self {
            app_key: String::new(),
            secret_file: PathBuf::new(),
            url: "https://api.jpush.cn/v3/push".to_owned(),
        }
    }
}

impl Push {
    pub(crate) fn certificates(&self) -> Option<&Path> {
        (!self.certificates.as_os_str().is_empty()).then_some(&self.certificates)
    }
}

impl Apns {
    pub(crate) fn is_configured(&self) -> bool {
        !self.key_file.as_os_str().is_empty()
    }

    /// The address before the path of a device.
    pub(crate) fn url(&self) -> &str {
        match self.environment {
            _ if !self.url.is_empty() => &self.url,
            ApnsEnvironment::Production => "https://api.push.apple.com",
            ApnsEnvironment::Sandbox => "https://api.sandbox.push.apple.com",
        }
    }
}

impl JPush {
    pub(crate) fn is_configured(&self) -> bool {
        !self.app_key.is_empty()
    }
}
