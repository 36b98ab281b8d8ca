//! Handshakes come after copies. The public-key work of a handshake takes as long as some hundred copies. In the middle of a
//! batch it would delay all media of the worker, and many joins at once would delay them for long. So DTLS datagrams wait, and
//! the driver takes a few in each turn, after it has sent the copies of that turn's packets.

use std::time::Instant;

use super::Worker;
use crate::media::demux::Occupant;
use crate::media::peer::ice::Path;

impl Worker {
    /// Whether handshakes wait for [`Worker::take_waiting`].
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the datagram that has waited longest into `buffer`, and goes on with its handshake. The buffer must have room for
    /// [`MAX_WAITING_BYTES`](super::MAX_WAITING_BYTES). Follow with [`Worker::forward`] over the same buffer.
    pub fn take_waiting(&mut self, now: Instant, buffer: &mut [u8]) {
        let Some((path, datagram)) = self.waiting.pop() else {
            return;
        };
        if let Some(room) = buffer.get_mut(..datagram.len()) {
            room.copy_from_slice(&datagram);
            self.take_datagram(now, path, buffer, 0, datagram.len());
        }
    }

    /// Lets a datagram wait.
    pub(super) fn put_off(&mut self, path: Path, datagram: &[u8]) {
        if !self.waiting.push(path, datagram) {
            self.stats.dropped_datagrams += 1;
        }
    }

    /// Whether media from this address may be under keys of a handshake whose last datagrams still wait.
    pub(super) fn have_handshake(&self, path: Path, occupants: &[Occupant]) -> bool {
        let has_no_keys = |at: &Occupant| {
            self.transports
                .get(at.transport)
                .is_some_and(|transport| transport.secure.is_none())
        };
        self.has_waiting() && occupants.iter().any(has_no_keys) && self.waiting.holds(path.remote)
    }
}
