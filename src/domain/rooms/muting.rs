//! Participants whose media the server forwards to nobody.

use std::sync::Arc;

use super::meeting::Asker;
use super::{Rooms, Seat};
use crate::domain::moderation::Muting;
use crate::domain::{Effect, Event, MediaKind, MeetingEvent, Muted, Refusal, Role};
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
            (before, false) if before.is_by_host() && !asker.is_host => return Err(Refusal::NotAllowed),
            (before, true) if before.is_by_host() => before.max(by),
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
        if !muted {
            room.muted_who_left.unmute_sounds();
        }
        let guests = room.participants().filter(|(_, one)| one.stay.role == Role::Guest);
        let guests: Vec<(ParticipantId, Muting)> = guests.map(|(id, one)| (id, one.attendance.sound)).collect();
        let mut effects = Vec::from_iter(self.announce_meeting(seat.room, None));
        for (participant, before) in guests {
            let target = Seat { participant, ..seat };
            let after = match (before, muted) {
                (before, true) => before.max(Muting::WithGuests),
                (before, false) if before.is_by_host() => Muting::Nobody,
                (before, false) => before,
            };
            effects.extend(self.change_muting(target, MediaKind::Audio, after));
        }
        effects
    }

    /// Mutes a guest who has entered a meeting where guests are muted, or where they themselves were when they left. They have no
    /// connection yet.
    pub(super) fn mute_newcomer(&mut self, seat: Seat) {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let newcomer = room.participant(seat.participant).filter(|one| one.stay.visible);
        let Some((person, claim)) = newcomer
            .filter(|one| one.stay.role == Role::Guest)
            .map(|one| (Arc::clone(&one.person), one.claim))
        else {
            return;
        };
        let all = room.moderation.guests_muted;
        let alone = room.muted_who_left.take(&person, claim);
        if let Some(newcomer) = room.participant_mut(seat.participant) {
            newcomer.attendance.sound = match (alone.sound, all) {
                (true, _) => Muting::Host,
                (false, true) => Muting::WithGuests,
                (false, false) => Muting::Nobody,
            };
            if alone.camera {
                newcomer.attendance.camera = Muting::Host;
            }
        }
    }

    /// Sends a participant what hosts have decided about them, if that has changed.
    pub(super) fn announce_own(&mut self, seat: Seat) -> Option<Effect> {
        let owner = self.owner(seat).filter(|owner| !owner.stay.sees_meeting)?;
        let state = owner.own_state();
        if std::mem::replace(&mut owner.attendance.announced, state) == state {
            return None;
        }
        let session = owner.session;
        let event = Event::Meeting(MeetingEvent::Own(state));
        Some(Effect::Send { session, event })
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
            // Whoever has muted themselves is sent that they cannot undo it any longer.
            return Vec::from_iter(self.announce_own(target));
        }
        let peers = owner.sending_peers();
        let mut effects: Vec<Effect> = peers.map(|peer| Effect::Mute { peer, muted }).collect();
        // Whoever is muted gives up their slots to others.
        effects.extend(self.fill_stage(target.room));
        effects.extend(self.announce_own(target));
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
