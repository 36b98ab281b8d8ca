//! The frames of a WebSocket of events exactly as on the wire.

use serde::Serialize;

use super::wire::Notice;

/// An event in a WebSocket.
#[derive(Serialize)]
pub(crate) struct EventFrame<'a> {
    #[serde(rename = "_command")]
    pub command: &'static str,
    #[serde(rename = "_eventName")]
    pub event_name: &'static str,
    #[serde(rename = "_eventId")]
    pub event_id: u64,
    pub data: &'a Notice,
}

/// The last frame in a WebSocket.
#[derive(Serialize)]
pub(crate) struct ByeFrame {
    #[serde(rename = "_command")]
    pub command: &'static str,
}
