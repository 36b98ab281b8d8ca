//! The numbers of a copy, whatever its sources send and whatever is left out of it.

use std::collections::VecDeque;
use std::time::Duration;

use patchbay::media::codec::vp8;
use patchbay::media::rewrite::{IncomingPacket, Rewriter, Rewritten, SourceId};

use super::bytes::Bytes;
use super::{Run, Target, now};

/// The first number of the copy (2 bytes), then steps of six bytes: kind, source, how far on, time to the next picture, its id (2 bytes).
pub const REWRITER: Target = Target {
    name: "rewriter",
    seeds: copies,
    prepare: || Box::new(copy) as Run,
};

/// Packets whose numbers are checked again: as many as are kept for NACKs.
const REMEMBERED: usize = 512;

/// Sources that are changed between: layers of a track, or publishers.
const SOURCES: usize = 4;

/// Kinds of steps.
const FORWARD: u8 = 0;
const LATE: u8 = 1;
const LEAVE_OUT: u8 = 2;
const LEAVE_OUT_PICTURE: u8 = 3;
const PAUSE: u8 = 4;
const JUMP: u8 = 5;
const KINDS: usize = 6;

/// A source as its packets tell it.
#[derive(Clone, Copy)]
struct Source {
    sequence: u64,
    timestamp: u32,
}

struct Copy {
    rewriter: Rewriter,
    sent: VecDeque<Sent>,
}

/// A packet that was sent under `numbers`.
struct Sent {
    source: SourceId,
    sequence: u64,
    timestamp: u32,
    vp8: Option<vp8::Descriptor>,
    numbers: Rewritten,
    is_empty: bool,
}

fn step(kind: u8, source: u8, on: u8, picture: u8, id: u16) -> [u8; 6] {
    let [high, low] = id.to_be_bytes();
    [kind, source, on, picture, high, low]
}

fn copies() -> Vec<Vec<u8>> {
    // Every second picture of two packets is left out, and a packet of it comes late.
    let mut half = vec![0, 7];
    // Two layers take turns; packets are missing at each change.
    let mut turns = vec![0x7f, 0xff];
    for id in 0..40_u16 {
        let kind = if id % 2 == 0 { FORWARD } else { LEAVE_OUT_PICTURE };
        half.extend(step(kind, 0, 1, 1, id));
        half.extend(step(kind, 0, 1, 0, id));
        half.extend(step(LATE, 0, 3, 0, id));
        turns.extend(step(FORWARD, (id / 8) as u8, 1 + (id % 3) as u8, 1, id * 5));
        turns.extend(step(LEAVE_OUT, (id / 8) as u8, 1, 0, id));
    }
    let mut ends = vec![0, 0];
    for kind in [PAUSE, JUMP, FORWARD, LEAVE_OUT, LATE, FORWARD] {
        ends.extend(step(FORWARD, 1, 1, 1, 0x7fff));
        ends.extend(step(kind, 1, 255, 255, 0x7ffe));
    }
    vec![half, turns, ends]
}

fn descriptor(id: u16) -> Option<vp8::Descriptor> {
    let [high, low] = id.to_be_bytes();
    // X, S; I, L, T, K; a picture id of 15 bits, the base layer's number, and the layer. The last id has no descriptor at all.
    let payload = [0x90, 0xf0, high | 0x80, low, low, (low & 3) << 6, 0];
    (id != u16::MAX).then(|| vp8::parse(&payload)).flatten()
}

fn copy(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut now = now();
    let mut copy = Copy {
        rewriter: Rewriter::new(90_000, bytes.number()),
        sent: VecDeque::new(),
    };
    let mut sources = [Source {
        sequence: 1 << 20,
        timestamp: 0,
    }; SOURCES];
    while !bytes.is_empty() {
        let (kind, index) = (bytes.below(KINDS) as u8, bytes.below(SOURCES));
        let (on, picture) = (bytes.byte(), bytes.byte());
        let vp8 = descriptor(bytes.number());
        now += Duration::from_millis(u64::from(picture));
        let source = &mut sources[index];
        let late = source.sequence - u64::from(on) % 64;
        if kind != LATE {
            source.sequence += if kind == JUMP {
                u64::from(on) << 12
            } else {
                u64::from(on % 8)
            };
            source.timestamp = source.timestamp.wrapping_add(3_000 * u32::from(picture));
        }
        let packet = IncomingPacket {
            source: SourceId(index as u64 + 1),
            sequence: if kind == LATE { late } else { source.sequence },
            timestamp: source.timestamp,
            origin: (picture % 5 == 1).then(|| source.timestamp.wrapping_mul(7)),
            vp8: vp8.as_ref(),
        };
        // Packets that come twice do not come this far.
        if copy.sent.iter().any(|sent| sent.is(&packet)) {
            continue;
        }
        match kind {
            PAUSE => copy.rewriter.pause(),
            LEAVE_OUT => {
                let numbers = copy.rewriter.leave_out(&packet);
                copy.is_sent(&packet, numbers, true);
            }
            // What is left of a picture whose number is another one's is left out, too.
            _ if kind == LEAVE_OUT_PICTURE || copy.rewriter.has_left_out(packet.timestamp, 0) => {
                let numbers = copy.rewriter.leave_out_picture(&packet);
                copy.is_sent(&packet, numbers, true);
            }
            _ => {
                let numbers = copy.rewriter.forward(now, &packet);
                copy.is_sent(&packet, numbers, false);
            }
        }
        copy.holds();
    }
}

impl Sent {
    fn is(&self, packet: &IncomingPacket<'_>) -> bool {
        self.source == packet.source && self.sequence == packet.sequence
    }
}

impl Copy {
    fn is_sent(&mut self, packet: &IncomingPacket<'_>, numbers: Option<Rewritten>, is_empty: bool) {
        let Some(numbers) = numbers else { return };
        let mut others = self.sent.iter();
        let is_taken = others.any(|sent| sent.numbers.sequence == numbers.sequence);
        assert!(!is_taken, "number {} for two packets", numbers.sequence);
        self.sent.push_back(Sent {
            source: packet.source,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            vp8: packet.vp8.cloned(),
            numbers,
            is_empty,
        });
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    /// A NACK for a number that is not too old finds the packet that was sent under it, or nothing; and the packet has the same
    /// numbers again.
    fn holds(&self) {
        let newest = self.rewriter.highest_sequence();
        for sent in self.sent.iter().rev().take(8) {
            if newest - sent.numbers.sequence > REMEMBERED as u64 {
                continue;
            }
            let Some(origin) = self.rewriter.origin(sent.numbers.sequence as u16) else {
                continue;
            };
            assert_eq!((origin.source, origin.sequence), (sent.source, sent.sequence));
            assert_eq!(self.rewriter.is_empty(&origin), sent.is_empty);
            let again = self.rewriter.again(&origin, sent.timestamp, sent.vp8.as_ref());
            assert_eq!(again, Some(sent.numbers));
        }
    }
}
