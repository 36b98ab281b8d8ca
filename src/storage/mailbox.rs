//! The post of people who are not there, within its limits.

use std::time::Duration;

use super::{Directory, MailboxRoom};
use crate::clock::{WallClock, now_s};
use crate::config;
use crate::domain::WaitingMessage;
use crate::hub::{MessageStore, StoreError};
use crate::ids::UserId;

/// What may wait for one person: half of what a session may have unread, so that all of it can be delivered at once.
const BYTES_PER_PERSON_MAX: i64 = 512 * 1024;

/// The server's store of messages. One task owns it.
pub struct Mailbox {
    directory: Directory,
    clock: WallClock,
    limits: config::Messages,
    /// About what all messages take; counted at start and by each tidying, and in between by what goes in.
    bytes: Option<i64>,
}

impl Mailbox {
    pub fn new(directory: Directory, clock: WallClock, limits: config::Messages) -> Mailbox {
        Mailbox {
            directory,
            clock,
            limits,
            bytes: None,
        }
    }

    /// When that was kept of which the time is over now.
    fn oldest_s(&self) -> i64 {
        now_s(&self.clock).saturating_sub(seconds(self.limits.expire_after()))
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

impl MessageStore for Mailbox {
    async fn keep(&mut self, receiver: &UserId, body: &[u8]) -> Result<(), StoreError> {
        let bytes = match self.bytes {
            Some(bytes) => bytes,
            None => self.directory.kept_message_bytes().await?,
        };
        if bytes.saturating_add_unsigned(body.len() as u64) > self.limits.total_bytes() {
            self.bytes = Some(bytes);
            return Err("messages.offline_total_mib is used up".into());
        }
        let room = MailboxRoom {
            messages: self.limits.offline_per_user.into(),
            bytes: BYTES_PER_PERSON_MAX,
        };
        let grown = self
            .directory
            .keep_message(receiver, body, now_s(&self.clock), room)
            .await?;
        self.bytes = Some(bytes.saturating_add(grown));
        Ok(())
    }

    async fn kept(&mut self, receiver: &UserId) -> Result<Vec<WaitingMessage>, StoreError> {
        Ok(self.directory.kept_messages(receiver, self.oldest_s()).await?)
    }

    async fn forget(&mut self, receiver: &UserId, up_to: i64) -> Result<(), StoreError> {
        Ok(self.directory.forget_messages(receiver, up_to).await?)
    }

    async fn tidy(&mut self) -> Result<(), StoreError> {
        self.directory.expire_messages(self.oldest_s()).await?;
        self.bytes = Some(self.directory.kept_message_bytes().await?);
        Ok(())
    }
}
