//! Who is in the slots of a room's participants.

use super::{MediaArrival, Participant, Peer, Room};
use crate::domain::speakers::Speakers;
use crate::domain::stage::Candidate;
use crate::domain::{Effect, Event, Purpose, Subject, UserFeed};
use crate::ids::{FeedRef, ParticipantId, PeerId};

impl Room {
    /// Shows those who publish their camera, the first who came first, where fewer than could be shown have spoken.
    pub(crate) fn introduce(&mut self) {
        for (id, participant) in &self.participants {
            if participant.arrival == MediaArrival::Arrives {
                self.speakers.introduce(*id);
            }
        }
    }

    pub(crate) fn began_speaking(&mut self, id: ParticipantId) {
        self.speakers.began(id);
        self.stage.began(id);
    }

    pub(crate) fn stopped_speaking(&mut self, id: ParticipantId) {
        let newest = self.speaking.newest();
        self.speakers.stopped(id, newest);
        self.stage.stopped(id, newest);
    }

    /// Fills the slots of all participants who are to hear or see others than before.
    pub(crate) fn refill_slots(&mut self, before: &Speakers) -> Vec<Effect> {
        let mut effects = Vec::new();
        if *before != self.speakers {
            let is_changed = |id: &ParticipantId| before.shown_to(*id) != self.speakers.shown_to(*id);
            effects.extend(self.ids().filter(is_changed).flat_map(|id| self.fill_slots_of(id)));
        }
        effects.extend(self.fill_stage(None));
        effects
    }

    /// Fills the stage's slots that are to carry somebody else than before, and sends their participants who is in them now. All
    /// slots of the connection `anew`, because the media worker may have others there.
    pub(crate) fn fill_stage(&mut self, anew: Option<PeerId>) -> Vec<Effect> {
        let has_slots = |one: &Participant| one.peers.iter().any(|peer| !peer.filled.is_empty());
        if !self.participants.values().any(has_slots) {
            return Vec::new();
        }
        let candidates: Vec<Candidate> = self.participants.iter().filter_map(Participant::candidate).collect();
        let lineup = self.stage.lineup(self.speakers.spotlit(), &candidates);
        let mut effects = Vec::new();
        let mut changed = Vec::new();
        for (id, participant) in &mut self.participants {
            for peer in &mut participant.peers {
                let fills = match (peer.filled.fill(*id, &lineup), anew == Some(peer.id)) {
                    (_, true) => peer.filled.iter().collect(),
                    (fills, false) => fills,
                };
                if fills.is_empty() {
                    continue;
                }
                // Whoever waits for an answer is sent this with it.
                changed.extend(peer.before.is_none().then_some((*id, peer.id)));
                effects.extend(fills.into_iter().map(|(slot, source)| Effect::FillSlot {
                    peer: peer.id,
                    slot,
                    source,
                }));
            }
        }
        let layouts = changed.into_iter().flat_map(|(id, peer)| self.layouts(id, &[peer]));
        effects.extend(layouts);
        effects
    }

    /// What a participant is sent of who is in the stage's slots of some of their connections.
    pub(crate) fn layouts(&self, id: ParticipantId, peers: &[PeerId]) -> Vec<Effect> {
        let Some(participant) = self.participant(id) else {
            return Vec::new();
        };
        let user_feed = |FeedRef { participant, feed }| {
            let user = self.participant(participant)?.person.user.clone();
            Some(UserFeed { user, feed })
        };
        let with_slots = |peer: &&Peer| peers.contains(&peer.id) && !peer.filled.is_empty();
        let layouts = participant.peers.iter().filter(with_slots).map(|peer| {
            let slots = peer.filled.iter();
            let slots = slots.map(|(slot, feed)| (slot, feed.and_then(user_feed)));
            Effect::Send {
                session: participant.session,
                event: Event::Layout {
                    subject: match peer.purpose {
                        Purpose::Presentation => Subject::Presentation,
                        _ => Subject::Conference,
                    },
                    slots: slots.collect(),
                },
            }
        });
        layouts.collect()
    }

    pub(crate) fn fill_slots_of(&self, id: ParticipantId) -> Vec<Effect> {
        let source = self.speakers.shown_to(id).map(FeedRef::camera);
        let slots = self
            .participant(id)
            .into_iter()
            .flat_map(|participant| participant.slots());
        slots
            .map(|(peer, slot)| Effect::FillSlot { peer, slot, source })
            .collect()
    }
}

impl Participant {
    /// The participant as one who may be in slots, if they publish their camera.
    fn candidate((id, participant): (&ParticipantId, &Participant)) -> Option<Candidate> {
        let is_there = matches!(participant.arrival, MediaArrival::Arrives | MediaArrival::Missing(_));
        let rights = participant.stay.rights();
        let muted = participant.attendance.muted();
        is_there.then_some(Candidate {
            id: *id,
            is_heard: rights.audio && !muted.sound,
            is_seen: rights.video && !muted.camera,
        })
    }
}
