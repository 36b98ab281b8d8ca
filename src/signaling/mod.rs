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
mod devices;
mod groupcall_id;
mod groupcall_type;
mod identity;
pub(crate) mod json;
mod limits;
mod messages;
mod offer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use smallvec::SmallVec;
use tracing::debug;

use crate::auth::Keys;
use crate::clock::WallClock;
use crate::config::Config;
use crate::domain::{EndReason, Event, MediaKind, MediaState, Person, RoomKind};
use crate::hub::Session;
use crate::ids::{RoomName, UserId};
use crate::storage::{AdmitError, DeviceRecord, Gate, Profile};

use limits::{FRAME_BYTES_MAX, SMALL_FRAME_BYTES_MAX};

/// Who there is, and who may enter which room. The server's is [`Gate`].
pub trait Admission: Send + Sync + 'static {
    fn admit(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> impl Future<Output = Result<Profile, AdmitError>> + Send;

    /// As [`Admission::admit`], where there is no room to enter.
    fn recognize(&self, user: &UserId) -> impl Future<Output = Result<Profile, AdmitError>> + Send;
}

impl Admission for Gate {
    async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Profile, AdmitError> {
        Gate::admit(self, user, room, password).await
    }

    async fn recognize(&self, user: &UserId) -> Result<Profile, AdmitError> {
        Gate::recognize(self, user).await
    }
}

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

/// One WebSocket message with something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Bytes),
}

impl Frame {
    pub fn len(&self) -> usize {
        match self {
            Frame::Text(text) => text.len(),
            Frame::Binary(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A family's own sign of life, beside WebSocket's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Sent when no other message has been for this long …
    pub after: Duration,
    pub frame: Frame,
    /// … and any message has to come back within this time.
    pub answer_within: Duration,
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
    pub const GOING_AWAY: Close = Close::new(1001, "the server is going down");
    pub const UNREADABLE: Close = Close::new(1009, "a message is too long or breaks the protocol");
    pub const UNKNOWN_USER: Close = Close::new(1008, "no such user");
    pub const NO_NAME: Close = Close::new(
        1008,
        "to join takes a name and a room: texts that are not empty, or whole numbers",
    );
    pub const LONG_NAME: Close = Close::new(1008, "a name has more than 128 characters");
    pub const LONG_OFFER: Close = Close::new(1009, "an offer has more than 65536 bytes");
    /// Of the codes for private use, like the two after it: a page tells it from a wrong password.
    pub const NO_TOKEN: Close = Close::new(4401, "this server asks for a token: the one that was issued to you");
    pub const BAD_TOKEN: Close = Close::new(4403, "the token is not valid any more, or was never: ask for a new one");
    pub const OTHERS_TOKEN: Close = Close::new(4403, "the token was issued to somebody else");
    pub const NAME_TAKEN: Close = Close::new(4409, "the name is held by somebody who has proven that it is theirs");
    pub const WRONG_PASSWORD: Close = Close::new(1008, "the room's password is missing or wrong");
    /// Of the codes for private use: a page that reads only codes would take another one for a wrong password or a full
    /// room.
    pub const TOO_MANY_GUESSES: Close = Close::new(
        4029,
        "too many wrong passwords for this room from your network; wait a minute",
    );
    pub const TOO_FAST: Close = Close::new(1008, "too many messages");
    pub const TOO_SLOW: Close = Close::new(1008, "messages are not read");
    /// As after a restart (RFC 6455's registry, 1012): a client that comes again by itself finds the room as it was, and empty.
    pub const MEDIA_LOST: Close = Close::new(
        1012,
        "the part of the server that carried this room has failed; come again",
    );
    pub const FAILED: Close = Close::new(1011, "the server has failed, and ends");
    pub const STORAGE_FAILED: Close = Close::new(1011, "the server cannot look users up now");
    pub const SILENT: Close = Close::new(1008, "pings are not answered");
    pub const FULL: Close = Close::new(1013, "the room or the server is full");
    pub const TOO_DEAR: Close = Close::new(1008, "the message is too long for so many people");
    pub const TOO_MANY_PEERS: Close = Close::new(1013, "no place for one more WebRTC connection; try again later");
    /// Of the codes for private use: a client that reconnects by itself must not on this one, or two pages of the same
    /// user throw one another out for ever.
    pub const REPLACED: Close = Close::new(4001, "the same user came again with a newer session");

    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

impl Reaction {
    fn none() -> Self {
        Self::default()
    }

    fn frame(message: &impl serde::Serialize) -> Self {
        Self::none().and_frame(message)
    }

    fn close(close: Close) -> Self {
        Self::none().and_close(close)
    }

    fn and_frame(mut self, message: &impl serde::Serialize) -> Self {
        self.frames.push(Frame::Text(json::text(message)));
        self
    }

    fn and_close(mut self, close: Close) -> Self {
        self.close = Some(close);
        self
    }
}

/// One client's conversation with the server.
pub struct Conversation<A> {
    client: Client<A>,
    /// None while it is to be heard from the first message.
    family: Option<Family>,
}

/// What every family needs to serve one client.
struct Client<A> {
    /// The kind of rooms that it enters.
    rooms: RoomKind,
    session: Session,
    admission: A,
    config: Arc<Config>,
    clock: WallClock,
    /// What tokens are checked with.
    keys: Keys,
    /// The token in the request that opened the socket.
    token: Option<String>,
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

impl From<EndReason> for Close {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Replaced => Close::REPLACED,
            EndReason::Shutdown => Close::GOING_AWAY,
            EndReason::MediaLost => Close::MEDIA_LOST,
        }
    }
}

/// Whether a client says with its first message that it understands what only this server says.
fn takes_notices(message: &Value) -> bool {
    message.get("notices") == Some(&Value::Bool(true))
}

/// How the families call it.
fn media_word(media: MediaState) -> &'static str {
    match media {
        MediaState::Lost => "lost",
        MediaState::Back => "back",
    }
}

/// How the families call it.
fn kind_word(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
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

/// Whether somebody may enter a room. A room of two is for whoever knows what it is called.
async fn admit<A: Admission>(
    client: &Client<A>,
    user: &UserId,
    room: &RoomName,
    password: Option<&str>,
) -> Result<Profile, AdmitError> {
    match client.rooms {
        RoomKind::Group => client.admission.admit(user, room, password).await,
        RoomKind::Pair => Ok(Profile {
            user: user.clone(),
            name: user.as_str().to_owned(),
            prefix: String::new(),
            postfix: String::new(),
        }),
    }
}

/// How an admitted user is shown. A name from the user table is that; where the table knows none, the name that the
/// client gives itself, if it does.
fn person(profile: Profile, own_name: Option<String>) -> Person {
    let Profile {
        user,
        name,
        prefix,
        postfix,
    } = profile;
    let unnamed = name.is_empty() || name == user.as_str();
    let own_name = own_name.filter(|name| unnamed && !name.is_empty());
    let name = own_name.unwrap_or(if unnamed { user.as_str().to_owned() } else { name });
    Person {
        user,
        name,
        prefix,
        postfix,
    }
}
