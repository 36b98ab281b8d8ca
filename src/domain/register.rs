//! Who is reachable: for each address, the sessions that are there, with their abilities, and the push targets by which
//! somebody is reached who has no session.
//!
//! A user is the address of that name. Sessions at one address that can be sent different events, such as a socket for calls
//! and a page for messages, do not concern each other. Those that can be sent the same events are rivals: there is only one of
//! them, or a limited number ([`Newcomer`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::{Address, CallMedia, Claim, Limits, Newcomer, Refusal};
use crate::ids::{PushTarget, SessionId, UserId};
use crate::shares::{ClientAddress, Pot};

/// Push targets that a client address may register in any case: the devices of a household.
const TARGETS_AT_LEAST: u64 = 16;

/// Characters of one push target. Tokens of today's push services have 64 to 250.
const TARGET_CHARACTERS_MAX: usize = 512;

/// How a session wants to be reachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub address: Address,
    pub newcomer: Newcomer,
    pub claim: Claim,
    pub abilities: Abilities,
}

/// What a session can be sent beside the answers to its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether calls ring whose media this server carries.
    pub rings_carried: bool,
    /// Whether calls ring whose parties meet in a room.
    pub rings_elsewhere: bool,
    /// Whether messages arrive.
    pub messages: bool,
}

impl Abilities {
    /// No abilities: the session only sends commands in the name of the address, as for a caller who has no socket.
    pub const NONE: Abilities = Abilities {
        rings_carried: false,
        rings_elsewhere: false,
        messages: false,
    };

    fn ring(self) -> bool {
        self.rings_carried || self.rings_elsewhere
    }

    pub(super) fn ring_for(self, media: Ring) -> bool {
        match media {
            Ring::Carried => self.rings_carried,
            Ring::Elsewhere => self.rings_elsewhere,
            // A client that is sent messages is invited by one, before somebody calls with an offer.
            Ring::Offered => self.rings_carried || self.rings_elsewhere && !self.messages,
            Ring::Either => self.rings_carried || self.rings_elsewhere,
        }
    }

    fn are_rivals(self, other: Abilities) -> bool {
        let both = |ability: fn(Abilities) -> bool| ability(self) && ability(other);
        self == other || both(|one| one.rings_carried) || both(|one| one.rings_elsewhere) || both(|one| one.messages)
    }
}

/// The kind of a call that rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    Carried,
    Elsewhere,
    /// The caller brings an offer, and meets a callee without one in a room.
    Offered,
    /// The caller goes into a room, and a callee may bring an offer.
    Either,
}

impl From<&CallMedia> for Ring {
    fn from(media: &CallMedia) -> Self {
        match media {
            CallMedia::Carried(_) => Ring::Carried,
            CallMedia::Elsewhere(_) => Ring::Elsewhere,
            CallMedia::Either { offer: Some(_), .. } => Ring::Offered,
            CallMedia::Either { offer: None, .. } => Ring::Either,
        }
    }
}

/// All addresses at which somebody is reachable. It has one owner; the rules about calls and messages only read it.
pub(super) struct Register {
    /// Greatest number of rivals at one address, and of push targets of one address.
    most_at_one_address: usize,
    /// Addresses with what is there. Ordered, so that lists and announcements are.
    entries: BTreeMap<Address, AddressEntry>,
    addresses: HashMap<SessionId, Address>,
    ringing_sessions: usize,
    targets: Pot,
    /// Addresses with push targets, by the time at which these are forgotten.
    expiries: BTreeSet<(Instant, Address)>,
    push_targets_last: Duration,
}

/// What is at one address.
#[derive(Default)]
struct AddressEntry {
    /// Sessions, in the order of their arrival.
    sessions: Vec<Reach>,
    push: Option<Push>,
}

#[derive(Clone, Copy)]
struct Reach {
    session: SessionId,
    abilities: Abilities,
    claim: Claim,
    keeps_calls: bool,
}

struct Push {
    targets: Vec<PushTarget>,
    claim: Claim,
    /// Client address whose share of all targets they use.
    client: ClientAddress,
    /// Time at which they are forgotten, unless a session sets them again.
    until: Instant,
}

