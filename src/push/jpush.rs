//! JPush, by its interface v3. Its codes are those of the page "Push API v3", section "Call Return", and of "Overview of Server-side
//! REST API", section "API Frequency Control" (docs.jiguang.cn; github.com/jpush/jpush-docs, `en/docs/jpush/server/push/`):
//!
//! | status | code | meaning there | here |
//! |---|---|---|---|
//! | 400 | 1011 | no push targets meet the conditions. We name one device, so it is this one: unknown, or not seen for 255 days | gone |
//! | 400 | 1003 | a value is illegal; among others the registration id, which the message then names | gone, or refused |
//! | 400 | 1008 | the AppKey is illegal | not allowed |
//! | 401 | 1004 | verification failed: AppKey or Master Secret | not allowed |
//! | 403 | 2003, 2004 | the AppKey, or our address, may not use the interface | not allowed |
//! | 429 | 2002 | too many requests in this minute; `X-Rate-Limit-Reset` has the seconds until the next begins | again |
//! | 500, 503 | 1000, 1030 | an error of the service, a timeout inside it | again |
//! | others | | | refused |

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::errors::PushError;
use super::keys;
use super::outcome::{Attempt, Fault, Outcome};
use super::request::{self, Answer};
use crate::clock::WallClock;
use crate::config;
use crate::destination::Destination;

/// Bytes of the message's content ("Call Return", code 1005).
const CONTENT_BYTES_MAX: usize = 4_000;

/// Characters of what the service says that are shown.
const SAID_CHARACTERS_MAX: usize = 200;

pub(super) struct JPush {
    client: Client,
    url: Url,
    app_key: String,
    secret: String,
    clock: WallClock,
}

/// A notice, the same in each attempt.
#[derive(Clone, Debug)]
pub(super) struct JPushNotice {
    /// Number of the notice, not 0.
    pub number: u32,
    /// Text that the app gets.
    pub payload: String,
}

impl JPush {
    pub fn open(config: &config::Push, clock: WallClock) -> Result<JPush, PushError> {
        let key = |cause| PushError::Key("push.jpush.secret_file", cause);
        let url = |cause| PushError::Url("push.jpush.url", cause);
        let file = &config.jpush.secret_file;
        let text = String::from_utf8(keys::read(file).map_err(key)?).unwrap_or_default();
        let secret = text.trim();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(key(keys::content(
                file,
                "does not hold one word, the Master Secret, alone",
            )));
        }
        let destination = Destination::read(&config.jpush.url, config.allow_private_addresses).map_err(url)?;
        Ok(JPush {
            client: request::client(config)?.build()?,
            url: destination.https_url().map_err(url)?,
            app_key: config.jpush.app_key.clone(),
            secret: secret.to_owned(),
            clock,
        })
    }

    /// Makes one attempt. A device that is not connected now gets the notice if it is within that time.
    pub async fn send(&self, device: &str, notice: &JPushNotice, within: Duration) -> Attempt {
        let content = STANDARD.encode(&notice.payload);
        if content.len() > CONTENT_BYTES_MAX {
            return Attempt::new(
                Outcome::TooLarge,
                format!("the content has more than {CONTENT_BYTES_MAX} bytes"),
            );
        }
        let body = json!({
            "platform": ["android"],
            "audience": { "registration_id": [device] },
            "message": { "msg_content": content },
            "options": { "sendno": notice.number, "time_to_live": within.as_secs() },
        });
        let request = self
            .client
            .post(self.url.clone())
            .basic_auth(&self.app_key, Some(&self.secret))
            .header("content-type", "application/json")
            .body(body.to_string());
        match request::send(request).await {
            Ok(answer) => read(&answer, device, (self.clock)()),
            Err(attempt) => attempt,
        }
    }
}

