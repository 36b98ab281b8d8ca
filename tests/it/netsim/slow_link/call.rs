//! A call between two, each with one encoding. The way to one of them becomes slow: the other one's sender is steered down to it, by
//! estimates (REMB), and up again. The pictures in the other direction stay as they are.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::worker::Worker;

use super::camera::{Camera, RATE, ssrc_of};
use super::path::{FREE, Shape};
use super::scene::{SOUND_BYTES, SOUND_MILLIS, SOUND_SSRC, STEP, opus, vp8};
use super::watcher::{NUMBER, Watcher};
use super::{BEGINNING, SEEDS};
use crate::worker::media_client::*;

/// What each camera takes at most, in kb/s.
const MOST: u64 = 1_500;
/// The way to the callee, while it is slow.
const SLOW: u64 = 700;
const PHASE: Duration = Duration::from_secs(12);
/// The last part of a phase, in which it shows what is sent.
const END: Duration = Duration::from_secs(2);

const CALLER: usize = 0;
const CALLEE: usize = 1;

struct Side {
    watcher: Watcher,
    camera: Camera,
    sounds: u64,
    /// The rates that its camera had, one for each picture.
    rates: Vec<(Instant, u64)>,
}

struct Call {
    now: Instant,
    began: Instant,
    worker: Worker,
    sides: [Side; 2],
    kinds: std::collections::BTreeMap<(u32, bool), usize>,
}

impl Call {
    fn new(seed: u64) -> Call {
        // Virtual time begins here; nothing looks at a clock after this.
        #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
        let now = Instant::now();
        let (mut worker, identity) = worker(now);
        let sides = [(1, 2), (2, 1)].map(|(number, other)| {
            let local = 0x2_0000 + 0x100 * number as u32;
            let mut video = section("0", vp8(), true, ssrc_of(0), local);
            let mut sound = section("1", opus(), true, SOUND_SSRC, local + 0x10);
            video.codecs[0].feedback.remb = true;
            for section in [&mut video, &mut sound] {
                section.number_id = Some(NUMBER);
                section.down = Some(down(other, section.kind));
            }
            let own = DtlsIdentity::generate().unwrap();
            let mut client = Client::new(number, Some(other), vec![video, sound], &identity, &own);
            client.connect(now, &mut worker);
            let seed = seed * 100 + number;
            Side {
                watcher: Watcher::new(now, client, seed),
                camera: Camera::single(seed, MOST),
                sounds: 0,
                rates: Vec::new(),
            }
        });
        events(&mut worker);
        Call {
            now,
            began: now,
            worker,
            sides,
            kinds: Default::default(),
        }
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.step();
        }
    }

    fn step(&mut self) {
        let until = self.now + STEP;
        while let Some(due) = self.worker.poll_timeout().filter(|&due| due <= until) {
            self.worker.handle_timeout(due);
            let mut sent = Vec::new();
            drain(&mut self.worker, &mut sent);
            self.hand_out(due.max(self.now), sent);
        }
        self.now = until;
        for at in [CALLER, CALLEE] {
            self.publish(at);
            for datagram in self.sides[at].watcher.step(self.now) {
                self.exchange(self.sides[at].watcher.client.address, &datagram);
            }
            self.obey(at);
        }
    }

    /// Sends what one side takes and reports now.
    fn publish(&mut self, at: usize) {
        let millis = (self.now - self.began).as_millis() as u64;
        let side = &mut self.sides[at];
        let mut packets = Vec::new();
        if millis.is_multiple_of(1_000 / RATE) {
            packets = side.camera.take(millis);
            side.rates.push((self.now, side.camera.kbps()));
        }
        if millis.is_multiple_of(SOUND_MILLIS) {
            side.sounds += 1;
            let (sequence, timestamp) = (side.sounds as u16, millis as u32 * 48);
            let packet = rtp(AUDIO_PT, false, sequence, timestamp, SOUND_SSRC, &[7; SOUND_BYTES]);
            packets.push((packet, side.sounds));
        }
        let client = &mut side.watcher.client;
        let address = client.address;
        let mut sealed: Vec<Vec<u8>> = packets
            .iter()
            .map(|(packet, index)| client.seal(packet, *index))
            .collect();
        if millis % 1_000 == 500 {
            sealed.push(client.seal_rtcp(&Camera::report(0, millis)));
        }
        for datagram in sealed {
            self.exchange(address, &datagram);
        }
    }

    /// Does what the server asks of one side.
    fn obey(&mut self, at: usize) {
        let side = &mut self.sides[at];
        for compound in std::mem::take(&mut side.watcher.compounds) {
            for packet in rtcp::packets(&compound) {
                match packet {
                    rtcp::Packet::Pli { media_ssrc } => side.camera.request_key(media_ssrc),
                    rtcp::Packet::ReceiverEstimate { bits_per_second } => {
                        // Browsers give the sound its part first.
                        let sound = (SOUND_BYTES as u64 + 12) * 8 / SOUND_MILLIS;
                        side.camera.allow((bits_per_second / 1_000).saturating_sub(sound));
                    }
                    _ => {}
                }
            }
        }
    }

    fn exchange(&mut self, from: SocketAddr, datagram: &[u8]) {
        let sent = exchange(self.now, &mut self.worker, from, datagram);
        self.hand_out(self.now, sent);
    }

    fn hand_out(&mut self, now: Instant, sent: Vec<(SocketAddr, Vec<u8>)>) {
        for (to, bytes) in sent {
            let mut sides = self.sides.iter_mut();
            if let Some(side) = sides.find(|side| side.watcher.client.address == to) {
                if side.watcher.client.spec.participant.0 == 2 {
                    let is_rtcp = matches!(bytes[1], 192..=223);
                    let ssrc = if is_rtcp {
                        0
                    } else {
                        u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
                    };
                    *self.kinds.entry((ssrc, bytes[0] & 0x10 != 0)).or_default() += 1;
                }
                side.watcher.path.send(now, bytes);
            }
        }
    }

    /// Changes the way to the callee, and lets a phase pass.
    fn phase(&mut self, shape: Shape) -> Seen {
        let since = self.now;
        self.sides[CALLEE].watcher.path.shape = shape;
        self.run(PHASE);
        let side = |at: usize| {
            let Side { watcher, rates, .. } = &self.sides[at];
            let last: Vec<u64> = rates
                .iter()
                .filter(|(at, _)| *at + END > self.now)
                .map(|(_, kbps)| *kbps)
                .collect();
            let pictures = watcher.pictures(since);
            (
                watcher.frozen(since, self.now),
                last.iter().sum::<u64>() / last.len() as u64,
                pictures,
            )
        };
        let reaches = |wanted: &dyn Fn(u64) -> bool| {
            let rates = self.sides[CALLER].rates.iter().filter(|(at, _)| *at > since);
            rates.clone().find(|(_, kbps)| wanted(*kbps)).map(|(at, _)| *at - since)
        };
        let (frozen, other_kbps, pictures) = side(CALLEE);
        let (other_frozen, kbps, other_pictures) = side(CALLER);
        Seen {
            frozen,
            pictures,
            kbps,
            falls: reaches(&|kbps| kbps < SLOW),
            rises: reaches(&|kbps| kbps == MOST),
            other: (other_frozen, other_kbps, other_pictures),
        }
    }
}

