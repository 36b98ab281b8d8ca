//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-03) over HTTP: programs such as OBS and GStreamer publish into a room of the
//! group call, or receive from one, without a socket. An offer goes there, its answer comes back, and media flow.
//!
//! | request | body | answers |
//! |---|---|---|
//! | `POST /whip/{room}` | the offer, `application/sdp` | 201: the answer, `application/sdp`; `Location`: the address of the session that was made, `ETag`: the state of its ICE, `Link` with `rel="ice-server"` for each STUN or TURN server |
//! | `POST /whep/{room}` | the same | the same. It receives the one who speaks, or somebody who publishes where nobody has spoken yet: one section of sound, one of pictures |
//! | `POST /whep/{room}/{user}` | the same | the same. It receives what this user publishes. 409 with `Retry-After` if they are not there |
//! | `PATCH` on the session | `application/trickle-ice-sdpfrag` (RFC 8840 §9), with `If-Match` | 204 for candidates: they are of no use, because the server finds clients by their own checks (ICE-lite). 200 for a new ICE user and password, which restart ICE: ours as `application/trickle-ice-sdpfrag`, and another `ETag` |
//! | `DELETE` on the session | | 200; the session is over |
//! | `GET` on either | | 204: there is nothing to show |
//! | `OPTIONS` on either | | 200 with `Accept-Post` or `Accept-Patch`, and what browsers ask in advance |
//!
//! A query may have:
//!
//! | name | meaning |
//! |---|---|
//! | `userId` | the user as whom the client enters the room. Where it is missing, it is the owner of the token; without a token, a name that the server makes up |
//! | `pw` | the room's password, or a PIN of the conference |
//! | `feed` | `camera` (where it is missing) or `screen`: which of the user's feeds is published or received |
//!
//! Who the client is: `Authorization: Bearer`, with a token of this server or an access token for this room and user
//! ([`super::identity`]). A channel is entered with an access token alone. Joining is the same as in every family: the user is
//! seen, and replaces an older session of the same user, but only where the offer can be answered and there is a place for its
//! connection. A viewer by WHEP is seen by nobody and replaces nobody; so watching needs a token, unless the configuration says
//! otherwise (`whip.watch_without_token`). Of an offer to publish, what the access token does not allow is answered with sections
//! that receive nothing.
//!
//! Errors have a JSON object with one sentence under `error`: 400 for an offer that cannot be answered, with the reason; 401 for
//! a token that is missing or not valid; 403 for somebody else's token, one that lets its owner publish nothing of what is offered,
//! a wrong password, or an unknown user; 404 for a session that is not known, or is over; 409 for a name that somebody else has
//! proven, and where the user has come again before the answer; 412 and 428 for an `If-Match` that does not fit, or is missing; of
//! two that restart the same ICE the second gets 412; 413 and 415 for a body that is too long, or of another type; 422 for an ICE
//! restart of an offer with several transports; 429 with `Retry-After` after too many wrong passwords, or too many offers from one
//! address; 503 with `Retry-After` where there is no place.
//!
//! A session is over with `DELETE`, when its connection does not come about within 30 s or is lost (a client that falls silent has five
//! minutes to restart ICE), when the user comes again
//! with a newer one or has to leave the room, or when the user who is received leaves. Nothing about that is sent; DTLS is closed.

mod fragment;
mod wire;

pub use self::fragment::Fragment;
pub(crate) use self::fragment::{FragmentError, Wish, fragment_of};
pub(crate) use self::wire::{IceServer, OFFER_TYPE, Precondition, Query, TRICKLE_TYPE, bearer, etag};
use super::client::{Admission, Client};
use super::identity::Ticket;
use super::join::{Join, enter as enter_room};
use super::json::Text;
use super::offer;
use super::reaction::Close;
use crate::auth::access_token::looks_like_access_token;
use crate::clock::now_s;
use crate::domain::PublishRights;
use crate::ids::{Features, RoomName, UserId};
use crate::media::description::Description;
use crate::text;

