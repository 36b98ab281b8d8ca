//! The state that every family keeps of one client: its session, its names, and the check of who may enter.

use std::future::Future;
use std::sync::Arc;

use tracing::debug;

use super::reaction::Reaction;
use crate::auth::TokenKeys;
use crate::auth::access_token::App;
use crate::clock::{MonotonicClock, WallClock};
use crate::config::Config;
use crate::domain::{Command, Person, Refusal, RoomKind};
use crate::hub::Session;
use crate::ids::{RoomName, UserId};
use crate::storage::{AdmitError, Admitted, RoomAdmission};
use crate::turn::announced::RelayAt;

/// Which users exist, and who may enter which room, in which role. The server's is [`RoomAdmission`].
pub trait Admission: Send + Sync + 'static {
    fn admit(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> impl Future<Output = Result<Admitted, AdmitError>> + Send;

    /// As [`Admission::admit`], for somebody who does not prove their name although names are to be proven. `None` where that lets
    /// nobody in: in rooms that are no conferences, and in the names of users.
    fn admit_stranger(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> impl Future<Output = Result<Option<Admitted>, AdmitError>> + Send;

    /// As [`Admission::admit`], where there is no room to enter.
    fn recognize(&self, user: &UserId) -> impl Future<Output = Result<Person, AdmitError>> + Send;
}

impl Admission for RoomAdmission {
    async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Admitted, AdmitError> {
        RoomAdmission::admit(self, user, room, password).await
    }

    async fn admit_stranger(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> Result<Option<Admitted>, AdmitError> {
        RoomAdmission::admit_stranger(self, user, room, password).await
    }

    async fn recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        RoomAdmission::recognize(self, user).await
    }
}

/// What every family needs to serve one client.
pub struct Client<A> {
    /// Kind of the rooms that the client enters.
    pub rooms: RoomKind,
    pub session: Session,
    pub(crate) admission: A,
    pub config: Arc<Config>,
    pub clock: WallClock,
    /// Keys by which tokens are checked.
    pub keys: TokenKeys,
    /// Token in the request that opened the socket.
    pub token: Option<String>,
    /// The relay that the client may use. `None`: there is none.
    pub relay: Option<RelayAt>,
    /// App whose access tokens are believed. `None`: no access token is.
    pub(crate) app: Option<TimedApp>,
}

/// An app, and the clock that ends the stays of people who come with its access tokens.
pub(crate) struct TimedApp {
    pub app: App,
    pub passed: MonotonicClock,
}

impl<A> Client<A> {
    /// Asks the hub, and waits until the command is carried out or refused.
    pub async fn request(&self, command: impl Into<Command>) -> Result<(), Refusal> {
        self.session.request(command.into()).await
    }

    /// Answers nothing. A refusal, for which the family has no message, is only logged.
    pub(crate) fn silent(&self, outcome: Result<(), Refusal>) -> Reaction {
        match outcome {
            Ok(()) => Reaction::none(),
            Err(refusal) => self.ignore(&refusal.to_string()),
        }
    }

    /// Answers nothing to a message that is not acted on. The message is only logged.
    pub(crate) fn ignore(&self, what: &str) -> Reaction {
        debug!(session = %self.session.id(), what, "ignored");
        Reaction::none()
    }
}

/// Whether somebody may enter a room. A room of two is for people who know its name.
pub(crate) async fn admit<A: Admission>(
    client: &Client<A>,
    user: &UserId,
    room: &RoomName,
    password: Option<&str>,
) -> Result<Admitted, AdmitError> {
    match client.rooms {
        RoomKind::Group => client.admission.admit(user, room, password).await,
        RoomKind::Pair => Ok(Admitted::freely(Person::unnamed(user.clone()))),
    }
}

/// How an admitted user is shown: by the name in the user table. Where the table has none, by the name that the client
/// gives itself, if it does, or else by the id.
pub(crate) fn shown(person: Person, own_name: Option<String>) -> Person {
    let id = person.user.as_str();
    if !person.name.is_empty() && person.name != id {
        return person;
    }
    let name = own_name.filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| id.to_owned());
    Person { name, ..person }
}
