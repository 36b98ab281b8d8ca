//! Decides whether a person may enter, for one client at one address.

use super::Records;
use super::checks::{Lock, PasswordAttempt};
use super::conferences::{ConferenceRow, NoEntry};
use super::entry::ShownPin;
use super::errors::AdmitError;
use crate::clock::MonotonicClock;
use crate::domain::{Person, Role};
use crate::ids::{RoomName, UserId};
use crate::shares::ClientAddress;

/// The admission of one client. Cheap to clone.
#[derive(Clone)]
pub struct RoomAdmission {
    records: Records,
    client: ClientAddress,
    clock: MonotonicClock,
}

/// Somebody who may enter a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The person, as they are shown.
    pub person: Person,
    pub role: Role,
    /// Whether the room takes them only while a host is there.
    pub needs_host: bool,
}

impl Admitted {
    /// Somebody who enters a room that is no conference.
    pub fn freely(person: Person) -> Self {
        Self {
            person,
            role: Role::Guest,
            needs_host: false,
        }
    }
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
        let recognized = self.try_recognize(user).await;
        recognized.inspect_err(report)
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
    /// Whether `user` may enter `room`, in which role, and the name under which they are shown. A room without a password admits
    /// everybody whom [`Records::recognize`] does. The password of a conference is one of its PINs; without any, they come as a guest.
    /// A conference admits strangers too: it is its PINs that let people in, whichever way they come.
    pub async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Admitted, AdmitError> {
        let admitted = self.try_admit(user, room, password).await;
        admitted.inspect_err(report)
    }

    /// The same as [`RoomAdmission::admit`] where `room` is a conference, and `user` is no user. `None` elsewhere: it is for those
    /// who prove no name although names are to be proven.
    pub async fn admit_stranger(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> Result<Option<Admitted>, AdmitError> {
        let admitted = self.try_admit_stranger(user, room, password).await;
        admitted.inspect_err(report)
    }

    /// The same as [`Records::recognize`].
    pub async fn recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        self.records.recognize(user).await
    }

    async fn try_admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Admitted, AdmitError> {
        if let Some(conference) = self.conference(room).await? {
            let person = self.records.user(user).await?;
            let person = person.unwrap_or_else(|| Person::unnamed(user.clone()));
            return self.admit_to_conference(person, &conference, password).await;
        }
        let person = self.records.try_recognize(user).await?;
        let Some(hash) = self.records.password_hash(room).await? else {
            return Ok(Admitted::freely(person));
        };
        let password = password.ok_or(AdmitError::WrongPassword)?;
        let attempt = PasswordAttempt {
            lock: Lock::Room(room.clone()),
            client: self.client,
        };
        let passwords = &self.records.passwords;
        passwords.verify(attempt, &hash, password, &self.clock).await?;
        Ok(Admitted::freely(person))
    }

    async fn try_admit_stranger(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> Result<Option<Admitted>, AdmitError> {
        let Some(conference) = self.conference(room).await? else {
            return Ok(None);
        };
        if self.records.user(user).await?.is_some() {
            return Ok(None);
        }
        let stranger = Person::unnamed(user.clone());
        let admitted = self.admit_to_conference(stranger, &conference, password).await;
        admitted.map(Some)
    }

    async fn conference(&self, room: &RoomName) -> Result<Option<ConferenceRow>, sqlx::Error> {
        self.records.conference_row(room.as_str(), room.as_str()).await
    }

    async fn admit_to_conference(
        &self,
        person: Person,
        found: &ConferenceRow,
        password: Option<&str>,
    ) -> Result<Admitted, AdmitError> {
        let shown = match password {
            None | Some("") => ShownPin::AsGuest,
            Some(pin) => ShownPin::Pin(pin),
        };
        let role = self.records.role_in(found, shown, self.client, &self.clock).await;
        let role = role.map_err(|error| match error {
            NoEntry::Unknown | NoEntry::PinRequired { .. } | NoEntry::WrongPin => AdmitError::WrongPassword,
            NoEntry::TooManyTries { wait } => AdmitError::TooManyGuesses { wait },
            NoEntry::Storage(cause) => AdmitError::Storage(cause),
        })?;
        Ok(Admitted {
            person,
            role,
            needs_host: found.conference.waits_for_host && role == Role::Guest,
        })
    }
}

/// Logs and counts failures of the server, and counts wrong passwords.
fn report(error: &AdmitError) {
    match error {
        AdmitError::Storage(cause) => {
            metrics::counter!("patchbay_storage_errors_total").increment(1);
            let cause: &(dyn std::error::Error + 'static) = cause.as_ref();
            tracing::error!(cause, "storage failed; somebody could not enter");
        }
        AdmitError::WrongPassword => metrics::counter!("patchbay_passwords_wrong_total").increment(1),
        AdmitError::TooManyGuesses { .. } => metrics::counter!("patchbay_guesses_refused_total").increment(1),
        AdmitError::UnknownUser => {}
    }
}
