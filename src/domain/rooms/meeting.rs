//! What hosts, and participants about themselves, ask of a meeting.

use std::time::Instant;

use super::{Rooms, Seat};
use crate::domain::lobby::Door;
use crate::domain::{
    Effect, EndReason, Event, MeetingCommand, MeetingEvent, MeetingState, Referral, Refusal, Reported, Role,
};
use crate::ids::{ParticipantId, RoomId, SessionId, UserId};

/// Bytes of the texts of a referral: a name and a password of the greatest length. It is sent to one participant, and kept
/// nowhere.
const REFERRAL_BYTES_MAX: usize = 2_048;

/// Somebody who asks: their seat, and whether they are a host.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    pub seat: Seat,
    pub is_host: bool,
}

impl Asker {
    pub fn as_host(self) -> Result<Seat, Refusal> {
        match self.is_host {
            true => Ok(self.seat),
            false => Err(Refusal::NotAllowed),
        }
    }
}

impl Rooms {
    pub(crate) fn meeting(
        &mut self,
        now: Instant,
        session: SessionId,
        command: MeetingCommand,
    ) -> Result<Vec<Effect>, Refusal> {
        let asker = self.asker(session)?;
        match command {
            MeetingCommand::Lock(locked) => Ok(self.lock(asker.as_host()?, locked)),
            MeetingCommand::MuteGuests(muted) => Ok(self.mute_guests(asker.as_host()?, muted)),
            MeetingCommand::Mute { user, media, muted } => {
                let target = self.target(asker.seat, &user)?;
                self.set_muted(asker, target, media, muted)
            }
            MeetingCommand::Spotlight { user, on } => {
                let target = self.target(asker.as_host()?, &user)?;
                Ok(self.spotlight(now, target, on))
            }
            MeetingCommand::Start => Ok(self.start(asker.as_host()?)),
            MeetingCommand::Admit { user } => self.admit(asker.as_host()?, &user),
            MeetingCommand::Remove { user } => self.remove_user(asker, &user),
            MeetingCommand::RemoveAll => Ok(self.remove_all(asker.as_host()?)),
            MeetingCommand::SetRole { user, role } => {
                let target = self.target(asker.as_host()?, &user)?;
                Ok(self.set_role(target, role))
            }
            MeetingCommand::Refer { user, to } => {
                let target = self.target(asker.as_host()?, &user)?;
                self.refer(target, to)
            }
            MeetingCommand::Report { muted, video_muted } => Ok(self.report(asker.seat, muted, video_muted)),
        }
    }

    fn asker(&self, session: SessionId) -> Result<Asker, Refusal> {
        let seat = self.seats.get(&session).copied().ok_or(Refusal::NotInRoom)?;
        let room = self.rooms.get(&seat.room).ok_or(Refusal::NotInRoom)?;
        let own = room.participant(seat.participant).ok_or(Refusal::NotInRoom)?;
        let is_host = own.stay.role == Role::Host;
        Ok(Asker { seat, is_host })
    }

    /// The seat of somebody in the same room.
    fn target(&self, seat: Seat, user: &UserId) -> Result<Seat, Refusal> {
        let found = self.rooms.get(&seat.room).and_then(|room| room.find(user));
        let participant = found.ok_or(Refusal::UnknownParticipant)?;
        Ok(Seat { participant, ..seat })
    }

    fn door_of(&self, seat: Seat) -> Option<Door> {
        self.rooms.get(&seat.room)?.name.clone()
    }

    /// The state of the meeting behind a door; of one that has not begun, where nobody is.
    pub(super) fn meeting_at(&self, door: &Door) -> MeetingState {
        let room = self.by_name.get(door).and_then(|id| self.rooms.get(id));
        room.map(|room| room.meeting()).unwrap_or_default()
    }

    fn lock(&mut self, seat: Seat, locked: bool) -> Vec<Effect> {
        if let Some(room) = self.rooms.get_mut(&seat.room) {
            room.moderation.locked = locked;
        }
        self.meeting_changed(seat)
    }

    fn start(&mut self, seat: Seat) -> Vec<Effect> {
        if let Some(room) = self.rooms.get_mut(&seat.room) {
            room.moderation.goes_on = true;
        }
        self.meeting_changed(seat)
    }

    fn set_role(&mut self, target: Seat, role: Role) -> Vec<Effect> {
        let Some(owner) = self.owner(target).filter(|owner| owner.stay.role != role) else {
            return Vec::new();
        };
        owner.stay.role = role;
        let mut effects = Vec::from_iter(self.announce_own(target));
        effects.extend(self.announce_participant(target));
        effects.extend(self.meeting_changed(target));
        effects
    }

    fn spotlight(&mut self, now: Instant, target: Seat, on: bool) -> Vec<Effect> {
        let Some(room) = self.rooms.get_mut(&target.room) else {
            return Vec::new();
        };
        let before = room.speakers.clone();
        room.speakers.spotlight(target.participant, on);
        if before == room.speakers {
            return Vec::new();
        }
        if let Some(owner) = room.participant_mut(target.participant) {
            owner.attendance.spotlit = on.then_some(now);
        }
        let mut effects = room.refill_slots(&before);
        effects.extend(room.settle_wants());
        effects.extend(self.announce_participant(target));
        effects
    }

    fn admit(&mut self, seat: Seat, user: &UserId) -> Result<Vec<Effect>, Refusal> {
        let door = self.door_of(seat).ok_or(Refusal::UnknownParticipant)?;
        let waiting = self.lobby.find(&door, user).ok_or(Refusal::UnknownParticipant)?;
        self.check_space(&door, waiting)?;
        self.check_connection(&door, waiting)?;
        let taken = self.lobby.take(waiting.session);
        Ok(taken.map_or_else(Vec::new, |(door, entrant)| self.enter(door, entrant)))
    }

