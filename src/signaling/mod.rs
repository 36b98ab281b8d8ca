//! Signaling families: each turns what its clients send into commands, and events into what its clients expect.
//!
//! A family is a folder here, with its wire format in its own words in the folder's `mod.rs`. No family knows another
//! and nothing outside knows any. The path says which family a client speaks ([`Entrance`]). `/groupcall` is shared by
//! two, told apart by the first message:
//!
//! | first message | family |
//! |---|---|
//! | a JSON object with one of [`groupcall_id`]'s kinds under `id` | [`groupcall_id`] |
//! | a JSON object with one of [`groupcall_type`]'s kinds under `type` | [`groupcall_type`] |
//! | anything else | not known: the next message is the first |
//!
//! Where the family is not known, the answer has its kind under both keys: `{"id":"unrecognizedMessage",
//! "type":"unrecognizedMessage","message":…}`, with what the client sent. The one family knows it, and clients of the other
//! report kinds that they do not know.
//!
//! So is `/direct`, whose rooms are others, for two each, and for whoever knows their names: there a user need not be
//! known to the server.
//!
//! People of both families meet in the same rooms: a room and a user are what they are called, as text, so `7` and
//! `"7"` are the same.

mod call;
mod client;
mod devices;
mod groupcall_id;
mod groupcall_type;
mod identity;
pub(crate) mod json;
mod limits;
mod messages;
mod offer;
mod reaction;
mod words;

use std::sync::Arc;
use std::time::Duration;

pub use client::Admission;
use client::Client;
use limits::{FRAME_BYTES_MAX, SMALL_FRAME_BYTES_MAX};
pub use reaction::{Close, Frame, Heartbeat, Reaction};
use serde::Serialize;
use serde_json::Value;
use tracing::debug;

use crate::auth::Keys;
use crate::clock::WallClock;
use crate::config::Config;
use crate::domain::{Event, RoomKind};
use crate::hub::Session;
use crate::ids::RoomName;
use crate::storage::DeviceRecord;

/// By which path a client has come: what it speaks, and how much at a time.
#[derive(Clone, Debug)]
pub enum Entrance {
    /// `/call`
    Call,
    /// `/groupcall`
    Groupcall,
    /// `/direct`: as `/groupcall`, for rooms of two.
    Direct,
    /// `/ws`
    Messages,
    /// `/socket.io`, with a token that is good for this device.
    Device {
        device: DeviceRecord,
        /// Makes the rooms of its calls: each another, and none that could be guessed.
        room_ids: fn() -> RoomName,
    },
}

impl Entrance {
    /// The longest message, in bytes. A longer one closes the socket.
    pub fn frame_bytes_max(&self) -> usize {
        match self {
            Entrance::Call | Entrance::Groupcall | Entrance::Direct => FRAME_BYTES_MAX,
            Entrance::Messages | Entrance::Device { .. } => SMALL_FRAME_BYTES_MAX,
        }
    }
}

/// One client's conversation with the server.
pub struct Conversation<A> {
    client: Client<A>,
    /// None while it is to be heard from the first message.
    family: Option<Family>,
}

