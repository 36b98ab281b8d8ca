//! The message socket: who is online, and messages between users, among them the invitations to calls.
//!
//! One Protocol Buffers (version 3) message in each binary WebSocket frame, of 64 KiB at most. Text frames, and frames that
//! cannot be decoded, are ignored.
//!
//! | number | field | | number | field | |
//! |---|---|---|---|---|---|
//! | 1 | `version` | text | 13 | `timeStamp` | text, `yyyy-MM-dd HH:mm:ss` in UTC; the server writes it |
//! | 2 | `deviceId` | text | 14 | `sign` | text; older clients answer invitations in it |
//! | 3 | `cmd` | number | 15 | `content` | bytes: title 1, content 2, time 3 (texts), type 4 (0 text, 1 file), extend 5 (text) |
//! | 4 | `sender` | text; the server writes it | 16 | `resSign` | text: `agree` or `refuse` an invitation |
//! | 5 | `receiver` | text | 17 | `reqType` | text: `ptop` (one) or `group` (several) |
//! | 6 | `groupId` | text; `video` or `audio` in an invitation | 18 | `vagroupId` | text: the room |
//! | 7 | `msgtype` | number: 1 asks, 4 answers | 19 | `callType` | text |
//! | 8 | `flag` | number | 20, 21 | `senderName`, `senderPhoto` | texts |
//! | 9, 10 | `platform`, `platformVersion` | texts | 22 | `vagroupName` | text |
//! | 11, 12 | `token`, `appKey` | texts | 23, 24 | `vaType`, `addGroupFlag` | texts |
//!
//! Numbers are `uint32`. The server reads 3 to 7, 14 and 16 to 18, and writes 4 and 13. Every other field, also one that is not
//! in this table, reaches the receiver byte for byte.
//!
//! | client → server | | what it does |
//! |---|---|---|
//! | `cmd` 1, bind | `sender`; optional `token` | the connection can be reached under this user; no answer, and `cmd` 6 when it is bound already |
//! | `cmd` 5, message | `receiver`; optional `groupId` | is sent to every connection of the receiver, or kept for them. Without a receiver it is sent to everybody if there is a `groupId` (but dropped if that is `video` or `audio`, which would ring everywhere), and to the sender's own connections if there is none. On a connection that is not bound its `sender` binds first |
//! | `cmd` 2, heartbeat | `msgtype` 4 | is a sign of life |
//! | `cmd` 3, online | | this server's own: asks who is online |
//!
//! Only `msgtype` 1 and 4 count. All other messages, and messages before the connection is bound, are ignored.
//!
//! | server → client | | when |
//! |---|---|---|
//! | `cmd` 3, online | `sender`, `timeStamp` | the first connection of a user is bound: to everybody, the user included; with `msgtype` 4, one for each user who is online, as the answer to the question |
//! | `cmd` 3, online | `sender`, `timeStamp`; `msgtype` 3 | one more connection of a user is bound: to the user's older ones, which go on getting messages |
//! | `cmd` 4, offline | `sender`, `timeStamp` | the last connection of a user has ended |
//! | `cmd` 5, message | as it was sent, `sender` and `timeStamp` written anew | somebody has sent a message |
//! | `cmd` 6, reconnect | | a second bind, or one more connection than a user may have |
//! | `cmd` 2, heartbeat | `msgtype` 1 | nothing has been sent for 40 s; the socket is closed if the client does not answer within 30 s |
//!
//! Of the users of one client address who come, and leave again, a thousand are announced at once, and two more each second.
//! Users beyond that get their own `cmd` 3, are listed and reached, but others are sent neither that they come nor that they
//! leave.
//!
//! Messages that were kept come right after one's own `cmd` 3, in the order in which they were sent, once. An invitation
//! (`groupId` `video` or `audio`) and its answer (the same, with a `resSign` or `sign`) are kept for no longer than a call
//! rings (`calls.ring_timeout_s`), and come after the others. Of one sender only the newest invitation is kept, and none if the
//! sender has taken it back with `resSign` `refuse`, or `cancel`. When an invitation has waited for that time, its sender gets
//! the answer `refuse`, as from the callee, with `groupId`, `reqType` and `vagroupId` of the invitation, and `not online` as
//! its content. A receiver who comes later gets the invitation without `groupId`, and with `resSign` `missed`, so that nothing
//! rings.
//!
//! A call that somebody begins by other means than this socket, and whose parties are to meet in a room, rings as an invitation
//! of several: `groupId` `video`, `reqType` `group`, the room in `vagroupId`, the caller as `sender`. The answer (`resSign` or
//! `sign` `agree` or `refuse`) or, after `agree`, `cancel` to hang up, with the same room or none, is for the server: nobody
//! gets it as a message. Nor does anybody get an answer that names the room of a call that the client has accepted, or that has
//! ended within the last 30 s. When the call no longer rings here, or is over, the client gets `cancel` with the caller as `sender`
//! and `callType`. If a message is too long for all people whom it would reach (`limits.fan_out_kib_per_s`), the socket is
//! closed with the reason.
//!
//! An invitation to somebody who is called by other means than this socket as well (a registered app, a phone whose app is closed)
//! rings there too, and is a call of the server: the caller gets `agree` when one of the callee's clients accepts (`resSign` and
//! `sign`, with `groupId`, `reqType` and `vagroupId` of the invitation), and `refuse` when it is declined or nobody answers in time.
//! `cancel` takes it back, or hangs up. Each invitation is such a call of its own, also several into one room. Who answers it without
//! this socket goes into the room of `vagroupId`, where the caller meets them, or, where the invitation names none, into a room
//! without a name: the caller calls them by `/call`, as ever, and is brought there. An invitation into a room that has a password,
//! or waits for a host, and one of more than 4 KiB, is only a message.
//!
//! A `token` of this server ([`super::identity`]) proves that `sender` is one's own. A connection with such a proof always
//! finds a place: if the user has as many connections as they may, the oldest one without a proof is closed with 4001. If a
//! token is asked for and missing, the socket is closed with 4401; if it does not prove `sender`, with 4403. A token that this
//! server has not signed (some apps send one of their own in this field) counts as none, unless one is asked for and none came
//! with the request. A message on a connection that is not bound may carry a token, too; the token is not passed on. If there
//! are users in the user table, only they may bind: others have their socket closed with the reason. The same happens to a
//! client that binds under a name of more than 128 characters, or writes to one.

