//! The configuration, typed. `config/patchbay.toml` says what each key means, and the reason for its
//! default. It is also the manual; a test keeps the two equal.
//!
//! [`load`] puts it together from file, environment and flags.

mod accounts;
mod channels;
mod check;
mod dapi;
mod files;
mod load;
mod messages;
mod push;
mod robot;
mod turn;
mod values;
mod webhooks;
mod whip;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use accounts::Accounts;
pub use channels::Channels;
pub use dapi::Dapi;
pub use files::Files;
pub use load::load;
pub use messages::Messages;
pub use push::{Apns, ApnsEnvironment, JPush, Push};
pub use robot::Robot;
pub use turn::{Turn, TurnRelay};
pub use webhooks::Webhooks;
pub use whip::Whip;

use crate::shares::Share;

/// The commented file, embedded.
pub(crate) const MANUAL: &str = include_str!("../../config/patchbay.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listeners: Vec<Listener>,
    pub tls: Tls,
    pub http: Http,
    pub media: Media,
    pub turn: Turn,
    pub groupcall: Groupcall,
    pub messages: Messages,
    pub auth: Auth,
    pub channels: Channels,
    pub whip: Whip,
    pub accounts: Accounts,
    pub calls: Calls,
    pub robot: Robot,
    pub dapi: Dapi,
    pub limits: Limits,
    pub storage: Storage,
    pub files: Files,
    pub log: Log,
    pub metrics: Metrics,
    pub webhooks: Webhooks,
    pub push: Push,
}

/// An address at which HTTP is served, with TLS or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub address: SocketAddr,
    #[serde(default = "yes")]
    pub tls: bool,
}

fn yes() -> bool {
    true
}

/// Files of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate's file. Empty: a self-made one in `directory`.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub directory: PathBuf,
}

/// Settings of the HTTP server: who is let in, and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub allowed_hosts: Vec<String>,
    pub hsts_d: u32,
    pub allowed_origins: Vec<String>,
    pub trusted_sites: Vec<String>,
    pub frame_ancestors: Vec<String>,
    pub max_connections: usize,
    pub header_timeout_s: u64,
    /// Whether WebSockets may come over HTTP/2 (RFC 8441).
    pub websockets_over_http2: bool,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) least_kbps: u32,
}

/// Settings of the media workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Local addresses. Empty: see [`Config::is_loopback_only`].
    pub bind_addresses: Vec<IpAddr>,
    pub first_port: u16,
    /// Whether media is taken by TCP, too.
    pub tcp: bool,
    /// The port for that. 0: the number of `first_port`.
    pub tcp_port: u16,
    /// Number of workers. 0: one for each processor.
    pub workers: usize,
    /// A list or a word: see [`crate::pinning::Pinning::parse`].
    pub pin_workers: String,
    pub room_subscriptions_per_worker: usize,
    pub announced_addresses: Vec<IpAddr>,
    /// `off`, or `auto`: STUN servers are asked for it at start, and it is announced beside the addresses of this machine.
    pub public_address: String,
    /// Where STUN servers listen, as `host:port`.
    pub stun_servers: Vec<String>,
    pub(crate) max_publish_kbps: u32,
}

/// Wire variants of `/groupcall`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Groupcall {
    /// Whether `existingParticipants` of the `id` family carries objects even for a joiner without
    /// `personName`.
    pub participants_as_objects: bool,
    /// The values of `type` under which a chat text is sent, each once.
    pub text_message_types: Vec<String>,
}

/// Settings of the proof of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether every name needs a token: see [`crate::auth`].
    pub required: bool,
}

/// Settings of calls from one to another, in every family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calls {
    pub ring_timeout_s: u64,
}

/// Limits of sessions, rooms and participants, and what one client address may have of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub max_sessions: usize,
    pub(crate) max_rooms: usize,
    pub max_participants_per_room: usize,
    pub max_viewers_per_room: usize,
    pub address_share_percent: u8,
    pub fan_out_kib_per_s: u32,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    pub url: String,
    pub max_connections: u32,
}

/// Settings of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub filter: String,
    pub max_lines_per_kind: u32,
}

