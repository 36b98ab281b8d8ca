//! Conferences over HTTP, as the apps of an enterprise SDK speak them, below `/api`: login, registration, and calls that ring.
//!
//! Apps are closed programs, so whatever can be understood is taken: the fields of a request as JSON whatever its type says, as a
//! form, or in the query. Fields that are not known are ignored. What is sent is exact.
//!
//! | request | fields | what it does |
//! |---|---|---|
//! | `GET`, `POST` `v3/app/user/login/verify_user.shtml` | `account`, `pwd` | logs a user in |
//! | `POST` `v3/meet/checkJoin.shtml` | `joinAccount`, optional `joinPwd`, `participantName` | says whether somebody may join, and as what |
//! | `POST` `registrations/ACCOUNT/new_session` | optional `device_id`, `device_type` | the account is registered for 120 s: calls ring here. With a device, they ring there too, by its push service, until `end_session` |
//! | `POST` `registrations/ACCOUNT/refresh_session` | `token` | the registration lasts for another 120 s |
//! | `POST` `registrations/ACCOUNT/end_session` | `token` | the registration ends, and calls no longer ring at the device that it came with |
//! | `GET` `registrations/ACCOUNT/events` | `token` | the events of the registration, as server-sent events |
//! | `POST` `v3/meet/conference/meet/dot_out_call.shtml`, `v3/app/conference/meet/dot_out_call.shtml` | `remote_account`, optional `bsskey`, `owner` | announces a call to that account; `bsskey` and `owner` are passed on when it begins within half a minute |
//! | `POST` `v3/app/registrations/jpush_token` | `device_id`, `device_type` | calls ring at this device by its push service, without a registration |
//! | `POST` `v3/app/registrations/del_jpush_token` | `device_id`, `device_type` | calls no longer ring there |
//! | `POST` `services/CONFERENCE/end_session` | `token` | refuses the call that rings, whose one-time token this is, or ends the session in the conference |
//! | other requests below `services/CONFERENCE` | | sessions in conferences: [`meeting`] |
//!
//! An account is the id of a user who has a password. A domain behind it (`anna@example.org`) is ignored where there is no user of
//! the whole name. In a path the at sign may be itself, `%40` or `%%40`. The token of a registration is in the body, in the header
//! `token`, or in the query.
//!
//! **Who asks.** `new_session` takes the header `Authorization` or `X-Cloud-Authorization`: `x-cloud-basic ` and the base 64 of
//! `USER:PASSWORD`, with as much padding as the app likes; the user has no domain. `jpush_token` takes the header `sessionId`, with
//! the session id of a login that is not older than three minutes, and credentials, where they are sent, must be right.
//! `del_jpush_token` takes either.
//!
//! **Conferences and their PINs.** `checkJoin` names a conference by its alias, with a domain behind it or without, and shows a PIN;
//! without one they come as a guest. `results` are `{isDot, sipkey, alias, password, participantName, roleType, mcuHost, companyId,
//! isRecord, isLive, conferenceName, allowGuest}`: `roleType` is `host` or `guest`, `password` the PIN again, `mcuHost` this server.
//! An account, and the room of a call that rings, can be joined too: `isDot` is then true, and `roleType` empty. `code` is 403 for a
//! PIN that is missing or wrong, 404 where there is nothing of that name, and 429 after ten wrong PINs within a minute.
//!
//! **Answers.** Login, `checkJoin` and the two requests of devices have status 200 and `{code, timeStamp, results}`: `code` is `"200"` if it is
//! done, and otherwise `results` is a sentence; 401 is also the status where a device is refused because nobody is logged in. A
//! login's `results` are `{id, account, trueName, userName, sipkey, session_id, companyId}`. A wrong password, and an account that
//! does not exist, have the same answer after the same time. All others have `{"status":"success","result":…}`, or
//! `{"status":"failed","result":SENTENCE}` with status 400 for a body that is neither JSON nor a form, 401 for wrong credentials
//! and unknown tokens, 403 for a one-time token that is not valid any more, 404 for a conference that it is not for, 429 after too
//! many wrong passwords, and 503 where there is no place.
//!
//! **Events.** `incoming`: `{conference_alias, remote_display_name, token, remote_alias, owner, service_type, time, bsskey}`; a call
//! rings. `time` is when it began, in seconds since 1970, as a text. The caller is `remote_alias`, at the server `owner`: some
//! clients answer at `remote_alias@owner` instead of `conference_alias`. `incoming_cancelled`: `{token}`; it no longer rings. A
//! comment comes when nothing else has come for 15 s. The stream ends with the registration, or when a newer one of the same
//! registration begins.
//!
//! An account has eight registrations at most; one more ends the oldest, and one more of the same device ends the older one.

