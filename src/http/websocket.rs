//! The one WebSocket loop for all families: frames in, reactions out, pings, and every way in which it ends.
//!
//! One task owns the socket. While it waits for the hub or for the client to take what it is sent, it reads nothing, so
//! a client that sends faster than it is served waits in its own socket.

mod token_bucket;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::any;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, interval_at, sleep_until, timeout, timeout_at};
use tracing::{debug, info};

use self::token_bucket::TokenBucket;
use super::errors::HttpError;
use super::{AppState, origin};
use crate::hub::Events;
use crate::signaling::{Admission, Close, Conversation, FRAME_BYTES_MAX, Reaction};

/// Often enough that a client which has vanished is noticed within [`SILENCE_MAX`], and that proxies, which cut idle
/// connections after 30 to 60 s, see traffic.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A client of which nothing has been heard for this long is gone: two pings lost, and some time for the third. It has
/// to be noticed within 30 s; less would throw out phones that change networks.
const SILENCE_MAX: Duration = Duration::from_secs(25);

/// What a client may take to accept what it is sent, and in any case no longer than until it counts as silent. Socket
/// buffers hide shorter stalls of a network; longer fills the memory of the server with what waits for it.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// What a client gets to take our close frame, and again to answer it, so that the last messages are not cut off by a
/// reset. While it answers it holds no place in a room or among the sessions.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// What a client may have sent before it saw our close frame: thrown away, for it is the same reset that unread
/// messages would bring.
const GOODBYE_MESSAGES_MAX: usize = 1_000;

/// Tokens a client has at first, and at most: opening a full room's connections at once takes, for each of 100 others,
/// an offer of 8 KiB and up to 40 candidates.
const BURST_TOKENS: u32 = 8_000;

/// Tokens a client gets each second. A call in progress needs hardly any; at one for each message and each started KiB,
/// it is what one client can take of the hub's time for ever: three offers of the greatest length a second.
const TOKENS_PER_SECOND: u32 = 200;

/// Read at once from a socket. The library's default of 128 KiB would be held by every idle connection.
const READ_BUFFER_BYTES: usize = 8 * 1024;

pub fn router() -> Router<AppState> {
    Router::new().route("/groupcall", any(groupcall))
}

async fn groupcall(
    State(state): State<AppState>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, HttpError> {
    if !origin::is_allowed(&headers, &state.config.http) {
        let sentence = "pages of this origin may not connect; see http.allowed_origins";
        return Err(HttpError::new(StatusCode::FORBIDDEN, sentence));
    }
    let connected = state.hub.connect().await;
    let full = || HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "the server is full");
    let (session, events) = connected.ok_or_else(full)?;
    let conversation = Conversation::new(session, state.directory, state.config);
    let upgrade = upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(READ_BUFFER_BYTES);
    Ok(upgrade.on_upgrade(move |socket| converse(socket, events, conversation)))
}

/// Serves one client until one side is done. Whatever way it ends, the session leaves.
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
        End::Gone => None,
    };
    let said = frame.is_some();
    let goodbye = async {
        if let Some(frame) = frame {
            socket.send(Message::Close(Some(frame))).await.ok();
        }
        // Whoever closed, this brings our part of it out.
        socket.close().await.ok();
    };
    timeout(GOODBYE_MAX, goodbye).await.ok();
    drop((conversation, events));
    if said {
        // Whether it answers or not, the socket is let go.
        timeout(GOODBYE_MAX, drained(&mut socket)).await.ok();
    }
}

/// How a conversation ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// We close it, and say why.
    Close(Close),
    /// The client has closed it, or cannot be written to.
    Gone,
}

async fn serve<S, E, A>(socket: &mut S, events: &mut Events, conversation: &mut Conversation<A>) -> End
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: std::fmt::Display,
    A: Admission,
{
    let mut tokens = TokenBucket::new(BURST_TOKENS, TOKENS_PER_SECOND, Instant::now());
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut last_heard = Instant::now();
    loop {
        let outcome = tokio::select! {
            message = socket.next() => {
                last_heard = Instant::now();
                match text_of(message, &mut tokens, last_heard) {
                    Ok(Some(text)) => react(socket, conversation.receive(&text).await, last_heard).await,
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                }
            }
            event = events.next() => match event {
                Some(event) => react(socket, conversation.tell(event), last_heard).await,
                None => Err(End::Close(Close::TOO_SLOW)),
            },
            _ = pings.tick() => send_all(socket, [Message::Ping(Default::default())], last_heard).await,
            () = sleep_until(last_heard + SILENCE_MAX) => Err(End::Close(Close::SILENT)),
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

/// The text of a message that has one, paid for.
fn text_of<E: std::fmt::Display>(
    message: Option<Result<Message, E>>,
    tokens: &mut TokenBucket,
    now: Instant,
) -> Result<Option<String>, End> {
    let message = match message {
        None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
        Some(Err(error)) => {
            debug!(%error, "unreadable");
            return Err(End::Close(Close::UNREADABLE));
        }
        Some(Ok(message)) => message,
    };
    let (bytes, text) = match message {
        Message::Text(text) => (text.len(), Some(text.as_str().to_owned())),
        // Some clients send their JSON in binary frames.
        Message::Binary(data) => (data.len(), String::from_utf8(data.into()).ok()),
        Message::Ping(data) | Message::Pong(data) => (data.len(), None),
        Message::Close(_) => return Err(End::Gone),
    };
    let price = 1 + u32::try_from(bytes / 1024).unwrap_or(u32::MAX - 1);
    if !tokens.take(price, now) {
        info!("too many messages");
        return Err(End::Close(Close::TOO_FAST));
    }
    Ok(text)
}

async fn react<S, E>(socket: &mut S, reaction: Reaction, last_heard: Instant) -> Result<(), End>
where
    S: Sink<Message, Error = E> + Unpin,
{
    send_all(socket, reaction.frames.into_iter().map(Message::text), last_heard).await?;
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
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

/// Until the client's close frame, the end of the stream, or more than anyone has on the way.
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