enum Family {
    Call(call::Dialogue),
    GroupcallId(groupcall_id::Dialogue),
    GroupcallType(groupcall_type::Dialogue),
    Messages(messages::Dialogue),
    Devices(devices::Dialogue),
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
            keys: Keys::default(),
            token: None,
        };
        let family = match entrance {
            Entrance::Call => Some(Family::Call(call::Dialogue::default())),
            Entrance::Groupcall | Entrance::Direct => None,
            Entrance::Messages => Some(Family::Messages(messages::Dialogue::default())),
            Entrance::Device { device, room_ids } => {
                let dialogue = devices::Dialogue::new(&device.phone, &device.device_id, room_ids);
                Some(Family::Devices(dialogue))
            }
        };
        Self { client, family }
    }

    /// With what tokens are checked, and the one in the request that opened the socket.
    pub fn with_tokens(mut self, keys: Keys, token: Option<String>) -> Self {
        self.client.keys = keys;
        self.client.token = token.filter(|token| !token.is_empty());
        self
    }

    /// To be called once, before the first message.
    pub async fn begin(&mut self) -> Reaction {
        match &self.family {
            Some(Family::Devices(dialogue)) => dialogue.begin(&self.client).await,
            _ => Reaction::none(),
        }
    }

    /// What is to be sent where nothing else is.
    pub fn heartbeat(&self) -> Option<Heartbeat> {
        matches!(self.family, Some(Family::Messages(_))).then(messages::heartbeat)
    }

    /// How long the client is not to be listened to after its last message: it has cost others more than it may.
    pub fn take_pause(&self) -> Duration {
        self.client.session.take_pause()
    }

    /// One message of the client. Returns when all that it leads to has been decided.
    pub async fn receive(&mut self, frame: Frame) -> Reaction {
        if let Some(Family::Messages(dialogue)) = &mut self.family {
            count("messages");
            return dialogue.receive(&self.client, frame).await;
        }
        self.receive_text(text_of(frame)).await
    }

    async fn receive_text(&mut self, text: String) -> Reaction {
        if let Some(Family::Devices(dialogue)) = &self.family {
            count("devices");
            return dialogue.receive(&self.client, &text).await;
        }
        let message = json::parse(&text);
        if self.family.is_none() {
            self.family = message.as_ref().and_then(pick_family);
        }
        match &mut self.family {
            Some(Family::Call(dialogue)) => {
                count("call");
                dialogue.receive(&self.client, message).await
            }
            Some(Family::GroupcallId(dialogue)) => {
                count("groupcall_id");
                dialogue.receive(&self.client, message).await
            }
            Some(Family::GroupcallType(dialogue)) => {
                count("groupcall_type");
                // What is no JSON is given back as the text it is.
                let message = message.unwrap_or(Value::String(text));
                dialogue.receive(&self.client, message).await
            }
            Some(Family::Messages(_) | Family::Devices(_)) | None => {
                count("none");
                debug!(session = %self.client.session.id(), bytes = text.len(), "of no family");
                Reaction::frame(&OfNoFamily {
                    id: UNRECOGNIZED,
                    kind: UNRECOGNIZED,
                    message: message.unwrap_or(Value::String(text)),
                })
            }
        }
    }

    /// Why the socket is to be closed where the hub has let go of the session without a word.
    pub fn let_go(&self) -> Close {
        if self.client.session.has_hub() {
            Close::TOO_SLOW
        } else {
            Close::FAILED
        }
    }

    /// What the client is to be sent about an event.
    pub fn tell(&mut self, event: Event) -> Reaction {
        match (&mut self.family, event) {
            (_, Event::Ended(reason)) => Reaction::close(reason.into()),
            (Some(Family::Call(dialogue)), event) => dialogue.tell(&self.client, event),
            (Some(Family::GroupcallId(dialogue)), event) => dialogue.tell(&self.client, event),
            (Some(Family::GroupcallType(dialogue)), event) => dialogue.tell(&self.client, event),
            (Some(Family::Messages(dialogue)), Event::Message(event)) => dialogue.tell(&self.client, event),
            (Some(Family::Devices(dialogue)), event) => dialogue.tell(&event),
            // Events come of messages, so there is a family by then, and they are of its kind.
            (Some(Family::Messages(_)) | None, _) => Reaction::none(),
        }
    }
}

/// Some clients send their JSON in binary frames. What is no text has none in it.
fn text_of(frame: Frame) -> String {
    match frame {
        Frame::Text(text) => text,
        Frame::Binary(bytes) => String::from_utf8(bytes.into()).unwrap_or_default(),
    }
}

const UNRECOGNIZED: &str = "unrecognizedMessage";

/// To a client of `/groupcall` whose family is not known.
#[derive(Serialize)]
struct OfNoFamily {
    id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    message: Value,
}

fn pick_family(message: &Value) -> Option<Family> {
    let has = |key, kinds: &[&str]| {
        let kind = message.get(key).and_then(Value::as_str);
        kind.is_some_and(|kind| kinds.contains(&kind))
    };
    if has("id", groupcall_id::KINDS) {
        Some(Family::GroupcallId(groupcall_id::Dialogue::default()))
    } else if has("type", groupcall_type::KINDS) {
        Some(Family::GroupcallType(groupcall_type::Dialogue::default()))
    } else {
        None
    }
}

fn count(family: &'static str) {
    metrics::counter!("patchbay_messages_received_total", "family" => family).increment(1);
}
