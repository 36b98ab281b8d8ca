//! Calls between devices that have logged in (`/socket.io?token=…`; not the protocol of that name).
//!
//! JSON objects in text frames, with their kind under `type`. All other fields are texts; whole numbers are read as texts too.
//! A client may send up to 64 objects in one frame, each on as many lines as it likes; the server sends one object a frame. The
//! token says which device it is: without a valid one the connection is refused (HTTP status 401). A newer connection of the
//! same device takes the place of the older one, which is closed with 4001; the device's call goes on with the newer one.
//!
//! | client → server | fields | what it does |
//! |---|---|---|
//! | `call` | `to_phone`, `to_device_id` | rings the device, or with an empty `to_device_id` the user of that name, who need not have a telephone number; a call that this device is still in ends |
//! | `called_success`, `called_refuse` | `from_phone`, `from_device_id`, `room_id` | accepts or refuses the call that rings and has that room; without a `room_id`, the call that rings |
//! | `calling_hangup` | `notified_phone`, `notified_device_id`, `room_id` | ends the call with that device, ringing or accepted, whichever room it names: some clients name another one, or none. A message with the room of an earlier call with that device that ended within the last 30 s is late, and ignored. It is not answered if there is no call |
//!
//! | server → client | fields | when |
//! |---|---|---|
//! | `call_failed` | `message`: `to_phone is failed to parse`, `to_device_id is failed to parse` | the message cannot be understood |
//! | `call_failed` | `to_phone`, `to_device_id`, `message`: `to_phone is not online`, `to_phone is busy`, `timeout` after 60 s, or another sentence | there will be no call |
//! | `called` | `from_phone`, `from_device_id`, `room_id` | a call rings; the room has 128 random bits, and a device that accepts opens it |
//! | `call_success` | `to_phone`, `to_device_id`, `room_id` | the call is accepted; the caller opens the room, too |
//! | `call_refuse` | `to_phone`, `to_device_id`, `room_id` | the call is refused |
//! | `called_failed` | `from_phone`, `from_device_id`; `message` where there is more to say | the call that rang is over: the caller has left, or nobody answered in time; or the client answered a call that does not ring |
//! | `called_failed` | `message`: `from_phone is failed to parse`, `from_device_id is failed to parse` | the answer cannot be understood |
//! | `calling_be_hangup` | `fire_phone`, `fire_device_id`, `room_id` | the other side has hung up, also while it rang, or has been lost for 5 s; or both have been out of the room on `/direct` for 15 s |
//! | `calling_hungup_error` (so spelled) | `message`: `notified_phone is failed to parse`, `notified_device_id is failed to parse` | the message cannot be understood |
//! | `json_data_invalid` | `message`: `the requested data is invalid` | no JSON object, or no `type` |
//!
//! Somebody who calls by other means, such as an app's back end, is no device, and nor is a user of another family whom a device
//! calls: `from_phone` and `to_phone` have their name, and `from_device_id`, `to_device_id` and `fire_device_id` are empty. The client
//! writes it in the same way in its answer, and when it hangs up. The room is then a group room; once the call is accepted, a page that
//! joins a room of that name on `/direct` is in the group room.
//!
//! If a text is present, but has more than 128 characters, `is failed to parse` is followed by `: ` and that reason. An unknown
//! `type` is ignored. A call whose room on `/direct` nobody has entered within a minute keeps nobody busy: another `call`
//! rings, and if it is accepted the earlier call is over. The media of these calls are carried by a page that knows the room.

mod wire;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use self::wire::Outgoing;
use super::client::{Admission, Client};
use super::dialogue::Dialogue;
use super::json;
use super::json::Name;
use super::reaction::{Close, Frame, Reaction};
use crate::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallEnd, CallEvent, CallMedia, CallOver, Claim, Command, Decline,
    Event, Newcomer, Refusal, Registration, Side, WhenAbsent, WhenBusy,
};
use crate::ids::{DeviceId, RoomName, UserId};
use crate::storage::DeviceRecord;

/// Messages in one frame; further ones are ignored. Clients join what they have queued, a handful.
const MESSAGES_PER_FRAME_MAX: usize = 64;

const NOT_ONLINE: &str = "to_phone is not online";
const NOT_RINGING: &str = "the call does not ring";
const TIMED_OUT: &str = "timeout";

/// The parties of a call between devices meet in a room.
const ABILITIES: Abilities = Abilities {
    rings_elsewhere: true,
    ..Abilities::NONE
};

/// One client's conversation in this family.
pub(crate) struct DeviceDialogue {
    address: Address,
    /// Maker of the rooms of calls. Each room is a new one that nobody could guess.
    room_ids: fn() -> RoomName,
}

