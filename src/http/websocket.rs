//! The one WebSocket loop for all families: frames from the client, frames and pings to it, and every way in which the
//! connection ends.
//!
//! One task owns the socket. While it waits for the hub, or for the client to read, it reads nothing itself. So the
//! frames of a client that sends faster than it is served wait in the client's own socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{CloseFrame, Message};
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, interval_at, sleep_until, timeout, timeout_at};
use tracing::{debug, info};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client::Client;
use super::errors::HttpError;
use super::open_sockets::{ReadyUpgrade, Upgrade, with_connect};
use super::openapi::answers::{ErrorBody, Socket};
use super::state::AppState;
use crate::accounts::InUse;
use crate::hub::{Events, NoPlace};
use crate::ids::RoomName;
use crate::shares::{ClientAddress, TokenBucket};
use crate::signaling::{Admission, Close, Conversation, Entrance, Frame, Heartbeat, Reaction};

/// Time between pings: often enough that a vanished client is noticed within [`SILENCE_MAX`], and that proxies, which
/// cut idle connections after 30 to 60 s, see traffic.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Silence after which a client counts as gone: two pings lost, and some time for the third. It has to be noticed
/// within 30 s; shorter would throw out phones that change networks.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(25);

/// Time that a client has to accept what it is sent, and no longer than until it counts as silent. Socket buffers hide
/// shorter stalls of a network; longer fills the server's memory with waiting messages.
pub(super) const WRITE_MAX: Duration = Duration::from_secs(10);

/// Time that a client has to accept our close frame, and again to answer it, so that a reset does not cut off the last
/// messages. Meanwhile it holds no place in a room or among the sessions.
pub(super) const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// Messages that a client may have sent before it saw our close frame. They are read and thrown away, because unread
/// ones would cause the same reset.
const GOODBYE_MESSAGES_MAX: usize = 1_000;

/// Tokens of a client at first, and at most. Opening the connections of a full room at once takes, for each of 100
/// others, an offer of 8 KiB and up to 40 candidates.
const BURST_TOKENS: u32 = 8_000;

/// Tokens that a client gets each second; each message costs one, and one more for each full KiB. A call in progress
/// needs hardly any. This is the part of the server that one client can take for ever: it can have three offers of the
/// greatest length read each second, in its own task, or ask the hub 200 short things.
const TOKENS_PER_SECOND: u32 = 200;

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
#[utoipa::path(get, path = "/call", tag = "sockets", params(Credentials), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn call(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Call { room_ids: random_room }).await
}

/// The socket of rooms for two
///
/// A WebSocket (RFC 6455); two who know a room's name meet there.
#[utoipa::path(get, path = "/direct", tag = "sockets", params(Credentials), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn direct(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Direct).await
}

/// The socket of rooms
///
/// A WebSocket (RFC 6455) on which people join a room, publish, and receive what others publish.
#[utoipa::path(get, path = "/groupcall", tag = "sockets", params(Credentials), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn groupcall(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Groupcall).await
}

/// The socket of messages
///
/// A WebSocket (RFC 6455) on which people log in, send messages to one another, and invite to calls.
#[utoipa::path(get, path = "/ws", tag = "sockets", params(Credentials), responses(Socket), security((), ("token" = []), ("token_in_query" = [])))]
async fn messages(entering: Entering) -> Result<Response, HttpError> {
    entering.by(Entrance::Messages { room_ids: random_room }).await
}

/// A request to enter by a socket.
struct Entering {
    state: AppState,
    client: ClientAddress,
    token: Option<String>,
    upgrade: Upgrade,
}

impl FromRequestParts<AppState> for Entering {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Entering, Infallible> {
        let Client(client) = Client::from_request_parts(parts, state).await?;
        let credentials = Query::from_request_parts(parts, state).await;
        Ok(Entering {
            token: token_of(credentials, &parts.headers),
            client,
            upgrade: Upgrade::from_request_parts(parts, state).await?,
            state: state.clone(),
        })
    }
}

impl Entering {
    async fn by(self, entrance: Entrance) -> Result<Response, HttpError> {
        let upgrade = self.upgrade.ready()?;
        enter(entrance, self.state, self.client, self.token, upgrade, None).await
    }
}

#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Credentials {
    /// Token of the user, where it is not in the `Authorization` header.
    token: Option<String>,
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
    enter(entrance, state, client, None, upgrade, Some(in_use)).await
}

