//! A call between two, on `/call`.
//!
//! JSON objects in text frames, with their kind under `id`. Each side opens one WebRTC connection that carries both directions,
//! and each side offers: the caller with `call`, the callee with its acceptance. The server then answers both, the callee
//! first.
//!
//! | client → server | fields | what it does |
//! |---|---|---|
//! | `register` | `name`; optional `notices`, `token` | can be called by that name from now on; the newest socket of a name has it alone |
//! | `call` | `from`, `to`, `sdpOffer` | rings at `to`; an earlier call of this client that still rings is given up |
//! | `incomingCallResponse` | `from` (the caller), `callResponse`; with `accept`: `sdpOffer`; otherwise: `message` | accepts, or declines: `bussy` (so spelled) or `user declined` |
//! | `incomingCallErrorResponse` | `from` (the caller), `errorResponse` `NoDevice` | declines, because there is no microphone or camera |
//! | `onIceCandidate` | `candidate` | nothing, at any time: the server finds clients by their own checks |
//! | `stop` | | hangs up, gives up, or declines the call that rings; so does closing the socket |
//! | `restart` | `sdpOffer` | this server's own: another offer in a call, which changes formats, restarts ICE, or puts a new connection in the place of the old one |
//! | `heart` | | is answered by the same |
//!
//! | server → client | fields | when |
//! |---|---|---|
//! | `registerResponse` | `response`; `userId` or `message` | `accepted`, `rejected: empty user name`, `rejected: user '…' already registered` where somebody has proven that the name is theirs, or `rejected` with the reason in `message` |
//! | `iceServers` | `iceServers`: a list of `urls`, `username`, `credential` (RTCIceServer in WebRTC 1.0) | after `registerResponse`: the relays (TURN) that the client may use, if there are any. Only to clients that registered with `notices` |
//! | `incomingCall` | `from`, `to` | a call rings; also to a client that registers while it rings |
//! | `startCommunication` | `sdpAnswer` | to the callee who accepted, before the caller hears of it |
//! | `callResponse` | `response`; `sdpAnswer` or `message` | to the caller: `accepted`, `rejected: user '…' is not registered`, or `rejected` with the reason in `message`. To a callee: `rejected` where the `from` of their answer has more than 128 characters. To the sender of a `restart`: `rejected` where its offer is missing, too long or cannot be answered, or there is no place for its connection. The call goes on, unless the offer was for a new connection: then `stopCommunication` follows |
//! | `iceCandidate` | `candidate` `{candidate, sdpMid, sdpMLineIndex}` | after that side's answer, which contains it too |
//! | `restartAnswer` | `sdpAnswer` | to the sender of a `restart`; candidates follow |
//! | `otherMedia` | `media`: `lost` or `back` | the other side's media no longer arrive though the call goes on, or arrive again. Only to clients that registered with `notices` |
//! | `mediaUndecodable` | `from`, `to`, `media` (`audio`, `video`), `codec` | what `from` sends is in a format that `to` cannot decode, and is not sent to them. Only to clients that registered with `notices` |
//! | `mediaDecodable` | `from`, `to`, `media` | `to` can decode it again. Only to clients that registered with `notices` |
//! | `stopCommunication` | | the other side has hung up, given up, or left; the call could not be set up; it rang too long |
//! | `incomingCallError` | `from`, `to`, `errorResponse` | to the caller: the callee has no device |
//! | `heart` | | |
//!
//! Firefox sends nothing more over a connection that has once `failed`: it needs a new one in its place.
//!
//! `notices` is this server's own. It is `true` from clients that understand the messages that only this server sends; other
//! clients are not sent them. A call whose media are lost goes on: it ends when somebody hangs up or a socket closes, or when
//! the media have not come back for minutes.
//!
//! Reasons in `message` of a rejected call: `bussy` and `user declined` as the callee gave them, `timeout` after
//! `calls.ring_timeout_s`, or a sentence. Names may come as numbers; the server sends them back as texts. `from` of a `call`
//! must be the name that the socket registered. `token` is this server's own: it proves that the name is one's own
//! ([`super::identity`]). Calls ring at people who are in another call: their clients say `bussy`.
//!
//! `stopCommunication` does not say which call is over, so it is only sent about the call that the client means: the one that
//! it is in, or else the first that rings.
//!
//! A message that is not of this family, that answers a call that does not ring, or that ends or restarts a call that does not
//! exist, is ignored and logged. A callee, or a caller, may be a client of another family that brings no offer: a registered
//! account, or a device. The client of this family is not sent that. It is then brought into a group room, where the other one goes,
//! and hears and sees whoever is there; the call is over when either of the two hangs up. A socket whose name is taken by a newer one is sent that its call is over, and closed with
//! 4001.

