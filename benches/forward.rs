//! What it costs to forward a packet: the worker without a socket, beside a bare copy and AES-128-GCM seal of the same
//! bytes, in turn within one run. Only the ratio counts: absolute times depend on machine and neighbours.

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/broadcast.rs"]
mod broadcast;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/media_client.rs"]
mod media_client;

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use broadcast::{Broadcast, PACKET_BYTES};

/// Measurements of each kind, of which the median is told.
const ROUNDS: usize = 41;
/// Copies made in one measurement, whatever the number of subscribers.
const COPIES: usize = 20_000;

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
        let warm = broadcast.sealed(1_000, false);
        broadcast.forward(&warm);
        let mut floor = Floor::new();
        let (mut ours, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let sealed = broadcast.sealed(packets, false);
            let start = clock();
            black_box(broadcast.forward(&sealed));
            let cost = start.elapsed().as_nanos() as f64 / COPIES as f64;
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
    spread();
}

/// What it costs that a room lives on two workers: both take their turn on this thread, so that all work is counted, and
/// only that.
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

/// The least that any SFU must do for a copy.
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
        // As much memory as a batch of copies takes: a single buffer would flatter the floor with a warm cache.
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
}
