//! Records of conferences, and whether somebody may enter one.

use std::time::Duration;

use super::checks::{Lock, PasswordAttempt};
use super::database::{LockKey, alone, reading, writing};
use super::entry::{ConferenceRecord, Guests, ShownPin, Verdict, check_pin};
use super::errors::AdmitError;
use super::{RecordError, Records, check_id, local_part, passwords, storable};
use crate::clock::MonotonicClock;
use crate::domain::Role;
use crate::ids::RoomName;
use crate::shares::ClientAddress;
use crate::text::TextLimit;

const WHAT: &str = "the conference";

/// Name that people are shown.
const NAME: TextLimit = TextLimit::characters(256);

/// A conference that is to be recorded. No text in it is shown in logs.
pub struct NewConference {
    pub alias: RoomName,
    pub name: String,
    pub host_pin: Option<String>,
    pub guests: NewGuests,
    pub waits_for_host: bool,
}

/// The guests whom a conference is to let in.
pub enum NewGuests {
    Nobody,
    WithPin(String),
    Anybody,
}

/// The changes to a conference; `None` leaves a value as it is.
#[derive(Default)]
pub struct ConferenceChange {
    pub name: Option<String>,
    /// `Some(None)` removes it: everybody then enters as a host.
    pub host_pin: Option<Option<String>>,
    pub guests: Option<NewGuests>,
    pub waits_for_host: Option<bool>,
}

/// Somebody who may enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub role: Role,
    pub conference: ConferenceRecord,
}

/// The reason why somebody may not enter a conference.
#[derive(Debug, thiserror::Error)]
pub enum NoEntry {
    #[error("there is no such conference")]
    Unknown,
    /// Hosts need a PIN, and guests too if it says so.
    #[error("the conference asks for a PIN")]
    PinRequired { guest_pin_required: bool },
    #[error("the PIN is wrong")]
    WrongPin,
    #[error("there were too many wrong PINs for this conference; wait {} s", wait.as_secs() + 1)]
    TooManyTries { wait: Duration },
    #[error("storage failed; try again later")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A conference with the hashes of its PINs.
pub(super) struct ConferenceRow {
    pub(super) conference: ConferenceRecord,
    host_pin_hash: Option<String>,
    guest_pin_hash: Option<String>,
}

type Row = (String, String, Option<String>, Option<String>, i64, i64);

const SELECT: &str =
    "SELECT alias, name, host_pin_hash, guest_pin_hash, guests_allowed, waits_for_host FROM conferences";

impl ConferenceRow {
    fn of((alias, name, host_pin_hash, guest_pin_hash, guests_allowed, waits_for_host): Row) -> Self {
        let conference = ConferenceRecord {
            alias: RoomName::from(alias.as_str()),
            name,
            has_host_pin: host_pin_hash.is_some(),
            guests: match (guests_allowed, &guest_pin_hash) {
                (0, _) => Guests::Nobody,
                (_, Some(_)) => Guests::WithPin,
                (_, None) => Guests::Anybody,
            },
            waits_for_host: waits_for_host != 0,
        };
        Self {
            conference,
            host_pin_hash,
            guest_pin_hash,
        }
    }

    /// The hashes with which a PIN is compared, with the role that each gives.
    fn hashes(&self, with_guest_pin: bool) -> Vec<(Role, &str)> {
        let host = self.host_pin_hash.as_deref().map(|hash| (Role::Host, hash));
        let guest = self.guest_pin_hash.as_deref().map(|hash| (Role::Guest, hash));
        host.into_iter().chain(guest.filter(|_| with_guest_pin)).collect()
    }
}

impl Records {
    /// All conferences, by alias.
    pub async fn conferences(&self) -> Result<Vec<ConferenceRecord>, sqlx::Error> {
        let sql = format!("{SELECT} ORDER BY alias");
        let rows: Vec<Row> =
            reading!(&self.database, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|row| ConferenceRow::of(row).conference).collect())
    }

    /// Whether there is a conference of that alias, with a domain behind it or without.
    pub async fn has_conference(&self, alias: &str) -> Result<bool, sqlx::Error> {
        Ok(self.conference_row(alias, local_part(alias)).await?.is_some())
    }

