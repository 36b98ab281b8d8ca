//! Fields, answers and events of a conference exactly as on the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::domain::LayersWanted;
use crate::ids::Features;
use crate::signaling::conferences::fields::Fields;
use crate::signaling::conferences::wire::{Done, Failed, Version};
use crate::signaling::wants::{SendLayers, VideoQuality};
use crate::signaling::words::FeatureWords;
use crate::text::TextLimit;

/// The name of a user, and the server behind it.
const DESTINATION: TextLimit = TextLimit::characters(256);

/// A value that is yes or no. `None` if it is neither.
fn flag(fields: &Fields, name: &str) -> Option<bool> {
    match fields.text(name)?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// Who enters, and how. Apps also send what they measure of their screen and of the network, which is ignored.
#[derive(Default, ToSchema)]
pub struct Entering {
    /// Name that the others are shown.
    #[schema(max_length = 128)]
    pub display_name: Option<String>,
    /// `yes`: the others do not see the participant, who publishes nothing.
    pub hideme: Option<String>,
    /// Token of a registration at this server: the participant is its account.
    pub registration_token: Option<String>,
    /// One-time token of a referral, or of a call that rings and is answered.
    pub token: Option<String>,
    /// For a call: the server of the caller, as the caller names it.
    #[schema(max_length = 256)]
    pub owner: Option<String>,
    /// For a call: a text that the callee's app is given.
    #[schema(max_length = 256)]
    pub bsskey: Option<String>,
    /// Names of the events of this server's own that the client understands: `videoQuality`, `sendLayers`. Only in JSON. A
    /// client is sent none that it has not named.
    #[schema(value_type = Option<Vec<String>>, max_items = 16)]
    pub(crate) features: Option<FeatureWords>,
}

impl Entering {
    pub fn read(fields: &Fields) -> Entering {
        let text = |name| fields.text(name).map(str::to_owned);
        Entering {
            display_name: text("display_name"),
            hideme: text("hideme"),
            registration_token: text("registration_token"),
            token: text("token"),
            owner: text("owner"),
            bsskey: text("bsskey"),
            features: FeatureWords::of(fields.value("features")),
        }
    }

    /// What the client understands beside the events that all clients do.
    pub(crate) fn understands(&self) -> Features {
        self.features.as_ref().map_or(Features::NONE, FeatureWords::understood)
    }

    pub fn hides(&self) -> bool {
        self.hideme
            .as_deref()
            .is_some_and(|word| word.eq_ignore_ascii_case("yes"))
    }
}

/// A participant's session that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    /// Token for all other requests.
    pub token: String,
    /// Seconds after which the session ends, unless it is refreshed.
    pub expires: String,
    /// Id of the participant.
    pub participant_uuid: String,
    /// Name that the others are shown.
    pub display_name: String,
    /// STUN servers: none, because the server's own addresses are in every answer.
    pub stun: Vec<Stun>,
    /// Whether the client is to report about its calls: no.
    pub analytics_enabled: bool,
    /// Version of the server.
    pub version: Version,
    /// `HOST` or `GUEST`.
    pub role: &'static str,
    /// Kind of the service: `conference`, or `gateway` for a call between two.
    pub service_type: &'static str,
    /// Where the participant is now: the same, or `waiting_room` until a host lets them in.
    pub current_service_type: &'static str,
    /// Whether there is a chat: yes.
    pub chat_enabled: bool,
    /// Name of the conference.
    #[serde(rename = "conferenceName")]
    pub conference_name: String,
    /// The features that the request names and the server has. Missing where it names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<&'static str>>,
}

/// A STUN server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Stun {
    /// Its URL.
    pub url: String,
}

/// The answer where a PIN is needed.
#[derive(Serialize, ToSchema)]
pub(crate) struct PinNeeded {
    /// Always `required`.
    pub pin: &'static str,
    /// `none` if guests need no PIN; they send `none` in its place. Otherwise `required`.
    pub guest_pin: &'static str,
}

