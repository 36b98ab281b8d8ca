//! The mailbox: messages for people who are not there, within their limits.

use std::time::Duration;

use super::{Growth, MailboxRoom, Records};
use crate::clock::{WallClock, now_s};
use crate::config;
use crate::domain::{MailboxStore, MessageSender, StoreError, WaitingMessage};
use crate::ids::UserId;
use crate::shares::{Denied, Pot, Share};

/// Bytes that may wait for one person: half of what a session may have unread, so that all of it can be delivered at
/// once.
const BYTES_PER_PERSON_MAX: i64 = 512 * 1024;

/// The server's store of messages. One task owns it.
pub struct Mailbox {
    records: Records,
    clock: WallClock,
    limits: config::Messages,
    share: Share,
    /// The space that all messages take. It is counted at start and by each `tidy`, and kept up to date in between.
    space: Option<Pot>,
}

impl Mailbox {
    /// `percent` is the part of the space that the senders of one client address may use.
    pub fn new(records: Records, clock: WallClock, limits: config::Messages, percent: u8) -> Mailbox {
        let share = Share {
            percent,
            at_least: BYTES_PER_PERSON_MAX as u64,
        };
        Mailbox {
            records,
            clock,
            limits,
            share,
            space: None,
        }
    }

    async fn count(&self) -> Result<Pot, sqlx::Error> {
        let mut space = Pot::new(self.limits.total_bytes(), self.share);
        note(&mut space, self.records.kept_message_bytes().await?);
        Ok(space)
    }

    /// The time before which messages have expired by now.
    fn oldest_s(&self) -> i64 {
        now_s(&self.clock).saturating_sub(seconds(self.limits.expire_after()))
    }
}

fn note(space: &mut Pot, growth: Growth) {
    for (client, bytes) in growth {
        match bytes {
            0.. => space.count(client, bytes.unsigned_abs()),
            _ => space.give_back(client, bytes.unsigned_abs()),
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

impl MailboxStore for Mailbox {
    async fn keep(&mut self, receiver: &UserId, sender: &MessageSender, body: &[u8]) -> Result<(), StoreError> {
        let mut space = match self.space.take() {
            Some(space) => space,
            None => self.count().await?,
        };
        let allowed = space.allows(sender.client, body.len() as u64);
        if allowed.is_ok() {
            let room = MailboxRoom {
                messages: self.limits.offline_per_user.into(),
                bytes: BYTES_PER_PERSON_MAX,
            };
            let now_s = now_s(&self.clock);
            // Where this fails, `space` stays empty, and is counted anew.
            let kept = self.records.keep_message(receiver, sender, body, now_s, room);
            note(&mut space, kept.await?);
        }
        self.space = Some(space);
        match allowed {
            Ok(()) => Ok(()),
            Err(Denied::UsedUp) => Err("messages.offline_total_mib is used up".into()),
            Err(Denied::ShareUsedUp) => {
                metrics::counter!("patchbay_messages_over_share_total").increment(1);
                tracing::debug!(client = %sender.client, "its share of messages.offline_total_mib is used up");
                Ok(())
            }
        }
    }

    async fn kept(&mut self, receiver: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
        Ok(self.records.kept_messages(receiver, self.oldest_s()).await?)
    }

    async fn forget(&mut self, receiver: &UserId, up_to: i64) -> Result<(), StoreError> {
        let shrunk = self.records.forget_messages(receiver, up_to).await?;
        if let Some(space) = &mut self.space {
            note(space, shrunk);
        }
        Ok(())
    }

    async fn tidy(&mut self) -> Result<(), StoreError> {
        self.records.expire_messages(self.oldest_s()).await?;
        self.space = Some(self.count().await?);
        Ok(())
    }
}