mod begun;
mod rings;
mod wire;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prost::Message;
use time::OffsetDateTime;
use time::macros::format_description;

use self::begun::Begun;
use self::rings::Rings;
use self::wire::{Incoming, Outgoing};
use super::client::{Admission, Client};
use super::dialogue::Dialogue;
use super::reaction::{Close, Frame, Heartbeat, Reaction};
use crate::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallEvent, CallOver, Command, Event, MessageCommand, MessageEvent,
    Newcomer, Recipient, Refusal, Registration, Side, Waits,
};
use crate::ids::{CallId, RoomName, UserId};
use crate::storage::AdmitError;
use crate::{auth, text};

/// Time without a message after which the client is sent a heartbeat. Some networks cut connections that are silent for a
/// minute; phones are not to be woken more often than is needed for that.
const HEARTBEAT_AFTER: Duration = Duration::from_secs(40);

/// Time within which the client has to answer. A client that has been silent for 70 s in all does not work any longer, even if
/// its browser answers pings.
const HEARTBEAT_ANSWER_MAX: Duration = Duration::from_secs(30);

/// Bytes of the longest invitation that is a call. It names two people and a room; a longer one is only a message.
const INVITATION_BYTES_MAX: usize = 4 * 1024;

/// Users get messages here, among them invitations to a room; so calls ring whose parties meet in a room.
const ABILITIES: Abilities = Abilities {
    messages: true,
    rings_elsewhere: true,
    ..Abilities::NONE
};

