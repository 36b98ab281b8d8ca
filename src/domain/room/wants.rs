//! What the participants of a room want of the videos that they watch, as the media workers are sent it. The number of videos is
//! settled here, because each video may come over a connection of its own, and because it depends on who speaks.

use std::collections::HashSet;

use super::{MediaArrival, Participant, Peer, Room};
use crate::domain::wants::{LAST_N, VideoWants};
use crate::domain::{Effect, MediaKind, Use};
use crate::ids::{Feed, FeedRef, ParticipantId};
use crate::video::Want;

/// The place of a video among those that one viewer watches; the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The viewer looks at it.
    OnStage(usize),
    /// A host has put its publisher into the spotlight.
    Spotlit(usize),
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
        let choosy = self
            .participants
            .iter()
            .filter(|(id, one)| one.is_choosy(self.speaker_for(**id)));
        let choosy: Vec<ParticipantId> = choosy.map(|(id, _)| *id).collect();
        choosy.into_iter().flat_map(|id| self.settle_wants_of(id)).collect()
    }

    fn settle_wants_of(&mut self, viewer: ParticipantId) -> Vec<Effect> {
        let Some(participant) = self.participants.get(&viewer) else {
            return Vec::new();
        };
        let nothing_said = VideoWants::default();
        let wants = participant.wants.as_deref().unwrap_or(&nothing_said);
        let speaker = self.speaker_for(viewer);
        let sent = self.sent_to(participant, speaker, wants);
        let want = |feed: FeedRef| {
            let user = self.participants.get(&feed.participant).map(|one| &one.person.user);
            Want {
                height: match sent.as_ref().is_none_or(|sent| sent.contains(&feed)) {
                    true => user.and_then(|user| wants.height(user, feed.feed)),
                    false => Some(0),
                },
                on_stage: user.is_some_and(|user| wants.on_stage.contains(user)),
            }
        };
        let of_peers = participant.peers.iter().map(|peer| {
            let mut videos: Vec<FeedRef> = peer.videos(speaker).collect();
            // Somebody may be in several slots.
            videos.sort_unstable();
            videos.dedup();
            let wants = videos.into_iter().map(|feed| (feed, want(feed)));
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

    /// The videos that a viewer is sent at most, of those that they watch. `None` if that is all of them. Those of which they want
    /// nothing take no place.
    fn sent_to(&self, viewer: &Participant, speaker: Option<FeedRef>, wants: &VideoWants) -> Option<HashSet<FeedRef>> {
        let user = |feed: &FeedRef| self.participants.get(&feed.participant).map(|one| &one.person.user);
        let is_wanted = |feed: &FeedRef| user(feed).and_then(|user| wants.height(user, feed.feed)) != Some(0);
        let mut watched: Vec<FeedRef> = viewer.videos(speaker).filter(is_wanted).collect();
        watched.sort_unstable();
        watched.dedup();
        if watched.len() <= wants.last_n {
            return None;
        }
        let ranked = watched.into_iter().map(|feed| (self.rank(wants, feed), feed));
        let mut ranked: Vec<(Rank, FeedRef)> = ranked.collect();
        ranked.select_nth_unstable(wants.last_n);
        ranked.truncate(wants.last_n);
        Some(ranked.into_iter().map(|(_, feed)| feed).collect())
    }

    /// The video in the slots that follow the speaker.
    fn speaker_for(&self, viewer: ParticipantId) -> Option<FeedRef> {
        self.speakers.shown_to(viewer).map(FeedRef::camera)
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
        if !arrives {
            return Rank::Missing(participant);
        }
        if let Some(place) = self.speakers.spotlit().iter().position(|one| *one == participant) {
            return Rank::Spotlit(place);
        }
        match (feed, self.stage.place_among_speakers(participant)) {
            (Feed::Screen, _) => Rank::Screen(participant),
            (Feed::Camera, Some(place)) => Rank::Spoke(place),
            (Feed::Camera, None) => Rank::Other(participant),
        }
    }
}

impl Participant {
    fn videos(&self, speaker: Option<FeedRef>) -> impl Iterator<Item = FeedRef> {
        self.peers.iter().flat_map(move |peer| peer.videos(speaker))
    }

    /// Whether they are perhaps not to be sent all that they watch, or were not.
    fn is_choosy(&self, speaker: Option<FeedRef>) -> bool {
        self.wants.is_some()
            || self.videos(speaker).nth(LAST_N).is_some()
            || self.peers.iter().any(|peer| !peer.wants.is_empty())
    }
}

impl Peer {
    /// The videos that it carries now: those that its client watches, and those in its slots. A slot that follows the speaker has
    /// `speaker`.
    fn videos(&self, speaker: Option<FeedRef>) -> impl Iterator<Item = FeedRef> {
        let of_uses = self.uses.iter().filter_map(move |one| match one {
            Use::Watch(feed) => Some(*feed),
            Use::Slot(_, MediaKind::Video) => speaker,
            Use::Slot(_, MediaKind::Audio) | Use::Publish(_) | Use::StageSlot(_) => None,
        });
        of_uses.chain(self.filled.videos())
    }
}
