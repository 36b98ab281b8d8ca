//! A worker's side of its links: who is at the other end of each, and what is still to be sent over it.

use std::collections::VecDeque;

use ahash::{AHashMap, AHashSet};
use slotmap::SlotMap;

use crate::ids::{PeerId, RoomId, TrackId};
use crate::media::keys::{LinkId, TrackKey};
use crate::media::link::{Far, LinkEnd, Message};

/// A worker's side of one link.
pub struct Link {
    pub end: LinkEnd,
    pub far: Far,
    /// Whether something was put in since the other end was last woken.
    pub(crate) wakes: bool,
    /// Tracks that are announced to the other end; all of them are published here.
    pub announced: AHashMap<TrackId, TrackKey>,
    /// Tracks whose present state is not announced yet, in the order in which it will be. Each track is in it once,
    /// while it is published here.
    pub unannounced: VecDeque<TrackKey>,
    /// Announced tracks that have ended, which the other end has not been sent yet.
    pub removed: Vec<TrackId>,
    /// Tracks that are published at the other end and mirrored here.
    pub mirrored: AHashMap<TrackId, TrackKey>,
    /// Rooms that the other end was asked for.
    pub requested: AHashSet<RoomId>,
    /// Rooms that are to be asked for or released. Each is asked for already, or exists here, which bounds their number.
    pub changed: VecDeque<RoomId>,
}

impl Link {
    pub fn new(far: Far, end: LinkEnd) -> Link {
        Link {
            end,
            far,
            wakes: false,
            announced: AHashMap::new(),
            unannounced: VecDeque::new(),
            removed: Vec::new(),
            mirrored: AHashMap::new(),
            requested: AHashSet::new(),
            changed: VecDeque::new(),
        }
    }

    pub fn send(&mut self, message: Message) -> bool {
        let sent = self.end.send(message);
        self.wakes |= sent;
        sent
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !(self.unannounced.is_empty() && self.removed.is_empty() && self.changed.is_empty())
    }
}

/// All links of a worker.
#[derive(Default)]
pub(crate) struct Links {
    links: SlotMap<LinkId, Box<Link>>,
    /// Ids in the order in which the links were made, to go through all links while one of them is in use.
    order: Vec<LinkId>,
    /// Ids of those among them that are not with players, in the same order. Nothing is sent to players, of which there may be
    /// many.
    not_players: Vec<LinkId>,
    /// Ids of the links with players.
    players: AHashMap<PeerId, LinkId>,
    /// Ids of the links with other workers, by the place of the other worker. `None` where no room is shared with it.
    workers: Vec<Option<LinkId>>,
}

impl Links {
    pub fn add(&mut self, far: Far, end: LinkEnd) -> LinkId {
        let id = self.links.insert(Box::new(Link::new(far, end)));
        self.order.push(id);
        match far {
            Far::Worker(index) => {
                if self.workers.len() <= index {
                    self.workers.resize(index + 1, None);
                }
                self.workers[index] = Some(id);
                self.not_players.push(id);
            }
            Far::Player { peer, .. } => {
                self.players.insert(peer, id);
            }
            Far::Recorder => self.not_players.push(id),
        }
        id
    }

    pub fn remove(&mut self, id: LinkId) -> Option<Box<Link>> {
        let link = self.links.remove(id)?;
        self.order.retain(|other| *other != id);
        self.not_players.retain(|other| *other != id);
        match link.far {
            Far::Worker(index) => self.workers[index] = None,
            Far::Player { peer, .. } => {
                self.players.remove(&peer);
            }
            Far::Recorder => {}
        }
        Some(link)
    }

    pub fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id).map(Box::as_ref)
    }

    pub fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id).map(Box::as_mut)
    }

    pub(crate) fn with_worker(&self, index: usize) -> Option<LinkId> {
        self.workers.get(index).copied().flatten()
    }

    pub(crate) fn with_player(&self, player: PeerId) -> Option<LinkId> {
        self.players.get(&player).copied()
    }

    /// The link at this place in the order of all links but those with players.
    pub(crate) fn not_player_at(&self, place: usize) -> Option<LinkId> {
        self.not_players.get(place).copied()
    }

    /// The link at this place in the order of all links.
    pub fn at(&self, place: usize) -> Option<LinkId> {
        self.order.get(place).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (id, link.as_ref()))
    }

    pub fn values(&self) -> impl Iterator<Item = &Link> {
        self.links.values().map(Box::as_ref)
    }
}
