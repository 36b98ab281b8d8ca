//! One room: its participants in the order of their arrival, and the connections of each.

mod slots;
mod wants;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::moderation::{Attendance, Moderation};
use super::muted::MutedWhoLeft;
use super::speakers::{Speakers, Speaking};
use super::stage::{FilledSlots, Stage};
use super::{
    Claim, ConnectionIdentity, Effect, Event, MediaState, OwnState, ParticipantOutline, Person, Purpose, RoomKind,
    RoomOutline, StageSlot, Stay, Use, VideoWants,
};
use crate::ids::{Feed, FeedRef, ParticipantId, PeerId, RoomId, RoomName, SessionId, SlotId, Turn, UserId};
use crate::shares::ClientAddress;
use crate::video::Want;

/// What is known of the media of a participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MediaArrival {
    /// Nothing has arrived yet, or the client has ended its media: nobody misses anything.
    #[default]
    Nothing,
    Arrives,
    /// The connection has ended without a goodbye, or another one is being made in its place. At this time the others are sent
    /// [`super::MediaState::Lost`].
    Missing(Instant),
    /// The others have been sent [`super::MediaState::Lost`].
    Lost,
}

pub(super) struct Room {
    pub id: RoomId,
    /// Kind and name of the room. `None` for the room of a call, which nobody else can enter.
    pub name: Option<(RoomKind, RoomName)>,
    /// Client address whose share of rooms this room counts against.
    pub(crate) opened_by: ClientAddress,
    /// Participants in the order of their arrival: ids grow.
    participants: BTreeMap<ParticipantId, Participant>,
    /// Those of the participants who are visible.
    by_user: HashMap<UserId, ParticipantId>,
    pub speakers: Speakers,
    pub speaking: Speaking,
    pub moderation: Moderation,
    pub muted_who_left: MutedWhoLeft,
    pub stage: Stage,
}

pub(super) struct Participant {
    pub session: SessionId,
    /// Turn of their join.
    pub turn: Turn,
    pub person: Arc<Person>,
    pub claim: Claim,
    pub stay: Stay,
    pub arrival: MediaArrival,
    pub attendance: Attendance,
    /// Feeds beside the camera, as the others were sent them last.
    pub(crate) announced_feeds: Vec<Feed>,
    /// What they have said that they want of videos.
    pub wants: Option<Box<VideoWants>>,
    /// Connections, at most one for each [`Purpose`].
    peers: Vec<Peer>,
}

pub(super) struct Peer {
    pub id: PeerId,
    pub purpose: Purpose,
    pub uses: Vec<Use>,
    pub identity: ConnectionIdentity,
    /// Uses and identity before the newest offer, until that is answered: the connection returns to them if it cannot be.
    /// Before its first offer is answered, a connection has none.
    pub before: Option<(Vec<Use>, ConnectionIdentity)>,
    /// Number of associations before this connection's: [`super::Negotiation::association`].
    pub association: u32,
    /// What its media worker was sent last of what is wanted of the videos that it carries.
    wants: Vec<(FeedRef, Want)>,
    /// Slots of the stage, by the newest offer.
    filled: FilledSlots,
}

impl Room {
    pub fn new(id: RoomId, name: Option<(RoomKind, RoomName)>, opened_by: ClientAddress) -> Self {
        Self {
            id,
            name,
            opened_by,
            participants: BTreeMap::new(),
            by_user: HashMap::new(),
            speakers: Speakers::default(),
            speaking: Speaking::default(),
            moderation: Moderation::default(),
            muted_who_left: MutedWhoLeft::default(),
            stage: Stage::default(),
        }
    }