fn read(answer: &Answer, device: &str, now: SystemTime) -> Attempt {
    let error = answer.body.get("error");
    let code = error.and_then(|error| error.get("code")).and_then(Value::as_i64);
    let message = error
        .and_then(|error| error.get("message"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is_about_device = message
        .to_ascii_lowercase()
        .replace(['_', ' '], "")
        .contains("registrationid");
    let outcome = match (answer.status.as_u16(), code.unwrap_or(0)) {
        (200, 0) => Outcome::Taken,
        (_, 1011) => Outcome::Gone { since_s: None },
        (_, 1003) if is_about_device => Outcome::Gone { since_s: None },
        (_, 1004 | 1008 | 2003 | 2004) | (401, _) => Outcome::NotAllowed,
        (_, 2002) | (429, _) => Outcome::Again {
            pause: pause(answer, now),
            fault: Fault::TooMany,
        },
        (_, 1000 | 1030) | (500..=599, _) => Outcome::Again {
            pause: request::retry_after(&answer.headers, now),
            fault: Fault::Broken,
        },
        (_, 1005) => Outcome::TooLarge,
        _ => Outcome::Refused,
    };
    let code = code.map_or_else(String::new, |code| format!(" {code}"));
    let message = shown(message, device);
    Attempt::new(
        outcome,
        format!("{}{code} {message}", answer.status.as_u16()).trim_end(),
    )
}

/// Time until the next request may be made.
fn pause(answer: &Answer, now: SystemTime) -> Option<Duration> {
    let reset = answer.headers.get("x-rate-limit-reset");
    let seconds = reset.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    request::retry_after(&answer.headers, now).or(seconds.map(Duration::from_secs))
}

/// What the service says, on one line and without the device's token.
fn shown(message: &str, device: &str) -> String {
    let message = match device {
        "" => message.to_owned(),
        device => message.replace(device, "…"),
    };
    let printable = message.chars().filter(|c| !c.is_control());
    printable.take(SAID_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    const DEVICE: &str = "160a3797c8310e4f8bd";

    fn outcome(status: u16, code: i64, message: &str) -> Attempt {
        let body = match code {
            0 => json!({ "sendno": "18", "msg_id": "1828256757" }),
            code => json!({ "error": { "code": code, "message": message } }),
        };
        let reset = ("x-rate-limit-reset".parse().unwrap(), "7".parse().unwrap());
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter([reset]),
            body,
        };
        read(&answer, DEVICE, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn each_code_means_what_the_service_says() {
        let pause = Some(Duration::from_secs(7));
        let again = |pause, fault| Outcome::Again { pause, fault };
        let gone = Outcome::Gone { since_s: None };
        let cases = [
            (200, 0, "", Outcome::Taken),
            (400, 1002, "Missing parameter", Outcome::Refused),
            (400, 1003, "Audience value must be JSON Array format!", Outcome::Refused),
            (400, 1003, "The registration_id 160a has invalid format", gone),
            (400, 1005, "too large", Outcome::TooLarge),
            (400, 1008, "app_key", Outcome::NotAllowed),
            (400, 1011, "cannot find user by this audience", gone),
            (401, 1004, "Authen failed", Outcome::NotAllowed),
            (403, 2003, "The appKey is in black list.", Outcome::NotAllowed),
            (403, 2004, "ip", Outcome::NotAllowed),
            (403, 2005, "too much for this user", Outcome::Refused),
            (404, 1020, "https only", Outcome::Refused),
            (429, 2002, "Rate limit exceeded", again(pause, Fault::TooMany)),
            (500, 1000, "error", again(None, Fault::Broken)),
            (502, 0, "", again(None, Fault::Broken)),
            (503, 1030, "timeout", again(None, Fault::Broken)),
        ];
        for (status, code, message, expected) in cases {
            assert_eq!(
                outcome(status, code, message).outcome,
                expected,
                "{status} {code} {message}"
            );
        }
    }

    #[test]
    fn what_the_service_says_is_shown_without_the_device_and_on_one_line() {
        let message = format!("registration_id {DEVICE}\nis unknown {}", "x".repeat(1_000));
        let said = outcome(400, 1003, &message).said;
        assert!(said.starts_with("400 1003 registration_id …is unknown xxx"), "{said}");
        assert!(said.chars().count() <= 210, "{said}");
    }
}
