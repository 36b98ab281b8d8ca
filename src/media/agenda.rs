//! The times at which many things are to be visited: a timer wheel. While time passes, a thing that is not due costs nothing,
//! except one step each time that the wheel has gone round. Memory is bounded by the number of things that live. Nothing is
//! allocated for a thing that was planned before.

use std::time::{Duration, Instant};

use slotmap::{Key, SecondaryMap};

/// Slots of the wheel, one for each quantum. With quanta of 25 ms that is 25 s, longer than a silent client keeps its consent,
/// so a connection that is merely alive never waits for a second turn of the wheel. A bit for each slot says whether it is
/// filled, and a list begins in each: 8 KiB together.
const SLOTS: usize = 1_024;
/// The list of things that are due now and are about to be visited.
const READY: usize = SLOTS;

pub(crate) struct Agenda<K: Key> {
    epoch: Instant,
    /// Length of a quantum. Times are rounded up to its next multiple: things that are due within one quantum are visited
    /// together, when all of it is past.
    quantum_nanos: u64,
    /// The first thing of each slot's list, and of the ready list; null if the list is empty.
    heads: Box<[K; SLOTS + 1]>,
    /// The slots that are filled, as bits.
    filled: [u64; SLOTS / 64],
    entries: SecondaryMap<K, Entry<K>>,
    /// The first quantum that has not begun.
    next: u64,
}

#[derive(Clone, Copy)]
struct Entry<K> {
    /// The quantum at whose beginning it is due.
    due: u64,
    /// The list in which it stands.
    slot: u16,
    before: K,
    after: K,
}

impl<K: Key> Agenda<K> {
    pub fn new(epoch: Instant, quantum: Duration) -> Agenda<K> {
        Agenda {
            epoch,
            quantum_nanos: nanos(quantum).max(1),
            heads: Box::new([K::null(); SLOTS + 1]),
            filled: [0; SLOTS / 64],
            entries: SecondaryMap::new(),
            next: 0,
        }
    }

    /// Plans `key` for `at`, and for no other time.
    pub fn set(&mut self, key: K, at: Instant) {
        let due = self.rounded_up(at);
        if self.entries.get(key).is_none_or(|entry| entry.due != due) {
            self.remove(key);
            self.link(key, due);
        }
    }

    /// Plans `key` for `at`, unless it is due earlier.
    pub(crate) fn set_earlier(&mut self, key: K, at: Instant) {
        let due = self.rounded_up(at);
        if self.entries.get(key).is_none_or(|entry| entry.due > due) {
            self.remove(key);
            self.link(key, due);
        }
    }

    pub fn remove(&mut self, key: K) {
        let Some(entry) = self.entries.remove(key) else { return };
        if let Some(after) = self.entries.get_mut(entry.after) {
            after.before = entry.before;
        }
        match self.entries.get_mut(entry.before) {
            Some(before) => before.after = entry.after,
            None => {
                let slot = usize::from(entry.slot);
                self.heads[slot] = entry.after;
                if entry.after.is_null() && slot != READY {
                    self.filled[slot / 64] &= !(1 << (slot % 64));
                }
            }
        }
    }

    /// Finds the things that are due; [`Agenda::pop`] returns them. A thing that is planned meanwhile for a time that has come
    /// is due with the next quantum, so that nothing is visited twice.
    pub fn advance(&mut self, now: Instant) {
        let now = nanos(now.saturating_duration_since(self.epoch)) / self.quantum_nanos;
        if now < self.next {
            return;
        }
        // After a long pause, each slot is still read only once.
        let first = self.next.max((now + 1).saturating_sub(SLOTS as u64));
        self.next = now + 1;
        for passed in first..=now {
            let slot = place(passed);
            // A thing that is not due yet is put into a slot again. That may be this slot, so its list is taken off first.
            let mut key = std::mem::replace(&mut self.heads[slot], K::null());
            self.filled[slot / 64] &= !(1 << (slot % 64));
            while let Some(entry) = self.entries.get(key).copied() {
                match entry.due <= now {
                    true => self.put(key, entry.due, READY),
                    false => self.link(key, entry.due),
                }
                key = entry.after;
            }
        }
    }