/// The answer where somebody may not enter.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum NotAdmitted {
    /// A PIN is needed.
    PinNeeded(Done<PinNeeded>),
    /// The PIN is wrong, or entering is refused for another reason.
    Failed(Failed),
}

/// A session that goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionRefreshed {
    /// Token for all other requests: the same as before.
    pub token: String,
    /// Seconds after which the session ends, unless it is refreshed.
    pub expires: String,
    /// `HOST` or `GUEST`.
    pub role: &'static str,
}

/// The state of a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Whether guests who come are muted.
    pub guests_muted: bool,
    /// Whether guests have to wait until a host lets them in.
    pub locked: bool,
}

/// An offer. Apps also send the type of the call, and how many pictures they want, which is ignored.
#[derive(ToSchema)]
pub(crate) struct Call {
    /// The offer (RFC 8866), with all candidates of the client.
    #[schema(max_length = 65536)]
    pub sdp: String,
    /// `send`: the connection publishes a screen. `receive`: it receives the screen of whoever presents.
    pub present: Option<String>,
    /// Whether several people are to be seen at once, each by a stream of their own that `layout` names.
    pub multistream: Option<bool>,
    /// How many: of a large picture and of small ones, as `1:4`.
    pub clayout: Option<String>,
}

impl Call {
    /// `None` if there is no offer.
    pub fn read(fields: &Fields) -> Option<Call> {
        Some(Call {
            sdp: fields.text("sdp")?.to_owned(),
            present: fields.text("present").map(str::to_owned),
            multistream: flag(fields, "multistream"),
            clayout: fields.text("clayout").map(str::to_owned),
        })
    }
}

/// The answer to an offer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Called {
    /// Id of the call.
    pub call_uuid: String,
    /// The answer (RFC 8866), with all candidates of the server.
    pub sdp: String,
    /// SSRCs of the voices that may come in the answer's section of sound. Empty where none come.
    #[schema(max_items = 5)]
    pub audio_ssrcs: Vec<u32>,
}

/// A chat text.
#[derive(ToSchema)]
pub(crate) struct ChatText {
    /// The text, whatever its type is.
    #[schema(max_length = 16384)]
    pub payload: String,
}

impl ChatText {
    /// `None` if there is no text.
    pub fn read(fields: &Fields) -> Option<ChatText> {
        let payload = fields.text("payload")?.to_owned();
        Some(ChatText { payload })
    }
}

/// Whom a host calls. Apps also name a protocol, which is ignored.
#[derive(ToSchema)]
pub struct Dialing {
    /// User, with a domain or without.
    #[schema(max_length = 256)]
    pub destination: String,
    /// `chair` or `guest`: as what they enter. `guest` where it is missing.
    pub role: Option<String>,
}

impl Dialing {
    /// `None` if nobody is named.
    pub fn read(fields: &Fields) -> Option<Dialing> {
        Some(Dialing {
            destination: fields
                .text("destination")
                .filter(|text| DESTINATION.holds(text))?
                .to_owned(),
            role: fields.text("role").map(str::to_owned),
        })
    }
}

/// The answer where it rings.
#[derive(Serialize, ToSchema)]
pub(crate) struct Dialed {
    /// Always `success`.
    pub status: &'static str,
    /// Ids of the participants who may come.
    pub result: Vec<String>,
}

/// Everybody in a conference.
#[derive(Serialize, ToSchema)]
pub(crate) struct Everybody {
    /// Always `success`.
    pub status: &'static str,
    /// Those who are there or wait, in the order of their arrival.
    pub result: Vec<Participant>,
}

