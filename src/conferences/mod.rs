//! Users who log in with a password, and the calls that ring at their apps. This module does not know HTTP: neither what is sent
//! over it, nor how.
//!
//! A login gives a session id, which is valid for a short time and proves the user's name. A call that rings at a user comes with a
//! one-time token ([`invitations`]): whoever has it may answer the call, or refuse it, once. [`calls`] says how users call, and
//! [`waking`] how calls reach their phones.

mod answers;
mod calls;
mod invitations;
mod waking;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use answers::NotRefused;
pub use calls::{Caller, Calling, Destination, NoDestination, NotDialed};
use invitations::Invitations;
pub use invitations::{Details, FRESH_FOR, Invitation, InvitationToken, Occasion, RingsAt};

use crate::auth::TokenKeys;
use crate::clock::{MonotonicClock, WallClock, now_s};
use crate::config::Config;
use crate::domain::Address;
use crate::hub::HubHandle;
use crate::ids::{CallId, RoomName, UserId};
use crate::shares::ClientAddress;
use crate::storage::{Entry, NoEntry, NotLoggedIn, Records, ShownPin, UserAccount, local_part};

/// Time for which the session id of a login is valid: as the apps expect it.
const SESSION_LASTS_S: i64 = 180;

/// All users who log in, and the calls that ring at them. Cheap to clone.
#[derive(Clone)]
pub struct Conferences {
    records: Records,
    hub: HubHandle,
    keys: TokenKeys,
    clock: WallClock,
    passed: MonotonicClock,
    invitations: Arc<Mutex<Invitations>>,
}

/// Somebody who has just logged in.
pub struct LoggedIn {
    pub account: UserAccount,
    /// Proof of the user's name that is valid for a short time.
    pub session_id: String,
}

/// An account and a password, as a client shows them with a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account, with its domain or without.
    pub user: String,
    pub password: String,
}

/// What somebody may join.
pub enum Place {
    Conference(Entry),
    /// A user, who is to be called.
    User(UserAccount),
    /// A call that rings, which is to be answered.
    Call {
        invitation: Invitation,
        caller_name: String,
    },
}

impl Conferences {
    pub fn new(
        records: Records,
        hub: HubHandle,
        keys: TokenKeys,
        clock: WallClock,
        passed: MonotonicClock,
        config: &Config,
    ) -> Self {
        Self {
            records,
            hub,
            keys,
            clock,
            passed,
            invitations: Arc::new(Mutex::new(Invitations::new(config.calls.ring_timeout()))),
        }
    }

    fn invitations(&self) -> MutexGuard<'_, Invitations> {
        self.invitations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since 1970-01-01 UTC.
    pub fn now_s(&self) -> i64 {
        now_s(&self.clock)
    }

    /// Logs a user in.
    pub async fn log_in(&self, account: &str, password: &str, client: ClientAddress) -> Result<LoggedIn, NotLoggedIn> {
        let account = self.records.log_in(account, password, client, &self.passed).await?;
        let until_s = self.now_s().saturating_add(SESSION_LASTS_S);
        let session_id = self.keys.issue(&account.person.user, until_s);
        let no_secret = || NotLoggedIn::Storage("there is no secret to sign tokens with".into());
        Ok(LoggedIn {
            session_id: session_id.ok_or_else(no_secret)?,
            account,
        })
    }

    /// The user of this account, if the credentials are theirs. Apps leave the domain away in the credentials.
    pub async fn authenticate(
        &self,
        account: &str,
        credentials: &Credentials,
        client: ClientAddress,
    ) -> Result<UserId, NotLoggedIn> {
        let Credentials { user, password } = credentials;
        if user != account && local_part(user) != local_part(account) {
            return Err(NotLoggedIn::Wrong);
        }
        let account = self.records.log_in(account, password, client, &self.passed).await?;
        Ok(account.person.user)
    }

    /// The user whose login gave this session id, as long as it is valid and they can log in.
    pub async fn owner_of_session(&self, session_id: &str) -> Result<UserId, NotLoggedIn> {
        let owner = self.keys.owner_of(session_id, self.now_s());
        let owner = owner.map_err(|_| NotLoggedIn::Wrong)?;
        let account = self.records.user_account(owner.as_str()).await;
        match account.map_err(|error| NotLoggedIn::Storage(error.into()))? {
            Some(account) if account.person.user == owner => Ok(owner),
            _ => Err(NotLoggedIn::Wrong),
        }
    }

    /// The name under which somebody is shown: their id if no other is known.
    pub async fn display_name(&self, user: &UserId) -> Result<String, sqlx::Error> {
        let person = self.records.user(user).await?;
        let name = person.map(|person| person.name).filter(|name| !name.is_empty());
        Ok(name.unwrap_or_else(|| user.to_string()))
    }

    /// Whether somebody at this address may enter a conference, and in which role. `alias` may have a domain behind it; the room is that
    /// of the conference in the answer. Ten wrong PINs a minute are answered at most.
    pub async fn enter(&self, alias: &str, shown: ShownPin<'_>, client: ClientAddress) -> Result<Entry, NoEntry> {
        self.records.enter_conference(alias, shown, client, &self.passed).await
    }

    /// What somebody may join who names this place, as apps ask before they do: a conference, or a call. Nothing changes.
    pub async fn find(&self, place: &str, shown: ShownPin<'_>, client: ClientAddress) -> Result<Place, NoEntry> {
        match self.enter(place, shown, client).await {
            Err(NoEntry::Unknown) => {}
            outcome => return outcome.map(Place::Conference),
        }
        let failed = |error: sqlx::Error| NoEntry::Storage(error.into());
        if let Some(account) = self.records.user_account(place).await.map_err(failed)? {
            return Ok(Place::User(account));
        }
        let ringing = self.invitations().in_room((self.passed)(), place).cloned();
        let invitation = ringing.ok_or(NoEntry::Unknown)?;
        let caller_name = self.display_name(invitation.caller()).await.map_err(failed)?;
        Ok(Place::Call {
            invitation,
            caller_name,
        })
    }

    /// The invitation of a user to this call, with the token by which it is answered or refused at this place.
    pub fn invite(
        &self,
        account: &UserId,
        call: CallId,
        (from, room): (Address, RoomName),
        at: RingsAt,
    ) -> (InvitationToken, Invitation) {
        let (began_s, now, mut invitations) = (self.now_s(), (self.passed)(), self.invitations());
        let invitation = Invitation {
            account: account.clone(),
            call,
            from,
            details: invitations.details(now, &room),
            room,
            began_s,
        };
        invitations.invite(now, InvitationToken::random(), invitation, at)
    }

    /// The call no longer rings at the user. Returns whether those at this place are to be sent that: not if they have answered.
    pub fn withdraw(&self, account: &UserId, call: CallId, at: &RingsAt) -> bool {
        let mut invitations = self.invitations();
        invitations.withdraw(account, call);
        !invitations.is_answered_at(account, call, at)
    }
}