    /// Returns a thing that was found due. After that it is not planned any more.
    pub fn pop(&mut self) -> Option<K> {
        let key = self.heads[READY];
        self.remove(key);
        (!key.is_null()).then_some(key)
    }

    /// Time at which to advance again: nothing is due earlier. `None` if nothing is planned.
    pub fn next(&self) -> Option<Instant> {
        let begins = place(self.next);
        let words = self.filled.len();
        // The word in which the next quantum stands is read twice: the bits from there on first, the bits before it last.
        let ahead = (0..=words).find_map(|step| {
            let at = (begins / 64 + step) % words;
            let passed = match step {
                0 => u64::MAX << (begins % 64),
                _ => u64::MAX,
            };
            let word = self.filled[at] & passed;
            let slot = at * 64 + word.trailing_zeros() as usize;
            (word != 0).then_some((slot + SLOTS - begins) % SLOTS)
        })?;
        let nanos = (self.next + ahead as u64).saturating_mul(self.quantum_nanos);
        Some(self.epoch + Duration::from_nanos(nanos))
    }

    /// Time at which `key` is due; `None` if it is not planned. Only audits use this.
    #[cfg(debug_assertions)]
    pub(crate) fn due(&self, key: K) -> Option<Instant> {
        let entry = self.entries.get(key)?;
        Some(self.epoch + Duration::from_nanos(entry.due.saturating_mul(self.quantum_nanos)))
    }

    #[cfg(debug_assertions)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn link(&mut self, key: K, due: u64) {
        let stands = due.clamp(self.next, self.next + SLOTS as u64 - 1);
        self.put(key, due, place(stands));
    }

    /// Puts a thing that stands in no list at the beginning of the list of `slot`.
    fn put(&mut self, key: K, due: u64, slot: usize) {
        let after = std::mem::replace(&mut self.heads[slot], key);
        if let Some(after) = self.entries.get_mut(after) {
            after.before = key;
        }
        if slot != READY {
            self.filled[slot / 64] |= 1 << (slot % 64);
        }
        let entry = Entry {
            due,
            slot: slot as u16,
            before: K::null(),
            after,
        };
        self.entries.insert(key, entry);
    }

    /// The first quantum that begins after `at`.
    fn rounded_up(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.epoch)) / self.quantum_nanos + 1
    }
}

fn place(quantum: u64) -> usize {
    (quantum % SLOTS as u64) as usize
}