    pub(crate) fn outline(&self) -> RoomOutline {
        let participants = self.participants.iter().map(|(&id, one)| ParticipantOutline {
            id,
            person: Arc::clone(&one.person),
            connections: one.peers.len(),
            visible: one.stay.visible,
        });
        RoomOutline {
            id: self.id,
            name: self.name.clone(),
            participants: participants.collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.participants.len()
    }

    /// The number of participants whom the others see.
    pub(crate) fn visible_count(&self) -> usize {
        self.by_user.len()
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

    pub(crate) fn participant_mut(&mut self, id: ParticipantId) -> Option<&mut Participant> {
        self.participants.get_mut(&id)
    }

    pub fn ids(&self) -> impl Iterator<Item = ParticipantId> {
        self.participants.keys().copied()
    }

    /// All participants, in the order of their arrival.
    pub(crate) fn participants(&self) -> impl Iterator<Item = (ParticipantId, &Participant)> {
        self.participants.iter().map(|(id, one)| (*id, one))
    }

    /// What somebody is sent who enters now: who is there, whose media count as lost, who publishes what beside their camera, and
    /// who speaks.
    pub(crate) fn greeting(&self) -> Vec<Event> {
        let visible = || self.participants.values().filter(|one| one.stay.visible);
        let others = visible().map(|one| Arc::clone(&one.person)).collect();
        let lost = visible().filter(|one| one.arrival == MediaArrival::Lost);
        let lost = lost.map(|one| Event::MediaChanged {
            user: one.person.user.clone(),
            media: MediaState::Lost,
        });
        let feeds = visible().filter(|one| !one.announced_feeds.is_empty());
        let speakers = Some(self.announced_speakers()).filter(|users| !users.is_empty());
        let speakers = speakers.map(|users| Event::Speakers { users: users.into() });
        let joined = Event::Joined { others };
        let rest = lost.chain(feeds.map(Participant::feeds_event)).chain(speakers);
        std::iter::once(joined).chain(rest).collect()
    }

    /// Adds a participant. If they are visible, no other visible one may have their name.
    pub fn insert(&mut self, id: ParticipantId, participant: Participant) {
        if participant.stay.visible {
            self.by_user.insert(participant.person.user.clone(), id);
        }
        self.participants.insert(id, participant);
    }

    /// The users who speak, as far as that has been announced.
    pub(crate) fn announced_speakers(&self) -> Vec<UserId> {
        let ids = self.speaking.announced().iter();
        let speakers = ids.filter_map(|id| self.participant(*id));
        speakers.map(|participant| participant.person.user.clone()).collect()
    }

    pub(crate) fn sessions_but(&self, id: ParticipantId) -> Vec<SessionId> {
        let others = self.participants.iter().filter(|(other, _)| **other != id);
        others.map(|(_, other)| other.session).collect()
    }

    /// Removes a participant, with their connections and with those over which the others watched them.
    pub fn remove(&mut self, id: ParticipantId) -> Option<(Participant, Vec<Peer>)> {
        let mut participant = self.participants.remove(&id)?;
        if participant.stay.visible {
            self.by_user.remove(&participant.person.user);
        }
        let muted = participant.attendance.muted_alone();
        self.muted_who_left
            .remember(&participant.person, participant.claim, muted);
        self.speaking.forget(id);
        self.stage.forget(id);
        self.speakers.forget(id, self.speaking.newest());
        let mut peers = std::mem::take(&mut participant.peers);
        for other in self.participants.values_mut() {
            peers.extend(other.take_peers_watching(id));
        }
        Some((participant, peers))
    }

    /// The sessions of all participants, in the order of arrival.
    pub(crate) fn sessions(&self) -> Vec<SessionId> {
        self.participants.values().map(|one| one.session).collect()
    }

    /// The sessions of all participants, and all connections.
    pub(crate) fn into_sessions_and_peers(self) -> (Vec<SessionId>, Vec<Peer>) {
        let sessions = self.sessions();
        let peers = self.participants.into_values().flat_map(|one| one.peers);
        (sessions, peers.collect())
    }

    /// Sends everybody the same event, in the order of arrival.
    pub(crate) fn send_to_all(&self, event: &Event) -> impl Iterator<Item = Effect> {
        self.participants.values().map(|participant| Effect::Send {
            session: participant.session,
            event: event.clone(),
        })
    }
}

impl Peer {
    /// A connection whose offer has been answered.
    pub(crate) fn new(
        id: PeerId,
        purpose: Purpose,
        uses: Vec<Use>,
        identity: ConnectionIdentity,
        association: u32,
    ) -> Self {
        Self {
            id,
            purpose,
            filled: FilledSlots::default().renewed(stage_slots(&uses)),
            uses,
            identity,
            before: None,
            association,
            wants: Vec::new(),
        }
    }

    fn set_uses(&mut self, uses: Vec<Use>) -> Vec<Use> {
        self.filled = self.filled.renewed(stage_slots(&uses));
        std::mem::replace(&mut self.uses, uses)
    }

    /// The uses of the newest offer that has been answered.
    fn answered_uses(&self) -> &[Use] {
        self.before.as_ref().map_or(&self.uses, |(uses, _)| uses)
    }
}

fn stage_slots(uses: &[Use]) -> impl Iterator<Item = StageSlot> {
    uses.iter().filter_map(|one| match one {
        Use::StageSlot(slot) => Some(*slot),
        Use::Publish(_) | Use::Watch(_) | Use::Slot(..) => None,
    })
}

impl Participant {
    pub fn new(
        (session, turn): (SessionId, Turn),
        person: Arc<Person>,
        claim: Claim,
        stay: Stay,
        since: Instant,
    ) -> Self {
        Self {
            session,
            turn,
            person,
            claim,
            stay,
            arrival: MediaArrival::default(),
            attendance: Attendance::new(since),
            announced_feeds: Vec::new(),
            wants: None,
            peers: Vec::new(),
        }
    }

    /// What hosts have decided about the participant.
    pub(crate) fn own_state(&self) -> OwnState {
        OwnState {
            role: self.stay.role,
            muted_by_host: self.attendance.muted_by_host(),
        }
    }

    /// The purpose of one of the participant's connections. `None` for a connection of somebody else.
    pub(crate) fn purpose_of(&self, peer: PeerId) -> Option<Purpose> {
        self.peers.iter().find(|one| one.id == peer).map(|one| one.purpose)
    }

    pub(crate) fn peer_for(&self, purpose: Purpose) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.purpose == purpose)
    }

