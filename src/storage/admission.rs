//! Decides whether a person may enter, for one client at one address.

use super::Records;
use super::checks::{Lock, PasswordAttempt};
use super::errors::AdmitError;
use crate::clock::MonotonicClock;
use crate::domain::Person;
use crate::ids::{RoomName, UserId};
use crate::shares::ClientAddress;

/// The admission of one client. Cheap to clone.
#[derive(Clone)]
pub struct RoomAdmission {
    records: Records,
    client: ClientAddress,
    clock: MonotonicClock,
}

impl Records {
    /// The admission of a client of this address.
    pub fn admission(&self, client: ClientAddress, clock: MonotonicClock) -> RoomAdmission {
        RoomAdmission {
            records: self.clone(),
            client,
            clock,
        }
    }

    /// Whether `user` may use this server, and the name under which they are shown. While no users are configured
    /// anyone may, under their id as name.
    pub async fn recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        reported(self.try_recognize(user).await)
    }

    async fn try_recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        match self.user(user).await? {
            Some(person) => Ok(person),
            None if self.has_users().await? => Err(AdmitError::UnknownUser),
            None => Ok(Person::unnamed(user.clone())),
        }
    }
}

impl RoomAdmission {
    /// Whether `user` may enter `room`, and the name under which they are shown. A room without a password admits
    /// everybody whom [`Records::recognize`] does.
    pub async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Person, AdmitError> {
        reported(self.try_admit(user, room, password).await)
    }

    /// The same as [`Records::recognize`].
    pub async fn recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        self.records.recognize(user).await
    }

    async fn try_admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Person, AdmitError> {
        let person = self.records.try_recognize(user).await?;
        let Some(hash) = self.records.password_hash(room).await? else {
            return Ok(person);
        };
        let password = password.ok_or(AdmitError::WrongPassword)?;
        let attempt = PasswordAttempt {
            lock: Lock::Room(room.clone()),
            client: self.client,
        };
        let passwords = &self.records.passwords;
        passwords.verify(attempt, &hash, password, &self.clock).await?;
        Ok(person)
    }
}

/// Logs and counts failures of the server, and counts wrong passwords.
fn reported(admitted: Result<Person, AdmitError>) -> Result<Person, AdmitError> {
    match &admitted {
        Err(AdmitError::Storage(cause)) => {
            metrics::counter!("patchbay_storage_errors_total").increment(1);
            let cause: &(dyn std::error::Error + 'static) = cause.as_ref();
            tracing::error!(cause, "storage failed; somebody could not enter");
        }
        Err(AdmitError::WrongPassword) => metrics::counter!("patchbay_passwords_wrong_total").increment(1),
        Err(AdmitError::TooManyGuesses { .. }) => metrics::counter!("patchbay_guesses_refused_total").increment(1),
        Ok(_) | Err(AdmitError::UnknownUser) => {}
    }
    admitted
}