    /// Guests may only remove themselves.
    fn remove_user(&mut self, asker: Asker, user: &UserId) -> Result<Vec<Effect>, Refusal> {
        let inside = self.target(asker.seat, user);
        if inside != Ok(asker.seat) {
            asker.as_host()?;
        }
        let session = match inside {
            Ok(target) => self.owner(target).map(|owner| owner.session),
            Err(_) => {
                let door = self.door_of(asker.seat);
                door.and_then(|door| Some(self.lobby.find(&door, user)?.session))
            }
        };
        let session = session.ok_or(Refusal::UnknownParticipant)?;
        let reason = EndReason::Removed;
        let mut effects = vec![Effect::Dismiss { session, reason }];
        effects.extend(self.leave(session));
        Ok(effects)
    }

    /// Nobody is sent that the others leave: there is nobody left to see it.
    fn remove_all(&mut self, seat: Seat) -> Vec<Effect> {
        let mut sessions: Vec<SessionId> = Vec::new();
        if let Some(door) = self.door_of(seat) {
            sessions.extend(self.lobby.at(&door).iter().map(|one| one.session));
        }
        for session in &sessions {
            self.lobby.take(*session);
        }
        sessions.extend(self.rooms.get(&seat.room).into_iter().flat_map(|room| room.sessions()));
        let reason = EndReason::Removed;
        let dismissed = sessions.into_iter().map(|session| Effect::Dismiss { session, reason });
        let mut effects: Vec<Effect> = dismissed.collect();
        effects.extend(self.close(seat.room));
        effects
    }

    fn refer(&mut self, target: Seat, to: Referral) -> Result<Vec<Effect>, Refusal> {
        let bytes = to.alias.len() + to.pin.as_ref().map_or(0, |pin| pin.0.len());
        let owner = self.owner(target).ok_or(Refusal::UnknownParticipant)?;
        // Other clients have no message that would send them elsewhere.
        if !owner.stay.sees_meeting || bytes > REFERRAL_BYTES_MAX {
            return Err(Refusal::NotAllowed);
        }
        let event = Event::Meeting(MeetingEvent::Referred(to));
        Ok(vec![Effect::Send {
            session: owner.session,
            event,
        }])
    }

    fn report(&mut self, seat: Seat, muted: Option<bool>, video_muted: Option<bool>) -> Vec<Effect> {
        let Some(owner) = self.owner(seat) else {
            return Vec::new();
        };
        let before = owner.attendance.reported;
        let after = Reported {
            muted: muted.unwrap_or(before.muted),
            video_muted: video_muted.unwrap_or(before.video_muted),
        };
        if before == after {
            return Vec::new();
        }
        owner.attendance.reported = after;
        Vec::from_iter(self.announce_participant(seat))
    }

    /// Announces what holds for the meeting now, and lets in whoever may enter by that.
    fn meeting_changed(&mut self, seat: Seat) -> Vec<Effect> {
        let mut effects = Vec::from_iter(self.announce_meeting(seat.room, None));
        if let Some(door) = self.door_of(seat) {
            effects.extend(self.let_in(&door));
        }
        effects
    }

    /// Announces what holds for the meeting as a whole, if that has changed, to all but this participant.
    pub(super) fn announce_meeting(&mut self, room: RoomId, but: Option<ParticipantId>) -> Option<Effect> {
        let room = self.rooms.get_mut(&room)?;
        let now = room.meeting();
        if std::mem::replace(&mut room.moderation.announced, now) == now {
            return None;
        }
        send(room.seers_but(but), Event::Meeting(MeetingEvent::Changed(now)))
    }

    pub(super) fn announce_participant(&self, seat: Seat) -> Option<Effect> {
        let room = self.rooms.get(&seat.room)?;
        let state = room.state_of(seat.participant)?;
        let event = Event::Meeting(MeetingEvent::Participant(state));
        send(room.seers_but(None), event)
    }

    /// What is sent of a participant who has just entered to those who see the meeting, and of the meeting to the participant.
    pub(super) fn greet_in_meeting(&mut self, door: &Door, seat: Seat) -> Vec<Effect> {
        self.mute_newcomer(seat);
        let Some(room) = self.rooms.get(&seat.room) else {
            return Vec::new();
        };
        let newcomer = seat.participant;
        let participant = |state| Event::Meeting(MeetingEvent::Participant(state));
        let mut effects = Vec::new();
        if let Some(state) = room.state_of(newcomer) {
            effects.extend(send(room.seers_but(Some(newcomer)), participant(state)));
        }
        let own = room.participant(newcomer).filter(|own| own.stay.sees_meeting);
        if let Some(session) = own.map(|own| own.session) {
            let changed = Event::Meeting(MeetingEvent::Changed(room.meeting()));
            let inside = room.ids().filter_map(|id| room.state_of(id));
            let states = inside.chain(self.waiting_at(door)).map(participant);
            let events = std::iter::once(changed).chain(states);
            effects.extend(events.map(|event| Effect::Send { session, event }));
        }
        effects.extend(self.announce_own(seat));
        effects.extend(self.announce_meeting(seat.room, Some(newcomer)));
        effects
    }
}

/// The same event for these sessions, if there are any.
pub(super) fn send(sessions: Vec<SessionId>, event: Event) -> Option<Effect> {
    (!sessions.is_empty()).then_some(Effect::SendEach { sessions, event })
}