/// What a command about a participant may need.
#[derive(ToSchema)]
pub struct CommandFields {
    /// For `role` and `transfer`: `chair` or `guest`.
    pub role: Option<String>,
    /// For `transfer`: the conference to go to.
    #[schema(max_length = 128)]
    pub conference_alias: Option<String>,
    /// For `transfer`: a PIN of that conference.
    #[schema(max_length = 256)]
    pub pin: Option<String>,
    /// For `changeLocalStatus`: whether the client's microphone is off.
    pub ismute: Option<bool>,
    /// For `changeLocalStatus`, where the field before is missing: whether the client's microphone is on.
    pub local_audio: Option<bool>,
    /// For `changeLocalStatus`: whether the client's camera is on.
    pub local_camera: Option<bool>,
}

impl CommandFields {
    pub fn read(fields: &Fields) -> CommandFields {
        let text = |name| fields.text(name).map(str::to_owned);
        let flag = |name| flag(fields, name);
        CommandFields {
            role: text("role"),
            conference_alias: text("conference_alias"),
            pin: text("pin"),
            ismute: flag("ismute"),
            local_audio: flag("local_audio"),
            local_camera: flag("local_camera"),
        }
    }
}

/// How a client shows videos. A field that is not what it should be counts as missing.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Wanting {
    /// Heights in pixels of the videos of participants, by their ids; `*` stands for all who are not named. Nothing is sent of a
    /// video whose height is 0.
    pub heights: Option<BTreeMap<String, f64>>,
    /// Heights of screens, where they differ from `heights`.
    pub screens: Option<BTreeMap<String, f64>>,
    /// Ids of participants whom the client looks at, the most important first.
    pub on_stage: Option<Vec<String>>,
    /// Number of videos that are sent at most; 25 where it is missing.
    pub last_n: Option<f64>,
}

/// A participant, as the others are shown them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Participant {
    /// Path of requests about the participant, below that of the conference.
    pub api_url: String,
    /// Always `in`: nobody is called from here.
    pub call_direction: &'static str,
    /// Name that the others are shown.
    pub display_name: String,
    /// Whether media are encrypted: always `On`.
    pub encryption: &'static str,
    /// Whether the participant may have media: no for somebody who waits.
    pub has_media: bool,
    /// Always `NO`: what somebody publishes is not known here.
    pub is_audio_only_call: &'static str,
    /// Always false.
    pub is_external: bool,
    /// `YES` or `NO`: whether their sound is kept from the others.
    pub is_muted: &'static str,
    /// `YES` or `NO`: whether their screen is shown.
    pub is_presenting: &'static str,
    /// Always false.
    pub is_streaming_conference: bool,
    /// Always `YES`.
    pub is_video_call: &'static str,
    /// `YES` or `NO`: whether their pictures are kept from the others.
    pub is_vmuted: &'static str,
    /// Whether their microphone is on, as their client says.
    pub local_audio: bool,
    /// Conference as it was named.
    pub local_alias: String,
    /// Whether their camera is on, as their client says.
    pub local_camera: bool,
    /// Text over their picture: their name.
    pub overlay_text: String,
    /// Always `YES`.
    pub presentation_supported: &'static str,
    /// Always `webrtc`.
    pub protocol: &'static str,
    /// `chair` or `guest`.
    pub role: &'static str,
    /// Always `ALLOW`.
    pub rx_presentation_policy: &'static str,
    /// `conference`, `gateway` in a call between two, or `waiting_room` for somebody who waits to be let in.
    pub service_type: &'static str,
    /// Time since which they are shown to everybody, in seconds since 1970. 0 if they are not.
    pub spotlight: i64,
    /// Time at which they came, in seconds since 1970.
    pub start_time: i64,
    /// Id of the user.
    pub uri: String,
    /// Id of the participant.
    pub uuid: String,
    /// Always empty.
    pub vendor: &'static str,
}

/// One of those who speak, or have spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OnStage {
    pub stage_index: usize,
    pub participant_uuid: String,
    /// 100 for somebody who speaks now, 0 for others.
    pub vad: u8,
}

