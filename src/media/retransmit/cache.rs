//! The packets of one incoming stream that are kept for subscribers who miss them.

use crate::media::rtp::sequence_distance;

/// The last packets of one incoming stream, unprotected, by sequence number.
/// Storage is one allocation, made at the first packet; pages are touched only as they fill.
pub struct PacketCache {
    slots: u64,
    /// `slots` times [`STRIDE`] bytes: the head, then the packet. Empty before the first packet.
    storage: Vec<u8>,
    /// Extended number of the newest packet.
    newest: u64,
    is_empty: bool,
}

/// Extended sequence number and length. A length of zero is an empty slot: fresh storage is zeros.
const HEAD_BYTES: usize = 8 + 2;
/// A multiple of the cache line, so that a lookup that fails reads one line.
const STRIDE: usize = (PacketCache::SLOT_BYTES + HEAD_BYTES).next_multiple_of(64);

/// No slot may stand for two sequence numbers that [`sequence_distance`] can both reach.
const SLOTS_MAX: usize = 1 << 15;

/// From one stream to the next, further than any distance between two sequence numbers.
const FAR: u64 = 1 << 17;

impl PacketCache {
    /// `slots` is rounded up to a power of two; each holds a packet of at most [`PacketCache::SLOT_BYTES`].
    /// At most 32,768.
    pub fn new(slots: usize) -> PacketCache {
        PacketCache {
            slots: slots.clamp(1, SLOTS_MAX).next_power_of_two() as u64,
            storage: Vec::new(),
            newest: 0,
            is_empty: true,
        }
    }

    /// An Ethernet frame's worth: what a publisher can send without IP fragments.
    pub const SLOT_BYTES: usize = 1_500;

    /// Larger packets are not kept, nor those that are older than the newest by as many as there are slots.
    pub fn store(&mut self, sequence: u16, packet: &[u8]) {
        if packet.len() > Self::SLOT_BYTES {
            return;
        }
        if self.is_empty {
            self.is_empty = false;
            self.newest = (self.newest & !0xFFFF) + FAR + u64::from(sequence);
            if self.storage.is_empty() {
                // Zeroed by the system: pages that are never written cost nothing.
                self.storage = vec![0; self.slots as usize * STRIDE];
            }
        }
        let extended = self.extend(sequence);
        if extended + self.slots <= self.newest {
            return;
        }
        self.newest = self.newest.max(extended);
        let start = self.slot_start(extended);
        let slot = &mut self.storage[start..start + STRIDE];
        slot[..8].copy_from_slice(&extended.to_ne_bytes());
        slot[8..HEAD_BYTES].copy_from_slice(&(packet.len() as u16).to_ne_bytes());
        slot[HEAD_BYTES..HEAD_BYTES + packet.len()].copy_from_slice(packet);
    }

    pub fn packet(&self, sequence: u16) -> Option<&[u8]> {
        if self.is_empty {
            return None;
        }
        let extended = self.extend(sequence);
        let (head, body) = self
            .storage
            .get(self.slot_start(extended)..)?
            .split_first_chunk::<HEAD_BYTES>()?;
        let [s0, s1, s2, s3, s4, s5, s6, s7, l0, l1] = *head;
        let stored = u64::from_ne_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let len = u16::from_ne_bytes([l0, l1]);
        // A packet from another turn of the sequence numbers, or from before [`Self::clear`], differs in its upper bits.
        if stored != extended || len == 0 {
            return None;
        }
        body.get(..usize::from(len))
    }

    /// Forgets all packets, for a sender that restarted: its new numbers would stand beside the old ones.
    /// Keeps the storage.
    pub fn clear(&mut self) {
        self.is_empty = true;
    }

    /// Forgets all packets and gives the storage back; the next packet makes it anew.
    pub fn release(&mut self) {
        self.is_empty = true;
        self.storage = Vec::new();
    }

    fn extend(&self, sequence: u16) -> u64 {
        self.newest
            .wrapping_add_signed(i64::from(sequence_distance(sequence, self.newest as u16)))
    }

