//! Transcripts of each family, with what clients send and what they are sent, played against the real hub, rules and families in
//! virtual time, with a double in the place of the media workers.
//!
//! A transcript is read line by line:
//!
//! ```text
//! anna > {"id":"heart"}      anna sends this; a client that is new in the transcript connects first
//! anna < {"id":"heart"}      the next message that anna is sent; "*" stands for any text
//! anna +                     anna connects, and says nothing yet
//! anna x 4001                the server closes anna's socket with this code; the reason may follow
//! anna -                     anna's socket closes without a goodbye
//! media open 1 publish       the media engine is sent this command; connections are numbered as they come
//! media lost 1               the media engine reports that this connection has ended
//! media silent 1             ... that its client has fallen silent
//! media heard 1              ... that its client is heard, for the first time or again
//! media speaks 1             ... that somebody begins to speak over it; `hushes 1`: that they stop
//! media wants 1 q+f-         ... that of the encodings that come over it these are wanted, and those not
//! media reduces 3            ... that its client gets 360 of the 720 lines that it wants of the camera that it watches
//! media want 720 of 3        the engine is told the heights that the client of a connection wants
//! media mute sound of 1      the engine is to forward no sound of this connection; `, muted` after `open` says the same of a new one
//! media ended 0              media worker 0 of two ends; another takes its place
//! ```
//!
//! All that is sent has to stand in the transcript before the next `>`, `-`, or report of the media engine, and before the end. The
//! lines of one client keep their order; those of different clients may stand in any order, as on sockets.
//!
//! A client whose name ends in `@call` or `@direct` has come to that path, the others to `/groupcall`. A client whose name ends
//! in `@ws` has come to the message socket: its binary messages are written as JSON with the fields' names, and fields that are
//! zero or empty are left out; `! 6869` sends bytes instead. A client whose name ends in `@device` has come with a token of the
//! device `PHONE/ID` with which the name begins; `/` and more may follow, to tell two connections of one device apart. The room
//! of each of its calls is `room 1`.
//!
//! `media cannot NUMBER` says that the client of a connection cannot decode AV1, which it is to be sent; `media can NUMBER`
//! says that it can again. In what clients send, `"@KIND NUMBER"` stands for an offer of connection NUMBER, and
//! `"@KIND NUMBER again"` for its next; KIND is `sendonly`, `recvonly` or `sendrecv`. If `video=AV1,VP8` follows, the offer has
//! these formats instead of VP8. `"@token USER"` stands for a token of USER, `"@token USER expired"` for one that has expired,
//! and `"@token USER foreign"` for one of another server. `"@access ROOM USER"` stands for an access token that lets USER into ROOM
//! for the next minute; [`access`] says which words may follow.

mod access;
mod across;
mod bad_input;
mod call;
mod conferences;
mod dapi;
mod dapi_leave;
mod devices;
mod feeds;
mod formats;
mod groupcall_id;
mod groupcall_type;
mod house;
mod invited;
mod log;
mod lost_worker;
mod media;
mod messages;
mod model;
mod moderated;
pub mod offers;
mod relay;
mod robot;
mod robots;
mod send_layers;
mod shares;
mod speakers;
mod together;
mod tokens;
mod unseen;
mod wants;
mod without_socket;
mod workers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::auth::TokenKeys;
use patchbay::clock::WallClock;
use patchbay::config::Config;
use patchbay::domain::{Claim, Command, Person, RoomKind, Stay};
use patchbay::hub::{self, Capacity, Events, HubEnd, HubHandle, Session};
use patchbay::ids::RoomName;
use patchbay::shares::ClientAddress;
use patchbay::signaling::{Close, Conversation, Entrance, Frame, Reaction};
use patchbay::storage::DeviceRecord;
use patchbay::turn::announced::AnnouncedRelay;
use serde_json::Value;

pub use house::House;
pub use media::FakeMedia;
pub use model::{Model, Shelf};
pub use workers::FakeWorkers;

/// Seconds since 1970-01-01 UTC of 2026-01-02 03:04:05.
const NOW_S: i64 = 1_767_323_045;

/// A server without sockets, and the clients that have come to it.
pub struct Stage {
    hub: HubHandle,
    media: FakeMedia,
    house: House,
    config: Arc<Config>,
    shelf: Shelf,
    /// The date: seconds since 1970-01-01 UTC. It stands still.
    wall_s: Arc<AtomicI64>,
    /// Token in the request for the next socket.
    token_of_request: Option<String>,
    /// The relay that clients may use.
    relay: Option<AnnouncedRelay>,
    clients: BTreeMap<String, Client>,
}

