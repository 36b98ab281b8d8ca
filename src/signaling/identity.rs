//! Who a client is: the name that it gives itself, and whether it proves that the name is its own.
//!
//! The proof is a token ([`crate::auth`]). It comes in a field of the message that gives the name, or with the request that
//! opened the socket: `?token=`, or `Authorization: Bearer`. The token in the message goes first. If `auth.required` is set, a
//! name without a token is refused, but in a conference, which whoever may enter it enters in a name of no user ([`super::join`]). If it is not set the name is believed, but nobody takes it from somebody who has proven it.
//! A token that proves nothing, or another name, is refused in either case. A field that may hold the token of another program
//! is ignored where it does ([`Client::claim_by_shared_field`]).
//!
//! An access token ([`crate::auth::access_token`]) lets its holder into one room alone ([`Client::ticket`]). It also says what
//! they may publish there, and when their stay ends. There it proves their name, too, unless everybody can have one made in any
//! name ([`crate::config::Config`]'s `access_tokens_prove_names`): then the name is only said, as one without a token. A channel
//! (a room with such a name as calls over HTTP give it) is entered with an access token and with nothing else, whatever
//! `auth.required` says: otherwise whoever may only listen, or whose time is over, would leave their token away and come back.

use std::time::Duration;

use super::client::{Client, TimedApp};
use super::reaction::Close;
use crate::auth::TokenError;
use crate::auth::access_token::{Grant, looks_like_access_token};
use crate::clock::{MonotonicClock, WallClock, now_s, since_1970};
use crate::domain::{Claim, PublishRights, RoomKind, Stay};
use crate::ids::{RoomName, UserId};

/// Why a name is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotBelieved {
    #[error("this server asks for a token: the one that was issued to you")]
    Missing,
    #[error("the token is not valid any more, or was never: ask for a new one")]
    NotValid,
    #[error("the token was issued to somebody else")]
    SomebodyElses,
    #[error("the access token is not valid for this room and this name, or not any more: ask for a new one")]
    NoAccess,
    #[error("this room is a channel of the call API: enter it with an access token")]
    IsChannel,
}

impl From<NotBelieved> for Close {
    fn from(why: NotBelieved) -> Self {
        match why {
            NotBelieved::Missing => Close::NO_TOKEN,
            NotBelieved::NotValid => Close::BAD_TOKEN,
            NotBelieved::SomebodyElses => Close::OTHERS_TOKEN,
            NotBelieved::NoAccess => Close::NO_ACCESS,
            NotBelieved::IsChannel => Close::CHANNEL,
        }
    }
}

/// What somebody enters a room with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// A name. The room asks whether they may enter.
    Name(Claim),
    /// An access token for this room, and whether it proves the name.
    Access(Claim, Stay),
}

/// The stay of the holder of an access token, from a moment at which both clocks are read. Later changes of the date do not move
/// its end.
pub fn stay_of(grant: &Grant, clock: &WallClock, passed: &MonotonicClock) -> Stay {
    let end = Duration::from_secs(u64::try_from(grant.until_s).unwrap_or_default());
    let left = end.saturating_sub(since_1970(clock));
    Stay {
        publishes: PublishRights {
            audio: grant.may_publish_audio,
            video: grant.may_publish_video,
        },
        until: passed().into_std().checked_add(left),
        ..Stay::default()
    }
}

impl<A> Client<A> {
    /// What a client enters a room with. `token` is the one in the message that asks for it.
    pub(crate) fn ticket(&self, name: &UserId, room: &RoomName, token: Option<&str>) -> Result<Ticket, NotBelieved> {
        // The name of a room of two is known to the two who meet there, and to no app.
        if self.rooms == RoomKind::Pair {
            return self.claim(name, token).map(Ticket::Name);
        }
        match self.shown(token) {
            Some(access) if looks_like_access_token(access) => {
                let stay = self.stay_by(access, name, room).ok_or(NotBelieved::NoAccess)?;
                let claim = match self.config.access_tokens_prove_names() {
                    true => Claim::Proven,
                    false => Claim::Unproven,
                };
                Ok(Ticket::Access(claim, stay))
            }
            _ if room.is_channel() => Err(NotBelieved::IsChannel),
            _ => self.claim(name, token).map(Ticket::Name),
        }
    }

    /// Whether somebody may be known in this room whom the client's access token lets in. What says no here can be read from the
    /// token by anybody.
    pub(crate) fn may_have_access(&self, room: &RoomName) -> bool {
        let (Some(token), Some(TimedApp { app, .. })) = (&self.token, &self.app) else {
            return false;
        };
        app.may_be_for(token, room.as_str(), now_s(&self.clock))
    }

    fn stay_by(&self, token: &str, name: &UserId, room: &RoomName) -> Option<Stay> {
        let TimedApp { app, passed } = self.app.as_ref()?;
        let grant = app.verify(token, room.as_str(), name.as_str(), now_s(&self.clock))?;
        Some(stay_of(&grant, &self.clock, passed))
    }

    /// As [`Client::claim`], with a field that may hold another token, such as an app's own. A token that this server has not
    /// signed proves nothing. It does no harm where no token is needed, or one came with the request. A token of this server
    /// that has expired, or was issued to somebody else, is refused as ever, and so is an access token of this server's app,
    /// which proves a name in a room alone.
    pub(crate) fn claim_by_shared_field(&self, name: &UserId, field: Option<&str>) -> Result<Claim, NotBelieved> {
        let is_of_our_app = |token: &str| self.app.as_ref().is_some_and(|timed| timed.app.is_named_in(token));
        let is_foreign = |token: &str| {
            self.keys.owner_of(token, now_s(&self.clock)) == Err(TokenError::NotOurs) && !is_of_our_app(token)
        };
        let can_do_without = self.token.is_some() || !self.config.auth.required;
        self.claim(name, field.filter(|token| !(can_do_without && is_foreign(token))))
    }

    /// How a client comes to a name, with the token in the message that gives the name.
    pub(crate) fn claim(&self, name: &UserId, token: Option<&str>) -> Result<Claim, NotBelieved> {
        match self.shown(token) {
            Some(token) => match self.keys.owner_of(token, now_s(&self.clock)) {
                Ok(owner) if owner == *name => Ok(Claim::Proven),
                Ok(_) => Err(NotBelieved::SomebodyElses),
                Err(_) => Err(NotBelieved::NotValid),
            },
            // Whether somebody may enter a room of two without a token depends on the room.
            None if self.config.auth.required && self.rooms != RoomKind::Pair => Err(NotBelieved::Missing),
            None => Ok(Claim::Unproven),
        }
    }

    /// The token that counts: the one in the message, or else the one in the request that opened the socket.
    fn shown<'a>(&'a self, in_message: Option<&'a str>) -> Option<&'a str> {
        in_message.filter(|token| !token.is_empty()).or(self.token.as_deref())
    }
}
