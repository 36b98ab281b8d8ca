//! Reports about a whole connection, which may have several transports: it is connected with the first of them, its
//! client is heard while it is heard over any of them, and it ends with the last.

use std::time::Instant;

use smallvec::SmallVec;

use super::Worker;
use crate::ids::PeerId;
use crate::media::keys::TransportKey;
use crate::media::messages::MediaEvent;

impl Worker {
    /// Forgets a connection that the hub wants closed.
    pub(super) fn close_connection(&mut self, now: Instant, id: PeerId) {
        // Nothing more is reported about it.
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        for (_, key) in connection.transports() {
            self.close(now, key, None);
        }
    }

    /// Reports that a connection is up, with the first of its transports.
    pub(super) fn report_connected(&mut self, now: Instant, id: PeerId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut connection.connected, true) {
            self.events.push_back(MediaEvent::Connected { peer: id });
        }
        self.report_heard(now, id);
    }

    /// Notes that a transport of a connection begins a new DTLS association. If no other transport is up, the connection has to
    /// come up again.
    pub(super) fn begin_again(&mut self, now: Instant, id: PeerId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let is_up = |(_, key): (u8, TransportKey)| {
                self.transports
                    .get(key)
                    .is_some_and(|transport| transport.secure.is_some())
            };
            let connected = connection.transports().any(is_up);
            connection.connected = connected;
        }
        self.report_heard(now, id);
    }

    /// Reports whether the client of a connection is heard over any transport that is up, if that has changed. Call when a transport
    /// is suspended, resumed, closed, or up.
    pub(super) fn report_heard(&mut self, now: Instant, id: PeerId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let suspended = {
            let transports = connection.transports().filter_map(|(_, key)| self.transports.get(key));
            let mut up = transports.filter(|transport| transport.secure.is_some()).peekable();
            up.peek().is_some() && up.all(|transport| transport.suspended.is_some())
        };
        if std::mem::replace(&mut connection.suspended, suspended) != suspended {
            self.events.push_back(match suspended {
                true => MediaEvent::Suspended { peer: id },
                false => MediaEvent::Resumed { peer: id },
            });
            // Whether time runs out for one transport depends on all.
            let transports: SmallVec<[TransportKey; 4]> = connection.transports().map(|(_, key)| key).collect();
            transports.into_iter().for_each(|key| self.plan(now, key));
        }
    }
}
