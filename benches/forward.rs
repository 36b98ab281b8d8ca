//! The cost of forwarding a packet: the worker without a socket, beside a bare copy and AES-128-GCM seal of the same bytes, in turn
//! within one run. Only the ratio counts: absolute times depend on machine and neighbours.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its results, and panics if there are none"
)]

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/broadcast.rs"]
mod broadcast;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/media_client.rs"]
mod media_client;

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use broadcast::{Broadcast, PACKET_BYTES, VIDEO_SSRC};
use media_client::{AUDIO_PT, Client, VIDEO_PT, VIDEO_RTX_PT, codec, rtp, section, vp8, worker};
use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtp::Extension;
use patchbay::media::session::NegotiatedCodec;
use patchbay::media::worker::{Datagram, Worker};

/// Measurements of each kind; their median is printed.
const ROUNDS: usize = 41;
/// Copies made in one measurement, whatever the number of subscribers.
const COPIES: usize = 20_000;

/// Time between two packets in the first table, as in a video of 2.85 Mb/s: how many packets are kept depends on it.
const STEP: Duration = Duration::from_micros(3_333);

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

fn main() {
    println!(
        "one {PACKET_BYTES}-byte packet in, a sealed copy out for each subscription; ns per copy, median of {ROUNDS}"
    );
    println!(
        "{:>13}  {:>8}  {:>10}  {:>7}  {:>15}",
        "subscriptions", "patchbay", "copy+seal", "ratio", "ratio, min-max"
    );
    for subscriptions in [1, 10, 100] {
        let packets = COPIES / subscriptions as usize;
        let mut broadcast = Broadcast::new(clock(), subscriptions);
        broadcast.step = STEP;
        let warm = broadcast.sealed(1_000, false);
        broadcast.forward(&warm);
        let mut floor = Floor::new();
        let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let sealed = broadcast.sealed(packets, false);
            let start = clock();
            black_box(broadcast.forward(&sealed));
            let cost = start.elapsed().as_nanos() as f64 / COPIES as f64;
            broadcast.catch_up();
            let start = clock();
            floor.run(COPIES);
            let least = start.elapsed().as_nanos() as f64 / COPIES as f64;
            ours.push(cost);
            bare.push(least);
            ratios.push(cost / least);
        }
        let range = format!(
            "{:.2}-{:.2}",
            percentile(&mut ratios, 0.0),
            percentile(&mut ratios, 1.0)
        );
        println!(
            "{subscriptions:>13}  {:>8.0}  {:>10.0}  {:>7.2}  {range:>15}",
            percentile(&mut ours, 0.5),
            percentile(&mut bare, 0.5),
            percentile(&mut ratios, 0.5),
        );
    }
    receiving();
    estimated();
    spread();
}

/// The cost of knowing the paths: the same copies to subscribers that tell what comes, and to others that do not.
fn estimated() {
    println!("\nthe same copies to subscribers whose path is estimated; ns per copy, median of {ROUNDS}");
    println!(
        "{:>13}  {:>8}  {:>9}  {:>10}  {:>19}",
        "subscriptions", "unknown", "estimated", "difference", "difference, min-max"
    );
    for subscriptions in [10, 100] {
        let packets = COPIES / subscriptions as usize;
        let mut unknown = Broadcast::new(clock(), subscriptions);
        let mut known = Broadcast::estimated(clock(), subscriptions);
        let cost = |broadcast: &mut Broadcast| {
            let sealed = broadcast.sealed(packets, false);
            let start = clock();
            black_box(broadcast.forward(&sealed));
            start.elapsed().as_nanos() as f64 / COPIES as f64
        };
        for broadcast in [&mut unknown, &mut known] {
            cost(broadcast);
        }
        let (mut without, mut with, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (one, other) = (cost(&mut unknown), cost(&mut known));
            without.push(one);
            with.push(other);
            differences.push(other - one);
        }
        let range = format!(
            "{:.0}-{:.0}",
            percentile(&mut differences, 0.0),
            percentile(&mut differences, 1.0)
        );
        println!(
            "{subscriptions:>13}  {:>8.0}  {:>9.0}  {:>10.0}  {range:>19}",
            percentile(&mut without, 0.5),
            percentile(&mut with, 0.5),
            percentile(&mut differences, 0.5),
        );
    }
}

