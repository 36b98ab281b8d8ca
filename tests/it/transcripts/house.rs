//! A record in memory of who may enter: a database's pool does not run in virtual time.

use std::collections::HashMap;

use patchbay::domain::{Person, Role};
use patchbay::ids::{RoomName, UserId};
use patchbay::signaling::Admission;
use patchbay::storage::{AdmitError, Admitted, ConferenceRecord, Guests, ShownPin, Verdict};

/// A house with nobody in it lets anyone in.
#[derive(Clone, Default)]
pub struct House {
    users: HashMap<String, Person>,
    passwords: HashMap<String, String>,
    conferences: HashMap<String, Pins>,
    /// Rooms for which too many wrong passwords were tried.
    guessed: Vec<String>,
    broken: bool,
}

/// A conference, with the PINs of hosts and guests.
#[derive(Clone)]
struct Pins {
    conference: ConferenceRecord,
    host: String,
    guest: String,
}

impl House {
    pub fn with_user(mut self, id: &str, name: &str, prefix: &str, postfix: &str) -> Self {
        let person = Person {
            user: id.into(),
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            postfix: postfix.to_owned(),
        };
        self.users.insert(id.to_owned(), person);
        self
    }

    pub fn with_room(mut self, name: &str, password: &str) -> Self {
        self.passwords.insert(name.to_owned(), password.to_owned());
        self
    }

    /// A conference whose hosts have the PIN 4711, and its guests, if they need one, 0815.
    pub fn with_conference(mut self, alias: &str, guests: Guests, waits_for_host: bool) -> Self {
        let conference = ConferenceRecord {
            alias: alias.into(),
            name: String::new(),
            has_host_pin: true,
            guests,
            waits_for_host,
        };
        let pins = Pins {
            conference,
            host: "4711".to_owned(),
            guest: "0815".to_owned(),
        };
        self.conferences.insert(alias.to_owned(), pins);
        self
    }

    pub fn with_guessed_room(mut self, name: &str) -> Self {
        self.guessed.push(name.to_owned());
        self.with_room(name, "secret")
    }

    /// A house whose records cannot be read.
    pub fn broken() -> Self {
        Self {
            broken: true,
            ..Self::default()
        }
    }
}

impl Pins {
    fn role(&self, password: Option<&str>) -> Option<Role> {
        let shown = password.map_or(ShownPin::AsGuest, ShownPin::Pin);
        let pin = password.unwrap_or_default();
        match self.conference.judge(shown) {
            Verdict::Enters(role) => Some(role),
            Verdict::Compare { .. } if pin == self.host => Some(Role::Host),
            Verdict::Compare { with_guest_pin } if with_guest_pin && pin == self.guest => Some(Role::Guest),
            Verdict::Compare { .. } | Verdict::Wrong | Verdict::AsksForPin { .. } => None,
        }
    }
}

impl House {
    /// What a conference says, if the room is one.
    fn conference(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> Result<Option<Admitted>, AdmitError> {
        let Some(pins) = self.conferences.get(room.as_str()) else {
            return Ok(None);
        };
        let person = self.users.get(user.as_str()).cloned();
        let role = pins.role(password).ok_or(AdmitError::WrongPassword)?;
        Ok(Some(Admitted {
            person: person.unwrap_or_else(|| Person::unnamed(user.clone())),
            role,
            needs_host: pins.conference.waits_for_host && role == Role::Guest,
        }))
    }
}

impl Admission for House {
    async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Admitted, AdmitError> {
        if let Some(admitted) = self.conference(user, room, password)? {
            return Ok(admitted);
        }
        let person = self.recognize(user).await?;
        if self.guessed.iter().any(|guessed| guessed == room.as_str()) {
            let wait = std::time::Duration::from_secs(8);
            return Err(AdmitError::TooManyGuesses { wait });
        }
        match self.passwords.get(room.as_str()) {
            Some(wanted) if password != Some(wanted) => Err(AdmitError::WrongPassword),
            _ => Ok(Admitted::freely(person)),
        }
    }

    async fn admit_stranger(
        &self,
        user: &UserId,
        room: &RoomName,
        password: Option<&str>,
    ) -> Result<Option<Admitted>, AdmitError> {
        match self.users.contains_key(user.as_str()) {
            true => Ok(None),
            false => self.conference(user, room, password),
        }
    }

    async fn recognize(&self, user: &UserId) -> Result<Person, AdmitError> {
        if self.broken {
            return Err(AdmitError::Storage("the disk is gone".into()));
        }
        match self.users.get(user.as_str()) {
            Some(person) => Ok(person.clone()),
            None if self.users.is_empty() => Ok(Person::unnamed(user.clone())),
            None => Err(AdmitError::UnknownUser),
        }
    }
}
