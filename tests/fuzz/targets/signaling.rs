//! Frames of every family, JSON and Protocol Buffers, by several clients at once, against the real hub and rules.
//!
//! An input is a list of steps. Most are frames: the client that sends it, its length, its bytes. Others close a socket, let
//! time pass, or are a media worker's event about a connection. Where the families meet, the input begins with the family of
//! each client.

#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "../../it/transcripts/house.rs"]
mod house;
#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "../../it/transcripts/model.rs"]
mod model;
#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "../../it/transcripts/workers.rs"]
mod workers;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use patchbay::auth::TokenKeys;
use patchbay::auth::access_token::App;
use patchbay::clock::WallClock;
use patchbay::config::Config;
use patchbay::hub::{self, Capacity, Events};
use patchbay::ids::{Feed, FeedRef, ParticipantId, PeerId, RoomName, UserId};
use patchbay::media::codec::{Codec, Kind};
use patchbay::media::messages::{CloseReason, DriverCommand, MediaCommand, MediaEvent};
use patchbay::shares::ClientAddress;
use patchbay::signaling::{Conversation, Entrance, Frame, Reaction};
use patchbay::storage::DeviceRecord;
use patchbay::video::{Cause, Quality, State};
use prost::Message;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;

use self::house::House;
use self::model::{Model, Shelf};
use self::workers::FakeWorkers;
use super::bytes::Bytes;
use super::{Run, Target};

/// The most messages that one client may be sent for one message of any client: more would be a flood.
const ANSWERS_MAX: usize = 200;
const CLIENTS: usize = 4;
/// The steps that are not frames.
const CLOSE: usize = 60;
const WAIT: usize = 61;
const MEDIA: usize = 62;
/// The time of all inputs, in seconds since 1970: tokens among the seeds are valid then.
const NOW_S: u64 = 1_767_323_045;

/// Both kinds of messages of the group call, on both of its entrances.
pub const GROUPCALL: Target = Target {
    name: "groupcall",
    seeds: || [all_and_each(&groupcall_id()), all_and_each(&groupcall_type())].concat(),
    prepare: || frames_of([Group, Group, Direct, Direct]),
};

pub const CALL: Target = Target {
    name: "call",
    seeds: || all_and_each(&call()),
    prepare: || frames_of([Call; CLIENTS]),
};

pub const DEVICES: Target = Target {
    name: "devices",
    seeds: || all_and_each(&devices()),
    prepare: || frames_of([Device; CLIENTS]),
};

pub const MESSAGES: Target = Target {
    name: "messages",
    seeds: || {
        let frames = messages();
        // The first frame binds the connection on which the others come.
        let each = frames[1..].iter().map(|frame| [&frames[0][..], &frame[..]].concat());
        each.chain([frames.concat()]).collect()
    },
    prepare: || frames_of([Messages; CLIENTS]),
};

pub const TOGETHER: Target = Target {
    name: "together",
    seeds: || {
        vec![
            [vec![0, 1, 2, 3], texts(&groupcall_id())].concat(),
            [vec![0, 1, 1, 0], texts(&groupcall_type())].concat(),
            [vec![2, 2, 3, 4], texts(&call())].concat(),
            [vec![4, 4, 1, 1], texts(&devices())].concat(),
            [vec![3, 3, 3, 2], messages().concat()].concat(),
            [vec![0, 0, 1, 1], texts(&meeting())].concat(),
        ]
    },
    prepare: || {
        let play = player();
        Box::new(move |input| {
            let mut bytes = Bytes(input);
            let families = std::array::from_fn(|_| bytes.pick(&[Group, Direct, Call, Messages, Device]));
            play(families, bytes);
        })
    },
};

#[derive(Clone, Copy, PartialEq)]
enum Family {
    Group,
    Direct,
    Call,
    Messages,
    Device,
}

use Family::{Call, Device, Direct, Group, Messages};

impl Family {
    fn entrance(self, who: usize) -> Entrance {
        match self {
            Group => Entrance::Groupcall,
            Direct => Entrance::Direct,
            Call => Entrance::Call {
                room_ids: || RoomName::from("room 2"),
            },
            Messages => Entrance::Messages {
                room_ids: || RoomName::from("room 4"),
            },
            Device => Entrance::Device {
                device: DeviceRecord {
                    // Two phones, of which one has three devices.
                    phone: (who / 3).to_string(),
                    device_id: who.to_string(),
                },
                room_ids: || RoomName::from("room 1"),
            },
        }
    }
}

