//! What is asked and told about calls from one to another.

use std::fmt;

use super::Offer;
use crate::ids::{CallId, DeviceId, PushTarget, RoomName, UserId};

/// Where somebody can be reached. Kinds do not mix: nobody takes over a device by giving himself a name that looks so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A name that a client gave itself.
    Name(UserId),
    /// A device of an account; the family has checked that the session speaks for it.
    Device { account: UserId, device: DeviceId },
}

impl Address {
    /// The user that has this address as a name.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Address::Name(user) => Some(user),
            Address::Device { .. } => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Name(name) => name.fmt(f),
            Address::Device { account, device } => write!(f, "{account}/{device}"),
        }
    }
}

/// What a session is to those at the same address that can be sent the same, and have come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// One more: a call rings at all of them until one answers, and each gets the messages.
    Joins,
    /// The only one from now on. The older one is dismissed, and what it was in is over.
    Replaces,
    /// The only one from now on. The older one is dismissed, and its calls go on with the new one; a call also waits a
    /// moment ([`super::Limits::reconnect_within`]) for a new session after its old one is gone. This is for calls
    /// whose media do not depend on the session; one that this server carries ends with its session all the same.
    Inherits,
}

/// What a session asks about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallCommand {
    /// Call those at these addresses, until one of them answers. Whoever still rings somebody else gives that up.
    Invite {
        to: Vec<Address>,
        media: CallMedia,
        when_busy: WhenBusy,
    },
    /// Answer the call that rings here and comes from `from`; the one that meets in `room`, where a room is named. An
    /// answer to a call that does not ring any more is refused, and accepts no newer one.
    Answer {
        from: Address,
        room: Option<RoomName>,
        answer: Answer,
    },
    /// A new offer for the media of the call that the session is in, which this server carries: an ICE restart, or a new
    /// connection in the place of the old one.
    Renew { offer: Offer },
    /// End the calls with somebody, in whatever state they are. The room is not compared with theirs, because some clients name a
    /// wrong one. One exception: if it is the room of a call between the two that has just ended
    /// ([`super::Limits::late_within`]), the message was about that call, and is refused. Without `with`: end the call that
    /// the session is in or has begun; if there is none, those that ring at it.
    HangUp {
        with: Option<Address>,
        room: Option<RoomName>,
    },
}

/// By what the two will hear each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallMedia {
    /// This server: the caller's offer waits until the callee accepts with one of its own; then both are answered.
    Carried(Offer),
    /// Something that is not decided here: both are told this room, and go there by themselves.
    Elsewhere(RoomName),
}

/// What becomes of a call to somebody who is in a call or rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// It is refused ([`super::Refusal::Busy`]).
    Refuse,
    /// It rings; the callee's client says what it thinks of that.
    Ring,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With an offer where this server carries the call. Ends what else the session is in or has begun.
    Accept(Option<Offer>),
    Decline(Decline),
}

/// Why a call is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    Unwilling,
    Busy,
    /// There is no microphone or camera.
    NoDevice,
}

/// What a session is told about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// It rings.
    Incoming {
        call: CallId,
        from: Address,
        to: Address,
        /// Where the two will meet, if not here.
        room: Option<RoomName>,
    },
    /// To the caller of a call that is carried elsewhere. In a call that is carried here, each side's
    /// [`super::Event::Answered`] says it, the callee's first.
    Accepted { call: CallId, by: Address, room: RoomName },
    /// To the caller: this callee does not answer, and others still may.
    CalleeOut {
        call: CallId,
        callee: Address,
        reason: CallEnd,
    },
    /// The last of a call; not told to the session that ended it.
    Over(CallOver),
}

/// A call rings, or rings no more, where somebody is reached without a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushNotice {
    pub targets: Vec<PushTarget>,
    /// An [`CallEvent::Incoming`], or a [`CallEvent::Over`].
    pub event: CallEvent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOver {
    pub call: CallId,
    /// Which side the session that is told is on.
    pub side: Side,
    pub other: Address,
    pub room: Option<RoomName>,
    /// Whether it had been accepted.
    pub accepted: bool,
    pub reason: CallEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    Declined(Decline),
    /// Another session of the callee, or another callee, has accepted: over for this one only.
    AnsweredElsewhere,
    /// It rang as long as it may ([`super::Limits::ring_for`]).
    TimedOut,
    /// The caller hung up before anybody accepted.
    GivenUp,
    HungUp,
    /// Both have left the room where they met ([`super::Limits::room_empty_for`]).
    RoomLeft,
    /// The other side's session is gone, or somebody's media connection is.
    Lost,
    /// The media could not be set up.
    Failed,
}
