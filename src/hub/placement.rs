//! Which worker each connection lives on.
//!
//! A room's publishers live on one worker, its home. So do its subscribers, up to so many subscriptions; the next ones fill
//! one worker after the other, each of which then mirrors the room. Pure: which worker is the least busy it is told.

use std::collections::HashMap;

use crate::ids::{PeerId, RoomId, WorkerId};

/// Of all rooms and connections. Bounded by the rules, which bound those.
pub(super) struct Placement {
    /// Subscriptions of one room on one worker, past which the next worker is taken.
    room_subscriptions_per_worker: usize,
    rooms: HashMap<RoomId, RoomPlaces>,
    peers: HashMap<PeerId, Seat>,
}

struct RoomPlaces {
    home: WorkerId,
    /// Subscriptions on each worker that serves the room, in the order in which they were taken; the first is the home.
    workers: Vec<(WorkerId, usize)>,
}

#[derive(Clone, Copy)]
struct Seat {
    room: RoomId,
    worker: WorkerId,
    subscriptions: usize,
}

/// Where a connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub worker: WorkerId,
    /// Where its room's publishers live.
    pub home: WorkerId,
}

/// What was on a worker that is lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LostPlaces {
    /// Rooms that it was the home of.
    pub rooms: Vec<RoomId>,
    /// Connections of other rooms, which it mirrored.
    pub peers: Vec<PeerId>,
}

impl Placement {
    pub fn new(room_subscriptions_per_worker: usize) -> Placement {
        Placement {
            room_subscriptions_per_worker,
            rooms: HashMap::new(),
            peers: HashMap::new(),
        }
    }

    pub fn open_room(&mut self, room: RoomId, home: WorkerId) {
        let workers = vec![(home, 0)];
        self.rooms.insert(room, RoomPlaces { home, workers });
    }

    /// Forgets a worker that is lost, with everything on it.
    pub fn lose(&mut self, worker: WorkerId) -> LostPlaces {
        let at_home = self.rooms.extract_if(|_, places| places.home == worker);
        let rooms: Vec<RoomId> = at_home.map(|(room, _)| room).collect();
        for places in self.rooms.values_mut() {
            places.workers.retain(|(known, _)| *known != worker);
        }
        let lost = self.peers.extract_if(|_, seat| seat.worker == worker);
        let of_other_rooms = lost.filter(|(_, seat)| self.rooms.contains_key(&seat.room));
        let mut places = LostPlaces {
            peers: of_other_rooms.map(|(peer, _)| peer).collect(),
            rooms,
        };
        // In the order in which they were made, so that the same loss always leads to the same effects.
        places.rooms.sort_unstable();
        places.peers.sort_unstable();
        places
    }

    pub fn close_room(&mut self, room: RoomId) {
        self.rooms.remove(&room);
    }

    /// Where a connection lives, or, if it is new, is to live; `publishes` of one that sends to us or may later.
    /// `least_busy` finds one among the workers that it is shown. `None` if there is no such room.
    pub fn find(
        &self,
        room: RoomId,
        peer: PeerId,
        publishes: bool,
        least_busy: impl Fn(&dyn Fn(WorkerId) -> bool) -> Option<WorkerId>,
    ) -> Option<Place> {
        let places = self.rooms.get(&room)?;
        let home = places.home;
        // Its client sends to that worker's port: it stays.
        if let Some(seat) = self.peers.get(&peer) {
            let worker = seat.worker;
            return Some(Place { worker, home });
        }
        if publishes {
            return Some(Place { worker: home, home });
        }
        let has_space = |(_, subscriptions): &&(WorkerId, usize)| *subscriptions < self.room_subscriptions_per_worker;
        let begun = places.workers.iter().find(has_space).map(|(worker, _)| *worker);
        let is_new = |worker: WorkerId| places.workers.iter().all(|(known, _)| *known != worker);
        let worker = begun
            .or_else(|| least_busy(&is_new))
            .or_else(|| least_busy(&|_| true))
            .unwrap_or(home);
        Some(Place { worker, home })
    }

    /// A connection now lives there and has so many subscriptions; it may have been there before, with more or fewer.
    pub fn settle(&mut self, room: RoomId, peer: PeerId, worker: WorkerId, subscriptions: usize) {
        self.remove(peer);
        let Some(places) = self.rooms.get_mut(&room) else {
            return;
        };
        match places.workers.iter_mut().find(|(known, _)| *known == worker) {
            Some((_, count)) => *count += subscriptions,
            None => places.workers.push((worker, subscriptions)),
        }
        let seat = Seat {
            room,
            worker,
            subscriptions,
        };
        self.peers.insert(peer, seat);
    }