mod fields;
pub mod meeting;
mod proof;
mod wire;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

pub use self::fields::{Fields, Unreadable};
pub use self::proof::{credentials, name_in_path, shown_pin};
pub(crate) use self::wire::{
    Coded, Device, Done, Ended, Failed, INCOMING, INCOMING_CANCELLED, Incoming, IncomingCancelled, Joinable, Joining,
    LoggedInUser, Login, Nothing, OutgoingCall, Refreshed, Registration, TokenField,
};
use self::wire::{CodedResults, Version};
use crate::conferences::{Invitation, InvitationToken, LoggedIn, Occasion, Place};
use crate::domain::Role;
use crate::storage::{Entry, Guests, ShownPin};

/// The field, the header and the part of a query that have a token.
const TOKEN: &str = "token";

/// Kind of a call between two.
const GATEWAY: &str = "gateway";

/// Kind of an invitation into a meeting.
const CONFERENCE: &str = "conference";
const YES: &str = "yes";
const NO: &str = "no";

/// Code of what is done.
const CODE_OF_DONE: &str = "200";

/// Number of the company: a server is of one.
const COMPANY: i64 = 1;

/// The token in the fields of a request.
pub(crate) fn token(fields: &Fields) -> Option<&str> {
    fields.text(TOKEN)
}

/// The token of a registration in the fields of a request that has another token, too.
pub(crate) fn registration_token(fields: &Fields) -> Option<&str> {
    fields.text("registration_token")
}

/// An answer with a code. A refusal is a code and a sentence.
pub(crate) fn coded<T: Serialize>(now_s: i64, zone: &TimeZone, outcome: Result<T, (u16, String)>) -> Coded<T> {
    let at = Timestamp::from_second(now_s).map(|at| at.to_zoned(zone.clone()));
    let time_stamp = at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let (code, results) = match outcome {
        Ok(done) => (CODE_OF_DONE.to_owned(), CodedResults::Done(done)),
        Err((code, sentence)) => (code.to_string(), CodedResults::Failed(sentence)),
    };
    Coded {
        code,
        time_stamp: time_stamp.unwrap_or_default(),
        results,
    }
}

/// What somebody may join at this server, as its client names it.
pub(crate) fn joinable(place: Place, joining: &Joining, server: &str) -> Joinable {
    let call = Joinable {
        is_dot: true,
        sipkey: String::new(),
        alias: String::new(),
        password: String::new(),
        participant_name: joining.participant_name.clone().unwrap_or_default(),
        role_type: "",
        mcu_host: server.to_owned(),
        company_id: COMPANY,
        is_record: false,
        is_live: false,
        conference_name: String::new(),
        allow_guest: YES,
    };
    match place {
        Place::Conference(Entry { role, conference }) => Joinable {
            is_dot: false,
            sipkey: conference.alias.to_string(),
            alias: conference.alias.to_string(),
            password: match joining.shown_pin() {
                ShownPin::Pin(pin) => pin.to_owned(),
                ShownPin::Nothing | ShownPin::AsGuest => String::new(),
            },
            role_type: match role {
                Role::Host => "host",
                Role::Guest => "guest",
            },
            conference_name: conference.name,
            allow_guest: if conference.guests == Guests::Nobody { NO } else { YES },
            ..call
        },
        Place::User(account) => Joinable {
            sipkey: account.number.to_string(),
            alias: account.person.user.to_string(),
            conference_name: account.person.name,
            ..call
        },
        Place::Call {
            invitation,
            caller_name,
        } => Joinable {
            alias: invitation.room.to_string(),
            conference_name: caller_name,
            ..call
        },
    }
}

