//! All rooms of a node, those who wait at their doors, and what each command does to them.

mod arrival;
mod decoding;
mod entering;
mod feeds;
mod lost;
mod meeting;
mod muting;
mod names;
mod offers;
mod playing;
mod seats;
mod slots;
mod speech;
mod standing;
mod stays;
mod steering;
mod waiting;
mod wants;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::ended::EndedConnections;
use super::lobby::{Door, Lobby};
use super::quotas::Quotas;
use super::room::{Participant, Peer, Room};
use super::{
    Claim, Effect, Event, FileNotice, Limits, Muted, Negotiation, Offer, Person, PublishRights, Purpose, Refusal,
    RoomKind, RoomOutline, Side, Stay, Subject, Use,
};
use crate::ids::{CallId, Features, Feed, FeedRef, ParticipantId, PeerId, RoomId, RoomName, SessionId, Turn, UserId};
use crate::shares::ClientAddress;

/// Time at which something about a participant is due.
type Due = (Instant, RoomId, ParticipantId);

/// The state of all rooms. It has one owner; each call returns what is to be done about it.
pub(super) struct Rooms {
    limits: Limits,
    rooms: HashMap<RoomId, Room>,
    by_name: HashMap<Door, RoomId>,
    seats: HashMap<SessionId, Seat>,
    lobby: Lobby,
    peers: BTreeMap<PeerId, Seat>,
    /// Connections of all rooms and calls that have ended here: their clients may offer them again.
    ended: EndedConnections,
    pub(crate) quotas: Quotas,
    /// Participants whose media are missing; the others have not been sent that yet. Each participant is in it once at most.
    missing: BTreeSet<Due>,
    /// Participants whose stay ends, each with the time at which it does.
    ends: BTreeSet<Due>,
    /// Rooms that are to be sent who speaks, each with the time for that. Some may have closed meanwhile.
    speech_due: BTreeSet<(Instant, RoomId)>,
    next_id: u64,
    /// Changes of rooms of two since the last call of [`Rooms::take_pair_changes`].
    pair_changes: Vec<PairChange>,
}

/// Changes that concern the calls whose parties meet in a room of two.
pub(super) enum PairChange {
    /// The first participant has come.
    Entered(RoomName),
    /// The last participant has left.
    Emptied(RoomName),
}

/// The place of a session: its room, and its participant there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seat {
    room: RoomId,
    participant: ParticipantId,
}

/// One of the two parties whom a call brings into a room.
pub(super) struct Guest {
    pub session: SessionId,
    pub side: Side,
    pub person: Person,
    pub offer: Offer,
}