/// What the callee saw in one phase.
#[derive(Debug)]
struct Seen {
    frozen: Duration,
    pictures: usize,
    /// What the caller's camera takes at the end, in kb/s.
    kbps: u64,
    /// Time after which it takes less than the slow link carries, and all that it can.
    falls: Option<Duration>,
    rises: Option<Duration>,
    /// What the caller saw meanwhile, and at which rate: the freezes, the kb/s, the pictures.
    other: (Duration, u64, usize),
}

#[test]
#[ignore = "prints"]
fn traced() {
    let slow = Shape { kbps: SLOW, ..FREE };
    let mut call = Call::new(std::env::var("S").unwrap().parse().unwrap());
    call.run(BEGINNING);
    call.sides[CALLEE].watcher.path.shape = slow;
    for _ in 0..60 {
        call.run(Duration::from_millis(200));
        let stats = call.worker.stats();
        let kinds = std::mem::take(&mut call.kinds);
        let watcher = &call.sides[CALLEE].watcher;
        println!(
            "   kinds {kinds:?} feedbacks {} next_told {} newest {} probes {}/{}/{}",
            watcher.feedbacks, watcher.next_told, watcher.newest_number, stats.probe_packets, stats.probes_won, 0
        );
        println!(
            "{:?} camera {} other {} target {:?} queue {:?} paused {} full {} reduced {} est {:?} dropped {} pictures {} plis {} replays {} paced {} resent {} requests {}",
            call.now - call.began,
            call.sides[CALLER].camera.kbps(),
            call.sides[CALLEE].camera.kbps(),
            stats.target_bps,
            0,
            stats.paused_videos,
            stats.full_videos,
            stats.reduced_videos,
            0,
            watcher.path.dropped,
            watcher.shown.len(),
            0,
            stats.replays,
            stats.paced_packets,
            stats.resent_packets,
            stats.key_frame_requests_sent,
        );
    }
}

#[test]
fn a_caller_is_steered_down_to_a_slow_link_and_up_again_and_the_other_direction_goes_on() {
    let slow = Shape { kbps: SLOW, ..FREE };
    for seed in SEEDS {
        let mut call = Call::new(seed);
        call.run(BEGINNING);
        assert_eq!(call.sides[CALLER].camera.kbps(), MOST, "seed {seed}");
        for shape in [slow, FREE, slow, FREE] {
            let seen = call.phase(shape);
            println!("seed {seed}, {} kb/s: {seen:?}", shape.kbps);
        }
    }
}
