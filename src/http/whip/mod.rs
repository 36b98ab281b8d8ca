//! The requests of WHIP and WHEP: their routes, bodies and headers. [`crate::signaling::whip`] describes the format; the
//! sessions are at the desk ([`super::desk`]), each with an entry for its one connection.

mod body;
mod refusals;
mod session;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use body::{text_of, token_of};
use refusals::NotServed;
use serde::Deserialize;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::client;
use super::desk::{Answer, Arrival, NotDone, Purpose, Token};
use super::errors::HttpError;
use super::openapi::whip as described;
use super::origin::{self, Origins, Sharing};
use super::state::AppState;
use crate::clock::since_1970;
use crate::domain::{Conference, MediaKind, PublishRights, Refusal, RoomKind, UserFeed};
use crate::ids::{RoomName, UserId};
use crate::media::codec::Kind;
use crate::media::description::Description;
use crate::media::peer::negotiate;
use crate::shares::ClientAddress;
use crate::signaling::whip::{self, EntryRequest, IceServer, OFFER_TYPE, TRICKLE_TYPE};
use crate::signaling::{Client, TimedApp};
use crate::turn::announced::RelayAt;
use crate::turn::credentials::Credentials;

/// Bytes of a body: an offer of the greatest length that any family takes.
const BODY_BYTES_MAX: usize = 64 * 1024;

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

pub(super) fn router(origins: &Origins) -> OpenApiRouter<AppState> {
    let endpoints = OpenApiRouter::new()
        .routes(routes!(publish).map(|route| route.get(nothing)))
        .routes(routes!(watch_speaker).map(|route| route.get(nothing)))
        .routes(routes!(watch).map(|route| route.get(nothing)));
    let sessions = OpenApiRouter::new().routes(routes!(session::show, session::change, session::end));
    // Around the guard, which answers OPTIONS.
    let accepting = |name, body| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(body));
    let endpoints = origin::guarded(endpoints, origins, sharing()).layer(accepting(ACCEPT_POST, OFFER_TYPE));
    let sessions = origin::guarded(sessions, origins, sharing()).layer(accepting(ACCEPT_PATCH, TRICKLE_TYPE));
    described::completed(endpoints.merge(sessions)).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// What pages of other origins need: RFC 9725 §4.2 has them send and read these.
fn sharing() -> Sharing {
    Sharing::of([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .sending([header::AUTHORIZATION, header::IF_MATCH])
        .reading([header::LOCATION, header::ETAG, header::LINK, header::RETRY_AFTER])
}

/// The answer about a resource without a representation (RFC 9725 §4.1).
async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// A request to open a session, with all that it says. Whether it is allowed has not been checked yet.
struct Opening {
    state: AppState,
    address: ClientAddress,
    names: Names,
    query: whip::Query,
    token: Option<String>,
    description: Description,
    relay: Option<RelayAt>,
}

/// The names in its address.
#[derive(Deserialize)]
struct Names {
    room: String,
    /// The one who is watched.
    user: Option<String>,
}

impl FromRequest<AppState> for Opening {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &AppState) -> Result<Opening, HttpError> {
        let (mut parts, body) = request.into_parts();
        let Ok(client::Client(address)) = client::Client::from_request_parts(&mut parts, state).await;
        let names = Path::from_request_parts(&mut parts, state).await;
        let Path(names) = names.map_err(|_| NotServed::BadName)?;
        let query = Query::from_request_parts(&mut parts, state).await;
        let Query(query) = query.map_err(|_| NotServed::BadQuery)?;
        let headers = parts.headers.clone();
        let relay = state.relay_for(&parts);
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let description = whip::description(text_of(OFFER_TYPE, &headers, body)?).ok_or(NotServed::TooLong)?;
        negotiate::check(&description).map_err(NotServed::from)?;
        Ok(Opening {
            state: state.clone(),
            address,
            names,
            query,
            token: token_of(&headers),
            description,
            relay,
        })
    }
}

/// Publish into a room
///
/// By WHIP (RFC 9725): the offer sends, the answer receives. The session that is made has the address in `Location`.
#[utoipa::path(
    post,
    path = "/whip/{room}",
    tag = "whip",
    params(("room" = String, Path, min_length = 1, max_length = 128, description = "Name of a room of the group call, or of a channel."), whip::Query),
    request_body(content = String, description = "The offer (RFC 8866).", content_type = "application/sdp"),
    responses(described::Opened),
    security((), ("token" = []))
)]
async fn publish(opening: Opening) -> Result<Response, HttpError> {
    let offers = PublishRights {
        audio: opening.description.sends(Kind::Audio),
        video: opening.description.sends(Kind::Video),
    };
    if offers == PublishRights::NONE {
        return Err(NotServed::SendsNothing.into());
    }
    let feed = opening.query.feed.into();
    opening
        .open(offers, |user| Purpose::Feed(UserFeed { user, feed }))
        .await
}

