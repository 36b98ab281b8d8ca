//! A publisher of three layers and sound, and viewers behind paths, with the engine's worker between them, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::session::RemoteSsrc;
use patchbay::media::worker::Worker;

use super::camera::{Camera, LAYERS, RATE, ssrc_of};
use super::watcher::{NUMBER, Watcher};
use crate::worker::media_client::*;
use crate::worker::wide::Sent;

pub const STEP: Duration = Duration::from_millis(1);
pub const SOUND_SSRC: u32 = 0x3000;
/// Bytes of a packet of sound: 48 kb/s.
pub const SOUND_BYTES: usize = 120;
pub const SOUND_MILLIS: u64 = 20;

pub struct Scene {
    pub now: Instant,
    began: Instant,
    pub worker: Worker,
    identity: DtlsIdentity,
    publisher: Client,
    pub camera: Camera,
    sounds: u64,
    pub watchers: Vec<Watcher>,
}

impl Scene {
    pub fn new(seed: u64, viewers: u64) -> Scene {
        // Virtual time begins here; nothing looks at a clock after this.
        #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
        let now = Instant::now();
        let (mut worker, identity) = worker(now);
        let mut video = section("0", vp8(), true, ssrc_of(0), 0x9000);
        video.remote_ssrcs = (0..LAYERS)
            .map(|layer| RemoteSsrc {
                ssrc: ssrc_of(layer),
                rtx: Some(ssrc_of(layer) + 1),
            })
            .collect();
        let sound = section("1", opus(), true, SOUND_SSRC, 0x9100);
        let own = DtlsIdentity::generate().unwrap();
        let mut publisher = Client::new(1, None, vec![video, sound], &identity, &own);
        publisher.connect(now, &mut worker);
        let mut scene = Scene {
            now,
            began: now,
            worker,
            identity,
            publisher,
            camera: Camera::new(seed),
            sounds: 0,
            watchers: Vec::new(),
        };
        (0..viewers).for_each(|viewer| scene.join(seed * 100 + viewer));
        events(&mut scene.worker);
        scene
    }

    fn join(&mut self, seed: u64) {
        let number = 2 + self.watchers.len() as u32;
        let mut video = section("0", vp8(), false, 0, 0x2_0000 + 16 * number);
        let mut sound = section("1", opus(), false, 0, 0x3_0000 + 16 * number);
        (video.number_id, sound.number_id) = (Some(NUMBER), Some(NUMBER));
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(u64::from(number), Some(1), vec![video, sound], &self.identity, &own);
        client.connect(self.now, &mut self.worker);
        self.watchers.push(Watcher::new(self.now, client, seed));
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    fn step(&mut self) {
        let until = self.now + STEP;
        for (due, sent) in sent_until(&mut self.worker, until) {
            self.hand_out(due.max(self.now), sent);
        }
        self.now = until;
        let millis = (self.now - self.began).as_millis() as u64;
        if millis.is_multiple_of(1_000 / RATE) {
            for (packet, index) in self.camera.take(millis) {
                self.publish(&packet, index);
            }
        }
        if millis.is_multiple_of(SOUND_MILLIS) {
            self.speak(millis);
        }
        if millis % 1_000 == 500 {
            for layer in 0..LAYERS {
                let sealed = self.publisher.seal_rtcp(&Camera::report(layer, millis));
                self.exchange(self.publisher.address, &sealed);
            }
        }
        for at in 0..self.watchers.len() {
            self.watchers[at].compounds.clear();
            for datagram in self.watchers[at].step(self.now) {
                self.exchange(self.watchers[at].client.address, &datagram);
            }
        }
    }

    fn speak(&mut self, millis: u64) {
        self.sounds += 1;
        let (sequence, timestamp) = (self.sounds as u16, millis as u32 * 48);
        let packet = rtp(AUDIO_PT, false, sequence, timestamp, SOUND_SSRC, &[7; SOUND_BYTES]);
        self.publish(&packet, self.sounds);
        for watcher in &mut self.watchers {
            // Somebody else's sound comes over a connection of its own.
            watcher.path.send(self.now, vec![0; SOUND_BYTES + 30]);
        }
    }

    fn publish(&mut self, packet: &[u8], index: u64) {
        let sealed = self.publisher.seal(packet, index);
        self.exchange(self.publisher.address, &sealed);
    }

    fn exchange(&mut self, from: SocketAddr, datagram: &[u8]) {
        let sent = exchange(self.now, &mut self.worker, from, datagram);
        self.hand_out(self.now, sent);
    }

    fn hand_out(&mut self, now: Instant, sent: Sent) {
        for (to, bytes) in sent {
            if to == self.publisher.address {
                let compound = self.publisher.take(now, &bytes).unwrap_or_default();
                for packet in rtcp::packets(&compound) {
                    if let rtcp::Packet::Pli { media_ssrc } = packet {
                        self.camera.request_key(media_ssrc);
                    }
                }
            } else if let Some(watcher) = self.watchers.iter_mut().find(|one| one.client.address == to) {
                watcher.path.send(now, bytes);
            }
        }
    }
}

/// Lets a worker do what is due by then. Returns what it sends, with the time of each.
pub fn sent_until(worker: &mut Worker, until: Instant) -> Vec<(Instant, Sent)> {
    let mut all = Vec::new();
    while let Some(due) = worker.poll_timeout().filter(|&due| due <= until) {
        worker.handle_timeout(due);
        let mut sent = Vec::new();
        drain(worker, &mut sent);
        all.push((due, sent));
    }
    all
}

pub fn vp8() -> patchbay::media::session::NegotiatedCodec {
    codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8)
}

pub fn opus() -> patchbay::media::session::NegotiatedCodec {
    let mut opus = codec(AUDIO_PT, None, Codec::Opus);
    opus.feedback.nack = false;
    opus
}
