//! Participants whose media the server forwards to nobody.

use super::meeting::Asker;
use super::{Rooms, Seat};
use crate::domain::moderation::Muting;
use crate::domain::{Effect, MediaKind, Muted, Refusal, Role};
use crate::ids::ParticipantId;

impl Rooms {
    /// Mutes or unmutes one kind of somebody's media. What a host has muted, only a host unmutes.
    pub(super) fn set_muted(
        &mut self,
        asker: Asker,
        target: Seat,
        media: MediaKind,
        muted: bool,
    ) -> Result<Vec<Effect>, Refusal> {
        let by = match target == asker.seat {
            true => Muting::Themselves,
            false => asker.as_host().map(|_| Muting::Host)?,
        };
        let owner = self.owner(target).ok_or(Refusal::UnknownParticipant)?;
        let muting = match media {
            MediaKind::Audio => owner.attendance.sound,
            MediaKind::Video => owner.attendance.camera,
        };
        let after = match (muting, muted) {
            (Muting::Host, true) => Muting::Host,
            (Muting::Host, false) if !asker.is_host => return Err(Refusal::NotAllowed),
            (_, true) => by,
            (_, false) => Muting::Nobody,
        };
        Ok(self.change_muting(target, media, after))
    }

    /// Mutes the sound of all guests, or unmutes all guests whose sound a host has muted.
    pub(super) fn mute_guests(&mut self, seat: Seat, muted: bool) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return Vec::new();
        };
        room.moderation.guests_muted = muted;
        let guests = room.participants().filter(|(_, one)| one.stay.role == Role::Guest);
        let guests: Vec<(ParticipantId, Muting)> = guests.map(|(id, one)| (id, one.attendance.sound)).collect();
        let mut effects = Vec::from_iter(self.announce_meeting(seat.room, None));
        for (participant, before) in guests {
            let target = Seat { participant, ..seat };
            let after = match (before, muted) {
                (_, true) => Muting::Host,
                (Muting::Host, false) => Muting::Nobody,
                (before, false) => before,
            };
            effects.extend(self.change_muting(target, MediaKind::Audio, after));
        }
        effects
    }

    /// Mutes a guest who has entered a meeting where guests are muted. They have no connection yet.
    pub(super) fn mute_newcomer(&mut self, seat: Seat) {
        if let Some(room) = self.rooms.get_mut(&seat.room)
            && room.moderation.guests_muted
            && let Some(newcomer) = room.participant_mut(seat.participant)
            && newcomer.stay.role == Role::Guest
        {
            newcomer.attendance.sound = Muting::Host;
        }
    }

    fn change_muting(&mut self, target: Seat, media: MediaKind, after: Muting) -> Vec<Effect> {
        let Some(owner) = self.owner(target) else {
            return Vec::new();
        };
        let before = owner.attendance.muted();
        match media {
            MediaKind::Audio => owner.attendance.sound = after,
            MediaKind::Video => owner.attendance.camera = after,
        }
        let muted = owner.attendance.muted();
        if muted == before {
            return Vec::new();
        }
        let peers = owner.sending_peers();
        let mut effects: Vec<Effect> = peers.map(|peer| Effect::Mute { peer, muted }).collect();
        // Whoever is muted gives up their slots to others.
        effects.extend(self.fill_stage(target.room));
        effects.extend(self.announce_participant(target));
        effects
    }

    /// The part of a participant's media that is forwarded to nobody.
    pub(super) fn muted(&self, seat: Seat) -> Muted {
        let room = self.rooms.get(&seat.room);
        let owner = room.and_then(|room| room.participant(seat.participant));
        owner.map(|owner| owner.attendance.muted()).unwrap_or_default()
    }
}
