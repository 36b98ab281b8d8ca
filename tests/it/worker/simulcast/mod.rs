//! A publisher of three layers, which sends key frames when it is asked for them, and viewers that check what a decoder would show.

mod allocation;
mod codecs;
mod described;
mod kept;
mod replay;
mod spatial;
mod steering;
mod switching;
mod telling;
mod temporal;
mod viewer;
mod vp9;
mod wants;

use std::collections::VecDeque;

use patchbay::ids::Features;
use patchbay::media::session::RemoteSsrc;

pub use self::viewer::{Fate, Viewer};
use super::*;

/// Time of one step of a scene. A picture is taken each third step.
pub const STEP: Duration = Duration::from_millis(11);

/// Bytes of a layer's pictures, so that the layers take some 150, 500 and 2,000 kb/s.
const PICTURE_BYTES: [usize; 3] = [600, 2_000, 8_200];
const HEIGHTS: [u16; 3] = [180, 360, 720];
const PACKET_BYTES: usize = 1_100;

fn ssrc_of(layer: usize) -> u32 {
    0x1000 + 0x10 * layer as u32
}

/// A place in the pattern of three temporal layers that browsers send: the layer, whether the picture depends on the lowest layer
/// alone, the frames that it depends on and those in whose place it comes, as bits of [`Encoder::held`].
const PATTERN: [(u8, bool, u8, u8); 8] = [
    (0, false, 1, 1),
    (2, true, 1, 4),
    (1, true, 1, 2),
    (2, false, 7, 4),
    (0, false, 1, 1),
    (2, false, 7, 4),
    (1, false, 3, 2),
    (2, false, 7, 0),
];

/// No frame.
const NO_FRAME: u32 = u32::MAX;

/// One layer at its sender.
struct Encoder {
    sequence: u64,
    /// What is added to the time of a picture: each layer has a clock of its own.
    clock: u32,
    picture: u16,
    frame: u32,
    /// Number of the newest picture of the lowest temporal layer, and of the newest key frame.
    tl0: u8,
    key_index: u8,
    /// Place in the pattern of temporal layers.
    turn: usize,
    /// Frames that the decoder holds as last, golden and alternative.
    held: [u32; 3],
    wants_key: bool,
    /// Pictures that take as many bytes as a key frame.
    key_pictures: usize,
    is_on: bool,
    /// Steps from a picture until its packets are sent.
    lag: u64,
}

impl Encoder {
    /// Goes on to the next picture. Returns the byte of its temporal layer and key index, and the frames that it depends on.
    fn encode(&mut self, is_key: bool, is_temporal: bool) -> (u8, [u32; 3]) {
        if is_key {
            self.turn = 0;
            self.key_index = (self.key_index + 1) & 0x1f;
        }
        let turn = if is_temporal { self.turn } else { 0 };
        self.turn = (self.turn + 1) % PATTERN.len();
        let (temporal, is_open, needs, replaces) = PATTERN[turn];
        self.tl0 = self.tl0.wrapping_add(u8::from(temporal == 0));
        let needed = std::array::from_fn(|at| match !is_key && needs & 1 << at != 0 {
            true => self.held[at],
            false => NO_FRAME,
        });
        for (at, held) in self.held.iter_mut().enumerate() {
            if is_key || replaces & 1 << at != 0 {
                *held = self.frame;
            }
        }
        (temporal << 6 | u8::from(is_open) << 5 | self.key_index, needed)
    }
}

/// A room with one publisher of three layers.
pub struct Studio {
    pub now: Instant,
    began: Instant,
    pub worker: Worker,
    identity: DtlsIdentity,
    publisher: Client,
    layers: [Encoder; 3],
    /// Packets that are on their way to the worker, by the step in which they come.
    outbox: VecDeque<(u64, Vec<u8>, u64)>,
    pub viewers: Vec<Viewer>,
    pub steps: u64,
    pub sends_reports: bool,
    /// Whether its layers have temporal layers.
    pub is_temporal: bool,
    /// Whether its packets tell where these can be begun.
    pub tells_openings: bool,
    /// Steps by which a packet comes late to the worker, by its number among all.
    pub upstream: Box<dyn FnMut(u64) -> u64>,
    packets: u64,
    /// Requests for key frames so far.
    pub requests: usize,
    /// Rates that the publisher was told to keep to, in kb/s.
    pub estimates: Vec<(Instant, u64)>,
}