/// What a client is refused for before it has offered anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotEntered {
    /// No token, though there has to be one.
    NoToken,
    /// A token that proves nothing now.
    BadToken,
    /// An access token, and no user whom it could be for.
    NoUser,
    /// A name of a wrong length.
    BadName,
    /// An access token that lets its owner publish nothing of what is offered.
    MayNotPublish,
    Closed(Close),
}

/// What the owner of an access token is sent who does not say who they are.
pub(crate) const NO_USER: &str =
    "the access token is not valid for anybody known in this room; say whose it is: add ?userId=";

/// What the owner of an access token is sent who may only watch, or publish other kinds of media alone.
pub(crate) const MAY_NOT_PUBLISH: &str =
    "the access token does not let you publish what the offer sends; watch by WHEP, or ask for another token";

/// What a client without a token is sent.
pub(crate) const NO_TOKEN: &str = "a token is needed here; send it as Authorization: Bearer";

/// How a client comes to a room.
pub(crate) struct EntryRequest<'a> {
    pub room: &'a str,
    pub query: Query,
    /// The kinds of media that the client offers to publish. A viewer offers none, and is seen by nobody.
    pub offers: PublishRights,
    /// A name for a client that gives none.
    pub made_up: String,
}

/// Reads the name of a room or a user. Names have a length as in every family.
pub(crate) fn name(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty() && text::NAME.holds(name))
}

/// Reads an offer. `None` if it is too long.
pub(crate) fn description(sdp: String) -> Option<Description> {
    offer::offer(sdp).map(|offer| offer.description)
}

/// Enters the room, and returns as whom. `known` is asked only for an access token that names nobody and may be valid: for the
/// users whom it may be for.
pub(crate) async fn enter<A: Admission>(
    client: &Client<A>,
    entry: EntryRequest<'_>,
    known: impl AsyncFnOnce(&RoomName) -> Vec<UserId>,
) -> Result<UserId, NotEntered> {
    let visible = entry.offers != PublishRights::NONE;
    let needs_none = match visible {
        true => client.config.whip.publish_without_token,
        false => client.config.whip.watch_without_token,
    };
    if client.token.is_none() && !needs_none {
        return Err(NotEntered::NoToken);
    }
    let room = name(entry.room).map(RoomName::from).ok_or(NotEntered::BadName)?;
    let user = user(client, &entry, &room, known).await?;
    if let Ok(Ticket::Access(_, stay)) = client.ticket(&user, &room, None)
        && visible
        && !stay.publishes.allows_any_of(entry.offers)
    {
        return Err(NotEntered::MayNotPublish);
    }
    let join = Join {
        user: user.clone(),
        room,
        own_name: None,
        password: entry.query.pw.map(Text),
        token: None,
        visible,
        connects: true,
        features: Features::default(),
    };
    enter_room(client, join).await.map_err(NotEntered::Closed)?;
    Ok(user)
}

/// The user as whom a client enters: whom it names, or the owner of its token, or one made up.
async fn user<A>(
    client: &Client<A>,
    entry: &EntryRequest<'_>,
    room: &RoomName,
    known: impl AsyncFnOnce(&RoomName) -> Vec<UserId>,
) -> Result<UserId, NotEntered> {
    if let Some(named) = &entry.query.user_id {
        return name(named).map(UserId::from).ok_or(NotEntered::BadName);
    }
    let Some(token) = client.token.as_deref() else {
        return Ok(UserId::from(entry.made_up.as_str()));
    };
    if let Ok(owner) = client.keys.owner_of(token, now_s(&client.clock)) {
        return Ok(owner);
    }
    if !looks_like_access_token(token) {
        return Err(NotEntered::BadToken);
    }
    // Storage is asked for nobody whose token cannot be valid.
    let known = match client.may_have_access(room) {
        true => known(room).await,
        false => Vec::new(),
    };
    let holds = |user: &UserId| client.ticket(user, room, None).is_ok();
    known.into_iter().find(holds).ok_or(NotEntered::NoUser)
}
