//! How somebody enters a room, for every family that has rooms.

use super::client::{Admission, Client, admit, shown};
use super::identity::{NotBelieved, Ticket};
use super::json::Text;
use super::reaction::Close;
use crate::domain::{Claim, Command, Person, Refusal, Role, Stay, WithoutHost};
use crate::ids::{Features, RoomName, UserId};
use crate::storage::{AdmitError, Admitted};
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
    /// What the client understands beside the messages that all clients do.
    pub(crate) features: Features,
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
        features,
    } = join;
    let token = token.map(|Text(token)| token);
    let ticket = match client.ticket(&user, &room, token.as_deref()) {
        // Programs that publish or watch need a token wherever names do.
        Err(NotBelieved::Missing) if !connects => None,
        ticket => Some(ticket?),
    };
    let password = password.map(|Text(password)| password);
    if password
        .as_ref()
        .is_some_and(|password| !text::PASSWORD.holds(password))
    {
        return Err(Close::WRONG_PASSWORD);
    }
    let turn = client.session.take_turn();
    let admitted = match ticket {
        Some(Ticket::Name(_)) => admit(client, &user, &room, password.as_deref()).await,
        Some(Ticket::Access(..)) => welcome(client, user).await.map(Admitted::freely),
        None => {
            let admission = &client.admission;
            let admitted = admission.admit_stranger(&user, &room, password.as_deref()).await;
            match admitted.transpose() {
                Some(admitted) => admitted,
                None => return Err(NotBelieved::Missing.into()),
            }
        }
    };
    let Admitted {
        person,
        role,
        needs_host,
    } = admitted.map_err(not_admitted)?;
    let person = shown(person, own_name);
    let (claim, stay) = match ticket {
        Some(Ticket::Name(claim)) => (claim, stay_of(role, needs_host, visible)),
        Some(Ticket::Access(claim, stay)) => (claim, Stay { visible, ..stay }),
        None => (Claim::Unproven, stay_of(role, needs_host, visible)),
    };
    let stay = Stay {
        understands: features,
        ..stay
    };
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
    let outcome = client.request(command).await;
    entered(client, outcome)
}

fn entered<A>(client: &Client<A>, outcome: Result<(), Refusal>) -> Result<(), Close> {
    match outcome {
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

fn not_admitted(error: AdmitError) -> Close {
    match error {
        AdmitError::UnknownUser => Close::UNKNOWN_USER,
        AdmitError::WrongPassword => Close::WRONG_PASSWORD,
        AdmitError::TooManyGuesses { .. } => Close::TOO_MANY_GUESSES,
        AdmitError::Storage(_) => Close::STORAGE_FAILED,
    }
}

/// The stay of somebody who has no access token. The families here have no message by which somebody waits.
fn stay_of(role: Role, needs_host: bool, visible: bool) -> Stay {
    Stay {
        visible,
        // Nobody sees a viewer, so they cannot be the host for whom others wait.
        role: if visible { role } else { Role::Guest },
        without_host: if needs_host {
            WithoutHost::Refuse
        } else {
            WithoutHost::Enter
        },
        ..Stay::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_who_needs_a_host_is_refused_without_one_and_a_viewer_is_no_host() {
        let stay = |role, needs_host, visible| {
            let stay = stay_of(role, needs_host, visible);
            assert_eq!(stay.visible, visible);
            (stay.role, stay.without_host)
        };
        assert_eq!(stay(Role::Guest, false, true), (Role::Guest, WithoutHost::Enter));
        assert_eq!(stay(Role::Guest, true, true), (Role::Guest, WithoutHost::Refuse));
        assert_eq!(stay(Role::Host, false, true), (Role::Host, WithoutHost::Enter));
        assert_eq!(stay(Role::Host, false, false), (Role::Guest, WithoutHost::Enter));
    }
}
