//! The WebSockets that are open on one connection. HTTP/2 has many on one connection, HTTP/1.1 one, which takes it over.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use tokio::sync::watch;
use utoipa_axum::router::UtoipaMethodRouter;

use super::door::AdmittedConnection;
use super::errors::HttpError;
use super::watch::Activity;

/// Bytes read at once from a socket. The library's default of 128 KiB would be held by every idle connection.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// The WebSockets of a connection. Cheap to clone. Each request has it among its extensions.
///
/// With its first WebSocket a connection gives its place at the door back, because sessions have places of their own. After its last
/// one it needs a place again, or ends.
#[derive(Clone)]
pub(super) struct OpenSockets {
    number: watch::Sender<usize>,
    guest: Arc<AdmittedConnection>,
    activity: Arc<Activity>,
}

impl OpenSockets {
    pub(super) fn new(guest: &Arc<AdmittedConnection>, activity: &Arc<Activity>) -> OpenSockets {
        OpenSockets {
            number: watch::Sender::new(0),
            guest: Arc::clone(guest),
            activity: Arc::clone(activity),
        }
    }

    /// Counts a WebSocket from the moment at which it is promised.
    fn open(&self) -> OpenSocket {
        self.activity.socket_opened();
        self.number.send_modify(|number| *number += 1);
        OpenSocket(self.clone())
    }

    /// Whether the connection has its place again, after its last WebSocket has ended.
    pub(super) fn have_place_again(&self) -> bool {
        self.guest.take_place_again()
    }

    /// Whether requests are in progress beside the WebSockets.
    pub(super) fn has_other_requests(&self) -> bool {
        self.activity.has_requests()
    }

    /// Returns once there has been a WebSocket, and none is open any more.
    pub(super) async fn last_has_ended(&self) {
        let mut number = self.number.subscribe();
        // The sender is here, so neither of these fails.
        number.wait_for(|number| *number > 0).await.ok();
        number.wait_for(|number| *number == 0).await.ok();
    }

    /// Returns when no WebSocket is open.
    pub(super) async fn none_is_open(&self) {
        self.number.subscribe().wait_for(|number| *number == 0).await.ok();
    }
}

/// A WebSocket that counts as open until this is dropped.
struct OpenSocket(OpenSockets);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.activity.socket_ended();
        self.0.number.send_modify(|number| *number -= 1);
    }
}

/// The route of a WebSocket, which a client asks for by GET over HTTP/1.1, also for clients that ask by CONNECT over HTTP/2.
pub(super) fn with_connect<S, H, T>(documented: UtoipaMethodRouter<S>, handler: H) -> UtoipaMethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    let (schemas, paths, methods) = documented;
    (schemas, paths, methods.connect(handler))
}

/// A request for a WebSocket, or for something else.
pub(super) struct Upgrade {
    requested: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    sockets: Option<OpenSockets>,
}

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Upgrade, Self::Rejection> {
        Ok(Upgrade {
            sockets: parts.extensions.get().cloned(),
            requested: WebSocketUpgrade::from_request_parts(parts, state).await,
        })
    }
}

impl Upgrade {
    /// Checks that the request is for a WebSocket: RFC 9110 §15.5.22, RFC 6455 §4.4, RFC 8441 §4.
    pub(super) fn ready(self) -> Result<ReadyUpgrade, HttpError> {
        let sentence = "this address speaks WebSocket only (version 13); connect to it with ws:// or wss://";
        let upgrade = self
            .requested
            .map_err(|_| HttpError::new(StatusCode::UPGRADE_REQUIRED, sentence))?;
        Ok(ReadyUpgrade {
            upgrade,
            sockets: self.sockets,
        })
    }
}

/// A request for a WebSocket.
pub(super) struct ReadyUpgrade {
    upgrade: WebSocketUpgrade,
    sockets: Option<OpenSockets>,
}

impl ReadyUpgrade {
    /// Answers that the WebSocket is open, and serves it, with messages of at most `longest` bytes.
    pub(super) fn serve<C, F>(self, longest: usize, converse: C) -> Response
    where
        C: FnOnce(WebSocket) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let open = self.sockets.map(|sockets| sockets.open());
        self.upgrade
            .max_message_size(longest)
            .max_frame_size(longest)
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(READ_BUFFER_BYTES)
            .on_upgrade(move |socket| async move {
                if let Some(open) = &open {
                    open.0.guest.give_place_back();
                }
                converse(socket).await;
                drop(open);
            })
    }
}
