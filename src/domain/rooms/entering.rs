//! How somebody enters a room, and in whose place.

use std::sync::Arc;

use super::{Rooms, Seat};
use crate::domain::lobby::{Door, Entrant};
use crate::domain::room::Participant;
use crate::domain::{Claim, Effect, EndReason, Event, Refusal, Role, WithoutHost};
use crate::ids::{ParticipantId, RoomId, SessionId, UserId};

/// What is decided about somebody at the door of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Enter,
    Wait,
    Refuse(Refused),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Locked,
    HostAbsent,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Locked => Refusal::Locked,
            Refused::HostAbsent => Refusal::HostAbsent,
        }
    }
}

impl Rooms {
    pub fn join(&mut self, door: Door, entrant: Entrant) -> Result<Vec<Effect>, Refusal> {
        let session = entrant.session;
        if self.is_overtaken(&door, &entrant) {
            let reason = EndReason::Replaced;
            return Ok(vec![Effect::Dismiss { session, reason }]);
        }
        self.check_name(&door, &entrant)?;
        if self.renew_stay(&door, &entrant) {
            return Ok(Vec::new());
        }
        match self.answer_at(&door, &entrant) {
            Answer::Enter => {
                self.check_space(&door, &entrant)?;
                self.check_connection(&door, &entrant)?;
                let mut effects = self.enter(door.clone(), entrant);
                effects.extend(self.let_in(&door));
                Ok(effects)
            }
            Answer::Wait => self.wait(door, entrant),
            Answer::Refuse(why) => Err(why.into()),
        }
    }

    /// Whether somebody may enter now. Hosts may, and whoever is there already: they take nobody's place, and a page that is
    /// loaded again is no reason to keep them out. A lock keeps out nobody whom a host has invited.
    fn answer_at(&self, door: &Door, entrant: &Entrant) -> Answer {
        let stay = &entrant.stay;
        if stay.role == Role::Host || self.is_inside(door, entrant) {
            return Answer::Enter;
        }
        let meeting = self.meeting_at(door);
        if meeting.locked && !stay.invited {
            // Clients that know of no meetings would not know what they wait for.
            return match stay.sees_meeting {
                true => Answer::Wait,
                false => Answer::Refuse(Refused::Locked),
            };
        }
        match stay.without_host {
            _ if meeting.started => Answer::Enter,
            WithoutHost::Enter => Answer::Enter,
            WithoutHost::Wait => Answer::Wait,
            WithoutHost::Refuse => Answer::Refuse(Refused::HostAbsent),
        }
    }

    /// Whether the session, or somebody who has proven the same name, is in the room.
    fn is_inside(&self, door: &Door, entrant: &Entrant) -> bool {
        let room = self.by_name.get(door);
        let is_there = |seat: &Seat| room == Some(&seat.room);
        let proves_the_same = |holder: &Participant| (holder.claim, entrant.claim) == (Claim::Proven, Claim::Proven);
        self.seats.get(&entrant.session).is_some_and(is_there)
            || self.holder(door, entrant).is_some_and(proves_the_same)
    }

    /// Lets somebody in for whom there is a place.
    pub(super) fn enter(&mut self, door: Door, entrant: Entrant) -> Vec<Effect> {
        let session = entrant.session;
        let mut effects = self.leave(session);
        if entrant.stay.visible {
            self.replace_waiting(&door, &entrant.person.user, &mut effects);
        }
        let room_id = self.open(door.clone(), self.quotas.client_of(session), &mut effects);
        let Entrant {
            turn,
            person,
            claim,
            stay,
            since,
            ..
        } = entrant;
        if stay.visible {
            self.replace(room_id, &person.user, &mut effects);
        }
        let participant = ParticipantId(self.next());
        #[allow(clippy::expect_used, reason = "without the room nothing of the join would be true")]
        let room = self.rooms.get_mut(&room_id).expect("the room was opened above");
        if stay.visible {
            effects.extend(room.send_to_all(&Event::ParticipantArrived {
                person: Arc::clone(&person),
            }));
        }
        let greeting = room.greeting().into_iter();
        effects.extend(greeting.map(|event| Effect::Send { session, event }));
        let newcomer = Participant::new((session, turn), person, claim, stay, since);
        room.insert(participant, newcomer);
        let seat = Seat {
            room: room_id,
            participant,
        };
        self.seats.insert(session, seat);
        self.note_end(seat, stay.until);
        effects.extend(self.greet_in_meeting(&door, seat));
        effects
    }

    /// Removes the older session of a user who enters again: the newest one wins. The others see the user leave, and then
    /// arrive.
    fn replace(&mut self, room: RoomId, user: &UserId, effects: &mut Vec<Effect>) {
        let old = self.rooms.get(&room).and_then(|room| {
            let participant = room.find(user)?;
            Some((participant, room.participant(participant)?.session))
        });
        if let Some((participant, session)) = old {
            let reason = EndReason::Replaced;
            effects.push(Effect::Dismiss { session, reason });
            self.remove(session, Seat { room, participant }, effects);
        }
    }

    /// Lets in those who wait at a door and may enter now, as far as there are places. The others go on waiting.
    pub(super) fn let_in(&mut self, door: &Door) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(session) = self.next_to_enter(door) {
            if let Some((door, entrant)) = self.lobby.take(session) {
                effects.extend(self.enter(door, entrant));
            }
        }
        effects
    }

    fn next_to_enter(&self, door: &Door) -> Option<SessionId> {
        let may_enter = |one: &&Entrant| {
            self.answer_at(door, one) == Answer::Enter
                && self.check_space(door, one).is_ok()
                && self.check_connection(door, one).is_ok()
        };
        let next = self.lobby.at(door).iter().find(may_enter);
        next.map(|one| one.session)
    }
}
