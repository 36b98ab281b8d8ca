//! The messages of the families, as their clients write and read them.

use serde_json::{Value, json};

use super::plan::Family;

/// A message to a client.
#[derive(Debug, PartialEq, Eq)]
pub enum ToClient {
    /// The client has entered; these people are there.
    Entered(Vec<String>),
    Arrived(String),
    Left(String),
    MediaLost(String),
    MediaBack(String),
    Answer {
        subject: String,
        sdp: String,
    },
    /// The answer to a message about this subject.
    Refused {
        subject: String,
    },
    /// A host has taken the client's pictures away, or gives them back.
    Muted(bool),
    Registered(bool),
    Rings {
        from: String,
    },
    /// The caller's result, with or without an answer.
    Called(Option<String>),
    /// The callee's call begins.
    Begins(String),
    Renewed(String),
    CallOver,
    /// A message that these clients ignore.
    Other,
}

/// The subject of the one connection of a call.
pub const CALL: &str = "call";

impl Family {
    pub fn enter(self, name: &str, room: u8, token: &str) -> String {
        let message = match self {
            Family::Id => {
                json!({"id": "joinRoom", "name": name, "room": room.to_string(), "notices": true, "token": token})
            }
            Family::Type => {
                json!({"type": "join", "userId": number(name), "room": room, "notices": true, "token": token})
            }
        };
        message.to_string()
    }

    pub fn leave(self) -> String {
        let message = match self {
            Family::Id => json!({"id": "leaveRoom"}),
            Family::Type => json!({"type": "leave"}),
        };
        message.to_string()
    }

    pub fn offer(self, subject: &str, sdp: &str) -> String {
        let message = match self {
            Family::Id => json!({"id": "receiveVideoFrom", "sender": subject, "sdpOffer": sdp}),
            Family::Type => json!({"type": "receiveVideoFrom", "userId": number(subject), "sdpOffer": sdp}),
        };
        message.to_string()
    }

    pub fn read(self, text: &str) -> ToClient {
        let message: Value = serde_json::from_str(text).expect(text);
        match self {
            Family::Id => read_id(&message),
            Family::Type => read_type(&message),
        }
    }
}

/// In the other family ids are numbers.
fn number(name: &str) -> u64 {
    name.parse().expect("people are called by numbers")
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn muted(message: &Value) -> ToClient {
    let kinds = message["mutedByHost"].as_array().expect("a list");
    ToClient::Muted(kinds.iter().any(|kind| kind == "video"))
}

fn read_id(message: &Value) -> ToClient {
    let name = || text_of(&message["name"]);
    match message["id"].as_str().unwrap_or_default() {
        "existingParticipants" => {
            let others = message["data"].as_array().expect("a list");
            ToClient::Entered(others.iter().map(text_of).collect())
        }
        "newParticipantArrived" => ToClient::Arrived(name()),
        "participantLeft" => ToClient::Left(name()),
        "participantMedia" if message["media"] == "lost" => ToClient::MediaLost(name()),
        "participantMedia" => ToClient::MediaBack(name()),
        "ownState" => muted(message),
        "receiveVideoAnswer" => ToClient::Answer {
            subject: name(),
            sdp: text_of(&message["sdpAnswer"]),
        },
        "iceCandidate" => ToClient::Other,
        other => panic!("a message of an unknown kind: {other}"),
    }
}

fn read_type(message: &Value) -> ToClient {
    let user = || text_of(&message["userId"]);
    match message["type"].as_str().unwrap_or_default() {
        "existingParticipants" => {
            let others = message["participants"].as_array().expect("a list");
            ToClient::Entered(others.iter().map(|other| text_of(&other["userId"])).collect())
        }
        "newParticipantArrived" => ToClient::Arrived(text_of(&message["participant"]["userId"])),
        "participantLeft" => ToClient::Left(user()),
        "participantMedia" if message["media"] == "lost" => ToClient::MediaLost(user()),
        "participantMedia" => ToClient::MediaBack(user()),
        "ownState" => muted(message),
        "receiveVideoAnswer" => ToClient::Answer {
            subject: user(),
            sdp: text_of(&message["sdpAnswer"]),
        },
        "unrecognizedMessage" if message["message"]["type"] == "receiveVideoFrom" => ToClient::Refused {
            subject: text_of(&message["message"]["userId"]),
        },
        // The socket is closed, and the code says why.
        "iceCandidate" | "permisionDeny" => ToClient::Other,
        other => panic!("a message of an unknown kind: {other}: {message}"),
    }
}

pub fn register(name: &str) -> String {
    json!({"id": "register", "name": name, "notices": true}).to_string()
}

pub fn call(from: &str, to: &str, sdp: &str) -> String {
    json!({"id": "call", "from": from, "to": to, "sdpOffer": sdp}).to_string()
}

pub fn accept(from: &str, sdp: &str) -> String {
    json!({"id": "incomingCallResponse", "from": from, "callResponse": "accept", "sdpOffer": sdp}).to_string()
}

pub fn renew(sdp: &str) -> String {
    json!({"id": "restart", "sdpOffer": sdp}).to_string()
}

pub fn stop() -> String {
    json!({"id": "stop"}).to_string()
}

pub fn read_call(text: &str) -> ToClient {
    let message: Value = serde_json::from_str(text).expect(text);
    let answer = || text_of(&message["sdpAnswer"]);
    match message["id"].as_str().unwrap_or_default() {
        "registerResponse" => ToClient::Registered(message["response"] == "accepted"),
        "incomingCall" => ToClient::Rings {
            from: text_of(&message["from"]),
        },
        "callResponse" => ToClient::Called((message["response"] == "accepted").then(answer)),
        "startCommunication" => ToClient::Begins(answer()),
        "restartAnswer" => ToClient::Renewed(answer()),
        "stopCommunication" => ToClient::CallOver,
        "otherMedia" if message["media"] == "lost" => ToClient::MediaLost(CALL.to_owned()),
        "otherMedia" => ToClient::MediaBack(CALL.to_owned()),
        "iceCandidate" => ToClient::Other,
        other => panic!("a message of an unknown kind: {other}"),
    }
}