/// One client's conversation in this family.
pub(crate) struct MessageDialogue {
    /// Maker of the rooms where the client meets whom it calls, if its invitation names none.
    room_ids: fn() -> RoomName,
    user: Option<UserId>,
    rings: Rings,
    begun: Begun,
}

impl<A: Admission> Dialogue<A> for MessageDialogue {
    fn family(&self) -> &'static str {
        "messages"
    }

    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction> {
        self.take(client, frame).boxed()
    }

    fn send(&mut self, client: &Client<A>, event: Event) -> Reaction {
        match (event, &self.user) {
            (Event::Message(event), _) => send(client, event),
            (Event::Call(event), Some(user)) => {
                let now = (client.clock)();
                match event {
                    CallEvent::Accepted { .. } | CallEvent::Over(CallOver { side: Side::Caller, .. }) => {
                        self.begun.send(user, &event, time_stamp(now))
                    }
                    event => self.rings.send(user, event, now, time_stamp(now)),
                }
            }
            _ => Reaction::none(),
        }
    }

    fn heartbeat(&self) -> Option<Heartbeat> {
        let request = Outgoing {
            msgtype: wire::SEND,
            ..Outgoing::of(wire::HEARTBEAT)
        };
        Some(Heartbeat {
            after: HEARTBEAT_AFTER,
            frame: Frame::Binary(request.bytes()),
            answer_within: HEARTBEAT_ANSWER_MAX,
        })
    }
}

impl MessageDialogue {
    pub fn new(room_ids: fn() -> RoomName) -> Self {
        Self {
            room_ids,
            user: None,
            rings: Rings::default(),
            begun: Begun::default(),
        }
    }

    async fn take<A: Admission>(&mut self, client: &Client<A>, frame: Frame) -> Reaction {
        let Frame::Binary(bytes) = frame else {
            return client.ignore("a text");
        };
        let Ok(message) = Incoming::decode(&bytes[..]) else {
            return client.ignore("not a message");
        };
        if ![wire::SEND, wire::REPLY].contains(&message.msgtype) {
            return client.ignore("of a type that is not for the server");
        }
        match message.cmd {
            wire::BIND => self.bind(client, &message).await,
            wire::MESSAGE if auth::looks_like_token(&message.token) => match wire::without_token(&bytes) {
                Ok(bytes) => self.message(client, message, &bytes).await,
                Err(_) => client.ignore("not a message"),
            },
            wire::MESSAGE => self.message(client, message, &bytes).await,
            wire::ONLINE => client.silent(client.request(MessageCommand::List).await),
            wire::HEARTBEAT => Reaction::none(),
            _ => client.ignore("of an unknown kind"),
        }
    }

    async fn bind<A: Admission>(&mut self, client: &Client<A>, message: &Incoming) -> Reaction {
        let sender = message.sender.as_str();
        if self.user.is_some() {
            return Reaction::bytes(Outgoing::of(wire::RECONNECT).bytes());
        }
        if sender.is_empty() {
            // A page may bind before it knows who its user is. Its first message with a sender binds it.
            return client.ignore("binding without a sender");
        }
        if !text::NAME.holds(sender) {
            return Reaction::close(Close::LONG_NAME);
        }
        let user = UserId::from(sender);
        match client.admission.recognize(&user).await {
            Ok(_) => {}
            Err(AdmitError::Storage(_)) => return Reaction::close(Close::STORAGE_FAILED),
            Err(_) => return Reaction::close(Close::UNKNOWN_USER),
        }
        let claim = match client.claim_by_shared_field(&user, token_in(message)) {
            Ok(claim) => claim,
            Err(why) => return Reaction::close(why.into()),
        };
        let register = Command::Register(Registration {
            address: Address::Name(user.clone()),
            newcomer: Newcomer::Joins,
            claim,
            abilities: ABILITIES,
        });
        match client.request(register).await {
            Ok(()) => self.user = Some(user),
            Err(Refusal::TooManySessions) => return Reaction::bytes(Outgoing::of(wire::RECONNECT).bytes()),
            Err(refusal) => return client.ignore(&refusal.to_string()),
        }
        Reaction::none()
    }

