//! Who is in which room, as operators are shown it.

use std::sync::Arc;

use super::{Person, RoomKind};
use crate::ids::{ParticipantId, RoomId, RoomName};

/// A room, with who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomOutline {
    pub id: RoomId,
    /// Kind and name of the room. `None` for the room of a call.
    pub name: Option<(RoomKind, RoomName)>,
    /// Participants in the order of their arrival.
    pub participants: Vec<ParticipantOutline>,
}

/// A participant of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantOutline {
    pub id: ParticipantId,
    pub person: Arc<Person>,
    /// Number of their connections.
    pub connections: usize,
    /// Whether the others in the room see them.
    pub visible: bool,
}
