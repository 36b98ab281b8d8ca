//! Subscriptions that can carry nothing are never silent: they are counted and reported.

use std::time::Instant;

use super::{PeerKey, Worker};
use crate::media::engine::MediaEvent;
use crate::media::undecodable::Change;

impl Worker {
    /// Looks at the subscriptions of one connection.
    pub(super) fn report_undecodable(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get(key).filter(|peer| peer.secure.is_some()) else {
            return;
        };
        for &subscription in &peer.subscriptions {
            let subscription = &mut self.subscriptions[subscription];
            let track = subscription.track.and_then(|track| self.tracks.get(track));
            let undecodable = track.and_then(|track| subscription.undecodable(now, track));
            let (peer, kind) = (peer.id, subscription.kind);
            match subscription.decoding.observe(now, undecodable) {
                Some(Change::Undecodable(codec)) => {
                    self.stats.undecodable += 1;
                    self.events.push_back(MediaEvent::Undecodable { peer, kind, codec });
                }
                Some(Change::Decodable) => self.events.push_back(MediaEvent::Decodable { peer, kind }),
                None => {}
            }
        }
    }
}
