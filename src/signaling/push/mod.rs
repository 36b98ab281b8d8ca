//! What apps are sent while they are closed, by a push service: that a call rings, and that it no longer does.
//!
//! | the device's service | a call rings | the call is over |
//! |---|---|---|
//! | Apple's, for notifications | `{"aps":{"content-available":1,"acm":1,"alert":{"title":"语音通话","body":"用户CALLER邀请你语音通话"},"badge":9,"sound":"ring.caf","userInfo":"…"}}`; `userInfo` is JSON as a text: `{"title":"audiocall","accountCaller":CALLER,"channel":ROOM}` | nothing: this app knows no such notice |
//! | Apple's, for calls | `{remote_alias, remote_display_name, conference_alias, token, time, service_type, bsskey, owner?, "aps":{}}` | `{"command":"call_cancelled","aps":{}}` |
//! | JPush | the same without `aps`, as base 64, in `msg_content` of a message | `{"command":"call_cancelled"}`, in the same way |
//!
//! `time` is when the call began, in seconds since 1970, as a text: these apps ignore a call that is older than [`FRESH_FOR`].
//! `service_type` is `gateway` for a call between two, and `conference` for an invitation into a meeting. With `token` the app enters
//! `conference_alias` once, or refuses.

mod wire;

use std::time::Duration;

use serde::Serialize;

use self::wire::{Alert, AlertAps, AlertText, Empty, SdkNotice, UserInfo, WithAps};

/// Time for which apps of the enterprise SDK take a notice of a call.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(30);

/// Characters of a name that is shown. A payload may have 4 KB, and a longer name is not read anyway.
const NAME_CHARACTERS_MAX: usize = 128;

/// A call that rings at somebody whose app is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ringing {
    /// Id of the caller.
    pub caller: String,
    /// Room where the two will meet. Empty if this server carries the call.
    pub room: String,
    /// Time at which it began to ring, in seconds since 1970.
    pub began_s: i64,
    pub invitation: Invitation,
}

/// What a family says about a call for its callee's app, beside what every call has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invitation {
    /// Address of the caller, as the callee's app calls back. Without one, the id of the caller.
    pub caller: Option<String>,
    /// Name of the caller that is shown. Without one, the id.
    pub caller_name: Option<String>,
    /// Address that the callee's app enters. Without one, the room.
    pub place: Option<String>,
    /// Token that lets the callee in, once.
    pub token: Option<String>,
    pub kind: InvitationKind,
    /// Text that the app gives back when it enters.
    pub bss_key: Option<String>,
    /// Owner of the place.
    pub owner: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvitationKind {
    /// A call between two.
    #[default]
    Call,
    /// An invitation into a meeting.
    Meeting,
}

/// The notice that an app of Apple's notifications shows. `None` where it could not answer, because the call has no room.
pub(crate) fn alert(call: &Ringing) -> Option<String> {
    let Ringing { caller, room, .. } = call;
    let info = UserInfo {
        title: "audiocall",
        account_caller: caller,
        channel: room,
    };
    let alert = Alert {
        aps: AlertAps {
            content_available: 1,
            acm: 1,
            alert: AlertText {
                title: "语音通话",
                body: format!("用户{caller}邀请你语音通话"),
            },
            badge: 9,
            sound: "ring.caf",
            user_info: json(&info),
        },
    };
    (!room.is_empty()).then(|| json(&alert))
}

/// The notice of a call for an app of the enterprise SDK.
pub(crate) fn call(call: &Ringing) -> String {
    json(&notice(call))
}

/// The same over Apple's service.
pub(crate) fn voip_call(call: &Ringing) -> String {
    with_aps(notice(call))
}

/// The notice that a call is over.
pub(crate) fn cancel() -> String {
    json(&CANCEL)
}

/// The same over Apple's service.
pub(crate) fn voip_cancel() -> String {
    with_aps(CANCEL)
}

const CANCEL: SdkNotice<'static> = SdkNotice::Cancel {
    command: "call_cancelled",
};

fn notice(call: &Ringing) -> SdkNotice<'_> {
    let invitation = &call.invitation;
    let name = invitation.caller_name.as_deref().unwrap_or(&call.caller);
    SdkNotice::Call {
        remote_alias: invitation.caller.as_deref().unwrap_or(&call.caller),
        remote_display_name: first_characters(name, NAME_CHARACTERS_MAX),
        conference_alias: invitation.place.as_deref().unwrap_or(&call.room),
        token: invitation.token.as_deref().unwrap_or_default(),
        time: call.began_s.to_string(),
        service_type: match invitation.kind {
            InvitationKind::Call => "gateway",
            InvitationKind::Meeting => "conference",
        },
        bsskey: invitation.bss_key.as_deref().unwrap_or_default(),
        owner: invitation.owner.as_deref(),
    }
}

fn with_aps(notice: SdkNotice<'_>) -> String {
    json(&WithAps { notice, aps: Empty {} })
}

fn first_characters(text: &str, most: usize) -> &str {
    text.char_indices()
        .nth(most)
        .map_or(text, |(end, _)| text.get(..end).unwrap_or(text))
}

/// Texts and numbers alone are always JSON.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ringing(invitation: Invitation) -> Ringing {
        Ringing {
            caller: "12356".to_owned(),
            room: "ch_4aY875LP4o".to_owned(),
            began_s: 1_767_323_045,
            invitation,
        }
    }

    #[test]
    fn an_alert_is_what_the_app_of_calls_over_http_reads() {
        let expected = concat!(
            r#"{"aps":{"content-available":1,"acm":1,"alert":{"title":"语音通话","body":"用户12356邀请你语音通话"},"#,
            r#""badge":9,"sound":"ring.caf","userInfo":"{\"title\":\"audiocall\",\"accountCaller\":\"12356\","#,
            r#"\"channel\":\"ch_4aY875LP4o\"}"}}"#
        );
        assert_eq!(alert(&ringing(Invitation::default())).as_deref(), Some(expected));
        let carried = Ringing {
            room: String::new(),
            ..ringing(Invitation::default())
        };
        assert_eq!(alert(&carried), None, "it could not answer");
    }

    #[test]
    fn a_notice_of_the_sdk_has_what_the_family_says_and_else_what_every_call_has() {
        let expected = concat!(
            r#"{"remote_alias":"12356","remote_display_name":"12356","conference_alias":"ch_4aY875LP4o","token":"","#,
            r#""time":"1767323045","service_type":"gateway","bsskey":""}"#
        );
        assert_eq!(call(&ringing(Invitation::default())), expected);
        let full = Invitation {
            caller: Some("sip:anna@example.org".to_owned()),
            caller_name: Some("安娜".repeat(100)),
            place: Some("8001".to_owned()),
            token: Some("once".to_owned()),
            kind: InvitationKind::Meeting,
            bss_key: Some("b".to_owned()),
            owner: Some("o".to_owned()),
        };
        let expected = format!(
            concat!(
                r#"{{"remote_alias":"sip:anna@example.org","remote_display_name":"{}","conference_alias":"8001","#,
                r#""token":"once","time":"1767323045","service_type":"conference","bsskey":"b","owner":"o","aps":{{}}}}"#
            ),
            "安娜".repeat(64)
        );
        assert_eq!(voip_call(&ringing(full)), expected);
    }

    #[test]
    fn the_end_of_a_call_is_a_command() {
        assert_eq!(cancel(), r#"{"command":"call_cancelled"}"#);
        assert_eq!(voip_cancel(), r#"{"command":"call_cancelled","aps":{}}"#);
    }
}
