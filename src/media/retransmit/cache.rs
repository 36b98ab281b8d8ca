//! The packets of one incoming stream that are kept for subscribers who miss some.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pool::{Chunk, Pool};
use crate::media::rtp::sequence_distance;

/// Time for which a packet is of use: a viewer asks for it within some milliseconds, and again after each round trip that
/// brought nothing. Over a path of 250 ms, around half the earth, that makes three requests, and the picture has stood still
/// for a second. After a longer time a packet comes too late to be shown, and the memory for it grows: at 2.5 Mb/s 300 KiB for
/// each second. A shorter time would leave viewers on long paths a single request.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// Time for which packets are kept with which somebody may begin; see [`PacketCache::hold`].
const HELD_FOR: Duration = Duration::from_secs(3);
/// Time for which they are held after others with which somebody may begin have come.
const HELD_ON: Duration = Duration::from_secs(1);

/// Number of the newest packets that are kept however old they are. If a screen sends a packet only now and then, a viewer
/// notices late, by the next packet, that one is missing.
const KEPT_AT_LEAST: u64 = 64;

/// The last packets of one incoming stream, unprotected, by sequence number. They stand one behind the other in chunks of
/// memory. When a chunk is full, the oldest one is used again if all its packets are too old, or if there is no other one; further
/// chunks of old packets are given back. So a stream of small packets takes little memory, and a steady stream takes none anew.
pub struct PacketCache {
    /// Packets by extended sequence number modulo `slots`. Empty before the first packet.
    entries: Vec<Entry>,
    slots: u64,
    /// Chunks with packets, oldest first.
    pages: VecDeque<Page>,
    /// Number of the first of [`Self::pages`]; the others have the next numbers.
    first_page: u32,
    pages_max: usize,
    chunk_bytes: usize,
    /// Extended number of the newest packet.
    newest: u64,
    is_empty: bool,
    /// Number from which on packets are kept for longer.
    held: Option<u64>,
    /// The same before, and until when it counts.
    held_before: Option<(u64, Instant)>,
}

/// The place of a packet. A length of zero is an empty slot.
#[derive(Clone, Copy, Default)]
struct Entry {
    extended: u64,
    page: u32,
    offset: u16,
    len: u16,
}

struct Page {
    chunk: Chunk,
    used: usize,
    /// Extended number of its newest packet.
    newest: u64,
    /// Time at which the last packet was stored in it.
    filled: Option<Instant>,
}

// Offsets and lengths are 16 bits.
const _: () = assert!(PacketCache::PACKET_BYTES < 1 << 16);

/// At most this many slots: no slot may stand for two sequence numbers that [`sequence_distance`] can both reach.
const SLOTS_MAX: usize = 1 << 15;

/// Distance from one stream to the next. It is greater than any distance between two sequence numbers.
const FAR: u64 = 1 << 17;

impl PacketCache {
    /// Makes a cache of at most `slots` packets, rounded up to a power of two, and no more than 32,768. They stand in chunks of
    /// `chunk_bytes`: at least the length of two packets, and no more than 64 KiB.
    pub fn new(slots: usize, chunk_bytes: usize) -> PacketCache {
        PacketCache {
            entries: Vec::new(),
            slots: slots.clamp(1, SLOTS_MAX).next_power_of_two() as u64,
            pages: VecDeque::new(),
            first_page: 0,
            pages_max: usize::MAX,
            chunk_bytes: chunk_bytes.clamp(2 * Self::PACKET_BYTES, 1 << 16),
            newest: 0,
            is_empty: true,
            held: None,
            held_before: None,
        }
    }

    /// The greatest length of a packet: an Ethernet frame, which is what a publisher can send without IP fragments.
    pub const PACKET_BYTES: usize = 1_500;

