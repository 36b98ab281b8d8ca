//! Offers of connections. An offer continues a live connection, or opens a new one, which may take the place of another.

use std::time::Instant;

use super::{Rooms, Seat};
use crate::domain::room::Peer;
use crate::domain::stage::{PICTURE_SLOTS_MAX, SOUND_SLOTS_MAX, StagePart, StageSlot};
use crate::domain::{
    Conference, ConnectionIdentity, Effect, Negotiation, Offer, PublishRights, Purpose, Refusal, Subject, Use, UserFeed,
};
use crate::ids::{FeedRef, PeerId, SessionId, SlotId};

/// Slots of one connection: more speakers than a page shows at once beside the people that it has chosen.
const SLOTS_MAX: usize = 16;

/// The purpose of an offered connection, and what it carries.
struct OfferedConnection {
    purpose: Purpose,
    uses: Vec<Use>,
    subject: Subject,
}

impl Rooms {
    /// Offers a connection for one feed.
    pub fn offer(
        &mut self,
        now: Instant,
        session: SessionId,
        subject: UserFeed,
        offer: Offer,
    ) -> Result<Vec<Effect>, Refusal> {
        let (seat, purpose) = self.find_purpose(session, &subject)?;
        let uses = match purpose {
            Purpose::Publish(feed) => vec![Use::Publish(feed)],
            Purpose::Watch(feed) => vec![Use::Watch(feed)],
            Purpose::Conference | Purpose::Presentation | Purpose::Call => Vec::new(),
        };
        let subject = Subject::Feed(subject);
        let offered = OfferedConnection { purpose, uses, subject };
        let mut effects = self.negotiate(now, session, seat, offered, offer)?;
        effects.extend(self.settle_wants(seat.room));
        Ok(effects)
    }

    /// Offers one connection for several feeds.
    pub(crate) fn offer_conference(
        &mut self,
        now: Instant,
        session: SessionId,
        conference: Conference,
        offer: Offer,
    ) -> Result<Vec<Effect>, Refusal> {
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        let is_too_much = conference.watch.len() > self.limits.peers_per_participant
            || conference.speaker_slots.len() > SLOTS_MAX
            || conference.sound_slots > SOUND_SLOTS_MAX
            || conference.picture_slots > PICTURE_SLOTS_MAX;
        if is_too_much {
            return Err(Refusal::TooManyUses);
        }
        let mut uses: Vec<Use> = conference.publish.into_iter().map(Use::Publish).collect();
        for subject in &conference.watch {
            match self.find_purpose(session, subject)?.1 {
                Purpose::Watch(feed) => uses.push(Use::Watch(feed)),
                // Nobody watches themselves.
                _ => return Err(Refusal::UnknownParticipant),
            }
        }
        uses.extend(slots(&conference));
        let (purpose, subject) = match conference.presentation && uses.len() == 1 {
            true => (Purpose::Presentation, Subject::Presentation),
            false => (Purpose::Conference, Subject::Conference),
        };
        let offered = OfferedConnection { purpose, uses, subject };
        self.offer_with_slots(now, seat, offered, offer)
    }

    /// Offers the connection of a party of a call again. It is for the same as before.
    pub(crate) fn renew_call(
        &mut self,
        now: Instant,
        session: SessionId,
        subject: Subject,
        offer: Offer,
    ) -> Result<Vec<Effect>, Refusal> {
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        let owner = self.owner(seat).ok_or(Refusal::NotInRoom)?;
        let before = owner.peer_for(Purpose::Call).ok_or(Refusal::NotInRoom)?;
        let uses = before.uses.clone();
        self.offer_call(now, seat, (subject, uses), offer)
    }

    /// Offers the connection of a party of a call.
    pub(super) fn offer_call(
        &mut self,
        now: Instant,
        seat: Seat,
        (subject, uses): (Subject, Vec<Use>),
        offer: Offer,
    ) -> Result<Vec<Effect>, Refusal> {
        let offered = OfferedConnection {
            purpose: Purpose::Call,
            uses,
            subject,
        };
        self.offer_with_slots(now, seat, offered, offer)
    }

