//! Commands and events about calls.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;

use super::Offer;
use crate::ids::{CallId, DeviceId, PushTarget, RoomName, UserId};

/// Where somebody can be reached. The two kinds do not mix: nobody takes over a device by giving themselves a name that looks
/// like one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// A name that a client gave itself.
    Name(UserId),
    /// A device of an account. The family has checked that the session speaks for it.
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

/// How a new session stands to its rivals: the older sessions at the same address that can be sent the same events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// One more session. A call rings at all of them until one answers, and each gets the messages.
    Joins,
    /// The only session from now on. The older one is dismissed, and its calls are over.
    Replaces,
    /// The only session from now on. The older one is dismissed, and its calls go on with the new one. When a session ends
    /// without a successor, its calls wait a moment ([`super::Limits::reconnect_within`]) for the next one. This is for calls
    /// whose media do not depend on the session; a call that this server carries ends with its session all the same.
    Inherits,
}

/// What a session asks for about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallCommand {
    /// Call these addresses, until one of them answers. A call of the same session that still rings elsewhere is given up.
    Invite {
        to: Vec<Address>,
        media: CallMedia,
        when_busy: WhenBusy,
        when_absent: WhenAbsent,
    },
    /// Call somebody by a message, who can be called by other means, too: refused ([`super::Refusal::NotReachable`]) where calls
    /// ring at nobody but people who get messages, whom the message reaches without a call. The call and other calls of the
    /// session go on beside one another; only a call that still rings at the same callee is given up. When the caller then calls
    /// this callee with an offer from another session, and the callee has accepted and goes into the room, that session takes
    /// the call over, and this server brings it into the room.
    InviteByMessage {
        to: Address,
        /// Room where the two meet.
        room: RoomName,
        /// Message by which the call rings at people who get messages.
        message: Bytes,
    },
    /// Answer the call that rings here and comes from `from`. If a room is named, only the call whose parties meet in it is
    /// meant. An answer to a call that no longer rings is refused, and accepts no newer call. A session without abilities, at
    /// which nothing rings, may answer a call whose parties meet in a room, if it rings at the session's address.
    Answer {
        from: Address,
        room: Option<RoomName>,
        answer: CallAnswer,
    },
    /// A new offer for the media of the call that the session is in and this server carries: an ICE restart, or a new
    /// connection in the place of the old one.
    Renew { offer: Offer },
    /// End the calls with somebody, whether they ring or are accepted. `room` is not compared with the rooms of these calls,
    /// because some clients name a wrong one. One exception: if a call between the two in that room has just ended
    /// ([`super::Limits::late_within`]), the message was about that call, and is refused. Without `with`: end the call that the
    /// session is in or has begun; if there is none, end those that ring at the session.
    HangUp {
        with: Option<Address>,
        room: Option<RoomName>,
    },
}

/// What carries the media of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallMedia {
    /// This server. The caller's offer waits until the callee accepts with one of its own; then both are answered.
    Carried(Offer),
    /// Something that is not decided here. Both parties are sent this room, and go there by themselves.
    Elsewhere(RoomName),
    /// Whatever suits both: the call rings at callees who bring an offer, and at callees who go into a room by themselves. Where
    /// both sides bring an offer, it is as [`CallMedia::Carried`]; where neither does, as [`CallMedia::Elsewhere`]. Where one side
    /// does, this server brings it into the group room of this name, with one connection for both directions, and the other side
    /// goes there by itself.
    Either {
        /// Offer of the caller. `None` if the caller goes into the room.
        offer: Option<Offer>,
        room: RoomName,
    },
}

/// What happens to a call whose callee is in a call or rings already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// The call is refused ([`super::Refusal::Busy`]).
    Refuse,
    /// The call rings. The callee's client decides what it does about that.
    Ring,
}

/// What happens to a call at a callee who cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAbsent {
    /// The callee is left out of the call. If nobody can be reached, the call is refused ([`super::Refusal::NotReachable`]).
    LeaveOut,
    /// The call rings there as long as anywhere: the callee may come meanwhile, or ask by other means who calls, and answer.
    Ring,
}

/// A callee's answer to a call that rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAnswer {
    /// Accept, with an offer if this server carries the callee's media. All other calls that the session is in or has begun end.
    Accept(Option<Offer>),
    Decline(Decline),
}

/// Why a call is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decline {
    Unwilling,
    Busy,
    /// The callee has no microphone or camera.
    NoDevice,
}

/// What a session is sent about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEvent {
    /// A call rings at the session.
    Incoming {
        call: CallId,
        from: Address,
        to: Address,
        /// Room where the two parties meet, if the callee brings no offer. `None` if the callee has to bring one.
        room: Option<RoomName>,
        /// Message by which the caller invites, for whoever gets messages.
        message: Option<Bytes>,
    },
    /// To a caller who goes into a room: a callee has accepted. Of those who have brought an offer, each side's
    /// [`super::Event::Answered`] says so, and the callee is sent theirs first.
    Accepted { call: CallId, by: Address, room: RoomName },
    /// To the caller: this callee does not answer, and others still may.
    CalleeOut {
        call: CallId,
        callee: Address,
        reason: CallEnd,
    },
    /// The last event of a call. The session that ended the call is not sent it.
    Over(CallOver),
}

/// Notice for somebody without a session that a call rings, or that it no longer rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushNotice {
    /// Address whose push targets these are.
    pub to: Address,
    pub targets: Vec<PushTarget>,
    /// Time until which the call rings. `None` if it is over.
    pub until: Option<Instant>,
    /// Event of the call: a [`CallEvent::Incoming`] or a [`CallEvent::Over`].
    pub event: CallEvent,
}

/// Notice of the end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOver {
    pub call: CallId,
    /// Side of the session that is sent this.
    pub side: Side,
    pub other: Address,
    pub room: Option<RoomName>,
    /// Whether the call had been accepted.
    pub accepted: bool,
    pub reason: CallEnd,
}

/// One of the two ends of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Caller,
    Callee,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    Declined(Decline),
    /// Another session of the callee, or another callee, has accepted. The call is over for this one only.
    AnsweredElsewhere,
    /// The call rang as long as it may ([`super::Limits::ring_for`]).
    TimedOut,
    /// The caller hung up before anybody accepted.
    GivenUp,
    HungUp,
    /// Both parties have left the room where they met ([`super::Limits::room_empty_for`]).
    RoomLeft,
    /// The other side's session has ended, or somebody's media connection was lost.
    Lost,
    /// The media could not be set up.
    Failed,
}
