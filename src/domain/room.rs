//! One room: its participants in the order of their arrival, and the connections of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::{Claim, ConnectionIdentity, Effect, Event, Person, RoomKind};
use crate::ids::{ParticipantId, PeerId, RoomId, RoomName, SessionId, Turn, UserId};
use crate::shares::ClientAddress;

/// What is known of the media of a participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing has come yet, or the client has ended it: nobody misses anything.
    #[default]
    Nothing,
    Arrives,
    /// The connection is gone without a word, or another one is being made in its place. At this time the others are told.
    Missing(Instant),
    /// The others have been told.
    Lost,
}

pub(super) struct Room {
    pub id: RoomId,
    /// None for the room of a call: nobody else can enter it.
    pub name: Option<(RoomKind, RoomName)>,
    /// The address whose share of rooms it counts against.
    pub opened_by: ClientAddress,
    /// Ids grow, so this is the order of arrival.
    participants: BTreeMap<ParticipantId, Participant>,
    by_user: HashMap<UserId, ParticipantId>,
}

pub(super) struct Participant {
    pub session: SessionId,
    /// The turn of their join.
    pub turn: Turn,
    pub person: Arc<Person>,
    pub claim: Claim,
    pub arrival: Arrival,
    /// At most one for each source; that without a source publishes. In a call one does both.
    peers: Vec<Peer>,
}

pub(super) struct Peer {
    pub id: PeerId,
    pub source: Option<ParticipantId>,
    pub identity: ConnectionIdentity,
    /// As [`super::Negotiation::association`].
    pub association: u32,
}

impl Room {
    pub fn new(id: RoomId, name: Option<(RoomKind, RoomName)>, opened_by: ClientAddress) -> Self {
        Self {
            id,
            name,
            opened_by,
            participants: BTreeMap::new(),
            by_user: HashMap::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.participants.len()
    }

    pub fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    pub fn find(&self, user: &UserId) -> Option<ParticipantId> {
        self.by_user.get(user).copied()
    }

    pub fn participant(&self, id: ParticipantId) -> Option<&Participant> {
        self.participants.get(&id)
    }

    pub fn participant_mut(&mut self, id: ParticipantId) -> Option<&mut Participant> {
        self.participants.get_mut(&id)
    }

    /// Whom somebody meets in a room for two.
    pub fn other_than(&self, id: ParticipantId) -> Option<ParticipantId> {
        self.participants.keys().copied().find(|other| *other != id)
    }

    pub fn people(&self) -> Vec<Arc<Person>> {
        self.participants.values().map(|p| Arc::clone(&p.person)).collect()
    }

    /// The user must not be in the room yet.
    pub fn insert(&mut self, id: ParticipantId, session: SessionId, turn: Turn, person: Arc<Person>, claim: Claim) {
        self.by_user.insert(person.user.clone(), id);
        let participant = Participant {
            session,
            turn,
            person,
            claim,
            arrival: Arrival::default(),
            peers: Vec::new(),
        };
        self.participants.insert(id, participant);
    }

    /// Those whose media are missed.
    pub fn lost(&self) -> impl Iterator<Item = &UserId> {
        let lost = |participant: &&Participant| participant.arrival == Arrival::Lost;
        let lost = self.participants.values().filter(lost);
        lost.map(|participant| &participant.person.user)
    }

    pub fn sessions_but(&self, id: ParticipantId) -> Vec<SessionId> {
        let others = self.participants.iter().filter(|(other, _)| **other != id);
        others.map(|(_, other)| other.session).collect()
    }

    /// Takes a participant out, with its connections and those that others had for watching it.
    pub fn remove(&mut self, id: ParticipantId) -> Option<(Participant, Vec<Peer>)> {
        let mut gone = self.participants.remove(&id)?;
        self.by_user.remove(&gone.person.user);
        let mut peers = std::mem::take(&mut gone.peers);
        for other in self.participants.values_mut() {
            peers.extend(other.take_peer_of(Some(id)));
        }
        Some((gone, peers))
    }

    /// Everybody's session, in the order of arrival.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.participants.values().map(|one| one.session).collect()
    }

    /// Everybody's session, and all connections.
    pub fn into_sessions_and_peers(self) -> (Vec<SessionId>, Vec<Peer>) {
        let sessions = self.sessions();
        let peers = self.participants.into_values().flat_map(|one| one.peers);
        (sessions, peers.collect())
    }

    /// The same event for everybody, in the order of arrival.
    pub fn tell_all(&self, event: &Event) -> impl Iterator<Item = Effect> {
        self.participants.values().map(|participant| Effect::Tell {
            session: participant.session,
            event: event.clone(),
        })
    }
}

impl Participant {
    pub fn peer_of(&self, source: Option<ParticipantId>) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.source == source)
    }

    /// For whose media a connection is; `Some(None)` of the one by which this participant sends, `None` of another's.
    pub fn source_of(&self, peer: PeerId) -> Option<Option<ParticipantId>> {
        let peer = self.peers.iter().find(|one| one.id == peer)?;
        Some(peer.source)
    }

    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    pub fn add_peer(&mut self, peer: Peer) {
        self.peers.push(peer);
    }

    /// The connection goes on under what its newest offer says of it.
    pub fn continue_peer(&mut self, id: PeerId, identity: ConnectionIdentity) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
            peer.identity = identity;
        }
    }

    pub fn take_peer_of(&mut self, source: Option<ParticipantId>) -> Option<Peer> {
        let index = self.peers.iter().position(|peer| peer.source == source)?;
        Some(self.peers.swap_remove(index))
    }

    pub fn take_peer(&mut self, id: PeerId) -> Option<Peer> {
        let index = self.peers.iter().position(|peer| peer.id == id)?;
        Some(self.peers.swap_remove(index))
    }
}
