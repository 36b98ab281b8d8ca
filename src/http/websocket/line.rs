//! What carries the messages of a conversation: its client's socket, or one after the other where the client may resume.
//!
//! A client that may resume is sent a first message on each socket that belongs to no family, [`Greeting`]. Both sides count the
//! messages after it, over all sockets. A new socket begins with what the other side has not received of the one before it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, info};

use super::journal::Journal;
use super::resumption::{Path, Registered, Resumptions};
use super::times::{GOODBYE_MAX, PING_INTERVAL, RESUMED_WITHIN, SILENCE_MAX, WRITE_MAX};
use crate::signaling::{Close, Frame, json};

/// Silence after which the socket of a client that may resume counts as cut, so that others see a client that has vanished leave
/// within half a minute.
const RESUMABLE_SILENCE_MAX: Duration = Duration::from_secs(15);

/// Time between pings to a client that may resume: two are lost before it counts as cut.
const RESUMABLE_PING_INTERVAL: Duration = Duration::from_secs(5);

/// Messages that a client may have sent before it saw our close frame. They are read and thrown away, because unread
/// ones would cause a reset, which can cut off our last messages.
const GOODBYE_MESSAGES_MAX: usize = 1_000;

/// A client's socket, or the wait for the next one.
pub struct Line<S> {
    socket: Option<S>,
    served: Option<oneshot::Sender<Infallible>>,
    last_heard: Instant,
    resuming: Option<Resuming<S>>,
}

/// What a conversation needs to go on over another socket.
struct Resuming<S> {
    registered: Registered<S>,
    journal: Journal,
    /// Number of messages that the client has sent, and that were taken.
    received: u64,
    /// Number of frames that the client had been sent before the last ping that it has answered.
    answered: u64,
    /// When the client counts as gone, while it has no socket.
    given_up_at: Option<Instant>,
}

/// The first message on the socket of a client that may resume.
#[derive(serde::Serialize)]
struct Greeting {
    resume: Resume,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Resume {
    token: String,
    within_ms: u64,
    /// Number of messages that were received of the client before this socket; missing where the conversation is a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
}

/// The end of a conversation, or of a socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// We end the conversation, with a reason.
    Close(Close),
    /// The client has ended the conversation, or has not come back.
    Left,
    /// The socket is of no use any more. A client that may resume may come with another one; else this is the end.
    Lost(Option<Close>),
}

/// What a client's line brings.
pub(super) enum Incoming<E> {
    Message(Option<Result<Message, E>>),
    /// Another socket is there, for [`Line::take_up`].
    Socket,
    Silence,
    /// The client has no socket, and its time for another is over.
    GivenUp,
}

impl<S> Line<S> {
    /// A client that has this socket alone.
    pub fn new(socket: S) -> Line<S> {
        Line {
            socket: Some(socket),
            served: None,
            last_heard: Instant::now(),
            resuming: None,
        }
    }

    /// A client that may come with another socket, to the same path.
    pub fn resumable(socket: S, resumptions: &Resumptions<S>, path: Path) -> Line<S> {
        let resuming = Resuming {
            registered: resumptions.register(path),
            journal: Journal::default(),
            received: 0,
            answered: 0,
            given_up_at: None,
        };
        Line {
            resuming: Some(resuming),
            ..Line::new(socket)
        }
    }

    /// The same line, with what is dropped when its first socket is not served any more.
    pub(super) fn until_dropped(mut self, served: oneshot::Sender<Infallible>) -> Line<S> {
        self.served = Some(served);
        self
    }

    pub(super) fn ping_interval(&self) -> Duration {
        self.resuming
            .as_ref()
            .map_or(PING_INTERVAL, |_| RESUMABLE_PING_INTERVAL)
    }

    pub(super) fn has_socket(&self) -> bool {
        self.socket.is_some()
    }

    /// The client has shown that it is there.
    pub(super) fn heard(&mut self) {
        self.last_heard = Instant::now();
    }