    async fn message<A: Admission>(&mut self, client: &Client<A>, message: Incoming, bytes: &[u8]) -> Reaction {
        if self.user.is_none() {
            if message.sender.is_empty() {
                return client.ignore("a message on a connection that is not bound");
            }
            let reaction = self.bind(client, &message).await;
            if reaction != Reaction::none() {
                return reaction;
            }
        }
        let Some(user) = &self.user else {
            return client.ignore("a message on a connection that is not bound");
        };
        if !text::NAME.holds(&message.receiver) {
            return Reaction::close(Close::LONG_NAME);
        }
        let to = match (message.receiver.as_str(), message.group_id.as_str()) {
            ("", kind) if wire::CALL_KINDS.contains(&kind) => return client.ignore("an invitation for nobody"),
            ("", "") => Recipient::User(user.clone()),
            ("", _) => Recipient::Everybody,
            (receiver, _) => Recipient::User(UserId::from(receiver)),
        };
        if let Some((call, command)) = self.rings.command(&message) {
            return self.about_call(client, call, command).await;
        }
        if let Some(command) = self.begun.take_back(&message) {
            return client.silent(client.request(command).await);
        }
        if self.rings.is_late(&message, (client.clock)()) {
            return client.ignore("an answer to a call that no longer waits for one");
        }
        let now = time_stamp((client.clock)());
        let sent = wire::under(bytes, user.as_str(), &now);
        let missed = wire::missed(bytes, user.as_str(), &now);
        let (Ok(sent), Ok(missed)) = (sent, missed) else {
            return client.ignore("not a message");
        };
        let is_about_a_call = wire::CALL_KINDS.contains(&message.group_id.as_str());
        let waits = match message.answer() {
            None if is_about_a_call => Waits::WhileRinging { missed },
            Some(wire::CANCEL) => Waits::ForCaller,
            Some(_) if is_about_a_call => Waits::ForCaller,
            _ => Waits::ForReceiver,
        };
        if let (Waits::WhileRinging { .. }, Recipient::User(to)) = (&waits, &to)
            && self.calls(client, to, &message, &sent).await
        {
            return Reaction::none();
        }
        let message = sent;
        let send = MessageCommand::Send { to, message, waits };
        match client.request(send).await {
            // This family has no message that says so, and the client would take silence for success.
            Err(Refusal::TooMuchForSoMany) => Reaction::close(Close::TOO_DEAR),
            outcome => client.silent(outcome),
        }
    }
}

impl MessageDialogue {
    /// Lets an invitation ring as a call, if it can ring at anybody who does not get messages. People who get messages are then sent
    /// it by the call, too.
    async fn calls<A: Admission>(&mut self, client: &Client<A>, to: &UserId, message: &Incoming, sent: &Bytes) -> bool {
        let Some(user) = self.user.clone().filter(|_| sent.len() <= INVITATION_BYTES_MAX) else {
            return false;
        };
        let Some(room) = self.room_for(client, &user, message).await else {
            return false;
        };
        let invite = CallCommand::InviteByMessage {
            to: Address::Name(to.clone()),
            room: room.clone(),
            message: sent.clone(),
        };
        let rings = client.request(invite).await.is_ok();
        if rings {
            self.begun.add(message, room);
        }
        rings
    }

    /// The room where somebody meets whom they invite. `None` if it is not for everybody: who answers is let in without a password.
    async fn room_for<A: Admission>(&self, client: &Client<A>, user: &UserId, message: &Incoming) -> Option<RoomName> {
        let named = message.vagroup_id.as_str();
        if named.is_empty() {
            return Some((self.room_ids)());
        }
        let room = RoomName::from(named);
        if !text::NAME.holds(named) || room.is_channel() {
            return None;
        }
        let admitted = client.admission.admit(user, &room, None).await.ok()?;
        (!admitted.needs_host).then_some(room)
    }

