//! A publisher that sends what Chromium sent once, with payloads that nobody can read, to viewers on two workers.

use patchbay::media::codec::dependency::Stream;
use patchbay::media::rtp::Extension;
use patchbay::media::worker::Datagram;

use super::super::*;
use super::watcher::{DOWN, Watcher};

/// The id of the descriptor at the publisher.
const UP: u8 = 13;
/// Bytes of a packet's payload, by its spatial layer.
pub const BYTES: [usize; 3] = [150, 400, 1_000];
pub const MILLIS: Duration = Duration::from_millis(1);

/// Changes a descriptor.
type Spoil = Box<dyn FnMut(&mut Vec<u8>)>;

/// Packets: the marker, the timestamp, the descriptor.
type Lines = Vec<(bool, u32, Vec<u8>)>;

fn lines(recorded: &str) -> Lines {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let byte = |at: usize| u8::from_str_radix(&fields[2][at..at + 2], 16).unwrap();
        let descriptor = (0..fields[2].len()).step_by(2).map(byte).collect();
        (fields[0] == "1", fields[1].parse().unwrap(), descriptor)
    };
    recorded.lines().map(line).collect()
}

/// A stream that was recorded. It begins again with its key frame when it ends, and when it is asked for one.
pub struct Recording {
    lines: Lines,
    /// What it goes on with at its next key frame, and by how much more its numbers rise there.
    next: Option<Lines>,
    pub skips: u16,
    at: usize,
    /// What is added to numbers and times of this turn, and when it began.
    number: u16,
    timestamp: u32,
    began: Instant,
    wants_key: bool,
    stream: Stream,
    sequence: u64,
    pub bytes: [usize; 3],
    /// Packets of a frame with a structure, and those that are still to be sent of one.
    pub key_packets: usize,
    rest: VecDeque<(u64, Vec<u8>)>,
    /// Changes what is sent.
    pub spoils: Option<Spoil>,
}

impl Recording {
    pub fn new(recorded: &str, number: u16, now: Instant) -> Recording {
        Recording {
            lines: lines(recorded),
            next: None,
            skips: 0,
            at: 0,
            number,
            timestamp: 5_000_000,
            began: now,
            wants_key: false,
            stream: Stream::default(),
            sequence: 65_000,
            bytes: BYTES,
            key_packets: 1,
            rest: VecDeque::new(),
            spoils: None,
        }
    }

    /// Goes on with another recording from its next picture on.
    pub fn turns_to(&mut self, recorded: &str) {
        self.next = Some(lines(recorded));
        self.wants_key = true;
    }

