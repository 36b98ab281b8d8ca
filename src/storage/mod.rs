//! Who exists and which rooms have passwords: records in SQLite or PostgreSQL.

use crate::ids::{RoomName, UserId};

/// The users and rooms of this server. Cheap to clone.
#[derive(Clone)]
pub struct Directory {
    _private: (),
}

/// How somebody is shown to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub user: UserId,
    pub name: String,
    pub prefix: String,
    pub postfix: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    #[error("no such user")]
    UnknownUser,
    #[error("the room's password is missing or wrong")]
    WrongPassword,
    #[error("storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Directory {
    /// Whether `user` may enter `room`, and how he is shown. With no users configured anyone may, under his id as name.
    /// A room without a password lets everybody in.
    pub async fn admit(
        &self,
        _user: &UserId,
        _room: &RoomName,
        _password: Option<&str>,
    ) -> Result<Profile, AdmitError> {
        todo!()
    }
}
