//! The loss of a part of the server, and of the connections that lived there.

use std::sync::Arc;
use std::time::Instant;

use super::Rooms;
use crate::domain::room::MediaArrival;
use crate::domain::{Effect, EndReason, Event, MediaState, Use};
use crate::ids::{PeerId, SessionId};

impl Rooms {
    /// A connection was lost with a part of the server. Clients have no message for "offer again to publish". So if its
    /// participant published over it, their session ends, and the client comes again. The same holds if it had slots that
    /// follow the speaker, because no message says that these are to be watched anew.
    pub(crate) fn publisher_lost(&mut self, peer: PeerId) -> Vec<Effect> {
        let Some(session) = self.owner_to_dismiss(peer) else {
            return Vec::new();
        };
        let reason = EndReason::MediaLost;
        let mut effects = vec![Effect::Dismiss { session, reason }];
        effects.extend(self.leave(session));
        effects
    }

    fn owner_to_dismiss(&self, peer: PeerId) -> Option<SessionId> {
        let seat = self.peers.get(&peer)?;
        let owner = self.rooms.get(&seat.room)?.participant(seat.participant)?;
        let is_watched = |one: &Use| matches!(one, Use::Watch(_));
        (!owner.uses_of(peer).iter().all(is_watched)).then_some(owner.session)
    }

    /// A connection was lost with a part of the server, and its keys with it. Its participant stays. They are sent which people
    /// they watched over it and, like somebody who has just come, which of these people's media are lost, which feeds they publish
    /// beside their camera, and, if one of them speaks, who does.
    pub(crate) fn connection_lost(&mut self, now: Instant, peer: PeerId) -> Vec<Effect> {
        let mut effects = self.watched_over(peer).unwrap_or_default();
        effects.extend(self.end_peer(now, peer, false));
        effects
    }

    fn watched_over(&self, peer: PeerId) -> Option<Vec<Effect>> {
        let seat = self.peers.get(&peer)?;
        let room = self.rooms.get(&seat.room)?;
        let participant = room.participant(seat.participant)?;
        let watched = participant.uses_of(peer).iter().filter_map(|one| match one {
            Use::Watch(feed) => room.participant(feed.participant),
            Use::Publish(_) | Use::Slot(..) | Use::StageSlot(_) => None,
        });
        let speakers = room.announced_speakers();
        let mut is_speaker_anew = false;
        let mut events = Vec::new();
        for source in watched {
            let person = Arc::clone(&source.person);
            let user = person.user.clone();
            is_speaker_anew |= speakers.contains(&user);
            events.push(Event::ConnectionLost { person });
            if source.arrival == MediaArrival::Lost {
                let media = MediaState::Lost;
                events.push(Event::MediaChanged { user, media });
            }
            if !source.announced_feeds.is_empty() {
                events.push(source.feeds_event());
            }
        }
        // The client has seen the speaker leave, so it no longer knows that they speak.
        if is_speaker_anew {
            let users = speakers.into();
            events.push(Event::Speakers { users });
        }
        let session = participant.session;
        let send = |event| Effect::Send { session, event };
        Some(events.into_iter().map(send).collect())
    }
}
