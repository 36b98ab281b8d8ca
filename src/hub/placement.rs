//! The worker on which each connection lives.
//!
//! A room's connections live on one worker, up to a number of subscriptions. The next ones fill one worker after the other. All
//! these workers serve the room together, and publishers may live on any of them. Pure: the caller says which worker is the
//! least busy.

use std::collections::HashMap;

use crate::ids::{PeerId, RoomId, WorkerId};

/// The places of all rooms and connections. The rules limit how many there are.
pub(super) struct Placement {
    /// Subscriptions of one room on one worker, past which the next worker is taken. A connection has one for each copy that it
    /// is sent, whether it publishes or not: copies are most of what a room costs.
    room_subscriptions_per_worker: usize,
    /// Workers that serve each room, in the order in which they were taken, with their subscriptions. Empty only if all workers
    /// that served the room are lost.
    rooms: HashMap<RoomId, Vec<(WorkerId, usize)>>,
    peers: HashMap<PeerId, PlacedPeer>,
}

#[derive(Clone, Copy)]
struct PlacedPeer {
    room: RoomId,
    worker: WorkerId,
    subscriptions: usize,
}

impl Placement {
    pub fn new(room_subscriptions_per_worker: usize) -> Placement {
        Placement {
            room_subscriptions_per_worker,
            rooms: HashMap::new(),
            peers: HashMap::new(),
        }
    }

    pub(crate) fn open_room(&mut self, room: RoomId, worker: WorkerId) {
        self.rooms.insert(room, vec![(worker, 0)]);
    }

    /// Forgets a worker that is lost, with the connections that lived there.
    pub(crate) fn lose(&mut self, worker: WorkerId) -> Vec<PeerId> {
        for workers in self.rooms.values_mut() {
            workers.retain(|(known, _)| *known != worker);
        }
        let lost = self.peers.extract_if(|_, placed| placed.worker == worker);
        let mut peers: Vec<PeerId> = lost.map(|(peer, _)| peer).collect();
        // In the order of their ids, so that the same loss always leads to the same effects.
        peers.sort_unstable();
        peers
    }