/// A session that has left its address.
pub(super) struct Left {
    pub session: SessionId,
    pub address: Address,
    pub abilities: Abilities,
    /// Whether its calls wait for another session ([`Newcomer::Inherits`]).
    pub(crate) keeps_calls: bool,
    /// Whether no session is left at the address.
    pub(crate) was_last: bool,
}

impl Register {
    pub fn new(limits: &Limits) -> Self {
        Self {
            most_at_one_address: limits.sessions_per_address,
            entries: BTreeMap::new(),
            addresses: HashMap::new(),
            ringing_sessions: 0,
            targets: Pot::new(limits.push_targets as u64, limits.share(TARGETS_AT_LEAST)),
            expiries: BTreeSet::new(),
            push_targets_last: limits.push_targets_last,
        }
    }

    /// Number of sessions at which calls can ring.
    pub(crate) fn ringing_session_count(&self) -> usize {
        self.ringing_sessions
    }

    pub(crate) fn address_of(&self, session: SessionId) -> Option<&Address> {
        self.addresses.get(&session)
    }

    /// Whether the session can be sent nothing: it only sends commands in the name of the address.
    pub(crate) fn only_requests(&self, address: &Address, session: SessionId) -> bool {
        let reach = self.reach(address, session);
        reach.is_some_and(|reach| reach.abilities == Abilities::NONE)
    }

    /// The sessions that only send commands in the name of the address, without a proof.
    pub(crate) fn unproven_requesters(&self, address: &Address) -> impl Iterator<Item = SessionId> {
        let sessions = self.entries.get(address).map_or(&[][..], |entry| &entry.sessions);
        let is_meant = |reach: &&Reach| reach.abilities == Abilities::NONE && reach.claim == Claim::Unproven;
        sessions.iter().filter(is_meant).map(|reach| reach.session)
    }

    /// How a session has come to its address.
    pub(crate) fn claim_of(&self, session: SessionId) -> Claim {
        let reach = self.addresses.get(&session).and_then(|at| self.reach(at, session));
        reach.map_or(Claim::Unproven, |reach| reach.claim)
    }

    /// The user whose messages the session gets, if it gets messages.
    pub(crate) fn user_of(&self, session: SessionId) -> Option<&UserId> {
        let address = self.addresses.get(&session)?;
        let gets_messages = self.reach(address, session)?.abilities.messages;
        gets_messages.then(|| address.user()).flatten()
    }

    /// The sessions at an address at which a call of this kind rings.
    pub(crate) fn ringing_sessions_at(&self, address: &Address, ring: Ring) -> Vec<SessionId> {
        self.sessions(address, |abilities| abilities.ring_for(ring))
    }

    /// Whether somebody at an address can be called by other means than a message.
    pub(crate) fn is_called_without_message(&self, address: &Address, ring: Ring) -> bool {
        let rings = |abilities: Abilities| abilities.ring_for(ring) && !abilities.messages;
        !self.push_targets(address).is_empty() || !self.sessions(address, rings).is_empty()
    }

    /// Whether the session gets messages.
    pub(crate) fn gets_messages(&self, session: SessionId) -> bool {
        self.user_of(session).is_some()
    }

    pub(crate) fn push_targets(&self, address: &Address) -> &[PushTarget] {
        let push = self.entries.get(address).and_then(|entry| entry.push.as_ref());
        push.map_or(&[], |push| &push.targets)
    }

    /// The sessions that get the messages of a user.
    pub(crate) fn messaged(&self, user: &UserId) -> Vec<SessionId> {
        self.sessions(&Address::Name(user.clone()), |abilities| abilities.messages)
    }

    /// The sessions that get the messages of any user.
    pub(crate) fn all_messaged(&self) -> Vec<SessionId> {
        let users = self.entries.iter().filter(|(address, _)| address.user().is_some());
        let sessions = users.flat_map(|(_, entry)| &entry.sessions);
        let messaged = sessions.filter(|reach| reach.abilities.messages);
        messaged.map(|reach| reach.session).collect()
    }