    /// Stores a packet. It is not kept if it is larger than [`Self::PACKET_BYTES`], or older than the newest by the number of
    /// slots or more.
    pub fn store(&mut self, now: Instant, sequence: u16, packet: &[u8], pool: &mut Pool) {
        if packet.is_empty() || packet.len() > Self::PACKET_BYTES {
            return;
        }
        if self.is_empty {
            self.is_empty = false;
            self.newest = (self.newest & !0xFFFF) + FAR + u64::from(sequence);
            if self.entries.is_empty() {
                self.entries = vec![Entry::default(); self.slots as usize];
                // As many chunks as the packets can fill, and the one that is being filled.
                let full = (self.slots as usize * Self::PACKET_BYTES).div_ceil(self.chunk_bytes - Self::PACKET_BYTES);
                self.pages.reserve(full + 1);
            }
        }
        let extended = self.extend(sequence);
        if extended + self.slots <= self.newest {
            return;
        }
        self.newest = self.newest.max(extended);
        let chunk_bytes = self.chunk_bytes;
        let last = self.pages.back().filter(|page| page.used + packet.len() <= chunk_bytes);
        if last.is_none() && !self.turn_page(now, pool) {
            return;
        }
        let number = self.first_page.wrapping_add(self.pages.len() as u32 - 1);
        let Some(page) = self.pages.back_mut() else { return };
        let offset = page.used;
        page.chunk[offset..offset + packet.len()].copy_from_slice(packet);
        page.used += packet.len();
        page.newest = page.newest.max(extended);
        page.filled = Some(now);
        let slot = self.slot(extended);
        self.entries[slot] = Entry {
            extended,
            page: number,
            offset: offset as u16,
            len: packet.len() as u16,
        };
    }

    /// Adds an empty page behind the last one. False if there is no memory at all.
    fn turn_page(&mut self, now: Instant, pool: &mut Pool) -> bool {
        // Pages follow one another in time, so all pages after the first one that is not old are not old either.
        let old = self.pages.iter().take_while(|page| self.is_old(now, page)).count();
        self.shrink(self.pages.len() - old.saturating_sub(1), pool);
        let grows = old == 0 && self.pages.len() < self.pages_max;
        let chunk = match grows.then(|| pool.take(self.chunk_bytes)).flatten() {
            Some(chunk) => chunk,
            None => match self.pages.pop_front() {
                Some(oldest) => {
                    self.first_page = self.first_page.wrapping_add(1);
                    oldest.chunk
                }
                None => return false,
            },
        };
        self.pages.push_back(Page {
            chunk,
            used: 0,
            newest: 0,
            filled: None,
        });
        true
    }

    /// Whether nobody needs any packet of a page.
    fn is_old(&self, now: Instant, page: &Page) -> bool {
        let before = self.held_before.filter(|(_, until)| now < *until).map(|(from, _)| from);
        let is_held = self.held.into_iter().chain(before).any(|from| page.newest >= from);
        let kept_for = if is_held { HELD_FOR } else { KEPT_FOR };
        let is_over = |filled| now.saturating_duration_since(filled) >= kept_for;
        let behind = self.newest.saturating_sub(page.newest);
        behind >= self.slots || (behind >= KEPT_AT_LEAST && page.filled.is_some_and(is_over))
    }

    pub fn packet(&self, sequence: u16) -> Option<&[u8]> {
        if self.is_empty {
            return None;
        }
        let extended = self.extend(sequence);
        let entry = self.entries.get(self.slot(extended))?;
        // A packet from another turn of the sequence numbers, or from before [`Self::clear`], differs in its upper bits.
        if entry.extended != extended || entry.len == 0 {
            return None;
        }
        let page = self.pages.get(entry.page.wrapping_sub(self.first_page) as usize)?;
        let offset = usize::from(entry.offset);
        page.chunk.get(offset..offset + usize::from(entry.len))
    }

    /// Forgets all packets, because the sender has restarted: its new numbers would stand beside the old ones. Keeps the
    /// memory.
    pub fn clear(&mut self) {
        self.is_empty = true;
        self.let_go();
    }

    /// Keeps packets for longer from this one on. Somebody may just have begun with those before, so these are held for a while.
    pub(crate) fn hold(&mut self, now: Instant, sequence: u16) {
        let before = self.held.replace(self.extend(sequence));
        if self.held_before.is_none_or(|(_, until)| now >= until) {
            self.held_before = before.map(|from| (from, now + HELD_ON));
        }
    }

