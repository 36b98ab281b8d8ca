//! Calls of and to users: whom an alias means, and what a client's session at the hub is to ask for so that it calls, or answers.
//!
//! A client that calls, or answers by a one-time token, has a session. It sends the hub [`Calling::commands`], and the client meets
//! the others in [`Calling::room`], a group room. The caller's session is sent [`CallEvent`](crate::domain::CallEvent)s:
//! `Accepted`, or `Over` with the reason, which is also the last event of a call that was accepted. The callee's session is sent
//! `Over`. A call is over when the session of either side ends.

use super::invitations::Outgoing;
use super::{Conferences, Credentials, Details, Invitation, Occasion};
use crate::domain::{
    Abilities, Address, CallAnswer, CallCommand, CallEvent, CallMedia, Claim, Command, Event, Newcomer, Refusal,
    Registration, WhenAbsent, WhenBusy,
};
use crate::hub::NoPlace;
use crate::ids::{RoomName, UserId};
use crate::shares::ClientAddress;
use crate::storage::{DeviceRecord, NotLoggedIn};

/// What some apps write before the name of somebody whom they call.
const CALL_SCHEME: &str = "sip:";

/// Names that one alias may have: that of a user whose id has a domain, with the server behind it, and its beginning.
const NAMES_MAX: usize = 3;

/// What somebody enters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A conference, by its alias.
    Conference(RoomName),
    /// Somebody is called, at these addresses: there is no such conference. Whether anybody is there shows when it rings.
    People(Vec<Address>),
    /// A call that rings is answered, by its one-time token, which is now used up.
    Call(Invitation),
}

/// The reason why a client enters nothing.
#[derive(Debug, thiserror::Error)]
pub enum NoDestination {
    #[error("the token is not known, was used before, or belongs to a call that is over")]
    OldToken,
    #[error("nobody can call their own account")]
    CallsItself,
    #[error("storage failed; try again later")]
    Storage(#[from] sqlx::Error),
}

/// The reason why nobody is called into a meeting.
#[derive(Debug, thiserror::Error)]
pub enum NotDialed {
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    #[error(transparent)]
    Hub(#[from] Refusal),
}

/// Somebody who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name by which they are called back.
    pub user: UserId,
    /// Whether they have proven that the name is theirs, by a registration or a password.
    pub claim: Claim,
}

/// A call that a session begins or answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    /// Group room where the two meet.
    pub room: RoomName,
    /// Commands of the session, in this order. What the hub refuses of the last one is why there is no call: `NotReachable` where
    /// nobody is there.
    pub commands: [Command; 2],
}

/// The names that an alias may be, the longest first: a server's name may stand behind it.
fn names(alias: &str) -> impl Iterator<Item = &str> {
    let alias = alias.strip_prefix(CALL_SCHEME).unwrap_or(alias);
    let cuts = alias.rmatch_indices('@').filter_map(|(at, _)| alias.get(..at));
    let names = std::iter::once(alias).chain(cuts);
    names.filter(|name| !name.is_empty()).take(NAMES_MAX)
}

/// Decides what an alias means for somebody who shows no token.
fn decide(
    alias: &str,
    is_conference: bool,
    found: Option<Vec<Address>>,
    caller: Option<&UserId>,
) -> Result<Destination, NoDestination> {
    if is_conference {
        return Ok(Destination::Conference(alias.into()));
    }
    let to = found.unwrap_or_else(|| names(alias).map(|name| Address::Name(name.into())).collect());
    let calls_itself = |caller: &UserId| to.iter().any(|address| address.user() == Some(caller));
    match caller.is_some_and(calls_itself) {
        true => Err(NoDestination::CallsItself),
        false => Ok(Destination::People(to)),
    }
}

impl Conferences {
    /// What the alias and the one-time token that a client shows mean. A token answers its call, and nothing else; it may come with
    /// the caller's name instead of the room. Without one a conference of that alias comes first.
    pub async fn destination(
        &self,
        alias: &str,
        token: Option<&str>,
        caller: Option<&UserId>,
    ) -> Result<Destination, NoDestination> {
        if let Some(token) = token {
            let invitation = self.redeem(token, alias).ok_or(NoDestination::OldToken)?;
            return Ok(Destination::Call(invitation));
        }
        let is_conference = self.records.has_conference(alias).await?;
        let found = match is_conference {
            true => None,
            false => self.people(alias).await?,
        };
        decide(alias, is_conference, found, caller)
    }

    /// Whether an alias means an account.
    pub async fn is_account(&self, alias: &str) -> Result<bool, sqlx::Error> {
        Ok(self.people(alias).await?.is_some())
    }

    /// The addresses of the account that an alias means, if there is one: a user's name or number, or a telephone number with its
    /// devices.
    async fn people(&self, alias: &str) -> Result<Option<Vec<Address>>, sqlx::Error> {
        for name in names(alias) {
            let account = self.records.user_account(name).await?;
            if account.is_some_and(|account| account.person.user.as_str() == name) {
                return Ok(Some(vec![Address::Name(name.into())]));
            }
        }
        for name in names(alias) {
            if let Some(account) = self.records.user_account_numbered(name).await? {
                return Ok(Some(vec![Address::Name(account.person.user)]));
            }
            let devices = self.records.devices(Some(name)).await?;
            if !devices.is_empty() {
                let address = |(device, _): (DeviceRecord, i64)| Address::Device {
                    account: name.into(),
                    device: device.device_id.as_str().into(),
                };
                return Ok(Some(devices.into_iter().map(address).collect()));
            }
        }
        Ok(None)
    }

