//! Which registration is whose: the entries of the desk, by their tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::conferences::{InvitationToken, RingsAt};
use crate::domain::{Abilities, Address, Claim, Command, Newcomer, Registration};
use crate::http::desk::{Desk, NotDone, NotReceived, Token};
use crate::ids::{CallId, UserId};
use crate::shares::ClientAddress;
use crate::storage::PushDevice;

/// Time for which a registration lasts without being refreshed. Apps refresh it three times as often.
pub(super) const LASTS: Duration = Duration::from_secs(120);

/// Registrations of one account: its phones, and the pages that are open. Half as many as one address may have sessions, so that
/// the sockets of other families find a place.
const PER_ACCOUNT_MAX: usize = 8;

/// Calls of one registration whose end it is sent. The rules let no more ring at one address.
const RINGS_MAX: usize = 16;

/// Calls ring here whose parties meet in a room.
const ABILITIES: Abilities = Abilities {
    rings_elsewhere: true,
    ..Abilities::NONE
};

/// All registrations. There is one for each entry of the desk at most. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registrations {
    desk: Desk,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    registered: HashMap<Token, Registered>,
    last_number: u64,
}

struct Registered {
    account: UserId,
    device: Option<PushDevice>,
    /// Number of the registration: a higher one is newer.
    number: u64,
    /// Ends the stream of events that the client reads.
    stream: CancellationToken,
    /// Calls that ring, with the tokens that the client has been sent.
    rings: Vec<(CallId, InvitationToken)>,
}

