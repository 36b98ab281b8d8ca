//! How much the hub takes on.

use crate::config::Config;
use crate::domain::Limits;
use crate::shares::Share;

/// Signaling connections that an address may have in any case: a household's pages and devices.
const SESSIONS_AT_LEAST: u64 = 16;

/// Messages on the way into storage that an address may have in any case.
const ERRANDS_AT_LEAST: u64 = 4;

/// How much the hub takes on.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Signaling connections at a time. Each holds at most one request at the hub, a socket, and its unread events.
    pub sessions: usize,
    /// Share of the signaling connections that one address may have.
    pub session_share: Share,
    /// Share of the messages on the way into storage that one address may have.
    pub errand_share: Share,
    pub rules: Limits,
    /// Bytes that the requests of one session may cost others each second: the length of each event times the sessions that get
    /// it.
    pub fan_out_bytes_per_s: u32,
    /// Subscriptions of one room on one media worker, past which the room spreads to the next.
    pub room_subscriptions_per_worker: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}

impl From<&Config> for Capacity {
    fn from(config: &Config) -> Self {
        let limits = &config.limits;
        let rules = Limits {
            rooms: limits.max_rooms,
            participants_per_room: limits.max_participants_per_room,
            viewers_per_room: limits.max_viewers_per_room,
            ring_for: config.calls.ring_timeout(),
            address_share_percent: limits.address_share_percent,
            proof_required: config.auth.required,
            ..Limits::default()
        };
        Self {
            sessions: limits.max_sessions,
            session_share: limits.share(SESSIONS_AT_LEAST),
            errand_share: limits.share(ERRANDS_AT_LEAST),
            fan_out_bytes_per_s: limits.fan_out_kib_per_s.saturating_mul(1024),
            rules,
            room_subscriptions_per_worker: config.media.room_subscriptions_per_worker,
        }
    }
}