mod wire;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use self::wire::Outgoing;
use super::client::{Admission, Client};
use super::dialogue::Dialogue;
use super::json::{Name, Text};
use super::reaction::{Frame, Reaction};
use super::words::{ice_servers, kind_word, media_word, takes_notices};
use super::{json, offer};
use crate::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallEnd, CallEvent, CallMedia, CallOver, Command, Decline,
    DecodingNotice, Event, Newcomer, Refusal, Registration, Side, Subject, WhenAbsent, WhenBusy,
};
use crate::ids::{CallId, RoomName, UserId};
use crate::storage::AdmitError;

/// Word of a callee who is in another call. The spelling is the clients'.
const BUSY: &str = "bussy";
const DECLINED: &str = "user declined";
const TIMED_OUT: &str = "timeout";
const NO_DEVICE: &str = "NoDevice";
const REJECTED: &str = "rejected";
const OFFER_TOO_LONG: &str = "the offer is too long";

/// Both sides of a call here offer, so only calls that this server carries ring.
const ABILITIES: Abilities = Abilities {
    rings_carried: true,
    ..Abilities::NONE
};

/// One client's conversation in this family.
pub(crate) struct CallDialogue {
    /// Maker of the rooms where the client is brought when it calls somebody without an offer.
    room_ids: fn() -> RoomName,
    /// Name under which the client has registered.
    name: Option<UserId>,
    /// Whether the client understands the messages that only this server sends.
    takes_notices: bool,
    current_call: CurrentCall,
}

/// The call that the client takes a message to be about if the message names no call.
#[derive(Default)]
enum CurrentCall {
    #[default]
    Free,
    /// The client calls this user.
    Calling(UserId),
    /// This call is the first that rings at the client.
    Ringing { call: CallId, from: Address },
    /// The client has accepted this call, or its callee has.
    Talking(CallId),
}

impl<A: Admission> Dialogue<A> for CallDialogue {
    fn family(&self) -> &'static str {
        "call"
    }

    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction> {
        let message = json::parse(frame.text()).unwrap_or_default();
        self.take(client, message).boxed()
    }

    fn send(&mut self, client: &Client<A>, event: Event) -> Reaction {
        match event {
            Event::Call(CallEvent::Incoming { call, from, to, .. }) => self.incoming(call, from, &to),
            Event::Answered {
                subject: Subject::Call { call, .. },
                sdp,
                ..
            } if matches!(self.current_call, CurrentCall::Talking(now) if now == call) => {
                Reaction::frame(&Outgoing::RestartAnswer { sdp_answer: &sdp })
            }
            Event::Answered {
                subject: Subject::Call { call, side },
                sdp,
                ..
            } => {
                self.current_call = CurrentCall::Talking(call);
                Reaction::frame(&answered(side, &sdp))
            }
            Event::Candidate {
                subject: Subject::Call { .. },
                candidate,
            } => Reaction::frame(&Outgoing::IceCandidate {
                candidate: (&candidate).into(),
            }),
            Event::MediaChanged { media, .. } if self.takes_notices => Reaction::frame(&Outgoing::OtherMedia {
                media: media_word(media),
            }),
            Event::Decoding(decoding) if self.takes_notices => Reaction::frame(&media_notice(&decoding)),
            Event::Call(CallEvent::Over(over)) => self.over(client, &over),
            _ => Reaction::none(),
        }
    }
}

impl CallDialogue {
    pub fn new(room_ids: fn() -> RoomName) -> Self {
        Self {
            room_ids,
            name: None,
            takes_notices: false,
            current_call: CurrentCall::Free,
        }
    }

    async fn take<A: Admission>(&mut self, client: &Client<A>, message: Value) -> Reaction {
        match message.get("id").and_then(Value::as_str).unwrap_or_default() {
            "register" => self.register(client, &message).await,
            "call" => self.call(client, &message).await,
            "incomingCallResponse" => self.incoming_call_response(client, &message).await,
            "incomingCallErrorResponse" => self.incoming_call_error_response(client, &message).await,
            "restart" => restart(client, &message).await,
            "stop" => self.stop(client).await,
            // Our own candidates are in our answers, and we find the client by its checks.
            "onIceCandidate" => Reaction::none(),
            "heart" => Reaction::frame(&Outgoing::Heart {}),
            _ => client.ignore("a message of an unknown kind"),
        }
    }

