//! How somebody enters a room, for every family that has rooms.

use super::client::{Admission, Client, admit, shown};
use super::identity::Ticket;
use super::json::Text;
use super::reaction::Close;
use crate::domain::{Command, Person, Refusal, Stay};
use crate::ids::{RoomName, UserId};
use crate::storage::AdmitError;
use crate::text;

/// What a client says to enter a room. The lengths of the names have been checked.
pub struct Join {
    pub user: UserId,
    pub room: RoomName,
    /// Name that the client gives itself.
    pub(crate) own_name: Option<String>,
    pub password: Option<Text>,
    pub token: Option<Text>,
    /// Whether the others see that they are there.
    pub visible: bool,
    /// Whether they are there for one connection, and offer it next.
    pub connects: bool,
}

/// Enters the room, or returns why the socket is to be closed. A refusal that is not the client's fault is only logged.
pub async fn enter<A: Admission>(client: &Client<A>, join: Join) -> Result<(), Close> {
    let Join {
        user,
        room,
        own_name,
        password,
        token,
        visible,
        connects,
    } = join;
    let token = token.map(|Text(token)| token);
    let ticket = client.ticket(&user, &room, token.as_deref())?;
    let password = password.map(|Text(password)| password);
    if password
        .as_ref()
        .is_some_and(|password| !text::PASSWORD.holds(password))
    {
        return Err(Close::WRONG_PASSWORD);
    }
    let turn = client.session.take_turn();
    let admitted = match ticket {
        Ticket::Name(_) => admit(client, &user, &room, password.as_deref()).await,
        Ticket::Access(..) => welcome(client, user).await,
    };
    let person = match admitted {
        Ok(person) => shown(person, own_name),
        Err(AdmitError::UnknownUser) => return Err(Close::UNKNOWN_USER),
        Err(AdmitError::WrongPassword) => return Err(Close::WRONG_PASSWORD),
        Err(AdmitError::TooManyGuesses { .. }) => return Err(Close::TOO_MANY_GUESSES),
        Err(AdmitError::Storage(_)) => return Err(Close::STORAGE_FAILED),
    };
    let (claim, stay) = match ticket {
        Ticket::Name(claim) => (claim, Stay::default()),
        Ticket::Access(claim, stay) => (claim, stay),
    };
    let stay = Stay { visible, ..stay };
    let kind = client.rooms;
    let command = Command::Join {
        turn,
        kind,
        room,
        person,
        claim,
        stay,
        connects,
    };
    match client.request(command).await {
        Ok(()) => Ok(()),
        Err(Refusal::NameTaken) => Err(Close::NAME_TAKEN),
        Err(Refusal::NotProven) => Err(Close::NO_TOKEN),
        Err(Refusal::RoomFull | Refusal::TooManyRooms) => Err(Close::FULL),
        Err(Refusal::TooManyPeers) => Err(Close::TOO_MANY_PEERS),
        Err(Refusal::Locked) => Err(Close::LOCKED),
        Err(Refusal::HostAbsent) => Err(Close::HOST_ABSENT),
        Err(refusal) => {
            client.ignore(&refusal.to_string());
            Ok(())
        }
    }
}

/// Lets in the holder of an access token. The app's back end has decided that they may enter, so neither the user table nor the
/// room's password is asked; the table is asked for their name.
async fn welcome<A: Admission>(client: &Client<A>, user: UserId) -> Result<Person, AdmitError> {
    match client.admission.recognize(&user).await {
        Err(AdmitError::UnknownUser) => Ok(Person::unnamed(user)),
        known => known,
    }
}
