//! The packets that a worker wants to send: one buffer, and runs of packets of one size to one address. One GSO send carries a
//! run.

use std::ops::Range;

use super::peer::ice::Path;
use super::peer::srtp::MAX_OVERHEAD;
use super::remote::Via;
use super::tcp::outgoing::Importance;

/// Bytes after which the driver gets the buffer: some five hundred packets. That is a good batch for the kernel, and stays in
/// the second-level cache.
const FLUSH_BYTES: usize = 512 * 1024;

/// The largest packet that is ever written: an Ethernet frame, an RTX prefix, protection, and new header extensions.
pub(crate) const MAX_PACKET: usize = 1_500 + 2 + MAX_OVERHEAD + 64;

/// Bytes of one GSO send: the largest UDP payload over IPv4.
const MAX_RUN_BYTES: usize = 65_507;

/// A run of packets to one address, for one send: `bytes` are cut into segments of `segment` bytes. Only the last may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub path: Path,
    pub bytes: Range<usize>,
    pub segment: usize,
    /// What the first packet is, and over TCP all of them.
    pub(crate) importance: Importance,
}

impl Run {
    pub fn datagrams(&self) -> u64 {
        self.bytes.len().div_ceil(self.segment) as u64
    }
}

/// The outgoing batch. Its memory is allocated once.
pub struct Egress {
    buffer: Vec<u8>,
    end: usize,
    sends: Vec<Run>,
    max_segments: usize,
    /// System calls so far, without those of the present batch.
    sent: u64,
    /// Packets so far for which there was no room, or which were larger than the room for one.
    dropped: u64,
    /// Packets so far that the driver could not send.
    refused: u64,
}

impl Egress {
    /// Makes an empty batch. One send has at most `max_segments` segments: one where the kernel has no GSO.
    pub fn new(max_segments: usize) -> Egress {
        let buffer = vec![0; FLUSH_BYTES + MAX_PACKET];
        // The smallest packets that come in large numbers are audio: about 100 bytes when protected.
        Egress {
            buffer,
            end: 0,
            sends: Vec::with_capacity(FLUSH_BYTES / 64),
            max_segments: max_segments.max(1),
            sent: 0,
            dropped: 0,
            refused: 0,
        }
    }

    /// Whether the driver must send before more packets are written.
    pub(crate) fn is_full(&self) -> bool {
        self.end >= FLUSH_BYTES || self.sends.len() + 1 >= self.sends.capacity()
    }

    /// Whether so many more packets find room that were so many bytes when they came.
    pub(crate) fn has_room(&self, packets: u64, bytes: usize) -> bool {
        // Each is written with other headers than it came with.
        let added = packets as usize * (MAX_OVERHEAD + 64);
        self.end + bytes + added < FLUSH_BYTES && self.sends.len() + packets as usize + 1 < self.sends.capacity()
    }

    /// Whether several packets may leave in one send.
    pub(crate) fn joins_packets(&self) -> bool {
        self.max_segments > 1
    }

    pub fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    /// Room for one packet. `None` if the buffer is full: the packet is lost, as if the network had dropped it, and counted.
    pub fn room(&mut self) -> Option<&mut [u8; MAX_PACKET]> {
        if self.sends.len() == self.sends.capacity() || self.end + MAX_PACKET > self.buffer.len() {
            self.dropped += 1;
            return None;
        }
        self.buffer.get_mut(self.end..self.end + MAX_PACKET)?.try_into().ok()
    }

    /// Adds the first `len` bytes of the room as a packet for `path`.
    pub(crate) fn commit(&mut self, path: Path, len: usize, importance: Importance) {
        let start = self.end;
        self.end += len;
        if let Some(last) = self.sends.last_mut() {
            let run = last.bytes.len();
            let fits = len <= last.segment
                && run % last.segment == 0
                && run / last.segment < self.max_segments
                && run + len <= MAX_RUN_BYTES;
            let is_alike = last.path == path && (path.remote.via == Via::Udp || last.importance == importance);
            if fits && is_alike {
                last.bytes.end = self.end;
                return;
            }
        }
        self.sends.push(Run {
            path,
            bytes: start..self.end,
            segment: len,
            importance,
        });
    }

