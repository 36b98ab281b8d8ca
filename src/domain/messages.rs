//! Who can be reached by message: the sessions of each user, messages between users, and messages that wait.
//!
//! A message is opaque. One for a user goes to every session of theirs; where they have none it is kept, and brought when
//! they come. While what was kept is on its way, newer messages are kept as well, so that they stay in their order.
//! Invitations to calls and their answers wait here, apart from the rest, and no longer than a call rings.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use bytes::Bytes;

use super::invitations::{Invitation, Invitations};
use super::{Claim, Effect, EndReason, Errand, Event, Limits, Refusal, Sender, WaitingMessage};
use crate::ids::{SessionId, UserId};
use crate::shares::ClientAddress;

/// Sessions of one user that are told at a time: tabs and devices of a person. More would multiply every message.
const SESSIONS_PER_USER_MAX: usize = 16;

/// Users that are listed at once: each is a message, and a session may have a thousand unread.
const LISTED_MAX: usize = 500;

/// What one session asks about messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageCommand {
    /// To be reached under this user from now on.
    Bind { user: UserId, claim: Claim },
    Send {
        to: Recipient,
        message: Bytes,
        waits: Waits,
    },
    /// To be told who is there.
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
    /// No longer than a call rings: it invites to one. Then its sender hears of it ([`MessageEvent::Unanswered`]), and
    /// its receiver gets this when they come.
    WhileRinging { missed: Bytes },
    /// As long: it answers such an invitation, or takes it back.
    ForCaller,
}

/// What one session is told about messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageEvent {
    /// The first session of a user has come.
    Online {
        user: UserId,
    },
    /// One more session of this user, whose session this is, has come.
    OneMore {
        user: UserId,
    },
    /// The last session of a user has gone.
    Offline {
        user: UserId,
    },
    /// Those who are there now, as far as they can be told at once.
    WhoIsOnline {
        users: Vec<UserId>,
    },
    Received {
        message: Bytes,
    },
    /// This invitation of theirs has reached nobody for as long as it rang.
    Unanswered {
        receiver: UserId,
        invitation: Bytes,
    },
}

/// The users that are there. One owner; each call returns what is to be done about it.
pub struct Messages {
    /// Ordered, so that lists and announcements are.
    users: BTreeMap<UserId, Reachable>,
    sessions: HashMap<SessionId, UserId>,
    invitations: Invitations,
    last_ticket: u64,
}

struct Reachable {
    /// In the order of their arrival.
    sessions: Vec<SessionId>,
    /// Those of them that have proven who they are.
    proven: Vec<SessionId>,
    /// Until all that was kept has been brought.
    collecting: Option<Collecting>,
    /// Everybody was sent that this user has come, and will be sent that they have gone.
    is_announced: bool,
}

impl Reachable {
    fn add(&mut self, session: SessionId, claim: Claim) {
        self.sessions.push(session);
        if claim == Claim::Proven {
            self.proven.push(session);
        }
    }

    fn remove(&mut self, session: SessionId) {
        self.sessions.retain(|other| *other != session);
        self.proven.retain(|other| *other != session);
    }

    fn oldest_unproven(&self) -> Option<SessionId> {
        let unproven = |session: &&SessionId| !self.proven.contains(session);
        self.sessions.iter().find(unproven).copied()
    }
}

#[derive(Clone, Copy)]
struct Collecting {
    /// Tells the answer to this question from one to an earlier one.
    ticket: u64,
    /// Something was kept since it was asked.
    again: bool,
}

impl Messages {
    pub fn new(limits: &Limits) -> Self {
        Self {
            users: BTreeMap::new(),
            sessions: HashMap::new(),
            invitations: Invitations::new(limits),
            last_ticket: 0,
        }
    }

    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// Does what `session` asks, which has come from `client`.
    pub fn handle(
        &mut self,
        now: Instant,
        session: SessionId,
        client: ClientAddress,
        command: MessageCommand,
    ) -> Result<Vec<Effect>, Refusal> {
        match command {
            MessageCommand::Bind { user, claim } => self.bind(session, user, claim),
            MessageCommand::Send { to, message, waits } => {
                let user = self.sessions.get(&session).ok_or(Refusal::NotBound)?.clone();
                self.send(now, Sender { user, client }, to, message, waits)
            }
            MessageCommand::List => self.list(session),
        }
    }

