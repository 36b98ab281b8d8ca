//! Checks that all the state of a worker agrees, as it must between any two inputs. If something is kept in two places, and is
//! removed from only one of them when it ends, that is a leak that nobody sees from outside. Only tests ask: a release build
//! has none of this.

use super::Worker;
use crate::ids::RoomId;
use crate::media::keys::{TrackKey, TransportKey};
use crate::media::peer::Transport;
use crate::media::peer::ice::CONSENT_TIMEOUT;
use crate::media::room::WorkerRoom;
use crate::media::track::{Origin, Track};

impl Worker {
    /// One sentence for each contradiction; none if all state agrees.
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.audit_numbers(&mut found);
        for (key, transport) in &self.transports {
            self.audit_transport(key, transport, &mut found);
        }
        for (id, room) in &self.rooms {
            self.audit_room(*id, room, &mut found);
        }
        for (key, track) in &self.tracks {
            self.audit_track(key, track, &mut found);
        }
        self.audit_subscriptions(&mut found);
        self.audit_links(&mut found);
        found
    }

    /// Whether a connection of this worker has this ICE user.
    pub fn knows_user(&self, ufrag: &str) -> bool {
        self.demux.by_ufrag(ufrag).is_some()
    }

    fn audit_numbers(&self, found: &mut Vec<String>) {
        let transports = self.transports.len();
        let known = self
            .transports
            .values()
            .map(|transport| transport.ice.known_addresses().count());
        let suspended = self
            .transports
            .values()
            .filter(|transport| transport.suspended.is_some());
        let speaking = self.transports.values().filter(|transport| transport.is_speaking());
        let of_connections = self
            .connections
            .values()
            .map(|connection| connection.transports().count());
        let pairs = [
            ("transports of connections", of_connections.sum(), transports),
            ("ICE users", self.demux.known_users(), transports),
            ("claims of addresses", self.demux.claims(), known.sum()),
            (
                "suspended connections",
                self.stats.suspended as usize,
                suspended.count(),
            ),
            (
                "connections whose participant speaks",
                self.stats.speaking as usize,
                speaking.count(),
            ),
        ];
        for (what, kept, expected) in pairs {
            if kept != expected {
                found.push(format!("there are {kept} {what}, not {expected}"));
            }
        }
    }

    fn audit_transport(&self, key: TransportKey, transport: &Transport, found: &mut Vec<String>) {
        let id = transport.id;
        if self
            .connections
            .get(&id)
            .and_then(|one| one.transport(transport.transport))
            != Some(key)
            || self.demux.by_ufrag(&transport.ice.local_ufrag) != Some(key)
        {
            found.push(format!("connection {id} is not found by its id and its ICE user"));
        }
        for address in transport.ice.known_addresses() {
            if !self.demux.at(address).iter().any(|at| at.transport == key) {
                found.push(format!("connection {id} knows {}, where it is not", address.address));
            }
        }
        if !self.rooms.contains_key(&transport.room) {
            found.push(format!("connection {id} is in no room"));
        }
        let Some(since) = transport.suspended else { return };
        if transport.ice.selected().is_some() {
            found.push(format!("connection {id} is suspended and still sent to"));
        }
        for &track in &transport.tracks {
            // A client that comes back sends before its first check arrives.
            let is_old = |at| since.saturating_duration_since(at) >= CONSENT_TIMEOUT;
            let mut layers = self.tracks[track].layers.iter();
            if layers.any(|layer| layer.cache.held() > 0 && layer.last_packet.is_none_or(is_old)) {
                found.push(format!("packets of connection {id} are kept while it is suspended"));
            }
        }
    }

    fn audit_room(&self, id: RoomId, room: &WorkerRoom, found: &mut Vec<String>) {
        let transports = self
            .transports
            .values()
            .filter(|transport| transport.room == id)
            .count();
        let of_transports = |transport: TransportKey| {
            self.transports
                .get(transport)
                .is_some_and(|transport| transport.room == id)
        };
        let tracks = self.tracks.values().filter(|track| track.room == id).count();
        let of_room = self.subscriptions.values().filter(|one| of_transports(one.transport));
        let subscriptions = of_room.filter(|one| one.wanted().is_some()).count();
        let counted = (room.transports, room.tracks().count(), room.wanted_count());
        if counted != (transports, tracks, subscriptions) {
            let expected = (transports, tracks, subscriptions);
            found.push(format!(
                "connections, tracks and wanted subscriptions of room {id}: {counted:?}, not {expected:?}"
            ));
        }
        if room.is_unused() {
            found.push(format!("nobody is in room {id}, and nobody mirrors it"));
        }
        if room.transports == 0 && !room.others.is_empty() {
            found.push(format!("room {id} is asked for, and nobody is here"));
        }
    }

    fn audit_track(&self, key: TrackKey, track: &Track, found: &mut Vec<String>) {
        let id = track.id;
        let room = self.rooms.get(&track.room);
        let is_whose = match track.origin {
            Origin::Transport(transport) => self
                .transports
                .get(transport)
                .is_some_and(|transport| transport.tracks.contains(&key)),
            Origin::Link(link) => self.mirrors(link, track, key),
        };
        if !is_whose || !room.is_some_and(|room| room.tracks_of(track.name.participant).any(|one| one == key)) {
            found.push(format!("track {id} belongs to nothing"));
        }
        let mut subscribers = track.subscribers.iter();
        if !subscribers.all(|&one| self.subscriptions.get(one).is_some_and(|one| one.track == Some(key))) {
            found.push(format!("track {id} is copied for somebody who does not get it"));
        }
    }

    fn audit_subscriptions(&self, found: &mut Vec<String>) {
        for (key, subscription) in &self.subscriptions {
            let Some(transport) = self.transports.get(subscription.transport) else {
                found.push("a subscription belongs to no connection".to_owned());
                continue;
            };
            let wanted = subscription.wanted().filter(|_| transport.suspended.is_none());
            let expected = wanted.and_then(|name| self.rooms.get(&transport.room)?.track(name));
            let copied = subscription.track.and_then(|track| self.tracks.get(track));
            let is_copied = copied.is_some_and(|track| track.subscribers.contains(&key));
            if subscription.track != expected || is_copied != subscription.track.is_some() {
                let (id, track) = (transport.id, subscription.track);
                found.push(format!(
                    "connection {id} gets {track:?}, and is to get {expected:?}: {is_copied}"
                ));
            }
        }
    }
}
