//! Conferences from inside, below `/api/services/CONFERENCE`: who enters has a session, reads events, offers connections, and asks.
//! [`super`] describes how fields, names in paths and answers are written.
//!
//! **Sessions.** `POST new_session` with the header `pin` (a PIN, or `none` of a guest who needs none) and the fields `display_name`,
//! `hideme` (`yes`: on no list, publishes nothing), `registration_token` (of a registration: the participant is its account), `token`
//! (a one-time token), `owner` and `bsskey` (texts for somebody who is called), `features` (below). The result: `{token, expires, participant_uuid,
//! display_name, stun, analytics_enabled, version, role, service_type, current_service_type, chat_enabled, conferenceName}`. Where a
//! PIN is missing: status 403 and `{"status":"success","result":{"pin":"required","guest_pin":"none"|"required"}}`; a wrong one is
//! 403 and `failed`. Where there is no such conference, the user of that name is called: `service_type` is `gateway`. A one-time token
//! answers a call that rings, or stands for the PIN of a referral. `POST refresh_session` keeps the session for another 120 s;
//! `POST end_session` ends it. Each request but the first has the token in the header `token` or in the query. A token that is not
//! known, is over, or is of another conference: 401. `current_service_type` is `waiting_room` while the participant waits for a host;
//! until they are let in they have no connection, and say nothing.
//!
//! **Events**, by one stream at a time: a WebSocket at `/wapi/services/CONFERENCE/wsevents?token=`, with frames
//! `{"_command":"event","_eventName":KIND,"_eventId":NUMBER,"data":DATA}` and `{"_command":"bye"}` at the end, or server-sent events at
//! `GET events?token=`. A stream begins with the whole state. Whoever reads too slowly misses texts, and their stream ends without `bye`:
//! they begin another one.
//!
//! | event | data |
//! |---|---|
//! | `service_update` | `{guests_muted, locked}` |
//! | `participant_sync_begin`, `participant_sync_end` | `{}`; between them `participant_create` for everybody, oneself included |
//! | `participant_create`, `participant_update` | the participant (`Participant` in `wire.rs`). `is_muted` says what the server forwards, `local_audio` what the client says of itself |
//! | `participant_delete` | `{uuid}` |
//! | `presentation_start`, `presentation_stop` | `{presenter_name, presenter_uri, presenter_uuid}`, `{}`. One's own screen is not announced to oneself |
//! | `stage` | `[{stage_index, participant_uuid, vad}]`: who speaks (100), then who has spoken (0) |
//! | `layout` | `{view, host_view, guest_view, participants, ssrcs, rtx_ssrcs_map, missing, quality, time, presentation}`: the stream of each who is seen over the main connection |
//! | `message_received` | `{origin, type, payload, uuid}`. One's own texts do not come back |
//! | `call_disconnected` | `{call_uuid, reason}`: a connection has ended by itself |
//! | `refer` | `{alias, token}`: go to that conference, with this one-time token |
//! | `disconnect` | `{reason}`: the last event |
//! | `video_quality` | `{sender, height, state, wanted, reason, feed}`: what the client gets of a video has changed; about one video once a second at most, and the newest of each in the state with which a stream begins. `sender` is the id of whoever publishes it. `height` is that of the pictures that are sent, in pixels, 0 where none are; `wanted`, where it is known, the height that `wants` asks for. `state`: `full`, `reduced`, `paused` or `unwanted`; `reason` unless it is `full`: `bandwidth` (the path to the client carries no more), `sender` (no more is published) or `viewer` (the client wants none). `feed` only where it is `screen`. Only to clients with the feature `videoQuality`; of whoever is no longer in `layout` it no longer holds |
//! | `send_layers` | `{layers, maxBitrate, feed}`: other encodings of the client's own video are wanted than before. `layers` has each encoding's rid, true where it is wanted (an encoding without a rid has the key `""`): nobody sees the others, so the client stops them (`active`) until they are wanted again. `maxBitrate`, where something bounds it, in bit/s of the highest of them. `feed` only where it is `screen`. For the first time within ten seconds, again after each offer, and in the state with which a stream begins. Only to clients with the feature `sendLayers` |
//!
//! The last two are this server's own, so that only clients are sent them that have named them among the `features` of their
//! `new_session`: a list of texts, of which the first 16 are read, and what is no list counts as missing. The result then has
//! `features`, too: those of them that the server has, which may be none, and `videoWants` for the request `wants`. There is no
//! error: a name that is not known is passed over.
//!
//! A participant's id follows from room and user: it is the same in all sessions, and for people who came another way.
//!
//! **Connections.** `POST participants/OWN/calls` with `sdp`, an offer, gives `{call_uuid, sdp, audio_ssrcs}`; the answer has all
//! candidates of the server. The main connection publishes camera and microphone, and receives up to five voices and one picture; with
//! `multistream` as many pictures as `clayout` (`1:4`) says, and the screen of whoever presents, each by a stream that `layout` names.
//! All voices come in one section of sound, each by a stream of its own: `audio_ssrcs` has their SSRCs, of which the answer itself
//! names the first. `present`: `send` publishes a screen, `receive` receives one. `POST participants/OWN/calls/CALL/ack` (nothing is
//! left to be done), `/update` with another offer, whose result is like that of `calls`, `/disconnect`.
//!
//! **Requests.** `GET service_status`, `GET participants`, `POST message` with `payload`. For hosts: `dial` with `destination` and
//! `role`, which calls a user into the conference and gives the ids that they may have; `lock`, `unlock`, `start_service`,
//! `muteguests`, `unmuteguests`, `disconnect` (everybody); below `participants/ID/`: `disconnect`, `mute`, `unmute`, `hard_vmute`,
//! `hard_uvmute`, `spotlighton`, `spotlightoff`, `unlock` (lets somebody in), `role` (`role`: `chair` or `guest`), `transfer` (`role`,
//! `conference_alias`, `pin`). Below one's own id also without being a host: `changeLocalStatus` (`ismute`, `local_audio`,
//! `local_camera`), `wants`, `mute`, `unmute`, `disconnect`. They answer true. So do requests that have no effect here, because no picture is
//! composed, nobody hears tones, and everybody may hear everybody and receive screens (`WITHOUT_EFFECT` in `commands.rs`). Others are 404.
//!
//! `wants` is this server's own: how each video is shown. `heights` has a height in pixels for each participant's id
//! (`{"ID":720,"*":180}`; `*` stands for all others, and 0 asks for nothing), `screens` the same for screens where they differ, `onStage`
//! the ids of those whom one looks at, the most important first, and `lastN` how many videos come at most. The newest replaces the one
//! before; ids of nobody who is there are left out.

