//! Ids of participants and calls: they follow from what they are about, so nobody has to remember them.

use aws_lc_rs::digest::{SHA256, digest};

use crate::ids::{RoomName, UserId};
use crate::signaling::conferences::uuid_of;

/// The id of a participant: the same in all sessions of a room.
pub(crate) fn participant_uuid(room: &RoomName, user: &UserId) -> String {
    made_of(&format!("participant\0{}\0{}", room.as_str(), user.as_str()))
}

/// The id of a call: one of those of a participant, by its number.
pub(super) fn call_uuid(participant: &str, number: u64) -> String {
    made_of(&format!("call\0{participant}\0{number}"))
}

fn made_of(text: &str) -> String {
    uuid_of(digest(&SHA256, text.as_bytes()).as_ref())
}
