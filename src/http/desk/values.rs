//! Values that the desk and its callers exchange: tokens, connections, answers and refusals.

use std::fmt;
use std::time::Duration;

use crate::domain::{Command, Conference, Offer, Refusal, SlotStream, UserFeed};
use crate::hub::NoPlace;
use crate::ids::UserId;
use crate::media::description::{Description, NotRestarted};

/// The key to an entry. It has 128 random bits, and is not shown in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub(super) u128);

/// What an offered connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Feed(UserFeed),
    Conference(Conference),
}

/// The connection that an entry is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub purpose: Purpose,
    /// Content of the newest answered offer.
    pub description: Description,
    /// The number of that offer among those of the entry.
    pub number: u64,
}

/// The reason why a client that arrives is not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReceived {
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    #[error("too many have come from your address; wait for {} s", .0.as_secs() + 1)]
    TooOften(Duration),
}

/// The reason why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    #[error("the token is not known, or its time is over; begin anew")]
    UnknownToken,
    #[error("ICE was restarted since that state; use the newest one")]
    OtherState,
    #[error("what you said has cost others too much; wait for {} ms", .0.as_millis())]
    Paused(Duration),
    #[error("the server had nothing to answer the offer with; offer again in some seconds, or join anew")]
    NoAnswer,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    NotRestarted(#[from] NotRestarted),
}

/// The answer to an offer, as SDP, and the number of the offer among those of its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub sdp: String,
    pub number: u64,
    /// The streams of the connection's slots.
    pub slots: Vec<SlotStream>,
}

impl Token {
    pub fn random() -> Token {
        Token(rand::random())
    }

    /// Reads a token. `None` where the text is not 32 hexadecimal digits.
    pub fn read(text: &str) -> Option<Token> {
        let is_one = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_one.then(|| u128::from_str_radix(text, 16).ok())?.map(Token)
    }

    pub fn text(self) -> String {
        format!("{:032x}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Purpose {
    /// The command that offers it.
    pub(super) fn offered(self, offer: Offer) -> Command {
        match self {
            Purpose::Feed(subject) => Command::Offer { subject, offer },
            Purpose::Conference(conference) => Command::OfferConference { conference, offer },
        }
    }

    /// Whether such a connection receives, or publishes, what this user publishes.
    pub(super) fn watches(&self, user: &UserId) -> bool {
        match self {
            Purpose::Feed(feed) => feed.user == *user,
            Purpose::Conference(conference) => conference.watch.iter().any(|feed| feed.user == *user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let token = Token(7);
        assert_eq!(Token::read(&token.text()), Some(token));
        for text in [
            "",
            "7",
            "+0000000000000000000000000000007",
            &"g".repeat(32),
            &"0".repeat(33),
            &"é".repeat(16),
        ] {
            assert_eq!(Token::read(text), None, "{text}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
