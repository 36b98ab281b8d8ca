//! The client's end of a signaling connection, and the way between it and the server. The way takes time, and nothing on it is
//! lost or overtakes anything. A client can die without a goodbye, or read nothing for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::extract::ws::Message;
use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;

use crate::websocket::wire::WireClient;

/// The time from one end to the other.
const DELAY: Duration = Duration::from_millis(15);
/// The server reads nothing now: the next attempt comes after this time.
const AGAIN: Duration = Duration::from_millis(5);

pub struct Socket {
    client: WireClient,
    to_server: VecDeque<(Instant, Message)>,
    from_server: VecDeque<(Instant, Message)>,
    reads_nothing_until: Option<Instant>,
}

/// What a socket delivers to its client.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Text(String),
    Binary(Bytes),
    /// The end, with the code of the close frame.
    Closed(Option<u16>),
}

impl Socket {
    pub fn new(client: WireClient) -> Socket {
        Socket {
            client,
            to_server: VecDeque::new(),
            from_server: VecDeque::new(),
            reads_nothing_until: None,
        }
    }

    pub fn send(&mut self, now: Instant, message: Message) {
        self.to_server.push_back((now + DELAY, message));
    }

    /// Says goodbye, after all that has been sent.
    pub fn close(&mut self, now: Instant) {
        self.send(now, Message::Close(None));
    }

    pub fn stall(&mut self, until: Instant) {
        self.reads_nothing_until = Some(until);
    }

    /// Whether the server has closed it.
    pub fn is_over(&self) -> bool {
        self.client.incoming.is_closed()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, Message)>| queue.front().map(|(due, _)| *due);
        let heard = self.reads_nothing_until.or(first(&self.from_server));
        [first(&self.to_server), heard].into_iter().flatten().min()
    }

    /// When something arrives at the server next.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.to_server.front().map(|(due, _)| *due)
    }

    /// Lets the first message arrive.
    pub fn arrive(&mut self, now: Instant) {
        let Some((_, message)) = self.to_server.pop_front() else {
            return;
        };
        match self.client.incoming.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => self.to_server.push_front((now + AGAIN, message)),
            Err(TrySendError::Closed(_)) => self.to_server.clear(),
        }
    }

    /// Takes everything that the server has sent onto the way.
    pub fn collect(&mut self, now: Instant) {
        self.reads_nothing_until = self.reads_nothing_until.filter(|until| now < *until);
        if self.reads_nothing_until.is_some() {
            return;
        }
        while let Ok(message) = self.client.outgoing.try_recv() {
            self.from_server.push_back((now + DELAY, message));
        }
    }

    /// The next thing that has arrived at the client. Pings are answered here.
    pub fn hear(&mut self, now: Instant) -> Option<Heard> {
        while self.from_server.front().is_some_and(|(due, _)| *due <= now) {
            match self.from_server.pop_front()?.1 {
                Message::Text(text) => return Some(Heard::Text(text.as_str().to_owned())),
                Message::Ping(data) => self.to_server.push_back((now + DELAY, Message::Pong(data))),
                Message::Close(frame) => return Some(Heard::Closed(frame.map(|frame| frame.code))),
                Message::Binary(bytes) => return Some(Heard::Binary(bytes)),
                Message::Pong(_) => {}
            }
        }
        let is_empty = self.from_server.is_empty() && self.client.outgoing.is_empty();
        (is_empty && self.client.outgoing.is_closed()).then_some(Heard::Closed(None))
    }
}
