//! The calls whose parties meet in a room, by the room.

use std::collections::HashMap;

use crate::ids::{CallId, RoomName};

/// Several calls may have one room: somebody invites several people into it, each by a call of their own.
#[derive(Default)]
pub(super) struct CallsByRoom {
    rooms: HashMap<RoomName, Vec<CallId>>,
}

impl CallsByRoom {
    pub fn calls(&self, room: &RoomName) -> &[CallId] {
        self.rooms.get(room).map_or(&[], Vec::as_slice)
    }

    pub fn add(&mut self, room: &RoomName, call: CallId) {
        self.rooms.entry(room.clone()).or_default().push(call);
    }

    pub fn remove(&mut self, room: &RoomName, call: CallId) {
        if let Some(calls) = self.rooms.get_mut(room) {
            calls.retain(|other| *other != call);
            if calls.is_empty() {
                self.rooms.remove(room);
            }
        }
    }
}
