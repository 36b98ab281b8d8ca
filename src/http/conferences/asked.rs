//! What a request says: its fields, its headers, and who sends it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, Uri};

use crate::conferences::Credentials;
use crate::http::client::Client;
use crate::http::desk::{NotDone, Token};
use crate::http::host;
use crate::http::state::AppState;
use crate::shares::ClientAddress;
use crate::signaling::conferences::{self as wire, Fields, Unreadable};

/// Headers with credentials. Apps send both, or one.
static CREDENTIALS: [HeaderName; 2] = [
    axum::http::header::AUTHORIZATION,
    HeaderName::from_static("x-cloud-authorization"),
];

/// Header with the session id of a login.
const SESSION: HeaderName = HeaderName::from_static("sessionid");

/// Header with the token of a registration, or of a conference.
const TOKEN: HeaderName = HeaderName::from_static("token");

/// Header with the PIN of a conference.
const PIN: HeaderName = HeaderName::from_static("pin");

/// A request, as far as this family reads it.
pub(super) struct Asked {
    pub client: ClientAddress,
    /// The server, as the client names it: without a port.
    pub host: String,
    /// The server, as the client names it: with its port, where it names one.
    pub authority: String,
    pub fields: Result<Fields, Unreadable>,
    headers: HeaderMap,
}

impl Asked {
    pub fn credentials(&self) -> Option<Credentials> {
        let values = CREDENTIALS.iter().flat_map(|name| self.headers.get_all(name));
        let mut texts = values.filter_map(|value| value.to_str().ok());
        texts.find_map(wire::credentials)
    }

    pub fn session(&self) -> Option<&str> {
        self.header(&SESSION)
    }

    /// The token, wherever it is.
    pub fn token(&self) -> Option<&str> {
        let in_fields = self.fields.as_ref().ok().and_then(wire::token);
        in_fields.or_else(|| self.header(&TOKEN))
    }

    /// The token of an entry of the desk.
    pub fn entry(&self) -> Result<Token, NotDone> {
        self.token().and_then(Token::read).ok_or(NotDone::UnknownToken)
    }

    pub fn pin(&self) -> Option<&str> {
        self.header(&PIN)
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then_some(value)
    }
}

/// Time in which a request has to come, whole. It is short, and a phone's network may be slow.
const BODY_WITHIN: Duration = Duration::from_secs(20);

impl FromRequest<AppState> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Self::Rejection> {
        let client = request.extensions().get::<Client>().copied();
        let Client(client) = client.unwrap_or(Client(ClientAddress::UNKNOWN));
        let authority = host::of(&request);
        let host = authority.as_ref().map(|authority| authority.host().to_owned());
        let headers = request.headers().clone();
        let uri: Uri = request.uri().clone();
        // Whoever waits for a host waits without a limit, but has sent the whole request first.
        let body = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state));
        let fields = match body.await {
            Ok(Ok(body)) => Fields::read(&body, uri.query().unwrap_or_default()),
            Ok(Err(_)) | Err(_) => Err(Unreadable),
        };
        Ok(Asked {
            client,
            host: host.unwrap_or_default(),
            authority: authority.map(|authority| authority.to_string()).unwrap_or_default(),
            fields,
            headers,
        })
    }
}
