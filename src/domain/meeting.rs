//! Meetings: rooms in which some participants, the hosts, decide about the others. Commands, and what sessions are sent.
//!
//! Every group room is one. A room without a host is as open as its participants' stays say, because nobody commands it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{MediaKind, Person};
use crate::ids::UserId;

/// The role of a participant in a meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Somebody who decides about the meeting, and about everybody in it.
    Host,
    #[default]
    Guest,
}

/// What becomes of a guest who comes to a meeting that has not started: no host is there, and none has sent
/// [`MeetingCommand::Start`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutHost {
    #[default]
    Enter,
    Wait,
    /// [`super::Refusal::HostAbsent`].
    Refuse,
}

/// What a session asks about the meeting in its room. Only hosts may, but for [`MeetingCommand::Report`], and for what somebody
/// asks about themselves that takes nothing from others. About somebody who is not there:
/// [`super::Refusal::UnknownParticipant`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetingCommand {
    /// Let no more guests in, or let them in again. While a meeting is locked, guests who can wait do so.
    Lock(bool),
    /// Mute the sound of all guests, also of those who come later; or unmute everybody.
    MuteGuests(bool),
    /// No longer forward one kind of somebody's media, or forward it again. Guests may mute themselves, and unmute what they
    /// have muted.
    Mute {
        user: UserId,
        media: MediaKind,
        muted: bool,
    },
    /// Show somebody to everybody, in the place of whoever speaks.
    Spotlight {
        user: UserId,
        on: bool,
    },
    /// Let in everybody who waits for a host, now and until the room is empty, also while no host is there.
    Start,
    /// Let in somebody who waits.
    Admit {
        user: UserId,
    },
    /// End the stay of somebody who is there or waits.
    Remove {
        user: UserId,
    },
    /// End the meeting: the stay of everybody who is there or waits, also of the one who asks.
    RemoveAll,
    SetRole {
        user: UserId,
        role: Role,
    },
    /// Tell somebody to go to another meeting.
    Refer {
        user: UserId,
        to: Referral,
    },
    /// What a client says of its own microphone and camera. `None` leaves what it said before.
    Report {
        muted: Option<bool>,
        video_muted: Option<bool>,
    },
}

/// Another meeting to which somebody is told to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referral {
    /// Alias of the meeting: as many characters as the name of a room may have.
    pub alias: String,
    pub role: Role,
    pub pin: Option<Pin>,
}

/// The PIN of a meeting.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(pub String);

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// What a session is sent about a meeting. All but [`MeetingEvent::Waiting`] and [`MeetingEvent::Own`] go to those only whose stay
/// asks for them ([`super::Stay::sees_meeting`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeetingEvent {
    /// The answer to a join: the session waits until it is let in. [`super::Event::Joined`] follows then. Until then it is in no
    /// room.
    Waiting,
    /// What holds for the meeting as a whole has changed. Also sent after [`super::Event::Joined`].
    Changed(MeetingState),
    /// Somebody who is there or waits, in full: on every change, and after [`super::Event::Joined`] for everybody, the session
    /// itself included. [`super::Event::ParticipantArrived`] comes before it for whoever enters, not for whoever waits;
    /// [`super::Event::ParticipantLeft`] ends it for both.
    Participant(ParticipantState),
    /// What hosts have decided about the session's own participant: after [`super::Event::Joined`], unless they enter as a guest
    /// who is not muted, and on every change. Only to those who are not sent [`MeetingEvent::Participant`].
    Own(OwnState),
    Referred(Referral),
}

/// What hosts have decided about one participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnState {
    pub role: Role,
    /// The part of their media that hosts have muted. What they have muted themselves is not in it.
    pub muted_by_host: Muted,
}

/// What holds for a meeting as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeetingState {
    /// Whether guests are kept out.
    pub locked: bool,
    /// Whether guests who come are muted.
    pub guests_muted: bool,
    /// Whether those who wait for a host are let in.
    pub started: bool,
}

/// The part of what a participant publishes that the server forwards to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    /// All their sound.
    pub sound: bool,
    /// The pictures of their camera, but not of their screen.
    pub camera: bool,
}

/// What the others see of a participant in a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantState {
    pub person: Arc<Person>,
    pub role: Role,
    /// Whether the server forwards none of their sound.
    pub muted: bool,
    /// Whether the server forwards none of their pictures.
    pub video_muted: bool,
    /// What their client says of its microphone and camera.
    pub reported: Reported,
    /// Time since which they are shown to everybody, if they are.
    pub spotlit: Option<Instant>,
    /// Whether they wait to be let in.
    pub waiting: bool,
    /// Time at which they came.
    pub since: Instant,
}

/// What a client says of its own microphone and camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    pub muted: bool,
    pub video_muted: bool,
}