    /// Where a connection lives, if it is known.
    pub fn worker_of(&self, peer: PeerId) -> Option<WorkerId> {
        self.peers.get(&peer).map(|seat| seat.worker)
    }

    /// Forgets a connection; where it lived, if it was known.
    pub fn remove(&mut self, peer: PeerId) -> Option<WorkerId> {
        let seat = self.peers.remove(&peer)?;
        if let Some(places) = self.rooms.get_mut(&seat.room)
            && let Some((_, count)) = places.workers.iter_mut().find(|(known, _)| *known == seat.worker)
        {
            *count = count.saturating_sub(seat.subscriptions);
        }
        Some(seat.worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);

    /// Three workers, the least busy of which is the last that is asked for.
    fn least_busy(is_asked: &dyn Fn(WorkerId) -> bool) -> Option<WorkerId> {
        (0..3).rev().map(WorkerId).find(|&worker| is_asked(worker))
    }

    fn join(placement: &mut Placement, peer: u64, publishes: bool) -> usize {
        let place = placement.find(ROOM, PeerId(peer), publishes, least_busy).unwrap();
        assert_eq!(place.home, WorkerId(1));
        let subscriptions = if publishes { 0 } else { 2 };
        placement.settle(ROOM, PeerId(peer), place.worker, subscriptions);
        place.worker.0
    }

    fn placement() -> Placement {
        let mut placement = Placement::new(4);
        placement.open_room(ROOM, WorkerId(1));
        placement
    }

    #[test]
    fn a_small_room_stays_at_home() {
        let mut placement = placement();
        assert_eq!([1, 2].map(|peer| join(&mut placement, peer, false)), [1, 1]);
    }

    #[test]
    fn a_room_that_outgrows_its_home_fills_one_worker_after_the_other_and_then_the_least_busy() {
        let mut placement = placement();
        let workers: Vec<usize> = (0..9).map(|peer| join(&mut placement, peer, false)).collect();
        assert_eq!(workers, [1, 1, 2, 2, 0, 0, 2, 2, 2]);
        assert_eq!(
            join(&mut placement, 100, true),
            1,
            "publishers live at home, however full it is"
        );
    }

    #[test]
    fn an_offer_on_a_live_connection_leaves_it_where_it_is() {
        let mut placement = placement();
        let workers: Vec<usize> = (0..3).map(|peer| join(&mut placement, peer, false)).collect();
        assert_eq!(workers, [1, 1, 2]);
        for _ in 0..5 {
            assert_eq!(join(&mut placement, 2, false), 2);
            assert_eq!(join(&mut placement, 0, false), 1);
        }
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut placement = placement();
        for peer in 0..3 {
            join(&mut placement, peer, false);
        }
        assert_eq!(placement.remove(PeerId(0)), Some(WorkerId(1)));
        assert_eq!(placement.remove(PeerId(0)), None);
        assert_eq!(join(&mut placement, 7, false), 1);
        assert_eq!(placement.remove(PeerId(2)), Some(WorkerId(2)));
        placement.close_room(ROOM);
        assert_eq!(placement.find(ROOM, PeerId(9), false, least_busy), None);
        for peer in [1, 7] {
            placement.remove(PeerId(peer));
        }
        assert!(placement.peers.is_empty() && placement.rooms.is_empty());
    }

    #[test]
    fn a_lost_home_takes_its_rooms_along_and_a_lost_mirror_only_its_connections() {
        let mut placement = placement();
        for peer in 1..=4 {
            join(&mut placement, peer, false);
        }
        let other = RoomId(2);
        placement.open_room(other, WorkerId(2));
        placement.settle(other, PeerId(10), WorkerId(2), 1);
        placement.settle(other, PeerId(11), WorkerId(1), 1);
        let lost = placement.lose(WorkerId(2));
        let (rooms, peers) = (vec![other], vec![PeerId(3), PeerId(4)]);
        assert_eq!(lost, LostPlaces { rooms, peers });
        assert_eq!(placement.remove(PeerId(3)), None, "it is forgotten");
        assert_eq!(
            placement.remove(PeerId(11)),
            Some(WorkerId(1)),
            "its worker is to close it"
        );
        assert_eq!(
            join(&mut placement, 5, false),
            2,
            "the worker in its place is a new one for the room"
        );
        assert_eq!(placement.lose(WorkerId(1)).rooms, [ROOM]);
        assert_eq!(placement.lose(WorkerId(0)), LostPlaces::default());
        assert_eq!(
            placement.remove(PeerId(5)),
            Some(WorkerId(2)),
            "a connection of a lost room, on a worker that is not"
        );
        assert!(placement.peers.is_empty() && placement.rooms.is_empty());
    }
}