/// Who is shown by which stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Layout {
    pub view: String,
    pub host_view: String,
    pub guest_view: String,
    /// Ids of those who are shown.
    pub participants: Vec<String>,
    /// The SSRC of each of them, in the same order.
    pub ssrcs: Vec<u32>,
    /// By SSRC as text, that of packets which are sent again.
    pub rtx_ssrcs_map: BTreeMap<String, u32>,
    pub missing: Vec<String>,
    pub quality: &'static str,
    /// Seconds since 1970.
    pub time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presentation: Option<ShownScreen>,
}

/// The screen that is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ShownScreen {
    pub uuid: String,
    pub ssrc: u32,
    #[serde(rename = "rtxSsrc", skip_serializing_if = "Option::is_none")]
    pub rtx_ssrc: Option<u32>,
}

/// Something that a session is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Notice {
    SyncBegin {},
    SyncEnd {},
    Created(Box<Participant>),
    Updated(Box<Participant>),
    Deleted {
        uuid: String,
    },
    Status(Status),
    Stage(Vec<OnStage>),
    Layout(Box<Layout>),
    PresentationStarted {
        presenter_name: String,
        presenter_uri: String,
        presenter_uuid: String,
    },
    PresentationStopped {},
    Message {
        origin: String,
        #[serde(rename = "type")]
        kind: &'static str,
        payload: String,
        uuid: String,
    },
    CallDisconnected {
        call_uuid: String,
        reason: &'static str,
    },
    Disconnected {
        reason: &'static str,
    },
    Referred {
        alias: String,
        token: String,
    },
    VideoQuality(VideoQuality<String>),
    SendLayers(#[serde(serialize_with = "send_layers")] Arc<LayersWanted>),
}

fn send_layers<S: Serializer>(wanted: &LayersWanted, to: S) -> Result<S::Ok, S::Error> {
    SendLayers::from(wanted).serialize(to)
}

impl Notice {
    /// The kind of the event.
    pub fn kind(&self) -> &'static str {
        match self {
            Notice::SyncBegin {} => "participant_sync_begin",
            Notice::SyncEnd {} => "participant_sync_end",
            Notice::Created(_) => "participant_create",
            Notice::Updated(_) => "participant_update",
            Notice::Deleted { .. } => "participant_delete",
            Notice::Status(_) => "service_update",
            Notice::Stage(_) => "stage",
            Notice::Layout(_) => "layout",
            Notice::PresentationStarted { .. } => "presentation_start",
            Notice::PresentationStopped {} => "presentation_stop",
            Notice::Message { .. } => "message_received",
            Notice::CallDisconnected { .. } => "call_disconnected",
            Notice::Disconnected { .. } => "disconnect",
            Notice::Referred { .. } => "refer",
            Notice::VideoQuality(_) => "video_quality",
            Notice::SendLayers(_) => "send_layers",
        }
    }

    /// Whether it says how something is now. Whoever reads later is told the state of that time instead.
    pub fn is_state(&self) -> bool {
        !matches!(
            self,
            Notice::Message { .. }
                | Notice::CallDisconnected { .. }
                | Notice::Disconnected { .. }
                | Notice::Referred { .. }
        )
    }

    /// Whether it is left out where a client is far behind.
    pub fn gives_way(&self) -> bool {
        matches!(self, Notice::Message { .. })
    }

    /// Roughly the bytes that it takes.
    pub fn weight(&self) -> usize {
        match self {
            Notice::Created(one) | Notice::Updated(one) => {
                size_of::<Participant>() + 2 * one.display_name.len() + one.uri.len() + one.local_alias.len()
            }
            Notice::Layout(layout) => 512 + 128 * layout.ssrcs.len(),
            Notice::Message { origin, payload, .. } => origin.len() + payload.len(),
            Notice::SendLayers(wanted) => 128 + wanted.layers.iter().map(|(rid, _)| 32 + rid.len()).sum::<usize>(),
            _ => 256,
        }
    }
}