/// A random room id that cannot be guessed: 128 bits.
fn random_room() -> RoomName {
    RoomName(format!("{:032x}", rand::random::<u128>()).into())
}

async fn enter(
    entrance: Entrance,
    state: AppState,
    client: ClientAddress,
    token: Option<String>,
    upgrade: ReadyUpgrade,
    in_use: Option<InUse>,
) -> Result<Response, HttpError> {
    let connected = state.hub.connect(client).await;
    let no_place = |reason: NoPlace| HttpError::new(StatusCode::SERVICE_UNAVAILABLE, reason.to_string());
    let (session, events) = connected.map_err(no_place)?;
    let longest = entrance.frame_bytes_max();
    let admission = state.records.admission(client, Arc::clone(&state.passed));
    let conversation = Conversation::new(entrance, session, admission, state.config, state.clock);
    let conversation = conversation
        .with_tokens(state.accounts.keys(), token)
        .with_app(state.app, state.passed);
    Ok(upgrade.serve(longest, move |socket| async move {
        converse(socket, events, conversation).await;
        drop(in_use);
    }))
}

/// Serves one client until one side ends the connection. However it ends, the session leaves.
pub async fn converse<S, E, A>(mut socket: S, mut events: Events, mut conversation: Conversation<A>)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: std::fmt::Display,
    A: Admission,
{
    let end = serve(&mut socket, &mut events, &mut conversation).await;
    debug!(?end, "conversation ends");
    let frame = match end {
        End::Close(Close { code, reason }) => Some(CloseFrame {
            code,
            reason: reason.into(),
        }),
        End::Disconnected => None,
    };
    let is_closed_by_us = frame.is_some();
    let goodbye = async {
        if let Some(frame) = frame {
            socket.send(Message::Close(Some(frame))).await.ok();
        }
        // This sends our close frame, whichever side closed.
        socket.close().await.ok();
    };
    timeout(GOODBYE_MAX, goodbye).await.ok();
    drop((conversation, events));
    if is_closed_by_us {
        // The socket is dropped whether or not the client answers.
        timeout(GOODBYE_MAX, drained(&mut socket)).await.ok();
    }
}

/// The end of a conversation.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// We close it, with a reason.
    Close(Close),
    /// The client has closed it, or does not accept what it is sent.
    Disconnected,
}

