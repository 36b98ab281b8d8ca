//! Commands about a conference, and about one participant.

use super::wire::CommandFields;
use super::words;
use crate::domain::{MediaKind, MeetingCommand, Pin, Referral};
use crate::ids::UserId;
use crate::text;

/// Requests that are answered, and change nothing. No picture is composed here, so there is no layout and no text over it; nobody
/// hears tones; everybody may hear all others, and receive screens; nothing is delayed. That nothing has changed is seen in what
/// participants are sent of one another: each of them still has `"rx_presentation_policy":"ALLOW"`.
const WITHOUT_EFFECT: [&str; 12] = [
    "allowrxpresentation",
    "cancel_delay",
    "clayout",
    "denyrxpresentation",
    "dtmf",
    "mutear",
    "overlaytext",
    "override_layout",
    "resume_delay",
    "set_presentation_policy",
    "stick",
    "unstick",
];

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requested {
    Meeting(MeetingCommand),
    /// It is answered, and changes nothing.
    Nothing,
}

/// What a client says about a call, or asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStep {
    Update,
    HangUp,
    /// It is answered, and changes nothing.
    Nothing,
}

/// Why there is no command in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCommand {
    #[error("there is no such command here")]
    Unknown,
    #[error("a field of the command is missing, or has a value that it cannot have")]
    BadField,
}

/// A command about the conference.
pub fn about_conference(name: &str) -> Result<Requested, NoCommand> {
    Ok(Requested::Meeting(match name {
        "lock" => MeetingCommand::Lock(true),
        "unlock" => MeetingCommand::Lock(false),
        "start_service" => MeetingCommand::Start,
        "muteguests" => MeetingCommand::MuteGuests(true),
        "unmuteguests" => MeetingCommand::MuteGuests(false),
        "disconnect" => MeetingCommand::RemoveAll,
        other => return nothing(other),
    }))
}

/// A command about a participant.
pub fn about_participant(name: &str, user: UserId, fields: CommandFields) -> Result<Requested, NoCommand> {
    let mute = |user, media, muted| MeetingCommand::Mute { user, media, muted };
    let role = || {
        let role = fields.role.as_deref().and_then(words::role_named);
        role.ok_or(NoCommand::BadField)
    };
    Ok(Requested::Meeting(match name {
        "disconnect" => MeetingCommand::Remove { user },
        "mute" => mute(user, MediaKind::Audio, true),
        "unmute" => mute(user, MediaKind::Audio, false),
        "hard_vmute" => mute(user, MediaKind::Video, true),
        "hard_uvmute" => mute(user, MediaKind::Video, false),
        "spotlighton" => MeetingCommand::Spotlight { user, on: true },
        "spotlightoff" => MeetingCommand::Spotlight { user, on: false },
        "unlock" => MeetingCommand::Admit { user },
        "role" => MeetingCommand::SetRole { user, role: role()? },
        "transfer" => {
            let role = role()?;
            let alias = fields.conference_alias.filter(|alias| text::NAME.holds(alias));
            if fields.pin.as_ref().is_some_and(|pin| !text::PASSWORD.holds(pin)) {
                return Err(NoCommand::BadField);
            }
            let to = Referral {
                alias: alias.ok_or(NoCommand::BadField)?,
                role,
                pin: fields.pin.map(Pin),
            };
            MeetingCommand::Refer { user, to }
        }
        other => return nothing(other),
    }))
}

/// What a client says of its own microphone and camera.
pub fn local_status(fields: &CommandFields) -> MeetingCommand {
    MeetingCommand::Report {
        muted: fields.ismute.or(fields.local_audio.map(|is_on| !is_on)),
        video_muted: fields.local_camera.map(|is_on| !is_on),
    }
}

/// Whether the command says something of the client's own microphone and camera.
pub fn is_local_status(name: &str) -> bool {
    name == "changeLocalStatus"
}

pub fn call_step(name: &str) -> Result<CallStep, NoCommand> {
    match name {
        // Media flow as soon as the connection is up.
        "ack" | "clayout" => Ok(CallStep::Nothing),
        "update" => Ok(CallStep::Update),
        "disconnect" => Ok(CallStep::HangUp),
        _ => Err(NoCommand::Unknown),
    }
}

