//! The worker that an ICE user of ours belongs to. All workers share the ports for TCP, so a check has to say where it wants to go.
//! Its user name says it: the first two letters of our ufrag are the worker's index. The rest is random.

use rand::Rng;

use crate::ids::WorkerId;

/// The letters of ICE (RFC 8839 §5.4, `ice-char`): six bits each.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Random letters after those of the worker: 72 bits. RFC 8839 §5.4 asks for 24, but connections are found by it among all of a
/// worker.
const RANDOM_LETTERS: usize = 12;

/// A new ufrag for a connection on this worker.
pub(crate) fn new(worker: WorkerId, random: &mut impl Rng) -> String {
    let letters = [worker.0 >> 6, worker.0].map(|bits| char::from(ALPHABET[bits & 63]));
    letters.into_iter().collect::<String>() + &ice_chars(RANDOM_LETTERS, random)
}

/// The worker of a ufrag. The ufrag may be anybody's: whether the worker knows it, the worker says.
pub fn worker_of(ufrag: &str) -> Option<WorkerId> {
    let value = |letter: u8| ALPHABET.iter().position(|&one| one == letter);
    let &[high, low, ..] = ufrag.as_bytes() else {
        return None;
    };
    Some(WorkerId(value(high)? << 6 | value(low)?))
}

/// Random letters.
pub(crate) fn ice_chars(len: usize, random: &mut impl Rng) -> String {
    let char = |_| char::from(ALPHABET[(random.next_u32() & 63) as usize]);
    (0..len).map(char).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn each_worker_is_found_again_by_its_users() {
        let random = &mut StdRng::seed_from_u64(1);
        for worker in [0, 1, 63, 64, 255, 4_095].map(WorkerId) {
            let (one, other) = (new(worker, random), new(worker, random));
            assert_eq!((worker_of(&one), worker_of(&other)), (Some(worker), Some(worker)));
            assert_ne!(one, other);
            assert_eq!(one.len(), 14);
        }
    }

    #[test]
    fn what_is_no_ufrag_belongs_to_no_worker() {
        for ufrag in ["", "A", "-A", "A-", "é"] {
            assert_eq!(worker_of(ufrag), None, "{ufrag}");
        }
    }
}
