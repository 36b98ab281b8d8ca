//! A stream as a subscriber got it: put into the order of the sequence numbers, as a jitter buffer does, and compared
//! with what was sent.

use std::collections::BTreeMap;

use super::client::Received;
use super::media::{Part, read_vp8};

/// One video packet in its place.
#[derive(Clone, Debug)]
pub struct Placed {
    pub part: Part,
    pub picture_id: u16,
    pub timestamp: u32,
    pub marker: bool,
}

/// A received video stream by unwrapped sequence number.
pub struct Stream {
    pub packets: BTreeMap<i64, Placed>,
    /// Packets that came again under a sequence number that was already there.
    pub repeated: usize,
}

impl Stream {
    pub fn of(received: &[Received]) -> Stream {
        let mut packets = BTreeMap::new();
        let mut repeated = 0;
        let mut last: Option<i64> = None;
        for packet in received {
            let sequence = unwrap(last, packet.header.sequence_number);
            last = Some(last.map_or(sequence, |last| last.max(sequence)));
            let (part, picture_id) = read_vp8(&packet.payload).expect("the payload is what was sent");
            let placed = Placed {
                part,
                picture_id,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
            };
            repeated += usize::from(packets.insert(sequence, placed).is_some());
        }
        Stream { packets, repeated }
    }

    /// Sequence numbers between the first and the last that never came.
    pub fn missing(&self) -> usize {
        match (self.packets.keys().next(), self.packets.keys().last()) {
            (Some(first), Some(last)) => (last - first + 1) as usize - self.packets.len(),
            _ => 0,
        }
    }

    /// Share of the numbered packets that came.
    pub fn completeness(&self) -> f64 {
        self.packets.len() as f64 / (self.packets.len() + self.missing()).max(1) as f64
    }

    /// Fails unless neighbours in sequence are neighbours in what was sent: next part of the frame or first of the next,
    /// one timestamp and one picture id for a frame, both growing from frame to frame.
    #[track_caller]
    pub fn assert_in_order(&self) {
        let neighbours = self.packets.iter().zip(self.packets.iter().skip(1));
        for ((sequence, a), (next, b)) in neighbours {
            let seen = format!("{sequence}: {a:?}\n{next}: {b:?}");
            if a.part.frame == b.part.frame {
                assert_eq!(
                    b.part.index - a.part.index,
                    (next - sequence) as u8,
                    "parts of one frame\n{seen}"
                );
                assert_eq!(
                    (a.timestamp, a.picture_id),
                    (b.timestamp, b.picture_id),
                    "one frame\n{seen}"
                );
            } else {
                assert!(a.part.frame < b.part.frame, "frames in order\n{seen}");
                let ahead = b.timestamp.wrapping_sub(a.timestamp);
                assert!(ahead > 0 && ahead < u32::MAX / 2, "timestamps grow\n{seen}");
                let ahead = b.picture_id.wrapping_sub(a.picture_id) & 0x7fff;
                assert!(ahead > 0 && ahead < 0x4000, "picture ids grow\n{seen}");
            }
            if next - sequence == 1 && a.part.frame != b.part.frame {
                assert!(
                    a.marker && b.part.index == 0,
                    "a frame ends where the next begins\n{seen}"
                );
            }
            assert_eq!(
                a.marker,
                a.part.index + 1 == a.part.of,
                "the marker ends the frame\n{seen}"
            );
        }
    }

    pub fn first(&self) -> &Placed {
        self.packets.values().next().expect("video came")
    }

    /// Frames of which every packet came.
    pub fn whole_frames(&self) -> usize {
        let mut parts: BTreeMap<u32, (u8, u8)> = BTreeMap::new();
        for placed in self.packets.values() {
            parts.entry(placed.part.frame).or_insert((placed.part.of, 0)).1 += 1;
        }
        parts.values().filter(|(of, came)| of == came).count()
    }
}

/// RFC 3711 §3.3.1's idea: the number nearest to the highest seen.
fn unwrap(last: Option<i64>, sequence: u16) -> i64 {
    let Some(last) = last else { return i64::from(sequence) };
    last + i64::from(sequence.wrapping_sub(last as u16) as i16)
}