    fn sessions(&self, address: &Address, is_meant: impl Fn(Abilities) -> bool) -> Vec<SessionId> {
        let sessions = self.entries.get(address).map_or(&[][..], |entry| &entry.sessions);
        let meant = sessions.iter().filter(|reach| is_meant(reach.abilities));
        meant.map(|reach| reach.session).collect()
    }

    fn reach(&self, address: &Address, session: SessionId) -> Option<&Reach> {
        let sessions = &self.entries.get(address)?.sessions;
        sessions.iter().find(|reach| reach.session == session)
    }

    /// Whether the session is registered in this way already. A session that gets messages stays where it is.
    pub(crate) fn is_registered(&self, session: SessionId, registration: &Registration) -> Result<bool, Refusal> {
        let address = self.addresses.get(&session);
        let Some((address, reach)) = address.and_then(|address| Some((address, self.reach(address, session)?))) else {
            return Ok(false);
        };
        if reach.abilities.messages {
            return Err(Refusal::AlreadyBound);
        }
        Ok(*address == registration.address && reach.abilities == registration.abilities)
    }

    /// Whether somebody is there who has proven that the address is theirs: nobody asks in their name without the same proof.
    pub(crate) fn is_held(&self, address: &Address) -> bool {
        let entry = self.entries.get(address);
        entry.is_some_and(|entry| entry.sessions.iter().any(|reach| reach.claim == Claim::Proven))
    }

    /// The sessions that have to give way to this registration. Nothing has changed yet. Where one more session may join its
    /// rivals, a session with a proof always finds a place: the oldest one without a proof gives way.
    pub fn admit(&self, registration: &Registration) -> Result<Vec<SessionId>, Refusal> {
        let Registration {
            address,
            newcomer,
            claim,
            abilities,
        } = registration;
        let there = self.entries.get(address).map_or(&[][..], |entry| &entry.sessions);
        let rivals = || there.iter().filter(|reach| reach.abilities.are_rivals(*abilities));
        let is_proven = |reach: &Reach| reach.claim == Claim::Proven;
        let is_held = match newcomer {
            // A session may join others, but not ask in the name of somebody who has proven that the name is theirs.
            Newcomer::Joins => *abilities == Abilities::NONE && self.is_held(address),
            Newcomer::Replaces | Newcomer::Inherits => rivals().next_back().is_some_and(is_proven),
        };
        if is_held && *claim != Claim::Proven {
            return Err(Refusal::NameTaken);
        }
        if *newcomer != Newcomer::Joins {
            return Ok(rivals().map(|reach| reach.session).collect());
        }
        if rivals().count() < self.most_at_one_address {
            return Ok(Vec::new());
        }
        let oldest = rivals().find(|reach| !is_proven(reach));
        let gives_way = oldest.filter(|_| *claim == Claim::Proven);
        let gives_way = gives_way.ok_or(Refusal::TooManySessions)?;
        Ok(vec![gives_way.session])
    }

    /// Adds a session, which must be at no address.
    pub fn add(&mut self, session: SessionId, registration: Registration) {
        let Registration {
            address,
            newcomer,
            claim,
            abilities,
        } = registration;
        self.ringing_sessions += usize::from(abilities.ring());
        self.addresses.insert(session, address.clone());
        self.entries.entry(address).or_default().sessions.push(Reach {
            session,
            abilities,
            claim,
            keeps_calls: newcomer == Newcomer::Inherits,
        });
        if claim == Claim::Proven {
            self.prove(session);
        }
    }

