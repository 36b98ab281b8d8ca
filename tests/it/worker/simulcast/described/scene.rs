//! A publisher that sends what Chromium sent once, with payloads that nobody can read, and viewers whose decoders take what a receiver
//! of dependency descriptors takes: frames whose dependencies it has, with numbers that rise.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::media::codec::dependency::{Frame, Stream};
use patchbay::media::rtp::Extension;

use super::super::*;

/// The id of the descriptor at the publisher, and at a viewer.
const UP: u8 = 13;
const DOWN: u8 = 9;
/// Bytes of a packet's payload, by its spatial layer.
pub const BYTES: [usize; 3] = [150, 400, 1_000];
pub const MILLIS: Duration = Duration::from_millis(1);

/// Changes a descriptor.
type Spoil = Box<dyn FnMut(&mut Vec<u8>)>;

/// A stream that was recorded. It begins again with its key frame when it ends, and when it is asked for one.
pub struct Recording {
    lines: Vec<(bool, u32, Vec<u8>)>,
    at: usize,
    /// What is added to numbers and times of this turn, and when it began.
    number: u16,
    timestamp: u32,
    began: Instant,
    wants_key: bool,
    stream: Stream,
    sequence: u64,
    pub bytes: [usize; 3],
    /// Changes what is sent.
    pub spoils: Option<Spoil>,
}

impl Recording {
    pub fn new(recorded: &str, number: u16, now: Instant) -> Recording {
        let line = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let byte = |at: usize| u8::from_str_radix(&fields[2][at..at + 2], 16).unwrap();
            let descriptor = (0..fields[2].len()).step_by(2).map(byte).collect();
            (fields[0] == "1", fields[1].parse().unwrap(), descriptor)
        };
        Recording {
            lines: recorded.lines().map(line).collect(),
            at: 0,
            number,
            timestamp: 5_000_000,
            began: now,
            wants_key: false,
            stream: Stream::default(),
            sequence: 65_000,
            bytes: BYTES,
            spoils: None,
        }
    }

    /// The next packet, if it is due.
    pub fn next(&mut self, now: Instant, ssrc: u32) -> Option<(u64, Vec<u8>)> {
        let begins_picture = self.at == 0
            || self
                .lines
                .get(self.at)
                .is_none_or(|line| line.1 != self.lines[self.at - 1].1);
        if self.at == self.lines.len() || (begins_picture && self.at > 0 && self.wants_key) {
            let last = &self.lines[self.at - 1];
            self.number = self.number.wrapping_add(u16::from_be_bytes([last.2[1], last.2[2]]));
            self.timestamp = self.timestamp.wrapping_add(last.1 + 3_000);
            (self.at, self.began) = (0, now);
        }
        let (marker, timestamp, descriptor) = &self.lines[self.at];
        if now < self.began + Duration::from_secs(1) * *timestamp / 90_000 {
            return None;
        }
        self.wants_key &= self.at > 0;
        self.at += 1;
        let mut descriptor = descriptor.clone();
        let number = u16::from_be_bytes([descriptor[1], descriptor[2]]).wrapping_add(self.number);
        descriptor[1..3].copy_from_slice(&number.to_be_bytes());
        let frame = self.stream.read(&descriptor).unwrap();
        if let Some(spoils) = &mut self.spoils {
            spoils(&mut descriptor);
        }
        // All but the number looks like nothing.
        let mut payload = (self.sequence as u32).to_be_bytes().to_vec();
        payload.resize(self.bytes[usize::from(frame.layers.spatial)], 0xb7);
        let timestamp = self.timestamp.wrapping_add(*timestamp);
        let packet = rtp(VIDEO_PT, *marker, self.sequence as u16, timestamp, ssrc, &payload);
        let sequence = self.sequence;
        self.sequence += 1;
        Some((sequence, with_descriptor(packet, &descriptor)))
    }
}

/// Adds an extension block after the fixed header.
fn with_descriptor(mut packet: Vec<u8>, descriptor: &[u8]) -> Vec<u8> {
    let len = descriptor.len() as u8;
    let (profile, head) = match len {
        1..=16 => ([0xbe, 0xde], vec![UP << 4 | (len - 1)]),
        _ => ([0x10, 0], vec![UP, len]),
    };
    let mut block = [&head[..], descriptor].concat();
    block.resize(block.len().next_multiple_of(4), 0);
    let words = (block.len() as u16 / 4).to_be_bytes();
    packet[0] |= 0x10;
    packet.splice(12..12, [&profile[..], &words, &block].concat());
    packet
}

/// A packet that a viewer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    pub at: Instant,
    timestamp: u32,
    marker: bool,
    pub payload: Vec<u8>,
    pub descriptor: Option<Vec<u8>>,
}

/// A picture that a viewer's decoder shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub at: Instant,
    pub spatial: u8,
    pub temporal: u8,
    pub active: u32,
}