/// Nanoseconds. Five hundred years of them fit.
fn nanos(time: Duration) -> u64 {
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use slotmap::SlotMap;

    use super::*;
    use crate::media::keys::TransportKey;
    use crate::media::virtual_time::epoch;

    const QUANTUM: u64 = 25;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    fn keys(count: usize) -> Vec<TransportKey> {
        let mut all: SlotMap<TransportKey, ()> = SlotMap::with_key();
        (0..count).map(|_| all.insert(())).collect()
    }

    fn agenda() -> Agenda<TransportKey> {
        Agenda::new(epoch(), Duration::from_millis(QUANTUM))
    }

    fn due(agenda: &mut Agenda<TransportKey>, now: Instant) -> Vec<TransportKey> {
        agenda.advance(now);
        std::iter::from_fn(|| agenda.pop()).collect()
    }

    #[test]
    fn each_is_due_at_its_time_and_once() {
        let (keys, mut agenda) = (keys(3), agenda());
        agenda.set(keys[0], at(99));
        agenda.set(keys[1], at(100));
        agenda.set(keys[2], at(3_599_990));
        assert_eq!(agenda.next(), Some(at(100)));
        assert_eq!(due(&mut agenda, at(99)), []);
        assert_eq!(due(&mut agenda, at(100)), [keys[0]]);
        assert_eq!(agenda.next(), Some(at(125)), "when it is past");
        assert_eq!(due(&mut agenda, at(124)), []);
        assert_eq!(due(&mut agenda, at(130)), [keys[1]]);
        assert_eq!(due(&mut agenda, at(3_599_999)), []);
        assert_eq!(agenda.due(keys[2]), Some(at(3_600_000)));
        assert_eq!(due(&mut agenda, at(3_600_000)), [keys[2]]);
        assert_eq!((agenda.next(), agenda.len()), (None, 0));
    }

    #[test]
    fn one_that_is_moved_is_due_at_its_new_time_alone() {
        let (keys, mut agenda) = (keys(1), agenda());
        agenda.set(keys[0], at(1_000));
        agenda.set_earlier(keys[0], at(2_000));
        agenda.set_earlier(keys[0], at(490));
        assert_eq!(due(&mut agenda, at(500)), [keys[0]]);
        assert_eq!(due(&mut agenda, at(5_000)), []);
        agenda.set(keys[0], at(6_000));
        agenda.set(keys[0], at(7_000));
        assert_eq!(due(&mut agenda, at(6_500)), []);
        agenda.remove(keys[0]);
        assert_eq!((due(&mut agenda, at(8_000)), agenda.len()), (Vec::new(), 0));
    }

    #[test]
    fn whoever_is_due_at_once_again_is_visited_once_in_each_quantum() {
        for pause in [0, 30, 1_000_000] {
            let (keys, mut agenda) = (keys(2), agenda());
            keys.iter().for_each(|&key| agenda.set(key, at(49)));
            let now = at(50 + pause);
            agenda.advance(now);
            let mut seen = 0;
            while let Some(key) = agenda.pop() {
                agenda.set(key, at(49));
                seen += 1;
            }
            assert_eq!(seen, 2, "after {pause} ms");
            assert_eq!(due(&mut agenda, now), []);
            assert_eq!(due(&mut agenda, now + Duration::from_millis(QUANTUM)).len(), 2);
        }
    }

    #[test]
    fn planning_again_allocates_nothing_more() {
        let (keys, mut agenda) = (keys(100), agenda());
        keys.iter().for_each(|&key| agenda.set(key, at(50)));
        let room = agenda.entries.capacity();
        for round in 1..1_000 {
            let found = due(&mut agenda, at(round * 25));
            found.into_iter().for_each(|key| agenda.set(key, at(round * 25 + 40)));
            agenda.remove(keys[round as usize % 100]);
            agenda.set(keys[round as usize % 100], at(round * 25 + 1));
        }
        assert_eq!((agenda.entries.capacity(), agenda.len()), (room, 100));
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_map_does(
            steps in prop::collection::vec((0usize..20, 0u64..60_000, 0u64..40_000, any::<[bool; 2]>()), 1..200),
        ) {
            let (keys, mut agenda) = (keys(20), agenda());
            // The quantum in which each is due.
            let mut model: BTreeMap<usize, u64> = BTreeMap::new();
            let (mut now, mut begun) = (0_u64, None::<u64>);
            for (which, ahead, pass, [removes, moves_forward]) in steps {
                // This includes times that have passed, which count as the next quantum.
                let time = (now + ahead).saturating_sub(5_000);
                let quantum = time / QUANTUM + 1;
                if removes {
                    agenda.remove(keys[which]);
                    model.remove(&which);
                } else if moves_forward {
                    agenda.set_earlier(keys[which], at(time));
                    let planned = model.entry(which).or_insert(quantum);
                    *planned = quantum.min(*planned);
                } else {
                    agenda.set(keys[which], at(time));
                    model.insert(which, quantum);
                }
                let next = agenda.next();
                let earliest = model.values().min().map(|&first| first.max(begun.map_or(0, |begun| begun + 1)));
                prop_assert_eq!(next.is_some(), earliest.is_some());
                prop_assert!(earliest.is_none_or(|first| next.is_some_and(|next| next <= at(first * QUANTUM))));
                // Most steps are small. A few go over more than the whole wheel.
                now += if pass < 38_000 { pass % 400 } else { pass };
                let mut got = due(&mut agenda, at(now));
                let is_new = begun.is_none_or(|begun| begun < now / QUANTUM);
                begun = begun.max(Some(now / QUANTUM));
                let is_due = |due: &u64| is_new && *due <= now / QUANTUM;
                let mut expected: Vec<TransportKey> =
                    model.iter().filter(|(_, due)| is_due(due)).map(|(which, _)| keys[*which]).collect();
                got.sort();
                expected.sort();
                prop_assert_eq!(got, expected);
                model.retain(|_, due| !is_due(due));
                prop_assert_eq!(agenda.len(), model.len());
            }
        }
    }
}
