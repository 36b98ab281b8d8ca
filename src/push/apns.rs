//! Apple's push service, by its HTTP/2 interface ("Sending notification requests to APNs", "Handling notification responses from
//! APNs").

use std::time::SystemTime;

use reqwest::header::HeaderValue;
use reqwest::{Client, StatusCode, Url};
use uuid::Uuid;

use super::errors::PushError;
use super::outcome::{Attempt, Fault, Outcome};
use super::provider_token::ProviderTokens;
use super::request::{self, Answer};
use crate::clock::{MonotonicClock, WallClock};
use crate::config;
use crate::destination::Destination;

/// Bytes of a payload that is a call, and of any other.
const CALL_BYTES_MAX: usize = 5 * 1024;
const ALERT_BYTES_MAX: usize = 4 * 1024;

/// Characters of a device's token. Apple promises no length; today's have 64, or 160 for calls.
const TOKEN_CHARACTERS_MAX: usize = 400;

/// Characters of a reason. The longest of today's has 27.
const REASON_CHARACTERS_MAX: usize = 64;

pub(super) struct Apns {
    client: Client,
    base: Url,
    topic: String,
    tokens: ProviderTokens,
    clock: WallClock,
}

/// A notice, the same in each attempt.
#[derive(Clone, Debug)]
pub(super) struct ApnsNotice {
    pub id: Uuid,
    pub kind: Kind,
    pub payload: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Alert,
    Call,
}

impl Apns {
    pub fn open(config: &config::Push, clock: WallClock, passed: MonotonicClock) -> Result<Apns, PushError> {
        let key = |cause| PushError::Key("push.apns.key_file", cause);
        let url = |cause| PushError::Url("push.apns.url", cause);
        let base = Destination::read(config.apns.url(), config.allow_private_addresses).map_err(url)?;
        Ok(Apns {
            // Nothing but HTTP/2 is offered: APNs speaks nothing else.
            client: request::client(config)?.http2_prior_knowledge().build()?,
            base: base.https_url().map_err(url)?,
            topic: config.apns.topic.clone(),
            tokens: ProviderTokens::open(&config.apns, clock.clone(), passed).map_err(key)?,
            clock,
        })
    }

    /// Makes one attempt. A provider token that Apple refuses is made anew once, if it may be.
    pub async fn send(&self, device: &str, notice: &ApnsNotice) -> Attempt {
        let most = match notice.kind {
            Kind::Alert => ALERT_BYTES_MAX,
            Kind::Call => CALL_BYTES_MAX,
        };
        if notice.payload.len() > most {
            return Attempt::new(Outcome::TooLarge, format!("the payload has more than {most} bytes"));
        }
        let Some(url) = self.url(device) else {
            // Apple would say the same. Nothing of a text that somebody made up goes into the path of a request.
            return Attempt::new(Outcome::Gone { since_s: None }, "BadDeviceToken: it is not hexadecimal");
        };
        let mut is_second = false;
        loop {
            let token = match self.tokens.token() {
                Ok(token) => token,
                Err(error) => return Attempt::new(Outcome::NotAllowed, error.to_string()),
            };
            let (kind, topic) = match notice.kind {
                Kind::Alert => ("alert", self.topic.clone()),
                Kind::Call => ("voip", format!("{}.voip", self.topic)),
            };
            let Ok(mut authorization) = HeaderValue::try_from(format!("bearer {token}")) else {
                return Attempt::new(Outcome::NotAllowed, "the provider token does not fit into a header");
            };
            authorization.set_sensitive(true);
            let request = self
                .client
                .post(url.clone())
                .header("authorization", authorization)
                .header("apns-id", notice.id.to_string())
                .header("apns-topic", topic)
                .header("apns-push-type", kind)
                .header("apns-priority", "10")
                // A call that cannot be delivered now is over when it could.
                .header("apns-expiration", "0")
                .header("content-type", "application/json")
                .body(notice.payload.clone());
            let answer = match request::send(request).await {
                Ok(answer) => answer,
                Err(attempt) => return attempt,
            };
            if is_about_provider_token(&answer) && !is_second && self.tokens.refused(&token) {
                is_second = true;
                continue;
            }
            return read(&answer, (self.clock)());
        }
    }

