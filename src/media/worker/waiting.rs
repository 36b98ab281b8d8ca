//! Datagrams of handshakes that wait for their turn (`worker/handshakes.rs`).

use std::collections::VecDeque;

use crate::media::peer::ice::Path;
use crate::media::remote::Remote;

/// Datagrams that wait at most. Their public-key work takes a tenth of a second or two, after which a client is about to send
/// again anyway. More datagrams are lost, as on the network, and counted.
pub const MAX_WAITING: usize = 512;

/// Bytes of the largest datagram that waits: more than fit into a frame of any network that clients are on.
pub const MAX_WAITING_BYTES: usize = 2_048;

#[derive(Default)]
pub(super) struct WaitingDatagrams(VecDeque<(Path, Vec<u8>)>);

impl WaitingDatagrams {
    /// Adds a datagram. False if there is no room.
    pub fn push(&mut self, path: Path, datagram: &[u8]) -> bool {
        let has_room = self.0.len() < MAX_WAITING && datagram.len() <= MAX_WAITING_BYTES;
        if has_room {
            self.0.push_back((path, datagram.to_vec()));
        }
        has_room
    }

    pub fn pop(&mut self) -> Option<(Path, Vec<u8>)> {
        self.0.pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a datagram from this address waits.
    pub fn holds(&self, remote: Remote) -> bool {
        self.0.iter().any(|(path, _)| path.remote == remote)
    }
}