    /// Whether somebody at this address may enter the conference, and in which role. `alias` may have a domain behind it, which
    /// counts only where a conference has the whole name. Wrong PINs make the next ones slower.
    pub async fn enter_conference(
        &self,
        alias: &str,
        shown: ShownPin<'_>,
        client: ClientAddress,
        clock: &MonotonicClock,
    ) -> Result<Entry, NoEntry> {
        let found = self.conference_row(alias, local_part(alias)).await;
        let found = found.map_err(|error| NoEntry::Storage(error.into()))?;
        let found = found.ok_or(NoEntry::Unknown)?;
        let role = self.role_in(&found, shown, client, clock).await;
        match &role {
            Err(NoEntry::WrongPin) => metrics::counter!("patchbay_passwords_wrong_total").increment(1),
            Err(NoEntry::TooManyTries { .. }) => metrics::counter!("patchbay_guesses_refused_total").increment(1),
            _ => {}
        }
        let conference = found.conference;
        role.map(|role| Entry { role, conference })
    }

    /// The role in which somebody enters who shows this.
    pub(super) async fn role_in(
        &self,
        found: &ConferenceRow,
        shown: ShownPin<'_>,
        client: ClientAddress,
        clock: &MonotonicClock,
    ) -> Result<Role, NoEntry> {
        let (hashes, pin) = match (found.conference.judge(shown), shown) {
            (Verdict::Enters(role), _) => return Ok(role),
            (Verdict::AsksForPin { guest_pin_required }, _) => {
                return Err(NoEntry::PinRequired { guest_pin_required });
            }
            (Verdict::Compare { with_guest_pin }, ShownPin::Pin(pin)) => (found.hashes(with_guest_pin), pin),
            (Verdict::Compare { .. } | Verdict::Wrong, _) => return Err(NoEntry::WrongPin),
        };
        let attempt = PasswordAttempt {
            lock: Lock::Conference(found.conference.alias.clone()),
            client,
        };
        let texts: Vec<&str> = hashes.iter().map(|(_, hash)| *hash).collect();
        let index = self.passwords.verify_any(attempt, &texts, pin, clock).await;
        let index = index.map_err(|error| match error {
            AdmitError::TooManyGuesses { wait } => NoEntry::TooManyTries { wait },
            AdmitError::Storage(cause) => NoEntry::Storage(cause),
            AdmitError::WrongPassword | AdmitError::UnknownUser => NoEntry::WrongPin,
        })?;
        hashes.get(index).map(|(role, _)| *role).ok_or(NoEntry::WrongPin)
    }

    /// The conference of one of two aliases, the first if both are there.
    pub(super) async fn conference_row(&self, alias: &str, or: &str) -> Result<Option<ConferenceRow>, sqlx::Error> {
        let Some(alias) = storable(alias) else {
            return Ok(None);
        };
        let sql = format!("{SELECT} WHERE alias = $1 OR alias = $2");
        let rows: Vec<Row> = reading!(&self.database, pool => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(alias)
            .bind(or)
            .fetch_all(pool)
            .await)?;
        let row = rows.into_iter().min_by_key(|(found, ..)| found != alias);
        Ok(row.map(ConferenceRow::of))
    }

    pub async fn add_conference(&self, new: NewConference) -> Result<(), RecordError> {
        let alias = new.alias.as_str();
        check_id("a conference's alias", alias)?;
        if new.alias.is_channel() {
            return Err(RecordError::IsChannel);
        }
        if self.rooms().await?.iter().any(|record| record.room == new.alias) {
            return Err(RecordError::IsRoom(alias.to_owned()));
        }
        check_name(&new.name)?;
        let (guests_allowed, guest_pin) = match new.guests {
            NewGuests::Nobody => (0_i64, None),
            NewGuests::Anybody => (1, None),
            NewGuests::WithPin(pin) => (1, Some(pin)),
        };
        for pin in [&new.host_pin, &guest_pin].into_iter().flatten() {
            check_pin(pin)?;
        }
        if new.host_pin.is_none() && guests_allowed != 0 {
            return Err(RecordError::GuestsWithoutHosts);
        }
        if guest_pin.is_some() && guest_pin == new.host_pin {
            return Err(RecordError::SamePins);
        }
        let host_pin_hash = passwords::hash(new.host_pin.as_deref()).await?;
        let guest_pin_hash = passwords::hash(guest_pin.as_deref()).await?;
        let sql = "INSERT INTO conferences \
            (alias, name, host_pin_hash, guest_pin_hash, guests_allowed, waits_for_host) VALUES ($1, $2, $3, $4, $5, $6)";
        writing!(&self.database, pool => sqlx::query(sql)
            .bind(alias)
            .bind(&new.name)
            .bind(&host_pin_hash)
            .bind(&guest_pin_hash)
            .bind(guests_allowed)
            .bind(i64::from(new.waits_for_host))
            .execute(pool)
            .await
            .map(drop))
        .map_err(|e| RecordError::of_insert(e, WHAT, alias))
    }