    /// The uses of one of the participant's connections. Empty for a connection of somebody else.
    pub(crate) fn uses_of(&self, peer: PeerId) -> &[Use] {
        let peer = self.peers.iter().find(|one| one.id == peer);
        peer.map_or(&[], |peer| &peer.uses)
    }

    /// The feeds beside the camera that the participant's connections are for, by the offers that have been answered.
    pub(crate) fn further_feeds(&self) -> Vec<Feed> {
        let uses = self.peers.iter().flat_map(Peer::answered_uses);
        let mut feeds = Vec::new();
        for one in uses {
            if let Use::Publish(feed) = one
                && *feed != Feed::Camera
                && !feeds.contains(feed)
            {
                feeds.push(*feed);
            }
        }
        feeds
    }

    /// What the others were sent of these last.
    pub(crate) fn feeds_event(&self) -> Event {
        Event::FurtherFeeds {
            user: self.person.user.clone(),
            feeds: self.announced_feeds.clone(),
        }
    }

    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn add_peer(&mut self, peer: Peer) {
        self.peers.push(peer);
    }

    /// The connection goes on, with the uses and the identity of its newest offer.
    pub(crate) fn continue_peer(&mut self, id: PeerId, uses: Vec<Use>, identity: ConnectionIdentity) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) {
            let uses = peer.set_uses(uses);
            let identity = std::mem::replace(&mut peer.identity, identity);
            peer.before = Some((uses, identity));
        }
    }

    /// The newest offers of all connections have been answered. Returns those that had not been before.
    pub(crate) fn settle_offers(&mut self) -> Vec<PeerId> {
        let answered = self
            .peers
            .iter_mut()
            .filter_map(|peer| peer.before.take().map(|_| peer.id));
        answered.collect()
    }

    /// The newest offer of a live connection could not be answered: the connection goes on as it was before.
    pub(crate) fn keep_peer(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id)
            && let Some((uses, identity)) = peer.before.take()
        {
            peer.set_uses(uses);
            peer.identity = identity;
        }
    }

    /// Removes the connections whose purpose is to watch this participant. A connection for several feeds stays.
    fn take_peers_watching(&mut self, source: ParticipantId) -> Vec<Peer> {
        let is_over = |peer: &mut Peer| {
            let watches = peer.uses.iter().any(|one| one.watches(source));
            peer.purpose != Purpose::Conference && watches
        };
        self.peers.extract_if(.., is_over).collect()
    }

    /// The connections over which the participant sends, or may begin to.
    pub(crate) fn sending_peers(&self) -> impl Iterator<Item = PeerId> {
        let may_send = |peer: &&Peer| !matches!(peer.purpose, Purpose::Watch(_));
        self.peers.iter().filter(may_send).map(|peer| peer.id)
    }

    /// The slots of all connections, each with its connection.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (PeerId, SlotId)> {
        self.peers.iter().flat_map(|peer| {
            peer.uses.iter().filter_map(|one| match one {
                Use::Slot(slot, _) => Some((peer.id, *slot)),
                Use::Publish(_) | Use::Watch(_) | Use::StageSlot(_) => None,
            })
        })
    }

    pub(crate) fn take_peer(&mut self, id: PeerId) -> Option<Peer> {
        let index = self.peers.iter().position(|peer| peer.id == id)?;
        Some(self.peers.swap_remove(index))
    }
}
