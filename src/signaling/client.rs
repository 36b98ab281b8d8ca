//! What every family needs to serve one client: its session, and who may enter.

use std::future::Future;
use std::sync::Arc;

use crate::auth::Keys;
use crate::clock::WallClock;
use crate::config::Config;
use crate::domain::{Person, RoomKind};
use crate::hub::Session;
use crate::ids::{RoomName, UserId};
use crate::storage::{AdmitError, Gate, Profile};

/// Who there is, and who may enter which room. The server's is [`Gate`].
pub trait Admission: Send + Sync + 'static {
    fn admit(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> impl Future<Output = Result<Profile, AdmitError>> + Send;

    /// As [`Admission::admit`], where there is no room to enter.
    fn recognize(&self, user: &UserId) -> impl Future<Output = Result<Profile, AdmitError>> + Send;
}

impl Admission for Gate {
    async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Profile, AdmitError> {
        Gate::admit(self, user, room, password).await
    }

    async fn recognize(&self, user: &UserId) -> Result<Profile, AdmitError> {
        Gate::recognize(self, user).await
    }
}

/// What every family needs to serve one client.
pub struct Client<A> {
    /// The kind of rooms that it enters.
    pub rooms: RoomKind,
    pub session: Session,
    pub admission: A,
    pub config: Arc<Config>,
    pub clock: WallClock,
    /// What tokens are checked with.
    pub keys: Keys,
    /// The token in the request that opened the socket.
    pub token: Option<String>,
}

/// Whether somebody may enter a room. A room of two is for whoever knows what it is called.
pub async fn admit<A: Admission>(
    client: &Client<A>,
    user: &UserId,
    room: &RoomName,
    password: Option<&str>,
) -> Result<Profile, AdmitError> {
    match client.rooms {
        RoomKind::Group => client.admission.admit(user, room, password).await,
        RoomKind::Pair => Ok(Profile {
            user: user.clone(),
            name: user.as_str().to_owned(),
            prefix: String::new(),
            postfix: String::new(),
        }),
    }
}

/// How an admitted user is shown. A name from the user table is that; where the table knows none, the name that the
/// client gives itself, if it does.
pub fn person(profile: Profile, own_name: Option<String>) -> Person {
    let Profile {
        user,
        name,
        prefix,
        postfix,
    } = profile;
    let unnamed = name.is_empty() || name == user.as_str();
    let own_name = own_name.filter(|name| unnamed && !name.is_empty());
    let name = own_name.unwrap_or(if unnamed { user.as_str().to_owned() } else { name });
    Person {
        user,
        name,
        prefix,
        postfix,
    }
}
