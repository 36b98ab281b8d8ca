//! Recordings that participants publish.

use std::time::Instant;

use super::Rooms;
use crate::domain::{ConnectionIdentity, Effect, Muted, Play, Playback, Purpose, Refusal, Use};
use crate::ids::{FeedRef, SessionId};

impl Rooms {
    /// Lets the session's participant publish a recording. It counts as a connection, takes the place of the connection over
    /// which this feed was published, and gives way to the next one.
    pub fn play(&mut self, now: Instant, session: SessionId, play: Play) -> Result<Vec<Effect>, Refusal> {
        let Play {
            feed,
            recording,
            waits,
            repeats,
        } = play;
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        let owner = self.owner(seat).ok_or(Refusal::NotInRoom)?;
        if !owner.stay.rights().audio {
            return Err(Refusal::NotAllowed);
        }
        let (purpose, uses) = (Purpose::Publish(feed), [Use::Publish(feed)]);
        // No offer continues it.
        let identity = ConnectionIdentity::default();
        let (peer, _, mut effects) = self.fresh_peer(now, seat, purpose, &uses, &identity)?;
        let participant = seat.participant;
        effects.push(Effect::Play(Playback {
            room: seat.room,
            peer,
            feed: FeedRef { participant, feed },
            recording,
            waits,
            repeats,
        }));
        let muted = self.muted(seat);
        if muted != Muted::default() {
            effects.push(Effect::Mute { peer, muted });
        }
        // Nobody has to answer a recording.
        effects.extend(self.settle_offers(seat));
        Ok(effects)
    }
}
