//! The rules: who is in which room, who sees whom, who can be reached by message, who is told what.
//!
//! A [`Command`] comes from one session; [`Rooms`] changes its state and returns [`Effect`]s, in the order in which
//! they are to be carried out, or a [`Refusal`]. Nothing here waits, reads or writes, and no wire format is known:
//! ids and session descriptions are opaque.

mod connection;
mod presence;
mod room;
mod rooms;

use std::sync::Arc;

pub use connection::ConnectionIdentity;
pub use presence::{Errand, MessageCommand, MessageEvent, Presence, Recipient, WaitingMessage};
pub use rooms::{Limits, Rooms};

use crate::ids::{ParticipantId, PeerId, RoomId, RoomName, SessionId, UserId};

/// How a participant is called and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub user: UserId,
    /// The id again where no name is known.
    pub name: String,
    pub prefix: String,
    pub postfix: String,
}

/// What one session asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Enter a room. A session is in one room at a time: it leaves the one it is in.
    Join {
        room: RoomName,
        person: Person,
    },
    Leave,
    /// Offer a connection: to publish where `subject` is oneself, otherwise to receive from `subject`.
    Offer {
        subject: UserId,
        offer: Offer,
    },
    /// A remote candidate for the connection that concerns `subject`. The server finds clients by their own checks
    /// (RFC 8445 §2.5, ICE-lite), so only whether it addresses a connection of this session matters.
    Candidate {
        subject: UserId,
    },
    /// A chat text to everybody in the room, oneself included.
    Say {
        text: Arc<str>,
    },
    /// A file to be announced to everybody in the room, oneself included.
    AnnounceFile {
        file: Arc<FileNotice>,
    },
    /// About messages between users, in a room or not.
    Message(MessageCommand),
}

/// A session description with what tells its connection from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub sdp: String,
    pub identity: ConnectionIdentity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNotice {
    pub name: String,
    pub url: String,
    /// A media type, or whatever the client calls it.
    pub kind: Option<String>,
}

/// What one session is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has entered; these were there before, in the order of their arrival.
    Joined {
        others: Vec<Arc<Person>>,
    },
    ParticipantArrived {
        person: Arc<Person>,
    },
    ParticipantLeft {
        user: UserId,
    },
    /// The answer to its offer that concerned `subject`.
    Answered {
        subject: UserId,
        sdp: String,
    },
    /// One of the server's candidates for the connection that concerns `subject`; after its [`Event::Answered`].
    Candidate {
        subject: UserId,
        candidate: Candidate,
    },
    Text {
        from: UserId,
        text: Arc<str>,
    },
    File {
        from: UserId,
        file: Arc<FileNotice>,
    },
    Message(MessageEvent),
    /// The last event: the session is to be closed.
    Ended(EndReason),
}

/// An ICE candidate as text (RFC 8839 §5.1) and the media section it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub line: String,
    pub mid: String,
    pub section: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The same user has entered the same room with a newer session.
    Replaced,
    /// The server is going down.
    Shutdown,
}

/// An expected no: nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the session is not in a room")]
    NotInRoom,
    #[error("nobody of that name is in the room")]
    UnknownParticipant,
    #[error("the session has no such connection")]
    UnknownPeer,
    #[error("the room holds as many participants as it may")]
    RoomFull,
    #[error("the server holds as many rooms as it may")]
    TooManyRooms,
    #[error("the participant or the server holds as many connections as it may")]
    TooManyPeers,
    #[error("the offer cannot be answered")]
    BadOffer,
    #[error("the session is bound to a user already")]
    AlreadyBound,
    #[error("the session is not bound to a user")]
    NotBound,
    #[error("the user has as many sessions as he may")]
    TooManySessions,
    #[error("the session has ended")]
    SessionEnded,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    OpenRoom(RoomId),
    CloseRoom(RoomId),
    ClosePeer {
        room: RoomId,
        peer: PeerId,
    },
    Negotiate(Negotiation),
    Tell {
        session: SessionId,
        event: Event,
    },
    /// The same event for several sessions.
    TellEach {
        sessions: Vec<SessionId>,
        event: Event,
    },
    Mailbox(Errand),
    /// Tell the reason, then let go of the session.
    Dismiss {
        session: SessionId,
        reason: EndReason,
    },
}

/// An offer that is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    pub session: SessionId,
    pub room: RoomId,
    pub participant: ParticipantId,
    /// A new id opens a connection, a known one changes that connection.
    pub peer: PeerId,
    /// Whose tracks go down the connection; `None` where the participant publishes.
    pub source: Option<ParticipantId>,
    /// What the session calls the other end.
    pub subject: UserId,
    pub sdp: String,
}

#[cfg(test)]
mod tests;