async fn serve<S, E, A>(socket: &mut S, events: &mut Events, conversation: &mut Conversation<A>) -> End
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: std::fmt::Display,
    A: Admission,
{
    let mut tokens = TokenBucket::new(BURST_TOKENS, TOKENS_PER_SECOND.into(), Instant::now());
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut last_heard = Instant::now();
    let begun = conversation.begin().await;
    let mut heart = conversation.heartbeat().map(|beat| Heart::new(beat, last_heard));
    if let Err(end) = react(socket, begun, last_heard, &mut heart).await {
        return end;
    }
    let mut pause: Option<Instant> = None;
    loop {
        let is_heard = pause.is_none();
        if !is_heard {
            // A client that is not read cannot count as silent.
            last_heard = Instant::now();
        }
        let outcome = tokio::select! {
            message = socket.next(), if is_heard => {
                last_heard = Instant::now();
                match frame_of(message, &mut tokens, last_heard) {
                    Ok(Some(frame)) => {
                        Heart::heard(&mut heart);
                        let reaction = conversation.receive(frame).await;
                        pause = pause_until(conversation.take_pause());
                        react(socket, reaction, last_heard, &mut heart).await
                    }
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                }
            }
            event = events.next() => match event {
                Some(event) => react(socket, conversation.send(event), last_heard, &mut heart).await,
                None => Err(End::Close(conversation.let_go())),
            },
            _ = pings.tick() => send_all(socket, [Message::Ping(Default::default())], last_heard).await,
            () = until(pause) => {
                pause = None;
                Heart::excuse(&mut heart);
                Ok(())
            }
            () = sleep_until(last_heard + SILENCE_MAX), if is_heard => Err(End::Close(Close::SILENT)),
            reaction = Heart::next(&mut heart), if is_heard => react(socket, reaction, last_heard, &mut heart).await,
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

/// A family's heartbeat, and the time when the next one is due, or its answer.
struct Heart {
    beat: Heartbeat,
    is_unanswered: bool,
    due: Instant,
}

impl Heart {
    fn new(beat: Heartbeat, now: Instant) -> Self {
        let due = now + beat.after;
        let is_unanswered = false;
        Self {
            beat,
            is_unanswered,
            due,
        }
    }

    fn heard(heart: &mut Option<Self>) {
        if let Some(heart) = heart.as_mut().filter(|heart| heart.is_unanswered) {
            *heart = Self::new(heart.beat.clone(), Instant::now());
        }
    }

    /// The client may have answered while nobody read: the time for its answer starts again.
    fn excuse(heart: &mut Option<Self>) {
        if let Some(heart) = heart.as_mut().filter(|heart| heart.is_unanswered) {
            heart.due = Instant::now() + heart.beat.answer_within;
        }
    }

    fn sent(heart: &mut Option<Self>) {
        if let Some(heart) = heart.as_mut().filter(|heart| !heart.is_unanswered) {
            heart.due = Instant::now() + heart.beat.after;
        }
    }

    /// Returns the heartbeat, or the close, that is due. Never returns where the family has no heartbeat. Cancel-safe.
    async fn next(heart: &mut Option<Self>) -> Reaction {
        let Some(heart) = heart else {
            return std::future::pending().await;
        };
        sleep_until(heart.due).await;
        let mut reaction = Reaction::default();
        if heart.is_unanswered {
            reaction.close = Some(Close::SILENT);
        } else {
            heart.is_unanswered = true;
            heart.due = Instant::now() + heart.beat.answer_within;
            reaction.frames.push(heart.beat.frame.clone());
        }
        reaction
    }
}

fn pause_until(pause: Duration) -> Option<Instant> {
    (!pause.is_zero()).then(|| Instant::now() + pause)
}

/// Waits until `time`; for ever, if there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Pays for a message with tokens, and returns its frame, if it has one.
fn frame_of<E: std::fmt::Display>(
    message: Option<Result<Message, E>>,
    tokens: &mut TokenBucket,
    now: Instant,
) -> Result<Option<Frame>, End> {
    let message = match message {
        None | Some(Ok(Message::Close(_))) => return Err(End::Disconnected),
        Some(Err(error)) => {
            debug!(%error, "unreadable");
            return Err(End::Close(Close::UNREADABLE));
        }
        Some(Ok(message)) => message,
    };
    let (bytes, frame) = match message {
        Message::Text(text) => (text.len(), Some(Frame::Text(text.as_str().to_owned()))),
        Message::Binary(data) => (data.len(), Some(Frame::Binary(data))),
        Message::Ping(data) | Message::Pong(data) => (data.len(), None),
        Message::Close(_) => return Err(End::Disconnected),
    };
    let price = 1 + u32::try_from(bytes / 1024).unwrap_or(u32::MAX - 1);
    if !tokens.take(price, now) {
        info!("too many messages");
        return Err(End::Close(Close::TOO_FAST));
    }
    Ok(frame)
}

async fn react<S, E>(
    socket: &mut S,
    reaction: Reaction,
    last_heard: Instant,
    heart: &mut Option<Heart>,
) -> Result<(), End>
where
    S: Sink<Message, Error = E> + Unpin,
{
    if !reaction.frames.is_empty() {
        let messages = reaction.frames.into_iter().map(|frame| match frame {
            Frame::Text(text) => Message::text(text),
            Frame::Binary(bytes) => Message::Binary(bytes),
        });
        send_all(socket, messages, last_heard).await?;
        Heart::sent(heart);
    }
    reaction.close.map_or(Ok(()), |close| Err(End::Close(close)))
}

async fn send_all<S, E>(
    socket: &mut S,
    messages: impl IntoIterator<Item = Message>,
    last_heard: Instant,
) -> Result<(), End>
where
    S: Sink<Message, Error = E> + Unpin,
{
    let write = async {
        for message in messages {
            socket.feed(message).await?;
        }
        socket.flush().await
    };
    let deadline = (Instant::now() + WRITE_MAX).min(last_heard + SILENCE_MAX);
    match timeout_at(deadline, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Disconnected),
    }
}

/// Reads until the client's close frame, the end of the stream, or more messages than any client can have sent already.
async fn drained<S, E>(socket: &mut S)
where
    S: Stream<Item = Result<Message, E>> + Unpin,
{
    for _ in 0..GOODBYE_MESSAGES_MAX {
        if let None | Some(Err(_) | Ok(Message::Close(_))) = socket.next().await {
            return;
        }
    }
}
