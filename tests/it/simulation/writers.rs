//! How a client of `/ws` behaves: it writes numbered messages to somebody, who may be away.

use std::time::Duration;

use axum::extract::ws::Message;
use bytes::Bytes;
use serde_json::{Value, json};

use super::person::Person;
use super::plan::Role;
use super::surroundings::Surroundings;
use super::{account, asker};
use crate::transcripts::Model;

const WRITES_EVERY: Duration = Duration::from_millis(600);

const BIND: u32 = 1;
const HEARTBEAT: u32 = 2;
const ONLINE: u32 = 3;
const OFFLINE: u32 = 4;
const MESSAGE: u32 = 5;
const ASKS: u32 = 1;
const ANSWERS: u32 = 4;

impl Person {
    pub fn bind(&mut self, at: &Surroundings) {
        self.write(at, json!({"cmd": BIND, "msgtype": ASKS, "sender": self.name}));
        // There is no answer.
        self.is_in = true;
        self.invitations.clear();
        self.binds += 1;
        self.writes_at = at.now + WRITES_EVERY;
    }

    pub fn look_after_messages(&mut self, at: &Surroundings) {
        if let Role::Writer(reader) = self.role
            && self.is_in
            && at.now >= self.writes_at
        {
            self.writes_at = at.now + WRITES_EVERY;
            self.written += 1;
            let (receiver, number) = ((reader + 1).to_string(), self.written.to_string());
            self.write(
                at,
                json!({"cmd": MESSAGE, "msgtype": ASKS, "sender": self.name, "receiver": receiver, "version": number,
                    "deviceId": self.binds.to_string()}),
            );
            match self.written % 5 {
                0 | 3 => self.invite_account(at),
                4 => self.write(at, self.taking_back()),
                _ => {}
            }
        }
    }

    pub fn invite_account(&mut self, at: &Surroundings) {
        let invitation = self.invitation();
        self.write(at, invitation);
    }

    fn write(&mut self, at: &Surroundings, message: Value) {
        let message = message.to_string();
        at.note(format!("{} > {message}", self.name));
        if let Some(socket) = &mut self.socket {
            socket.send(at.now, Message::Binary(Model::read(&message).bytes()));
        }
    }

    pub fn hear_message(&mut self, at: &mut Surroundings, bytes: &Bytes) {
        let mut message = Model::of(bytes).written();
        // The simulation changes the wall clock.
        message.as_object_mut().expect("an object").remove("timeStamp");
        at.note(format!("{} < {message}", self.name));
        let number = |field: &str| message[field].as_u64().unwrap_or_default() as u32;
        match (number("cmd"), number("msgtype")) {
            (HEARTBEAT, ASKS) => self.write(at, json!({"cmd": HEARTBEAT, "msgtype": ANSWERS})),
            (ONLINE | OFFLINE, _) => {}
            (MESSAGE, _) if message["sender"] == asker::NAME => self.hear_invitation(at, &message),
            (MESSAGE, _) if message["sender"] == account::NAME => self.hear_account(at, &message),
            (MESSAGE, _) => self.hear_number(at, &message),
            _ => panic!("{} gets what it has not asked for: {message}", self.name),
        }
    }

    /// A call rings, or rings no longer. Of the answers that people can give, this client gives each in turn, also none.
    fn hear_invitation(&mut self, at: &mut Surroundings, message: &Value) {
        let room = message["vagroupId"].as_str().expect("a room").to_owned();
        match message["resSign"].as_str() {
            Some("cancel") => at.tally.invitations_taken_back += 1,
            Some(other) => panic!("{} is sent {other} about a call", self.name),
            None => {
                at.tally.invitations += 1;
                let answer = match (self.written + self.index as u32) % 3 {
                    0 => Some("agree"),
                    1 => Some("refuse"),
                    _ => None,
                };
                if let Some(answer) = answer {
                    let answer = json!({"cmd": MESSAGE, "msgtype": ANSWERS, "groupId": "video", "reqType": "group",
                        "sender": self.name, "receiver": asker::NAME, "vagroupId": room, "resSign": answer});
                    self.write(at, answer);
                }
                self.rung = Some(room);
            }
        }
    }

    fn hear_number(&mut self, at: &Surroundings, message: &Value) {
        let Role::Writer(writer) = self.role else {
            panic!("{} has no /ws", self.name);
        };
        // The server writes the sender itself, so that receivers can trust it.
        let expected = (json!(self.name), json!((writer + 1).to_string()));
        let found = (message["receiver"].clone(), message["sender"].clone());
        assert_eq!(
            found, expected,
            "{} gets a message for somebody else, or of nobody",
            self.name
        );
        let number: u32 = message["version"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        // Those of one socket come in the order in which they were sent, the waiting ones first. Each comes once, unless storage
        // could not delete it. The server may read the writer's last socket later than the present one.
        let socket = message["deviceId"].as_str().expect("a number").to_owned();
        let read = self.read_of.entry(socket).or_default();
        let is_new = number > *read;
        *read = number.max(*read);
        assert!(
            is_new || at.storage_failed,
            "{} gets {number} after {}",
            self.name,
            self.read
        );
        self.read = self.read.max(number);
    }
}