impl Studio {
    pub fn new(viewers: u64) -> Studio {
        let now = start();
        let (mut worker, identity) = worker(now);
        let mut section = video(true, 0x9000);
        section.remote_ssrcs = (0..3)
            .map(|layer| RemoteSsrc {
                ssrc: ssrc_of(layer),
                rtx: Some(ssrc_of(layer) + 1),
            })
            .collect();
        section.codecs[0].feedback.remb = true;
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, vec![section], &identity, &own);
        publisher.connect(now, &mut worker);
        let layer = |at: u64| Encoder {
            sequence: [100, 30_000, 65_000][at as usize],
            clock: [7_000_000, 0xffff_0000, 900][at as usize],
            picture: [5, 0x7ff0, 300][at as usize],
            frame: 0,
            tl0: [250, 7, 0][at as usize],
            key_index: [30, 0, 9][at as usize],
            turn: 0,
            held: [NO_FRAME; 3],
            wants_key: true,
            key_pictures: 2,
            is_on: true,
            lag: 0,
        };
        let mut studio = Studio {
            now,
            began: now,
            worker,
            identity,
            publisher,
            layers: [layer(0), layer(1), layer(2)],
            outbox: VecDeque::new(),
            viewers: Vec::new(),
            steps: 0,
            sends_reports: true,
            is_temporal: false,
            tells_openings: true,
            upstream: Box::new(|_| 0),
            packets: 0,
            requests: 0,
            estimates: Vec::new(),
        };
        for _ in 0..viewers {
            studio.join();
        }
        events(&mut studio.worker);
        studio
    }

    pub fn join(&mut self) -> usize {
        self.join_as(Features::NONE)
    }

    /// Lets a viewer come whose client understands this.
    pub fn join_as(&mut self, understands: Features) -> usize {
        self.join_telling(understands, |section| section.number_id = Some(3))
    }

    /// Lets a viewer come whose client tells of what comes in the way that `change` makes of a section without any.
    pub fn join_telling(&mut self, understands: Features, change: fn(&mut MediaSection)) -> usize {
        let number = 2 + self.viewers.len() as u64;
        let mut section = video(false, 0x2_0000 + 16 * number as u32);
        change(&mut section);
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(number, Some(1), vec![section], &self.identity, &own);
        client.spec.understands = understands;
        client.connect(self.now, &mut self.worker);
        self.viewers.push(Viewer::new(client));
        self.viewers.len() - 1
    }

    pub fn leave(&mut self, viewer: usize) {
        let peer = self.viewers[viewer].client.spec.peer;
        self.worker.handle_command(self.now, MediaCommand::Close(peer));
    }

    /// Lets a viewer's path carry so many kb/s from now on, and have proven so many.
    pub fn path(&mut self, viewer: usize, target: u64, proven: u64) {
        let peer = self.viewers[viewer].client.spec.peer;
        self.worker.suppose_path(self.now, peer, target * 1_000, proven * 1_000);
        let mut sent = Vec::new();
        drain(&mut self.worker, &mut sent);
        self.hand_out(sent);
    }

    pub fn switch(&mut self, layer: usize, on: bool) {
        self.layers[layer].is_on = on;
        self.layers[layer].wants_key = true;
    }

    pub fn lag(&mut self, layer: usize, steps: u64) {
        self.layers[layer].lag = steps;
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        self.steps += 1;
        let sent = run_until(&mut self.worker, self.now);
        self.hand_out(sent);
        if self.steps.is_multiple_of(3) {
            (0..3).for_each(|layer| self.take_picture(layer));
        }
        if self.sends_reports && self.steps % 90 == 5 {
            (0..3).for_each(|layer| self.report(layer));
        }
        let due = |packet: &(u64, Vec<u8>, u64)| packet.0 <= self.steps;
        let mut coming: Vec<_> = self.outbox.iter().filter(|packet| due(packet)).cloned().collect();
        self.outbox.retain(|packet| packet.0 > self.steps);
        coming.sort_by_key(|packet| packet.0);
        for (_, packet, index) in coming {
            let sealed = self.publisher.seal(&packet, index);
            let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
            self.hand_out(sent);
        }
        for at in 0..self.viewers.len() {
            for request in self.viewers[at].receive(self.now, self.steps) {
                let address = self.viewers[at].client.address;
                let sent = exchange(self.now, &mut self.worker, address, &request);
                self.hand_out(sent);
            }
        }
    }

    /// Milliseconds since the scene began: the time of a picture.
    fn millis(&self) -> u64 {
        (self.now - self.began).as_millis() as u64
    }

    fn take_picture(&mut self, at: usize) {
        let millis = self.millis();
        let is_temporal = self.is_temporal;
        let layer = &mut self.layers[at];
        if !layer.is_on {
            return;
        }
        let is_key = std::mem::take(&mut layer.wants_key);
        let (mut mark, needed) = layer.encode(is_key, is_temporal);
        if !self.tells_openings {
            mark &= !0x20;
        }
        let timestamp = layer.clock.wrapping_add(millis as u32 * 90);
        let bytes = PICTURE_BYTES[at] * if is_key { layer.key_pictures } else { 1 };
        let parts = bytes.div_ceil(PACKET_BYTES);
        for part in 0..parts {
            let first = if part == 0 { 0x90 } else { 0x80 };
            let mut payload = vec![first, if is_temporal { 0xf0 } else { 0x80 }];
            payload.extend_from_slice(&(0x8000 | layer.picture).to_be_bytes());
            if is_temporal {
                payload.extend_from_slice(&[layer.tl0, mark]);
            }
            let [low, high] = HEIGHTS[at].to_le_bytes();
            let head = [u8::from(!is_key), 0, 0, 0x9d, 1, 0x2a, 0, 1, low, high];
            payload.extend_from_slice(&head);
            payload.extend_from_slice(&[at as u8, u8::from(is_key), part as u8, parts as u8]);
            payload.extend_from_slice(&layer.frame.to_be_bytes());
            payload.extend_from_slice(&(millis as u32).to_be_bytes());
            payload.extend(needed.into_iter().flat_map(u32::to_be_bytes));
            payload.resize(bytes / parts, at as u8);
            let index = layer.sequence;
            layer.sequence += 1;
            let packet = rtp(
                VIDEO_PT,
                part + 1 == parts,
                index as u16,
                timestamp,
                ssrc_of(at),
                &payload,
            );
            self.packets += 1;
            let lag = layer.lag + (self.upstream)(self.packets);
            self.outbox.push_back((self.steps + lag, packet, index));
        }
        layer.frame += 1;
        layer.picture = (layer.picture + 1) & 0x7fff;
    }

    /// Sends a layer's sender report: by the same wall clock for all layers.
    fn report(&mut self, at: usize) {
        let millis = self.millis();
        let compound = sender_report(
            ssrc_of(at),
            (5_000 << 32) + (millis << 32) / 1_000,
            self.layers[at].clock.wrapping_add(millis as u32 * 90),
        );
        let sealed = self.publisher.seal_rtcp(&compound);
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        self.hand_out(sent);
    }

    fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) {
        for (to, bytes) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(self.now, &bytes).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::ReceiverEstimate { bits_per_second } = packet {
                        self.estimates.push((self.now, bits_per_second / 1_000));
                    }
                    if let rtcp::Packet::Pli { media_ssrc } = packet
                        && let Some(layer) = (0..3).find(|&layer| ssrc_of(layer) == media_ssrc)
                    {
                        self.layers[layer].wants_key = true;
                        self.requests += 1;
                    }
                }
            } else if let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.client.address == to) {
                viewer.arrive(self.now, self.steps, &bytes);
            }
        }
    }
}
