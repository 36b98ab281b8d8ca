//! Messages that wait for people who are not there.

use std::future::Future;

use bytes::Bytes;

use crate::ids::UserId;
use crate::shares::ClientAddress;

/// What is to be done with messages that wait for people who are not there. The commands of one receiver are done in their
/// order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxCommand {
    Keep {
        receiver: UserId,
        sender: MessageSender,
        message: Bytes,
    },
    /// Bring all waiting messages to [`Rules::collected`](super::Rules::collected), with this ticket.
    Collect { receiver: UserId, ticket: u64 },
    /// Delete the messages up to this number: they have been delivered.
    Forget { receiver: UserId, up_to: i64 },
}

/// The sender of a message, whose share of the space for messages it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSender {
    pub user: UserId,
    pub client: ClientAddress,
}

/// A message that has waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Number that grows from message to message of one receiver.
    pub number: i64,
    pub message: Bytes,
}

/// The reason why a store fails.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// A place where messages wait. The hub uses it; storage has the server's, and neither knows the other.
pub trait MailboxStore: Send + 'static {
    /// Puts a message behind those that wait for the same person. A message over the sender's share is not kept, which is no
    /// failure.
    fn keep(
        &mut self,
        receiver: &UserId,
        sender: &MessageSender,
        body: &[u8],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// All messages that wait for somebody, oldest first. They stay in the store.
    fn kept(&mut self, receiver: &UserId) -> impl Future<Output = Result<Vec<WaitingMessage>, StoreError>> + Send;
    /// Deletes the messages up to this number: they have been delivered.
    fn forget(&mut self, receiver: &UserId, up_to: i64) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Deletes the messages that are too old.
    fn tidy(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
}