mod commands;
mod connections;
mod frames;
mod outbox;
mod uuids;
mod videos;
mod view;
mod wire;
mod words;

use std::sync::Arc;

pub use self::commands::{
    CallStep, NoCommand, Requested, about_conference, about_participant, call_step, is_local_status, local_status,
};
pub use self::connections::CallKind;
use self::frames::{ByeFrame, EventFrame};
pub(crate) use self::outbox::{Behind, Outbox};
use self::uuids::participant_uuid;
pub(crate) use self::view::{Moment, View};
pub(crate) use self::wire::{
    Call, Called, ChatText, Dialed, Everybody, NotAdmitted, Notice, Session, SessionRefreshed, Status,
};
pub use self::wire::{CommandFields, Dialing, Entering, Wanting};
pub(crate) use self::words::{Service, pin_needed};
use super::fields::Fields;
use super::version;
use crate::conferences::{Details, Occasion};
use crate::domain::{Command, Conference, Heights, Role, VideoWants};
use crate::ids::{Feed, RoomName, UserId};
use crate::media::description::Description;
use crate::signaling::{limits, offer, wants};
use crate::text::{self, TextLimit};

/// People who are heard at once: as many as a client plays of one section.
const VOICES: u8 = 5;

/// People who are seen at once where a client does not say how many.
const PICTURES: u8 = 8;

