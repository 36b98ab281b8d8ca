//! What the participants of a room want of the videos that they watch, as the media workers are sent it. The number of videos is
//! settled here, because each video may come over a connection of its own, and because it depends on who speaks.

use super::{MediaArrival, Participant, Room};
use crate::domain::wants::{LAST_N, VideoWants};
use crate::domain::{Effect, Use};
use crate::ids::{Feed, FeedRef, ParticipantId};
use crate::video::Want;

/// The place of a video among those that one viewer watches; the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The viewer looks at it.
    OnStage(usize),
    Screen(ParticipantId),
    /// Its publisher speaks, or has spoken.
    Spoke(usize),
    Other(ParticipantId),
    /// Nothing arrives of it.
    Missing(ParticipantId),
}

impl Room {
    /// Sends the media workers what the viewers want now, as far as that has changed.
    pub(crate) fn settle_wants(&mut self) -> Vec<Effect> {
        let choosy = self.participants.iter().filter(|(_, one)| one.is_choosy());
        let choosy: Vec<ParticipantId> = choosy.map(|(id, _)| *id).collect();
        choosy.into_iter().flat_map(|id| self.settle_wants_of(id)).collect()
    }

    fn settle_wants_of(&mut self, viewer: ParticipantId) -> Vec<Effect> {
        let Some(participant) = self.participants.get(&viewer) else {
            return Vec::new();
        };
        let nothing_said = VideoWants::default();
        let wants = participant.wants.as_deref().unwrap_or(&nothing_said);
        let mut ranked: Vec<(Rank, FeedRef)> = participant
            .watched()
            .map(|feed| (self.rank(wants, feed), feed))
            .collect();
        ranked.sort_unstable();
        ranked.dedup();
        ranked.truncate(wants.last_n);
        let want = |feed: FeedRef| {
            let user = self.participants.get(&feed.participant).map(|one| &one.person.user);
            let is_sent = ranked.iter().any(|(_, one)| *one == feed);
            Want {
                height: match is_sent {
                    true => user.and_then(|user| wants.height(user, feed.feed)),
                    false => Some(0),
                },
                on_stage: user.is_some_and(|user| wants.on_stage.contains(user)),
            }
        };
        let of_peers = participant.peers.iter().map(|peer| {
            let watched = peer.uses.iter().filter_map(watched);
            let wants = watched.map(|feed| (feed, want(feed)));
            wants.filter(|(_, want)| *want != Want::default()).collect()
        });
        let of_peers: Vec<Vec<(FeedRef, Want)>> = of_peers.collect();
        let mut effects = Vec::new();
        let Some(participant) = self.participants.get_mut(&viewer) else {
            return effects;
        };
        for (peer, wants) in participant.peers.iter_mut().zip(of_peers) {
            if peer.wants != wants {
                peer.wants.clone_from(&wants);
                effects.push(Effect::Want { peer: peer.id, wants });
            }
        }
        effects
    }

    fn rank(&self, wants: &VideoWants, FeedRef { participant, feed }: FeedRef) -> Rank {
        let Some(publisher) = self.participants.get(&participant) else {
            return Rank::Missing(participant);
        };
        let user = &publisher.person.user;
        if let Some(place) = wants.on_stage.iter().position(|one| one == user) {
            return Rank::OnStage(place);
        }
        let arrives = match feed {
            Feed::Camera => matches!(publisher.arrival, MediaArrival::Arrives | MediaArrival::Missing(_)),
            Feed::Screen => publisher.announced_feeds.contains(&feed),
        };
        match (arrives, feed, self.stage.place_among_speakers(participant)) {
            (false, ..) => Rank::Missing(participant),
            (true, Feed::Screen, _) => Rank::Screen(participant),
            (true, Feed::Camera, Some(place)) => Rank::Spoke(place),
            (true, Feed::Camera, None) => Rank::Other(participant),
        }
    }
}

impl Participant {
    fn watched(&self) -> impl Iterator<Item = FeedRef> {
        let uses = self.peers.iter().flat_map(|peer| peer.uses.iter());
        uses.filter_map(watched)
    }

    /// Whether they are perhaps not to be sent all that they watch, or were not.
    fn is_choosy(&self) -> bool {
        self.wants.is_some()
            || self.watched().nth(LAST_N).is_some()
            || self.peers.iter().any(|peer| !peer.wants.is_empty())
    }
}

fn watched(one: &Use) -> Option<FeedRef> {
    match one {
        Use::Watch(feed) => Some(*feed),
        Use::Publish(_) | Use::Slot(..) | Use::StageSlot(_) => None,
    }
}