    /// The next packet, if it is due.
    pub fn next(&mut self, now: Instant, ssrc: u32) -> Option<(u64, Vec<u8>)> {
        if let Some(packet) = self.rest.pop_front() {
            return Some(packet);
        }
        let begins_picture = self.at == 0
            || self
                .lines
                .get(self.at)
                .is_none_or(|line| line.1 != self.lines[self.at - 1].1);
        if self.at == self.lines.len() || (begins_picture && self.at > 0 && self.wants_key) {
            let last = &self.lines[self.at - 1];
            let rises = u16::from_be_bytes([last.2[1], last.2[2]]) + std::mem::take(&mut self.skips);
            self.number = self.number.wrapping_add(rises);
            self.timestamp = self.timestamp.wrapping_add(last.1 + 3_000);
            (self.at, self.began) = (0, now);
            self.lines = self.next.take().unwrap_or(std::mem::take(&mut self.lines));
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
        let frame = self.stream.read(&descriptor, false).unwrap();
        if let Some(spoils) = &mut self.spoils {
            spoils(&mut descriptor);
        }
        let packets = if frame.has_structure { self.key_packets } else { 1 };
        let timestamp = self.timestamp.wrapping_add(*timestamp);
        let (marker, len) = (*marker, self.bytes[usize::from(frame.layers.spatial)]);
        for at in 0..packets {
            // All but the number looks like nothing.
            let mut payload = (self.sequence as u32).to_be_bytes().to_vec();
            payload.resize(len, 0xb7);
            let is_last = at + 1 == packets;
            let packet = rtp(
                VIDEO_PT,
                marker && is_last,
                self.sequence as u16,
                timestamp,
                ssrc,
                &payload,
            );
            // The first two bits say whether the packet begins the frame, and whether it ends it.
            let mut part = if at == 0 {
                descriptor.clone()
            } else {
                descriptor[..3].to_vec()
            };
            part[0] = part[0] & 0x3f | u8::from(at == 0) << 7 | u8::from(is_last) << 6;
            let part = if packets == 1 { &descriptor } else { &part };
            self.rest.push_back((self.sequence, with_descriptor(packet, part)));
            self.sequence += 1;
        }
        self.rest.pop_front()
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

pub struct Scene {
    pub now: Instant,
    pub worker: Worker,
    /// Another worker, which mirrors the track for those who live there.
    far: Worker,
    identity: DtlsIdentity,
    codec_of: Codec,
    publisher: Client,
    pub recordings: Vec<Recording>,
    pub viewers: Vec<Watcher>,
    pub requests: usize,
    /// Whether the publisher answers no requests.
    pub is_deaf: bool,
    /// Decides by its number whether a packet reaches the worker: `None` if it does not, else after how many steps.
    pub upstream: Box<dyn FnMut(u64) -> Option<u64>>,
    /// Whether packets that come at once come in one batch, the last of them first.
    pub is_reversed: bool,
    pub packets: u64,
    late: Vec<(u64, usize, u64, Vec<u8>)>,
    steps: u64,
}

impl Scene {
    /// Viewers of recordings, each an encoding of one track. `describes` says which viewers take descriptors.
    pub fn new(codec_of: Codec, recordings: &[(&str, u16)], describes: &[bool]) -> Scene {
        let now = start();
        let identity = DtlsIdentity::generate().unwrap();
        let (mut worker, far) = linked_workers(now, &identity);
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
        let recordings = recordings
            .iter()
            .map(|(recorded, number)| Recording::new(recorded, *number, now));
        let recordings = recordings.collect();
        let mut scene = Scene {
            now,
            worker,
            far,
            identity,
            codec_of,
            publisher,
            recordings,
            viewers: Vec::new(),
            requests: 0,
            is_deaf: false,
            upstream: Box::new(|_| Some(0)),
            is_reversed: false,
            packets: 0,
            late: Vec::new(),
            steps: 0,
        };
        for &describes in describes {
            scene.join(describes, Some(VIDEO_RTX_PT), false);
        }
        scene
    }

    /// Adds a viewer, who may take descriptors, may be sent what is missing by RTX, and may live on the other worker.
    pub fn join(&mut self, describes: bool, rtx: Option<u8>, is_far: bool) {
        let number = 2 + self.viewers.len() as u64;
        let format = codec(VIDEO_PT, rtx, self.codec_of);
        let mut down = section("0", format, false, 0, 0x2_0000 + 16 * number as u32);
        down.number_id = Some(3);
        if describes {
            down.extensions.push((DOWN, Extension::DependencyDescriptor));
        }
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(number, Some(1), vec![down], &self.identity, &own);
        let worker = if is_far { &mut self.far } else { &mut self.worker };
        client.connect(self.now, worker);
        self.viewers.push(Watcher::new(client, is_far));
        self.settle();
    }

    /// Exchanges the workers' messages.
    fn settle(&mut self) {
        let mut sent = Vec::new();
        let workers = [&mut self.worker, &mut self.far];
        settle(self.now, workers, &mut vec![0; 64 * 1024], |worker| {
            drain(worker, &mut sent)
        });
        self.hand_out(sent);
    }

    pub fn path(&mut self, viewer: usize, kbps: u64) {
        let watcher = &self.viewers[viewer];
        let worker = if watcher.is_far {
            &mut self.far
        } else {
            &mut self.worker
        };
        worker.suppose_path(self.now, watcher.client.spec.peer, kbps * 1_000, 5_000_000);
        let mut sent = Vec::new();
        drain(worker, &mut sent);
        self.hand_out(sent);
    }

    pub fn run(&mut self, millis: u64) {
        let until = self.now + MILLIS * millis as u32;
        while self.now < until {
            self.now += STEP;
            self.steps += 1;
            for at in 0..2 {
                let sent = run_until([&mut self.worker, &mut self.far][at], self.now);
                self.hand_out(sent);
            }
            self.settle();
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
            let seal = |(_, _, sequence, packet): (u64, usize, u64, Vec<u8>)| self.publisher.seal(&packet, sequence);
            let mut sealed: Vec<Vec<u8>> = due.into_iter().map(seal).collect();
            if self.is_reversed {
                sealed.reverse();
                self.publish(&sealed);
            } else {
                sealed
                    .iter()
                    .for_each(|packet| self.publish(std::slice::from_ref(packet)));
            }
            (0..self.viewers.len()).for_each(|viewer| self.ask(viewer));
        }
    }

    /// Sends packets that come in one batch.
    fn publish(&mut self, sealed: &[Vec<u8>]) {
        let mut buffer = sealed.concat();
        let mut start = 0;
        let datagrams = sealed.iter().map(|packet| {
            start += packet.len();
            Datagram {
                from: self.publisher.address,
                to: None,
                start: start - packet.len(),
                len: packet.len(),
            }
        });
        let datagrams: Vec<Datagram> = datagrams.collect();
        self.worker.handle_datagrams(self.now, &mut buffer, &datagrams);
        let mut sent = Vec::new();
        forward(self.now, &mut self.worker, &buffer, &mut sent);
        self.hand_out(sent);
        self.settle();
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
        if missing.is_empty() || !self.steps.is_multiple_of(4) || !watcher.asks {
            return;
        }
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, watcher.client.spec.sections[0].local_ssrc, &missing);
        let sealed = watcher.client.seal_rtcp(&compound);
        let address = watcher.client.address;
        let worker = if watcher.is_far {
            &mut self.far
        } else {
            &mut self.worker
        };
        let sent = exchange(self.now, worker, address, &sealed);
        self.hand_out(sent);
        self.settle();
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