/// A frame in an input.
fn frame(who: u8, bytes: &[u8]) -> Vec<u8> {
    [&[who], &(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn texts(frames: &[(u8, String)]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|(who, text)| frame(*who, text.as_bytes()))
        .collect()
}

/// A conversation, and each of its messages alone: changes hit more of a short input.
fn all_and_each(frames: &[(u8, String)]) -> Vec<Vec<u8>> {
    let each = frames.iter().map(|one| texts(std::slice::from_ref(one)));
    each.chain([texts(frames)]).collect()
}

/// A message with an offer, short enough for a few of them in one input.
fn with_offer(before: &str, after: &str) -> String {
    let offer = include_str!("../../fixtures/sdp/gstreamer-bundle.sdp");
    format!("{before}{}{after}", serde_json::to_string(offer).unwrap())
}

fn keys() -> TokenKeys {
    TokenKeys::new(vec![b"a secret of this length is enough".to_vec()])
}

fn app() -> App {
    let digits = "0123456789abcdef0123456789abcdef";
    App::new(digits, digits).unwrap()
}

fn token(user: &str) -> String {
    keys().issue(&UserId::from(user), NOW_S as i64 + 60).unwrap()
}

fn owned(frames: &[(u8, &str)]) -> Vec<(u8, String)> {
    frames.iter().map(|(who, text)| (*who, (*text).to_owned())).collect()
}

fn groupcall_id() -> Vec<(u8, String)> {
    let publish = with_offer(r#"{"id":"receiveVideoFrom","sender":"1","sdpOffer":"#, "}");
    let proven = format!(r#"{{"id":"joinRoom","name":"1","room":"r","token":"{}"}}"#, token("1"));
    let access = app().issue("r", "4", NOW_S as i64 + 60, 1);
    let access = format!(r#"{{"id":"joinRoom","name":"4","room":"r","token":"{access}"}}"#);
    owned(&[
        (0, &proven),
        (
            1,
            r#"{"id":"joinRoom","name":"2","room":"r","notices":true,"features":["videoQuality","sendLayers"]}"#,
        ),
        (0, &publish),
        (1, &publish),
        (
            1,
            r#"{"id":"onIceCandidate","name":"1","candidate":{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}}"#,
        ),
        (
            1,
            r#"{"id":"videoWants","lastN":1,"onStage":["1"],"heights":{"1":720,"*":0},"screens":{"*":1080}}"#,
        ),
        (0, r#"{"id":"heart"}"#),
        (2, r#"{"id":"joinRoom","name":"1","room":"r"}"#),
        (1, &access),
        (0, r#"{"id":"leaveRoom"}"#),
    ])
}

fn groupcall_type() -> Vec<(u8, String)> {
    let publish = with_offer(r#"{"type":"receiveVideoFrom","userId":1,"sdpOffer":"#, "}");
    owned(&[
        (0, r#"{"type":"join","userId":1,"room":7,"personName":"a","pw":"p"}"#),
        (1, r#"{"type":"join","userId":2,"room":7,"pw":"p","notices":true}"#),
        (0, &publish),
        (1, &publish),
        (
            1,
            r#"{"type":"videoWants","lastN":0,"onStage":[1,"x"],"heights":{"1":1e9,"*":-1}}"#,
        ),
        (1, r#"{"type":"sendMessage","message":"hello"}"#),
        (
            0,
            r#"{"type":"uploadSuccess","fileName":"a.png","fileUrl":"/files/a","fileType":"image"}"#,
        ),
        (
            1,
            r#"{"type":"onIceCandidate","userId":1,"candicate":{"candidate":"","sdpMid":"0","sdpMLineIndex":0}}"#,
        ),
        (2, r#"{"type":"join","userId":3,"room":7,"pw":"wrong"}"#),
        (1, r#"{"type":"leave"}"#),
    ])
}

/// Both kinds of messages in one room.
fn meeting() -> Vec<(u8, String)> {
    owned(&[
        (
            0,
            r#"{"id":"joinRoom","name":"anna","room":"7","pw":"p","personName":"Anna"}"#,
        ),
        (1, r#"{"type":"join","userId":7,"room":7,"pw":"p","personName":"7"}"#),
        (0, r#"{"id":"leaveRoom"}"#),
    ])
}

fn call() -> Vec<(u8, String)> {
    let call = with_offer(r#"{"id":"call","from":"1","to":"2","sdpOffer":"#, "}");
    let accept = with_offer(
        r#"{"id":"incomingCallResponse","from":"1","callResponse":"accept","sdpOffer":"#,
        "}",
    );
    let restart = with_offer(r#"{"id":"restart","sdpOffer":"#, "}");
    owned(&[
        (0, r#"{"id":"register","name":"1","notices":true}"#),
        (1, r#"{"id":"register","name":2.0}"#),
        (0, &call),
        (
            1,
            r#"{"id":"incomingCallResponse","from":"1","callResponse":"reject","message":"bussy"}"#,
        ),
        (0, &call),
        (1, &accept),
        (0, &restart),
        (
            1,
            r#"{"id":"onIceCandidate","candidate":{"candidate":"","sdpMid":"0","sdpMLineIndex":0}}"#,
        ),
        (0, r#"{"id":"heart"}"#),
        (0, r#"{"id":"stop"}"#),
        (0, &call),
        (
            1,
            r#"{"id":"incomingCallErrorResponse","from":"1","errorResponse":"NoDevice"}"#,
        ),
    ])
}

fn devices() -> Vec<(u8, String)> {
    owned(&[
        (3, r#"{"type":"heart"}"#),
        (0, r#"{"type":"call","to_phone":"1","to_device_id":"3"}"#),
        (
            3,
            "{\n  \"type\": \"called_success\",\n  \"from_phone\": 0,\n  \"from_device_id\": \"0\",\n  \"room_id\": \"room 1\"\n}",
        ),
        (
            0,
            "{\"type\":\"calling_hangup\",\"notified_phone\":\"1\",\"notified_device_id\":\"3\",\"room_id\":\"room 1\"}\nno JSON\n{\"type\":\"call\",\"to_phone\":0.0,\"to_device_id\":1}",
        ),
        (
            1,
            r#"{"type":"called_refuse","from_phone":"0","from_device_id":"0","room_id":"room 1"}"#,
        ),
    ])
}

fn messages() -> Vec<Vec<u8>> {
    let frames = [
        (0, r#"{"cmd":1,"msgtype":1,"sender":"7","deviceId":"d"}"#),
        (1, r#"{"cmd":1,"msgtype":1,"sender":"8","token":"TOKEN"}"#),
        (0, r#"{"cmd":5,"msgtype":1,"receiver":"8","content":[18,2,104,105]}"#),
        (1, r#"{"cmd":5,"msgtype":4,"groupId":"team","senderName":"Anna"}"#),
        (
            0,
            r#"{"cmd":5,"msgtype":4,"groupId":"video","receiver":"9","reqType":"ptop","vagroupId":"room 7","content":[18,5,118,105,100,101,111]}"#,
        ),
        (2, r#"{"cmd":1,"msgtype":1,"sender":"9"}"#),
        (
            2,
            r#"{"cmd":5,"msgtype":4,"groupId":"video","receiver":"7","reqType":"ptop","resSign":"agree"}"#,
        ),
        (
            0,
            r#"{"cmd":5,"msgtype":4,"groupId":"video","receiver":"9","resSign":"cancel"}"#,
        ),
        (1, r#"{"cmd":3,"msgtype":1}"#),
        (1, r#"{"cmd":2,"msgtype":4}"#),
    ];
    let token = token("8");
    let bytes = |json: &str| Model::read(&json.replace("TOKEN", &token)).bytes();
    frames.into_iter().map(|(who, json)| frame(who, &bytes(json))).collect()
}

/// The fields that the server writes in a message that it passes on. Other fields are the sender's, and may be anything.
#[derive(Clone, PartialEq, Message)]
struct Written {
    #[prost(uint32, tag = "3")]
    cmd: u32,
    #[prost(string, tag = "4")]
    sender: String,
    #[prost(string, tag = "13")]
    time_stamp: String,
}

type Line = Option<(Conversation<House>, Events)>;

/// Takes what a client is sent; removes the client when its socket is closed.
fn take(line: &mut Line, reaction: &Reaction) -> usize {
    for frame in &reaction.frames {
        match frame {
            Frame::Text(text) => drop(serde_json::from_str::<serde_json::Value>(text).expect("we send JSON")),
            Frame::Binary(bytes) => drop(Written::decode(&bytes[..]).expect("we send messages")),
        }
    }
    if reaction.close.is_some() {
        *line = None;
    }
    reaction.frames.len()
}

fn frames_of(families: [Family; CLIENTS]) -> Run {
    let play = player();
    Box::new(move |input| play(families, Bytes(input)))
}

fn player() -> impl Fn([Family; CLIENTS], Bytes<'_>) {
    let config = Arc::new(Config::default());
    let keys = keys();
    move |families, bytes| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(families, bytes, &config, &keys));
    }
}

#[expect(clippy::too_many_lines, reason = "one loop plays all kinds of steps")]
async fn play(families: [Family; CLIENTS], mut bytes: Bytes<'_>, config: &Arc<Config>, keys: &TokenKeys) {
    let (workers, engine) = FakeWorkers::start();
    let (media, media_events) = mpsc::channel(16);
    let (hub, running) = hub::start(
        engine,
        media_events,
        Capacity::from(&**config),
        Shelf::default(),
        StdRng::seed_from_u64(0),
        mpsc::channel(1).0,
    );
    tokio::spawn(running);
    let clock: WallClock = Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW_S));
    let mut lines: [Line; CLIENTS] = std::array::from_fn(|_| None);
    let mut peers = Vec::new();
    while !bytes.is_empty() {
        let step = bytes.byte();
        let who = usize::from(step) % CLIENTS;
        match usize::from(step) / CLIENTS {
            CLOSE => lines[who] = None,
            WAIT => tokio::time::advance(Duration::from_secs(bytes.byte().into())).await,
            MEDIA => {
                let peer = bytes.byte();
                if let Some(&peer) = peers.get(usize::from(peer)) {
                    media.send(media_event(peer, &mut bytes)).await.expect("the hub lives");
                }
            }
            _ => {
                let len = usize::from(bytes.number());
                let body = bytes.take(len);
                let frame = match families[who] {
                    Messages => Frame::Binary(body.to_vec().into()),
                    _ => Frame::Text(String::from_utf8_lossy(body).into_owned()),
                };
                if lines[who].is_none() {
                    let Ok((session, events)) = hub.connect(ClientAddress::THIS_MACHINE).await else {
                        return;
                    };
                    let mut conversation = Conversation::new(
                        families[who].entrance(who),
                        session,
                        House::default().with_room("7", "p"),
                        Arc::clone(config),
                        Arc::clone(&clock),
                    )
                    .with_tokens(keys.clone(), None)
                    .with_app(app(), Arc::new(tokio::time::Instant::now));
                    let begun = conversation.begin().await;
                    lines[who] = Some((conversation, events));
                    take(&mut lines[who], &begun);
                }
                if let Some((conversation, _)) = &mut lines[who] {
                    let reaction = conversation.receive(frame).await;
                    take(&mut lines[who], &reaction);
                }
            }
        }
        // Lets the hub run, also when nobody waits for its answer.
        tokio::task::yield_now().await;
        for line in &mut lines {
            let mut answers = 0;
            while let Some((conversation, events)) = line
                && let Some(event) = events.try_next()
            {
                let reaction = conversation.send(event);
                answers += take(line, &reaction);
            }
            assert!(answers <= ANSWERS_MAX, "{answers} frames for one message");
        }
        while let Some(command) = workers.next() {
            if let DriverCommand::Media(MediaCommand::Open(spec)) = command {
                peers.push(spec.peer);
            }
        }
    }
    assert!(hub.is_running(), "the hub lives");
}

/// An event that a media worker may send about a connection.
fn media_event(peer: PeerId, bytes: &mut Bytes<'_>) -> MediaEvent {
    let (kind, publisher) = (Kind::Video, ParticipantId(bytes.below(8) as u64));
    match bytes.below(10) {
        0 => MediaEvent::Connected { peer },
        1 => MediaEvent::Suspended { peer },
        2 => MediaEvent::Resumed { peer },
        3 => MediaEvent::Closed {
            peer,
            reason: CloseReason::ConsentExpired,
        },
        4 => MediaEvent::Undecodable {
            peer,
            publisher,
            kind,
            codec: Codec::Vp8,
        },
        5 => MediaEvent::SpeechBegan { peer },
        6 => MediaEvent::SpeechEnded { peer },
        7 => MediaEvent::LayersWanted {
            peer,
            feed: Feed::Camera,
            layers: vec![("q".to_owned(), true), (String::new(), false)],
            max_bits_per_second: Some(1_000),
        },
        8 => MediaEvent::Quality {
            peer,
            feed: FeedRef::camera(publisher),
            quality: Quality {
                state: bytes.pick(&[State::Full, State::Paused(Cause::Bandwidth), State::Unwanted]),
                height: None,
                wanted: Some(360),
            },
        },
        _ => MediaEvent::Decodable { peer, publisher, kind },
    }
}
