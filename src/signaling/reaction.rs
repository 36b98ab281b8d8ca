//! The reaction to a message, as the client's socket has to carry it out: frames to send, and why it is closed.

use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use super::json;
use crate::domain::EndReason;

/// One WebSocket message with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Bytes),
}

impl Frame {
    /// The text of the frame, for a family of text messages: some clients send theirs in binary frames. Bytes that are no text
    /// count as an empty one.
    pub fn text(&self) -> &str {
        match self {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }
}

/// A family's own sign of life, beside WebSocket's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// Time without any other message to the client, after which the frame is sent …
    pub after: Duration,
    pub frame: Frame,
    /// … and time within which any message has to come back.
    pub(crate) answer_within: Duration,
}

/// What is to be done with the client's socket: frames to send, in order, and then perhaps to close it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    pub frames: SmallVec<[Frame; 2]>,
    pub close: Option<Close>,
}

/// Why a socket is closed (RFC 6455 §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    pub reason: &'static str,
}

impl Close {
    pub(crate) const GOING_AWAY: Close = Close::new(1001, "the server is going down");
    pub(crate) const UNREADABLE: Close = Close::new(1009, "a message is too long or breaks the protocol");
    pub(crate) const UNKNOWN_USER: Close = Close::new(1008, "no such user");
    pub(crate) const NO_NAME: Close = Close::new(
        1008,
        "to join takes a name and a room: texts that are not empty, or whole numbers",
    );
    pub(crate) const LONG_NAME: Close = Close::new(1008, "a name has more than 128 characters");
    pub(crate) const LONG_OFFER: Close = Close::new(1009, "an offer has more than 65536 bytes");
    /// One of the codes for private use, like the ones after it: a page tells them from a wrong password.
    pub(crate) const NO_TOKEN: Close = Close::new(4401, "this server asks for a token: the one that was issued to you");
    pub(crate) const BAD_TOKEN: Close =
        Close::new(4403, "the token is not valid any more, or was never: ask for a new one");
    pub(crate) const OTHERS_TOKEN: Close = Close::new(4403, "the token was issued to somebody else");
    pub(crate) const NO_ACCESS: Close = Close::new(
        4403,
        "the access token is not valid for this room and this name, or not any more: ask for a new one",
    );
    /// The code of a missing token: one of another kind counts for nothing there.
    pub(crate) const CHANNEL: Close = Close::new(
        4401,
        "this room is a channel of the call API: enter it with an access token",
    );
    pub(crate) const NAME_TAKEN: Close =
        Close::new(4409, "the name is held by somebody who has proven that it is theirs");
    pub(crate) const WRONG_PASSWORD: Close = Close::new(1008, "the room's password is missing or wrong");
    /// One of the codes for private use: a page that reads only codes would take another one for a wrong password or a full
    /// room.
    pub(crate) const TOO_MANY_GUESSES: Close = Close::new(
        4029,
        "too many wrong passwords for this room from your network; wait a minute",
    );
    pub(crate) const TOO_FAST: Close = Close::new(1008, "too many messages");
    pub(crate) const TOO_SLOW: Close = Close::new(1008, "messages are not read");
    /// The code of a restart (RFC 6455's registry, 1012). A client that comes again by itself finds the same room, with whoever is
    /// still there.
    pub(crate) const MEDIA_LOST: Close = Close::new(
        1012,
        "the part of the server that carried this room has failed; come again",
    );
    pub(crate) const FAILED: Close = Close::new(1011, "the server has failed, and ends");
    pub(crate) const STORAGE_FAILED: Close = Close::new(1011, "the server cannot look users up now");
    pub(crate) const SILENT: Close = Close::new(1008, "pings are not answered");
    pub(crate) const FULL: Close = Close::new(1013, "the room or the server is full");
    pub(crate) const TOO_DEAR: Close = Close::new(1008, "the message is too long for so many people");
    pub(crate) const TOO_MANY_PEERS: Close =
        Close::new(1013, "no place for one more WebRTC connection; try again later");
    /// One of the codes for private use. A client that reconnects by itself must not do so on this one, or two pages of the
    /// same user would throw one another out for ever.
    pub(crate) const REPLACED: Close = Close::new(4001, "the same user came again with a newer session");

    /// One of the codes for private use. A client that reconnects by itself must first have another token.
    pub(crate) const STAY_OVER: Close = Close::new(
        4410,
        "your time in this room is over, as your access token says: ask for a new one",
    );

    /// One of the codes for private use: the client comes again as if for the first time.
    pub(crate) const NOT_RESUMED: Close = Close::new(4412, "what you have missed is not kept any more: join again");
    pub(crate) const REMOVED: Close = Close::new(4411, "a host has ended your stay in this room");
    /// One of the codes for private use, like the next one: another password would be of no use.
    pub(crate) const LOCKED: Close = Close::new(4423, "the meeting is locked: a host has to let you in");
    pub(crate) const HOST_ABSENT: Close = Close::new(4425, "the meeting begins when its host comes; try again later");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

impl Reaction {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub fn frame(message: &impl serde::Serialize) -> Self {
        Self::none().and_frame(message)
    }

    pub fn close(close: Close) -> Self {
        Self::none().and_close(close)
    }

    pub(crate) fn and_frame(mut self, message: &impl serde::Serialize) -> Self {
        self.frames.push(Frame::Text(json::text(message)));
        self
    }

    pub(crate) fn and_close(mut self, close: Close) -> Self {
        self.close = Some(close);
        self
    }
}

impl From<EndReason> for Close {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Replaced => Close::REPLACED,
            EndReason::Shutdown => Close::GOING_AWAY,
            EndReason::MediaLost => Close::MEDIA_LOST,
            EndReason::StayOver => Close::STAY_OVER,
            EndReason::Removed => Close::REMOVED,
        }
    }
}
