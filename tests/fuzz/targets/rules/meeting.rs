//! Meetings in the rules' target: commands about them, and what is known of those who wait.

use std::collections::BTreeSet;

use patchbay::domain::{Event, MediaKind, MeetingCommand, MeetingEvent, Pin, Referral, Role, Stay, WithoutHost};
use patchbay::ids::{SessionId, UserId};

use super::super::bytes::Bytes;

pub fn stay(bytes: &mut Bytes<'_>) -> Stay {
    Stay {
        role: bytes.pick(&[Role::Guest, Role::Host]),
        without_host: bytes.pick(&[WithoutHost::Enter, WithoutHost::Wait, WithoutHost::Refuse]),
        sees_meeting: bytes.below(4) > 0,
        visible: bytes.below(8) > 0,
        ..Stay::default()
    }
}

pub fn command(bytes: &mut Bytes<'_>, names: &[&str]) -> MeetingCommand {
    let user = |bytes: &mut Bytes<'_>| UserId::from(bytes.pick(names));
    let yes = |bytes: &mut Bytes<'_>| bytes.below(2) == 1;
    match bytes.below(12) {
        0 => MeetingCommand::Lock(yes(bytes)),
        1 => MeetingCommand::MuteGuests(yes(bytes)),
        2 => MeetingCommand::Mute {
            user: user(bytes),
            media: bytes.pick(&[MediaKind::Audio, MediaKind::Video]),
            muted: yes(bytes),
        },
        3 => MeetingCommand::Spotlight {
            user: user(bytes),
            on: yes(bytes),
        },
        4 => MeetingCommand::Start,
        5 => MeetingCommand::Admit { user: user(bytes) },
        6 => MeetingCommand::Remove { user: user(bytes) },
        7 => MeetingCommand::RemoveAll,
        8 => MeetingCommand::SetRole {
            user: user(bytes),
            role: bytes.pick(&[Role::Guest, Role::Host]),
        },
        9 => MeetingCommand::Refer {
            user: user(bytes),
            to: Referral {
                alias: "x".repeat(usize::from(bytes.number())),
                role: Role::Guest,
                pin: yes(bytes).then(|| Pin("1234".to_owned())),
            },
        },
        _ => MeetingCommand::Report {
            muted: Some(yes(bytes)),
            video_muted: yes(bytes).then_some(true),
        },
    }
}

/// Takes note of what a session is sent. Whoever waits is sent nothing of the room at whose door they wait.
pub fn note(waiting: &mut BTreeSet<SessionId>, session: SessionId, event: &Event) {
    match event {
        Event::Meeting(MeetingEvent::Waiting) => assert!(waiting.insert(session), "they are sent once that they wait"),
        Event::Joined { .. } => {
            waiting.remove(&session);
        }
        Event::Meeting(_)
        | Event::ParticipantArrived { .. }
        | Event::ParticipantLeft { .. }
        | Event::Speakers { .. }
        | Event::FurtherFeeds { .. }
        | Event::MediaChanged { .. }
        | Event::Text { .. }
        | Event::File { .. } => assert!(!waiting.contains(&session), "whoever waits sees nothing: {event:?}"),
        _ => {}
    }
}