struct Client {
    reads: bool,
    /// The client's conversation. None once the server has closed the socket.
    line: Option<(Conversation<House>, Events)>,
    heard: VecDeque<Heard>,
}

#[derive(Debug)]
enum Heard {
    Frame(Value),
    Closed(Close),
}

impl Stage {
    pub fn new() -> Self {
        Self::with(House::default(), Config::default())
    }

    pub fn with(house: House, config: Config) -> Self {
        Self::holding(Capacity::from(&config), house, config)
    }

    pub fn holding(capacity: Capacity, house: House, config: Config) -> Self {
        Self::keeping(Shelf::default(), capacity, house, config)
    }

    /// A stage whose messages for people who are not there go onto this shelf.
    pub fn keeping(shelf: Shelf, capacity: Capacity, house: House, config: Config) -> Self {
        let (media, handle, events) = FakeMedia::new();
        let (pushes, _) = tokio::sync::mpsc::channel(1);
        let (hub, running) = hub::start(handle, events, capacity, shelf.clone(), rand::make_rng(), pushes);
        tokio::spawn(running);
        Self {
            hub,
            shelf,
            media,
            house,
            config: Arc::new(config),
            wall_s: Arc::new(AtomicI64::new(NOW_S)),
            token_of_request: None,
            relay: None,
            clients: BTreeMap::new(),
        }
    }

