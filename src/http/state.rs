//! The state behind requests and sockets.

use std::sync::Arc;

use axum::extract::ws::WebSocket;
use axum::http::request::Parts;
use axum::http::uri::Authority;

use super::conferences::{Participants, Registrations};
use super::desk::Desk;
use super::host;
use super::websocket::resumption::Resumptions;
use crate::accounts::Accounts;
use crate::auth::access_token::App;
use crate::channels::Channels;
use crate::clock::{MonotonicClock, WallClock};
use crate::conferences::Conferences;
use crate::config::Config;
use crate::hub::HubHandle;
use crate::storage::Records;
use crate::turn::announced::{AnnouncedRelay, RelayAt};

/// The parts of the server that every request handler can reach.
#[derive(Clone)]
pub struct AppState {
    pub config: Arc<Config>,
    pub hub: HubHandle,
    pub desk: Desk,
    pub records: Records,
    pub clock: WallClock,
    pub passed: MonotonicClock,
    pub accounts: Accounts,
    /// App whose access tokens are believed, and that signs those of this server.
    pub app: App,
    pub channels: Channels,
    pub conferences: Conferences,
    /// The relay that clients are announced. `None`: there is none.
    pub relay: Option<AnnouncedRelay>,
    pub(crate) registrations: Registrations,
    pub(crate) participants: Participants,
    /// WebSockets' conversations that may go on over another socket.
    pub resumptions: Resumptions<WebSocket>,
}

impl AppState {
    /// The relay, for a client that has come to the host of this request.
    pub(super) fn relay_for(&self, request: &Parts) -> Option<RelayAt> {
        let host = host::of_parts(request);
        let id = format!("{:016x}", rand::random::<u64>());
        self.relay.as_ref()?.at(host.as_ref().map(Authority::host), id)
    }
}
