//! Users who log in with a password, for one client at one address.

use std::time::Duration;

use super::checks::{Lock, PasswordAttempt};
use super::database::reading;
use super::errors::AdmitError;
use super::passwords::NOBODYS_HASH;
use super::{Records, UserAccount, storable};
use crate::clock::MonotonicClock;
use crate::domain::Person;
use crate::ids::UserId;
use crate::shares::ClientAddress;

/// The reason why somebody is not logged in.
#[derive(Debug, thiserror::Error)]
pub enum NotLoggedIn {
    /// There is no such account, or it has another password: whoever asks is not told which.
    #[error("the account or the password is wrong")]
    Wrong,
    #[error("there were too many wrong passwords; wait {} s", wait.as_secs() + 1)]
    TooManyGuesses { wait: Duration },
    #[error("storage failed; try again later")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The name of an account without its domain: whoever writes `anna@example.org` means `anna` where there is no user of the whole
/// name.
pub(crate) fn local_part(account: &str) -> &str {
    account.split_once('@').map_or(account, |(local, _)| local)
}

type Row = (String, String, String, String, i64, Option<String>);

impl Records {
    /// The user who has this account and this password. The answer takes as long whether or not there is such an account, and
    /// guesses make the next ones slower whether or not there is.
    pub async fn log_in(
        &self,
        account: &str,
        password: &str,
        client: ClientAddress,
        clock: &MonotonicClock,
    ) -> Result<UserAccount, NotLoggedIn> {
        let found = self.account_with_hash(account).await;
        let found = found.map_err(|error| NotLoggedIn::Storage(error.into()))?;
        let hash = found.as_ref().map_or(NOBODYS_HASH, |(_, hash)| hash);
        let attempt = PasswordAttempt {
            lock: Lock::Account(UserId::from(local_part(account))),
            client,
        };
        let verified = self.passwords.verify(attempt, hash, password, clock).await;
        let outcome = match (verified, found) {
            (Ok(()), Some((account, _))) => Ok(account),
            (Err(AdmitError::TooManyGuesses { wait }), _) => Err(NotLoggedIn::TooManyGuesses { wait }),
            (Err(AdmitError::Storage(cause)), _) => Err(NotLoggedIn::Storage(cause)),
            _ => Err(NotLoggedIn::Wrong),
        };
        match &outcome {
            Err(NotLoggedIn::Wrong) => metrics::counter!("patchbay_passwords_wrong_total").increment(1),
            Err(NotLoggedIn::TooManyGuesses { .. }) => metrics::counter!("patchbay_guesses_refused_total").increment(1),
            Err(NotLoggedIn::Storage(_)) | Ok(_) => {}
        }
        outcome
    }

    /// The user who has this account, if they can log in.
    pub async fn user_account(&self, account: &str) -> Result<Option<UserAccount>, sqlx::Error> {
        Ok(self.account_with_hash(account).await?.map(|(account, _)| account))
    }

    /// The user who has this number as an account, if they can log in. `None` where the text is no number.
    pub async fn user_account_numbered(&self, text: &str) -> Result<Option<UserAccount>, sqlx::Error> {
        let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) else {
            return Ok(None);
        };
        let sql = "SELECT id, name, prefix, postfix, number, password_hash FROM users \
            WHERE number = $1 AND password_hash IS NOT NULL";
        let row: Option<Row> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(number).fetch_optional(pool).await)?;
        Ok(row.and_then(account_of).map(|(account, _)| account))
    }

    /// The users who can log in and have devices that push services reach, in the order of their ids, from the one behind `after`.
    pub async fn accounts_with_devices(&self, after: &str, most: i64) -> Result<Vec<UserId>, sqlx::Error> {
        let sql = "SELECT id FROM users WHERE id > $1 AND password_hash IS NOT NULL \
            AND EXISTS (SELECT 1 FROM push_devices WHERE member = users.id) ORDER BY id LIMIT $2";
        let rows: Vec<(String,)> =
            reading!(&self.database, pool => sqlx::query_as(sql).bind(after).bind(most).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(id,)| UserId::from(id.as_str())).collect())
    }

    /// One question to the database, however the account is written and whether or not it is there.
    async fn account_with_hash(&self, account: &str) -> Result<Option<(UserAccount, String)>, sqlx::Error> {
        let Some(named) = storable(account) else {
            return Ok(None);
        };
        let sql = "SELECT id, name, prefix, postfix, number, password_hash FROM users WHERE id = $1 OR id = $2";
        let rows: Vec<Row> = reading!(&self.database, pool => sqlx::query_as(sql)
            .bind(named)
            .bind(local_part(named))
            .fetch_all(pool)
            .await)?;
        let whole_name_first = |(id, ..): &Row| id != named;
        let row = rows.into_iter().min_by_key(whole_name_first);
        Ok(row.and_then(account_of))
    }
}

fn account_of((id, name, prefix, postfix, number, hash): Row) -> Option<(UserAccount, String)> {
    let user = UserId::from(id.as_str());
    let person = Person {
        user,
        name,
        prefix,
        postfix,
    };
    Some((UserAccount { person, number }, hash?))
}
