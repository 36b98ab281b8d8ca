//! Messages that wait for people who are not there.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::database::{LockKey, alone, reading, writing};
use super::{Records, storable};
use crate::domain::{MessageSender, WaitingMessage};
use crate::ids::UserId;
use crate::shares::ClientAddress;

const FORGET: &str = "DELETE FROM messages WHERE receiver = $1 AND number <= $2";

/// The most that may wait for one person. Beyond it the oldest message of whoever has most there is deleted, so that
/// nobody's messages push out somebody else's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MailboxRoom {
    pub messages: i64,
    pub bytes: i64,
}

/// The bytes by which the store has grown, for each client address.
pub(crate) type Growth = Vec<(ClientAddress, i64)>;

/// The facts about a waiting message that decide which one is deleted.
#[derive(Clone, Debug)]
struct EvictionCandidate {
    number: i64,
    bytes: i64,
    sender: String,
    client: String,
}

impl Records {
    /// Adds a message behind those that wait for the same person. Messages beyond `room` are deleted. Returns the bytes
    /// by which the store has grown and shrunk.
    ///
    /// Other processes do the same, so one message is kept after another, and numbers become visible in their order. A
    /// message that became visible after one with a higher number would be deleted with that one and never delivered.
    pub(crate) async fn keep_message(
        &self,
        receiver: &UserId,
        sender: &MessageSender,
        body: &[u8],
        now_s: i64,
        room: MailboxRoom,
    ) -> Result<Growth, sqlx::Error> {
        let Some(receiver) = storable(receiver.as_str()) else {
            return Ok(Vec::new());
        };
        let from = storable(sender.user.as_str()).unwrap_or_default();
        let count_up = "UPDATE message_numbers SET last = last + 1 RETURNING last";
        let insert =
            "INSERT INTO messages (receiver, number, body, kept_at, sender, client) VALUES ($1, $2, $3, $4, $5, $6)";
        let sizes = "SELECT number, CAST(LENGTH(body) AS BIGINT), sender, client FROM messages \
            WHERE receiver = $1 ORDER BY number";
        let remove = "DELETE FROM messages WHERE receiver = $1 AND number = $2";
        let removed = alone!(&self.database, LockKey::Messages, transaction => {
            let (number,): (i64,) = sqlx::query_as(count_up).fetch_one(&mut *transaction).await?;
            let message = sqlx::query(insert).bind(receiver).bind(number).bind(body).bind(now_s);
            let message = message.bind(from).bind(sender.client.to_record());
            message.execute(&mut *transaction).await?;
            let rows: Vec<(i64, i64, String, String)> =
                sqlx::query_as(sizes).bind(receiver).fetch_all(&mut *transaction).await?;
            let waiting = rows.into_iter().map(|(number, bytes, sender, client)| EvictionCandidate {
                number,
                bytes,
                sender,
                client,
            });
            let removed = giving_way(waiting.collect(), room);
            for message in &removed {
                let remove = sqlx::query(remove).bind(receiver).bind(message.number);
                remove.execute(&mut *transaction).await?;
            }
            removed
        });
        let mut growth = vec![(sender.client, i64::try_from(body.len()).unwrap_or(i64::MAX))];
        growth.extend(
            removed
                .iter()
                .map(|message| (ClientAddress::from_record(&message.client), -message.bytes)),
        );
        Ok(growth)
    }