    /// The address of a device. `None` if its token is none. Some apps send it as it is printed: `<0123 4567 …>`.
    fn url(&self, device: &str) -> Option<Url> {
        let is_part = |c: &char| !matches!(c, '<' | '>' | ' ');
        let device: String = device.chars().filter(is_part).collect();
        let fits = !device.is_empty()
            && device.len() <= TOKEN_CHARACTERS_MAX
            && device.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut url = self.base.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["3", "device", &device]);
        fits.then_some(url)
    }
}

fn reason(answer: &Answer) -> &str {
    let reason = answer.body.get("reason").and_then(|reason| reason.as_str());
    // Apple's are words without spaces. Anything else may be a secret, or another line of the log.
    let is_word =
        |text: &&str| text.len() <= REASON_CHARACTERS_MAX && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    reason.filter(is_word).unwrap_or_default()
}

fn is_about_provider_token(answer: &Answer) -> bool {
    answer.status == StatusCode::FORBIDDEN && matches!(reason(answer), "ExpiredProviderToken" | "InvalidProviderToken")
}

fn read(answer: &Answer, now: SystemTime) -> Attempt {
    let reason = reason(answer);
    let again = |fault| Outcome::Again {
        pause: request::retry_after(&answer.headers, now),
        fault,
    };
    let outcome = match (answer.status.as_u16(), reason) {
        (200, _) => Outcome::Taken,
        // Apple gives the time in milliseconds.
        (410, _) => Outcome::Gone {
            since_s: answer
                .body
                .get("timestamp")
                .and_then(|at| at.as_i64())
                .map(|at| at / 1_000),
        },
        (400, "BadDeviceToken") => Outcome::Gone { since_s: None },
        (403, _)
        | (400, "BadTopic" | "MissingTopic" | "TopicDisallowed" | "DeviceTokenNotForTopic" | "InvalidPushType") => {
            Outcome::NotAllowed
        }
        // This provider makes too many tokens: several servers share the key, or it was started again and again.
        (429, "TooManyProviderTokenUpdates") => Outcome::NotAllowed,
        (413, _) => Outcome::TooLarge,
        (429, _) => again(Fault::TooMany),
        (500..=599, _) => again(Fault::Broken),
        _ => Outcome::Refused,
    };
    Attempt::new(outcome, format!("{} {reason}", answer.status.as_u16()).trim_end())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    fn outcome(status: u16, body: Value) -> Attempt {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body,
        };
        read(&answer, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn each_answer_means_what_apple_says() {
        let reason = |reason: &str| json!({ "reason": reason });
        let again = |fault| Outcome::Again { pause: None, fault };
        let gone = |since_s| Outcome::Gone { since_s };
        let cases = [
            (200, Value::Null, Outcome::Taken),
            (400, reason("BadDeviceToken"), gone(None)),
            (400, reason("DeviceTokenNotForTopic"), Outcome::NotAllowed),
            (400, reason("BadMessageId"), Outcome::Refused),
            (400, Value::Null, Outcome::Refused),
            (403, reason("ExpiredProviderToken"), Outcome::NotAllowed),
            (403, reason("Forbidden"), Outcome::NotAllowed),
            (404, reason("BadPath"), Outcome::Refused),
            (405, reason("MethodNotAllowed"), Outcome::Refused),
            (
                410,
                json!({ "reason": "Unregistered", "timestamp": 1_767_323_045_678_i64 }),
                gone(Some(1_767_323_045)),
            ),
            (410, reason("ExpiredToken"), gone(None)),
            (413, reason("PayloadTooLarge"), Outcome::TooLarge),
            (429, reason("TooManyRequests"), again(Fault::TooMany)),
            (429, reason("TooManyProviderTokenUpdates"), Outcome::NotAllowed),
            (500, reason("InternalServerError"), again(Fault::Broken)),
            (503, reason("Shutdown"), again(Fault::Broken)),
        ];
        for (status, body, expected) in cases {
            assert_eq!(outcome(status, body.clone()).outcome, expected, "{status} {body}");
        }
    }

    #[test]
    fn a_reason_that_is_no_word_is_not_passed_on() {
        assert_eq!(outcome(400, json!({ "reason": "BadTopic" })).said, "400 BadTopic");
        for text in ["a\nline", "a word", &"x".repeat(65)] {
            assert_eq!(outcome(400, json!({ "reason": text })).said, "400");
        }
    }
}