impl<A: Admission> Dialogue<A> for DeviceDialogue {
    fn family(&self) -> &'static str {
        "devices"
    }

    fn begin<'a>(&'a mut self, client: &'a Client<A>) -> BoxFuture<'a, Reaction> {
        self.register(client).boxed()
    }

    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction> {
        self.take(client, frame).boxed()
    }

    fn send(&mut self, _: &Client<A>, event: Event) -> Reaction {
        match &event {
            Event::Call(CallEvent::Incoming { from, room, .. }) => {
                let (from_phone, from_device_id) = parts(from);
                Reaction::frame(&Outgoing::Called {
                    from_phone,
                    from_device_id,
                    room_id: room_id(room.as_ref()),
                })
            }
            Event::Call(CallEvent::Accepted { by, room, .. }) => {
                let (to_phone, to_device_id) = parts(by);
                Reaction::frame(&Outgoing::CallSuccess {
                    to_phone,
                    to_device_id,
                    room_id: room.as_str(),
                })
            }
            Event::Call(CallEvent::Over(over)) => call_over(over),
            _ => Reaction::none(),
        }
    }
}

impl DeviceDialogue {
    pub fn new(of: &DeviceRecord, room_ids: fn() -> RoomName) -> Self {
        let address = device(&of.phone, &of.device_id);
        Self { address, room_ids }
    }

    /// Makes the device reachable for calls from now on.
    async fn register<A>(&self, client: &Client<A>) -> Reaction {
        let register = Command::Register(Registration {
            address: self.address.clone(),
            newcomer: Newcomer::Inherits,
            claim: Claim::Proven,
            abilities: ABILITIES,
        });
        match client.request(register).await {
            Ok(()) => Reaction::none(),
            Err(_) => Reaction::close(Close::FULL),
        }
    }

    async fn take<A>(&self, client: &Client<A>, frame: Frame) -> Reaction {
        let mut reaction = Reaction::none();
        for message in json::values(frame.text()).take(MESSAGES_PER_FRAME_MAX) {
            let one = self.receive_one(client, message).await;
            reaction.frames.extend(one.frames);
        }
        reaction
    }

    /// Takes one message. `None` is a message that is no JSON.
    async fn receive_one<A>(&self, client: &Client<A>, message: Option<Value>) -> Reaction {
        let message = message.unwrap_or_default();
        match message.get("type").and_then(Value::as_str) {
            Some("call") => self.call(client, &message).await,
            Some("called_success") => answer(client, &message, CallAnswer::Accept(None)).await,
            Some("called_refuse") => answer(client, &message, CallAnswer::Decline(Decline::Unwilling)).await,
            Some("calling_hangup") => hang_up(client, &message).await,
            Some(_) => client.ignore("a message of an unknown kind"),
            None => Reaction::frame(&Outgoing::JsonDataInvalid {
                message: "the requested data is invalid",
            }),
        }
    }

    async fn call<A>(&self, client: &Client<A>, message: &Value) -> Reaction {
        let (phone, id) = match party(message, "to_phone", "to_device_id") {
            Ok(named) => named,
            Err(sentence) => {
                return Reaction::frame(&Outgoing::CallFailed {
                    to_phone: None,
                    to_device_id: None,
                    message: &sentence,
                });
            }
        };
        let invite = || CallCommand::Invite {
            to: vec![address(&phone, &id)],
            media: CallMedia::Either {
                offer: None,
                room: (self.room_ids)(),
            },
            when_busy: WhenBusy::Refuse,
            when_absent: WhenAbsent::LeaveOut,
        };
        let mut outcome = client.request(invite()).await;
        if outcome == Err(Refusal::InCall) {
            // A device that was restarted does not know of the call that it was in.
            client
                .request(CallCommand::HangUp { with: None, room: None })
                .await
                .ok();
            outcome = client.request(invite()).await;
        }
        match outcome {
            Ok(()) => Reaction::none(),
            Err(Refusal::NotReachable) => call_failed(&phone, &id, NOT_ONLINE),
            Err(Refusal::Busy) => call_failed(&phone, &id, "to_phone is busy"),
            Err(refusal) => call_failed(&phone, &id, &refusal.to_string()),
        }
    }
}

