//! The beginning of a conversation on `/groupcall` and `/direct`, which two families share: the first message that belongs to
//! one of them decides.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde::Serialize;
use serde_json::Value;

use super::client::{Admission, Client};
use super::dialogue::Dialogue;
use super::reaction::{Frame, Reaction};
use super::{groupcall_id, groupcall_type, json};
use crate::domain::Event;

const UNRECOGNIZED: &str = "unrecognizedMessage";

/// A client of one of the two families.
pub(crate) struct GroupcallDialogue<A> {
    /// Conversation in the client's family. `None` until the family is known.
    family: Option<Box<dyn Dialogue<A>>>,
}

/// The answer to a message that belongs to neither family.
#[derive(Serialize)]
struct OfNoFamily {
    id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    message: Value,
}

impl<A> Default for GroupcallDialogue<A> {
    fn default() -> Self {
        Self { family: None }
    }
}

impl<A: Admission> Dialogue<A> for GroupcallDialogue<A> {
    fn family(&self) -> &'static str {
        self.family.as_ref().map_or("none", |family| family.family())
    }

    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction> {
        let family = match self.family.take() {
            Some(family) => self.family.insert(family),
            None => {
                let message = json::parse(frame.text());
                match message.as_ref().and_then(family_of) {
                    Some(family) => self.family.insert(family),
                    None => {
                        let message = message.unwrap_or_else(|| Value::from(frame.text()));
                        return ready(unrecognized(client, message)).boxed();
                    }
                }
            }
        };
        family.receive(client, frame)
    }

    fn send(&mut self, client: &Client<A>, event: Event) -> Reaction {
        // Events follow from messages, so the family is known by then.
        let family = self.family.as_mut();
        family.map_or_else(Reaction::none, |family| family.send(client, event))
    }
}

fn unrecognized<A>(client: &Client<A>, message: Value) -> Reaction {
    client.ignore("a message of no family");
    Reaction::frame(&OfNoFamily {
        id: UNRECOGNIZED,
        kind: UNRECOGNIZED,
        message,
    })
}

fn family_of<A: Admission>(message: &Value) -> Option<Box<dyn Dialogue<A>>> {
    let has = |key, kinds: &[&str]| {
        let kind = message.get(key).and_then(Value::as_str);
        kind.is_some_and(|kind| kinds.contains(&kind))
    };
    if has("id", groupcall_id::KINDS) {
        Some(Box::new(groupcall_id::GroupcallIdDialogue::default()))
    } else if has("type", groupcall_type::KINDS) {
        Some(Box::new(groupcall_type::GroupcallTypeDialogue::default()))
    } else {
        None
    }
}
