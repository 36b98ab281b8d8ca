//! The loop that serves one client: frames from it, frames and pings to it, and every way in which its conversation ends.
//!
//! One task owns the client's socket. While it waits for the hub, or for the client to read, it reads nothing itself. So the
//! frames of a client that sends faster than it is served wait in the client's own socket.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, Stream};
use tokio::time::{Instant, interval_at};
use tracing::{debug, info};

use super::heart::Heart;
use super::line::{End, Incoming, Line, until};
use crate::hub::Events;
use crate::shares::TokenBucket;
use crate::signaling::{Admission, Close, Conversation, Frame, Reaction};

/// Tokens of a client at first, and at most. Opening the connections of a full room at once takes, for each of 100
/// others, an offer of 8 KiB and up to 40 candidates.
const BURST_TOKENS: u32 = 8_000;

/// Tokens that a client gets each second; each message costs one, and one more for each full KiB. A call in progress
/// needs hardly any. This is the part of the server that one client can take for ever: it can have three offers of the
/// greatest length read each second, in its own task, or ask the hub 200 short things.
const TOKENS_PER_SECOND: u32 = 200;

/// The close codes with which a client that may resume ends its conversation (RFC 6455 §7.4.1): it has finished, or says nothing.
/// Proxies that are restarted say 1001 in its name.
const ENDS: [u16; 2] = [1000, 1005];

/// Serves one client until one side ends the conversation. However it ends, the session leaves.
pub async fn converse<S, E, A>(mut line: Line<S>, mut events: Events, mut conversation: Conversation<A>)
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: std::fmt::Display,
    A: Admission,
{
    let end = serve(&mut line, &mut events, &mut conversation).await;
    debug!(?end, "conversation ends");
    let close = match end {
        End::Close(close) | End::Lost(Some(close)) => Some(close),
        End::Left | End::Lost(None) => None,
    };
    line.end(close);
    line.say_goodbye(close).await;
    drop((conversation, events));
    if close.is_some() {
        // The socket is dropped whether or not the client answers.
        line.drain().await;
    }
}

async fn serve<S, E, A>(line: &mut Line<S>, events: &mut Events, conversation: &mut Conversation<A>) -> End
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
    E: std::fmt::Display,
    A: Admission,
{
    let mut tokens = TokenBucket::new(BURST_TOKENS, TOKENS_PER_SECOND.into(), Instant::now());
    let mut pings = interval_at(Instant::now() + line.ping_interval(), line.ping_interval());
    if let Err(end) = line.greet().await {
        return end;
    }
    let begun = conversation.begin().await;
    let mut heart = conversation.heartbeat().map(|beat| Heart::new(beat, Instant::now()));
    if let Err(end) = react(line, begun, &mut heart).await {
        return end;
    }
    let mut pause: Option<Instant> = None;
    loop {
        let is_heard = pause.is_none();
        if !is_heard {
            // A client that is not read cannot count as silent.
            line.heard();
        }
        let beats = is_heard && line.has_socket();
        let outcome = tokio::select! {
            incoming = line.next(is_heard) => match incoming {
                Incoming::Message(message) => match frame_of(message, line, &mut tokens) {
                    Ok(Some(frame)) => {
                        line.count();
                        Heart::heard(&mut heart);
                        let reaction = conversation.receive(frame).await;
                        pause = pause_until(conversation.take_pause());
                        react(line, reaction, &mut heart).await
                    }
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                },
                Incoming::Socket => {
                    Heart::excuse(&mut heart);
                    // What is sent again costs as much as messages of that length, so nobody has it sent to them over and over.
                    line.take_up(|bytes| pay(bytes, &mut tokens)).await
                }
                Incoming::Silence => Err(End::Lost(Some(Close::SILENT))),
                Incoming::GivenUp => Err(End::Left),
            },
            event = events.next() => match event {
                Some(event) => react(line, conversation.send(event), &mut heart).await,
                None => Err(End::Close(conversation.let_go())),
            },
            _ = pings.tick() => line.ping().await,
            () = until(pause) => {
                pause = None;
                Heart::excuse(&mut heart);
                Ok(())
            }
            reaction = Heart::next(&mut heart), if beats => react(line, reaction, &mut heart).await,
        };
        let outcome = match outcome {
            Err(End::Lost(why)) => line.cut(why).await,
            outcome => outcome,
        };
        if let Err(end) = outcome {
            return end;
        }
    }
}

fn pause_until(pause: Duration) -> Option<Instant> {
    (!pause.is_zero()).then(|| Instant::now() + pause)
}

/// Pays for a message with tokens, and returns its frame, if it has one.
fn frame_of<S, E: std::fmt::Display>(
    message: Option<Result<Message, E>>,
    line: &mut Line<S>,
    tokens: &mut TokenBucket,
) -> Result<Option<Frame>, End> {
    line.heard();
    let message = match message {
        None => return Err(End::Lost(None)),
        Some(Ok(Message::Close(frame))) => return Err(closed(frame.as_ref())),
        Some(Err(error)) => {
            debug!(%error, "unreadable");
            return Err(unreadable(&error.to_string()));
        }
        Some(Ok(message)) => message,
    };
    let (bytes, frame) = match message {
        Message::Text(text) => (text.len(), Some(Frame::Text(text.as_str().to_owned()))),
        Message::Binary(data) => (data.len(), Some(Frame::Binary(data))),
        Message::Pong(data) => {
            line.pong(&data);
            (data.len(), None)
        }
        Message::Ping(data) => (data.len(), None),
        Message::Close(frame) => return Err(closed(frame.as_ref())),
    };
    pay(bytes, tokens)?;
    Ok(frame)
}

/// What a client's close frame means. A page that takes its socket for dead closes it with a code of its own, and comes with another.
fn closed(frame: Option<&CloseFrame>) -> End {
    match frame {
        Some(frame) if !ENDS.contains(&frame.code) => End::Lost(None),
        _ => End::Left,
    }
}

/// What a socket's error means: that it was cut, or that the client breaks the protocol and would do so again. The library has no
/// kinds for it, but words.
fn unreadable(error: &str) -> End {
    let is_cut = error.starts_with("IO error") || error.contains("without closing handshake");
    match is_cut {
        true => End::Lost(Some(Close::UNREADABLE)),
        false => End::Close(Close::UNREADABLE),
    }
}

fn pay(bytes: usize, tokens: &mut TokenBucket) -> Result<(), End> {
    let price = 1 + u32::try_from(bytes / 1024).unwrap_or(u32::MAX - 1);
    if tokens.take(price, Instant::now()) {
        return Ok(());
    }
    info!("too many messages");
    Err(End::Close(Close::TOO_FAST))
}

async fn react<S, E>(line: &mut Line<S>, reaction: Reaction, heart: &mut Option<Heart>) -> Result<(), End>
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
{
    let mut sent = Ok(());
    if !reaction.frames.is_empty() {
        sent = line.send(reaction.frames).await;
        Heart::sent(heart);
    }
    // Whoever is refused does not come in over another socket.
    reaction.close.map_or(sent, |close| Err(End::Close(close)))
}