fn nothing(name: &str) -> Result<Requested, NoCommand> {
    match WITHOUT_EFFECT.contains(&name) {
        true => Ok(Requested::Nothing),
        false => Err(NoCommand::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;
    use crate::signaling::conferences::fields::Fields;

    fn fields(body: &str) -> CommandFields {
        CommandFields::read(&Fields::read(body.as_bytes(), "").unwrap())
    }

    #[test]
    fn commands_about_a_conference_are_known_by_their_names() {
        let meeting = |command| Ok(Requested::Meeting(command));
        for (name, expected) in [
            ("lock", meeting(MeetingCommand::Lock(true))),
            ("unlock", meeting(MeetingCommand::Lock(false))),
            ("start_service", meeting(MeetingCommand::Start)),
            ("muteguests", meeting(MeetingCommand::MuteGuests(true))),
            ("unmuteguests", meeting(MeetingCommand::MuteGuests(false))),
            ("disconnect", meeting(MeetingCommand::RemoveAll)),
            ("override_layout", Ok(Requested::Nothing)),
            ("mute", Err(NoCommand::Unknown)),
            ("", Err(NoCommand::Unknown)),
        ] {
            assert_eq!(about_conference(name), expected, "{name}");
        }
    }

    #[test]
    fn commands_about_a_participant_name_whom_they_are_about() {
        let user = || UserId::from("ben");
        let about = |name: &str, body: &str| about_participant(name, user(), fields(body));
        let mute = |media, muted| {
            let user = user();
            Ok(Requested::Meeting(MeetingCommand::Mute { user, media, muted }))
        };
        assert_eq!(about("mute", ""), mute(MediaKind::Audio, true));
        assert_eq!(about("unmute", ""), mute(MediaKind::Audio, false));
        assert_eq!(about("hard_vmute", ""), mute(MediaKind::Video, true));
        assert_eq!(about("hard_uvmute", ""), mute(MediaKind::Video, false));
        let expected = MeetingCommand::SetRole {
            user: user(),
            role: Role::Host,
        };
        assert_eq!(about("role", r#"{"role":"chair"}"#), Ok(Requested::Meeting(expected)));
        assert_eq!(about("role", "role=king"), Err(NoCommand::BadField));
        assert_eq!(about("role", ""), Err(NoCommand::BadField));
        let to = Referral {
            alias: "other@example.org".to_owned(),
            role: Role::Guest,
            pin: Some(Pin("12".to_owned())),
        };
        let body = r#"{"role":"guest","conference_alias":"other@example.org","pin":12}"#;
        let expected = MeetingCommand::Refer { user: user(), to };
        assert_eq!(about("transfer", body), Ok(Requested::Meeting(expected)));
        let long = format!("role=guest&conference_alias={}", "x".repeat(129));
        assert_eq!(about("transfer", &long), Err(NoCommand::BadField));
        assert_eq!(about("dtmf", "digits=1"), Ok(Requested::Nothing));
        for name in WITHOUT_EFFECT {
            assert_eq!(about(name, ""), Ok(Requested::Nothing), "{name}");
        }
        for name in ["denyrxpresentation", "mutear", "resume_delay"] {
            assert!(WITHOUT_EFFECT.contains(&name), "the document has {name}");
        }
        for name in ["lock", "start_service", "x"] {
            assert_eq!(about(name, ""), Err(NoCommand::Unknown), "{name}");
        }
    }

    #[test]
    fn what_a_client_says_of_its_microphone_and_camera_may_be_left_out() {
        let report = |muted, video_muted| MeetingCommand::Report { muted, video_muted };
        for (body, expected) in [
            ("", report(None, None)),
            (
                r#"{"local_audio":true,"local_camera":false}"#,
                report(Some(false), Some(true)),
            ),
            (r#"{"ismute":true,"local_audio":true}"#, report(Some(true), None)),
            ("ismute=no&local_camera=yes", report(Some(false), Some(false))),
            ("ismute=perhaps", report(None, None)),
        ] {
            assert_eq!(local_status(&fields(body)), expected, "{body}");
        }
    }
}