/// Format of the lines in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Settings of the metrics for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The address of a listener for metrics alone. Empty: metrics are on the other listeners.
    pub address: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: default_listeners(),
            tls: Tls::default(),
            http: Http::default(),
            media: Media::default(),
            turn: Turn::default(),
            groupcall: Groupcall::default(),
            messages: Messages::default(),
            auth: Auth::default(),
            channels: Channels::default(),
            whip: Whip::default(),
            accounts: Accounts::default(),
            calls: Calls::default(),
            robot: Robot::default(),
            dapi: Dapi::default(),
            limits: Limits::default(),
            storage: Storage::default(),
            files: Files::default(),
            log: Log::default(),
            metrics: Metrics::default(),
            webhooks: Webhooks::default(),
            push: Push::default(),
        }
    }
}

fn default_listeners() -> Vec<Listener> {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .map(|address| Listener {
            address: SocketAddr::new(address, 8443),
            tls: true,
        })
        .to_vec()
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
            directory: "certs".into(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            hsts_d: 30,
            allowed_origins: Vec::new(),
            trusted_sites: Vec::new(),
            frame_ancestors: vec!["'self'".to_owned()],
            max_connections: 4_096,
            header_timeout_s: 15,
            websockets_over_http2: false,
            trusted_proxies: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            least_kbps: 64,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            bind_addresses: Vec::new(),
            first_port: 8800,
            tcp: false,
            tcp_port: 0,
            workers: 0,
            pin_workers: "off".to_owned(),
            room_subscriptions_per_worker: 200,
            announced_addresses: Vec::new(),
            public_address: "off".to_owned(),
            stun_servers: vec![
                "stun.cloudflare.com:3478".to_owned(),
                "stun.l.google.com:19302".to_owned(),
            ],
            max_publish_kbps: 3_000,
        }
    }
}

impl Default for Groupcall {
    fn default() -> Self {
        Self {
            participants_as_objects: false,
            text_message_types: vec!["reciveTextMessage".to_owned()],
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self { ring_timeout_s: 60 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            max_rooms: 2_000,
            max_participants_per_room: 100,
            max_viewers_per_room: 100,
            address_share_percent: 25,
            fan_out_kib_per_s: 256,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            url: "sqlite:data/patchbay.db".to_owned(),
            max_connections: 8,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info,rtc_dtls=error".to_owned(),
            max_lines_per_kind: 200,
        }
    }
}

impl Config {
    /// Whether an access token proves its user's name. It does not where everybody gets one in any name they like: from the
    /// calls over HTTP, where these want no key.
    pub(crate) fn access_tokens_prove_names(&self) -> bool {
        let is_open = self.dapi.enabled && self.dapi.key.is_empty() && !self.auth.required;
        !is_open
    }

    /// Whether nothing outside this machine can reach the listeners. Media then uses loopback addresses
    /// only, too.
    pub(crate) fn is_loopback_only(&self) -> bool {
        self.listeners
            .iter()
            .all(|listener| listener.address.ip().is_loopback())
    }

    /// Whether the listeners are the default ones. Those may lack IPv6 where the machine has none;
    /// configured ones may not.
    pub(crate) fn has_default_listeners(&self) -> bool {
        self.listeners == default_listeners()
    }
}

impl Tls {
    /// The files of certificate and key, where they are configured.
    pub(crate) fn given(&self) -> Option<(&Path, &Path)> {
        (!self.certificate.as_os_str().is_empty()).then_some((&self.certificate, &self.key))
    }
}

impl Http {
    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_s)
    }

    /// The least speed of uploads and downloads.
    pub(crate) fn least_bytes_per_s(&self) -> u64 {
        u64::from(self.least_kbps) * 1_000 / 8
    }
}

impl Limits {
    /// The part of one client address in something that everybody shares; `at_least` in any case.
    pub(crate) fn share(&self, at_least: u64) -> Share {
        Share {
            percent: self.address_share_percent,
            at_least,
        }
    }
}

impl Calls {
    pub(crate) fn ring_timeout(&self) -> Duration {
        Duration::from_secs(self.ring_timeout_s)
    }
}

impl Metrics {
    pub(crate) fn own_address(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }
}
