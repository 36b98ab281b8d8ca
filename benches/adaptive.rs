//! What adaptive quality costs: numbers in the packets that are forwarded, the feedback of those who get them, the division of
//! what their paths carry, and the memory for it. Each is compared with the same room whose subscribers read no numbers, in turn
//! within one run.

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
#[path = "../tests/support/counting.rs"]
mod counting;
#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/media_client.rs"]
mod media_client;
#[path = "../tests/support/transport_feedback.rs"]
mod transport_feedback;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use broadcast::Broadcast;
use media_client::Client;
use patchbay::media::rtcp;
use patchbay::media::worker::{Datagram, Worker};
use transport_feedback::feedback;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const PEERS: u64 = 100;
/// Time between two feedback packets of a peer.
const INTERVAL: Duration = Duration::from_millis(50);
/// Packets of the video in that time: 2.5 Mb/s.
const PACKETS: usize = 13;
/// Intervals in one measurement: three seconds.
const INTERVALS: usize = 60;
/// Measurements of each kind; their median is printed.
const ROUNDS: usize = 15;
/// Time from the server to a peer, in microseconds.
const ONE_WAY: u64 = 20_000;

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

fn main() {
    time();
    memory();
}

/// Nanoseconds of one measurement.
#[derive(Clone, Copy, Default)]
struct Cost {
    forwarding: f64,
    feedback: f64,
    chores: f64,
    allocations: u64,
}

impl Cost {
    /// Does `work`, and adds its time to `part`.
    fn add<T>(&mut self, part: fn(&mut Cost) -> &mut f64, work: impl FnOnce() -> T) -> T {
        let (allocations, start) = (counting::allocations(), clock());
        let done = work();
        *part(self) += start.elapsed().as_nanos() as f64;
        self.allocations += counting::allocations() - allocations;
        done
    }
}

fn time() {
    let mut rooms = [
        Room::new(Broadcast::new(clock(), PEERS), false),
        Room::new(Broadcast::numbered(clock(), PEERS), true),
    ];
    // Estimates rise to what the video needs, and buffers grow to the size that they keep.
    for room in &mut rooms {
        room.measure();
    }
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(rooms[0].measure());
        with.push(rooms[1].measure());
    }
    for room in &rooms {
        let forwarded = room.broadcast.worker.stats().forwarded_packets;
        let least = (ROUNDS * INTERVALS * PACKETS) as u64 * PEERS;
        assert!(forwarded > least, "everybody gets everything: {forwarded} of {least}");
    }
    let stats = rooms[1].broadcast.worker.stats();
    assert_eq!(stats.reported_lost_packets, 0, "nothing is lost here");
    let paths = rooms[1].broadcast.worker.paths(clock());
    let target = paths.filter_map(|path| path.target_bps).sum::<u64>() / PEERS;
    let copies = (INTERVALS * PACKETS) as f64 * PEERS as f64;
    let seconds = INTERVALS as f64 * INTERVAL.as_secs_f64();
    println!("{PEERS} peers get a video of 2.5 Mb/s, and say every 50 ms what came; median (min-max) of {ROUNDS}");
    println!("estimate of each path at the end: {} kb/s", target / 1_000);
    let row = |name: &str, unit: &str, values: Vec<f64>| {
        let mut values = values;
        let (low, high) = (percentile(&mut values, 0.0), percentile(&mut values, 1.0));
        println!(
            "{name:>42}  {:>7.2} {unit} ({low:.2}-{high:.2})",
            percentile(&mut values, 0.5)
        );
    };
    let each = |of: &dyn Fn(&Cost, &Cost) -> f64| without.iter().zip(&with).map(|(a, b)| of(a, b)).collect();
    row("a copy without numbers", "ns", each(&|a, _| a.forwarding / copies));
    row("a copy with its number", "ns", each(&|_, b| b.forwarding / copies));
    row(
        "more for a copy",
        "ns",
        each(&|a, b| (b.forwarding - a.forwarding) / copies),
    );
    let reports = INTERVALS as f64 * PEERS as f64;
    row("a feedback packet", "µs", each(&|_, b| b.feedback / reports / 1_000.0));
    let share = |a: &Cost, b: &Cost| (b.feedback + b.chores - a.chores) / seconds / 1e9 * 100.0;
    row("feedback, estimates and divisions of all", "% of a core", each(&share));
    let allocations: u64 = with.iter().map(|cost| cost.allocations).sum();
    println!("allocations in all this: {allocations} (target 0)");
}

/// Memory of a peer that reads numbers, less that of one that reads none. Both have got packets, and the first has said so.
fn memory() {
    let held = |numbered: bool| {
        let before = counting::live_bytes();
        let broadcast = match numbered {
            true => Broadcast::numbered(clock(), PEERS),
            false => Broadcast::new(clock(), PEERS),
        };
        let mut room = Room::new(broadcast, numbered);
        room.measure();
        let all = counting::live_bytes();
        room.broadcast.subscribers.clear();
        room.sent = Vec::new();
        let theirs = all - counting::live_bytes();
        all - before - theirs
    };
    let (without, with) = (held(false), held(true));
    println!(
        "memory of a peer with estimate: {} bytes more (target 49152)",
        (with - without) / PEERS as i64
    );
}

