//! Frames of every family, by several clients at once, against the real hub and rules.

#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "../it/transcripts/house.rs"]
mod house;
#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "../it/transcripts/model.rs"]
mod model;
#[allow(dead_code, reason = "transcripts use the rest")]
#[path = "../it/transcripts/workers.rs"]
mod workers;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use patchbay::clock::WallClock;
use patchbay::config::Config;
use patchbay::hub::{self, Capacity, Events};
use patchbay::ids::RoomName;
use patchbay::shares::ClientAddress;
use patchbay::signaling::{Conversation, Entrance, Frame, Reaction};
use patchbay::storage::DeviceRecord;
use tokio::sync::mpsc;

use self::house::House;
use self::model::{Model, Shelf};
use self::workers::FakeWorkers;
use crate::bytes::Bytes;
use crate::engine::fuzz;

/// What one client may be sent for one message of anybody: more would be a flood.
const ANSWERS_MAX: usize = 200;
const CLIENTS: usize = 4;

fn entrance(family: u8) -> Entrance {
    match family % 5 {
        0 => Entrance::Groupcall,
        1 => Entrance::Direct,
        2 => Entrance::Call,
        3 => Entrance::Messages,
        _ => Entrance::Device {
            device: DeviceRecord {
                phone: "1".to_owned(),
                device_id: "a".to_owned(),
            },
            room_ids: || RoomName::from("room 1"),
        },
    }
}

/// A frame of client `who` in an input: who, the length, the bytes.
fn frame(who: u8, bytes: &[u8]) -> Vec<u8> {
    [&[who], &(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn conversation(families: [u8; CLIENTS], frames: &[(u8, &str)]) -> Vec<u8> {
    let said = frames.iter().flat_map(|(who, text)| frame(*who, text.as_bytes()));
    families.into_iter().chain(said).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let offer = include_str!("../fixtures/sdp/chrome-sendonly.sdp");
    let with_offer = |before: &str, after: &str| format!("{before}{}{after}", serde_json::to_string(offer).unwrap());
    let publish = with_offer(r#"{"id":"receiveVideoFrom","sender":"1","sdpOffer":"#, "}");
    let numbers = with_offer(r#"{"type":"receiveVideoFrom","userId":1,"sdpOffer":"#, "}");
    let call = with_offer(r#"{"id":"call","from":"1","to":"2","sdpOffer":"#, "}");
    let accept = with_offer(
        r#"{"id":"incomingCallResponse","from":"1","callResponse":"accept","sdpOffer":"#,
        "}",
    );
    let mut seeds = vec![
        conversation(
            [0; CLIENTS],
            &[
                (0, r#"{"id":"joinRoom","name":"1","room":"r"}"#),
                (1, r#"{"id":"joinRoom","name":"2","room":"r"}"#),
                (0, &publish),
                (1, &publish),
                (
                    1,
                    r#"{"id":"onIceCandidate","name":"1","candidate":{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}}"#,
                ),
                (0, r#"{"id":"heart"}"#),
                (0, r#"{"id":"leaveRoom"}"#),
            ],
        ),
        conversation(
            [0; CLIENTS],
            &[
                (
                    0,
                    r#"{"type":"joinRoom","userId":1,"groupId":7,"room":7,"name":"a","password":"p"}"#,
                ),
                (1, r#"{"type":"joinRoom","userId":2,"groupId":7,"room":7}"#),
                (0, &numbers),
                (1, r#"{"type":"sendTextMessage","text":"hello","message":"hello"}"#),
                (1, r#"{"type":"leaveRoom"}"#),
            ],
        ),
        conversation(
            [2; CLIENTS],
            &[
                (0, r#"{"id":"register","name":"1"}"#),
                (1, r#"{"id":"register","name":2.0}"#),
                (0, &call),
                (1, &accept),
                (0, r#"{"id":"stop"}"#),
            ],
        ),
        conversation(
            [4; CLIENTS],
            &[
                (
                    0,
                    r#"{"event":"call","to_phone":"1","to_device_id":"a","data":{"phone":"1"}}"#,
                ),
                (1, "{\n  \"event\": \"called_success\",\n  \"room_id\": \"room 1\"\n}"),
            ],
        ),
    ];
    let bind = Model::read(r#"{"cmd":1,"sender":"7","deviceId":"d"}"#).bytes();
    let send = Model::read(r#"{"cmd":2,"sender":"7","receiver":"8","msgtype":1,"content":[104,105]}"#).bytes();
    let mut messages = vec![3; CLIENTS];
    for (who, bytes) in [(0, &bind), (1, &bind), (0, &send), (1, &send)] {
        messages.extend(frame(who, bytes));
    }
    seeds.push(messages);
    seeds
}

type Line = Option<(Conversation<House>, Events)>;

/// Takes in what a client is sent; it goes where it is closed.
fn take(line: &mut Line, reaction: &Reaction) -> usize {
    for frame in &reaction.frames {
        match frame {
            Frame::Text(text) => drop(serde_json::from_str::<serde_json::Value>(text).expect("we send JSON")),
            Frame::Binary(bytes) => drop(Model::of(bytes)),
        }
    }
    if reaction.close.is_some() {
        *line = None;
    }
    reaction.frames.len()
}

async fn play(input: &[u8], config: &Arc<Config>) {
    let (workers, media) = FakeWorkers::start();
    let (_events, media_events) = mpsc::channel(16);
    let hub = hub::start(media, media_events, Capacity::from(&**config), Shelf::default());
    let clock: WallClock = Arc::new(|| SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045));
    let mut bytes = Bytes(input);
    let families: [u8; CLIENTS] = std::array::from_fn(|_| bytes.byte());
    let mut lines: [Line; CLIENTS] = std::array::from_fn(|_| None);
    while !bytes.is_empty() {
        let who = bytes.below(CLIENTS);
        let len = usize::from(bytes.number());
        let body = bytes.take(len);
        let frame = match families[who] % 5 {
            3 => Frame::Binary(body.to_vec().into()),
            _ => Frame::Text(String::from_utf8_lossy(body).into_owned()),
        };
        if lines[who].is_none() {
            let Ok((session, events)) = hub.connect(ClientAddress::THIS_MACHINE).await else {
                return;
            };
            let mut conversation = Conversation::new(
                entrance(families[who]),
                session,
                House::default(),
                Arc::clone(config),
                Arc::clone(&clock),
            );
            let begun = conversation.begin().await;
            lines[who] = Some((conversation, events));
            take(&mut lines[who], &begun);
        }
        if let Some((conversation, _)) = &mut lines[who] {
            let reaction = conversation.receive(frame).await;
            take(&mut lines[who], &reaction);
        }
        for line in &mut lines {
            let mut answers = 0;
            while let Some((conversation, events)) = line
                && let Some(event) = events.try_next()
            {
                let reaction = conversation.tell(event);
                answers += take(line, &reaction);
            }
            assert!(answers <= ANSWERS_MAX, "{answers} frames for one message");
        }
        while workers.next().is_some() {}
    }
    assert!(hub.is_running(), "the hub lives");
}

#[test]
fn conversations() {
    let config = Arc::new(Config::default());
    fuzz("signaling", seeds(), |input| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(input, &config));
    });
}