/// The cost of receiving a packet that nobody gets: the worker opens, notes and keeps it. It is compared with a bare AES-128-GCM
/// open of the same bytes. Packets come in batches, in memory that the caches hold, as they do from the kernel.
fn receiving() {
    println!("\none packet in, no subscription; ns per packet, median of {ROUNDS}");
    println!(
        "{:>13}  {:>8}  {:>10}  {:>7}  {:>15}",
        "bytes", "patchbay", "open", "ratio", "ratio, min-max"
    );
    let video = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
    let sound = codec(AUDIO_PT, None, Codec::Opus);
    for (codec, payload) in [(video, vp8(false, 1, 1_160)), (sound, vec![0xab; 80])] {
        let mut incoming = Incoming::new(codec, payload);
        let mut floor = Floor::new();
        let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (mut whole, mut least) = (0.0, 0.0);
            for _ in 0..RECEIVED / BATCH {
                whole += incoming.receive();
                least += floor.open(incoming.payload.len());
            }
            ours.push(whole / RECEIVED as f64);
            bare.push(least / RECEIVED as f64);
            ratios.push(whole / least);
        }
        let range = format!(
            "{:.2}-{:.2}",
            percentile(&mut ratios, 0.0),
            percentile(&mut ratios, 1.0)
        );
        println!(
            "{:>13}  {:>8.0}  {:>10.0}  {:>7.2}  {range:>15}",
            incoming.packet(0).len(),
            percentile(&mut ours, 0.5),
            percentile(&mut bare, 0.5),
            percentile(&mut ratios, 0.5),
        );
    }
}

/// Packets received in one measurement.
const RECEIVED: usize = 6_400;
/// Packets that arrive together.
const BATCH: usize = 32;

/// A publisher of one stream, as a browser sends it: each packet has a transport-wide sequence number, and each packet of sound an
/// audio level.
struct Incoming {
    now: Instant,
    worker: Worker,
    publisher: Client,
    payload_type: u8,
    payload: Vec<u8>,
    sequence: u64,
    buffer: Vec<u8>,
}

impl Incoming {
    fn new(codec: NegotiatedCodec, payload: Vec<u8>) -> Incoming {
        let now = clock();
        let (mut worker, identity) = worker(now);
        let own = DtlsIdentity::generate().expect("a certificate can be made");
        let mut section = section("0", codec, true, VIDEO_SSRC, 0x9000);
        section.extensions.push((2, Extension::AudioLevel));
        let mut publisher = Client::new(1, None, vec![section], &identity, &own);
        publisher.connect(now, &mut worker);
        let mut incoming = Incoming {
            now,
            worker,
            publisher,
            payload_type: codec.payload_type,
            payload,
            sequence: 0,
            buffer: Vec::new(),
        };
        for _ in 0..100 {
            incoming.receive();
        }
        incoming
    }

    fn packet(&self, sequence: u64) -> Vec<u8> {
        let [high, low] = (sequence as u16).to_be_bytes();
        let timestamp = (sequence * 300) as u32;
        let mut packet = rtp(self.payload_type, true, sequence as u16, timestamp, VIDEO_SSRC, &[]);
        packet[0] |= 0x10;
        packet.extend_from_slice(&[0xbe, 0xde, 0, 2, 0x31, high, low, 0x20, 0xa0, 0, 0, 0]);
        packet.extend_from_slice(&self.payload);
        packet
    }

    /// Gives the worker one batch. Returns the nanoseconds that it took.
    fn receive(&mut self) -> f64 {
        self.buffer.clear();
        let mut datagrams = Vec::with_capacity(BATCH);
        for _ in 0..BATCH {
            self.sequence += 1;
            let sealed = self.publisher.seal(&self.packet(self.sequence), self.sequence);
            datagrams.push(Datagram {
                from: self.publisher.address,
                to: None,
                start: self.buffer.len(),
                len: sealed.len(),
            });
            self.buffer.extend_from_slice(&sealed);
        }
        let before = self.worker.stats().received_packets;
        let start = clock();
        self.worker.handle_datagrams(self.now, &mut self.buffer, &datagrams);
        self.worker.forward(self.now, &self.buffer);
        let took = start.elapsed().as_nanos() as f64;
        let received = self.worker.stats().received_packets - before;
        assert_eq!(received, BATCH as u64, "packets that were taken in");
        self.worker.egress().clear();
        while self.worker.poll_event().is_some() {}
        took
    }
}

