//! Messages between users, messages that wait, and who is sent that a user has come or left.
//!
//! A message is opaque. A message for a user goes to every session of theirs. Where they have none it is kept, and delivered
//! when they come. While kept messages are on their way from storage, newer messages are kept as well, so that all stay in
//! their order. Invitations to calls and their answers wait here, apart from the rest, and no longer than a call rings.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::invitations::{Invitation, Invitations};
use super::register::Register;
use super::{Effect, Event, Limits, MailboxCommand, MessageSender, Refusal, WaitingMessage};
use crate::ids::{SessionId, UserId};
use crate::shares::ClientAddress;

/// Users that are listed at once: each is a message, and a session may have a thousand unread.
const LISTED_MAX: usize = 500;

/// What one session asks for about messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageCommand {
    Send {
        to: Recipient,
        message: Bytes,
        waits: Waits,
    },
    /// Ask who is online.
    List,
}

/// Whom a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    User(UserId),
    /// Every session of every user, the sender's included.
    Everybody,
}

/// For how long a message waits for a user who is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Until the user comes.
    ForReceiver,
    /// No longer than a call rings: the message invites to a call. If nobody comes in time its sender is sent
    /// [`MessageEvent::Unanswered`], and its receiver is sent `missed` when they come.
    WhileRinging { missed: Bytes },
    /// As long: the message answers such an invitation, or takes it back.
    ForCaller,
}

/// What one session is sent about messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageEvent {
    /// The first session of a user has come.
    Online {
        user: UserId,
    },
    /// One more session of this user has come. The user's other sessions are sent this.
    OneMore {
        user: UserId,
    },
    /// The last session of a user has ended.
    Offline {
        user: UserId,
    },
    /// The users who are online now, as many of them as are listed at once.
    WhoIsOnline {
        users: Vec<UserId>,
    },
    Received {
        message: Bytes,
    },
    /// An invitation of the session's user has reached nobody for as long as it rang.
    Unanswered {
        receiver: UserId,
        invitation: Bytes,
    },
}

/// What is known of the users who get messages; [`Register`] has their sessions. It has one owner; each call returns what is to
/// be done about it.
pub(super) struct Messages {
    /// Users who have a session that gets messages. Ordered, so that lists are.
    users: BTreeMap<UserId, User>,
    invitations: Invitations,
    last_ticket: u64,
}

struct User {
    /// Request for the kept messages. `None` once all of them have been delivered.
    collecting: Option<Collecting>,
    /// Whether everybody was sent that this user has come, and will be sent that they leave.
    is_announced: bool,
}

#[derive(Clone, Copy)]
struct Collecting {
    /// Ticket of the request. An answer with another ticket belongs to an earlier request.
    ticket: u64,
    /// Whether another message was kept after the request.
    again: bool,
}

impl Messages {
    pub fn new(limits: &Limits) -> Self {
        Self {
            users: BTreeMap::new(),
            invitations: Invitations::new(limits),
            last_ticket: 0,
        }
    }

    pub(crate) fn user_count(&self) -> usize {
        self.users.len()
    }

    /// Does what a session asks, which has come from `client`.
    pub fn handle(
        &mut self,
        now: Instant,
        session: SessionId,
        client: ClientAddress,
        command: MessageCommand,
        register: &Register,
    ) -> Result<Vec<Effect>, Refusal> {
        let user = register.user_of(session).ok_or(Refusal::NotBound)?.clone();
        match command {
            MessageCommand::Send { to, message, waits } => {
                Ok(self.send(now, MessageSender { user, client }, to, message, waits, register))
            }
            MessageCommand::List => Ok(self.list(session)),
        }
    }

    /// A session has come that gets the messages of this user. The first session of a user is announced to everybody, a further
    /// one to the user's other sessions.
    pub fn arrived(&mut self, session: SessionId, user: &UserId, register: &Register) -> Vec<Effect> {
        let online = || Event::Message(MessageEvent::Online { user: user.clone() });
        let Some(known) = self.users.get_mut(user) else {
            let ticket = self.ticket();
            let known = User {
                collecting: Some(Collecting { ticket, again: false }),
                is_announced: true,
            };
            self.users.insert(user.clone(), known);
            let receiver = user.clone();
            return vec![
                send_to_everybody(online(), register),
                Effect::Mailbox(MailboxCommand::Collect { receiver, ticket }),
            ];
        };
        let was_announced = std::mem::replace(&mut known.is_announced, true);
        let own = register.messaged(user);
        let sessions = own.iter().copied().filter(|other| *other != session).collect();
        let event = Event::Message(MessageEvent::OneMore { user: user.clone() });
        let mut effects = vec![Effect::SendEach { sessions, event }];
        if !was_announced {
            let others = register.all_messaged().into_iter().filter(|to| !own.contains(to));
            effects.push(Effect::SendEach {
                sessions: others.collect(),
                event: online(),
            });
        }
        effects
    }

    /// Leaves out the announcement of this user to others, and later that they leave. The user's next session is announced.
    pub(crate) fn hush(&mut self, session: SessionId, user: &UserId, effects: &mut [Effect]) {
        if let Some(known) = self.users.get_mut(user) {
            known.is_announced = false;
        }
        for effect in effects {
            if let Effect::SendEach { sessions, event } = effect
                && is_arrival(event)
            {
                sessions.retain(|to| *to == session);
            }
        }
    }