pub struct Watcher {
    client: Client,
    pub got: BTreeMap<u64, Got>,
    newest: u64,
    /// Of so many packets one is lost on its way; what it said, and how often one came again.
    pub loses_one_in: u64,
    sent: u64,
    lost: BTreeMap<u16, Got>,
    pub repaired: usize,
}

impl Watcher {
    pub fn take(&mut self, now: Instant, datagram: &[u8]) {
        let Some(packet) = self.client.take(now, datagram) else {
            return;
        };
        let Some(header) = Header::parse(&packet) else { return };
        let section = &self.client.spec.sections[0];
        let payload = &packet[header.payload(&packet).unwrap()];
        let descriptor = header
            .elements(&packet)
            .find(|(id, _)| *id == DOWN)
            .map(|(_, value)| value.to_vec());
        let is_rtx = header.ssrc == section.local_rtx_ssrc;
        if (header.ssrc != section.local_ssrc && !is_rtx) || (is_rtx && payload.len() < 2) {
            return;
        }
        let (sequence, payload) = match is_rtx {
            true => (u16::from_be_bytes([payload[0], payload[1]]), &payload[2..]),
            false => (header.sequence, payload),
        };
        let got = Got {
            at: now,
            timestamp: header.timestamp,
            marker: header.marker,
            payload: payload.to_vec(),
            descriptor,
        };
        if is_rtx {
            let at = now;
            if let Some(lost) = self.lost.remove(&sequence) {
                assert_eq!(Got { at, ..lost }, got, "sent again, it is the same");
                self.repaired += 1;
            }
        } else {
            self.sent += 1;
            if self.loses_one_in > 0 && self.sent.is_multiple_of(self.loses_one_in) {
                self.lost.insert(sequence, got);
                return;
            }
        }
        let extended = match self.newest {
            0 => 65_536 + u64::from(sequence),
            newest => newest.wrapping_add_signed(i64::from(sequence.wrapping_sub(newest as u16) as i16)),
        };
        self.newest = self.newest.max(extended);
        self.got.insert(extended, got);
    }

    /// The pictures that a decoder shows of the packets, in their order. Checks that none is missing, and that each frame can be
    /// decoded.
    pub fn shown(&self) -> Vec<Shown> {
        let (first, last) = (self.got.keys().next().unwrap(), self.got.keys().last().unwrap());
        let missing: Vec<u64> = (*first..=*last).filter(|at| !self.got.contains_key(at)).collect();
        assert!(missing.is_empty(), "{missing:?} between {first} and {last}");
        let (mut stream, mut decoded) = (Stream::default(), BTreeSet::new());
        let mut newest: Option<i64> = None;
        let (mut shown, mut unit): (Vec<Shown>, Vec<(u32, Frame)>) = (Vec::new(), Vec::new());
        for got in self.got.values().filter(|got| !got.payload.is_empty()) {
            let descriptor = got.descriptor.as_deref().expect("each packet with a payload has one");
            let frame = stream.read(descriptor).expect("it can be read");
            let last = newest.unwrap_or(i64::from(frame.number));
            let number = last + i64::from(frame.number.wrapping_sub(last as u16) as i16);
            assert!(
                !frame.has_structure || newest.is_none_or(|newest| number > newest),
                "a key frame that is old"
            );
            newest = Some(last.max(number));
            let needed = |&distance: &u16| decoded.contains(&(number - i64::from(distance)));
            assert!(frame.dependencies().iter().all(needed), "{number} cannot be decoded");
            decoded.insert(number);
            assert!(
                unit.last().is_none_or(|(timestamp, _)| *timestamp == got.timestamp),
                "a picture without an end"
            );
            unit.push((got.timestamp, frame));
            if got.marker {
                let top = unit.iter().map(|(_, frame)| frame.layers.spatial).max().unwrap();
                let (at, temporal, active) = (got.at, frame.layers.temporal, frame.active);
                shown.push(Shown {
                    at,
                    spatial: top,
                    temporal,
                    active,
                });
                assert!(frame.is_last_packet && frame.layers.spatial == top);
                unit.clear();
            }
        }
        shown
    }

    pub fn since(&self, since: Instant) -> Vec<Shown> {
        self.shown().into_iter().filter(|shown| shown.at > since).collect()
    }

    /// Kilobits per second between two times.
    pub fn kbps(&self, since: Instant, now: Instant) -> u64 {
        let got = self.got.values().filter(|got| got.at > since && got.at <= now);
        let bytes: usize = got.map(|got| got.payload.len() + 40).sum();
        bytes as u64 * 8 / (now - since).as_millis() as u64
    }
}

pub struct Scene {
    pub now: Instant,
    pub worker: Worker,
    publisher: Client,
    pub recordings: Vec<Recording>,
    pub viewers: Vec<Watcher>,
    pub requests: usize,
    /// Whether the publisher answers no requests.
    pub is_deaf: bool,
    /// Decides by its number whether a packet reaches the worker: `None` if it does not, else after how many steps.
    pub upstream: Box<dyn FnMut(u64) -> Option<u64>>,
    pub packets: u64,
    late: Vec<(u64, usize, u64, Vec<u8>)>,
    steps: u64,
}

