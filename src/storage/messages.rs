//! Messages that wait for people who are not there.

use super::database::on_database;
use super::{Directory, storable};
use crate::domain::WaitingMessage;
use crate::ids::UserId;

/// How much may wait for one person.
#[derive(Clone, Copy, Debug)]
pub struct MailboxRoom {
    pub messages: i64,
    pub bytes: i64,
}

impl Directory {
    /// Puts a message behind those that wait for the same person. What then is more than `room` gives way, the oldest
    /// first. Returns by how many bytes the store has grown.
    pub async fn keep_message(
        &self,
        receiver: &UserId,
        body: &[u8],
        now_s: i64,
        room: MailboxRoom,
    ) -> Result<i64, sqlx::Error> {
        let Some(receiver) = storable(receiver.as_str()) else {
            return Ok(0);
        };
        let insert = "INSERT INTO messages (receiver, number, body, kept_at) VALUES \
            ($1, (SELECT COALESCE(MAX(number), 0) + 1 FROM messages WHERE receiver = $1), $2, $3)";
        let sizes =
            "SELECT number, CAST(LENGTH(body) AS BIGINT) FROM messages WHERE receiver = $1 ORDER BY number DESC";
        let newest_first: Vec<(i64, i64)> = on_database!(&self.database, pool => {
            sqlx::query(insert).bind(receiver).bind(body).bind(now_s).execute(pool).await?;
            sqlx::query_as(sizes).bind(receiver).fetch_all(pool).await?
        });
        let (mut count, mut bytes) = (0, 0);
        let kept = newest_first.iter().take_while(|(_, size)| {
            (count, bytes) = (count + 1, bytes + size);
            count <= room.messages && bytes <= room.bytes
        });
        let given_up = &newest_first[kept.count()..];
        if let Some((newest_given_up, _)) = given_up.first() {
            self.forget_messages(&UserId::from(receiver), *newest_given_up).await?;
        }
        let freed: i64 = given_up.iter().map(|(_, size)| size).sum();
        Ok(i64::try_from(body.len()).unwrap_or(i64::MAX).saturating_sub(freed))
    }

    /// What waits for somebody, oldest first, but for what was kept before `since_s`.
    pub async fn kept_messages(&self, receiver: &UserId, since_s: i64) -> Result<Vec<WaitingMessage>, sqlx::Error> {
        let Some(receiver) = storable(receiver.as_str()) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT number, body FROM messages WHERE receiver = $1 AND kept_at >= $2 ORDER BY number";
        let rows: Vec<(i64, Vec<u8>)> = on_database!(&self.database, pool => sqlx::query_as(sql)
            .bind(receiver)
            .bind(since_s)
            .fetch_all(pool)
            .await)?;
        Ok(rows
            .into_iter()
            .map(|(number, body)| WaitingMessage {
                number,
                message: body.into(),
            })
            .collect())
    }

    /// They have been delivered: those up to this number are deleted.
    pub async fn forget_messages(&self, receiver: &UserId, up_to: i64) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM messages WHERE receiver = $1 AND number <= $2";
        on_database!(&self.database, pool => sqlx::query(sql)
            .bind(receiver.as_str())
            .bind(up_to)
            .execute(pool)
            .await
            .map(drop))
    }

    /// Deletes what was kept before `since_s`.
    pub async fn expire_messages(&self, since_s: i64) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM messages WHERE kept_at < $1";
        on_database!(&self.database, pool => sqlx::query(sql).bind(since_s).execute(pool).await.map(drop))
    }

    /// How many bytes all of them have together.
    pub async fn kept_message_bytes(&self) -> Result<i64, sqlx::Error> {
        let sql = "SELECT CAST(COALESCE(SUM(LENGTH(body)), 0) AS BIGINT) FROM messages";
        let (bytes,): (i64,) = on_database!(&self.database, pool => sqlx::query_as(sql).fetch_one(pool).await)?;
        Ok(bytes)
    }
}
