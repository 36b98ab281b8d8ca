//! Messages that wait for people who are not there.

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