    /// Plays a transcript; panics at the first line that does not match.
    pub async fn play(&mut self, transcript: &str) {
        for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (who, rest) = line.split_once(' ').expect("a name, then what happens");
            let (sign, what) = rest.split_once(' ').unwrap_or((rest, ""));
            match (who, sign) {
                ("media", "lost" | "silent" | "heard" | "speaks" | "hushes" | "played" | "reduces") => {
                    self.assert_all_heard(line);
                    self.media
                        .reports(sign, what.parse().expect("a connection's number"))
                        .await;
                    self.settle().await;
                }
                ("media", "wants") => {
                    self.assert_all_heard(line);
                    let (number, layers) = what.split_once(' ').expect("a number, then encodings");
                    self.media
                        .report_wanted(number.parse().expect("a number"), layers)
                        .await;
                    self.settle().await;
                }
                ("media", "ended") => {
                    self.assert_all_heard(line);
                    self.media.lose_worker(what.parse().expect("a worker's number")).await;
                    self.settle().await;
                }
                ("media", "cannot" | "can") => {
                    self.assert_all_heard(line);
                    let number = what.parse().expect("a connection's number");
                    self.media.report_decoding(number, sign == "can").await;
                    self.settle().await;
                }
                ("media", _) => assert_eq!(self.media.next().as_deref(), Some(rest), "at: {line}"),
                (_, ">") => {
                    self.assert_all_heard(line);
                    self.sends_text(who, &offers::fill_in(&access::fill_in(&fill_in_tokens(what))))
                        .await;
                }
                (_, "+") => {
                    self.assert_all_heard(line);
                    self.connect(who).await;
                    self.settle().await;
                }
                (_, "!") => {
                    self.assert_all_heard(line);
                    let bytes = hex::decode(what).expect("hexadecimal digits");
                    self.sends(who, Frame::Binary(bytes.into())).await;
                }
                (_, "<") => self.assert_next_frame(who, what, line),
                (_, "x") => self.assert_next_close(who, what, line),
                (_, "-") => {
                    self.assert_all_heard(line);
                    self.clients.remove(who).expect("a client that has been seen");
                    self.settle().await;
                }
                _ => panic!("not a line of a transcript: {line}"),
            }
        }
        self.assert_all_heard("the end");
    }

    /// Sends one message, and lets everything happen that follows from it.
    pub async fn sends_text(&mut self, who: &str, text: &str) {
        let frame = match entrance(who) {
            Entrance::Messages { .. } => Frame::Binary(Model::read(text).bytes()),
            _ => Frame::Text(text.to_owned()),
        };
        self.sends(who, frame).await;
    }

    pub async fn sends(&mut self, who: &str, frame: Frame) {
        if !self.clients.contains_key(who) {
            self.connect(who).await;
        }
        let client = self.clients.get_mut(who).unwrap();
        let (conversation, _) = client.line.as_mut().expect("the socket is open");
        let reaction = conversation.receive(frame).await;
        client.take(reaction);
        self.settle().await;
    }

    pub async fn connect(&mut self, who: &str) {
        self.connect_from(who, ClientAddress::THIS_MACHINE).await;
    }

    pub async fn connect_from(&mut self, who: &str, client: ClientAddress) {
        let (session, events) = self.hub.connect(client).await.expect("a place");
        let (house, config) = (self.house.clone(), Arc::clone(&self.config));
        let wall_s = Arc::clone(&self.wall_s);
        let date = move || SystemTime::UNIX_EPOCH + Duration::from_secs(wall_s.load(Ordering::Relaxed) as u64);
        let conversation = Conversation::new(entrance(who), session, house, config, Arc::new(date));
        let mut conversation = conversation
            .with_tokens(keys("this server's"), self.token_of_request.take())
            .with_relay(self.relay.as_ref().and_then(|relay| relay.at(None, who.to_owned())))
            .with_app(access::app(), Arc::new(tokio::time::Instant::now));
        let begun = conversation.begin().await;
        let mut client = Client {
            reads: true,
            line: Some((conversation, events)),
            heard: VecDeque::new(),
        };
        client.take(begun);
        self.clients.insert(who.to_owned(), client);
    }

    /// Changes the date. Time passes as before.
    pub fn change_date(&self, by_s: i64) {
        self.wall_s.fetch_add(by_s, Ordering::Relaxed);
    }

    /// Announces a relay to the clients that connect from now on.
    pub fn announce(&mut self, relay: AnnouncedRelay) {
        self.relay = Some(relay);
    }

    /// Gives the next client that connects a token in the request for its socket.
    pub fn bring(&mut self, token: &str) {
        self.token_of_request = Some(token.to_owned());
    }

    /// The messages that a client has been sent and that no line has named.
    pub fn heard(&mut self, who: &str) -> Vec<Value> {
        let frame = |heard| match heard {
            Heard::Frame(frame) => frame,
            Heard::Closed(close) => panic!("{who} is closed: {close:?}"),
        };
        self.clients.get_mut(who).unwrap().heard.drain(..).map(frame).collect()
    }

    pub fn stop_reading(&mut self, who: &str) {
        self.clients.get_mut(who).unwrap().reads = false;
    }

    /// The length of all frames that a client who stopped reading would be sent now.
    pub fn unread_bytes(&mut self, who: &str) -> usize {
        let client = self.clients.get_mut(who).unwrap();
        client.reads = true;
        self.deliver();
        let client = self.clients.get_mut(who).unwrap();
        client.heard.drain(..).map(|heard| format!("{heard:?}").len()).sum()
    }

    /// Delivers everything that time alone has caused.
    pub async fn hear(&mut self) {
        self.settle().await;
    }

    pub fn hub(&self) -> &HubHandle {
        &self.hub
    }

    /// How the hub has ended.
    pub async fn hub_end(&self) -> HubEnd {
        self.hub.ended().await
    }

    /// Ends the server as a process does, and delivers to clients what that causes.
    pub async fn shut_down(&mut self) {
        let hub = self.hub.clone();
        let ending = tokio::spawn(async move { hub.shutdown().await });
        while !ending.is_finished() {
            self.deliver();
            tokio::task::yield_now().await;
        }
        self.deliver();
    }

    /// Lets the hub do all that it has been asked, until nothing is left to deliver.
    async fn settle(&mut self) {
        loop {
            self.media.settle().await;
            self.shelf.settle().await;
            // The hub takes one input after the other: when it has answered this one, it has done the earlier ones.
            if let Ok((session, _events)) = self.hub.connect(ClientAddress::THIS_MACHINE).await {
                session.request(Command::Leave).await.ok();
            }
            if !self.deliver() {
                return;
            }
        }
    }

    /// Gives every client its events. Returns whether a socket closed by that, which the hub learns next.
    fn deliver(&mut self) -> bool {
        let mut closed = false;
        for client in self.clients.values_mut().filter(|client| client.reads) {
            while let Some((conversation, events)) = &mut client.line
                && let Some(event) = events.try_next()
            {
                let reaction = conversation.send(event);
                client.take(reaction);
            }
            closed |= client.hang_up_if_closed();
        }
        closed
    }

    fn assert_next_frame(&mut self, who: &str, expected: &str, line: &str) {
        let expected: Value = serde_json::from_str(expected).expect(expected);
        match self.next_heard(who) {
            Some(Heard::Frame(frame)) if matches(&expected, &frame) => {}
            heard => panic!("at: {line}\nbut:  {heard:?}"),
        }
    }

    fn assert_next_close(&mut self, who: &str, expected: &str, line: &str) {
        let (code, reason) = expected.split_once(' ').unwrap_or((expected, ""));
        let matches = |close: &Close| close.code.to_string() == code && (reason.is_empty() || close.reason == reason);
        match self.next_heard(who) {
            Some(Heard::Closed(close)) if matches(&close) => {}
            heard => panic!("at: {line}\nbut:  {heard:?}"),
        }
    }

    fn next_heard(&mut self, who: &str) -> Option<Heard> {
        self.clients
            .get_mut(who)
            .expect("a client that has been seen")
            .heard
            .pop_front()
    }

    fn assert_all_heard(&mut self, before: &str) {
        for (who, client) in &self.clients {
            assert!(
                client.heard.is_empty(),
                "before: {before}\n{who} has been sent: {:?}",
                client.heard
            );
        }
        let command = self.media.next();
        assert_eq!(command, None, "the media engine has been told, before: {before}");
    }
}