    async fn register<A: Admission>(&mut self, client: &Client<A>, message: &Value) -> Reaction {
        let Some(name) = Name::of(message, "name") else {
            return not_registered("rejected: empty user name", None);
        };
        let name = match name.user() {
            Ok(name) => name,
            Err(too_long) => return not_registered(REJECTED, Some(&too_long.to_string())),
        };
        match client.admission.recognize(&name).await {
            Ok(_) => {}
            Err(AdmitError::Storage(_)) => {
                return not_registered(REJECTED, Some("the server cannot look users up now"));
            }
            Err(_) => return not_registered(REJECTED, Some("no such user")),
        }
        let token = Text::of(message, "token");
        let claim = match client.claim(&name, token.as_ref().map(|Text(token)| token.as_str())) {
            Ok(claim) => claim,
            Err(why) => return not_registered(REJECTED, Some(&why.to_string())),
        };
        let register = Command::Register(Registration {
            address: Address::Name(name.clone()),
            newcomer: Newcomer::Replaces,
            claim,
            abilities: ABILITIES,
        });
        match client.request(register).await {
            Ok(()) => {}
            Err(refusal @ Refusal::NameTaken) => {
                let response = format!("rejected: user '{name}' already registered");
                return not_registered(&response, Some(&refusal.to_string()));
            }
            Err(refusal) => return not_registered(REJECTED, Some(&refusal.to_string())),
        }
        let registered = Reaction::frame(&Outgoing::RegisterResponse {
            response: "accepted",
            user_id: Some(name.as_str()),
            message: None,
        });
        self.name = Some(name);
        self.takes_notices = takes_notices(message);
        let ice_servers = ice_servers(client).filter(|_| self.takes_notices);
        match ice_servers.map(|ice_servers| Outgoing::IceServers { ice_servers }) {
            Some(message) => registered.and_frame(&message),
            None => registered,
        }
    }

    async fn call<A>(&mut self, client: &Client<A>, message: &Value) -> Reaction {
        let Some(call) = json::fields::<wire::Call>(message) else {
            return rejected("'to' and 'sdpOffer' must be texts");
        };
        let Some(name) = &self.name else {
            return rejected("register first");
        };
        if call.from.is_some_and(|from| from.user().as_ref() != Ok(name)) {
            return rejected("'from' is not the name that you registered");
        }
        let Some(offer) = offer::offer(call.sdp_offer) else {
            return rejected(OFFER_TOO_LONG);
        };
        let callee = match call.to.user() {
            Ok(callee) => callee,
            Err(too_long) => return rejected(&too_long.to_string()),
        };
        let invite = CallCommand::Invite {
            to: vec![Address::Name(callee.clone())],
            media: CallMedia::Either {
                offer: Some(offer),
                room: (self.room_ids)(),
            },
            when_busy: WhenBusy::Ring,
            when_absent: WhenAbsent::LeaveOut,
        };
        match client.request(invite).await {
            Ok(()) => {
                self.current_call = CurrentCall::Calling(callee);
                Reaction::none()
            }
            Err(Refusal::NotReachable) => call_response(&format!("rejected: user '{callee}' is not registered"), None),
            Err(refusal) => rejected(&refusal.to_string()),
        }
    }

    async fn incoming_call_response<A>(&mut self, client: &Client<A>, message: &Value) -> Reaction {
        let Some(response) = json::fields::<wire::IncomingCallResponse>(message) else {
            return client.ignore("a response without a caller or what it is");
        };
        let answer = match (response.call_response.as_str(), response.message.as_deref()) {
            // An offer that is missing or cannot be read fails where a bad one does, and both sides are sent that.
            ("accept", _) => CallAnswer::Accept(Some(response.sdp_offer.and_then(offer::offer).unwrap_or_default())),
            (_, Some(BUSY)) => CallAnswer::Decline(Decline::Busy),
            _ => CallAnswer::Decline(Decline::Unwilling),
        };
        self.answer(client, response.from, answer).await
    }

    async fn incoming_call_error_response<A>(&mut self, client: &Client<A>, message: &Value) -> Reaction {
        match json::fields::<wire::IncomingCallErrorResponse>(message) {
            Some(response) if response.error_response == NO_DEVICE => {
                self.answer(client, response.from, CallAnswer::Decline(Decline::NoDevice))
                    .await
            }
            _ => client.ignore("an error without a caller, or of an unknown kind"),
        }
    }

    async fn answer<A>(&mut self, client: &Client<A>, caller: Name, answer: CallAnswer) -> Reaction {
        let caller = match caller.user() {
            Ok(caller) => caller,
            // This family has no other message that says why something is not done.
            Err(too_long) => return rejected(&too_long.to_string()),
        };
        let caller = Address::Name(caller);
        let declines = matches!(answer, CallAnswer::Decline(_));
        let from = caller.clone();
        let room = None;
        let outcome = client.request(CallCommand::Answer { from, room, answer }).await;
        if declines
            && outcome.is_ok()
            && matches!(&self.current_call, CurrentCall::Ringing { from, .. } if *from == caller)
        {
            self.current_call = CurrentCall::Free;
        }
        client.silent(outcome)
    }

