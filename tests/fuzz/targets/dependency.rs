//! Dependency descriptors: a stream of them, as one viewer gets it.

use std::num::NonZeroU32;
use std::time::Duration;

use patchbay::media::codec::Layers;
use patchbay::media::codec::dependency::{Arrival, DESCRIPTOR_BYTES, Frame, GROWTH, Selection, Stream, write};

use super::bytes::Bytes;
use super::{Target, now};

/// A wish with which a stream is taken up anew, at a key frame.
const ANEW: u8 = 0x88;

/// Steps: a wait (with the marker as its highest bit), the wish, then length and bytes of a descriptor.
pub const DEPENDENCY: Target = Target {
    name: "dependency",
    seeds: streams,
    prepare: || Box::new(stream),
};

const RECORDED: [&str; 3] = [
    include_str!("../../fixtures/dependency/av1-l3t3.txt"),
    include_str!("../../fixtures/dependency/av1-s2t1.txt"),
    include_str!("../../fixtures/dependency/vp9-l3t3-key.txt"),
];

fn step(line: &str) -> Vec<u8> {
    let fields: Vec<&str> = line.split(' ').collect();
    let byte = |at: usize| u8::from_str_radix(&fields[2][at..at + 2], 16).unwrap();
    let descriptor: Vec<u8> = (0..fields[2].len()).step_by(2).map(byte).collect();
    let wait = if fields[0] == "1" { 0x80 + 33 } else { 0 };
    [&[wait, 0xff, descriptor.len() as u8], &descriptor[..]].concat()
}

fn streams() -> Vec<Vec<u8>> {
    let beginning = |recorded: &&str| recorded.lines().take(60).flat_map(step).collect();
    let mut streams: Vec<Vec<u8>> = RECORDED.iter().map(beginning).collect();
    // One after another.
    let mut next = streams[2].clone();
    next[1] = ANEW;
    streams.push([&streams[0][..], &next].concat());
    streams
}

/// What became of the newest frames, by number.
struct Fates {
    newest: u16,
    fates: [Option<(u16, bool)>; 256],
}

impl Fates {
    /// Whether the frame with this number was left out.
    fn left_out(&self, number: u16) -> bool {
        self.fates[usize::from(number) % 256] == Some((number, false))
    }

    /// Writes down the first decision about a frame, if it is not a very old one.
    fn decided(&mut self, frame: &Frame, is_late: bool, forwards: bool) {
        let behind = self.newest.wrapping_sub(frame.number);
        let counts_anew = frame.has_structure && !is_late && (behind >= 256 || frame.is_first_packet);
        if behind >= 1 << 15 || counts_anew {
            if behind < 256 || (256..=u16::MAX - 255).contains(&behind) {
                // So far away, numbers are of other frames.
                self.fates = [None; 256];
            }
            self.newest = frame.number;
        } else if behind >= 256 {
            assert!(!forwards, "nobody knows what it depends on");
            return;
        }
        let fate = &mut self.fates[usize::from(frame.number) % 256];
        if fate.is_some_and(|(number, _)| number == frame.number) {
            return;
        }
        *fate = Some((frame.number, forwards));
        if forwards {
            for &distance in frame.dependencies() {
                let needed = frame.number.wrapping_sub(distance);
                assert!(distance >= 256 || !self.left_out(needed), "{frame:?}");
            }
        }
    }
}

fn stream(input: &[u8]) {
    let mut bytes = Bytes(input);
    let (mut stream, mut selection) = (Stream::default(), Selection::default());
    let (mut now, mut timestamp) = (now(), 0_u32);
    // The number of the newest frame in the copy, and whether the stream is taken up anew after it.
    let mut newest_copy: Option<(u16, bool)> = None;
    let mut fates = Fates {
        newest: 0,
        fates: [None; 256],
    };
    while !bytes.is_empty() {
        let (wait, wish) = (bytes.byte(), bytes.byte());
        let descriptor = bytes.piece();
        let Ok(frame) = stream.read(descriptor, wait & 0x40 != 0) else {
            continue;
        };
        let structure = stream.structure().expect("nothing is read without one");
        assert!(structure.targets().count() <= 32);
        let wanted = Layers {
            spatial: wish >> 4,
            temporal: wish & 15,
        };
        if wish == ANEW && frame.has_structure && wait & 0x40 == 0 {
            selection.begin_anew();
            fates = Fates {
                newest: frame.number,
                fates: [None; 256],
            };
            newest_copy = newest_copy.map(|(newest, _)| (newest, true));
        }
        let arrival = Arrival {
            frame: &frame,
            timestamp,
            marker: wait & 0x80 != 0,
            is_late: wait & 0x40 != 0,
        };
        let decision = selection.select(structure, arrival, wanted, now);
        assert_eq!(
            stream.read_again(descriptor),
            Ok(frame),
            "it goes with the newest structure"
        );
        let again = Arrival {
            is_late: true,
            ..arrival
        };
        let again = selection.select(structure, again, wanted, now);
        assert_eq!(decision, again, "a packet that is resent gets the same");
        assert!(decision.forwards || (!decision.ends_picture && decision.active.is_none()));
        if newest_copy.is_none() {
            fates.newest = frame.number;
        }
        fates.decided(&frame, arrival.is_late, decision.forwards);
        if let Some((newest, true)) = newest_copy {
            assert_eq!(decision.number, newest.wrapping_add(1), "numbers go on");
        }
        if frame.number == fates.newest {
            newest_copy = Some((decision.number, false));
        }
        for active in [decision.active, None, NonZeroU32::new(0x5555_5555)] {
            copy(&stream, descriptor, &frame, decision.number, active);
        }
        if wait & 0x80 != 0 {
            timestamp = timestamp.wrapping_add(3_000);
        }
        now += Duration::from_millis(u64::from(wait & 0x7f));
    }
}

/// A descriptor that we write is read as the same, with our number and mask.
fn copy(stream: &Stream, descriptor: &[u8], frame: &Frame, number: u16, active: Option<NonZeroU32>) {
    let mut out = [0xff; DESCRIPTOR_BYTES];
    let Some(len) = write(descriptor, frame, number, active, &mut out) else {
        assert!(descriptor.len() > DESCRIPTOR_BYTES - GROWTH, "there is room");
        return;
    };
    assert!(len <= descriptor.len() + GROWTH);
    assert_eq!(out[1..3], number.to_be_bytes());
    out[1..3].copy_from_slice(&frame.number.to_be_bytes());
    let read = stream
        .clone()
        .read(&out[..len], false)
        .expect("what we write can be read");
    let told = |frame: &Frame| {
        let packet = (frame.number, frame.layers, frame.is_first_packet, frame.is_last_packet);
        (packet, frame.has_structure, frame.indications)
    };
    assert_eq!(told(&read), told(frame));
    assert_eq!(read.dependencies(), frame.dependencies());
    let targets = stream.structure().expect("it was read").targets().count() as u32;
    let expected = active.map_or(frame.active, |active| active.get() & (u32::MAX >> (32 - targets)));
    assert_eq!(read.active, expected);
    let mut again = [0; DESCRIPTOR_BYTES];
    assert_eq!(write(&out[..len], &read, read.number, active, &mut again), Some(len));
    assert_eq!(out[..len], again[..len]);
}