    /// Keeps packets for the usual time again.
    pub(crate) fn let_go(&mut self) {
        (self.held, self.held_before) = (None, None);
    }

    /// Bytes of memory that the cache has.
    pub fn held(&self) -> usize {
        self.pages.len() * self.chunk_bytes
    }

    /// Limits the memory of the cache to `bytes`. If it has more, its oldest packets are removed.
    pub(crate) fn limit(&mut self, bytes: usize, pool: &mut Pool) {
        self.pages_max = bytes / self.chunk_bytes;
        self.shrink(self.pages_max, pool);
    }

    /// Forgets all packets and gives the memory back. The next packet takes new memory.
    pub fn release(&mut self, pool: &mut Pool) {
        self.is_empty = true;
        self.let_go();
        self.shrink(0, pool);
    }

    fn shrink(&mut self, pages: usize, pool: &mut Pool) {
        while self.pages.len() > pages
            && let Some(oldest) = self.pages.pop_front()
        {
            self.first_page = self.first_page.wrapping_add(1);
            pool.give_back(oldest.chunk);
        }
    }

    fn extend(&self, sequence: u16) -> u64 {
        self.newest
            .wrapping_add_signed(i64::from(sequence_distance(sequence, self.newest as u16)))
    }

    fn slot(&self, extended: u64) -> usize {
        (extended & (self.slots - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::retransmit::CHUNK_BYTES;
    use crate::media::virtual_time::epoch;

    fn body(sequence: u16) -> [u8; 4] {
        [1, 2, (sequence >> 8) as u8, sequence as u8]
    }

    fn pool() -> Pool {
        Pool::new(1 << 30)
    }

    fn store(cache: &mut PacketCache, sequences: impl IntoIterator<Item = u16>) {
        let mut pool = pool();
        for sequence in sequences {
            cache.store(epoch(), sequence, &body(sequence), &mut pool);
        }
    }

    #[test]
    fn the_last_packets_are_kept_and_older_ones_are_not() {
        let mut cache = PacketCache::new(100, CHUNK_BYTES);
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
        let mut cache = PacketCache::new(8, CHUNK_BYTES);
        assert_eq!(cache.packet(0), None);
        store(&mut cache, [0, 1, 3, 12]);
        assert_eq!(cache.packet(2), None);
        assert_eq!(cache.packet(4), None, "its slot holds 12");
        assert_eq!(cache.packet(12), Some(&body(12)[..]));
    }

    #[test]
    fn late_packets_are_kept_unless_they_would_displace_newer_ones() {
        let mut cache = PacketCache::new(8, CHUNK_BYTES);
        store(&mut cache, [100, 107, 103]);
        assert_eq!(cache.packet(103), Some(&body(103)[..]));
        assert_eq!(cache.packet(100), Some(&body(100)[..]));
        store(&mut cache, [99]);
        assert_eq!(cache.packet(99), None);
        assert_eq!(cache.packet(107), Some(&body(107)[..]));
    }

    #[test]
    fn a_packet_of_the_last_turn_of_sequence_numbers_is_not_taken_for_this_ones() {
        let mut cache = PacketCache::new(16, CHUNK_BYTES);
        store(&mut cache, [5]);
        // All slots except the one of packet 5 are written again in the next turn.
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
        let mut cache = PacketCache::new(16, CHUNK_BYTES);
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
    fn packets_of_every_length_up_to_the_largest_are_kept_whole() {
        let (mut cache, mut pool) = (PacketCache::new(2, CHUNK_BYTES), pool());
        for len in 1..=PacketCache::PACKET_BYTES {
            let packet: Vec<u8> = (0..len).map(|index| (index * 7 + len) as u8).collect();
            cache.store(epoch(), len as u16, &packet, &mut pool);
            assert_eq!(cache.packet(len as u16), Some(&packet[..]));
        }
        cache.store(epoch(), 9_000, &[1; PacketCache::PACKET_BYTES + 1], &mut pool);
        assert_eq!(cache.packet(9_000), None);
        assert!(cache.packet(1_500).is_some(), "it displaced nothing");
    }

    #[test]
    fn memory_is_taken_as_packets_come_and_bounded() {
        let mut cache = PacketCache::new(usize::MAX, CHUNK_BYTES);
        assert_eq!((cache.held(), cache.entries.capacity()), (0, 0));
        store(&mut cache, [1, 32_769]);
        assert_eq!(cache.held(), CHUNK_BYTES);
        assert_eq!(cache.entries.len(), SLOTS_MAX);
        assert_eq!(PacketCache::new(0, CHUNK_BYTES).slots, 1);
        assert_eq!(PacketCache::new(513, CHUNK_BYTES).slots, 1_024);
    }

    #[test]
    fn what_it_holds_follows_the_size_of_its_packets_and_stops_growing() {
        for (len, most) in [(100, 5), (1_200, 41)] {
            let (mut cache, mut pool) = (PacketCache::new(512, CHUNK_BYTES), pool());
            let mut sizes = Vec::new();
            for round in 0..20_u16 {
                for at in 0..1_000_u16 {
                    cache.store(epoch(), round * 1_000 + at, &vec![7; len], &mut pool);
                }
                sizes.push(cache.held());
            }
            assert!(
                sizes[0] <= most * CHUNK_BYTES,
                "{} bytes for packets of {len}",
                sizes[0]
            );
            assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
            assert!((19_488..20_000).all(|sequence| cache.packet(sequence).is_some()));
            assert_eq!(pool.taken(), cache.held());
            let capacity = cache.pages.capacity();
            assert!(cache.pages.len() < capacity, "its pages were reserved for at the start");
        }
    }

    #[test]
    fn under_a_limit_the_oldest_packets_make_room() {
        let (mut cache, mut pool) = (PacketCache::new(512, CHUNK_BYTES), pool());
        let packet = [7; 1_000];
        (0..500).for_each(|sequence| cache.store(epoch(), sequence, &packet, &mut pool));
        assert!(cache.packet(0).is_some());
        cache.limit(6 * CHUNK_BYTES + 17, &mut pool);
        assert_eq!((cache.held(), pool.taken()), (6 * CHUNK_BYTES, 6 * CHUNK_BYTES));
        assert!(cache.packet(0).is_none() && cache.packet(400).is_none());
        assert!((436..500).all(|sequence| cache.packet(sequence).is_some()));
        for sequence in 500..2_000 {
            cache.store(epoch(), sequence, &packet, &mut pool);
            assert!(
                (sequence - 63..=sequence).all(|kept| cache.packet(kept).is_some()),
                "{sequence}"
            );
        }
        assert_eq!(cache.held(), 6 * CHUNK_BYTES);
        cache.limit(0, &mut pool);
        assert_eq!((cache.held(), pool.taken()), (0, 0));
        cache.store(epoch(), 2_000, &packet, &mut pool);
        assert!(cache.packet(2_000).is_none());
        cache.limit(CHUNK_BYTES, &mut pool);
        cache.store(epoch(), 2_001, &packet, &mut pool);
        assert!(cache.packet(2_001).is_some());
    }

    #[test]
    fn where_the_pool_is_empty_a_cache_goes_on_with_what_it_has() {
        let mut pool = Pool::new(2 * CHUNK_BYTES);
        let (mut first, mut second) = (PacketCache::new(512, CHUNK_BYTES), PacketCache::new(512, CHUNK_BYTES));
        for sequence in 0..300 {
            first.store(epoch(), sequence, &[7; 1_000], &mut pool);
            second.store(epoch(), sequence, &[7; 1_000], &mut pool);
            assert!(first.packet(sequence).is_some() && second.packet(sequence).is_some());
        }
        assert_eq!((first.held(), second.held()), (CHUNK_BYTES, CHUNK_BYTES));
        let mut third = PacketCache::new(512, CHUNK_BYTES);
        third.store(epoch(), 1, &[7; 1_000], &mut pool);
        assert!(third.packet(1).is_none());
        first.release(&mut pool);
        assert!(first.packet(299).is_none());
        third.store(epoch(), 2, &[7; 1_000], &mut pool);
        assert!(third.packet(2).is_some());
        second.release(&mut pool);
        first.store(epoch(), 301, &[8; 1_000], &mut pool);
        assert_eq!(first.packet(301), Some(&[8; 1_000][..]));
        assert!(first.packet(299).is_none() && first.packet(300).is_none());
    }

    /// A stream with a number of packets a second for a number of milliseconds. Its numbers continue at the one that is
    /// returned.
    fn steady(
        cache: &mut PacketCache,
        pool: &mut Pool,
        from: u64,
        per_second: u64,
        millis: std::ops::Range<u64>,
    ) -> u64 {
        let count = (millis.end - millis.start) * per_second / 1_000;
        for at in 0..count {
            let now = epoch() + Duration::from_millis(millis.start + at * 1_000 / per_second);
            cache.store(now, (from + at) as u16, &[7; 1_200], pool);
        }
        from + count
    }

    #[test]
    fn of_a_steady_stream_a_second_is_kept_and_no_more_than_a_chunk_beyond_it() {
        for per_second in [50, 100, 250, 400] {
            let (mut cache, mut pool) = (PacketCache::new(512, CHUNK_BYTES), pool());
            let next = steady(&mut cache, &mut pool, 0, per_second, 0..20_000);
            let needed = per_second.max(KEPT_AT_LEAST);
            assert!((next - needed..next).all(|sequence| cache.packet(sequence as u16).is_some()));
            let most = (needed as usize).div_ceil(CHUNK_BYTES / 1_200) + 1;
            assert!(cache.held() <= most * CHUNK_BYTES, "{} at {per_second}", cache.held());
            cache.release(&mut pool);
        }
    }

    #[test]
    fn what_is_held_is_kept_for_three_seconds_and_the_rest_for_one() {
        let (mut cache, mut pool) = (PacketCache::new(1_024, CHUNK_BYTES), pool());
        let next = steady(&mut cache, &mut pool, 0, 250, 0..2_000);
        cache.hold(epoch() + Duration::from_secs(2), next as u16);
        let next = steady(&mut cache, &mut pool, next, 250, 2_000..4_900);
        assert!((500..next).all(|sequence| cache.packet(sequence as u16).is_some()));
        assert!(cache.packet(400).is_none(), "it was not held");
        // What was held is held on for a second.
        cache.hold(epoch() + Duration::from_millis(4_900), next as u16);
        let next = steady(&mut cache, &mut pool, next, 250, 4_900..4_980);
        assert!((520..next).all(|sequence| cache.packet(sequence as u16).is_some()));
        let next = steady(&mut cache, &mut pool, next, 250, 4_980..7_000);
        assert!(cache.packet(1_150).is_none());
        assert!((1_225..next).all(|sequence| cache.packet(sequence as u16).is_some()));
        cache.let_go();
        let next = steady(&mut cache, &mut pool, next, 250, 7_000..7_200);
        assert!(cache.held() <= 22 * CHUNK_BYTES, "{}", cache.held());
        assert!(cache.packet(next as u16 - 300).is_none());
        cache.hold(epoch(), 9);
        cache.clear();
        steady(&mut cache, &mut pool, 40_000, 250, 7_200..10_100);
        assert!(cache.held() <= 22 * CHUNK_BYTES, "{}", cache.held());
    }

    #[test]
    fn a_stream_that_becomes_slower_gives_back_and_keeps_its_newest_however_old_they_are() {
        let (mut cache, mut pool) = (PacketCache::new(512, CHUNK_BYTES), pool());
        let next = steady(&mut cache, &mut pool, 0, 400, 0..5_000);
        let before = cache.held();
        let next = steady(&mut cache, &mut pool, next, 20, 5_000..65_000);
        assert!(cache.held() < before / 2, "{} of {before}", cache.held());
        assert_eq!(pool.taken(), cache.held());
        assert!((next - KEPT_AT_LEAST..next).all(|sequence| cache.packet(sequence as u16).is_some()));
    }
}
