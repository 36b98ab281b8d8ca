//! The WebSockets of all families: who may open one, and what begins with it. What is said on them: `serving.rs`.

mod heart;
mod journal;
mod line;
pub(crate) mod resumption;
mod serving;
mod times;

use std::convert::Infallible;
use std::sync::Arc;

pub use line::Line;
pub use resumption::{Found, Path, Resumptions, Waiting};
pub use serving::converse;
pub use times::RESUMED_WITHIN;
pub(super) use times::{GOODBYE_MAX, PING_INTERVAL, SILENCE_MAX, WRITE_MAX};

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocket;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tokio::sync::oneshot;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::Client;
use super::errors::HttpError;
use super::open_sockets::{ReadyUpgrade, Upgrade, with_connect};
use super::openapi::answers::{ErrorBody, Socket};
use super::state::AppState;
use crate::accounts::InUse;
use crate::hub::NoPlace;
use crate::ids::RoomName;
use crate::shares::ClientAddress;
use crate::signaling::{Close, Conversation, Entrance};
use crate::turn::announced::RelayAt;

/// The routes of all WebSockets.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(with_connect(routes!(call), call))
        .routes(with_connect(routes!(direct), direct))
        .routes(with_connect(routes!(groupcall), groupcall))
        .routes(with_connect(routes!(messages), messages))
        .routes(with_connect(routes!(enter_as_device), enter_as_device))
}

/// The socket of calls from one to another
///
/// A WebSocket (RFC 6455) on which people register, call and answer.
#[utoipa::path(get, path = "/call", tag = "sockets", params(Credentials, Resumption), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn call(entering: Entering) -> Result<Response, HttpError> {
    entering
        .by(Entrance::Call { room_ids: random_room }, Some("/call"))
        .await
}

/// The socket of rooms for two
///
/// A WebSocket (RFC 6455); two who know a room's name meet there.
#[utoipa::path(get, path = "/direct", tag = "sockets", params(Credentials, Resumption), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn direct(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Direct, Some("/direct")).await
}

/// The socket of rooms
///
/// A WebSocket (RFC 6455) on which people join a room, publish, and receive what others publish.
#[utoipa::path(get, path = "/groupcall", tag = "sockets", params(Credentials, Resumption), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn groupcall(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Groupcall, Some("/groupcall")).await
}

/// The socket of messages
///
/// A WebSocket (RFC 6455) on which people log in, send messages to one another, and invite to calls.
#[utoipa::path(get, path = "/ws", tag = "sockets", params(Credentials), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn messages(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Messages { room_ids: random_room }, None).await
}

/// A request to enter by a socket.
struct Entering {
    state: AppState,
    client: ClientAddress,
    token: Option<String>,
    relay: Option<RelayAt>,
    resumption: Option<Resumption>,
    upgrade: Upgrade,
}

impl FromRequestParts<AppState> for Entering {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Entering, Infallible> {
        let Client(client) = Client::from_request_parts(parts, state).await?;
        let credentials = Query::from_request_parts(parts, state).await;
        let resumption = Query::from_request_parts(parts, state).await;
        Ok(Entering {
            resumption: resumption.ok().map(|Query(resumption)| resumption),
            token: token_of(credentials, &parts.headers),
            relay: state.relay_for(parts),
            client,
            upgrade: Upgrade::from_request_parts(parts, state).await?,
            state: state.clone(),
        })
    }
}

impl Entering {
    /// Begins a conversation, or hands the socket to one that began at `resumable_at`.
    async fn by(self, entrance: Entrance, resumable_at: Option<Path>) -> Result<Response, HttpError> {
        let upgrade = self.upgrade.ready()?;
        let longest = entrance.frame_bytes_max();
        let resumption = self.resumption.zip(resumable_at);
        let found = resumption
            .as_ref()
            .and_then(|(asked, path)| self.state.resumptions.find(&asked.resume, path));
        match (found, resumption) {
            (Some(Found::Conversation(waiting)), Some((Resumption { received, .. }, _))) => {
                Ok(upgrade.serve(longest, move |socket| waiting.hand_over(socket, received)))
            }
            (Some(Found::Ended(close)), _) => Ok(upgrade.serve(longest, move |socket| turn_away(socket, close))),
            (_, resumption) => {
                let path = resumption.map(|(_, path)| path);
                let newcomer = Newcomer {
                    state: self.state,
                    client: self.client,
                    token: self.token,
                    relay: self.relay,
                    upgrade,
                };
                enter(entrance, newcomer, None, path).await
            }
        }
    }
}

