//! The lines about requests in the log.

use tracing::{debug, info};

use crate::alias::alias;
use crate::domain::{
    CallAnswer, CallCommand, CallMedia, Command, MeetingCommand, MessageCommand, Registration, Stay, Subject,
};
use crate::ids::{SessionId, UserId};

/// Logs a request. Names are logged as [`alias`] allows.
pub(super) fn log_request(session: SessionId, command: &Command) {
    match command {
        Command::Join {
            kind,
            room,
            person,
            claim,
            stay,
            turn: _,
            connects: _,
        } => {
            let (room, user) = (alias(room.as_str()), alias(person.user.as_str()));
            let Stay {
                publishes,
                visible,
                role,
                ..
            } = stay;
            info!(%session, ?kind, %room, %user, ?claim, ?publishes, visible, ?role, "joins");
        }
        Command::Leave => info!(%session, "leaves"),
        Command::Offer { subject, offer } => {
            let (subject, feed) = (alias(subject.user.as_str()), subject.feed);
            debug!(%session, %subject, ?feed, bytes = offer.description.bytes(), "offers");
        }
        Command::OfferConference { conference, offer } => {
            let (watches, publishes) = (conference.watch.len(), conference.publish);
            let (sounds, pictures) = (conference.sound_slots, conference.picture_slots);
            let (slots, screen) = (conference.speaker_slots.len(), conference.presentation);
            debug!(%session, ?publishes, watches, slots, sounds, pictures, screen, bytes = offer.description.bytes(), "offers a connection for several feeds");
        }
        Command::EndConnection { subject } => {
            let kind = match subject {
                Subject::Feed(_) => "of one feed",
                Subject::Conference => "of several feeds",
                Subject::Presentation => "of the presentation",
                Subject::Call { .. } => "of a call",
            };
            debug!(%session, kind, "ends a connection");
        }
        Command::Want(wants) => {
            let (last_n, on_stage) = (wants.last_n, wants.on_stage.len());
            let heights = wants.cameras.of_users.len() + wants.screens.of_users.len();
            debug!(%session, last_n, on_stage, heights, "says what it wants of videos");
        }
        Command::Play(play) => info!(%session, feed = ?play.feed, recording = ?play.recording, "plays"),
        Command::SendText { text } => debug!(%session, bytes = text.len(), "sends a text"),
        Command::Register(Registration {
            address,
            newcomer,
            claim,
            abilities,
        }) => {
            let what = if abilities.messages {
                "can be reached"
            } else {
                "registers"
            };
            info!(%session, address = %alias(&address.to_string()), ?newcomer, ?claim, ?abilities, "{what}");
        }
        Command::Push(targets) => info!(%session, targets = targets.len(), "can be reached by push"),
        Command::Message(MessageCommand::Send { message, .. }) => {
            debug!(%session, bytes = message.len(), "sends a message");
        }
        Command::Message(MessageCommand::List) => debug!(%session, "asks who is online"),
        Command::AnnounceFile { file } => debug!(%session, bytes = file.url.len(), "announces a file"),
        Command::Call(command) => log_call(session, command),
        Command::Meeting(command) => log_meeting(session, command),
    }
}

fn log_meeting(session: SessionId, command: &MeetingCommand) {
    let about = |user: &UserId| alias(user.as_str()).to_string();
    match command {
        MeetingCommand::Lock(locked) => info!(%session, locked, "locks"),
        MeetingCommand::MuteGuests(muted) => info!(%session, muted, "mutes guests"),
        MeetingCommand::Mute { user, media, muted } => info!(%session, user = about(user), ?media, muted, "mutes"),
        MeetingCommand::Spotlight { user, on } => info!(%session, user = about(user), on, "spotlights"),
        MeetingCommand::Start => info!(%session, "starts the meeting"),
        MeetingCommand::Admit { user } => info!(%session, user = about(user), "lets in"),
        MeetingCommand::Remove { user } => info!(%session, user = about(user), "removes"),
        MeetingCommand::RemoveAll => info!(%session, "ends the meeting"),
        MeetingCommand::SetRole { user, role } => info!(%session, user = about(user), ?role, "sets a role"),
        MeetingCommand::Refer { user, to } => {
            info!(%session, user = about(user), to = %alias(&to.alias), role = ?to.role, "refers");
        }
        MeetingCommand::Report { muted, video_muted } => {
            debug!(%session, ?muted, ?video_muted, "reports its microphone and camera");
        }
    }
}

fn log_call(session: SessionId, command: &CallCommand) {
    match command {
        CallCommand::Invite {
            to, media, when_busy, ..
        } => {
            let carried = matches!(media, CallMedia::Carried(_) | CallMedia::Either { offer: Some(_), .. });
            for callee in to {
                info!(%session, to = %alias(&callee.to_string()), carried, ?when_busy, "calls");
            }
        }
        CallCommand::InviteByMessage { to, .. } => {
            info!(%session, to = %alias(&to.to_string()), "calls by a message");
        }
        CallCommand::Answer {
            from,
            answer: CallAnswer::Accept(_),
            ..
        } => info!(%session, from = %alias(&from.to_string()), "accepts"),
        CallCommand::Answer {
            from,
            answer: CallAnswer::Decline(why),
            ..
        } => info!(%session, from = %alias(&from.to_string()), ?why, "declines"),
        CallCommand::Renew { offer } => debug!(%session, bytes = offer.description.bytes(), "offers anew in a call"),
        CallCommand::HangUp { with: Some(other), .. } => {
            info!(%session, with = %alias(&other.to_string()), "hangs up");
        }
        CallCommand::HangUp { with: None, .. } => info!(%session, "hangs up"),
    }
}
