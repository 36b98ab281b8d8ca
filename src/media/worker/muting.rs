//! Participants whose sound or pictures are forwarded to nobody. Their packets are opened and noted as ever, so that their
//! clients see nothing of it, and dropped before anything is kept of them, copied, or passed on to other workers. What comes
//! after the end of it is a new source: subscribers' numbers close up over the packets that were dropped, also at mirrors, and
//! pictures begin with a key frame.

use std::time::Instant;

use super::Worker;
use super::selection::Urgency;
use crate::ids::PeerId;
use crate::media::keys::TrackKey;
use crate::media::names::Muted;

impl Worker {
    /// Mutes and unmutes what a connection, or a player, publishes now and later.
    pub(super) fn mute(&mut self, now: Instant, peer: PeerId, muted: Muted) {
        let mut tracks: Vec<TrackKey> = Vec::new();
        if let Some(connection) = self.connections.get_mut(&peer) {
            connection.muted = muted;
            let transports = connection.transports();
            tracks.extend(transports.flat_map(|(_, key)| self.transports[key].tracks.iter().copied()));
        }
        let player = self.links.with_player(peer);
        if let Some(link) = player.and_then(|id| self.links.get_mut(id)) {
            link.muted = muted;
            tracks.extend(link.mirrored.values());
        }
        for key in tracks {
            self.mute_track(now, key, muted);
        }
    }

    /// Mutes or unmutes a track, as its connection or its player is.
    pub(super) fn mute_track(&mut self, now: Instant, key: TrackKey, muted: Muted) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        let is_muted = muted.covers(track.name.name);
        if std::mem::replace(&mut track.muted, is_muted) == is_muted {
            return;
        }
        if is_muted {
            return self.plan_repairs(key);
        }
        let next_source = &mut self.next_source;
        track.begin_anew(|| Self::fresh_source(next_source));
        self.wish_changed(now, key);
        self.select(now, key, Urgency::AtOnce);
        self.request_key_frames(now, key);
    }
}