/// Somebody who has logged in at this server.
pub(crate) fn logged_in(LoggedIn { account, session_id }: LoggedIn, host: &str) -> LoggedInUser {
    let id = account.person.user.to_string();
    LoggedInUser {
        id: account.number,
        user_name: match id.contains('@') {
            true => id.clone(),
            false => format!("{id}@{host}"),
        },
        account: id,
        true_name: account.person.name,
        sipkey: account.number.to_string(),
        session_id,
        company_id: COMPANY,
    }
}

pub(crate) fn done<T>(result: T) -> Done<T> {
    let status = "success";
    Done { status, result }
}

pub(crate) fn failed(sentence: impl Into<String>) -> Failed {
    Failed {
        status: "failed",
        result: sentence.into(),
    }
}

/// A registration that lasts for so many seconds.
pub(crate) fn registration(token: String, lasts_s: u64) -> Registration {
    Registration {
        registration_uuid: uuid(&token),
        token,
        expires: lasts_s.to_string(),
        directory_enabled: false,
        route_via_registrar: true,
        version: version(),
    }
}

fn version() -> Version {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Version {
        pseudo_version: version.clone(),
        version_id: version,
    }
}

pub(crate) fn refreshed(token: String, lasts_s: u64) -> Refreshed {
    let expires = lasts_s.to_string();
    Refreshed { token, expires }
}

/// An id that nobody learns the token from.
fn uuid(token: &str) -> String {
    uuid_of(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref())
}

/// The first bytes of a digest, written as a UUID.
fn uuid_of(digest: &[u8]) -> String {
    let digits = hex::encode(digest);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| digits.get(from..to).unwrap_or_default());
    parts.join("-")
}

/// The event that a call rings. `owner` is this server as its client names it.
pub(crate) fn incoming(invitation: &Invitation, token: InvitationToken, caller_name: String, owner: &str) -> Incoming {
    Incoming {
        conference_alias: invitation.room.to_string(),
        remote_display_name: caller_name,
        token: token.text(),
        remote_alias: invitation.caller().to_string(),
        owner: invitation.details.owner.clone().unwrap_or_else(|| owner.to_owned()),
        service_type: match invitation.details.occasion {
            Occasion::Call => GATEWAY,
            Occasion::Meeting { .. } => CONFERENCE,
        },
        time: invitation.began_s.to_string(),
        bsskey: invitation.details.bss_key.clone(),
    }
}

pub(crate) fn incoming_cancelled(token: InvitationToken) -> IncomingCancelled {
    let token = token.text();
    IncomingCancelled { token }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PushService;

    #[test]
    fn a_device_is_its_token_at_the_service_of_its_kind() {
        let read = |id: &str, kind: &str| {
            let body = serde_json::json!({ "device_id": id, "device_type": kind }).to_string();
            let device = Device::read(&Fields::read(body.as_bytes(), "").unwrap())?;
            Some((device.service, device.token, device.device))
        };
        let md5 = "0123456789abcdef0123456789abcdef";
        let known = |service, token: &str, id: &str| Some((service, token.to_owned(), id.to_owned()));
        let id = format!("abcd__{md5}");
        assert_eq!(read(&id, "ios"), known(PushService::ApnsVoip, "abcd", &id));
        assert_eq!(read("1a__key", "Android"), known(PushService::JPush, "1a", "1a__key"));
        assert_eq!(
            read("1a__b__key", "android"),
            known(PushService::JPush, "1a__b", "1a__b__key")
        );
        assert_eq!(read("1a", "android"), known(PushService::JPush, "1a", "1a"));
        for (id, kind) in [
            ("", "ios"),
            ("__x", "ios"),
            ("a\nb", "ios"),
            ("a", ""),
            ("a", "web"),
            (&*"x".repeat(401), "ios"),
        ] {
            assert_eq!(read(id, kind), None, "{id} {kind}");
        }
    }

    #[test]
    fn an_id_of_a_registration_is_a_uuid_and_says_nothing_of_the_token() {
        let made = registration("00ff".to_owned(), 120);
        let lengths: Vec<usize> = made.registration_uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(!made.registration_uuid.contains("00ff"));
    }
}