    /// Offers a connection, and fills its slots.
    fn offer_with_slots(
        &mut self,
        now: Instant,
        seat: Seat,
        offered: OfferedConnection,
        offer: Offer,
    ) -> Result<Vec<Effect>, Refusal> {
        let session = self.owner(seat).ok_or(Refusal::NotInRoom)?.session;
        let purpose = offered.purpose;
        let mut effects = self.negotiate(now, session, seat, offered, offer)?;
        let peer = self.owner(seat).and_then(|owner| owner.peer_for(purpose));
        let peer = peer.map(|peer| peer.id);
        effects.extend(peer.into_iter().flat_map(|peer| self.fill_slots_of(seat, peer)));
        Ok(effects)
    }

    fn negotiate(
        &mut self,
        now: Instant,
        session: SessionId,
        seat: Seat,
        offered: OfferedConnection,
        offer: Offer,
    ) -> Result<Vec<Effect>, Refusal> {
        let OfferedConnection {
            purpose,
            mut uses,
            subject,
        } = offered;
        let stay = self.owner(seat).ok_or(Refusal::NotInRoom)?.stay;
        let publishes = stay.rights();
        if publishes == PublishRights::NONE {
            uses.retain(|one| !matches!(one, Use::Publish(_)));
        }
        let mut effects = Vec::new();
        let (peer, association) = match self.continued_peer(seat, purpose, &uses, &offer) {
            Some(continued) => continued,
            None => {
                let (peer, association, closed) =
                    self.fresh_peer(now, seat, purpose, &uses, offer.description.identity())?;
                effects.extend(closed);
                (peer, association)
            }
        };
        effects.push(Effect::Negotiate(vec![Negotiation {
            session,
            room: seat.room,
            participant: seat.participant,
            peer,
            uses,
            publishes,
            muted: self.muted(seat),
            understands: stay.understands,
            subject,
            tag: offer.tag,
            description: offer.description,
            association,
        }]));
        Ok(effects)
    }

    /// Ends a connection of the session, whose client wishes that. The client is sent nothing about it.
    pub(crate) fn end_connection(
        &mut self,
        now: Instant,
        session: SessionId,
        subject: &Subject,
    ) -> Result<Vec<Effect>, Refusal> {
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        let purpose = match subject {
            Subject::Feed(feed) => self.find_purpose(session, feed)?.1,
            Subject::Conference => Purpose::Conference,
            Subject::Presentation => Purpose::Presentation,
            // It ends with its call.
            Subject::Call { .. } => return Err(Refusal::NotAllowed),
        };
        let peer = self.owner(seat).and_then(|owner| Some(owner.peer_for(purpose)?.id));
        let Some(peer) = peer else {
            return Ok(Vec::new());
        };
        if self.sends(seat, peer) {
            self.connection_ended(now, seat, true);
        }
        let room = seat.room;
        let mut effects = vec![Effect::ClosePeer { room, peer }];
        effects.extend(self.drop_peer(peer));
        effects.extend(self.announce_feeds(seat));
        Ok(effects)
    }

    /// The live connection that the offer continues, if there is one, with its association.
    fn continued_peer(&mut self, seat: Seat, purpose: Purpose, uses: &[Use], offer: &Offer) -> Option<(PeerId, u32)> {
        let participant = self.rooms.get_mut(&seat.room)?.participant_mut(seat.participant)?;
        let peer = participant.peer_for(purpose)?;
        let (id, association) = (peer.id, peer.association);
        let identity = offer.description.identity();
        if !identity.continues(&peer.identity) {
            return None;
        }
        participant.continue_peer(id, uses.to_vec(), identity.clone());
        Some((id, association))
    }