impl Rooms {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            rooms: HashMap::new(),
            by_name: HashMap::new(),
            seats: HashMap::new(),
            lobby: Lobby::default(),
            peers: BTreeMap::new(),
            ended: EndedConnections::new(limits.peers),
            quotas: Quotas::new(&limits),
            missing: BTreeSet::new(),
            ends: BTreeSet::new(),
            speech_due: BTreeSet::new(),
            next_id: 0,
            pair_changes: Vec::new(),
        }
    }

    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    pub fn participant_count(&self) -> usize {
        self.seats.len()
    }

    /// Number of sessions that wait to be let in.
    pub(crate) fn waiting_count(&self) -> usize {
        self.lobby.len()
    }

    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn outline(&self, after: Option<RoomId>, enough: usize) -> (Vec<RoomOutline>, bool) {
        let is_after = |id: &&RoomId| after.is_none_or(|after| **id > after);
        let mut ids: Vec<RoomId> = self.rooms.keys().filter(is_after).copied().collect();
        ids.sort_unstable();
        let mut ids = ids.into_iter();
        let (mut rooms, mut participants) = (Vec::new(), 0);
        while participants < enough
            && let Some(id) = ids.next()
        {
            let Some(room) = self.rooms.get(&id) else { continue };
            participants += room.len();
            rooms.push(room.outline());
        }
        (rooms, ids.next().is_some())
    }

    fn open(&mut self, name: Door, client: ClientAddress, effects: &mut Vec<Effect>) -> RoomId {
        if let Some(id) = self.by_name.get(&name) {
            return *id;
        }
        let id = RoomId(self.next());
        if name.0 == RoomKind::Pair {
            self.pair_changes.push(PairChange::Entered(name.1.clone()));
        }
        self.by_name.insert(name.clone(), id);
        self.quotas.rooms.count(client, 1);
        self.rooms.insert(id, Room::new(id, Some(name), client));
        effects.push(Effect::OpenRoom(id));
        id
    }

    /// Removes the session from its room, or from the door at which it waits: it wishes to leave, or has ended. Does nothing for
    /// a session in no room.
    pub fn leave(&mut self, session: SessionId) -> Vec<Effect> {
        let mut effects = self.stop_waiting(session);
        let Some(seat) = self.seats.get(&session).copied() else {
            return effects;
        };
        let door = self.rooms.get(&seat.room).and_then(|room| room.name.clone());
        self.remove(session, seat, &mut effects);
        effects.extend(self.announce_meeting(seat.room, None));
        self.close_if_empty(seat.room, &mut effects);
        effects.extend(door.map(|door| self.let_in(&door)).unwrap_or_default());
        effects
    }

    fn remove(&mut self, session: SessionId, seat: Seat, effects: &mut Vec<Effect>) {
        self.seats.remove(&session);
        self.forget_arrival(seat);
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let speakers = room.speakers.clone();
        let Some((participant, peers)) = room.remove(seat.participant) else {
            return;
        };
        room.introduce();
        let refilled = room.refill_slots(&speakers);
        self.speech_due.extend(room.speaking.due().map(|due| (due, seat.room)));
        let user = participant.person.user.clone();
        let left: Vec<Effect> = match participant.stay.visible {
            true => room.send_to_all(&Event::ParticipantLeft { user }).collect(),
            false => Vec::new(),
        };
        self.forget_end(seat, participant.stay.until);
        for peer in peers {
            effects.push(self.close_peer(seat.room, &peer));
        }
        effects.extend(refilled);
        effects.extend(self.settle_wants(seat.room));
        effects.extend(left);
    }

    fn close_if_empty(&mut self, id: RoomId, effects: &mut Vec<Effect>) {
        if self.rooms.get(&id).is_some_and(Room::is_empty)
            && let Some(room) = self.rooms.remove(&id)
        {
            self.forget_room(&room);
            effects.push(Effect::CloseRoom(id));
        }
    }

    fn forget_room(&mut self, room: &Room) {
        if let Some(name) = &room.name {
            self.by_name.remove(name);
            if name.0 == RoomKind::Pair {
                self.pair_changes.push(PairChange::Emptied(name.1.clone()));
            }
        }
        self.quotas.rooms.give_back(room.opened_by, 1);
    }

    pub(crate) fn take_pair_changes(&mut self) -> Vec<PairChange> {
        std::mem::take(&mut self.pair_changes)
    }

    /// Closes a connection that has been taken out of its room.
    fn close_peer(&mut self, room: RoomId, peer: &Peer) -> Effect {
        self.quotas.peers.remove(peer.id);
        self.peers.remove(&peer.id);
        self.ended.note(&peer.identity, peer.association);
        Effect::ClosePeer { room, peer: peer.id }
    }

    /// Forgets a connection that has ended, and its keys with it.
    fn drop_peer(&mut self, peer: PeerId) -> Vec<Effect> {
        let (ended, refilled) = self.take_peer(peer);
        if let Some(ended) = ended {
            self.ended.note(&ended.identity, ended.association);
        }
        refilled
    }

    pub fn send_text(&self, session: SessionId, text: Arc<str>) -> Result<Vec<Effect>, Refusal> {
        self.send_to_room_of(session, |from| Event::Text { from, text })
    }

    pub(crate) fn announce_file(&self, session: SessionId, file: Arc<FileNotice>) -> Result<Vec<Effect>, Refusal> {
        self.send_to_room_of(session, |from| Event::File { from, file })
    }

    /// Sends an event to everybody in the session's room, the session included.
    fn send_to_room_of(&self, session: SessionId, event: impl FnOnce(UserId) -> Event) -> Result<Vec<Effect>, Refusal> {
        let room = self.room_of(session).ok_or(Refusal::NotInRoom)?;
        let seat = self.seats.get(&session).ok_or(Refusal::NotInRoom)?;
        let sender = room.participant(seat.participant).ok_or(Refusal::NotInRoom)?;
        if !sender.stay.visible {
            return Err(Refusal::NotAllowed);
        }
        Ok(room.send_to_all(&event(sender.person.user.clone())).collect())
    }

    /// Opens a room for the two parties of a call, with one connection for each that carries both directions. Their offers are
    /// answered in the order of the guests.
    pub(crate) fn seat_pair(
        &mut self,
        now: Instant,
        call: CallId,
        guests: [Guest; 2],
    ) -> Result<(RoomId, Vec<Effect>), Refusal> {
        // The room counts against the share of the caller, who is answered second.
        let client = self.quotas.client_of(guests[1].session);
        let allowed = self.quotas.rooms.allows(client, 1);
        allowed.map_err(|_| Refusal::TooManyRooms)?;
        let peers = [PeerId(self.next()), PeerId(self.next())];
        let of = |peer: PeerId, guest: &Guest| (peer, guest.session, self.quotas.client_of(guest.session));
        let pair = [of(peers[0], &guests[0]), of(peers[1], &guests[1])];
        let added = self.quotas.peers.add_pair(pair);
        added.map_err(|_| Refusal::TooManyPeers)?;
        let mut effects = Vec::new();
        for guest in &guests {
            effects.extend(self.leave(guest.session));
        }
        let id = RoomId(self.next());
        effects.push(Effect::OpenRoom(id));
        let participants = [ParticipantId(self.next()), ParticipantId(self.next())];
        let [first, second] = participants;
        self.quotas.rooms.count(client, 1);
        let mut room = Room::new(id, None, client);
        let mut negotiations = Vec::new();
        let seats = [(peers[0], first, second), (peers[1], second, first)];
        for (guest, (peer, participant, source)) in guests.into_iter().zip(seats) {
            let uses = vec![Use::Publish(Feed::Camera), Use::Watch(FeedRef::camera(source))];
            let (session, side) = (guest.session, guest.side);
            let identity = guest.offer.description.identity();
            let association = self.ended.next_association(identity);
            let (person, stay) = (Arc::new(guest.person), Stay::default());
            room.insert(
                participant,
                Participant::new((session, Turn(0)), person, Claim::Proven, stay, now),
            );
            if let Some(owner) = room.participant_mut(participant) {
                owner.add_peer(Peer::new(
                    peer,
                    Purpose::Call,
                    uses.clone(),
                    identity.clone(),
                    association,
                ));
            }
            let seat = Seat { room: id, participant };
            self.seats.insert(session, seat);
            self.peers.insert(peer, seat);
            negotiations.push(Negotiation {
                session,
                room: id,
                participant,
                peer,
                uses,
                publishes: PublishRights::ALL,
                muted: Muted::default(),
                understands: Features::default(),
                subject: Subject::Call { call, side },
                tag: guest.offer.tag,
                description: guest.offer.description,
                association,
            });
        }
        self.rooms.insert(id, room);
        effects.push(Effect::Negotiate(negotiations));
        Ok((id, effects))
    }

    /// Ends a room with everything in it. Nobody is sent an event about that.
    pub fn close(&mut self, id: RoomId) -> Vec<Effect> {
        let Some(room) = self.rooms.remove(&id) else {
            return Vec::new();
        };
        self.forget_room(&room);
        self.missing.retain(|(_, room, _)| *room != id);
        self.forget_ends_in(id);
        let (sessions, peers) = room.into_sessions_and_peers();
        for session in sessions {
            self.seats.remove(&session);
        }
        let mut effects = Vec::new();
        for peer in peers {
            effects.push(self.close_peer(id, &peer));
        }
        effects.push(Effect::CloseRoom(id));
        effects
    }

    /// Connections that have given way to others. Each is to be closed, with all that depends on it.
    pub(crate) fn displaced_peers(&mut self) -> Vec<PeerId> {
        self.quotas.peers.displaced()
    }

    #[cfg(test)]
    pub fn participant_of(&self, peer: PeerId) -> Option<ParticipantId> {
        self.peers.get(&peer).map(|seat| seat.participant)
    }

    /// The session whose connection this is.
    pub(crate) fn session_of_peer(&self, peer: PeerId) -> Option<SessionId> {
        let seat = self.peers.get(&peer)?;
        let owner = self.rooms.get(&seat.room)?.participant(seat.participant)?;
        Some(owner.session)
    }

    pub(crate) fn room_of_peer(&self, peer: PeerId) -> Option<RoomId> {
        self.peers.get(&peer).map(|seat| seat.room)
    }

    /// Forgets a connection that could not be made. Its participant stays and may offer again.
    pub(crate) fn forget_peer(&mut self, peer: PeerId) -> Vec<Effect> {
        let seat = self.peers.get(&peer).copied();
        let (_, mut effects) = self.take_peer(peer);
        effects.extend(seat.into_iter().flat_map(|seat| self.announce_feeds(seat)));
        effects
    }

    /// Takes a connection out of its room. Returns it, and what fills the slots that showed its participant, and is
    /// wanted there.
    fn take_peer(&mut self, peer: PeerId) -> (Option<Peer>, Vec<Effect>) {
        self.quotas.peers.remove(peer);
        let Some(seat) = self.peers.remove(&peer) else {
            return (None, Vec::new());
        };
        let taken = self.owner(seat).and_then(|owner| owner.take_peer(peer));
        let mut effects = self.silence(seat, peer);
        effects.extend(self.settle_wants(seat.room));
        (taken, effects)
    }

    fn owner(&mut self, seat: Seat) -> Option<&mut Participant> {
        self.rooms.get_mut(&seat.room)?.participant_mut(seat.participant)
    }

    /// Ends every room. The hub dismisses the sessions itself, because some are in no room.
    pub fn shut_down(&mut self) -> Vec<Effect> {
        let close_peer = |(peer, Seat { room, .. })| Effect::ClosePeer { room, peer };
        let peers = std::mem::take(&mut self.peers);
        let mut effects: Vec<Effect> = peers.into_iter().map(close_peer).collect();
        effects.extend(self.rooms.drain().map(|(id, _)| Effect::CloseRoom(id)));
        self.seats.clear();
        self.lobby.clear();
        self.missing.clear();
        self.ends.clear();
        self.speech_due.clear();
        self.by_name.clear();
        self.quotas = Quotas::new(&self.limits);
        effects
    }

    fn room_of(&self, session: SessionId) -> Option<&Room> {
        self.rooms.get(&self.seats.get(&session)?.room)
    }

    /// The next id. All kinds of ids share one sequence, so that an id in a log line means one thing only.
    pub fn next(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
