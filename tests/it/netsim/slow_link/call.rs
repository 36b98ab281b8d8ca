//! A call between two, each with one encoding. The way to one of them becomes slow: the other one's sender is steered down to it, by
//! estimates (REMB), and up again. The pictures in the other direction stay as they are.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::worker::Worker;

use super::camera::{Camera, RATE, ssrc_of};
use super::path::{FREE, Shape};
use super::scene::{SOUND_BYTES, SOUND_MILLIS, SOUND_SSRC, STEP, opus, sent_until, vp8};
use super::watcher::{NUMBER, Watcher};
use super::{BEGINNING, SEEDS};
use crate::worker::media_client::*;
use crate::worker::wide::Sent;

/// What each camera takes at most, in kb/s.
const MOST: u64 = 1_500;
const PHASE: Duration = Duration::from_secs(12);
/// Bytes of a packet of video, and of the headers around each packet.
const PACKET_BYTES: u64 = 1_000;
const HEADERS: u64 = 12 + 10 + 28;
/// The last part of a phase, in which it shows what is sent.
const END: Duration = Duration::from_millis(200);
/// Pictures of a phase, without one that may be on its way.
const ALL_SHOWN: usize = (PHASE.as_secs() * RATE) as usize - 1;

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
        for (due, sent) in sent_until(&mut self.worker, until) {
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
                        // Browsers give the sound its part first, and count what packets carry around them.
                        let sound = (SOUND_BYTES as u64 + HEADERS) * 8 / SOUND_MILLIS;
                        let video = (bits_per_second / 1_000).saturating_sub(sound);
                        side.camera.allow(video * PACKET_BYTES / (PACKET_BYTES + HEADERS));
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

    fn hand_out(&mut self, now: Instant, sent: Sent) {
        for (to, bytes) in sent {
            let mut sides = self.sides.iter_mut();
            if let Some(side) = sides.find(|side| side.watcher.client.address == to) {
                side.watcher.path.send(now, bytes);
            }
        }
    }

    /// Changes the way to the callee, and lets a phase pass.
    fn phase(&mut self, kbps: u64) -> Seen {
        let (since, paused) = (self.now, self.worker.stats().paused_video_millis);
        self.sides[CALLEE].watcher.path.shape = Shape { kbps, ..FREE };
        self.run(PHASE);
        let end = self.now - END;
        let rates = |side: usize, since: Instant| self.sides[side].rates.iter().filter(move |(at, _)| *at > since);
        let reaches = |wanted: &dyn Fn(u64) -> bool| {
            let first = rates(CALLER, since).find(|(_, rate)| wanted(*rate));
            first.map(|(at, _)| *at - since)
        };
        let [there, back] = [(CALLER, CALLEE), (CALLEE, CALLER)].map(|(from, to)| {
            let watcher = &self.sides[to].watcher;
            Pictures {
                frozen: watcher.frozen(since, self.now),
                shown: watcher.pictures(since),
                kbps: rates(from, end).map(|(_, rate)| *rate).min().unwrap_or(0),
            }
        });
        Seen {
            there,
            back,
            falls: reaches(&|rate| rate < kbps),
            rises: reaches(&|rate| rate == MOST),
            paused: Duration::from_millis(self.worker.stats().paused_video_millis - paused),
        }
    }
}

/// The pictures of one direction in one phase.
#[derive(Debug)]
struct Pictures {
    frozen: Duration,
    shown: usize,
    /// The least that the camera took at the end, in kb/s.
    kbps: u64,
}

/// What both saw in one phase: the callee, behind the way that changes, and the caller.
#[derive(Debug)]
struct Seen {
    there: Pictures,
    back: Pictures,
    /// Time after which the caller's camera takes less than the way carries, and all that it can.
    falls: Option<Duration>,
    rises: Option<Duration>,
    /// Time for which the server paused a picture.
    paused: Duration,
}

/// What is seen at most, or at least, while the way carries so many kb/s.
struct Bars {
    slow: u64,
    /// Milliseconds for which the picture stands still, until the camera takes less, and until it takes all again.
    frozen: u64,
    falls: u64,
    rises: u64,
    /// What the camera takes at the end, in kb/s.
    kbps: u64,
}

/// Makes the way slow, free, and the same once more. The callee's only picture is never paused, and the other direction stays as
/// it is.
fn assert_follows(bars: &Bars) {
    let is_within = |time: Option<Duration>, millis| time.is_some_and(|time| time <= Duration::from_millis(millis));
    for seed in SEEDS {
        let mut call = Call::new(seed);
        call.run(BEGINNING);
        for kbps in [bars.slow, FREE.kbps, bars.slow, FREE.kbps] {
            let seen = call.phase(kbps);
            let is_right = match kbps == FREE.kbps {
                true => {
                    is_within(seen.rises, bars.rises) && seen.there.kbps == MOST && seen.there.frozen == Duration::ZERO
                }
                false => {
                    is_within(seen.falls, bars.falls)
                        && is_within(Some(seen.there.frozen), bars.frozen)
                        && (bars.kbps..kbps).contains(&seen.there.kbps)
                }
            };
            assert!(
                is_right && seen.paused == Duration::ZERO,
                "seed {seed}, {kbps} kb/s: {seen:?}"
            );
            let is_whole = seen.back.frozen == Duration::ZERO && seen.back.kbps == MOST && seen.back.shown >= ALL_SHOWN;
            assert!(
                is_whole,
                "seed {seed}, the other direction beside {kbps} kb/s: {seen:?}"
            );
        }
    }
}

/// Wanted are half a second of freezes at most, and a camera that takes less after 1.5 s. Before, the picture stood still for 2 to 11 s.
#[test]
fn a_caller_follows_a_slow_way_to_the_callee_and_the_other_direction_goes_on() {
    assert_follows(&Bars {
        slow: 700,
        frozen: 1_200,
        falls: 600,
        rises: 11_900,
        kbps: 350,
    });
}

/// What was sent before the way was known to be slow fills it for a third of a second. Pictures that would come late after that are
/// given up for a key frame.
#[test]
fn a_caller_follows_a_very_slow_way_to_the_callee_and_the_other_direction_goes_on() {
    assert_follows(&Bars {
        slow: 300,
        frozen: 950,
        falls: 500,
        rises: 9_500,
        kbps: 120,
    });
}
