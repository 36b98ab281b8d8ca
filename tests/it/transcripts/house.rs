//! A record in memory of who may enter: a database's pool does not run in virtual time.

use std::collections::HashMap;

use patchbay::domain::Person;
use patchbay::ids::{RoomName, UserId};
use patchbay::signaling::Admission;
use patchbay::storage::AdmitError;

/// A house with nobody in it lets anyone in.
#[derive(Clone, Default)]
pub struct House {
    users: HashMap<String, Person>,
    passwords: HashMap<String, String>,
    /// Rooms for which too many wrong passwords were tried.
    guessed: Vec<String>,
    broken: bool,
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

impl Admission for House {
    async fn admit(&self, user: &UserId, room: &RoomName, password: Option<&str>) -> Result<Person, AdmitError> {
        let person = self.recognize(user).await?;
        if self.guessed.iter().any(|guessed| guessed == room.as_str()) {
            let wait = std::time::Duration::from_secs(8);
            return Err(AdmitError::TooManyGuesses { wait });
        }
        match self.passwords.get(room.as_str()) {
            Some(wanted) if password != Some(wanted) => Err(AdmitError::WrongPassword),
            _ => Ok(person),
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
