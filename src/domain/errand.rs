//! Messages that wait for people who are not there.

use bytes::Bytes;

use crate::ids::UserId;
use crate::shares::ClientAddress;

/// What is to be done with messages that wait for people who are not there. In order, for each receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    Keep {
        receiver: UserId,
        sender: Sender,
        message: Bytes,
    },
    /// Bring all that wait to [`Rules::collected`](super::Rules::collected), with this ticket.
    Collect { receiver: UserId, ticket: u64 },
    /// Those up to this number have been delivered.
    Forget { receiver: UserId, up_to: i64 },
}

/// Whose share of the space for messages one uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub user: UserId,
    pub client: ClientAddress,
}

/// A message that has waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingMessage {
    /// Grows from message to message of one receiver.
    pub number: i64,
    pub message: Bytes,
}