    /// Changes a conference. Those who are inside stay.
    pub async fn set_conference(&self, alias: &RoomName, change: ConferenceChange) -> Result<(), RecordError> {
        let alias = alias.as_str();
        if let Some(name) = &change.name {
            check_name(name)?;
        }
        let select = format!("{SELECT} WHERE alias = $1");
        let update = "UPDATE conferences SET name = $2, host_pin_hash = $3, guest_pin_hash = $4, guests_allowed = $5, \
            waits_for_host = $6 WHERE alias = $1";
        alone!(&self.database, LockKey::Conferences, transaction => {
            let found = sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(alias).fetch_optional(&mut *transaction).await?;
            let found: Option<Row> = found;
            let Some(row) = found else {
                return RecordError::unless_found(0, WHAT, alias);
            };
            let (_, name, host_pin_hash, guest_pin_hash, guests_allowed, waits_for_host) = changed(row, change).await?;
            sqlx::query(update)
                .bind(alias)
                .bind(name)
                .bind(host_pin_hash)
                .bind(guest_pin_hash)
                .bind(guests_allowed)
                .bind(waits_for_host)
                .execute(&mut *transaction)
                .await?;
        });
        Ok(())
    }

    /// Removes a conference. Its alias is then the name of a room that anybody may enter who may enter the server.
    pub async fn remove_conference(&self, alias: &RoomName) -> Result<(), RecordError> {
        let sql = "DELETE FROM conferences WHERE alias = $1";
        let removed = writing!(&self.database, pool => sqlx::query(sql)
            .bind(alias.as_str())
            .execute(pool)
            .await
            .map(|done| done.rows_affected()))?;
        RecordError::unless_found(removed, WHAT, alias.as_str())
    }
}

/// The record after a change.
async fn changed(row: Row, change: ConferenceChange) -> Result<Row, RecordError> {
    let (alias, name, host_pin_hash, guest_pin_hash, guests_allowed, waits_for_host) = row;
    let (host_pin, host_pin_hash) = match change.host_pin {
        None => (None, host_pin_hash),
        Some(pin) => {
            let hash = pin_hash(pin.as_deref()).await?;
            (pin, hash)
        }
    };
    let (guest_pin, guest_pin_hash, guests_allowed) = match change.guests {
        None => (None, guest_pin_hash, guests_allowed),
        Some(NewGuests::Nobody) => (None, None, 0),
        Some(NewGuests::Anybody) => (None, None, 1),
        Some(NewGuests::WithPin(pin)) => {
            let hash = pin_hash(Some(&pin)).await?;
            (Some(pin), hash, 1)
        }
    };
    if host_pin_hash.is_none() && guests_allowed != 0 {
        return Err(RecordError::GuestsWithoutHosts);
    }
    // One PIN would give two roles. Each new one is compared with the other, whether that is new or not.
    for (pin, other) in [(&host_pin, &guest_pin_hash), (&guest_pin, &host_pin_hash)] {
        if let (Some(pin), Some(other)) = (pin, other)
            && passwords::matches(other.clone(), pin.clone()).await
        {
            return Err(RecordError::SamePins);
        }
    }
    let waits_for_host = change.waits_for_host.map_or(waits_for_host, i64::from);
    let name = change.name.unwrap_or(name);
    Ok((
        alias,
        name,
        host_pin_hash,
        guest_pin_hash,
        guests_allowed,
        waits_for_host,
    ))
}

async fn pin_hash(pin: Option<&str>) -> Result<Option<String>, RecordError> {
    pin.map_or(Ok(()), check_pin)?;
    passwords::hash(pin).await
}

fn check_name(name: &str) -> Result<(), RecordError> {
    if !NAME.holds(name) || name.chars().any(char::is_control) {
        let max = NAME.characters;
        return Err(RecordError::BadText { max });
    }
    Ok(())
}
