//! Who can be called where: addresses, the sessions at each, and the calls that concern it.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::domain::{Address, Claim, Newcomer};
use crate::ids::{CallId, RoomName, SessionId};

/// Ended calls that an address remembers, some 100 bytes each: as many as may ring there at once. Where more end within half
/// a minute, a late message about one of them is taken for one about a newer call.
const ENDED_MAX: usize = 16;

/// All addresses that have a session or a call.
#[derive(Default)]
pub(super) struct Lines {
    lines: HashMap<Address, Line>,
    addresses: HashMap<SessionId, Address>,
}

/// What is at one address.
#[derive(Default)]
pub(super) struct Line {
    /// In the order of their arrival.
    pub sessions: Vec<SessionId>,
    /// The newest session has proven that the address is its own.
    pub is_proven: bool,
    /// From here and to here, in the order in which they began.
    pub calls: Vec<CallId>,
    /// Calls wait for a session that reconnects ([`Newcomer::Inherits`]).
    pub keeps_calls: bool,
    /// Calls from here and to here of which late messages may speak, the newest last.
    ended: VecDeque<EndedCall>,
}

struct EndedCall {
    with: Address,
    room: RoomName,
    until: Instant,
}

impl Lines {
    pub fn session_count(&self) -> usize {
        self.addresses.len()
    }

    pub fn address_of(&self, session: SessionId) -> Option<&Address> {
        self.addresses.get(&session)
    }

    pub fn get(&self, address: &Address) -> Option<&Line> {
        self.lines.get(address)
    }

    pub fn sessions(&self, address: &Address) -> &[SessionId] {
        self.get(address).map_or(&[], |line| &line.sessions)
    }

    pub fn calls(&self, address: &Address) -> &[CallId] {
        self.get(address).map_or(&[], |line| &line.calls)
    }

    /// The session must be at no address.
    pub fn add_session(&mut self, session: SessionId, address: Address, newcomer: Newcomer, claim: Claim) {
        let line = self.lines.entry(address.clone()).or_default();
        line.sessions.push(session);
        line.is_proven = claim == Claim::Proven;
        line.keeps_calls = newcomer == Newcomer::Inherits;
        self.addresses.insert(session, address);
    }

    /// Where it was.
    pub fn remove_session(&mut self, session: SessionId) -> Option<Address> {
        let address = self.addresses.remove(&session)?;
        if let Some(line) = self.lines.get_mut(&address) {
            line.sessions.retain(|other| *other != session);
        }
        self.tidy(&address);
        Some(address)
    }

    pub fn add_call(&mut self, address: &Address, call: CallId) {
        self.lines.entry(address.clone()).or_default().calls.push(call);
    }

    pub fn remove_call(&mut self, address: &Address, call: CallId) {
        if let Some(line) = self.lines.get_mut(address) {
            line.calls.retain(|other| *other != call);
        }
        self.tidy(address);
    }

    /// A call between two addresses, who met in a room of their own, has ended. Until that time messages about it may come.
    pub fn note_ended(&mut self, now: Instant, [one, other]: [&Address; 2], room: &RoomName, until: Instant) {
        for (address, with) in [(one, other), (other, one)] {
            let Some(line) = self.lines.get_mut(address) else {
                continue;
            };
            line.ended.retain(|ended| ended.until > now);
            if line.ended.len() >= ENDED_MAX {
                line.ended.pop_front();
            }
            let (with, room) = (with.clone(), room.clone());
            line.ended.push_back(EndedCall { with, room, until });
        }
    }

    /// Whether such a call has ended a short time ago.
    pub fn has_just_ended(&self, now: Instant, address: &Address, with: &Address, room: &RoomName) -> bool {
        let is_it = |ended: &EndedCall| ended.until > now && ended.with == *with && ended.room == *room;
        self.get(address).is_some_and(|line| line.ended.iter().any(is_it))
    }

    fn tidy(&mut self, address: &Address) {
        let is_empty = |line: &Line| line.sessions.is_empty() && line.calls.is_empty();
        if self.lines.get(address).is_some_and(is_empty) {
            self.lines.remove(address);
        }
    }
}