    /// The messages that wait for somebody, oldest first, without those kept before `since_s`.
    pub(crate) async fn kept_messages(
        &self,
        receiver: &UserId,
        since_s: i64,
    ) -> Result<Vec<WaitingMessage>, sqlx::Error> {
        let Some(receiver) = storable(receiver.as_str()) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT number, body FROM messages WHERE receiver = $1 AND kept_at >= $2 ORDER BY number";
        let rows: Vec<(i64, Vec<u8>)> = reading!(&self.database, pool => sqlx::query_as(sql)
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

    /// Deletes messages that have been delivered, up to this number. Returns the bytes by which the store has shrunk.
    pub(crate) async fn forget_messages(&self, receiver: &UserId, up_to: i64) -> Result<Growth, sqlx::Error> {
        let sizes = "SELECT client, CAST(SUM(LENGTH(body)) AS BIGINT) FROM messages \
            WHERE receiver = $1 AND number <= $2 GROUP BY client";
        let removed: Vec<(String, i64)> = alone!(&self.database, LockKey::Messages, transaction => {
            let sizes = sqlx::query_as(sizes).bind(receiver.as_str()).bind(up_to);
            let removed = sizes.fetch_all(&mut *transaction).await?;
            let forget = sqlx::query(FORGET).bind(receiver.as_str()).bind(up_to);
            forget.execute(&mut *transaction).await?;
            removed
        });
        let shrunk = |(client, bytes): (String, i64)| (ClientAddress::from_record(&client), -bytes);
        Ok(removed.into_iter().map(shrunk).collect())
    }

    /// Deletes messages kept before `since_s`.
    pub(crate) async fn expire_messages(&self, since_s: i64) -> Result<(), sqlx::Error> {
        let sql = "DELETE FROM messages WHERE kept_at < $1";
        writing!(&self.database, pool => sqlx::query(sql).bind(since_s).execute(pool).await.map(drop))
    }

    /// The bytes of all messages, for each client address.
    pub async fn kept_message_bytes(&self) -> Result<Growth, sqlx::Error> {
        let sql = "SELECT client, CAST(SUM(LENGTH(body)) AS BIGINT) FROM messages GROUP BY client";
        let rows: Vec<(String, i64)> = reading!(&self.database, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        let kept = |(client, bytes): (String, i64)| (ClientAddress::from_record(&client), bytes);
        Ok(rows.into_iter().map(kept).collect())
    }
}

/// The messages that there is no room for. `waiting` has the oldest first.
fn giving_way(mut waiting: Vec<EvictionCandidate>, room: MailboxRoom) -> Vec<EvictionCandidate> {
    let mut removed = Vec::new();
    loop {
        let bytes: i64 = waiting.iter().map(|message| message.bytes).sum();
        let too_many_bytes = bytes > room.bytes;
        if !too_many_bytes && waiting.len() as i64 <= room.messages {
            return removed;
        }
        let weight = |message: &EvictionCandidate| if too_many_bytes { message.bytes } else { 1 };
        let Some(oldest) = oldest_of_most(&waiting, weight) else {
            return removed;
        };
        removed.push(waiting.remove(oldest));
    }
}

/// The oldest message of the address that has most, and there of the sender who has most. On this machine each sender
/// counts alone: they may be anybody behind a proxy.
fn oldest_of_most(waiting: &[EvictionCandidate], weight: impl Fn(&EvictionCandidate) -> i64) -> Option<usize> {
    let address = |message: &EvictionCandidate| match message.client.as_str() {
        "" => (String::new(), message.sender.clone()),
        client => (client.to_owned(), String::new()),
    };
    let most = most(waiting.iter().map(|message| (address(message), weight(message))))?;
    let of_address = || waiting.iter().filter(|message| address(message) == most);
    let sender = self::most(of_address().map(|message| (message.sender.clone(), weight(message))))?;
    let is_meant = |message: &EvictionCandidate| address(message) == most && message.sender == sender;
    waiting.iter().position(is_meant)
}

/// The holder of most; of several, the first.
fn most<K: Clone + Ord>(holdings: impl Iterator<Item = (K, i64)>) -> Option<K> {
    let mut sums: BTreeMap<K, (i64, Reverse<usize>)> = BTreeMap::new();
    for (index, (holder, amount)) in holdings.enumerate() {
        let sum = sums.entry(holder).or_insert((0, Reverse(index)));
        sum.0 += amount;
    }
    sums.into_iter().max_by_key(|(_, sum)| *sum).map(|(holder, _)| holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: MailboxRoom = MailboxRoom {
        messages: 4,
        bytes: 1_000,
    };

    fn waiting(messages: &[(&str, &str, i64)]) -> Vec<EvictionCandidate> {
        let message = |(index, (client, sender, bytes)): (usize, &(&str, &str, i64))| EvictionCandidate {
            number: index as i64 + 1,
            bytes: *bytes,
            sender: (*sender).to_owned(),
            client: (*client).to_owned(),
        };
        messages.iter().enumerate().map(message).collect()
    }

    fn removed(messages: &[(&str, &str, i64)]) -> Vec<i64> {
        let removed = giving_way(waiting(messages), ROOM);
        removed.into_iter().map(|message| message.number).collect()
    }

    const FRIEND: (&str, &str, i64) = ("192.0.2.1", "friend", 10);
    const STRANGER: (&str, &str, i64) = ("192.0.2.2", "stranger", 10);

    #[test]
    fn a_stranger_pushes_out_what_is_his_own() {
        assert!(removed(&[FRIEND, STRANGER, STRANGER, STRANGER]).is_empty());
        assert_eq!(removed(&[FRIEND, STRANGER, STRANGER, STRANGER, STRANGER]), [2]);
        assert_eq!(
            removed(&[FRIEND, STRANGER, STRANGER, STRANGER, FRIEND]),
            [2],
            "also when a friend writes"
        );
        assert_eq!(removed(&[FRIEND, FRIEND, FRIEND, FRIEND, FRIEND]), [1]);
    }

    #[test]
    fn many_names_from_one_address_are_one_and_on_this_machine_they_are_many() {
        let names = |client| {
            [
                ("192.0.2.1", "friend", 10),
                (client, "a", 10),
                (client, "b", 10),
                (client, "c", 10),
            ]
        };
        let with = |client: &'static str| [&names(client)[..], &[(client, "d", 10)]].concat();
        assert_eq!(removed(&with("192.0.2.2")), [2]);
        assert_eq!(removed(&with("")), [1], "one each: the oldest of all");
        let loud = [
            ("", "friend", 10),
            ("", "a", 10),
            ("", "a", 10),
            ("", "b", 10),
            ("", "c", 10),
        ];
        assert_eq!(removed(&loud), [2]);
    }

    #[test]
    fn long_messages_are_pushed_out_by_their_length() {
        let long = ("192.0.2.2", "stranger", 600);
        assert!(removed(&[FRIEND, FRIEND, FRIEND, long]).is_empty());
        assert_eq!(removed(&[FRIEND, FRIEND, long, long]), [3]);
        assert_eq!(
            removed(&[FRIEND, ("192.0.2.2", "stranger", 2_000)]),
            [2],
            "it alone is too long"
        );
    }
}