/// Watch the one who speaks
///
/// By WHEP: the offer receives one section of sound and one of pictures, of the one who speaks, or of somebody who publishes where
/// nobody has spoken yet.
#[utoipa::path(
    post,
    path = "/whep/{room}",
    tag = "whip",
    params(("room" = String, Path, min_length = 1, max_length = 128, description = "Name of a room of the group call, or of a channel."), whip::Query),
    request_body(content = String, description = "The offer (RFC 8866).", content_type = "application/sdp"),
    responses(described::Opened),
    security((), ("token" = []))
)]
async fn watch_speaker(opening: Opening) -> Result<Response, HttpError> {
    let speaker = Conference {
        speaker_slots: vec![MediaKind::Audio, MediaKind::Video],
        ..Conference::default()
    };
    opening.open_to_watch(Purpose::Conference(speaker)).await
}

/// Watch a user
///
/// By WHEP: the offer receives what this user publishes.
#[utoipa::path(
    post,
    path = "/whep/{room}/{user}",
    tag = "whip",
    params(("room" = String, Path, min_length = 1, max_length = 128, description = "Name of a room of the group call, or of a channel."), ("user" = String, Path, min_length = 1, max_length = 128, description = "User whose feed is received."), whip::Query),
    request_body(content = String, description = "The offer (RFC 8866).", content_type = "application/sdp"),
    responses(described::Opened),
    security((), ("token" = []))
)]
async fn watch(opening: Opening) -> Result<Response, HttpError> {
    let feed = opening.query.feed.into();
    let user = opening.names.user.as_deref().and_then(whip::name);
    let user = user.map(UserId::from).ok_or(NotServed::BadName)?;
    opening.open_to_watch(Purpose::Feed(UserFeed { user, feed })).await
}

impl Opening {
    async fn open_to_watch(self, purpose: Purpose) -> Result<Response, HttpError> {
        if !self.description.receives() {
            return Err(NotServed::ReceivesNothing.into());
        }
        self.open(PublishRights::NONE, |_| purpose).await
    }

    /// Enters the room, offers the connection, and answers with the session that was made.
    async fn open(self, offers: PublishRights, purpose: impl FnOnce(UserId) -> Purpose) -> Result<Response, HttpError> {
        let state = self.state;
        let Arrival { session, held } = state.desk.receive(self.address).await.map_err(NotServed::from)?;
        let client = Client {
            rooms: RoomKind::Group,
            session,
            admission: state.records.admission(self.address, state.passed.clone()),
            config: state.config.clone(),
            clock: state.clock.clone(),
            keys: state.accounts.keys(),
            token: self.token,
            relay: self.relay,
            app: Some(TimedApp {
                app: state.app.clone(),
                passed: state.passed.clone(),
            }),
        };
        let entry = EntryRequest {
            room: &self.names.room,
            query: self.query,
            offers,
            made_up: made_up_name(),
        };
        let known = async |channel: &RoomName| state.channels.people(channel).await;
        let user = whip::enter(&client, entry, known).await.map_err(NotServed::from)?;
        let relays = relays(&client);
        let token = state.desk.open_for_a_connection(client.session, held);
        let answered = state.desk.offer(token, purpose(user), self.description).await;
        match answered {
            Ok(answer) => Ok(created(token, answer, &relays)),
            Err(refused) => {
                state.desk.close(token);
                Err(match refused {
                    NotDone::UnknownToken | NotDone::Refused(Refusal::SessionEnded) => NotServed::EndedMeanwhile,
                    refused => NotServed::from(refused),
                }
                .into())
            }
        }
    }
}

/// The relays that a client may use, as `Link` headers.
fn relays<A>(client: &Client<A>) -> Vec<String> {
    let Some(relay) = &client.relay else {
        return Vec::new();
    };
    let Credentials { username, password } = relay.credentials(since_1970(&client.clock).as_secs());
    let link = |url: &String| {
        let credentials = Some((&*username, &*password));
        IceServer { url, credentials }.link()
    };
    relay.urls().iter().map(link).collect()
}

fn created(token: Token, Answer { sdp, number, .. }: Answer, relays: &[String]) -> Response {
    let links = relays.iter().map(|link| (header::LINK, link));
    (
        StatusCode::CREATED,
        [
            (header::CONTENT_TYPE, OFFER_TYPE.to_owned()),
            (header::LOCATION, format!("/whip/session/{}", token.text())),
            (header::ETAG, whip::etag(number)),
        ],
        AppendHeaders(links.collect::<Vec<_>>()),
        sdp,
    )
        .into_response()
}

/// A name for a client that gives none: one of four thousand million, so that two of a room hardly ever have the same one.
fn made_up_name() -> String {
    format!("whip-{:08x}", rand::random::<u32>())
}
