//! Connections that have ended here and may go on at their clients.
//!
//! A client keeps its `RTCPeerConnection`, with its keys, when its socket closes, when it is dismissed from a room, or when a
//! part of the server is lost. When it comes again and offers that connection once more, the answer has to make it begin a new
//! DTLS association (RFC 8842 §4), because the server no longer has the keys of the old one. So the identity of a connection
//! outlives its participant.

use std::collections::{HashMap, VecDeque};

use super::ConnectionIdentity;

/// The connections of all participants that ended last.
pub(super) struct EndedConnections {
    most: usize,
    by_key: HashMap<u64, Ended>,
    /// Numbers and keys of the connections, in the order in which they ended.
    order: VecDeque<(u64, Vec<u64>)>,
    last_number: u64,
}

#[derive(Clone, Copy)]
struct Ended {
    /// Number that grows from one connection to the next.
    number: u64,
    /// The last [`super::Negotiation::association`] of the connection.
    association: u32,
}

impl EndedConnections {
    /// Remembers `most` connections, some 150 bytes each, and forgets those that ended first. No connection is too old: a
    /// computer that was asleep may come again after a night. Addresses have no shares here: one address that ends `most`
    /// connections makes the server forget all others.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            by_key: HashMap::new(),
            order: VecDeque::new(),
            last_number: 0,
        }
    }

    pub fn note(&mut self, identity: &ConnectionIdentity, association: u32) {
        let keys = identity.keys();
        self.last_number += 1;
        let number = self.last_number;
        for key in &keys {
            self.by_key.insert(*key, Ended { number, association });
        }
        self.order.push_back((number, keys));
        while self.order.len() > self.most {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((number, keys)) = self.order.pop_front() else {
            return;
        };
        for key in keys {
            // A newer connection may have the same key.
            if self.by_key.get(&key).is_some_and(|ended| ended.number == number) {
                self.by_key.remove(&key);
            }
        }
    }

    /// The association that an offer begins if it continues no live connection.
    pub(crate) fn next_association(&self, identity: &ConnectionIdentity) -> u32 {
        let keys = identity.keys();
        let found = keys.iter().filter_map(|key| self.by_key.get(key));
        let newest = found.max_by_key(|ended| ended.number);
        newest.map_or(0, |ended| ended.association.wrapping_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::description::identity;

    #[test]
    fn a_connection_that_has_ended_begins_the_association_after_its_last_one() {
        let mut ended = EndedConnections::new(10);
        let offered = identity("- 1", "AA", "old");
        assert_eq!(ended.next_association(&offered), 0);
        ended.note(&offered, 0);
        let restarted = identity("- 1", "AA", "new");
        assert_eq!(ended.next_association(&restarted), 1);
        ended.note(&restarted, 1);
        assert_eq!(ended.next_association(&restarted), 2);
        assert_eq!(
            ended.next_association(&identity("- 1", "AA", "old")),
            2,
            "the newest of them"
        );
        assert_eq!(
            ended.next_association(&identity("- 2", "AA", "new")),
            2,
            "its session was renumbered"
        );
        for another in [
            identity("- 1", "BB", "new"),
            identity("- 2", "AA", "newer"),
            identity("", "AA", ""),
        ] {
            assert_eq!(ended.next_association(&another), 0, "{another:?}");
        }
    }

    #[test]
    fn those_that_ended_first_are_forgotten_first() {
        let mut ended = EndedConnections::new(3);
        let of = |number: u32| identity(&format!("- {number}"), "AA", &number.to_string());
        for number in [1, 2, 1, 3] {
            ended.note(&of(number), 0);
        }
        assert_eq!([1, 2, 3].map(|number| ended.next_association(&of(number))), [1, 1, 1]);
        ended.note(&of(4), 0);
        assert_eq!(
            [1, 2, 3, 4].map(|number| ended.next_association(&of(number))),
            [1, 0, 1, 1]
        );
        for number in 0..1_000 {
            ended.note(&of(number), 0);
        }
        assert_eq!((ended.order.len(), ended.by_key.len()), (3, 6));
        ended.note(&identity("", "AA", ""), 0);
        assert_eq!(ended.by_key.len(), 4);
    }
}
