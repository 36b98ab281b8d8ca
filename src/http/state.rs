//! The state behind requests and sockets.

use std::sync::Arc;

use axum::extract::ws::WebSocket;

use super::conferences::{Participants, Registrations};
use super::desk::Desk;
use super::websocket::resumption::Resumptions;
use crate::accounts::Accounts;
use crate::acme::Challenges;
use crate::auth::access_token::App;
use crate::channels::Channels;
use crate::clock::{MonotonicClock, WallClock};
use crate::conferences::Conferences;
use crate::config::Config;
use crate::hub::HubHandle;
use crate::storage::Records;

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
    pub(crate) registrations: Registrations,
    pub(crate) participants: Participants,
    /// What an authority that issues the certificate may find. `None`: there is no such authority.
    pub(crate) challenges: Option<Challenges>,
    /// WebSockets' conversations that may go on over another socket.
    pub resumptions: Resumptions<WebSocket>,
}