/// As many as a connection may have.
const PICTURES_MAX: u8 = 16;

/// A text of a caller.
const DETAIL: TextLimit = TextLimit::characters(256);

/// Words that name the command of a frame in a WebSocket.
const EVENT: &str = "event";
const BYE: &str = "bye";

/// What is wrong with a chat text, or an offer.
pub(crate) const TOO_LONG_OR_NO_TEXT: &str = "the payload is missing, or has more than 16384 characters";
pub(crate) const NO_OFFER: &str = "the sdp is missing, or has more than 65536 bytes";

/// The name that the client gives itself, cut where it is too long.
pub fn own_name(entering: &Entering) -> Option<String> {
    let name = entering.display_name.as_deref()?.trim();
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(text::NAME.characters)
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The answer to whoever has entered.
pub(crate) fn session(
    view: &View,
    token: String,
    lasts_s: u64,
    conference_name: String,
    entering: &Entering,
) -> Session {
    Session {
        token,
        expires: lasts_s.to_string(),
        participant_uuid: view.own_uuid(),
        display_name: view.own().name.clone(),
        stun: Vec::new(),
        analytics_enabled: false,
        version: version(),
        role: words::role_of_session(view.role()),
        service_type: words::service(view.service(), false),
        current_service_type: words::service(view.service(), view.is_waiting()),
        chat_enabled: true,
        conference_name,
        features: entering.features.as_ref().map(|named| named.words().to_vec()),
    }
}

pub(crate) fn session_refreshed(view: &View, token: String, lasts_s: u64) -> SessionRefreshed {
    SessionRefreshed {
        token,
        expires: lasts_s.to_string(),
        role: words::role_of_session(view.role()),
    }
}

/// What a client wants of videos. It names people by their ids, which `view` knows.
pub(crate) fn video_wants(fields: &Fields, view: &View) -> Command {
    let named = *wants::video_wants(|name| fields.value(name));
    let user_of = |id: &UserId| view.user_of(id.as_str());
    let of_users = |heights: Heights| Heights {
        of_users: heights
            .of_users
            .into_iter()
            .filter_map(|(id, height)| Some((user_of(&id)?, height)))
            .collect(),
        of_others: heights.of_others,
    };
    Command::Want(Box::new(VideoWants {
        last_n: named.last_n,
        on_stage: named.on_stage.iter().filter_map(user_of).collect(),
        cameras: of_users(named.cameras),
        screens: of_users(named.screens),
    }))
}

/// A chat text in a request. `None` if there is none, or it is too long.
pub fn chat_text(fields: &Fields) -> Option<Command> {
    let ChatText { payload } = ChatText::read(fields)?;
    let text = Arc::from(payload.as_str());
    limits::TEXT.holds(&payload).then_some(Command::SendText { text })
}

/// An offer, and what it is for.
pub struct Offered {
    pub kind: CallKind,
    /// People who are to be seen at once.
    pub pictures: u8,
    pub description: Description,
}

/// The offer in a request. `None` if there is none, or it is too long.
pub fn offered(fields: &Fields) -> Option<Offered> {
    let Call {
        sdp,
        present,
        multistream,
        clayout,
    } = Call::read(fields)?;
    let kind = match present.as_deref() {
        Some("send") => CallKind::SendScreen,
        Some("receive") => CallKind::ReceiveScreen,
        // `main`: camera and microphone. No picture is composed here, so there is none with a screen in it.
        _ => CallKind::Main,
    };
    let pictures = match multistream {
        Some(true) => clayout.as_deref().and_then(pictures_of).unwrap_or(PICTURES),
        _ => 1,
    };
    Some(Offered {
        kind,
        pictures,
        description: offer::offer(sdp)?.description,
    })
}

/// The pictures of a layout of a large one and small ones, as `1:4`. `None` if it is none, or there are more than a connection may
/// have.
fn pictures_of(layout: &str) -> Option<u8> {
    let (large, small) = layout.split_once(':')?;
    let pictures = large
        .trim()
        .parse::<u8>()
        .ok()?
        .checked_add(small.trim().parse().ok()?)?;
    (1..=PICTURES_MAX).contains(&pictures).then_some(pictures)
}

/// What goes over the main connection: the participant's camera and microphone, everybody's sound, and the pictures of so many. Who
/// is sent several gets the screen of whoever presents as well.
pub fn main_connection(pictures: u8) -> Conference {
    Conference {
        publish: Some(Feed::Camera),
        sound_slots: VOICES,
        picture_slots: pictures,
        presentation: pictures > 1,
        ..Conference::default()
    }
}

/// What goes over the connection that receives the screen of whoever presents.
pub(crate) fn presentation() -> Conference {
    Conference {
        presentation: true,
        ..Conference::default()
    }
}

/// What a caller says about the call.
pub fn details(entering: &Entering, is_known: bool) -> Details {
    let bounded = |text: &Option<String>| text.clone().filter(|text| DETAIL.holds(text));
    Details {
        occasion: Occasion::Call,
        // A user is shown by the name that is recorded.
        caller_name: own_name(entering).filter(|_| !is_known),
        bss_key: bounded(&entering.bsskey).unwrap_or_default(),
        owner: bounded(&entering.owner),
    }
}

/// What the host of a conference says about a call into it.
pub fn invitation(dialing: &Dialing, name: String) -> Details {
    let role = dialing.role.as_deref().and_then(words::role_named);
    Details {
        occasion: Occasion::Meeting {
            as_host: role == Some(Role::Host),
        },
        caller_name: Some(name),
        ..Details::default()
    }
}

/// The ids of these users as participants of a conference, each once.
pub(crate) fn participants<'a>(room: &RoomName, users: impl Iterator<Item = &'a UserId>) -> Vec<String> {
    let mut ids: Vec<String> = users.map(|user| participant_uuid(room, user)).collect();
    ids.dedup();
    ids
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_says_how_many_pictures_there_are() {
        for (layout, pictures) in [
            ("1:4", Some(5)),
            ("4:0", Some(4)),
            ("2:21", None),
            ("0:0", None),
            ("1", None),
            ("1:x", None),
            ("255:1", None),
        ] {
            assert_eq!(pictures_of(layout), pictures, "{layout}");
        }
    }

    #[test]
    fn a_plain_offer_gets_one_picture_and_others_as_many_as_they_want() {
        let pictures = |body: &str| {
            let offered = offered(&Fields::read(body.as_bytes(), "").unwrap()).unwrap();
            (offered.kind, offered.pictures)
        };
        let main = CallKind::Main;
        assert_eq!(pictures("sdp=x&clayout=1:4"), (main, 1));
        assert_eq!(pictures(r#"{"sdp":"x","multistream":true,"clayout":"1:4"}"#), (main, 5));
        assert_eq!(pictures("sdp=x&multistream=true&present=main"), (main, PICTURES));
        assert_eq!(pictures("sdp=x&present=send").0, CallKind::SendScreen);
        assert_eq!(pictures("sdp=x&present=receive").0, CallKind::ReceiveScreen);
        assert!(offered(&Fields::read(b"present=send", "").unwrap()).is_none());
    }

    #[test]
    fn frames_name_their_events() {
        let frame = event_frame(7, &Notice::PresentationStopped {});
        let expected = r#"{"_command":"event","_eventName":"presentation_stop","_eventId":7,"data":{}}"#;
        assert_eq!(frame, expected);
        assert_eq!(bye_frame(), r#"{"_command":"bye"}"#);
    }
}