    pub(crate) fn close_room(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// The worker on which a connection lives or, if it is new, is to live. `least_busy` finds one among the workers that it is
    /// shown. `None` if there is no such room, or no worker.
    pub fn find(
        &self,
        room: RoomId,
        peer: PeerId,
        least_busy: impl Fn(&dyn Fn(WorkerId) -> bool) -> Option<WorkerId>,
    ) -> Option<WorkerId> {
        let workers = self.rooms.get(&room)?;
        // The client of a connection sends to that worker's port, so the connection stays.
        if let Some(placed) = self.peers.get(&peer) {
            return Some(placed.worker);
        }
        let has_space = |(_, subscriptions): &&(WorkerId, usize)| *subscriptions < self.room_subscriptions_per_worker;
        let begun = workers.iter().find(has_space).map(|(worker, _)| *worker);
        let is_new = |worker: WorkerId| workers.iter().all(|(known, _)| *known != worker);
        begun
            .or_else(|| least_busy(&is_new))
            .or_else(|| least_busy(&|_| true))
            .or_else(|| workers.first().map(|(worker, _)| *worker))
    }

    /// The worker for a connection that is sent no copies: the first one that was taken. All workers that were taken later have
    /// asked it for the room.
    pub fn first(
        &self,
        room: RoomId,
        least_busy: impl Fn(&dyn Fn(WorkerId) -> bool) -> Option<WorkerId>,
    ) -> Option<WorkerId> {
        let first = self.rooms.get(&room)?.first();
        first.map(|(worker, _)| *worker).or_else(|| least_busy(&|_| true))
    }

    /// Notes that a connection lives on a worker and has this number of subscriptions. It may have been there before, with more
    /// or fewer.
    pub fn settle(&mut self, room: RoomId, peer: PeerId, worker: WorkerId, subscriptions: usize) {
        self.remove(peer);
        let Some(workers) = self.rooms.get_mut(&room) else {
            return;
        };
        match workers.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, count)) => *count += subscriptions,
            None => workers.push((worker, subscriptions)),
        }
        let placed = PlacedPeer {
            room,
            worker,
            subscriptions,
        };
        self.peers.insert(peer, placed);
    }

    /// The workers that serve the room besides this one.
    pub fn others(&self, room: RoomId, worker: WorkerId) -> impl Iterator<Item = WorkerId> {
        let workers = self.rooms.get(&room).map(Vec::as_slice).unwrap_or_default();
        workers
            .iter()
            .map(|(known, _)| *known)
            .filter(move |known| *known != worker)
    }

    /// The worker on which a connection lives, if it is known.
    pub(crate) fn worker_of(&self, peer: PeerId) -> Option<WorkerId> {
        self.peers.get(&peer).map(|placed| placed.worker)
    }

    /// Forgets a connection. Returns the worker on which it lived, if it was known.
    pub fn remove(&mut self, peer: PeerId) -> Option<WorkerId> {
        let placed = self.peers.remove(&peer)?;
        if let Some(workers) = self.rooms.get_mut(&placed.room)
            && let Some((_, count)) = workers.iter_mut().find(|(known, _)| *known == placed.worker)
        {
            *count = count.saturating_sub(placed.subscriptions);
        }
        Some(placed.worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);

    /// Three workers. The least busy one is the last that is asked for.
    fn least_busy(is_asked: &dyn Fn(WorkerId) -> bool) -> Option<WorkerId> {
        (0..3).rev().map(WorkerId).find(|&worker| is_asked(worker))
    }

    /// Places a connection that is sent this number of copies. Returns its worker.
    fn join(placement: &mut Placement, peer: u64, subscriptions: usize) -> usize {
        let worker = placement.find(ROOM, PeerId(peer), least_busy).unwrap();
        placement.settle(ROOM, PeerId(peer), worker, subscriptions);
        worker.0
    }

    fn placement() -> Placement {
        let mut placement = Placement::new(4);
        placement.open_room(ROOM, WorkerId(1));
        placement
    }

    #[test]
    fn a_small_room_stays_on_one_worker() {
        let mut placement = placement();
        assert_eq!([1, 2].map(|peer| join(&mut placement, peer, 2)), [1, 1]);
    }

    #[test]
    fn a_room_that_outgrows_its_worker_fills_one_worker_after_the_other_and_then_the_least_busy() {
        let mut placement = placement();
        let workers: Vec<usize> = (0..9).map(|peer| join(&mut placement, peer, 2)).collect();
        assert_eq!(workers, [1, 1, 2, 2, 0, 0, 2, 2, 2]);
        placement.remove(PeerId(2));
        assert_eq!(
            join(&mut placement, 100, 0),
            2,
            "whoever only publishes lives where there is space"
        );
        assert_eq!(
            placement.first(ROOM, least_busy),
            Some(WorkerId(1)),
            "who is sent nothing"
        );
        let others: Vec<WorkerId> = placement.others(ROOM, WorkerId(2)).collect();
        assert_eq!(others, [WorkerId(1), WorkerId(0)]);
        assert_eq!(placement.others(RoomId(7), WorkerId(2)).count(), 0);
    }

    #[test]
    fn publishers_who_are_sent_copies_over_the_same_connection_count_as_subscribers_do() {
        let mut placement = placement();
        // A meeting in which each participant gets what those before them publish.
        let workers: Vec<usize> = (0..5).map(|peer| join(&mut placement, peer, peer as usize)).collect();
        assert_eq!(workers, [1, 1, 1, 1, 2]);
    }

    #[test]
    fn an_offer_on_a_live_connection_leaves_it_where_it_is() {
        let mut placement = placement();
        let workers: Vec<usize> = (0..3).map(|peer| join(&mut placement, peer, 2)).collect();
        assert_eq!(workers, [1, 1, 2]);
        for _ in 0..5 {
            assert_eq!(join(&mut placement, 2, 2), 2);
            assert_eq!(join(&mut placement, 0, 2), 1);
        }
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut placement = placement();
        for peer in 0..3 {
            join(&mut placement, peer, 2);
        }
        assert_eq!(placement.remove(PeerId(0)), Some(WorkerId(1)));
        assert_eq!(placement.remove(PeerId(0)), None);
        assert_eq!(join(&mut placement, 7, 2), 1);
        assert_eq!(placement.remove(PeerId(2)), Some(WorkerId(2)));
        placement.close_room(ROOM);
        assert_eq!(placement.find(ROOM, PeerId(9), least_busy), None);
        for peer in [1, 7] {
            placement.remove(PeerId(peer));
        }
        assert!(placement.peers.is_empty() && placement.rooms.is_empty());
    }

    #[test]
    fn a_lost_worker_takes_only_its_own_connections_along() {
        let mut placement = placement();
        for peer in 1..=4 {
            join(&mut placement, peer, 2);
        }
        let other = RoomId(2);
        placement.open_room(other, WorkerId(2));
        placement.settle(other, PeerId(10), WorkerId(2), 1);
        placement.settle(other, PeerId(11), WorkerId(1), 1);
        assert_eq!(placement.lose(WorkerId(2)), [PeerId(3), PeerId(4), PeerId(10)]);
        assert_eq!(placement.remove(PeerId(3)), None, "it is forgotten");
        assert_eq!(
            join(&mut placement, 5, 2),
            2,
            "the worker in its place is a new one for the room"
        );
        assert_eq!(placement.lose(WorkerId(1)), [PeerId(1), PeerId(2), PeerId(11)]);
        assert_eq!(placement.lose(WorkerId(0)), []);
        assert_eq!(placement.lose(WorkerId(2)), [PeerId(5)]);
        assert_eq!(
            join(&mut placement, 6, 2),
            2,
            "a room of which nothing is left goes on anywhere"
        );
        assert_eq!(placement.find(ROOM, PeerId(7), |_| None), Some(WorkerId(2)));
        placement.lose(WorkerId(2));
        assert_eq!(placement.find(ROOM, PeerId(7), |_| None), None, "no worker is left");
        for room in [ROOM, other] {
            placement.close_room(room);
        }
        assert!(placement.peers.is_empty() && placement.rooms.is_empty());
    }
}
