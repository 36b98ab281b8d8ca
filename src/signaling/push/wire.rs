//! The payloads exactly as apps get them.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Alert<'a> {
    pub aps: AlertAps<'a>,
}

#[derive(Serialize)]
pub(super) struct AlertAps<'a> {
    #[serde(rename = "content-available")]
    pub content_available: u8,
    pub acm: u8,
    pub alert: AlertText<'a>,
    pub badge: u8,
    pub sound: &'a str,
    /// A [`UserInfo`] as text.
    #[serde(rename = "userInfo")]
    pub user_info: String,
}

#[derive(Serialize)]
pub(super) struct AlertText<'a> {
    pub title: &'a str,
    pub body: String,
}

#[derive(Serialize)]
pub(super) struct UserInfo<'a> {
    pub title: &'a str,
    #[serde(rename = "accountCaller")]
    pub account_caller: &'a str,
    pub channel: &'a str,
}

/// A notice for an app of the enterprise SDK. Over Apple's service it has `aps` beside it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum SdkNotice<'a> {
    Call {
        remote_alias: &'a str,
        remote_display_name: &'a str,
        conference_alias: &'a str,
        token: &'a str,
        time: String,
        service_type: &'a str,
        bsskey: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<&'a str>,
    },
    Cancel {
        command: &'a str,
    },
}

#[derive(Serialize)]
pub(super) struct WithAps<'a> {
    #[serde(flatten)]
    pub notice: SdkNotice<'a>,
    pub aps: Empty,
}

#[derive(Serialize)]
pub(super) struct Empty {}
