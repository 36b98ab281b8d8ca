//! Sessions that wait to be let into rooms. They are in no room yet: they have no connection, and see and hear nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::meeting::{ParticipantState, Reported};
use super::{Claim, Person, RoomKind, Stay};
use crate::ids::{RoomName, SessionId, Turn, UserId};

/// A room's kind and name, as people enter it.
pub(super) type Door = (RoomKind, RoomName);

/// Somebody who asks to enter a room, and perhaps waits for it.
#[derive(Clone, Debug)]
pub(super) struct Entrant {
    pub session: SessionId,
    pub turn: Turn,
    pub person: Arc<Person>,
    pub claim: Claim,
    pub stay: Stay,
    /// Whether a connection is offered next.
    pub connects: bool,
    /// Time at which they asked.
    pub since: Instant,
}

impl Entrant {
    /// What is shown of them while they wait.
    pub fn state(&self) -> ParticipantState {
        ParticipantState {
            person: Arc::clone(&self.person),
            role: self.stay.role,
            muted: false,
            video_muted: false,
            reported: Reported::default(),
            spotlit: None,
            waiting: true,
            since: self.since,
        }
    }
}

/// All who wait. A session waits at one door at a time.
#[derive(Default)]
pub(super) struct Lobby {
    doors: HashMap<SessionId, Door>,
    /// Those at each door, in the order in which they came. No door is kept at which nobody waits.
    waiting: HashMap<Door, Vec<Entrant>>,
}

impl Lobby {
    /// Number of sessions that wait.
    pub fn len(&self) -> usize {
        self.doors.len()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a session that waits nowhere yet.
    pub fn add(&mut self, door: Door, entrant: Entrant) {
        self.doors.insert(entrant.session, door.clone());
        self.waiting.entry(door).or_default().push(entrant);
    }

    /// Takes a session away from the door at which it waits.
    pub fn take(&mut self, session: SessionId) -> Option<(Door, Entrant)> {
        let door = self.doors.remove(&session)?;
        let waiting = self.waiting.get_mut(&door)?;
        let index = waiting.iter().position(|one| one.session == session)?;
        let taken = waiting.remove(index);
        if waiting.is_empty() {
            self.waiting.remove(&door);
        }
        Some((door, taken))
    }

    /// Those who wait at a door, in the order in which they came.
    pub fn at(&self, door: &Door) -> &[Entrant] {
        self.waiting.get(door).map_or(&[], Vec::as_slice)
    }

    pub fn find(&self, door: &Door, user: &UserId) -> Option<&Entrant> {
        let is_theirs = |one: &&Entrant| one.stay.visible && one.person.user == *user;
        self.at(door).iter().find(is_theirs)
    }
}
