//! The calls from and to each address, and those that ended there a short time ago.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::domain::Address;
use crate::ids::{CallId, RoomName};

/// All addresses that have calls, or have had some a short time ago.
pub(super) struct CallsByAddress {
    addresses: HashMap<Address, AddressCalls>,
    /// Number of ended calls that are remembered at an address, some 100 bytes each: as many as may ring there at once. If more
    /// end within the time for late messages, a late message about one of them is taken for one about a newer call.
    ended_max: usize,
}

/// What is at one address.
#[derive(Default)]
struct AddressCalls {
    /// Calls from and to this address, in the order in which they began.
    calls: Vec<CallId>,
    /// Whether a session is there that may send a message about a call that has ended. If none is there, such calls are
    /// forgotten together with the last call.
    is_attended: bool,
    /// Ended calls from and to this address that late messages may be about, the newest last.
    ended: VecDeque<EndedCall>,
}

struct EndedCall {
    with: Address,
    room: RoomName,
    until: Instant,
}

impl CallsByAddress {
    pub fn new(ended_max: usize) -> Self {
        Self {
            addresses: HashMap::new(),
            ended_max,
        }
    }

    pub fn calls(&self, address: &Address) -> &[CallId] {
        self.addresses.get(address).map_or(&[], |entry| &entry.calls)
    }

    pub(crate) fn add_call(&mut self, address: &Address, call: CallId, is_attended: bool) {
        let entry = self.addresses.entry(address.clone()).or_default();
        entry.is_attended |= is_attended;
        entry.calls.push(call);
    }

    /// Notes whether a session is at the address.
    pub(crate) fn attend(&mut self, address: &Address, is_attended: bool) {
        if let Some(entry) = self.addresses.get_mut(address) {
            entry.is_attended = is_attended;
        }
        self.tidy(address);
    }

    pub(crate) fn remove_call(&mut self, address: &Address, call: CallId) {
        if let Some(entry) = self.addresses.get_mut(address) {
            entry.calls.retain(|other| *other != call);
        }
        self.tidy(address);
    }

    /// Notes that a call between two addresses whose parties met in a room has ended. Until that time messages about it may
    /// come.
    pub(crate) fn note_ended(&mut self, now: Instant, [one, other]: [&Address; 2], room: &RoomName, until: Instant) {
        for (address, with) in [(one, other), (other, one)] {
            let Some(entry) = self.addresses.get_mut(address) else {
                continue;
            };
            entry.ended.retain(|ended| ended.until > now);
            if entry.ended.len() >= self.ended_max {
                entry.ended.pop_front();
            }
            let (with, room) = (with.clone(), room.clone());
            entry.ended.push_back(EndedCall { with, room, until });
        }
    }

    /// Whether such a call has ended a short time ago.
    pub(crate) fn has_just_ended(&self, now: Instant, address: &Address, with: &Address, room: &RoomName) -> bool {
        let is_it = |ended: &EndedCall| ended.until > now && ended.with == *with && ended.room == *room;
        let entry = self.addresses.get(address);
        entry.is_some_and(|entry| entry.ended.iter().any(is_it))
    }

    fn tidy(&mut self, address: &Address) {
        let is_over = |entry: &AddressCalls| entry.calls.is_empty() && (!entry.is_attended || entry.ended.is_empty());
        if self.addresses.get(address).is_some_and(is_over) {
            self.addresses.remove(address);
        }
    }
}