    /// A session of this user has ended. If it was the last, that is announced to everybody else.
    pub fn left(&mut self, user: &UserId, register: &Register) -> Vec<Effect> {
        if !register.messaged(user).is_empty() {
            return Vec::new();
        }
        let known = self.users.remove(user);
        if !known.is_some_and(|known| known.is_announced) {
            return Vec::new();
        }
        let event = Event::Message(MessageEvent::Offline { user: user.clone() });
        vec![send_to_everybody(event, register)]
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a message, whom it is for, and all that it depends on"
    )]
    fn send(
        &mut self,
        now: Instant,
        sender: MessageSender,
        to: Recipient,
        message: Bytes,
        waits: Waits,
        register: &Register,
    ) -> Vec<Effect> {
        let receiver = match to {
            Recipient::User(receiver) => receiver,
            Recipient::Everybody => {
                let event = Event::Message(MessageEvent::Received { message });
                return vec![send_to_everybody(event, register)];
            }
        };
        let is_there = self.users.get(&receiver).is_some_and(|user| user.collecting.is_none());
        let missed = match waits {
            Waits::WhileRinging { missed } if !is_there => Some(missed),
            Waits::ForCaller if !is_there => None,
            _ => return vec![self.deliver(receiver, sender, message, register)],
        };
        let invitation = Invitation {
            receiver: receiver.clone(),
            sender: sender.clone(),
            message,
            missed,
        };
        match self.invitations.keep(now, invitation) {
            Ok(taken_back) => {
                let missed = taken_back.map(|missed| self.deliver(receiver, sender, missed, register));
                missed.into_iter().collect()
            }
            Err(turned_away) => self.unanswered(vec![turned_away], register),
        }
    }

    /// Sends a message to every session of a user, or stores it until they come.
    fn deliver(&mut self, receiver: UserId, sender: MessageSender, message: Bytes, register: &Register) -> Effect {
        match self.users.get_mut(&receiver).map(|user| &mut user.collecting) {
            Some(None) => {
                return Effect::SendEach {
                    sessions: register.messaged(&receiver),
                    event: Event::Message(MessageEvent::Received { message }),
                };
            }
            Some(Some(collecting)) => collecting.again = true,
            None => {}
        }
        Effect::Mailbox(MailboxCommand::Keep {
            receiver,
            sender,
            message,
        })
    }

    /// Sends each sender that nobody has answered, and each receiver what they have missed.
    fn unanswered(&mut self, invitations: Vec<Invitation>, register: &Register) -> Vec<Effect> {
        let mut effects = Vec::new();
        for invitation in invitations {
            let Some(missed) = invitation.missed else { continue };
            let (receiver, sender) = (invitation.receiver, invitation.sender);
            effects.push(self.deliver(receiver.clone(), sender.clone(), missed, register));
            if self.users.contains_key(&sender.user) {
                let (sessions, invitation) = (register.messaged(&sender.user), invitation.message);
                let event = Event::Message(MessageEvent::Unanswered { receiver, invitation });
                effects.push(Effect::SendEach { sessions, event });
            }
        }
        effects
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.invitations.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant, register: &Register) -> Vec<Effect> {
        let unanswered = self.invitations.handle_timeout(now);
        self.unanswered(unanswered, register)
    }

    fn list(&self, session: SessionId) -> Vec<Effect> {
        let users = self.users.keys().take(LISTED_MAX).cloned().collect();
        let event = Event::Message(MessageEvent::WhoIsOnline { users });
        vec![Effect::Send { session, event }]
    }

    /// Takes the answer to [`MailboxCommand::Collect`]: the messages that were kept for a user, in their order.
    pub(crate) fn collected(
        &mut self,
        now: Instant,
        receiver: &UserId,
        ticket: u64,
        waiting: Vec<WaitingMessage>,
        register: &Register,
    ) -> Vec<Effect> {
        let next = self.last_ticket + 1;
        let Some(user) = self.users.get_mut(receiver) else {
            return Vec::new();
        };
        let Some(collecting) = user.collecting.filter(|collecting| collecting.ticket == ticket) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        let sessions = register.messaged(receiver);
        let last = waiting.last().map(|waiting| waiting.number);
        effects.extend(waiting.into_iter().map(|waiting| Effect::SendEach {
            sessions: sessions.clone(),
            event: Event::Message(MessageEvent::Received {
                message: waiting.message,
            }),
        }));
        if let Some(up_to) = last {
            let receiver = receiver.clone();
            effects.push(Effect::Mailbox(MailboxCommand::Forget { receiver, up_to }));
        }
        if collecting.again {
            user.collecting = Some(Collecting {
                ticket: next,
                again: false,
            });
            self.last_ticket = next;
            let (receiver, ticket) = (receiver.clone(), next);
            effects.push(Effect::Mailbox(MailboxCommand::Collect { receiver, ticket }));
        } else {
            user.collecting = None;
            effects.extend(
                self.invitations
                    .take(now, receiver)
                    .into_iter()
                    .map(|message| Effect::SendEach {
                        sessions: sessions.clone(),
                        event: Event::Message(MessageEvent::Received { message }),
                    }),
            );
        }
        effects
    }

    /// Forgets all users. The hub dismisses the sessions itself.
    pub fn shut_down(&mut self) {
        self.users.clear();
    }

    fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }
}

fn send_to_everybody(event: Event, register: &Register) -> Effect {
    let sessions = register.all_messaged();
    Effect::SendEach { sessions, event }
}

fn is_arrival(event: &Event) -> bool {
    matches!(event, Event::Message(MessageEvent::Online { .. }))
}

/// Whether these effects announce to everybody that somebody has come.
pub(crate) fn announces_somebody(effects: &[Effect]) -> bool {
    let is_arrival = |effect: &Effect| matches!(effect, Effect::SendEach { event, .. } if is_arrival(event));
    effects.iter().any(is_arrival)
}

#[cfg(test)]
mod tests;