    /// `session` can be reached under `user` from now on. The first session of a user is announced to everybody, further
    /// ones to those of the user. One that proves who it is always finds a place: the oldest that has not gives way.
    fn bind(&mut self, session: SessionId, user: UserId, claim: Claim) -> Result<Vec<Effect>, Refusal> {
        if self.sessions.contains_key(&session) {
            return Err(Refusal::AlreadyBound);
        }
        if let Some(reachable) = self.users.get_mut(&user) {
            let mut effects = Vec::new();
            if reachable.sessions.len() >= SESSIONS_PER_USER_MAX {
                let gives_way = reachable.oldest_unproven().filter(|_| claim == Claim::Proven);
                let gives_way = gives_way.ok_or(Refusal::TooManySessions)?;
                reachable.remove(gives_way);
                self.sessions.remove(&gives_way);
                let (session, reason) = (gives_way, EndReason::Replaced);
                effects.push(Effect::Dismiss { session, reason });
            }
            let sessions = reachable.sessions.clone();
            let event = Event::Message(MessageEvent::OneMore { user: user.clone() });
            effects.push(Effect::TellEach { sessions, event });
            reachable.add(session, claim);
            let was_announced = std::mem::replace(&mut reachable.is_announced, true);
            let own = reachable.sessions.clone();
            self.sessions.insert(session, user.clone());
            if !was_announced {
                let mut effect = self.tell_everybody(Event::Message(MessageEvent::Online { user }));
                if let Effect::TellEach { sessions, .. } = &mut effect {
                    sessions.retain(|to| !own.contains(to));
                }
                effects.push(effect);
            }
            return Ok(effects);
        }
        self.sessions.insert(session, user.clone());
        let ticket = self.ticket();
        let mut reachable = Reachable {
            sessions: Vec::new(),
            proven: Vec::new(),
            collecting: Some(Collecting { ticket, again: false }),
            is_announced: true,
        };
        reachable.add(session, claim);
        self.users.insert(user.clone(), reachable);
        let announce = self.tell_everybody(Event::Message(MessageEvent::Online { user: user.clone() }));
        Ok(vec![
            announce,
            Effect::Mailbox(Errand::Collect { receiver: user, ticket }),
        ])
    }

    /// Nobody else is sent that the user of this session has come, so nobody is sent that they go. Their next session is announced.
    pub fn hush(&mut self, session: SessionId) {
        let user = self.sessions.get(&session);
        if let Some(reachable) = user.and_then(|user| self.users.get_mut(user)) {
            reachable.is_announced = false;
        }
    }

    /// The session is gone. The last one of a user is announced to everybody else. Nothing where it was not bound.
    pub fn unbind(&mut self, session: SessionId) -> Vec<Effect> {
        let Some(user) = self.sessions.remove(&session) else {
            return Vec::new();
        };
        let Some(reachable) = self.users.get_mut(&user) else {
            return Vec::new();
        };
        reachable.remove(session);
        if !reachable.sessions.is_empty() {
            return Vec::new();
        }
        let is_announced = reachable.is_announced;
        self.users.remove(&user);
        if !is_announced {
            return Vec::new();
        }
        vec![self.tell_everybody(Event::Message(MessageEvent::Offline { user }))]
    }

    fn send(
        &mut self,
        now: Instant,
        sender: Sender,
        to: Recipient,
        message: Bytes,
        waits: Waits,
    ) -> Result<Vec<Effect>, Refusal> {
        let receiver = match to {
            Recipient::User(receiver) => receiver,
            Recipient::Everybody => {
                let event = Event::Message(MessageEvent::Received { message });
                return Ok(vec![self.tell_everybody(event)]);
            }
        };
        let is_there = self.users.get(&receiver).is_some_and(|user| user.collecting.is_none());
        let missed = match waits {
            Waits::WhileRinging { missed } if !is_there => Some(missed),
            Waits::ForCaller if !is_there => None,
            _ => return Ok(vec![self.deliver(receiver, sender, message)]),
        };
        let invitation = Invitation {
            receiver: receiver.clone(),
            sender: sender.clone(),
            message,
            missed,
        };
        match self.invitations.keep(now, invitation) {
            Ok(taken_back) => {
                let missed = taken_back.map(|missed| self.deliver(receiver, sender, missed));
                Ok(missed.into_iter().collect())
            }
            Err(turned_away) => Ok(self.unanswered(vec![turned_away])),
        }
    }

