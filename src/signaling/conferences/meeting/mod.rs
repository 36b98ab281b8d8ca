//! What is sent and asked in a conference. [`super`] describes the format.

mod commands;
mod outbox;
mod view;
mod wire;
mod words;

use std::sync::Arc;

pub(crate) use self::commands::{
    CallStep, NoCommand, Requested, about_conference, about_participant, call_step, is_local_status, local_status,
};
pub(crate) use self::outbox::{Behind, Outbox};
pub(crate) use self::view::{CallKind, Moment, View};
use self::wire::{ByeFrame, EventFrame};
pub(crate) use self::wire::{
    Call, Called, ChatText, CommandFields, Entering, Everybody, Notice, PinNeeded, Session, SessionRefreshed, Status,
};
pub(crate) use self::words::pin_needed;
use super::fields::Fields;
use super::version;
use crate::domain::{Command, Conference, MediaKind};
use crate::ids::Feed;
use crate::media::description::Description;
use crate::signaling::{limits, offer};
use crate::text;

/// Words that name the command of a frame in a WebSocket.
const EVENT: &str = "event";
const BYE: &str = "bye";

/// What is wrong with a chat text, or an offer.
pub(crate) const TOO_LONG_OR_NO_TEXT: &str = "the payload is missing, or has more than 16384 characters";
pub(crate) const NO_OFFER: &str = "the sdp is missing, or has more than 65536 bytes";

/// The name that the client gives itself, cut where it is too long.
pub(crate) fn own_name(entering: &Entering) -> Option<String> {
    let name = entering.display_name.as_deref()?.trim();
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(text::NAME.characters)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The answer to whoever has entered.
pub(crate) fn session(view: &View, token: String, lasts_s: u64, conference_name: String) -> Session {
    Session {
        token,
        expires: lasts_s.to_string(),
        participant_uuid: view.own_uuid(),
        display_name: view.own().name.clone(),
        stun: Vec::new(),
        analytics_enabled: false,
        version: version(),
        role: words::role_of_session(view.role()),
        service_type: words::service(false),
        current_service_type: words::service(view.is_waiting()),
        chat_enabled: true,
        conference_name,
    }
}

pub(crate) fn session_refreshed(view: &View, token: String, lasts_s: u64) -> SessionRefreshed {
    SessionRefreshed {
        token,
        expires: lasts_s.to_string(),
        role: words::role_of_session(view.role()),
    }
}

/// A chat text in a request. `None` if there is none, or it is too long.
pub(crate) fn chat_text(fields: &Fields) -> Option<Command> {
    let ChatText { payload } = ChatText::read(fields)?;
    let text = Arc::from(payload.as_str());
    limits::TEXT.holds(&payload).then_some(Command::SendText { text })
}

/// What an offer is for. `None` if there is no offer, or it is too long.
pub(crate) fn offered(fields: &Fields) -> Option<(CallKind, Description)> {
    let Call { sdp, present } = Call::read(fields)?;
    let kind = match present.as_deref() {
        Some("send") => CallKind::SendScreen,
        Some("receive") => CallKind::ReceiveScreen,
        // `main`: camera and microphone. No picture is composed here, so there is none with a screen in it.
        _ => CallKind::Main,
    };
    Some((kind, offer::offer(sdp)?.description))
}

/// What goes over the main connection: the participant's camera and microphone, and whoever speaks.
pub(crate) fn main_connection() -> Conference {
    Conference {
        publish: Some(Feed::Camera),
        speaker_slots: vec![MediaKind::Audio, MediaKind::Video],
        ..Conference::default()
    }
}

/// A participant is told to go to another conference, which the token lets them enter.
pub(crate) fn referred(alias: String, token: String) -> Notice {
    Notice::Referred { alias, token }
}

/// An event as a frame of a WebSocket.
pub(crate) fn event_frame(event_id: u64, notice: &Notice) -> String {
    let frame = EventFrame {
        command: EVENT,
        event_name: notice.kind(),
        event_id,
        data: notice,
    };
    serde_json::to_string(&frame).unwrap_or_default()
}

/// The last frame of a WebSocket.
pub(crate) fn bye_frame() -> String {
    serde_json::to_string(&ByeFrame { command: BYE }).unwrap_or_default()
}
