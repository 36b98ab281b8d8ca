//! A publisher of three layers, which sends key frames when it is asked for them, and viewers that check what a decoder would show.

mod allocation;
mod replay;
mod switching;
mod viewer;

use std::collections::VecDeque;

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

/// One layer at its sender.
struct Encoder {
    sequence: u64,
    /// What is added to the time of a picture: each layer has a clock of its own.
    clock: u32,
    picture: u16,
    frame: u32,
    wants_key: bool,
    /// Pictures that take as many bytes as a key frame.
    key_pictures: usize,
    is_on: bool,
    /// Steps from a picture until its packets are sent.
    lag: u64,
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
    /// Requests for key frames so far.
    pub requests: usize,
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
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, vec![section], &identity, &own);
        publisher.connect(now, &mut worker);
        let layer = |at: u64| Encoder {
            sequence: [100, 30_000, 65_000][at as usize],
            clock: [7_000_000, 0xffff_0000, 900][at as usize],
            picture: [5, 0x7ff0, 300][at as usize],
            frame: 0,
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
            requests: 0,
        };
        for _ in 0..viewers {
            studio.join();
        }
        events(&mut studio.worker);
        studio
    }

    pub fn join(&mut self) -> usize {
        let number = 2 + self.viewers.len() as u64;
        let mut section = video(false, 0x2_0000 + 16 * number as u32);
        section.number_id = Some(3);
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(number, Some(1), vec![section], &self.identity, &own);
        client.connect(self.now, &mut self.worker);
        self.viewers.push(Viewer::new(client));
        self.viewers.len() - 1
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
        let layer = &mut self.layers[at];
        if !layer.is_on {
            return;
        }
        let is_key = std::mem::take(&mut layer.wants_key);
        let timestamp = layer.clock.wrapping_add(millis as u32 * 90);
        let bytes = PICTURE_BYTES[at] * if is_key { layer.key_pictures } else { 1 };
        let parts = bytes.div_ceil(PACKET_BYTES);
        for part in 0..parts {
            let first = part == 0;
            let mut payload = vec![if first { 0x90 } else { 0x80 }, 0x80];
            payload.extend_from_slice(&(0x8000 | layer.picture).to_be_bytes());
            let [low, high] = HEIGHTS[at].to_le_bytes();
            let head = [u8::from(!is_key), 0, 0, 0x9d, 1, 0x2a, 0, 1, low, high];
            payload.extend_from_slice(&head);
            payload.extend_from_slice(&[at as u8, u8::from(is_key), part as u8, parts as u8]);
            payload.extend_from_slice(&layer.frame.to_be_bytes());
            payload.extend_from_slice(&(millis as u32).to_be_bytes());
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
            self.outbox.push_back((self.steps + layer.lag, packet, index));
        }
        layer.frame += 1;
        layer.picture = (layer.picture + 1) & 0x7fff;
    }

    /// Sends a layer's sender report: by the same wall clock for all layers.
    fn report(&mut self, at: usize) {
        let millis = self.millis();
        let info = rtcp::SenderInfo {
            ssrc: ssrc_of(at),
            ntp: (5_000 << 32) + (millis << 32) / 1_000,
            rtp: self.layers[at].clock.wrapping_add(millis as u32 * 90),
            packets: 1,
            octets: 1,
        };
        let mut compound = Vec::new();
        rtcp::write_sender_report(&mut compound, &info, "publisher");
        let sealed = self.publisher.seal_rtcp(&compound);
        let sent = exchange(self.now, &mut self.worker, self.publisher.address, &sealed);
        self.hand_out(sent);
    }

    fn hand_out(&mut self, sent: Vec<(std::net::SocketAddr, Vec<u8>)>) {
        for (to, bytes) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(self.now, &bytes).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
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