    /// To every session of a user, or into storage until they come.
    fn deliver(&mut self, receiver: UserId, sender: Sender, message: Bytes) -> Effect {
        match self.users.get_mut(&receiver) {
            Some(Reachable {
                sessions,
                collecting: None,
                ..
            }) => Effect::TellEach {
                sessions: sessions.clone(),
                event: Event::Message(MessageEvent::Received { message }),
            },
            Some(Reachable {
                collecting: Some(collecting),
                ..
            }) => {
                collecting.again = true;
                Effect::Mailbox(Errand::Keep {
                    receiver,
                    sender,
                    message,
                })
            }
            None => Effect::Mailbox(Errand::Keep {
                receiver,
                sender,
                message,
            }),
        }
    }

    /// Tells each sender that nobody has answered, and each receiver what they have missed.
    fn unanswered(&mut self, invitations: Vec<Invitation>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for invitation in invitations {
            let Some(missed) = invitation.missed else { continue };
            let (receiver, sender) = (invitation.receiver, invitation.sender);
            effects.push(self.deliver(receiver.clone(), sender.clone(), missed));
            if let Some(Reachable { sessions, .. }) = self.users.get(&sender.user) {
                let (sessions, invitation) = (sessions.clone(), invitation.message);
                let event = Event::Message(MessageEvent::Unanswered { receiver, invitation });
                effects.push(Effect::TellEach { sessions, event });
            }
        }
        effects
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.invitations.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Effect> {
        let unanswered = self.invitations.handle_timeout(now);
        self.unanswered(unanswered)
    }

    fn list(&self, session: SessionId) -> Result<Vec<Effect>, Refusal> {
        if !self.sessions.contains_key(&session) {
            return Err(Refusal::NotBound);
        }
        let users = self.users.keys().take(LISTED_MAX).cloned().collect();
        let event = Event::Message(MessageEvent::WhoIsOnline { users });
        Ok(vec![Effect::Tell { session, event }])
    }

    /// The answer to [`Errand::Collect`]: what was kept for a user, in its order.
    pub fn collected(
        &mut self,
        now: Instant,
        receiver: &UserId,
        ticket: u64,
        waiting: Vec<WaitingMessage>,
    ) -> Vec<Effect> {
        let next = self.last_ticket + 1;
        let Some(reachable) = self.users.get_mut(receiver) else {
            return Vec::new();
        };
        let Some(collecting) = reachable.collecting.filter(|collecting| collecting.ticket == ticket) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        let last = waiting.last().map(|waiting| waiting.number);
        effects.extend(waiting.into_iter().map(|waiting| Effect::TellEach {
            sessions: reachable.sessions.clone(),
            event: Event::Message(MessageEvent::Received {
                message: waiting.message,
            }),
        }));
        if let Some(up_to) = last {
            let receiver = receiver.clone();
            effects.push(Effect::Mailbox(Errand::Forget { receiver, up_to }));
        }
        if collecting.again {
            reachable.collecting = Some(Collecting {
                ticket: next,
                again: false,
            });
            self.last_ticket = next;
            let (receiver, ticket) = (receiver.clone(), next);
            effects.push(Effect::Mailbox(Errand::Collect { receiver, ticket }));
        } else {
            reachable.collecting = None;
            let sessions = &reachable.sessions;
            effects.extend(
                self.invitations
                    .take(now, receiver)
                    .into_iter()
                    .map(|message| Effect::TellEach {
                        sessions: sessions.clone(),
                        event: Event::Message(MessageEvent::Received { message }),
                    }),
            );
        }
        effects
    }

    /// Nobody is there any more. The sessions are the hub's to tell.
    pub fn shut_down(&mut self) {
        self.users.clear();
        self.sessions.clear();
    }

    fn tell_everybody(&self, event: Event) -> Effect {
        let sessions = self.users.values().flat_map(|user| user.sessions.iter().copied());
        Effect::TellEach {
            sessions: sessions.collect(),
            event,
        }
    }

    fn ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }
}

#[cfg(test)]
mod tests;
