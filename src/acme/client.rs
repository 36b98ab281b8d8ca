//! Requests to an authority: their number, their time, and the length of each answer are bounded, whatever the authority sends.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use axum::http::{Request, Response, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use reqwest::{Certificate, Client, redirect};

use super::failure::Kind;

/// Time for one answer. Authorities need a second or two, when they are busy some more.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of an answer. An order of a hundred names has some 15 KiB, a chain of certificates less.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Requests of one attempt, and as many for each name. An attempt needs about 25, and 4 for each name.
const REQUESTS_MAX: u32 = 80;
const REQUESTS_PER_NAME: u32 = 8;

/// Seconds that an authority may ask us to wait. None would let it make us ask without a pause; longer times are none that an
/// attempt could wait for.
const WAIT_S: std::ops::RangeInclusive<u64> = 1..=86_400;

/// The reason why the file of a root certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("tls.acme.trusted_certificate: cannot use {path}: {problem}. It must be a PEM file with a certificate")]
pub struct RootError {
    path: String,
    problem: String,
}

/// The roots by which an authority's own certificate is checked. `None`: those of the system.
#[derive(Clone)]
pub(super) struct Roots(Option<Arc<[Certificate]>>);

impl Roots {
    pub(super) fn read(file: Option<&Path>) -> Result<Roots, RootError> {
        let Some(path) = file else { return Ok(Roots(None)) };
        let read = std::fs::read(path).map_err(|cause| cause.to_string());
        let found = read.and_then(|text| Certificate::from_pem_bundle(&text).map_err(|cause| cause.to_string()));
        let problem = match found {
            Ok(roots) if !roots.is_empty() => return Ok(Roots(Some(roots.into()))),
            Ok(_) => "it holds no certificate".to_owned(),
            Err(problem) => problem,
        };
        let path = path.display().to_string();
        Err(RootError { path, problem })
    }
}

/// The reason why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("the authority cannot be reached{0}")]
    Connect(String),
    #[error("the authority does not answer in time")]
    Late,
    #[error("the connection to the authority was lost{0}")]
    Lost(String),
    #[error("the authority answers with {0}, and no reason")]
    Status(StatusCode),
    #[error("the authority answers with more than {} KiB", ANSWER_BYTES_MAX / 1024)]
    TooLong,
    #[error("the authority wants more requests than a certificate takes")]
    TooMany,
    #[error("the authority has given an address that cannot be used{0}")]
    Address(String),
}

impl Unanswered {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Unanswered::Connect(_) | Unanswered::Late | Unanswered::Lost(_) => Kind::Unreachable,
            Unanswered::Status(status) if status.is_server_error() => Kind::Unreachable,
            _ => Kind::Answer,
        }
    }
}

/// The client of one attempt.
pub(super) struct Bounded {
    client: Client,
    /// Requests that may still be made.
    left: AtomicU32,
}

impl Bounded {
    pub(super) fn new(roots: &Roots, names: usize) -> Result<Bounded, reqwest::Error> {
        let mut builder = Client::builder()
            .timeout(ANSWER_WITHIN)
            .connect_timeout(CONNECT_WITHIN)
            // Every address of ACME is one with TLS (RFC 8555 §6.1).
            .https_only(true)
            .redirect(redirect::Policy::none())
            .no_proxy();
        if let Some(roots) = &roots.0 {
            builder = builder.tls_certs_only(roots.iter().cloned());
        }
        let names = u32::try_from(names).unwrap_or_default();
        Ok(Bounded {
            client: builder.build()?,
            left: AtomicU32::new(names.saturating_mul(REQUESTS_PER_NAME).saturating_add(REQUESTS_MAX)),
        })
    }
}

impl HttpClient for Bounded {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let fewer = |left: u32| left.checked_sub(1);
        let may = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        let client = self.client.clone();
        Box::pin(async move {
            let answer = match may {
                Ok(_) => exchange(&client, request).await,
                Err(_) => Err(Unanswered::TooMany),
            };
            answer.map_err(|error| Error::Other(error.into()))
        })
    }
}

async fn exchange(client: &Client, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Unanswered> {
    let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))
        .map_err(|error| Unanswered::Address(cause_of(&error)))?;
    let mut response = client.execute(request).await.map_err(|error| unanswered(&error))?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| unanswered(&error))? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(Unanswered::TooLong);
        }
        body.extend_from_slice(&part);
    }
    let status = response.status();
    let is_problem = || serde_json::from_slice::<Problem>(&body).is_ok();
    // A redirect is not followed, so it is no answer either.
    if !status.is_success() && (status.is_redirection() || !is_problem()) {
        return Err(Unanswered::Status(status));
    }
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.headers = with_a_sound_wait(response.headers().clone());
    Ok(BytesResponse {
        parts,
        body: Box::new(Bytes::from(body)),
    })
}

/// Brings the seconds of Retry-After into their range. The library adds them to the time of day as they are, which panics where there
/// are too many. Dates cannot be so far away.
fn with_a_sound_wait(mut headers: HeaderMap) -> HeaderMap {
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = text.and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(seconds) = seconds {
        let seconds = seconds.clamp(*WAIT_S.start(), *WAIT_S.end());
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    match error {
        _ if error.is_builder() => Unanswered::Address(cause_of(error)),
        _ if error.is_connect() => Unanswered::Connect(cause_of(error)),
        _ if error.is_timeout() => Unanswered::Late,
        _ => Unanswered::Lost(cause_of(error)),
    }
}

/// What is at the bottom of an error, after a colon.
fn cause_of(error: &reqwest::Error) -> String {
    let mut bottom = std::error::Error::source(error);
    while let Some(inner) = bottom.and_then(std::error::Error::source) {
        bottom = Some(inner);
    }
    bottom.map_or_else(String::new, |cause| format!(": {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_without_end_and_no_seconds_become_a_wait_that_can_be_waited_for() {
        let wait = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            with_a_sound_wait(headers)[RETRY_AFTER].to_str().unwrap().to_owned()
        };
        assert_eq!(wait("5"), "5");
        assert_eq!(wait("0"), "1");
        assert_eq!(wait("18446744073709551615"), "86400");
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT"), "Fri, 31 Dec 1999 23:59:59 GMT");
        assert!(with_a_sound_wait(HeaderMap::new()).is_empty());
    }

    #[tokio::test]
    async fn an_address_without_tls_is_not_asked() {
        let client = Bounded::new(&Roots(None), 1).unwrap();
        let request = || {
            Request::get("http://127.0.0.1:1/")
                .body(BodyWrapper::default())
                .unwrap()
        };
        for _ in 0..REQUESTS_MAX + REQUESTS_PER_NAME {
            let error = client.request(request()).await.err().unwrap().to_string();
            assert!(error.contains("address that cannot be used"), "{error}");
        }
        let error = client.request(request()).await.err().unwrap().to_string();
        assert!(error.contains("more requests"), "{error}");
    }
}
