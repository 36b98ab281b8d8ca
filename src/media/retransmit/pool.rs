//! The memory of packet caches: chunks that are taken from the system and given back to it, so that the memory of a publisher's
//! packets is free again when the publisher has left. (The allocator would keep blocks of this size in the process.)

use memmap2::MmapMut;

/// Bytes of a chunk: some twelve packets of video. Of each stream two chunks are half in use: the one that is filled, and the
/// oldest one. Larger chunks would waste more there; with smaller ones, packets leave more room at each chunk's end.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;
/// Bytes of a chunk of sound: some seventy packets, more than a second.
pub(crate) const SOUND_CHUNK_BYTES: usize = 8 * 1024;

/// The part of what all caches have that may be kept in spare chunks beside it. A key frame after small frames needs more
/// memory for a second, and each new chunk costs a system call and page faults; with spare ones, streams whose key frames come at
/// different times pass their chunks on to one another.
const SPARE_PART: usize = 16;

/// Memory for the caches of one worker, up to a budget.
pub struct Pool {
    taken: usize,
    max: usize,
    /// Chunks of [`CHUNK_BYTES`] that no cache needs now.
    spare: Vec<Chunk>,
}

/// Memory of a cache. Pages that are never written cost nothing.
pub struct Chunk(MmapMut);

impl std::ops::Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Pool {
    /// Makes a pool of at most `max` bytes.
    pub fn new(max: usize) -> Pool {
        // Reserved, because packets are stored without allocating.
        let spare = Vec::with_capacity(max / SPARE_PART / CHUNK_BYTES + 1);
        Pool { taken: 0, max, spare }
    }

    /// Takes a chunk of `bytes`, with whatever was in it. `None` if the budget is used up, or if the system has no more memory.
    pub fn take(&mut self, bytes: usize) -> Option<Chunk> {
        if self.taken + bytes > self.max {
            return None;
        }
        let spare = if bytes == CHUNK_BYTES { self.spare.pop() } else { None };
        let chunk = match spare {
            Some(chunk) => chunk,
            None => Chunk(MmapMut::map_anon(bytes).ok()?),
        };
        self.taken += bytes;
        self.limit_spare();
        Some(chunk)
    }

    pub(crate) fn give_back(&mut self, chunk: Chunk) {
        self.taken -= chunk.len();
        if chunk.len() == CHUNK_BYTES {
            self.spare.push(chunk);
        }
        self.limit_spare();
    }

    /// Gives spare chunks back to the system if there are too many, or if they would not fit into the budget with the others.
    fn limit_spare(&mut self) {
        let most = (self.taken / SPARE_PART).min(self.max - self.taken) / CHUNK_BYTES;
        self.spare.truncate(most);
    }

    /// Bytes that caches have now, without the spare chunks.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// Whether the greatest caches must give memory back. An eighth of the budget is left then, which is enough until the next
    /// tick.
    pub(crate) fn is_scarce(&self) -> bool {
        self.taken > self.max / 8 * 7
    }

    /// Bytes to which all caches together are limited when memory is scarce.
    pub(crate) fn relieved(&self) -> usize {
        self.max / 4 * 3
    }

    /// Whether the caches that were limited may grow again.
    pub(crate) fn is_ample(&self) -> bool {
        self.taken < self.max / 2
    }
}

/// The most that each holder may keep, so that all together keep at most `budget`. Those who have less keep all of it.
pub(crate) fn ceiling(held: &mut [usize], budget: usize) -> usize {
    held.sort_unstable();
    let mut left = budget;
    for (at, &one) in held.iter().enumerate() {
        let share = left / (held.len() - at);
        if one > share {
            return share;
        }
        left -= one;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_up_to_the_budget_and_again_after_it_came_back() {
        let mut pool = Pool::new(3 * CHUNK_BYTES);
        let mut chunks: Vec<Chunk> = (0..3).filter_map(|_| pool.take(CHUNK_BYTES)).collect();
        assert_eq!(chunks.len(), 3);
        assert!(
            chunks
                .iter_mut()
                .all(|chunk| chunk.len() == CHUNK_BYTES && chunk[7] == 0)
        );
        assert!(pool.take(CHUNK_BYTES).is_none() && pool.is_scarce());
        pool.give_back(chunks.remove(0));
        assert_eq!(pool.taken(), 2 * CHUNK_BYTES);
        assert!(pool.take(CHUNK_BYTES).is_some());
    }

    #[test]
    fn a_few_chunks_are_spare_and_none_when_nobody_needs_memory_any_more() {
        let mut pool = Pool::new(100 * CHUNK_BYTES);
        let mut chunks: Vec<Chunk> = (0..64).filter_map(|_| pool.take(CHUNK_BYTES)).collect();
        assert_eq!((chunks.len(), pool.spare.len()), (64, 0));
        chunks.drain(..16).for_each(|chunk| pool.give_back(chunk));
        assert_eq!((pool.taken(), pool.spare.len()), (48 * CHUNK_BYTES, 3));
        // Others get a spare chunk before new memory.
        let again = pool.take(CHUNK_BYTES).unwrap();
        assert_eq!(pool.spare.len(), 2);
        assert!(chunks.iter().all(|chunk| chunk.as_ptr() != again.as_ptr()));
        chunks.push(again);
        // Spare chunks are part of the budget too.
        chunks.extend((0..51).filter_map(|_| pool.take(CHUNK_BYTES)));
        assert_eq!((chunks.len(), pool.spare.len()), (100, 0));
        chunks.drain(..).for_each(|chunk| pool.give_back(chunk));
        assert_eq!((pool.taken(), pool.spare.len()), (0, 0));
    }

    #[test]
    fn a_ceiling_takes_from_the_greediest_alone() {
        assert_eq!(ceiling(&mut [10, 900, 20, 400], 1_000), 570);
        assert_eq!(ceiling(&mut [10, 900, 20, 60], 1_000), usize::MAX);
        assert_eq!(ceiling(&mut [500, 500, 500], 900), 300);
        assert_eq!(ceiling(&mut [], 1), usize::MAX);
    }

    #[test]
    fn a_ceiling_keeps_to_the_budget_and_wastes_little_of_it() {
        for seed in 1..200_usize {
            let held: Vec<usize> = (0..seed % 40 + 1).map(|at| seed * 7_919 * (at + 3) % 1_000).collect();
            let budget = seed * 31;
            let ceiling = ceiling(&mut held.clone(), budget);
            let kept: usize = held.iter().map(|&one| one.min(ceiling)).sum();
            let wanted: usize = held.iter().sum();
            assert!(kept <= budget.min(wanted));
            assert!(kept + held.len() >= budget.min(wanted), "{kept} of {budget}");
        }
    }
}
