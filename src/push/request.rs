//! Requests to push services: their client, and answers of a bounded size.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode, redirect};
use serde_json::Value;

use super::errors::PushError;
use super::outcome::{Attempt, Fault, Outcome};
use crate::config;
use crate::destination::PublicOnly;

/// Time for one attempt. Services answer within a second; a call rings for a minute, in which several attempts have to fit.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Time for a connection. Shorter than an attempt may take, so that the log can say what was slow.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Time between two pings on a connection over which an answer is awaited, and the time for each pong. Together shorter than an
/// attempt may take: the next attempt does not go over a connection whose other end has vanished.
const PING_INTERVAL: Duration = Duration::from_secs(4);

/// Time for which a connection without requests is kept. Apple asks providers not to open and close them all the time.
const IDLE_FOR: Duration = Duration::from_secs(3_600);

/// Bytes of an answer that are read. Theirs have some hundred.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// A client for one push service. Its connections are kept, and shared by requests where the service speaks HTTP/2.
pub(super) fn client(config: &config::Push) -> Result<ClientBuilder, PushError> {
    let mut builder = Client::builder()
        .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
        .timeout(ANSWER_WITHIN)
        .connect_timeout(CONNECT_WITHIN)
        .pool_idle_timeout(IDLE_FOR)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_INTERVAL)
        .https_only(true)
        // A redirect could lead to an address that is not allowed, and would be sent our secret.
        .redirect(redirect::Policy::none())
        .no_proxy();
    if !config.allow_private_addresses {
        builder = builder.dns_resolver(Arc::new(PublicOnly));
    }
    if let Some(path) = config.certificates() {
        builder = builder.tls_certs_merge(certificates(path)?);
    }
    Ok(builder)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, PushError> {
    let read = std::fs::read(path).map_err(|cause| cause.to_string());
    let found = read.and_then(|text| Certificate::from_pem_bundle(&text).map_err(|cause| cause.to_string()));
    let problem = match found {
        Ok(certificates) if !certificates.is_empty() => return Ok(certificates),
        Ok(_) => "it holds no certificate in PEM".to_owned(),
        Err(problem) => problem,
    };
    let path = path.to_owned();
    Err(PushError::Certificates { path, problem })
}

/// What a service has answered.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body, if it is JSON; otherwise null.
    pub body: Value,
}

/// Sends a request. The error is an attempt that may be made again.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, Attempt> {
    let mut response = request.send().await.map_err(|error| failed(&error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    // The status says enough where the rest of an answer is lost, or never ends.
    while let Ok(Some(part)) = response.chunk().await {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            break;
        }
        body.extend_from_slice(&part);
    }
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Answer { status, headers, body })
}

/// An attempt without an answer. The URL is left out: it has the device's token.
fn failed(error: &reqwest::Error) -> Attempt {
    let (fault, said) = match error {
        _ if error.is_connect() => (Fault::Unreachable, "cannot be reached"),
        _ if error.is_timeout() => (Fault::NoAnswer, "does not answer in time"),
        _ => (Fault::NoAnswer, "the connection was lost before the answer"),
    };
    let pause = None;
    Attempt::new(Outcome::Again { pause, fault }, format!("{said}{}", cause_of(error)))
}

/// What is at the bottom of an error, after a colon. What stands above it may have the URL.
fn cause_of(error: &reqwest::Error) -> String {
    let mut bottom = std::error::Error::source(error);
    while let Some(inner) = bottom.and_then(std::error::Error::source) {
        bottom = Some(inner);
    }
    bottom.map_or_else(String::new, |cause| format!(": {cause}"))
}

/// The time for which a service asks to be left alone: seconds, or a date (RFC 9110 §10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(value).ok()?.timestamp();
    let now = Timestamp::try_from(now).ok()?;
    // A date that is over asks for nothing.
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_read_as_seconds_and_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        let pause = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(pause("120"), Some(Duration::from_secs(120)));
        // The example of RFC 9110 for a date, half a minute before and after.
        assert_eq!(pause("Wed, 21 Oct 2015 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(pause("Wed, 21 Oct 2015 07:27:30 GMT"), Some(Duration::ZERO));
        assert_eq!(pause("soon"), None);
        assert_eq!(pause("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
