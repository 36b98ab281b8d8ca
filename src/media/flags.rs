//! Flags by which a worker finds the links in which something has come. Whoever holds the other end of a link raises the link's
//! flag; the worker looks at the links whose flags are up, and at no others. Players make many links, and the work of a turn must
//! not grow with their number. Nothing here locks or waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Links that a worker can have: one for each connection that it may have, because each player's link is the connection of a
/// participant, and some for other workers and recorders.
pub const LINKS_MAX: usize = 4 * 64 * 64;

/// All flags of one worker, in two levels: a bit of `rows` says that a flag may be up in that row of 64.
#[derive(Debug)]
pub(crate) struct Flags {
    rows: [AtomicU64; LINKS_MAX / 64 / 64],
    flags: Box<[AtomicU64]>,
}

impl Default for Flags {
    fn default() -> Flags {
        Flags {
            rows: Default::default(),
            flags: (0..LINKS_MAX / 64).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Flags {
    /// Raises a flag. What is to be found in the link must be there before. A place that does not exist has no flag.
    pub fn raise(&self, place: usize) {
        let Some(flags) = self.flags.get(place / 64) else {
            return;
        };
        let row = place / 64;
        // First the flag, then its row: whoever finds the row finds the flag. `lower` takes them down in the other order.
        flags.fetch_or(1 << (place % 64), Ordering::SeqCst);
        self.rows[row / 64].fetch_or(1 << (row % 64), Ordering::SeqCst);
    }

    /// Whether a flag may be up.
    pub fn is_any_up(&self) -> bool {
        self.rows.iter().any(|rows| rows.load(Ordering::SeqCst) != 0)
    }

    /// Takes one flag down, and returns its place. Look into its link after that.
    pub fn lower(&self) -> Option<usize> {
        for (at, rows) in self.rows.iter().enumerate() {
            loop {
                let up = rows.load(Ordering::SeqCst);
                if up == 0 {
                    break;
                }
                let row = at * 64 + up.trailing_zeros() as usize;
                rows.fetch_and(!(1 << (row % 64)), Ordering::SeqCst);
                let flags = &self.flags[row];
                let up = flags.load(Ordering::SeqCst);
                if up == 0 {
                    continue;
                }
                let place = up.trailing_zeros() as usize;
                let left = flags.fetch_and(!(1 << place), Ordering::SeqCst) & !(1 << place);
                if left != 0 {
                    rows.fetch_or(1 << (row % 64), Ordering::SeqCst);
                }
                return Some(row * 64 + place);
            }
        }
        None
    }
}

/// The flag of one link.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    flags: Arc<Flags>,
    place: usize,
}

impl Flag {
    pub fn new(flags: &Arc<Flags>, place: usize) -> Flag {
        let flags = Arc::clone(flags);
        Flag { flags, place }
    }

    pub fn raise(&self) {
        self.flags.raise(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(flags: &Flags) -> Vec<usize> {
        std::iter::from_fn(|| flags.lower()).collect()
    }

    #[test]
    fn each_flag_that_was_raised_is_found_once() {
        let flags = Flags::default();
        assert_eq!((flags.is_any_up(), flags.lower()), (false, None));
        let places = [0, 1, 63, 64, 4_095, 4_096, LINKS_MAX - 1];
        for place in places.into_iter().rev() {
            flags.raise(place);
            flags.raise(place);
        }
        assert!(flags.is_any_up());
        assert_eq!(lowered(&flags), places);
        assert!(!flags.is_any_up());
        flags.raise(64);
        assert_eq!(lowered(&flags), [64]);
        flags.raise(LINKS_MAX);
        assert_eq!(flags.lower(), None, "there is no such flag");
    }

    #[test]
    fn no_flag_is_lost_between_threads() {
        const TIMES: usize = 20_000;
        let flags = Arc::new(Flags::default());
        let put = Arc::new([0, 5, 70, 4_100].map(|place| (place, AtomicU64::new(0))));
        let threads: Vec<_> = (0..put.len())
            .map(|at| {
                let (flags, put) = (Arc::clone(&flags), Arc::clone(&put));
                std::thread::spawn(move || {
                    for _ in 0..TIMES {
                        put[at].1.fetch_add(1, Ordering::Release);
                        flags.raise(put[at].0);
                    }
                })
            })
            .collect();
        let mut taken = 0;
        let mut is_last = false;
        while !is_last {
            // Whatever is put by now is found in the round that follows.
            is_last = threads.iter().all(std::thread::JoinHandle::is_finished);
            while let Some(place) = flags.lower() {
                let (_, put) = put.iter().find(|(of, _)| *of == place).expect("one of these");
                taken += put.swap(0, Ordering::Acquire);
            }
        }
        assert_eq!(taken, (put.len() * TIMES) as u64);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
