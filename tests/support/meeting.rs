//! A meeting at one worker, as the group call families hold it: each participant publishes camera and sound over one connection,
//! and watches each of the others over one more.

use std::time::{Duration, Instant};

use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::session::MediaSection;
use patchbay::media::worker::{Datagram, Worker};

use super::media_client::{AUDIO_PT, Client, VIDEO_PT, VIDEO_RTX_PT, codec, rtp, section, vp8, worker};

const VIDEO_SSRC: u32 = 0x1000;
const AUDIO_SSRC: u32 = 0x2000;
/// The packets of one camera of 1.5 Mb/s: so many a second, of so many bytes each.
const VIDEO_PACKETS: u64 = 150;
const VIDEO_BYTES: usize = 1_250;
/// The packets of Opus at 40 kb/s, 20 ms each.
const AUDIO_PACKETS: u64 = 50;
const AUDIO_BYTES: usize = 112;

pub struct Meeting {
    pub worker: Worker,
    identity: DtlsIdentity,
    now: Instant,
    publishers: Vec<Client>,
    watchers: Vec<Client>,
    sent: u64,
}

fn sections(publishes: bool, local_ssrc: u32) -> Vec<MediaSection> {
    let sound = codec(AUDIO_PT, None, Codec::Opus);
    let picture = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
    vec![
        section("0", sound, publishes, AUDIO_SSRC, local_ssrc),
        section("1", picture, publishes, VIDEO_SSRC, local_ssrc + 4),
    ]
}

impl Meeting {
    /// A worker in whose room there is nobody yet.
    pub fn new(now: Instant) -> Meeting {
        let (worker, identity) = worker(now);
        Meeting {
            worker,
            identity,
            now,
            publishers: Vec::new(),
            watchers: Vec::new(),
            sent: 0,
        }
    }

    /// So many people come, and all connections are made.
    pub fn gather(&mut self, participants: u64) {
        let server = &self.identity;
        let own = DtlsIdentity::generate().expect("a certificate can be made");
        for number in 1..=participants {
            let mut client = Client::new(number, None, sections(true, 16 * number as u32), server, &own);
            client.connect(self.now, &mut self.worker);
            self.publishers.push(client);
        }
        for watcher in 1..=participants {
            for source in (1..=participants).filter(|&source| source != watcher) {
                let number = 100 * watcher + source;
                let sections = sections(false, 0x10_0000 + 16 * number as u32);
                let mut client = Client::new(number, Some(source), sections, server, &own);
                client.connect(self.now, &mut self.worker);
                self.watchers.push(client);
            }
        }
    }

    /// Everybody sends for so long. Returns how many copies were made.
    pub fn send(&mut self, time: Duration) -> u64 {
        let before = self.worker.stats().forwarded_packets;
        let video_every = Duration::from_secs(1) / VIDEO_PACKETS as u32;
        for _ in 0..time.as_nanos() / video_every.as_nanos() {
            self.now += video_every;
            let at = self.sent;
            self.sent += 1;
            for from in 0..self.publishers.len() {
                let payload = vp8(at == 0, at as u16 & 0x7fff, VIDEO_BYTES - 12);
                let timestamp = (at * 90_000 / VIDEO_PACKETS) as u32;
                let packet = rtp(VIDEO_PT, true, at as u16, timestamp, VIDEO_SSRC, &payload);
                self.deliver(from, &packet, at);
                let sounds = VIDEO_PACKETS / AUDIO_PACKETS;
                if at.is_multiple_of(sounds) {
                    let (at, payload) = (at / sounds, [7; AUDIO_BYTES - 12]);
                    let packet = rtp(AUDIO_PT, false, at as u16, (at * 960) as u32, AUDIO_SSRC, &payload);
                    self.deliver(from, &packet, at);
                }
            }
            while self.worker.poll_timeout().is_some_and(|due| due <= self.now) {
                self.worker.handle_timeout(self.now);
                self.worker.egress().clear();
            }
        }
        self.worker.stats().forwarded_packets - before
    }

    fn deliver(&mut self, from: usize, packet: &[u8], index: u64) {
        let client = &self.publishers[from];
        let sealed = client.seal(packet, index);
        let mut buffer = [0; 2_048];
        buffer[..sealed.len()].copy_from_slice(&sealed);
        let datagram = Datagram {
            from: client.address,
            to: None,
            start: 0,
            len: sealed.len(),
        };
        self.worker.handle_datagrams(self.now, &mut buffer, &[datagram]);
        while !self.worker.forward(self.now, &buffer) {
            self.worker.egress().clear();
        }
        self.worker.egress().clear();
    }

    /// Removes the clients' side, without a goodbye.
    pub fn forget_clients(&mut self) {
        self.publishers = Vec::new();
        self.watchers = Vec::new();
    }
}