    /// Copies a whole packet that is no video into the buffer.
    pub fn push(&mut self, path: Path, packet: &[u8]) {
        if packet.is_empty() {
            return;
        }
        if packet.len() > MAX_PACKET {
            self.dropped += 1;
            return;
        }
        if let Some(room) = self.room().and_then(|room| room.get_mut(..packet.len())) {
            room.copy_from_slice(packet);
            self.commit(path, packet.len(), Importance::Kept);
        }
    }

    pub fn sends(&self) -> impl Iterator<Item = (&Run, &[u8])> {
        self.sends.iter().map(|send| (send, &self.buffer[send.bytes.clone()]))
    }

    /// Limits the segments of one send to what the kernel takes.
    pub(crate) fn limit_segments(&mut self, max_segments: usize) {
        self.max_segments = max_segments.clamp(1, self.max_segments);
    }

    /// Number of sends so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Number of packets that were lost here, because the batch was full or they were too large.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Number of packets that the kernel did not take.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Counts packets of the batch that could not be sent.
    pub(crate) fn count_refused(&mut self, datagrams: u64) {
        self.refused += datagrams;
    }

    /// Empties the batch after everything has been sent.
    pub fn clear(&mut self) {
        self.sent += self.sends.len() as u64;
        self.end = 0;
        self.sends.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn path(port: u16) -> Path {
        Path {
            remote: SocketAddr::from(([127, 0, 0, 1], port)).into(),
            local: None,
        }
    }

    fn runs(lens: &[(u16, usize)], max_segments: usize) -> Vec<(usize, usize)> {
        let mut egress = Egress::new(max_segments);
        for &(port, len) in lens {
            egress.push(path(port), &vec![7; len]);
        }
        egress
            .sends()
            .map(|(send, bytes)| (bytes.len(), send.segment))
            .collect()
    }

    #[test]
    fn equal_packets_to_one_address_make_one_run_which_a_shorter_one_ends() {
        assert_eq!(
            runs(&[(1, 100), (1, 100), (1, 60), (1, 60)], 64),
            [(260, 100), (60, 60)]
        );
    }

    #[test]
    fn another_address_or_a_longer_packet_begins_a_run() {
        assert_eq!(
            runs(&[(1, 100), (2, 100), (2, 101)], 64),
            [(100, 100), (100, 100), (101, 101)]
        );
    }

    #[test]
    fn a_run_holds_no_more_segments_and_bytes_than_the_kernel_takes() {
        assert_eq!(runs(&[(1, 10); 5], 2), [(20, 10), (20, 10), (10, 10)]);
        assert_eq!(runs(&[(1, 1_400); 50], 64)[0], (46 * 1_400, 1_400));
    }

    #[test]
    fn a_full_batch_drops_and_counts_and_never_grows() {
        let mut egress = Egress::new(64);
        let capacity = egress.buffer.capacity();
        for _ in 0..1_000 {
            egress.push(path(1), &[0; 1_400]);
        }
        assert!(egress.is_full());
        let taken: usize = egress.sends().map(|(_, bytes)| bytes.len() / 1_400).sum();
        assert_eq!(egress.dropped(), 1_000 - taken as u64);
        assert_eq!(egress.buffer.capacity(), capacity);
        egress.clear();
        assert!(egress.is_empty() && !egress.is_full());
    }

    #[test]
    fn what_no_room_could_hold_is_counted_too() {
        let mut egress = Egress::new(64);
        egress.push(path(1), &[0; MAX_PACKET + 1]);
        assert!(egress.is_empty());
        assert_eq!(egress.dropped(), 1);
        egress.push(path(1), &[0; MAX_PACKET]);
        assert_eq!(egress.dropped(), 1);
    }

    #[test]
    fn a_batch_of_many_small_sends_is_full_too() {
        let mut egress = Egress::new(1);
        for at in 0..20_000_u16 {
            egress.push(path(at), &[0; 20]);
        }
        assert!(egress.is_full());
        assert_eq!(egress.dropped(), 20_000 - egress.sends().count() as u64);
    }
}