    /// A frame of the client is taken, and will be carried out.
    pub(super) fn count(&mut self) {
        if let Some(resuming) = &mut self.resuming {
            resuming.received += 1;
            resuming.registered.forget_former();
        }
    }

    /// The answer to a ping says how much had come to the client before it. Its page may be slower than what answers there, so that is
    /// believed when the next ping is answered.
    pub(super) fn pong(&mut self, data: &Bytes) {
        if let (Some(resuming), Ok(number)) = (&mut self.resuming, data.as_ref().try_into()) {
            resuming.journal.received(resuming.answered);
            resuming.answered = u64::from_be_bytes(number);
        }
    }

    /// The conversation ends. A client that comes again within some time is sent the same reason.
    pub(super) fn end(&mut self, close: Option<Close>) {
        if let (Some(resuming), Some(close)) = (self.resuming.take(), close) {
            resuming.registered.end(close);
        }
    }

    fn silence_max(&self) -> Duration {
        self.resuming.as_ref().map_or(SILENCE_MAX, |_| RESUMABLE_SILENCE_MAX)
    }
}

impl<S, E> Line<S>
where
    S: Stream<Item = Result<Message, E>> + Sink<Message, Error = E> + Unpin,
{
    /// Returns what comes next. While `is_heard` is false nothing is read from the socket. Cancel-safe.
    pub(super) async fn next(&mut self, is_heard: bool) -> Incoming<E> {
        let silent_at = (is_heard && self.socket.is_some()).then(|| self.last_heard + self.silence_max());
        let given_up_at = self.resuming.as_ref().and_then(|resuming| resuming.given_up_at);
        tokio::select! {
            message = of(self.socket.as_mut(), S::next), if is_heard => Incoming::Message(message),
            () = of(self.resuming.as_mut(), |resuming| resuming.registered.arrived()) => Incoming::Socket,
            () = until(silent_at) => Incoming::Silence,
            () = until(given_up_at) => Incoming::GivenUp,
        }
    }

    /// Greets a client that may resume.
    pub(super) async fn greet(&mut self) -> Result<(), End> {
        let Some(resuming) = &self.resuming else { return Ok(()) };
        let greeting = resuming.greeting(None);
        self.write([greeting]).await
    }

    /// Sends frames in order; keeps them while there is no socket.
    pub(super) async fn send(&mut self, frames: impl IntoIterator<Item = Frame>) -> Result<(), End> {
        let frames = frames.into_iter();
        let Some(resuming) = &mut self.resuming else {
            return self.write(frames.map(message)).await;
        };
        let mut messages = Vec::with_capacity(frames.size_hint().0);
        for frame in frames {
            resuming.journal.push(frame.clone());
            messages.push(message(frame));
        }
        self.write(messages).await
    }

    /// Sends a ping, whose answer says what has been received until then.
    pub(super) async fn ping(&mut self) -> Result<(), End> {
        let sent = self.resuming.as_ref().map(|resuming| resuming.journal.sent());
        let data = sent.map(|sent| Bytes::copy_from_slice(&sent.to_be_bytes()));
        self.write([Message::Ping(data.unwrap_or_default())]).await
    }

    /// Lets a socket go that is of no use any more. Returns the end of the conversation where no other socket may come: the client has
    /// not asked to resume, or it has sent nothing yet.
    pub(super) async fn cut(&mut self, why: Option<Close>) -> Result<(), End> {
        let Some(resuming) = self.resuming.as_mut().filter(|resuming| resuming.received > 0) else {
            return Err(End::Lost(why));
        };
        debug!(?why, "the socket is cut");
        metrics::counter!("patchbay_sockets_cut_total").increment(1);
        resuming.given_up_at = Some(Instant::now() + RESUMED_WITHIN);
        self.socket = None;
        self.served = None;
        Ok(())
    }

    /// Goes on over the socket that has come, first with what the client has not received. `pays` is given the number of bytes that are
    /// sent again, and may refuse.
    pub(super) async fn take_up(&mut self, pays: impl FnOnce(usize) -> Result<(), End>) -> Result<(), End> {
        let Some(resuming) = &mut self.resuming else {
            return Ok(());
        };
        let Some(mut arrival) = resuming.registered.take() else {
            return Ok(());
        };
        let Some(missed) = resuming.journal.after(arrival.received) else {
            info!("a client that came back misses more than was kept");
            say_goodbye(&mut arrival.socket, Some(Close::NOT_RESUMED)).await;
            // An older request may have come late, while the client has a newer socket that works.
            return if self.socket.is_some() { Ok(()) } else { Err(End::Left) };
        };
        let missed: Vec<Message> = missed.cloned().map(message).collect();
        resuming.journal.received(arrival.received);
        resuming.answered = arrival.received;
        resuming.given_up_at = None;
        resuming.registered.renew();
        let greeting = resuming.greeting(Some(resuming.received));
        self.socket = Some(arrival.socket);
        self.served = arrival.served;
        self.heard();
        pays(missed.iter().map(size).sum())?;
        metrics::counter!("patchbay_sockets_resumed_total").increment(1);
        self.write(std::iter::once(greeting).chain(missed)).await
    }

    /// Closes the socket, with a reason or in answer to the client.
    pub(super) async fn say_goodbye(&mut self, close: Option<Close>) {
        if let Some(socket) = &mut self.socket {
            say_goodbye(socket, close).await;
        }
    }

    /// Reads until the client's close frame, the end of the stream, more messages than any client can have sent already, or
    /// until the time for it is over.
    pub(super) async fn drain(mut self) {
        let Some(mut socket) = self.socket.take() else { return };
        let drained = async {
            for _ in 0..GOODBYE_MESSAGES_MAX {
                if let None | Some(Err(_) | Ok(Message::Close(_))) = socket.next().await {
                    return;
                }
            }
        };
        timeout(GOODBYE_MAX, drained).await.ok();
    }

    async fn write(&mut self, messages: impl IntoIterator<Item = Message>) -> Result<(), End> {
        let deadline = (Instant::now() + WRITE_MAX).min(self.last_heard + self.silence_max());
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let write = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        tokio::select! {
            biased;
            written = timeout_at(deadline, write) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Lost(None)),
            },
            // The client would not come with another socket if it still read this one.
            () = of(self.resuming.as_mut(), |resuming| resuming.registered.arrived()) => Err(End::Lost(None)),
        }
    }
}