    fn slot_start(&self, extended: u64) -> usize {
        (extended & (self.slots - 1)) as usize * STRIDE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(sequence: u16) -> [u8; 4] {
        [1, 2, (sequence >> 8) as u8, sequence as u8]
    }

    fn store(cache: &mut PacketCache, sequences: impl IntoIterator<Item = u16>) {
        for sequence in sequences {
            cache.store(sequence, &body(sequence));
        }
    }

    #[test]
    fn the_last_packets_are_kept_and_older_ones_are_not() {
        let mut cache = PacketCache::new(100);
        store(&mut cache, 65_500..=65_535);
        store(&mut cache, 0..200);
        for sequence in 72..200 {
            assert_eq!(cache.packet(sequence), Some(&body(sequence)[..]), "{sequence}");
        }
        for sequence in [71, 0, 65_535, 200, 201, 32_000] {
            assert_eq!(cache.packet(sequence), None, "{sequence}");
        }
    }

    #[test]
    fn a_packet_that_was_never_stored_is_not_answered() {
        let mut cache = PacketCache::new(8);
        assert_eq!(cache.packet(0), None);
        store(&mut cache, [0, 1, 3, 12]);
        assert_eq!(cache.packet(2), None);
        assert_eq!(cache.packet(4), None, "its slot holds 12");
        assert_eq!(cache.packet(12), Some(&body(12)[..]));
    }

    #[test]
    fn late_packets_are_kept_unless_they_would_displace_newer_ones() {
        let mut cache = PacketCache::new(8);
        store(&mut cache, [100, 107, 103]);
        assert_eq!(cache.packet(103), Some(&body(103)[..]));
        assert_eq!(cache.packet(100), Some(&body(100)[..]));
        store(&mut cache, [99]);
        assert_eq!(cache.packet(99), None);
        assert_eq!(cache.packet(107), Some(&body(107)[..]));
    }

    #[test]
    fn a_packet_of_the_last_turn_of_sequence_numbers_is_not_taken_for_this_ones() {
        let mut cache = PacketCache::new(16);
        store(&mut cache, [5]);
        // All slots but that of 5 are written again on the way around.
        for sequence in (6..=u16::MAX).chain(0..5).filter(|sequence| sequence % 16 != 5) {
            store(&mut cache, [sequence]);
        }
        assert_eq!(cache.packet(5), None);
        store(&mut cache, [6]);
        assert_eq!(cache.packet(5), None);
        assert_eq!(cache.packet(4), Some(&body(4)[..]));
    }

    #[test]
    fn nothing_is_left_after_clearing() {
        let mut cache = PacketCache::new(16);
        store(&mut cache, [1, 2, 3]);
        cache.clear();
        assert_eq!(cache.packet(2), None);
        store(&mut cache, [1]);
        assert_eq!(cache.packet(1), Some(&body(1)[..]));
        assert_eq!(cache.packet(2), None);
        assert_eq!(cache.packet(3), None);
        for start in [60_000, 20, 40_000] {
            cache.clear();
            store(&mut cache, [start]);
            assert_eq!(
                (0..=u16::MAX)
                    .filter(|sequence| cache.packet(*sequence).is_some())
                    .collect::<Vec<_>>(),
                [start]
            );
        }
    }

    #[test]
    fn packets_of_every_length_up_to_a_slot_are_kept_whole() {
        let mut cache = PacketCache::new(2);
        for len in 1..=PacketCache::SLOT_BYTES {
            let packet: Vec<u8> = (0..len).map(|index| (index * 7 + len) as u8).collect();
            cache.store(len as u16, &packet);
            assert_eq!(cache.packet(len as u16), Some(&packet[..]));
        }
        cache.store(9_000, &[1; PacketCache::SLOT_BYTES + 1]);
        assert_eq!(cache.packet(9_000), None);
        assert!(cache.packet(1_500).is_some(), "it displaced nothing");
    }

    #[test]
    fn storage_is_made_at_the_first_packet_and_bounded() {
        let mut cache = PacketCache::new(usize::MAX);
        assert_eq!(cache.storage.capacity(), 0);
        store(&mut cache, [1, 32_769]);
        assert_eq!(cache.storage.len(), SLOTS_MAX * STRIDE);
        cache.release();
        assert_eq!(cache.storage.capacity(), 0);
        assert_eq!(cache.packet(1), None);
        store(&mut cache, [2]);
        assert_eq!(cache.packet(2), Some(&body(2)[..]));
        assert_eq!(cache.packet(1), None);
        assert_eq!(PacketCache::new(0).slots, 1);
        assert_eq!(PacketCache::new(513).slots, 1_024);
    }
}