/// A room in virtual time.
struct Room {
    broadcast: Broadcast,
    /// The peers' places by their addresses.
    places: HashMap<SocketAddr, usize>,
    says: bool,
    /// Times of sending of each peer's packets that it has not yet told of, in microseconds, and how many there were before.
    sent: Vec<(u64, Vec<u64>)>,
    micros: u64,
    count: u8,
}

impl Room {
    fn new(broadcast: Broadcast, says: bool) -> Room {
        let places = broadcast
            .subscribers
            .iter()
            .map(|client| client.address)
            .zip(0..)
            .collect();
        let sent = vec![(0, Vec::new()); broadcast.subscribers.len()];
        let mut room = Room {
            broadcast,
            places,
            says,
            sent,
            micros: 0,
            count: 0,
        };
        // The first packet of all, which the broadcast has sent already.
        for (_, times) in &mut room.sent {
            times.push(0);
        }
        room
    }

    fn measure(&mut self) -> Cost {
        let mut cost = Cost::default();
        for _ in 0..INTERVALS {
            let sealed = self.broadcast.sealed(PACKETS, false);
            let mut buffer = [0; 2_048];
            for packet in &sealed {
                let from = self.broadcast.publisher.address;
                self.timed(&mut cost, |cost| &mut cost.forwarding, &mut buffer, from, packet);
                self.pass(&mut cost, INTERVAL / PACKETS as u32);
            }
            if self.says {
                for at in 0..self.sent.len() {
                    let Some(compound) = self.compound(at) else { continue };
                    let client: &mut Client = &mut self.broadcast.subscribers[at];
                    let (sealed, from) = (client.seal_rtcp(&compound), client.address);
                    self.timed(&mut cost, |cost| &mut cost.feedback, &mut buffer, from, &sealed);
                }
                self.count = self.count.wrapping_add(1);
            }
        }
        // The server must hear of everybody now and then.
        let now = self.broadcast.now;
        for client in &mut self.broadcast.subscribers {
            let check = client.plain_check();
            client.deliver(now, &mut self.broadcast.worker, &check);
        }
        cost
    }

    /// Gives the worker a datagram, and lets it forward.
    fn timed(
        &mut self,
        cost: &mut Cost,
        part: fn(&mut Cost) -> &mut f64,
        buffer: &mut [u8; 2_048],
        from: SocketAddr,
        packet: &[u8],
    ) {
        buffer[..packet.len()].copy_from_slice(packet);
        let datagram = Datagram {
            from,
            to: None,
            start: 0,
            len: packet.len(),
        };
        let now = self.broadcast.now;
        cost.add(part, || {
            self.broadcast.worker.handle_datagrams(now, buffer, &[datagram])
        });
        loop {
            let done = cost.add(part, || self.broadcast.worker.forward(now, buffer));
            note(&mut self.broadcast.worker, &self.places, &mut self.sent, self.micros);
            if done {
                return;
            }
        }
    }

    /// Lets time pass: the worker does what is due.
    fn pass(&mut self, cost: &mut Cost, time: Duration) {
        let until = self.broadcast.now + time;
        let worker = &mut self.broadcast.worker;
        while let Some(due) = worker.poll_timeout().filter(|&due| due <= until) {
            cost.add(|cost| &mut cost.chores, || worker.handle_timeout(due));
            let early = until.saturating_duration_since(due).as_micros() as u64;
            let micros = self.micros + (time.as_micros() as u64).saturating_sub(early);
            note(worker, &self.places, &mut self.sent, micros);
        }
        while worker.poll_event().is_some() {}
        self.broadcast.now = until;
        self.micros += time.as_micros() as u64;
    }

    /// What a peer says of the packets that it has got since it last did.
    fn compound(&mut self, at: usize) -> Option<Vec<u8>> {
        let (before, times) = &mut self.sent[at];
        let base = *before as u16;
        *before += times.len() as u64;
        let arrivals: Vec<Option<u64>> = times.drain(..).map(|sent| Some(sent + ONE_WAY)).collect();
        if arrivals.is_empty() {
            return None;
        }
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        compound.extend_from_slice(&feedback(base, &arrivals, self.count));
        Some(compound)
    }
}

/// Notes the times of the packets that the worker sends.
fn note(worker: &mut Worker, places: &HashMap<SocketAddr, usize>, sent: &mut [(u64, Vec<u64>)], micros: u64) {
    for (send, bytes) in worker.egress().sends() {
        let Some(&place) = places.get(&send.path.remote.address) else {
            continue;
        };
        let packets = bytes
            .chunks(send.segment)
            .filter(|packet| !matches!(packet[1], 192..=223));
        sent[place].1.extend(packets.map(|_| micros));
    }
    worker.egress().clear();
}

fn percentile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * at) as usize]
}
