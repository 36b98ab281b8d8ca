//! Queries, media types and headers exactly as on the wire.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::signaling::words::{self, FeedWord};

/// The type of offers and answers (RFC 9725 §4.2).
pub(crate) const OFFER_TYPE: &str = "application/sdp";

/// The type of what is sent about ICE later (RFC 8840 §9).
pub(crate) const TRICKLE_TYPE: &str = "application/trickle-ice-sdpfrag";

/// The query of a `POST`. Names that are not known are ignored.
#[derive(Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// User as whom the client enters the room. Where it is missing: the owner of the token, or else a name that the server
    /// makes up.
    #[param(min_length = 1, max_length = 128)]
    pub user_id: Option<String>,
    /// Password of the room.
    #[param(max_length = 256)]
    pub pw: Option<String>,
    /// Feed of the user that is published or received: their camera where it is missing.
    #[param(inline, required = false)]
    #[serde(default, deserialize_with = "words::feed")]
    pub feed: FeedWord,
}

/// A STUN or TURN server that clients may use.
pub(crate) struct IceServer<'a> {
    pub url: &'a str,
    /// User and password, for TURN.
    pub credentials: Option<(&'a str, &'a str)>,
}

impl IceServer<'_> {
    /// The value of its `Link` header (RFC 9725 §4.6).
    pub(crate) fn link(&self) -> String {
        let of_server = format!("<{}>; rel=\"ice-server\"", self.url);
        match self.credentials {
            Some((user, password)) => format!(
                "{of_server}; username={}; credential={}; credential-type=\"password\"",
                quoted(user),
                quoted(password)
            ),
            None => of_server,
        }
    }
}

/// A text as a quoted string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The entity tag of a connection's ICE, by the number of its newest offer. It is a strong one (RFC 9110 §8.8.3).
pub(crate) fn etag(number: u64) -> String {
    format!("\"{number}\"")
}

/// The token in an `Authorization` header (RFC 6750 §2.1).
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = Some(token.trim()).filter(|token| !token.is_empty());
    token.filter(|_| scheme.eq_ignore_ascii_case("Bearer"))
}

/// What an `If-Match` header says about the state that a client has last seen (RFC 9110 §13.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precondition {
    Missing,
    /// The present state is among those that are named.
    Holds,
    /// Whatever the state is.
    Any,
    Fails,
}

impl Precondition {
    /// Compares the values of all `If-Match` headers with the present entity tag. `"*"` in quotes is a star, too: the examples of
    /// RFC 9725 write it so.
    pub(crate) fn read<'a>(values: impl IntoIterator<Item = &'a str>, present: &str) -> Precondition {
        let mut found = Precondition::Missing;
        for tag in values.into_iter().flat_map(|value| value.split(',')).map(str::trim) {
            if matches!(tag, "*" | "\"*\"") {
                return Precondition::Any;
            }
            if tag == present {
                return Precondition::Holds;
            }
            found = Precondition::Fails;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_ice_servers_are_those_of_the_rfc() {
        let stun = IceServer {
            url: "stun:stun.example.net",
            credentials: None,
        };
        assert_eq!(stun.link(), "<stun:stun.example.net>; rel=\"ice-server\"");
        let turn = IceServer {
            url: "turn:turn.example.net?transport=udp",
            credentials: Some(("us\"er", "my\\password")),
        };
        assert_eq!(
            turn.link(),
            "<turn:turn.example.net?transport=udp>; rel=\"ice-server\"; username=\"us\\\"er\"; \
             credential=\"my\\\\password\"; credential-type=\"password\""
        );
    }

    #[test]
    fn a_bearer_token_is_read_in_any_case_of_the_scheme() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("", None),
        ] {
            assert_eq!(bearer(header), token, "{header}");
        }
    }

    #[test]
    fn a_precondition_holds_for_the_present_tag_and_for_any() {
        for (values, holds) in [
            (&[][..], Precondition::Missing),
            (&["\"1\""], Precondition::Holds),
            (&["\"0\", \"1\""], Precondition::Holds),
            (&["\"0\"", "\"1\""], Precondition::Holds),
            (&["*"], Precondition::Any),
            (&["\"*\""], Precondition::Any),
            (&["\"2\""], Precondition::Fails),
            (&["W/\"1\""], Precondition::Fails),
            (&["1"], Precondition::Fails),
            (&[""], Precondition::Fails),
        ] {
            assert_eq!(
                Precondition::read(values.iter().copied(), &etag(1)),
                holds,
                "{values:?}"
            );
        }
    }
}