/// Why somebody is not registered.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRegistered {
    #[error(transparent)]
    Received(#[from] NotReceived),
    #[error(transparent)]
    Done(#[from] NotDone),
}

impl Registrations {
    pub fn new(desk: Desk) -> Self {
        let table = Arc::default();
        Self { desk, table }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers an account whose user has proven who they are.
    pub(super) async fn open(
        &self,
        account: &UserId,
        device: Option<PushDevice>,
        client: ClientAddress,
    ) -> Result<Token, NotRegistered> {
        let token = self.desk.open(client, LASTS).await?;
        let registration = Registration {
            address: Address::Name(account.clone()),
            newcomer: Newcomer::Joins,
            claim: Claim::Proven,
            abilities: ABILITIES,
        };
        if let Err(refused) = self.desk.request(token, Command::Register(registration)).await {
            self.desk.close(token);
            return Err(refused.into());
        }
        let is_there = |token: &Token| self.desk.is_there(*token);
        for outdated in self.table().add(token, account, device, is_there) {
            self.desk.close(outdated);
        }
        Ok(token)
    }

    /// Whether the token is that of a registration of this account.
    fn belongs(&self, token: Token, account: &str) -> bool {
        let table = self.table();
        let registered = table.registered.get(&token);
        registered.is_some_and(|registered| is_of(&registered.account, account))
    }

    pub(super) fn refresh(&self, token: Token, account: &str) -> Result<(), NotDone> {
        if !self.belongs(token, account) {
            return Err(NotDone::UnknownToken);
        }
        self.desk.renew(token, LASTS)
    }

    /// Ends a registration. Returns its account and the device that it came with.
    pub(super) fn close(&self, token: Token, account: &str) -> Result<(UserId, Option<PushDevice>), NotDone> {
        if !self.belongs(token, account) || !self.desk.close(token) {
            return Err(NotDone::UnknownToken);
        }
        let removed = self.table().registered.remove(&token).ok_or(NotDone::UnknownToken)?;
        Ok((removed.account, removed.device))
    }

    /// Begins a stream of events, which ends the one before. Returns the account, and what ends this one.
    pub(super) fn follow(&self, token: Token, account: &str) -> Result<(UserId, CancellationToken), NotDone> {
        if !self.belongs(token, account) || !self.desk.is_there(token) {
            return Err(NotDone::UnknownToken);
        }
        let mut table = self.table();
        let registered = table.registered.get_mut(&token).ok_or(NotDone::UnknownToken)?;
        registered.stream.cancel();
        registered.stream = CancellationToken::new();
        Ok((registered.account.clone(), registered.stream.clone()))
    }

    /// The user of a registration that is there.
    pub(super) fn account_of(&self, token: Token) -> Option<UserId> {
        let is_there = self.desk.is_there(token);
        let table = self.table();
        let registered = table.registered.get(&token).filter(|_| is_there)?;
        Some(registered.account.clone())
    }

    /// The place where a registration lets calls ring: its device, where it came with one.
    pub(super) fn rings_at(&self, token: Token) -> Option<RingsAt> {
        let table = self.table();
        let registered = table.registered.get(&token)?;
        Some(match &registered.device {
            Some(device) => RingsAt::Device(device.service.target(&device.token)),
            None => RingsAt::Registration(registered.number),
        })
    }

    /// The client is sent that a call rings.
    pub(super) fn rings(&self, token: Token, call: CallId, invitation: InvitationToken) {
        if let Some(registered) = self.table().registered.get_mut(&token) {
            if registered.rings.len() >= RINGS_MAX {
                registered.rings.remove(0);
            }
            registered.rings.push((call, invitation));
        }
    }

    /// The call no longer rings. Returns the token that the client was sent for it.
    pub(super) fn rings_no_longer(&self, token: Token, call: CallId) -> Option<InvitationToken> {
        let mut table = self.table();
        let rings = &mut table.registered.get_mut(&token)?.rings;
        let index = rings.iter().position(|(known, _)| *known == call)?;
        Some(rings.remove(index).1)
    }
}

/// Whether an account is written like this: with a domain, or without.
fn is_of(account: &UserId, written: &str) -> bool {
    account.as_str() == written || account.as_str() == crate::storage::local_part(written)
}

impl Table {
    /// Adds a registration, and forgets those that are no longer there. Returns those that it replaces.
    fn add(
        &mut self,
        token: Token,
        account: &UserId,
        device: Option<PushDevice>,
        is_there: impl Fn(&Token) -> bool,
    ) -> Vec<Token> {
        self.registered.retain(|token, _| is_there(token));
        let own = self.registered.iter().filter(|(_, one)| one.account == *account);
        let mut own: Vec<(u64, Token, bool)> = own
            .map(|(token, one)| (one.number, *token, device.is_some() && one.device == device))
            .collect();
        own.sort_unstable_by_key(|(number, ..)| *number);
        let too_many = (own.len() + 1).saturating_sub(PER_ACCOUNT_MAX);
        let outdated = own.iter().enumerate();
        let outdated = outdated.filter(|(place, (_, _, is_same_device))| *place < too_many || *is_same_device);
        let outdated: Vec<Token> = outdated.map(|(_, (_, token, _))| *token).collect();
        self.registered.retain(|token, _| !outdated.contains(token));
        self.last_number += 1;
        self.registered.insert(
            token,
            Registered {
                account: account.clone(),
                device,
                number: self.last_number,
                stream: CancellationToken::new(),
                rings: Vec::new(),
            },
        );
        outdated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PushService;

    fn phone(device: &str) -> Option<PushDevice> {
        Some(PushDevice {
            service: PushService::JPush,
            device: device.to_owned(),
            token: device.to_owned(),
        })
    }

    #[test]
    fn an_account_has_eight_registrations_and_a_device_has_one() {
        let mut table = Table::default();
        let (anna, ben) = (UserId::from("anna"), UserId::from("ben"));
        let tokens: Vec<Token> = (0..12).map(|_| Token::random()).collect();
        for token in &tokens[..PER_ACCOUNT_MAX] {
            assert_eq!(table.add(*token, &anna, None, |_| true), []);
        }
        assert_eq!(table.add(tokens[8], &ben, None, |_| true), []);
        assert_eq!(
            table.add(tokens[9], &anna, phone("1"), |_| true),
            [tokens[0]],
            "the oldest"
        );
        assert_eq!(table.add(tokens[10], &ben, phone("1"), |_| true), [], "somebody else's");
        let replaced = table.add(tokens[11], &anna, phone("1"), |_| true);
        assert_eq!(
            replaced,
            [tokens[1], tokens[9]],
            "the oldest, and that of the same device"
        );
    }

    #[test]
    fn what_the_desk_has_forgotten_is_forgotten() {
        let mut table = Table::default();
        for _ in 0..1_000 {
            let only = Token::random();
            table.add(only, &"anna".into(), None, |token| *token == only);
        }
        assert_eq!(table.registered.len(), 1);
    }
}