impl Scene {
    /// Viewers of recordings, each an encoding of one track. `describes` says which viewers take descriptors.
    pub fn new(codec_of: Codec, recordings: &[(&str, u16)], describes: &[bool]) -> Scene {
        let now = start();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().unwrap();
        let format = codec(VIDEO_PT, Some(VIDEO_RTX_PT), codec_of);
        let mut up = section("0", format, true, ssrc_of(0), 0x9000);
        let announced = |layer| RemoteSsrc {
            ssrc: ssrc_of(layer),
            rtx: Some(ssrc_of(layer) + 1),
        };
        up.remote_ssrcs = (0..recordings.len()).map(announced).collect();
        up.extensions.push((UP, Extension::DependencyDescriptor));
        // What is missing stays away, and nobody but its viewers notices.
        up.codecs[0].feedback.nack = false;
        let mut publisher = Client::new(1, None, vec![up], &identity, &own);
        publisher.connect(now, &mut worker);
        let viewers = (2..).zip(describes).map(|(number, describes)| {
            let mut down = section("0", format, false, 0, 0x2_0000 + 16 * number as u32);
            down.number_id = Some(3);
            if *describes {
                down.extensions.push((DOWN, Extension::DependencyDescriptor));
            }
            let mut client = Client::new(number, Some(1), vec![down], &identity, &own);
            client.connect(now, &mut worker);
            Watcher {
                client,
                got: BTreeMap::new(),
                newest: 0,
                loses_one_in: 0,
                sent: 0,
                lost: BTreeMap::new(),
                repaired: 0,
            }
        });
        let viewers = viewers.collect();
        let recordings = recordings
            .iter()
            .map(|(recorded, number)| Recording::new(recorded, *number, now));
        Scene {
            now,
            worker,
            publisher,
            recordings: recordings.collect(),
            viewers,
            requests: 0,
            is_deaf: false,
            upstream: Box::new(|_| Some(0)),
            packets: 0,
            late: Vec::new(),
            steps: 0,
        }
    }

    pub fn path(&mut self, viewer: usize, kbps: u64) {
        let peer = self.viewers[viewer].client.spec.peer;
        self.worker.suppose_path(self.now, peer, kbps * 1_000, 5_000_000);
        let mut sent = Vec::new();
        drain(&mut self.worker, &mut sent);
        self.hand_out(sent);
    }

    pub fn run(&mut self, millis: u64) {
        let until = self.now + MILLIS * millis as u32;
        while self.now < until {
            self.now += STEP;
            self.steps += 1;
            let sent = run_until(&mut self.worker, self.now);
            self.hand_out(sent);
            for layer in 0..self.recordings.len() {
                while let Some((sequence, packet)) = self.recordings[layer].next(self.now, ssrc_of(layer)) {
                    self.packets += 1;
                    if let Some(late) = (self.upstream)(self.packets) {
                        self.late.push((self.steps + late, layer, sequence, packet));
                    }
                }
            }
            let steps = self.steps;
            let (due, late): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late)
                .into_iter()
                .partition(|(at, ..)| *at <= steps);
            self.late = late;
            for (_, _, sequence, packet) in due {
                let sealed = self.publisher.seal(&packet, sequence);
                let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
                self.hand_out(sent);
            }
            (0..self.viewers.len()).for_each(|viewer| self.ask(viewer));
        }
    }

    /// Lets a viewer ask for what it misses.
    pub fn ask(&mut self, viewer: usize) {
        let watcher = &mut self.viewers[viewer];
        let newest = watcher.newest;
        let recent = newest
            .saturating_sub(40)
            .max(watcher.got.keys().next().copied().unwrap_or(newest));
        let missing = (recent..newest).filter(|at| !watcher.got.contains_key(at));
        let missing: Vec<u16> = missing.map(|at| at as u16).collect();
        if missing.is_empty() || !self.steps.is_multiple_of(4) {
            return;
        }
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, watcher.client.spec.sections[0].local_ssrc, &missing);
        let sealed = watcher.client.seal_rtcp(&compound);
        let address = watcher.client.address;
        let sent = exchange(self.now, &mut self.worker, address, &sealed);
        self.hand_out(sent);
    }

    pub fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) {
        for (to, datagram) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(self.now, &datagram).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::Pli { media_ssrc } = packet {
                        let of = (0..self.recordings.len()).find(|&layer| ssrc_of(layer) == media_ssrc);
                        self.recordings[of.unwrap()].wants_key = !self.is_deaf;
                        self.requests += 1;
                    }
                }
            } else if let Some(watcher) = self.viewers.iter_mut().find(|watcher| watcher.client.address == to) {
                watcher.take(self.now, &datagram);
            }
        }
    }
}
