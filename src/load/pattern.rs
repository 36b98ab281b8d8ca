//! The payload of a test packet: a mark with the packet's number and the time when it was sent, then bytes that anybody
//! can compute from the mark. A receiver that finds other bytes knows that the server changed or mixed up something.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | "pbld" |
//! | 4 | the source: one encoding of one published track |
//! | 8 | the packet's number at its source, from 0 |
//! | 8 | the time when it was sent, microseconds on the tester's clock |
//! | rest | a stretch of [`FILLER`] whose beginning depends on source and number |

/// Bytes of a mark.
pub(crate) const MARK_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"pbld";

/// Bytes of the longest stretch in a packet, and the number of places where one may begin.
const STRETCH: usize = 2_048;

/// Bytes without a pattern, the same in every run.
static FILLER: [u8; 2 * STRETCH] = filler();

const fn filler() -> [u8; 2 * STRETCH] {
    let mut bytes = [0; 2 * STRETCH];
    // xorshift32 (Marsaglia, 2003).
    let mut state: u32 = 0x9e37_79b9;
    let mut at = 0;
    while at < bytes.len() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[at] = (state >> 11) as u8;
        at += 1;
    }
    bytes
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub source: u32,
    pub number: u64,
    pub(crate) sent_us: u64,
}

impl Mark {
    /// Fills `out` with the mark and its stretch. If `out` is shorter than a mark, it gets the beginning of one. Bytes
    /// beyond [`STRETCH`] are left as they are.
    pub fn write(&self, out: &mut [u8]) {
        let mut head = [0; MARK_BYTES];
        head[..4].copy_from_slice(&MAGIC);
        head[4..8].copy_from_slice(&self.source.to_be_bytes());
        head[8..16].copy_from_slice(&self.number.to_be_bytes());
        head[16..].copy_from_slice(&self.sent_us.to_be_bytes());
        let marked = out.len().min(MARK_BYTES);
        out[..marked].copy_from_slice(&head[..marked]);
        let rest = &mut out[marked..];
        let len = rest.len().min(STRETCH);
        rest[..len].copy_from_slice(self.stretch(len));
    }

    /// The mark at the beginning of `bytes`, and whether its stretch follows.
    pub fn read(bytes: &[u8]) -> Option<(Mark, bool)> {
        let (head, rest) = bytes.split_first_chunk::<MARK_BYTES>()?;
        if head[..4] != MAGIC {
            return None;
        }
        let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|byte| head[at + byte]));
        let mark = Mark {
            source: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            number: number(8),
            sent_us: number(16),
        };
        let intact = rest.len() <= STRETCH && rest == mark.stretch(rest.len());
        Some((mark, intact))
    }

    fn stretch(&self, len: usize) -> &'static [u8] {
        let begin = (u64::from(self.source) * 389 + self.number * 7) as usize % STRETCH;
        &FILLER[begin..begin + len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        source: 7,
        number: 90_001,
        sent_us: 1_234_567,
    };

    #[test]
    fn a_payload_is_read_back_and_any_changed_byte_is_seen() {
        let mut payload = [0; 300];
        MARK.write(&mut payload);
        assert_eq!(Mark::read(&payload), Some((MARK, true)));
        for at in MARK_BYTES..payload.len() {
            payload[at] ^= 1;
            assert_eq!(Mark::read(&payload), Some((MARK, false)), "byte {at}");
            payload[at] ^= 1;
        }
        payload[0] ^= 1;
        assert_eq!(Mark::read(&payload), None);
    }

    #[test]
    fn another_packet_has_other_bytes() {
        let (mut one, mut other) = ([0; 200], [0; 200]);
        MARK.write(&mut one);
        Mark { number: 90_002, ..MARK }.write(&mut other);
        assert_ne!(one[MARK_BYTES..], other[MARK_BYTES..]);
    }

    #[test]
    fn what_is_shorter_than_a_mark_has_none() {
        let mut payload = [0; 20];
        MARK.write(&mut payload);
        assert_eq!(Mark::read(&payload), None);
        assert_eq!(Mark::read(&[]), None);
    }
}
