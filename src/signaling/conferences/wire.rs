//! Fields and answers exactly as on the wire.

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::fields::Fields;
use super::proof::{push_token, shown_pin};
use crate::conferences::Details;
use crate::ids::PushService;
use crate::storage::{PushDevice, ShownPin};
use crate::text::TextLimit;

/// What an app calls its device: a token of a push service, two underscores, and which app it is.
const DEVICE: TextLimit = TextLimit::characters(400);

/// A text that is passed on to the app of a callee, whose push service takes 4 KB in all.
const PASSED_ON: TextLimit = TextLimit::characters(256);

/// What somebody logs in with. Apps also send `host`, `plat_type` and `login_url`, which are ignored.
#[derive(ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Login {
    /// Account: the id of a user, with a domain behind it or without.
    #[schema(max_length = 128)]
    #[param(max_length = 128)]
    pub account: String,
    /// Password of the account.
    #[schema(max_length = 256)]
    #[param(max_length = 256)]
    pub pwd: String,
}

impl Login {
    /// Fields that are missing are empty: nobody has such an account.
    pub fn read(fields: &Fields) -> Login {
        let text = |name| fields.text(name).unwrap_or_default().to_owned();
        Login {
            account: text("account"),
            pwd: text("pwd"),
        }
    }
}

/// What somebody asks who wants to join. Apps may send more, which is ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Joining {
    /// Alias of a conference, id of a user, or room of a call that rings; with a domain behind it or without.
    #[schema(max_length = 128)]
    pub join_account: String,
    /// PIN of the conference. Empty: they come as a guest without one.
    #[schema(max_length = 256)]
    pub join_pwd: Option<String>,
    /// Name under which they want to be shown.
    #[schema(max_length = 128)]
    pub participant_name: Option<String>,
}

impl Joining {
    pub fn read(fields: &Fields) -> Joining {
        let text = |name| fields.text(name).map(str::to_owned);
        Joining {
            join_account: text("joinAccount").unwrap_or_default(),
            join_pwd: text("joinPwd"),
            participant_name: text("participantName"),
        }
    }

    /// Apps ask once, so whoever sends no PIN comes as a guest.
    pub fn shown_pin(&self) -> ShownPin<'_> {
        match shown_pin(self.join_pwd.as_deref()) {
            ShownPin::Nothing => ShownPin::AsGuest,
            shown => shown,
        }
    }
}

/// What somebody may join.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Joinable {
    /// Whether it is a call between two.
    pub is_dot: bool,
    /// Short number of the conference, or of the user.
    pub sipkey: String,
    /// Alias for `new_session`.
    pub alias: String,
    /// The PIN that was sent; empty without one, and for a call.
    pub password: String,
    /// The name that was sent.
    pub participant_name: String,
    /// `host` or `guest`; empty for a call.
    pub role_type: &'static str,
    /// Server of the conference, with its port if it needs one.
    pub mcu_host: String,
    /// Number of the company: always 1.
    pub company_id: i64,
    /// Whether they may record: no.
    pub is_record: bool,
    /// Whether they may send a live stream: no.
    pub is_live: bool,
    /// Name of the conference, of the user, or of the caller.
    pub conference_name: String,
    /// `yes` if guests may enter, else `no`.
    pub allow_guest: &'static str,
}

/// How a device is woken when a call rings.
#[derive(ToSchema)]
pub(crate) struct Device {
    /// Token of the push service, two underscores, and which app it is: for `ios` the MD5 of the certificate's name, for `android`
    /// the JPush AppKey.
    #[schema(max_length = 400)]
    pub device_id: String,
    /// `ios` or `android`.
    pub device_type: String,
}

impl Device {
    /// The device that a request names. `None` if it names none that can be woken.
    pub fn read(fields: &Fields) -> Option<PushDevice> {
        let device = Device {
            device_id: fields.text("device_id")?.to_owned(),
            device_type: fields.text("device_type").unwrap_or_default().to_ascii_lowercase(),
        };
        let service = match device.device_type.as_str() {
            "ios" => PushService::ApnsVoip,
            "android" => PushService::JPush,
            _ => return None,
        };
        let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        let token = push_token(&device.device_id);
        if token.is_empty() || !DEVICE.holds(&device.device_id) || device.device_id.contains(is_odd) {
            return None;
        }
        Some(PushDevice {
            service,
            token: token.to_owned(),
            device: device.device_id,
        })
    }
}

/// The token of a registration.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "the document alone shows it: it may also be in a header, or in the query"
)]
pub(crate) struct TokenField {
    /// Token of the registration.
    pub token: String,
}

