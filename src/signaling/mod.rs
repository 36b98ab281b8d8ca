//! Signaling families: each turns what its clients send into commands, and events into what its clients expect.
//!
//! A family is a folder here; the folder's `mod.rs` describes its wire format. No family knows another, and nothing outside
//! knows any. Families whose clients have a socket are [`Dialogue`]s, and the path says which one a client speaks
//! ([`Entrance`]). [`accounts`], [`conferences`], [`dapi`] and [`files`] are the formats of requests over HTTP. Two families share `/groupcall`; the first
//! message tells them apart:
//!
//! | first message | family |
//! |---|---|
//! | a JSON object with one of [`groupcall_id`]'s kinds under `id` | [`groupcall_id`] |
//! | a JSON object with one of [`groupcall_type`]'s kinds under `type` | [`groupcall_type`] |
//! | anything else | not known; the next message counts as the first |
//!
//! Where the family is not known, the answer has its kind under both keys:
//! `{"id":"unrecognizedMessage","type":"unrecognizedMessage","message":…}`, with what the client sent. One family knows this
//! message, and clients of the other report kinds that they do not know.
//!
//! The same two families share `/direct`, whose rooms are different ones: each is for two, who only need to know its name.
//! There a user need not be known to the server.
//!
//! People of both families meet in the same rooms: a room and a user are identified by their name as text, so `7` and `"7"` are
//! the same.

pub(crate) mod accounts;
mod call;
mod client;
pub mod conferences;
pub mod dapi;
mod devices;
mod dialogue;
pub(crate) mod files;
mod groupcall;
mod groupcall_id;
mod groupcall_type;
mod identity;
mod join;
pub(crate) mod json;
mod limits;
mod messages;
mod offer;
pub mod push;
mod reaction;
mod received;
mod wants;
pub(crate) mod whip;
mod words;

use std::sync::Arc;
use std::time::Duration;

pub use client::Admission;
pub(crate) use client::{Client, TimedApp};
use dialogue::Dialogue;
pub use identity::stay_of;
use limits::{FRAME_BYTES_MAX, SMALL_FRAME_BYTES_MAX};
pub(crate) use reaction::Heartbeat;
pub use reaction::{Close, Frame, Reaction};
use received::Received;

use crate::auth::TokenKeys;
use crate::auth::access_token::App;
use crate::clock::{MonotonicClock, WallClock};
use crate::config::Config;
use crate::domain::{Event, RoomKind};
use crate::hub::Session;
use crate::ids::RoomName;
use crate::storage::DeviceRecord;
use crate::turn::announced::RelayAt;

/// The path by which a client has come. It decides which family the client speaks, and how long its messages may be.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// `/call`
    Call {
        /// Maker of the rooms where its callers meet callees who bring no offer, as in [`Entrance::Device`].
        room_ids: fn() -> RoomName,
    },
    /// `/groupcall`
    Groupcall,
    /// `/direct`: as `/groupcall`, for rooms of two.
    Direct,
    /// `/ws`
    Messages {
        /// Maker of the rooms where its callers meet callees of other families, as in [`Entrance::Device`].
        room_ids: fn() -> RoomName,
    },
    /// `/socket.io`, with a token that is valid for this device.
    Device {
        device: DeviceRecord,
        /// Maker of the rooms of its calls. Each room is a new one that nobody could guess.
        room_ids: fn() -> RoomName,
    },
}

impl Entrance {
    /// The longest message, in bytes. A longer one closes the socket.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        match self {
            Entrance::Call { .. } | Entrance::Groupcall | Entrance::Direct => FRAME_BYTES_MAX,
            Entrance::Messages { .. } | Entrance::Device { .. } => SMALL_FRAME_BYTES_MAX,
        }
    }

    fn dialogue<A: Admission>(self) -> Box<dyn Dialogue<A>> {
        match self {
            Entrance::Call { room_ids } => Box::new(call::CallDialogue::new(room_ids)),
            Entrance::Groupcall | Entrance::Direct => Box::new(groupcall::GroupcallDialogue::default()),
            Entrance::Messages { room_ids } => Box::new(messages::MessageDialogue::new(room_ids)),
            Entrance::Device { device, room_ids } => Box::new(devices::DeviceDialogue::new(&device, room_ids)),
        }
    }
}

/// One client's conversation with the server.
pub struct Conversation<A> {
    client: Client<A>,
    dialogue: Box<dyn Dialogue<A>>,
    received: Received,
}

impl<A: Admission> Conversation<A> {
    pub fn new(entrance: Entrance, session: Session, admission: A, config: Arc<Config>, clock: WallClock) -> Self {
        let rooms = match entrance {
            Entrance::Direct => RoomKind::Pair,
            _ => RoomKind::Group,
        };
        let client = Client {
            rooms,
            session,
            admission,
            config,
            clock,
            keys: TokenKeys::default(),
            token: None,
            relay: None,
            app: None,
        };
        let dialogue = entrance.dialogue();
        let received = Received::default();
        Self {
            client,
            dialogue,
            received,
        }
    }

    /// Sets the keys by which tokens are checked, and the token in the request that opened the socket.
    pub fn with_tokens(mut self, keys: TokenKeys, token: Option<String>) -> Self {
        self.client.keys = keys;
        self.client.token = token.filter(|token| !token.is_empty());
        self
    }

    /// Sets the relay that the client may use.
    pub fn with_relay(mut self, relay: Option<RelayAt>) -> Self {
        self.client.relay = relay;
        self
    }

    /// Sets the app whose access tokens are believed, and the clock by which the stays of their holders end.
    pub fn with_app(mut self, app: App, passed: MonotonicClock) -> Self {
        self.client.app = Some(TimedApp { app, passed });
        self
    }

    /// Called once, before the first message.
    pub async fn begin(&mut self) -> Reaction {
        self.dialogue.begin(&self.client).await
    }

    /// What the client is sent when it has been sent nothing else for some time.
    pub(crate) fn heartbeat(&self) -> Option<Heartbeat> {
        self.dialogue.heartbeat()
    }

    /// Time for which the client is not to be read from after its last message, because it has cost others more than it may.
    pub(crate) fn take_pause(&self) -> Duration {
        self.client.session.take_pause()
    }

    /// Takes one message of the client. Returns when all that follows from it has been decided.
    pub async fn receive(&mut self, frame: Frame) -> Reaction {
        let reaction = self.dialogue.receive(&self.client, frame).await;
        self.received.count(self.dialogue.family());
        reaction
    }

    /// Why the socket is to be closed where the hub has let go of the session without a reason.
    pub(crate) fn let_go(&self) -> Close {
        if self.client.session.has_hub() {
            Close::TOO_SLOW
        } else {
            Close::FAILED
        }
    }

    /// What the client is sent about an event.
    pub fn send(&mut self, event: Event) -> Reaction {
        match event {
            Event::Ended(reason) => Reaction::close(reason.into()),
            event => self.dialogue.send(&self.client, event),
        }
    }
}