    async fn stop<A>(&mut self, client: &Client<A>) -> Reaction {
        let outcome = client.request(CallCommand::HangUp { with: None, room: None }).await;
        if outcome.is_ok() {
            self.current_call = CurrentCall::Free;
        }
        client.silent(outcome)
    }

    fn incoming(&mut self, call: CallId, from: Address, to: &Address) -> Reaction {
        let rings = Reaction::frame(&Outgoing::IncomingCall {
            from: name_of(&from),
            to: name_of(to),
        });
        if matches!(self.current_call, CurrentCall::Free) {
            self.current_call = CurrentCall::Ringing { call, from };
        }
        rings
    }

    fn over<A>(&mut self, client: &Client<A>, over: &CallOver) -> Reaction {
        let is_current = match &self.current_call {
            CurrentCall::Free => false,
            CurrentCall::Calling(callee) => over.side == Side::Caller && name_of(&over.other) == callee.as_str(),
            CurrentCall::Ringing { call, .. } | CurrentCall::Talking(call) => *call == over.call,
        };
        // A client that accepts a call means no other one from then on, even if that call fails.
        let has_accepted_it = over.accepted && over.side == Side::Callee;
        if !(is_current || has_accepted_it) {
            return client.ignore("the end of a call that the client does not mean");
        }
        match std::mem::take(&mut self.current_call) {
            CurrentCall::Calling(callee) if over.side == Side::Caller => self.not_accepted(&callee, over.reason),
            _ => Reaction::frame(&Outgoing::StopCommunication {}),
        }
    }

    /// What the caller is sent about a call that was not accepted.
    fn not_accepted(&self, callee: &UserId, reason: CallEnd) -> Reaction {
        match reason {
            CallEnd::Declined(Decline::Busy) => rejected(BUSY),
            CallEnd::Declined(Decline::Unwilling) => rejected(DECLINED),
            CallEnd::Declined(Decline::NoDevice) => Reaction::frame(&Outgoing::IncomingCallError {
                from: self.name.as_ref().map_or("", UserId::as_str),
                to: callee.as_str(),
                error_response: NO_DEVICE,
            }),
            CallEnd::TimedOut => rejected(TIMED_OUT),
            CallEnd::Failed => rejected("the call could not be set up"),
            CallEnd::Lost | CallEnd::RoomLeft | CallEnd::AnsweredElsewhere | CallEnd::GivenUp | CallEnd::HungUp => {
                rejected(&format!("user '{callee}' is gone"))
            }
        }
    }
}

async fn restart<A>(client: &Client<A>, message: &Value) -> Reaction {
    let Some(restart) = json::fields::<wire::Restart>(message) else {
        return rejected("'sdpOffer' must be a text");
    };
    let Some(offer) = offer::offer(restart.sdp_offer) else {
        return rejected(OFFER_TOO_LONG);
    };
    match client.request(CallCommand::Renew { offer }).await {
        // The call may have ended while this was on its way. Then the client is sent the end of the call.
        outcome @ (Ok(()) | Err(Refusal::NoSuchCall | Refusal::SessionEnded)) => client.silent(outcome),
        Err(refusal) => rejected(&refusal.to_string()),
    }
}

fn not_registered(response: &str, message: Option<&str>) -> Reaction {
    Reaction::frame(&Outgoing::RegisterResponse {
        response,
        user_id: None,
        message,
    })
}

fn rejected(message: &str) -> Reaction {
    call_response(REJECTED, Some(message))
}

fn call_response(response: &str, message: Option<&str>) -> Reaction {
    Reaction::frame(&Outgoing::CallResponse {
        response,
        sdp_answer: None,
        message,
    })
}

fn answered(side: Side, sdp_answer: &str) -> Outgoing<'_> {
    match side {
        Side::Callee => Outgoing::StartCommunication { sdp_answer },
        Side::Caller => Outgoing::CallResponse {
            response: "accepted",
            sdp_answer: Some(sdp_answer),
            message: None,
        },
    }
}

fn media_notice(decoding: &DecodingNotice) -> Outgoing<'_> {
    let (from, to) = (decoding.publisher.as_str(), decoding.watcher.as_str());
    let media = kind_word(decoding.media);
    match &decoding.undecodable {
        Some(codec) => Outgoing::MediaUndecodable { from, to, media, codec },
        None => Outgoing::MediaDecodable { from, to, media },
    }
}

/// The name at an address. In this family only names call names.
fn name_of(address: &Address) -> &str {
    match address {
        Address::Name(name) => name.as_str(),
        Address::Device { account, .. } => account.as_str(),
    }
}
