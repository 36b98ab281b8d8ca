//! Messages that wait until the operator's back end has taken them. `crate::webhooks` posts them.

use super::Records;
use super::database::{LockKey, alone, reading, writing};
use crate::ids::RoomName;

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingWebhook {
    pub id: String,
    pub body: String,
    /// Number of times that it has been posted, this time included.
    pub attempts: i64,
}

/// A message that is to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct NewWebhook<'a> {
    pub id: &'a str,
    pub body: &'a str,
    pub made_s: i64,
    /// The call of which the message says that it is over, and when it ended.
    pub end_of: Option<(&'a RoomName, i64)>,
}

/// The outcome of recording a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Done,
    /// The oldest message was removed for it.
    InPlaceOfAnother,
    /// It has been recorded before.
    Known,
}

impl Records {
    /// Records a message that is to be posted now. Where `most` wait already, the oldest of these is removed for it. A message
    /// that a call is over is recorded once for this end of the call, whichever process records it.
    pub async fn add_webhook(&self, new: &NewWebhook<'_>, most: i64) -> Result<Added, sqlx::Error> {
        let note = "UPDATE channels SET posted = 1 WHERE channel = $1 AND ended_at = $2 AND posted = 0";
        let count = "SELECT COUNT(*) FROM webhooks";
        let remove = "DELETE FROM webhooks WHERE id = (SELECT id FROM webhooks ORDER BY made_at, id LIMIT 1)";
        let insert = "INSERT INTO webhooks (id, body, made_at, attempts, next_at) VALUES ($1, $2, $3, 0, $3)";
        let added = alone!(&self.database, LockKey::Webhooks, transaction => {
            let is_new = match new.end_of {
                None => true,
                Some((channel, ended_s)) => {
                    let note = sqlx::query(note).bind(channel.as_str()).bind(ended_s);
                    note.execute(&mut *transaction).await?.rows_affected() > 0
                }
            };
            let (waiting,): (i64,) = sqlx::query_as(count).fetch_one(&mut *transaction).await?;
            if is_new && waiting >= most {
                sqlx::query(remove).execute(&mut *transaction).await?;
            }
            if is_new {
                let insert = sqlx::query(insert).bind(new.id).bind(new.body).bind(new.made_s);
                insert.execute(&mut *transaction).await?;
            }
            match is_new {
                false => Added::Known,
                true if waiting >= most => Added::InPlaceOfAnother,
                true => Added::Done,
            }
        });
        Ok(added)
    }

    /// The messages that are due, the longest due first, at most `limit`. Nobody else gets them before `until_s`: if this
    /// process ends before it has reported what became of them, they are posted again then.
    pub async fn take_webhooks(
        &self,
        now_s: i64,
        until_s: i64,
        limit: i64,
    ) -> Result<Vec<WaitingWebhook>, sqlx::Error> {
        let due = "SELECT id, body, attempts FROM webhooks WHERE next_at <= $1 ORDER BY next_at, made_at, id LIMIT $2";
        let take = "UPDATE webhooks SET next_at = $2, attempts = attempts + 1 WHERE id = $1";
        let rows = alone!(&self.database, LockKey::Webhooks, transaction => {
            let due = sqlx::query_as(due).bind(now_s).bind(limit);
            let rows: Vec<(String, String, i64)> = due.fetch_all(&mut *transaction).await?;
            for (id, ..) in &rows {
                let take = sqlx::query(take).bind(id).bind(until_s);
                take.execute(&mut *transaction).await?;
            }
            rows
        });
        let taken = |(id, body, attempts)| WaitingWebhook {
            id,
            body,
            attempts: attempts + 1,
        };
        Ok(rows.into_iter().map(taken).collect())
    }

    /// The time of the next attempt of any message, in seconds since 1970-01-01 UTC.
    pub async fn next_webhook_s(&self) -> Result<Option<i64>, sqlx::Error> {
        let sql = "SELECT MIN(next_at) FROM webhooks";
        let (next,): (Option<i64>,) = reading!(&self.database, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(next)
    }

    /// Lets a message wait for its next attempt.
    pub async fn postpone_webhook(&self, id: &str, until_s: i64) -> Result<(), sqlx::Error> {
        let sql = "UPDATE webhooks SET next_at = $2 WHERE id = $1";
        writing!(&self.database, pool => sqlx::query(sql).bind(id).bind(until_s).execute(pool).await.map(drop))
    }

    /// Removes a message that has been taken, or given up.
    pub async fn remove_webhook(&self, id: &str) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM webhooks WHERE id = $1";
        writing!(&self.database, pool => sqlx::query(sql).bind(id).execute(pool).await.map(drop))
    }
}
