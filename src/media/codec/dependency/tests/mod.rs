//! Descriptors that Chromium sent (`tests/fixtures/dependency/`), read, written, and chosen from.

mod lossy;
mod reading;
mod selecting;
mod writing;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::super::mark::Layers;
use super::*;
use crate::media::virtual_time;

/// A packet, as far as a selection is concerned.
#[derive(Clone, Debug)]
struct Packet {
    marker: bool,
    timestamp: u32,
    descriptor: Vec<u8>,
}

impl Packet {
    fn number(&self) -> u16 {
        u16::from_be_bytes([self.descriptor[1], self.descriptor[2]])
    }
}

const AV1_L1T3: &str = include_str!("../../../../../tests/fixtures/dependency/av1-l1t3.txt");
const AV1_L3T3: &str = include_str!("../../../../../tests/fixtures/dependency/av1-l3t3.txt");
const AV1_L3T3_KEY: &str = include_str!("../../../../../tests/fixtures/dependency/av1-l3t3-key.txt");
const AV1_L2T2_KEY_SHIFT: &str = include_str!("../../../../../tests/fixtures/dependency/av1-l2t2-key-shift.txt");
const AV1_S2T1: &str = include_str!("../../../../../tests/fixtures/dependency/av1-s2t1.txt");
const VP9_L3T3: &str = include_str!("../../../../../tests/fixtures/dependency/vp9-l3t3.txt");
const VP9_L3T3_KEY: &str = include_str!("../../../../../tests/fixtures/dependency/vp9-l3t3-key.txt");
const VP8_L1T3: &str = include_str!("../../../../../tests/fixtures/dependency/vp8-l1t3.txt");
const H264_L1T3: &str = include_str!("../../../../../tests/fixtures/dependency/h264-l1t3.txt");

const ALL: [&str; 9] = [
    AV1_L1T3,
    AV1_L3T3,
    AV1_L3T3_KEY,
    AV1_L2T2_KEY_SHIFT,
    AV1_S2T1,
    VP9_L3T3,
    VP9_L3T3_KEY,
    VP8_L1T3,
    H264_L1T3,
];

fn packets(fixture: &str) -> Vec<Packet> {
    let packet = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let byte = |at: usize| u8::from_str_radix(&fields[2][at..at + 2], 16).unwrap();
        Packet {
            marker: fields[0] == "1",
            timestamp: fields[1].parse().unwrap(),
            descriptor: (0..fields[2].len()).step_by(2).map(byte).collect(),
        }
    };
    fixture.lines().map(packet).collect()
}

/// The recorded stream several times over, with numbers and timestamps that go on: each turn begins with a key frame.
fn turns(fixture: &str, turns: u16) -> Vec<Packet> {
    let recorded = packets(fixture);
    let frames = recorded.last().unwrap().number();
    let lasts = recorded.last().unwrap().timestamp + 3_000;
    let turn = |turn: u16| {
        let mut packets = recorded.clone();
        for packet in &mut packets {
            packet.timestamp += u32::from(turn) * lasts;
            let number = packet.number().wrapping_add(turn * frames).to_be_bytes();
            packet.descriptor[1..3].copy_from_slice(&number);
        }
        packets
    };
    (0..turns).flat_map(turn).collect()
}

fn layers(spatial: u8, temporal: u8) -> Layers {
    Layers { spatial, temporal }
}

/// One packet with a frame of its own of an L3T3 stream, which tells active targets, distances to what it depends on, and those of
/// its chains.
fn made(template: u32, number: u16, active: u32, dependencies: &[u16], chains: [u16; 3]) -> Vec<u8> {
    let mut bytes = [0; 32];
    let mut bits = bits::BitWriter::new(&mut bytes);
    let mut write = |value, bits_of_it| bits.number(value, bits_of_it).unwrap();
    write(0b11 << 6 | template, 8);
    write(u32::from(number), 16);
    write(0b01011, 5);
    write(active, 9);
    for distance in dependencies {
        write(0b11, 2);
        write(u32::from(distance - 1), 12);
    }
    write(0, 2);
    chains.iter().for_each(|&distance| write(u32::from(distance), 8));
    let len = bits.len();
    bytes[..len].to_vec()
}

/// What becomes of a packet, and of its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    forwards: bool,
    ends_picture: bool,
    number: u16,
    active: Option<NonZeroU32>,
    needs_key_frame: bool,
    sent: Option<Layers>,
}

/// One stream, and one subscriber of it.
struct Viewer {
    stream: Stream,
    selection: Selection,
    wanted: Layers,
    began: Instant,
    /// How much later than its timestamp says a packet comes, and whether it comes after newer ones.
    late: Duration,
    is_late: bool,
}

impl Viewer {
    fn new(wanted: Layers) -> Viewer {
        Viewer {
            stream: Stream::default(),
            selection: Selection::default(),
            wanted,
            began: virtual_time::epoch(),
            late: Duration::ZERO,
            is_late: false,
        }
    }

    fn receive(&mut self, packet: &Packet) -> (Frame, Outcome) {
        let frame = self.stream.read(&packet.descriptor, self.is_late).unwrap();
        let now = self.began + Duration::from_secs(1) * packet.timestamp / 90_000 + self.late;
        let arrival = Arrival {
            frame: &frame,
            timestamp: packet.timestamp,
            marker: packet.marker,
            is_late: self.is_late,
        };
        let structure = self.stream.structure().unwrap();
        let decision = self.selection.select(structure, arrival, self.wanted, now);
        let outcome = Outcome {
            forwards: decision.forwards,
            ends_picture: decision.ends_picture,
            number: decision.number,
            active: decision.active,
            needs_key_frame: self.selection.needs_key_frame(structure, self.wanted),
            sent: self.selection.sent(structure),
        };
        (frame, outcome)
    }

    /// The distance from the newest frame back to the newest one of these layers.
    fn back_to(results: &[(Frame, Outcome)], layers: Layers) -> u16 {
        let newest = results.iter().rfind(|(frame, _)| frame.layers == layers).unwrap();
        results.last().unwrap().0.number - newest.0.number
    }

    fn receive_all(&mut self, packets: &[Packet]) -> Vec<(Frame, Outcome)> {
        packets.iter().map(|packet| self.receive(packet)).collect()
    }
}