    /// Notes that the user of a session has proven that its address is theirs. Push targets that were set there without a proof
    /// are forgotten: they may be those of somebody else, who would be sent the user's calls.
    pub(crate) fn prove(&mut self, session: SessionId) {
        let Some(address) = self.addresses.get(&session).cloned() else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&address) else {
            return;
        };
        let own = entry.sessions.iter_mut().find(|reach| reach.session == session);
        own.into_iter().for_each(|reach| reach.claim = Claim::Proven);
        if entry.push.as_ref().is_some_and(|push| push.claim == Claim::Unproven) {
            self.forget_push_targets(&address);
        }
    }

    /// Removes a session. Returns where it was.
    pub fn remove(&mut self, session: SessionId) -> Option<Left> {
        let address = self.addresses.remove(&session)?;
        let entry = self.entries.get_mut(&address)?;
        let index = entry.sessions.iter().position(|reach| reach.session == session)?;
        let Reach {
            abilities, keeps_calls, ..
        } = entry.sessions.remove(index);
        let was_last = entry.sessions.is_empty();
        self.ringing_sessions -= usize::from(abilities.ring());
        self.tidy(&address);
        Some(Left {
            session,
            address,
            abilities,
            keeps_calls,
            was_last,
        })
    }

    /// Lets calls to the session's address from now on ring at these push targets as well, also when no session is there. An
    /// empty list ends that. `client` is the client address from which the session has come.
    pub(crate) fn set_push_targets(
        &mut self,
        now: Instant,
        session: SessionId,
        client: ClientAddress,
        targets: Vec<PushTarget>,
    ) -> Result<(), Refusal> {
        let address = self.addresses.get(&session).ok_or(Refusal::NotRegistered)?.clone();
        let claim = self
            .reach(&address, session)
            .map_or(Claim::Unproven, |reach| reach.claim);
        let entry = self.entries.entry(address.clone()).or_default();
        // By whoever has proven that the name is theirs, with a session there or with the targets that they have set.
        let claims = entry.sessions.iter().map(|reach| reach.claim);
        let is_held = claims
            .chain(entry.push.as_ref().map(|push| push.claim))
            .any(|claim| claim == Claim::Proven);
        if is_held && claim != Claim::Proven {
            return Err(Refusal::NameTaken);
        }
        let is_too_long = |target: &PushTarget| target.as_str().chars().count() > TARGET_CHARACTERS_MAX;
        if targets.len() > self.most_at_one_address || targets.iter().any(is_too_long) {
            return Err(Refusal::TooManyPushTargets);
        }
        let before = entry.push.take();
        if let Some(before) = &before {
            self.targets.give_back(before.client, before.targets.len() as u64);
        }
        let until = now + self.push_targets_last;
        if !targets.is_empty() {
            let count = targets.len() as u64;
            if self.targets.take(client, count).is_err() {
                if let Some(before) = &before {
                    self.targets.count(before.client, before.targets.len() as u64);
                }
                entry.push = before;
                return Err(Refusal::TooManyPushTargets);
            }
            entry.push = Some(Push {
                targets,
                claim,
                client,
                until,
            });
        }
        if let Some(before) = before {
            self.expiries.remove(&(before.until, address.clone()));
        }
        if entry.push.is_some() {
            self.expiries.insert((until, address.clone()));
        }
        self.tidy(&address);
        Ok(())
    }

    /// Forgets a push target that its service no longer knows.
    pub(crate) fn forget_push_target(&mut self, address: &Address, target: &PushTarget) {
        let Some(push) = self.entries.get_mut(address).and_then(|entry| entry.push.as_mut()) else {
            return;
        };
        let before = push.targets.len();
        push.targets.retain(|known| known != target);
        let (gone, is_empty) = (before - push.targets.len(), push.targets.is_empty());
        self.targets.give_back(push.client, gone as u64);
        if is_empty {
            self.forget_push_targets(address);
            self.tidy(address);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.expiries.first().map(|(until, _)| *until)
    }

    /// Forgets the push targets whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|until| until <= now) {
            let Some((_, address)) = self.expiries.pop_first() else {
                return;
            };
            self.forget_push_targets(&address);
            self.tidy(&address);
        }
    }

    fn forget_push_targets(&mut self, address: &Address) {
        let entry = self.entries.get_mut(address);
        if let Some(push) = entry.and_then(|entry| entry.push.take()) {
            self.targets.give_back(push.client, push.targets.len() as u64);
            self.expiries.remove(&(push.until, address.clone()));
        }
    }

    fn tidy(&mut self, address: &Address) {
        let is_empty = |entry: &AddressEntry| entry.sessions.is_empty() && entry.push.is_none();
        if self.entries.get(address).is_some_and(is_empty) {
            self.entries.remove(address);
        }
    }
}

#[cfg(test)]
mod tests;