impl Client {
    fn take(&mut self, reaction: Reaction) {
        let parse = |frame: &Frame| {
            Heard::Frame(match frame {
                Frame::Text(text) => serde_json::from_str(text).expect(text),
                Frame::Binary(bytes) => Model::of(bytes).written(),
            })
        };
        self.heard.extend(reaction.frames.iter().map(parse));
        self.heard.extend(reaction.close.map(Heard::Closed));
    }

    /// A socket that the server closes ends its session.
    fn hang_up_if_closed(&mut self) -> bool {
        let closed = self.heard.iter().any(|heard| matches!(heard, Heard::Closed(_)));
        closed && self.line.take().is_some()
    }
}

fn entrance(who: &str) -> Entrance {
    match who.split_once('@') {
        Some((_, "ws")) => Entrance::Messages {
            room_ids: || RoomName::from("room 4"),
        },
        Some((_, "call")) => Entrance::Call {
            room_ids: || RoomName::from("room 2"),
        },
        Some((device, door)) if door.starts_with("device") => {
            let (phone, device_id) = device.split_once('/').expect("PHONE/ID@device");
            Entrance::Device {
                device: DeviceRecord {
                    phone: phone.to_owned(),
                    device_id: device_id.to_owned(),
                },
                room_ids: || RoomName::from("room 1"),
            }
        }
        Some((_, "direct")) => Entrance::Direct,
        _ => Entrance::Groupcall,
    }
}

/// The keys with which tokens are signed.
fn keys(secret: &str) -> TokenKeys {
    TokenKeys::new(vec![secret.as_bytes().to_vec()])
}

fn fill_in_tokens(message: &str) -> String {
    let Some((before, rest)) = message.split_once("\"@token ") else {
        return message.to_owned();
    };
    let (placeholder, after) = rest.split_once('"').expect("the placeholder ends");
    let (user, kind) = placeholder.split_once(' ').unwrap_or((placeholder, ""));
    let secret = if kind == "foreign" {
        "another server's"
    } else {
        "this server's"
    };
    let until_s = NOW_S + if kind == "expired" { 0 } else { 1 };
    let token = keys(secret).issue(&user.into(), until_s).unwrap();
    format!("{before}\"{token}\"{after}")
}

/// A clock that always shows the same second: 2026-01-02 03:04:05.
pub fn clock() -> WallClock {
    Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_S as u64))
}

/// Whether two values are equal; `"*"` equals any text that is not empty.
fn matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(any), Value::String(text)) if any == "*" => !text.is_empty(),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| matches(e, f))
        }
        (Value::Object(expected), Value::Object(found)) => {
            let has = |(key, value): (&String, &Value)| found.get(key).is_some_and(|found| matches(value, found));
            expected.len() == found.len() && expected.iter().all(has)
        }
        _ => expected == found,
    }
}

/// Lets somebody without a socket join the room "r".
async fn join(session: &Session, user: &str, stay: Stay) {
    let join = Command::Join {
        turn: session.take_turn(),
        kind: RoomKind::Group,
        room: "r".into(),
        person: Person::unnamed(user.into()),
        claim: Claim::Unproven,
        stay,
        connects: false,
    };
    session.request(join).await.unwrap();
}