async fn turn_away(socket: WebSocket, close: Close) {
    let mut line = Line::new(socket);
    line.say_goodbye(Some(close)).await;
    line.drain().await;
}

#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Credentials {
    /// Token of the user, where it is not in the `Authorization` header.
    token: Option<String>,
}

/// What a client says that may go on over another socket when this one is cut. Messages are counted in each direction, over all
/// sockets, but not the server's first one on each socket, `{"resume": …}`.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Resumption {
    /// `new`, or the token of the session that is to go on. Where that has ended, a new session begins, and the first message says
    /// so: it has no `received`.
    resume: String,
    /// Number of messages that the client has received in the session that is to go on.
    #[serde(default)]
    received: u64,
}

/// The user's token in the request. A query that cannot be read has none.
fn token_of(credentials: Result<Query<Credentials>, QueryRejection>, headers: &HeaderMap) -> Option<String> {
    let in_query = credentials.ok().and_then(|Query(credentials)| credentials.token);
    // No token has a space, but an access token may have a plus sign, which stands for a space in a query.
    let in_query = in_query.map(|token| token.replace(' ', "+"));
    let in_query = in_query.filter(|token| !token.is_empty());
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let in_header = header.and_then(|value| value.split_once(' '));
    let bearer = in_header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
    in_query.or_else(|| bearer.map(|(_, token)| token.trim().to_owned()))
}

/// The socket of devices with a telephone number
///
/// A WebSocket (RFC 6455) for a device that has logged in.
#[utoipa::path(
    get,
    path = "/socket.io",
    tag = "sockets",
    params(Credentials),
    responses(
        Socket,
        (status = 401, description = "The token is missing or not valid.", body = ErrorBody),
        (status = 500, description = "Storage failed; the server's log says why.", body = ErrorBody),
    ),
    security(("token_in_query" = []))
)]
async fn enter_as_device(
    State(state): State<AppState>,
    credentials: Result<Query<Credentials>, QueryRejection>,
    Client(client): Client,
    upgrade: Upgrade,
) -> Result<Response, HttpError> {
    let upgrade = upgrade.ready()?;
    let token = credentials.ok().and_then(|Query(credentials)| credentials.token);
    let device = state.accounts.verify(&token.unwrap_or_default()).await;
    let device = device.map_err(|e| HttpError::internal("checking the token", &e))?;
    let sentence = "the token is missing or not valid; log in with POST /account/login";
    let device = device.ok_or_else(|| HttpError::new(StatusCode::UNAUTHORIZED, sentence))?;
    let in_use = state.accounts.connect(&device, client).await;
    let entrance = Entrance::Device {
        device,
        room_ids: random_room,
    };
    let newcomer = Newcomer {
        state,
        client,
        token: None,
        relay: None,
        upgrade,
    };
    enter(entrance, newcomer, Some(in_use), None).await
}

/// A random room id that cannot be guessed: 128 bits.
fn random_room() -> RoomName {
    RoomName(format!("{:032x}", rand::random::<u128>()).into())
}

/// A client that is to have a conversation of its own.
struct Newcomer {
    state: AppState,
    client: ClientAddress,
    token: Option<String>,
    relay: Option<RelayAt>,
    upgrade: ReadyUpgrade,
}

async fn enter(
    entrance: Entrance,
    newcomer: Newcomer,
    in_use: Option<InUse>,
    resumable_at: Option<Path>,
) -> Result<Response, HttpError> {
    let Newcomer {
        state,
        client,
        token,
        relay,
        upgrade,
    } = newcomer;
    let connected = state.hub.connect(client).await;
    let no_place = |reason: NoPlace| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, reason.to_string());
    let (session, events) = connected.map_err(no_place)?;
    let longest = entrance.frame_bytes_max();
    let admission = state.records.admission(client, Arc::clone(&state.passed));
    let conversation = Conversation::new(entrance, session, admission, state.config, state.clock);
    let conversation = conversation
        .with_tokens(state.accounts.keys(), token)
        .with_relay(relay)
        .with_app(state.app, state.passed);
    let resumable = resumable_at.map(|path| (state.resumptions, path));
    Ok(upgrade.serve(longest, move |socket| async move {
        let (served, ends) = oneshot::channel();
        let line = match resumable {
            Some((resumptions, path)) => Line::resumable(socket, &resumptions, path),
            None => Line::new(socket),
        };
        // The conversation may go on when this socket has ended.
        tokio::spawn(async move {
            converse(line.until_dropped(served), events, conversation).await;
            drop(in_use);
        });
        ends.await.ok();
    }))
}