    /// Notes what a user says about the call that they are about to begin. `None` if there is no such account.
    pub async fn prepare(&self, caller: UserId, callee: &str, details: Details) -> Result<Option<()>, sqlx::Error> {
        let Some(to) = self.people(callee).await? else {
            return Ok(None);
        };
        let outgoing = Outgoing { caller, to, details };
        self.invitations().prepare((self.passed)(), outgoing);
        Ok(Some(()))
    }

    /// Lets a session call somebody. Their devices ring, too, and the two meet in a room that nobody else knows.
    pub fn ring(&self, caller: Caller, to: Vec<Address>, details: Details) -> Calling {
        let room = RoomName::from(format!("call-{:032x}", rand::random::<u128>()).as_str());
        let now = (self.passed)();
        let mut invitations = self.invitations();
        let details = match invitations.prepared(now, &caller.user, &to) {
            Some(before) => details.or(before),
            None => details,
        };
        invitations.announce(now, room.clone(), details);
        drop(invitations);
        let invite = CallCommand::Invite {
            to,
            media: CallMedia::Either {
                offer: None,
                room: room.clone(),
            },
            when_busy: WhenBusy::Ring,
            when_absent: WhenAbsent::LeaveOut,
        };
        let register = speak_for(caller.user, caller.claim);
        let commands = [register, invite.into()];
        Calling { room, commands }
    }

    /// Lets a user be called into a meeting, by somebody who is there. Where the callee answers by a token, that lets them in
    /// ([`Conferences::accept`]); a callee of another family goes into the meeting's room, or is brought there. Returns when it rings.
    pub async fn dial(
        &self,
        caller: Caller,
        to: Vec<Address>,
        (meeting, details): (RoomName, Details),
        client: ClientAddress,
    ) -> Result<(), NotDialed> {
        let (session, mut events) = self.hub.connect(client).await?;
        self.invitations().announce((self.passed)(), meeting.clone(), details);
        session.request(speak_for(caller.user, caller.claim)).await?;
        let invite = CallCommand::Invite {
            to,
            media: CallMedia::Either {
                offer: None,
                room: meeting,
            },
            when_busy: WhenBusy::Ring,
            when_absent: WhenAbsent::LeaveOut,
        };
        session.request(invite.into()).await?;
        // The call goes on as long as the session is there, and ends by itself where nobody answers.
        tokio::spawn(async move {
            let is_over = |event: &Event| matches!(event, Event::Call(CallEvent::Over(_)) | Event::Ended(_));
            while events.next().await.is_some_and(|event| !is_over(&event)) {}
            drop(session);
        });
        Ok(())
    }

    /// The user whom a client names as itself, with their credentials.
    pub async fn caller(&self, credentials: &Credentials, client: ClientAddress) -> Result<UserId, NotLoggedIn> {
        self.authenticate(&credentials.user, credentials, client).await
    }
}

impl Invitation {
    /// Lets a session answer the call. An invitation into a meeting is answered by [`Conferences::accept`] instead.
    pub fn answer(&self) -> Calling {
        let answer = CallCommand::Answer {
            from: self.from.clone(),
            room: Some(self.room.clone()),
            answer: CallAnswer::Accept(None),
        };
        // The token was given to nobody else.
        let register = speak_for(self.account.clone(), Claim::Proven);
        Calling {
            room: self.room.clone(),
            commands: [register, answer.into()],
        }
    }

    /// Whether whoever answers comes into a meeting, which does not end with the call.
    pub fn is_into_a_meeting(&self) -> bool {
        matches!(self.details.occasion, Occasion::Meeting { .. })
    }
}

/// A session is to ask in the name of a user. Nothing rings there.
pub(super) fn speak_for(user: UserId, claim: Claim) -> Command {
    Command::Register(Registration {
        address: Address::Name(user),
        newcomer: Newcomer::Joins,
        claim,
        abilities: Abilities::NONE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(names: &[&str]) -> Destination {
        Destination::People(names.iter().map(|name| Address::Name((*name).into())).collect())
    }

    #[test]
    fn a_conference_comes_before_people_and_an_account_before_whoever_has_that_name() {
        let found = || Some(vec![Address::Name("anna@example.org".into())]);
        let decide = |is_conference, found, caller: Option<&str>| {
            let caller = caller.map(UserId::from);
            decide("anna@example.org@meet", is_conference, found, caller.as_ref())
        };
        let conference = Destination::Conference("anna@example.org@meet".into());
        assert_eq!(decide(true, None, None).unwrap(), conference);
        assert_eq!(
            decide(false, found(), Some("ben")).unwrap(),
            people(&["anna@example.org"])
        );
        let anybody = people(&["anna@example.org@meet", "anna@example.org", "anna"]);
        assert_eq!(decide(false, None, None).unwrap(), anybody);
        for caller in ["anna", "anna@example.org"] {
            let refused = decide(false, None, Some(caller));
            assert!(matches!(refused, Err(NoDestination::CallsItself)), "{caller}");
        }
        let refused = decide(false, found(), Some("anna@example.org"));
        assert!(matches!(refused, Err(NoDestination::CallsItself)));
        assert!(decide(false, found(), Some("anna")).is_ok(), "somebody else");
    }

    #[test]
    fn an_alias_has_a_few_names_whatever_it_is() {
        let names = |alias| names(alias).collect::<Vec<_>>();
        assert_eq!(names("sip:anna@example.org"), ["anna@example.org", "anna"]);
        assert_eq!(names("ben"), ["ben"]);
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names("@@"), ["@@", "@"]);
        assert_eq!(names("a@b@c@d@e").len(), NAMES_MAX);
    }
}