    /// Keeps a connection as it was, because an offer on it could not be answered.
    pub(crate) fn keep_peer(&mut self, peer: PeerId) -> Vec<Effect> {
        let Some(seat) = self.peers.get(&peer).copied() else {
            return Vec::new();
        };
        if let Some(owner) = self.owner(seat) {
            owner.keep_peer(peer);
        }
        self.fill_slots_of(seat, peer)
    }

    /// Opens a new connection. It takes the place of the participant's connection for the same purpose, if there is one.
    pub(super) fn fresh_peer(
        &mut self,
        now: Instant,
        seat: Seat,
        purpose: Purpose,
        uses: &[Use],
        identity: &ConnectionIdentity,
    ) -> Result<(PeerId, u32, Vec<Effect>), Refusal> {
        let id = PeerId(self.next());
        let room = seat.room;
        let owner = self.owner(seat).ok_or(Refusal::NotInRoom)?;
        let (session, peers) = (owner.session, owner.peer_count());
        let before = owner.peer_for(purpose).map(|peer| peer.id);
        let association = self.ended.next_association(identity);
        let client = self.quotas.client_of(session);
        let mut closed = Vec::new();
        if let Some(before) = before {
            if self.sends(seat, before) {
                self.connection_ended(now, seat, false);
            }
            self.quotas.peers.replace(before, id, session, client);
            // The client may go back to the older connection, but nobody here has its keys any longer.
            let refilled = self.drop_peer(before);
            closed.push(Effect::ClosePeer { room, peer: before });
            closed.extend(refilled);
        } else if peers >= self.limits.peers_per_participant {
            return Err(Refusal::TooManyPeers);
        } else {
            let added = self.quotas.peers.add(id, session, client);
            added.map_err(|_| Refusal::TooManyPeers)?;
        }
        let owner = self.owner(seat).ok_or(Refusal::NotInRoom)?;
        let mut peer = Peer::new(id, purpose, uses.to_vec(), identity.clone(), association);
        peer.before = Some((Vec::new(), identity.clone()));
        owner.add_peer(peer);
        self.peers.insert(id, seat);
        Ok((id, association, closed))
    }

    /// The connection of the session for this feed.
    #[cfg(test)]
    pub fn connection(&self, session: SessionId, subject: &UserFeed) -> Result<Option<PeerId>, Refusal> {
        let (seat, purpose) = self.find_purpose(session, subject)?;
        let room = self.rooms.get(&seat.room);
        let peer = room.and_then(|room| room.participant(seat.participant)?.peer_for(purpose));
        Ok(peer.map(|peer| peer.id))
    }

    /// The session's seat, and the purpose that its connection for this feed has.
    fn find_purpose(&self, session: SessionId, subject: &UserFeed) -> Result<(Seat, Purpose), Refusal> {
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        let room = self.rooms.get(&seat.room).ok_or(Refusal::NotInRoom)?;
        let participant = room.find(&subject.user).ok_or(Refusal::UnknownParticipant)?;
        let feed = subject.feed;
        let purpose = match participant == seat.participant {
            true => Purpose::Publish(feed),
            false => Purpose::Watch(FeedRef { participant, feed }),
        };
        Ok((seat, purpose))
    }
}

/// The slots of a connection, numbered one after the other.
pub(super) fn slots(conference: &Conference) -> impl Iterator<Item = Use> {
    let speakers = conference.speaker_slots.iter();
    let numbered = (0..).zip(speakers);
    let speakers = numbered.map(|(number, kind)| Use::Slot(SlotId(number), *kind));
    let first = conference.speaker_slots.len() as u8;
    let shows_pictures = conference.picture_slots > 0;
    let parts = (0..conference.sound_slots)
        .map(|place| (StagePart::Sound, place > 0))
        .chain((0..conference.picture_slots).map(|place| (StagePart::Picture, place > 0)))
        .chain(
            conference
                .presentation
                .then_some((StagePart::Presentation, shows_pictures)),
        );
    let stage = (first..).zip(parts).map(|(number, (part, joins))| {
        let id = SlotId(number);
        Use::StageSlot(StageSlot { id, part, joins })
    });
    speakers.chain(stage)
}
