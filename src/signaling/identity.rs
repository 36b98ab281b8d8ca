//! Who a client is: the name that it gives itself, and whether it proves that the name is its own.
//!
//! The proof is a token ([`crate::auth`]). It comes in a field of the message that gives the name, or with the request that
//! opened the socket: `?token=`, or `Authorization: Bearer`. The token in the message goes first. If `auth.required` is set, a
//! name without a token is refused. If it is not set the name is believed, but nobody takes it from somebody who has proven it.
//! A token that proves nothing, or another name, is refused in either case. A field that may hold the token of another program
//! is ignored where it does ([`Client::claim_by_shared_field`]).

use super::client::Client;
use super::reaction::Close;
use crate::auth::TokenError;
use crate::clock::now_s;
use crate::domain::{Claim, RoomKind};
use crate::ids::UserId;

/// Why a name is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotBelieved {
    #[error("this server asks for a token: the one that was issued to you")]
    Missing,
    #[error("the token is not valid any more, or was never: ask for a new one")]
    NotValid,
    #[error("the token was issued to somebody else")]
    SomebodyElses,
}

impl From<NotBelieved> for Close {
    fn from(why: NotBelieved) -> Self {
        match why {
            NotBelieved::Missing => Close::NO_TOKEN,
            NotBelieved::NotValid => Close::BAD_TOKEN,
            NotBelieved::SomebodyElses => Close::OTHERS_TOKEN,
        }
    }
}

impl<A> Client<A> {
    /// As [`Client::claim`], with a field that may hold another token, such as an app's own. A token that this server has not
    /// signed proves nothing. It does no harm where no token is needed, or one came with the request. A token of this server
    /// that has expired, or was issued to somebody else, is refused as ever.
    pub(crate) fn claim_by_shared_field(&self, name: &UserId, field: Option<&str>) -> Result<Claim, NotBelieved> {
        let is_foreign = |token: &str| self.keys.owner_of(token, now_s(&self.clock)) == Err(TokenError::NotOurs);
        let can_do_without = self.token.is_some() || !self.config.auth.required;
        self.claim(name, field.filter(|token| !(can_do_without && is_foreign(token))))
    }

    /// How a client comes to a name, with the token in the message that gives the name.
    pub(crate) fn claim(&self, name: &UserId, token: Option<&str>) -> Result<Claim, NotBelieved> {
        let token = token.filter(|token| !token.is_empty());
        match token.or(self.token.as_deref()) {
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
}
