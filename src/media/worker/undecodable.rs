//! A subscription that can carry nothing is never silent: it is counted and reported. The report names a connection and a kind
//! of media, so it ends when all the connection's subscriptions of this kind carry something, or are removed.

use std::time::Instant;

use super::Worker;
use crate::media::codec::Kind;
use crate::media::keys::TransportKey;
use crate::media::messages::MediaEvent;
use crate::media::undecodable::{DecodingChange, Undecodable};

impl Worker {
    /// Looks at the subscriptions of one connection.
    pub(super) fn report_undecodable(&mut self, now: Instant, key: TransportKey) {
        let Some(transport) = self
            .transports
            .get_mut(key)
            .filter(|transport| transport.secure.is_some())
        else {
            return;
        };
        for (kind, reports) in Kind::ALL.into_iter().zip(&mut transport.decoding) {
            let subscriptions = transport.subscriptions.iter().map(|&one| &self.subscriptions[one]);
            let mut of_kind = subscriptions.filter(|subscription| subscription.kind == kind);
            let undecodable = of_kind.find_map(|subscription| {
                let track = self.tracks.get(subscription.track?)?;
                let codec = subscription.undecodable(now, track)?;
                let publisher = track.name.participant;
                Some(Undecodable { publisher, codec })
            });
            let peer = transport.id;
            match reports.observe(now, undecodable) {
                Some(DecodingChange::Undecodable(Undecodable { publisher, codec })) => {
                    self.stats.undecodable += 1;
                    self.events.push_back(MediaEvent::Undecodable {
                        peer,
                        publisher,
                        kind,
                        codec,
                    });
                }
                Some(DecodingChange::Decodable(Undecodable { publisher, .. })) => {
                    self.events.push_back(MediaEvent::Decodable { peer, publisher, kind });
                }
                None => {}
            }
        }
    }

    /// Ends the reports about a connection whose client begins anew: it may have forgotten them, and they may be sent again.
    pub(super) fn forget_undecodable(&mut self, key: TransportKey) {
        let Some(transport) = self.transports.get_mut(key) else {
            return;
        };
        let peer = transport.id;
        for (kind, reports) in Kind::ALL.into_iter().zip(&mut transport.decoding) {
            if let Some(Undecodable { publisher, .. }) = std::mem::take(reports).standing() {
                self.events.push_back(MediaEvent::Decodable { peer, publisher, kind });
            }
        }
    }
}