/// The cost of having a room on two workers. Both take their turn on this thread, so that all work is counted, and nothing else.
fn spread() {
    println!("\nthe same copies made by two workers, one of which mirrors the other; ns per copy, median of {ROUNDS}");
    println!(
        "{:>13}  {:>10}  {:>11}  {:>7}  {:>15}",
        "subscriptions", "one worker", "two workers", "ratio", "ratio, min-max"
    );
    for subscriptions in [2, 10, 100, 400] {
        let packets = COPIES / subscriptions as usize;
        let mut one = Broadcast::new(clock(), subscriptions);
        let mut two = Broadcast::spread(clock(), subscriptions / 2, subscriptions / 2);
        let cost = |broadcast: &mut Broadcast| {
            let sealed = broadcast.sealed(packets, false);
            let start = clock();
            black_box(broadcast.forward(&sealed));
            start.elapsed().as_nanos() as f64 / COPIES as f64
        };
        for broadcast in [&mut one, &mut two] {
            cost(broadcast);
        }
        let (mut ones, mut twos, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (of_one, of_two) = (cost(&mut one), cost(&mut two));
            ones.push(of_one);
            twos.push(of_two);
            ratios.push(of_two / of_one);
        }
        let range = format!(
            "{:.2}-{:.2}",
            percentile(&mut ratios, 0.0),
            percentile(&mut ratios, 1.0)
        );
        println!(
            "{subscriptions:>13}  {:>10.0}  {:>11.0}  {:>7.2}  {range:>15}",
            percentile(&mut ones, 0.5),
            percentile(&mut twos, 0.5),
            percentile(&mut ratios, 0.5),
        );
    }
}

fn percentile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * at) as usize]
}

/// The least work that any SFU must do for a copy.
struct Floor {
    key: LessSafeKey,
    packet: Vec<u8>,
    out: Vec<u8>,
    counter: u64,
}

impl Floor {
    fn new() -> Floor {
        let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("16 bytes are an AES-128 key");
        let packet = vec![0xab; PACKET_BYTES];
        // As much memory as a batch of copies takes: with a single buffer the cache would stay warm, and the floor would look
        // better than it is.
        Floor {
            key: LessSafeKey::new(key),
            packet,
            out: vec![0; 100 * (PACKET_BYTES + 16)],
            counter: 0,
        }
    }

    fn run(&mut self, copies: usize) {
        for copy in 0..copies {
            let at = (copy % 100) * (PACKET_BYTES + 16);
            let out = &mut self.out[at..at + PACKET_BYTES + 16];
            out[..PACKET_BYTES].copy_from_slice(&self.packet);
            self.counter += 1;
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
            let (body, tag) = out.split_at_mut(PACKET_BYTES);
            let (header, payload) = body.split_at_mut(12);
            let sealed = self
                .key
                .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), payload)
                .expect("a packet is below the limit of AES-GCM");
            tag.copy_from_slice(sealed.as_ref());
        }
        black_box(&self.out);
    }

    /// The least work that any SFU must do for a batch of packets that it receives. Returns the nanoseconds that it took.
    fn open(&mut self, payload: usize) -> f64 {
        // Sealed beforehand: twelve bytes of header, as many of extensions, the tag.
        let len = 24 + payload + 16;
        for packet in self.out[..BATCH * len].chunks_exact_mut(len) {
            let (header, rest) = packet.split_at_mut(24);
            let (payload, tag) = rest.split_at_mut(payload);
            let nonce = Nonce::assume_unique_for_key([9; 12]);
            let sealed = self
                .key
                .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
                .expect("a packet is below the limit of AES-GCM");
            tag.copy_from_slice(sealed.as_ref());
        }
        let start = clock();
        for packet in self.out[..BATCH * len].chunks_exact_mut(len) {
            let (header, rest) = packet.split_at_mut(24);
            let (payload, tag) = rest.split_at_mut(payload);
            let nonce = Nonce::assume_unique_for_key([9; 12]);
            self.key
                .open_in_place_separate_tag(nonce, Aad::from(&*header), &*tag, payload)
                .map(drop)
                .expect("it was sealed with this key");
        }
        let took = start.elapsed().as_nanos() as f64;
        black_box(&self.out);
        took
    }
}
