//! A worker's side of its links: who is at the other end of each, and what is still to be sent over it.

use std::collections::VecDeque;

use std::sync::Arc;

use ahash::{AHashMap, AHashSet};
use slotmap::{Key, SlotMap};

use crate::ids::{PeerId, RoomId, TrackId};
use crate::media::flags::{Flag, Flags, LINKS_MAX};
use crate::media::keys::{LinkId, TrackKey};
use crate::media::link::{Far, LinkEnd, LinkMessage};
use crate::media::names::Muted;

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
    /// Mirrored tracks of which the other end is to be sent what is wanted, or lost. Each is in it once.
    pub wishes: VecDeque<TrackKey>,
    /// The part of what a player publishes that is forwarded to nobody.
    pub muted: Muted,
    /// Whether the link is among those that have something to send.
    is_behind: bool,
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
            wishes: VecDeque::new(),
            muted: Muted::default(),
            is_behind: false,
        }
    }

    pub fn send(&mut self, message: LinkMessage) -> bool {
        let sent = self.end.send(message);
        self.wakes |= sent;
        sent
    }

    pub(crate) fn has_unsent(&self) -> bool {
        let is_announced = self.unannounced.is_empty() && self.removed.is_empty() && self.changed.is_empty();
        !(is_announced && self.wishes.is_empty())
    }
}

/// All links of a worker.
#[derive(Default)]
pub(crate) struct Links {
    links: SlotMap<LinkId, Box<Link>>,
    /// Ids of those that are not with players, in the order in which they were made. Players, of which there may be many, look by
    /// themselves for what is sent to them.
    not_players: Vec<LinkId>,
    /// Ids by the place of each link's flag. Whoever was there before may have had the same place.
    by_place: Vec<LinkId>,
    flags: Arc<Flags>,
    /// Links whose other end was dropped. They end after their last packets were sent on.
    ended: Vec<LinkId>,
    /// Links over which something is still to be sent.
    behind: Vec<LinkId>,
    /// Ids of the links with players.
    players: AHashMap<PeerId, LinkId>,
    /// Ids of the links with other workers, by the place of the other worker. `None` where no room is shared with it.
    workers: Vec<Option<LinkId>>,
}

impl Links {
    pub fn is_full(&self) -> bool {
        // Places begin at 1.
        self.links.len() + 1 >= LINKS_MAX
    }

    pub fn add(&mut self, far: Far, end: LinkEnd) -> LinkId {
        let id = self.links.insert(Box::new(Link::new(far, end)));
        let place = place(id);
        if self.by_place.len() <= place {
            self.by_place.resize(place + 1, LinkId::null());
        }
        self.by_place[place] = id;
        if let Some(link) = self.links.get(id) {
            link.end.put_flag(&Flag::new(&self.flags, place));
        }
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
        self.behind.retain(|other| *other != id);
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

    /// Whether something may have come over a link, or one has ended.
    pub(crate) fn has_mail(&self) -> bool {
        self.flags.is_any_up() || !self.ended.is_empty()
    }

    /// The next link over which something has come, as far as its other end has said so. None of them is returned twice, unless
    /// something comes again.
    pub(crate) fn next_with_mail(&mut self) -> Option<LinkId> {
        while let Some(place) = self.flags.lower() {
            // An earlier link may have had this place.
            let id = self.by_place.get(place).copied();
            if let Some(id) = id.filter(|id| self.links.contains_key(*id)) {
                return Some(id);
            }
        }
        None
    }

    /// Notes that the mail of a link has been looked at. What is left there is for the next time.
    pub(crate) fn looked_at(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else { return };
        if link.end.has_mail() {
            self.flags.raise(place(id));
        } else if link.end.has_ended() {
            self.ended.push(id);
        }
    }

    /// Links whose other end was dropped, and from which everything was taken.
    pub(crate) fn take_ended(&mut self) -> Vec<LinkId> {
        std::mem::take(&mut self.ended)
    }

    /// Notes whether something is still to be sent over a link. Call it when that may have changed.
    pub(crate) fn note_unsent(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id)
            && link.has_unsent()
            && !std::mem::replace(&mut link.is_behind, true)
        {
            self.behind.push(id);
        }
    }

    /// Whether it is noted that something is to be sent over a link. Only tests ask.
    #[cfg(debug_assertions)]
    pub(crate) fn is_behind(&self, id: LinkId) -> bool {
        self.behind.contains(&id)
    }

    pub(crate) fn is_any_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// The links over which something was still to be sent. Those for which that is still so are to be noted again.
    pub(crate) fn take_behind(&mut self) -> Vec<LinkId> {
        let behind = std::mem::take(&mut self.behind);
        for &id in &behind {
            if let Some(link) = self.links.get_mut(id) {
                link.is_behind = false;
            }
        }
        behind
    }

    /// All of them, for the audit.
    #[cfg(debug_assertions)]
    pub fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter().map(|(id, link)| (id, link.as_ref()))
    }

    pub fn values(&self) -> impl Iterator<Item = &Link> {
        self.links.values().map(Box::as_ref)
    }
}

/// The place of a link's flag: its place in the map of links, of which there is none twice at one time.
fn place(id: LinkId) -> usize {
    (id.data().as_ffi() & 0xffff_ffff) as usize
}
