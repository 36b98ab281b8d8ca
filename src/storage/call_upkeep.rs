//! What is done for the records of calls without a request: calls that are left alone are found, old ones are removed, and their
//! number is kept.

use super::Records;
use super::database::{LockKey, alone, reading};
use crate::ids::{RoomName, UserId};

/// Removes all records of a call.
pub(super) const REMOVE: [&str; 3] = [
    "DELETE FROM channel_events WHERE channel = $1",
    "DELETE FROM channel_members WHERE channel = $1",
    "DELETE FROM channels WHERE channel = $1",
];

/// Number of the calls of a client address, or of all ([`ALL`]).
pub(super) const HELD: &str = "SELECT held FROM record_counts WHERE kind = 'calls' AND client = $1";

/// The client of the number of all calls: no address.
pub(super) const ALL: &str = "*";

/// Notes that there is one more call of a client address, and one more in all.
pub(super) const ONE_MORE: &str = "INSERT INTO record_counts (kind, client, held) VALUES ('calls', $1, 1), ('calls', '*', 1) \
    ON CONFLICT (kind, client) DO UPDATE SET held = record_counts.held + 1";

/// Notes that there is one less.
pub(super) const ONE_LESS: [&str; 2] = [
    "UPDATE record_counts SET held = held - 1 WHERE kind = 'calls' AND client IN ($1, '*')",
    "DELETE FROM record_counts WHERE kind = 'calls' AND client = $1 AND held < 1",
];

/// A place in a list by time, after which it goes on.
pub type After<T> = (i64, T);

impl Records {
    /// Counts all calls anew, as at a start: another version of this program may have added some without noting that.
    pub async fn count_calls(&self) -> Result<(), sqlx::Error> {
        let sql = [
            "DELETE FROM record_counts WHERE kind = 'calls'",
            "INSERT INTO record_counts (kind, client, held) SELECT 'calls', client, COUNT(*) FROM channels GROUP BY client",
            "INSERT INTO record_counts (kind, client, held) SELECT 'calls', '*', COUNT(*) FROM channels",
        ];
        alone!(&self.database, LockKey::Channels, transaction => {
            for sql in sql {
                sqlx::query(sql).execute(&mut *transaction).await?;
            }
        });
        Ok(())
    }

    /// The channels of all calls that are not over.
    pub async fn open_channels(&self) -> Result<Vec<RoomName>, sqlx::Error> {
        let sql = "SELECT channel FROM channels WHERE ended_at = 0 ORDER BY created_at, channel";
        let rows: Vec<(String,)> = reading!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        Ok(rows.into_iter().map(|(channel,)| RoomName(channel.into())).collect())
    }

    /// Some of the people in calls of whom nothing was heard since `before_s`, those first who have been silent for longest, and
    /// where the next ones begin; `None` if there are no more.
    pub async fn silent_members(
        &self,
        before_s: i64,
        after: After<i64>,
        most: i64,
    ) -> Result<(Vec<(RoomName, UserId)>, Option<After<i64>>), sqlx::Error> {
        let sql = "SELECT seen_at, id, channel, member FROM channel_members \
            WHERE joined_at > 0 AND left_at = 0 AND seen_at < $1 AND (seen_at, id) > ($2, $3) ORDER BY seen_at, id LIMIT $4";
        let (seen_s, id) = after;
        let rows: Vec<(i64, i64, String, String)> = reading!(&self.database, pool => sqlx::query_as(sql)
            .bind(before_s)
            .bind(seen_s)
            .bind(id)
            .bind(most)
            .fetch_all(pool)
            .await)?;
        let next = rows.last().map(|(seen_s, id, ..)| (*seen_s, *id));
        let member =
            |(_, _, channel, user): (i64, i64, String, String)| (RoomName(channel.into()), UserId(user.into()));
        Ok((rows.into_iter().map(member).collect(), next))
    }

    /// Some of the calls that are not over although they should be: those that ring and were made before `rung_before_s`, and those
    /// without anybody in them that were made before `open_before_s`. And where the next ones begin; `None` if there are no more.
    pub async fn overdue_calls(
        &self,
        (rung_before_s, open_before_s): (i64, i64),
        after: After<String>,
        most: i64,
    ) -> Result<(Vec<RoomName>, Option<After<String>>), sqlx::Error> {
        let sql = "SELECT created_at, channel FROM channels WHERE ended_at = 0 AND (created_at, channel) > ($3, $4) \
            AND ((created_at < $1 AND answered_at = 0 AND started_at = 0 AND EXISTS (SELECT 1 FROM channel_members \
                    WHERE channel_members.channel = channels.channel AND member <> caller)) \
                OR (created_at < $2 AND NOT EXISTS (SELECT 1 FROM channel_members \
                    WHERE channel_members.channel = channels.channel AND joined_at > 0 AND left_at = 0))) \
            ORDER BY created_at, channel LIMIT $5";
        let (created_s, channel) = after;
        let rows: Vec<(i64, String)> = reading!(&self.database, pool => sqlx::query_as(sql)
            .bind(rung_before_s)
            .bind(open_before_s)
            .bind(created_s)
            .bind(channel)
            .bind(most)
            .fetch_all(pool)
            .await)?;
        let next = rows.last().cloned();
        let channel = |(_, channel): (i64, String)| RoomName(channel.into());
        Ok((rows.into_iter().map(channel).collect(), next))
    }

    /// Removes the records of calls that were over before `before_s`, at most `most`. Returns their number.
    pub async fn expire_calls(&self, before_s: i64, most: i64) -> Result<u64, sqlx::Error> {
        let old =
            "SELECT channel, client FROM channels WHERE ended_at > 0 AND ended_at < $1 ORDER BY ended_at LIMIT $2";
        let removed = alone!(&self.database, LockKey::Channels, transaction => {
            let old: Vec<(String, String)> =
                sqlx::query_as(old).bind(before_s).bind(most).fetch_all(&mut *transaction).await?;
            for (channel, client) in &old {
                for sql in REMOVE {
                    sqlx::query(sql).bind(channel).execute(&mut *transaction).await?;
                }
                for sql in ONE_LESS {
                    sqlx::query(sql).bind(client).execute(&mut *transaction).await?;
                }
            }
            old.len() as u64
        });
        Ok(removed)
    }
}
