//! The inputs of the hub's loop.

use std::time::Duration;

use tokio::sync::oneshot;

use super::outbox::Outbox;
use super::overview::Beginning;
use crate::domain::{Address, Command, Refusal, WaitingMessage};
#[cfg(debug_assertions)]
use crate::ids::WorkerId;
use crate::ids::{PushTarget, RoomId, RoomName, SessionId, UserId};
#[cfg(debug_assertions)]
use crate::media::messages::Fault;
use crate::shares::ClientAddress;

pub(super) enum Input {
    Connect {
        id: SessionId,
        client: ClientAddress,
        outbox: Outbox,
    },
    Disconnect {
        session: SessionId,
    },
    Request {
        session: SessionId,
        command: Command,
        reply: oneshot::Sender<Reply>,
    },
    /// Messages that waited for somebody who has come.
    Collected {
        receiver: UserId,
        ticket: u64,
        messages: Vec<WaitingMessage>,
    },
    /// An operator asks for the rooms after this one.
    Overview {
        after: Option<RoomId>,
        reply: oneshot::Sender<Beginning>,
    },
    /// Whether somebody who is there has proven that a name is theirs.
    IsHeld {
        name: UserId,
        reply: oneshot::Sender<bool>,
    },
    /// Somebody asks who is in these group rooms.
    People {
        rooms: Vec<RoomName>,
        reply: oneshot::Sender<Vec<Vec<UserId>>>,
    },
    /// The stay of a user in a group room is to end.
    EndStay {
        room: RoomName,
        user: UserId,
        reply: oneshot::Sender<()>,
    },
    /// A push service no longer knows a push target of this address.
    ForgetPushTarget {
        address: Address,
        target: PushTarget,
    },
    ShutDown {
        done: oneshot::Sender<()>,
    },
    #[cfg(debug_assertions)]
    Fault(HubFault),
}

/// A failure that a test asks for. Release builds have none.
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum HubFault {
    Panic,
    /// The hub's thread does nothing for this time.
    Hang(Duration),
    Worker(WorkerId, Fault),
}

/// The hub's answer to a request.
pub(super) struct Reply {
    pub outcome: Result<(), Refusal>,
    /// Time for which the session's client is not to be read from, because its requests have cost others more than they may.
    pub pause: Duration,
}