/// The answer to a login, and to a device on a server of one company.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Coded<T> {
    /// `200` if it is done.
    pub code: String,
    /// Time of the answer, `YYYY-MM-DD HH:MM:SS`, in the time zone of `dapi.time_zone`.
    pub time_stamp: String,
    /// What was asked for, or a sentence that says what is wrong.
    pub results: CodedResults<T>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum CodedResults<T> {
    Done(T),
    Failed(String),
}

/// A user who has logged in.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedInUser {
    /// Number of the user.
    pub id: i64,
    /// Id of the user.
    pub account: String,
    /// Name that others are shown.
    #[serde(rename = "trueName")]
    pub true_name: String,
    /// Address of the user: id and server.
    #[serde(rename = "userName")]
    pub user_name: String,
    /// Short number of the user.
    pub sipkey: String,
    /// Proof of the login, valid for three minutes.
    pub session_id: String,
    /// Number of the company: always 1.
    #[serde(rename = "companyId")]
    pub company_id: i64,
}

/// A call that is about to begin. Apps also send `sipkey`, `account` and `secret_key`, which are ignored.
#[derive(ToSchema)]
pub(crate) struct OutgoingCall {
    /// Account that will be called: the id of a user or their short number, with a domain or without.
    #[schema(max_length = 128)]
    pub remote_account: String,
    /// Text for the callee's app.
    #[schema(max_length = 256)]
    pub bsskey: Option<String>,
    /// Server of the caller, as the callee's app is to be told.
    #[schema(max_length = 256)]
    pub owner: Option<String>,
}

impl OutgoingCall {
    pub fn read(fields: &Fields) -> OutgoingCall {
        let text = |name| fields.text(name).map(str::to_owned);
        OutgoingCall {
            remote_account: text("remote_account").unwrap_or_default(),
            bsskey: text("bsskey"),
            owner: text("owner"),
        }
    }

    /// What the callee is told about the call. Longer texts than the callee's app could be sent are left out.
    pub fn details(self) -> Details {
        let short = |text: Option<String>| text.filter(|text| PASSED_ON.holds(text));
        Details {
            bss_key: short(self.bsskey).unwrap_or_default(),
            owner: short(self.owner),
            ..Details::default()
        }
    }
}

/// Nothing more to say.
#[derive(Serialize, ToSchema)]
pub(crate) struct Nothing {}

/// The answer to every other request that is done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Done<T> {
    /// Always `success`.
    pub status: &'static str,
    /// What was asked for.
    pub result: T,
}

/// The answer where there is nothing to say but that it is done.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ended {
    /// Always `success`.
    pub status: &'static str,
    /// Always true.
    pub result: bool,
}

/// The answer to every other request that is refused.
#[derive(Serialize, ToSchema)]
pub(crate) struct Failed {
    /// Always `failed`.
    pub status: &'static str,
    /// Sentence that says what is wrong.
    pub result: String,
}

/// A registration that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct Registration {
    /// Token for the requests about this registration.
    pub token: String,
    /// Seconds after which it ends, unless it is refreshed.
    pub expires: String,
    /// Id of the registration.
    pub registration_uuid: String,
    /// Whether there is a directory to search: no.
    pub directory_enabled: bool,
    /// Whether calls go through this server: yes.
    pub route_via_registrar: bool,
    /// Version of the server.
    pub version: Version,
}

/// The version of the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// Version in full.
    pub pseudo_version: String,
    /// Version.
    pub version_id: String,
}

/// A registration that goes on.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refreshed {
    /// Token for the requests about this registration: the same as before.
    pub token: String,
    /// Seconds after which it ends, unless it is refreshed.
    pub expires: String,
}

/// The kinds of events.
pub(crate) const INCOMING: &str = "incoming";
pub(crate) const INCOMING_CANCELLED: &str = "incoming_cancelled";

/// A call rings.
#[derive(Serialize, ToSchema)]
pub(crate) struct Incoming {
    /// Conference that whoever answers enters.
    pub conference_alias: String,
    /// Name of the caller.
    pub remote_display_name: String,
    /// One-time token, by which the call is answered or refused.
    pub token: String,
    /// Id of the caller.
    pub remote_alias: String,
    /// Server of the caller.
    pub owner: String,
    /// `gateway`: a call between two. `conference`: an invitation into a meeting.
    pub service_type: &'static str,
    /// When it began to ring, in seconds since 1970.
    pub time: String,
    /// Text of the caller's for the callee's app.
    pub bsskey: String,
}

/// A call no longer rings.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncomingCancelled {
    /// Token of the call.
    pub token: String,
}