fn call_over(over: &CallOver) -> Reaction {
    let (phone, device_id) = parts(&over.other);
    let room_id = room_id(over.room.as_ref());
    match (over.side, over.reason) {
        (_, CallEnd::HungUp | CallEnd::GivenUp) => hung_up(phone, device_id, room_id),
        (_, _) if over.accepted => hung_up(phone, device_id, room_id),
        (Side::Caller, CallEnd::Declined(_)) => Reaction::frame(&Outgoing::CallRefuse {
            to_phone: phone,
            to_device_id: device_id,
            room_id,
        }),
        (Side::Caller, CallEnd::TimedOut) => call_failed(phone, device_id, TIMED_OUT),
        (Side::Caller, _) => call_failed(phone, device_id, NOT_ONLINE),
        (Side::Callee, reason) => {
            let message = (reason == CallEnd::TimedOut).then_some(TIMED_OUT);
            called_failed(phone, device_id, message)
        }
    }
}

async fn answer<A>(client: &Client<A>, message: &Value, answer: CallAnswer) -> Reaction {
    let (phone, id) = match party(message, "from_phone", "from_device_id") {
        Ok(named) => named,
        Err(sentence) => {
            return Reaction::frame(&Outgoing::CalledFailed {
                from_phone: None,
                from_device_id: None,
                message: Some(&sentence),
            });
        }
    };
    let from = address(&phone, &id);
    let room = match message.get("room_id") {
        None | Some(Value::Null) => None,
        Some(Value::String(room)) if room.is_empty() => None,
        Some(_) => match Name::of(message, "room_id").map(Name::room) {
            Some(Ok(room)) => Some(room),
            Some(Err(too_long)) => return called_failed(&phone, &id, Some(&too_long.to_string())),
            None => return called_failed(&phone, &id, Some(NOT_RINGING)),
        },
    };
    match client.request(CallCommand::Answer { from, room, answer }).await {
        Ok(()) => Reaction::none(),
        Err(_) => called_failed(&phone, &id, Some(NOT_RINGING)),
    }
}

async fn hang_up<A>(client: &Client<A>, message: &Value) -> Reaction {
    match party(message, "notified_phone", "notified_device_id") {
        Ok((phone, id)) => {
            let with = Some(address(&phone, &id));
            let room = Name::of(message, "room_id").and_then(|room| room.room().ok());
            client.silent(client.request(CallCommand::HangUp { with, room }).await)
        }
        Err(sentence) => Reaction::frame(&Outgoing::CallingHungupError { message: &sentence }),
    }
}

/// Phone and device of the other side, or a sentence about the first field that is none.
fn named(message: &Value, phone: &str, device_id: &str) -> Result<(String, String), String> {
    let text = |field: &str| {
        let name = Name::of(message, field).ok_or_else(|| format!("{field} is failed to parse"))?;
        name.text()
            .map_err(|too_long| format!("{field} is failed to parse: {too_long}"))
    };
    Ok((text(phone)?, text(device_id)?))
}

/// As [`named`]; somebody who is no device has an empty device id.
fn party(message: &Value, phone: &str, device_id: &str) -> Result<(String, String), String> {
    if message.get(device_id).and_then(Value::as_str) != Some("") {
        return named(message, phone, device_id);
    }
    named(message, phone, phone).map(|(phone, _)| (phone, String::new()))
}

fn call_failed(to_phone: &str, to_device_id: &str, message: &str) -> Reaction {
    Reaction::frame(&Outgoing::CallFailed {
        to_phone: Some(to_phone),
        to_device_id: Some(to_device_id),
        message,
    })
}

fn called_failed(from_phone: &str, from_device_id: &str, message: Option<&str>) -> Reaction {
    Reaction::frame(&Outgoing::CalledFailed {
        from_phone: Some(from_phone),
        from_device_id: Some(from_device_id),
        message,
    })
}

fn hung_up(fire_phone: &str, fire_device_id: &str, room_id: &str) -> Reaction {
    Reaction::frame(&Outgoing::CallingBeHangup {
        fire_phone,
        fire_device_id,
        room_id,
    })
}

fn device(phone: &str, device_id: &str) -> Address {
    Address::Device {
        account: UserId::from(phone),
        device: DeviceId::from(device_id),
    }
}

/// The address with this phone and device, as [`parts`] writes it.
fn address(phone: &str, device_id: &str) -> Address {
    match device_id {
        "" => Address::Name(UserId::from(phone)),
        _ => device(phone, device_id),
    }
}

/// The phone and the device at an address. Somebody who calls by other means than a device has an empty device id.
fn parts(address: &Address) -> (&str, &str) {
    match address {
        Address::Device { account, device } => (account.as_str(), device.as_str()),
        Address::Name(name) => (name.as_str(), ""),
    }
}

fn room_id(room: Option<&RoomName>) -> &str {
    room.map_or("", RoomName::as_str)
}
