//! Subscriptions that can carry nothing are never silent: they are counted and reported. The report names a connection and a
//! kind of media, so it is over when all its subscriptions of this kind carry something, or are removed.

use std::time::Instant;

use super::Worker;
use crate::media::codec::Kind;
use crate::media::keys::PeerKey;
use crate::media::messages::MediaEvent;
use crate::media::undecodable::Change;

impl Worker {
    /// Looks at the subscriptions of one connection.
    pub(super) fn report_undecodable(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.secure.is_some()) else {
            return;
        };
        for (kind, reports) in [Kind::Audio, Kind::Video].into_iter().zip(&mut peer.decoding) {
            let of_kind = peer
                .subscriptions
                .iter()
                .map(|&subscription| &self.subscriptions[subscription]);
            let undecodable = of_kind
                .filter(|subscription| subscription.kind == kind)
                .find_map(|subscription| {
                    let track = self.tracks.get(subscription.track?)?;
                    subscription.undecodable(now, track)
                });
            let peer = peer.id;
            match reports.observe(now, undecodable) {
                Some(Change::Undecodable(codec)) => {
                    self.stats.undecodable += 1;
                    self.events.push_back(MediaEvent::Undecodable { peer, kind, codec });
                }
                Some(Change::Decodable) => self.events.push_back(MediaEvent::Decodable { peer, kind }),
                None => {}
            }
        }
    }

    /// The client of a connection begins anew, and may have forgotten what was reported to it: that is over, and may be reported
    /// again.
    pub(super) fn forget_undecodable(&mut self, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        for (kind, reports) in [Kind::Audio, Kind::Video].into_iter().zip(&mut peer.decoding) {
            if std::mem::take(reports).is_undecodable() {
                self.events.push_back(MediaEvent::Decodable { peer: peer.id, kind });
            }
        }
    }
}
