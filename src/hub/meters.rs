//! Numbers for Prometheus of all that the hub knows of. The handle of each number is looked up by its name once, because the
//! numbers are set after each input.

use metrics::{Counter, Gauge, counter, gauge};

use crate::domain::Rules;

pub(super) struct HubMeters {
    rooms: Gauge,
    participants: Gauge,
    users_online: Gauge,
    peers: Gauge,
    calls: Gauge,
    reachable_sessions: Gauge,
    sessions: Gauge,
    displaced_peers: Counter,
}

impl HubMeters {
    pub fn new() -> HubMeters {
        HubMeters {
            rooms: gauge!("patchbay_rooms"),
            participants: gauge!("patchbay_participants"),
            users_online: gauge!("patchbay_users_online"),
            peers: gauge!("patchbay_peers"),
            calls: gauge!("patchbay_calls"),
            reachable_sessions: gauge!("patchbay_reachable_sessions"),
            sessions: gauge!("patchbay_sessions"),
            displaced_peers: counter!("patchbay_displaced_peers_total"),
        }
    }

    pub(crate) fn show(&self, rules: &Rules, sessions: usize) {
        self.rooms.set(rules.room_count() as f64);
        self.participants.set(rules.participant_count() as f64);
        self.users_online.set(rules.online_count() as f64);
        self.peers.set(rules.peer_count() as f64);
        self.calls.set(rules.call_count() as f64);
        self.reachable_sessions.set(rules.reachable_count() as f64);
        self.sessions.set(sessions as f64);
        self.displaced_peers.absolute(rules.displaced_count());
    }
}