    /// Answers a call of the server, or hangs up. Nobody gets this as a message.
    async fn about_call<A>(&mut self, client: &Client<A>, call: CallId, command: CallCommand) -> Reaction {
        let goes_on = matches!(
            command,
            CallCommand::Answer {
                answer: CallAnswer::Accept(_),
                ..
            }
        );
        let outcome = client.request(command).await;
        let now = (client.clock)();
        match outcome {
            Ok(()) if goes_on => self.rings.accepted(now, call),
            Ok(()) => self.rings.ended(now, call),
            Err(_) => {}
        }
        // By such an invitation and its answer clients find one another by themselves, also in another call.
        if goes_on && let Some(hang_up) = self.rings.hang_up_if_by_message(call) {
            client.request(hang_up).await.ok();
            self.rings.ended(now, call);
        }
        client.silent(outcome)
    }
}

fn send<A>(client: &Client<A>, event: MessageEvent) -> Reaction {
    let now = time_stamp((client.clock)());
    let about = |cmd, msgtype, user: UserId| Outgoing {
        cmd,
        msgtype,
        sender: user.as_str().to_owned(),
        time_stamp: now.clone(),
        ..Outgoing::default()
    };
    match event {
        MessageEvent::Received { message } => Reaction::bytes(message),
        MessageEvent::Online { user } => Reaction::bytes(about(wire::ONLINE, 0, user).bytes()),
        MessageEvent::OneMore { user } => Reaction::bytes(about(wire::ONLINE, wire::NOTIFY, user).bytes()),
        MessageEvent::Offline { user } => Reaction::bytes(about(wire::OFFLINE, 0, user).bytes()),
        MessageEvent::Unanswered { receiver, invitation } => match Incoming::decode(invitation) {
            Ok(invitation) => Reaction::bytes(unanswered(receiver, invitation, now.clone()).bytes()),
            Err(_) => Reaction::none(),
        },
        MessageEvent::WhoIsOnline { users } => {
            let frames = users
                .into_iter()
                .map(|user| about(wire::ONLINE, wire::REPLY, user).bytes());
            frames.fold(Reaction::none(), Reaction::and_bytes)
        }
    }
}

/// The token with which somebody binds. Other clients put into this field who they are, or what only they understand.
fn token_in(message: &Incoming) -> Option<&str> {
    let token = message.token.as_str();
    (auth::looks_like_token(token) && token != message.sender).then_some(token)
}

/// The answer to an invitation that nobody answers. Clients know no other sign for that than a refusal, so the caller gets one,
/// as from the callee.
fn unanswered(callee: UserId, invitation: Incoming, time_stamp: String) -> Outgoing {
    Outgoing {
        cmd: wire::MESSAGE,
        msgtype: wire::REPLY,
        sender: callee.as_str().to_owned(),
        receiver: invitation.sender,
        group_id: invitation.group_id,
        time_stamp,
        sign: wire::REFUSE.to_owned(),
        content: Some(wire::Content {
            content: wire::NOT_ONLINE.to_owned(),
        }),
        res_sign: wire::REFUSE.to_owned(),
        req_type: invitation.req_type,
        vagroup_id: invitation.vagroup_id,
        ..Outgoing::default()
    }
}

fn time_stamp(now: SystemTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    OffsetDateTime::from(now).format(format).unwrap_or_default()
}

impl Reaction {
    fn bytes(bytes: Bytes) -> Self {
        Self::none().and_bytes(bytes)
    }

    fn and_bytes(mut self, bytes: Bytes) -> Self {
        self.frames.push(Frame::Binary(bytes));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_have_seconds_and_no_zone() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        assert_eq!(time_stamp(time), "2026-01-02 03:04:05");
    }
}