impl<S> Resuming<S> {
    fn greeting(&self, received: Option<u64>) -> Message {
        let resume = Resume {
            token: self.registered.token().to_string(),
            within_ms: u64::try_from(RESUMED_WITHIN.as_millis()).unwrap_or(u64::MAX),
            received,
        };
        Message::text(json::text(&Greeting { resume }))
    }
}

async fn say_goodbye<S, E>(socket: &mut S, close: Option<Close>)
where
    S: Sink<Message, Error = E> + Unpin,
{
    let frame = close.map(|Close { code, reason }| CloseFrame {
        code,
        reason: reason.into(),
    });
    let goodbye = async {
        if let Some(frame) = frame {
            socket.send(Message::Close(Some(frame))).await.ok();
        }
        // This sends our close frame, whichever side closed.
        socket.close().await.ok();
    };
    timeout(GOODBYE_MAX, goodbye).await.ok();
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::text(text),
        Frame::Binary(bytes) => Message::Binary(bytes),
    }
}

fn size(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(data) | Message::Ping(data) | Message::Pong(data) => data.len(),
        Message::Close(_) => 0,
    }
}

/// Waits for what `next` makes of `source`; for ever, where there is none.
async fn of<'a, T, F: Future>(source: Option<&'a mut T>, next: impl FnOnce(&'a mut T) -> F) -> F::Output {
    match source {
        Some(source) => next(source).await,
        None => std::future::pending().await,
    }
}

/// Waits until `time`; for ever, if there is none.
pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
