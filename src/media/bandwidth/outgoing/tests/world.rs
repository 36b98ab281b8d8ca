//! A sender, its receiver and a link between them, in steps of a millisecond.
//!
//! Media are frames of 30 a second whose sizes differ, with a key frame each ten seconds. They follow the target. The sender lets
//! out at once what it may send in `burst` of time; more goes out in slices of that size.

use std::collections::VecDeque;

use super::super::{Estimator, Micros, Probe, Report};
use super::layered::Layered;
use super::link::{Link, Packet, Path, Random};
use super::tcp::Tcp;

pub const SECOND: Micros = 1_000_000;
const STEP: Micros = 1_000;
const FRAME: Micros = 33_333;
const PACKET_BYTES: u64 = 1_200;
const SOUND: Micros = 20_000;
const SOUND_BYTES: u32 = 149;
/// The time from a standstill to a report, which tells of a part of what came late.
const REPORTED_AFTER: Micros = 10_000;

/// What is compared: ours, and others.
pub trait Controller {
    fn sent(&mut self, now: Micros, bytes: u32, probe: Option<u8>);
    fn feedback(&mut self, now: Micros, round_trip: Micros, reports: &[Report]);
    fn demand(&mut self, now: Micros, bits_per_second: u64);
    fn next_probe(&mut self, now: Micros) -> Option<Probe>;
    /// Whether the probe that is being sent is to end.
    fn ends_probe(&self) -> bool {
        false
    }
    /// Whether media that are sent between a probe's packets are a part of its rate.
    fn counts_media(&self) -> bool {
        false
    }
    fn timeout(&mut self, now: Micros);
    fn target(&self) -> u64;
    /// The highest rate that has shown to arrive.
    fn proven(&self) -> u64 {
        u64::MAX
    }
    fn burst(&self) -> Micros;
}

impl Controller for Estimator {
    fn sent(&mut self, now: Micros, bytes: u32, probe: Option<u8>) {
        Estimator::sent(self, now, bytes, probe);
    }
    fn feedback(&mut self, now: Micros, round_trip: Micros, reports: &[Report]) {
        Estimator::feedback(self, now, Some(round_trip), reports);
    }
    fn demand(&mut self, now: Micros, bits_per_second: u64) {
        Estimator::demand(self, now, bits_per_second);
    }
    fn next_probe(&mut self, now: Micros) -> Option<Probe> {
        Estimator::next_probe(self, now)
    }
    fn ends_probe(&self) -> bool {
        Estimator::ends_probe(self)
    }
    fn counts_media(&self) -> bool {
        true
    }
    fn timeout(&mut self, now: Micros) {
        if self.next_timeout().is_some_and(|at| at <= now) {
            Estimator::timeout(self, now);
        }
    }
    fn target(&self) -> u64 {
        self.outcome().target
    }
    fn proven(&self) -> u64 {
        self.outcome().proven
    }
    fn burst(&self) -> Micros {
        self.outcome().burst
    }
}

/// What happens besides the path.
#[derive(Clone)]
pub struct Conduct {
    /// What media would take, each from a time on.
    pub demand: Vec<(Micros, u64)>,
    /// Feedback comes at intervals from the first of these up to the second.
    pub feedback_every: (Micros, Micros),
    pub feedback_loss_percent: f64,
    /// The time in which no feedback arrives.
    pub feedback_dead: (Micros, Micros),
    /// The share of media packets that do not reach the sender.
    pub upstream_loss_percent: f64,
    /// The rates that media can have, if they cannot have any.
    pub layers: Vec<u64>,
    /// The people whose sound is sent beside the media. Each sends a packet of it each 20 ms.
    pub voices: u64,
}

impl Default for Conduct {
    fn default() -> Conduct {
        Conduct {
            demand: vec![(0, 8_000_000)],
            feedback_every: (50_000, 100_000),
            feedback_loss_percent: 1.0,
            feedback_dead: (0, 0),
            upstream_loss_percent: 0.0,
            layers: Vec::new(),
            voices: 0,
        }
    }
}

/// What happened in a tenth of a second.
#[derive(Clone, Copy, Default)]
pub struct Tenth {
    pub target: u64,
    /// The rate of the media that are made.
    pub media: u64,
    pub sent: u64,
    pub delivered: u64,
    pub dropped: u64,
    pub probing: u64,
    /// The longest time that one send filled, at the rate that media had then.
    pub burst: Micros,
}

#[derive(Clone, Copy)]
struct Sent {
    at: Micros,
    bytes: u32,
    probe: Option<u8>,
    arrived: Option<Micros>,
    missing: bool,
    done: bool,
}

struct Answer {
    at: Micros,
    round_trip: Micros,
    reports: Vec<Report>,
}

struct Probing {
    probe: Probe,
    left: u64,
    next: Micros,
    packets: u8,
}

/// One sender with its receiver.
pub struct Flow {
    pub controller: Box<dyn Controller>,
    pub tenths: Vec<Tenth>,
    from: Micros,
    conduct: Conduct,
    random: Random,
    sent: Vec<Sent>,
    base: usize,
    /// Numbers up to this one may have arrived.
    reached: usize,
    answers: VecDeque<Answer>,
    next_feedback: Micros,
    next_frame: Micros,
    layered: Option<Layered>,
    frames_at: Micros,
    frames: u64,
    /// Bytes by which frames were too large until now.
    owed: i64,
    waiting: VecDeque<u32>,
    waiting_bytes: u64,
    budget: i64,
    probing: Option<Probing>,
}

impl Flow {
    pub fn new(controller: Box<dyn Controller>, conduct: Conduct, seed: u64, from: Micros) -> Flow {
        Flow {
            controller,
            tenths: Vec::new(),
            from,
            layered: (!conduct.layers.is_empty()).then(|| Layered::new(conduct.layers.clone())),
            conduct,
            random: Random::new(seed ^ from),
            sent: Vec::new(),
            base: 0,
            reached: 0,
            answers: VecDeque::new(),
            next_feedback: from + 50_000,
            next_frame: from,
            frames_at: from,
            frames: 0,
            owed: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            budget: 0,
            probing: None,
        }
    }

    fn demand(&self, now: Micros) -> u64 {
        let before = self.conduct.demand.iter().take_while(|(from, _)| *from <= now);
        before.last().map_or(0, |(_, rate)| *rate)
    }

    fn step(&mut self, now: Micros, number: usize, link: &mut Link) {
        if now < self.from {
            return;
        }
        while self.answers.front().is_some_and(|answer| answer.at <= now) {
            let answer = self.answers.pop_front().unwrap();
            self.controller.feedback(now, answer.round_trip, &answer.reports);
        }
        self.controller.timeout(now);
        let demand = self.demand(now);
        self.controller.demand(now, demand);
        if now >= self.next_frame {
            self.frames_at += FRAME;
            // A camera is not quite regular.
            self.next_frame = self.frames_at + self.random.below(6_000);
            let (target, proven) = (self.controller.target(), self.controller.proven());
            let (rate, is_new) = match &mut self.layered {
                Some(layered) => layered.choose(now, target, proven),
                None => (target.min(demand), false),
            };
            self.frame(rate, is_new);
            self.tenth(now).media = rate;
        }
        for voice in 0..self.conduct.voices {
            // They do not speak in step.
            if (now + voice * 7_000).is_multiple_of(SOUND) {
                self.send(now, number, SOUND_BYTES, None, link);
            }
        }
        self.pace(now, number, link);
        self.probe(now, number, link);
        if let Some(left) = link.path.stands_still(now) {
            self.next_feedback = self.next_feedback.max(now + left + REPORTED_AFTER);
        }
        if now >= self.next_feedback {
            let (least, most) = self.conduct.feedback_every;
            self.next_feedback = now + least + self.random.below(most - least + 1);
            self.report(now, link.path.round_trip / 2);
        }
        self.tenth(now).target = self.controller.target();
    }

    /// A frame of about a thirtieth of a second's bytes. What one is too large, the next ones are smaller.
    fn frame(&mut self, rate: u64, is_new: bool) {
        // So much is made that what is left of it is the rate.
        let fair = (rate as f64 / 8.0 / 30.0 / (1.0 - self.conduct.upstream_loss_percent / 100.0)) as i64;
        let key = is_new || self.frames.is_multiple_of(300);
        self.frames += 1;
        let wanted = if key && self.frames > 1 {
            fair * 4
        } else {
            fair * (75 + self.random.below(51) as i64) / 100 - (self.owed / 15).clamp(-fair / 4, fair * 3 / 10)
        };
        self.owed = (self.owed + wanted - fair).clamp(-fair * 5, fair * 10);
        let bytes = wanted.max(100) as u64;
        let packets = bytes.div_ceil(PACKET_BYTES);
        for _ in 0..packets {
            if !self.random.chance(self.conduct.upstream_loss_percent) {
                self.waiting.push_back((bytes / packets) as u32);
                self.waiting_bytes += bytes / packets;
            }
        }
    }

    fn pace(&mut self, now: Micros, number: usize, link: &mut Link) {
        let target = self.controller.target();
        let rate = (target * 11 / 10).max(self.waiting_bytes * 16);
        let room = (rate * self.controller.burst() / 8_000_000).max(2 * PACKET_BYTES) as i64;
        self.budget = (self.budget + (rate * STEP / 8_000_000) as i64).min(room);
        if self.budget < room.min(self.waiting_bytes as i64) {
            return;
        }
        let mut slice = 0;
        while self.budget > 0
            && let Some(bytes) = self.waiting.pop_front()
        {
            self.waiting_bytes -= u64::from(bytes);
            self.budget -= i64::from(bytes);
            slice += u64::from(bytes);
            self.send(now, number, bytes, None, link);
        }
        let tenth = self.tenth(now);
        tenth.burst = tenth.burst.max(slice * 8_000_000 / rate.max(1));
    }

    fn probe(&mut self, now: Micros, number: usize, link: &mut Link) {
        if self.probing.is_none() {
            self.probing = self.controller.next_probe(now).map(|probe| Probing {
                probe,
                left: u64::from(probe.bytes),
                next: now,
                packets: 0,
            });
        }
        let Some(mut probing) = self.probing.take().filter(|_| !self.controller.ends_probe()) else {
            return;
        };
        while probing.next <= now {
            if probing.left == 0 && probing.packets >= probing.probe.packets_min {
                return;
            }
            self.send(now, number, PACKET_BYTES as u32, Some(probing.probe.cluster), link);
            probing.left = probing.left.saturating_sub(PACKET_BYTES);
            probing.packets = probing.packets.saturating_add(1);
            probing.next += PACKET_BYTES * 8_000_000 / probing.probe.bits_per_second.max(1);
        }
        self.probing = Some(probing);
    }

    fn send(&mut self, now: Micros, flow: usize, bytes: u32, probe: Option<u8>, link: &mut Link) {
        self.controller.sent(now, bytes, probe);
        let is_shared = probe.is_none() && self.controller.counts_media();
        if let Some(probing) = self.probing.as_mut().filter(|_| is_shared) {
            probing.left = probing.left.saturating_sub(u64::from(bytes));
            probing.next += u64::from(bytes) * 8_000_000 / probing.probe.bits_per_second.max(1);
        }
        let number = self.sent.len();
        self.sent.push(Sent {
            at: now,
            bytes,
            probe,
            arrived: None,
            missing: false,
            done: false,
        });
        let accepted = link.send(now, Packet { flow, number, bytes });
        let tenth = self.tenth(now);
        tenth.sent += u64::from(bytes);
        tenth.dropped += if accepted { 0 } else { u64::from(bytes) };
        tenth.probing += if probe.is_some() { u64::from(bytes) } else { 0 };
    }

    fn arrived(&mut self, at: Micros, packet: Packet) {
        self.sent[packet.number].arrived = Some(at);
        self.reached = self.reached.max(packet.number + 1);
        self.tenth(at).delivered += u64::from(packet.bytes);
    }

    /// The receiver writes down what has arrived. A number that is missing is lost when the next report misses it, too.
    fn report(&mut self, now: Micros, path_back: Micros) {
        let has_come = |packet: &Sent| packet.arrived.is_some_and(|at| at <= now);
        let Some(newest) = (self.base..self.reached).rev().find(|n| has_come(&self.sent[*n])) else {
            return;
        };
        let mut reports = Vec::new();
        for packet in &mut self.sent[self.base..=newest] {
            if packet.done {
                continue;
            }
            let came = packet.arrived.filter(|at| *at <= now);
            if came.is_none() && !packet.missing {
                packet.missing = true;
                continue;
            }
            packet.done = true;
            reports.push(Report {
                sent: packet.at,
                bytes: packet.bytes,
                // The receiver's clock is another one, and has 250 µs as its unit.
                arrived: came.map(|at| at / 250 * 250 + 77 * SECOND),
                probe: packet.probe,
            });
        }
        while self.base < self.sent.len() && self.sent[self.base].done {
            self.base += 1;
        }
        let dead = (self.conduct.feedback_dead.0..self.conduct.feedback_dead.1).contains(&now);
        if !dead && !self.random.chance(self.conduct.feedback_loss_percent) {
            let newest = self.sent[newest];
            let round_trip = newest.arrived.unwrap_or(now) - newest.at + path_back;
            self.answers.push_back(Answer {
                at: now + path_back,
                round_trip,
                reports,
            });
        }
    }

    fn tenth(&mut self, at: Micros) -> &mut Tenth {
        let index = (at / 100_000) as usize;
        if self.tenths.len() <= index {
            let last = self.tenths.last().map_or(0, |tenth| tenth.target);
            let new = Tenth {
                target: last,
                media: self.tenths.last().map_or(0, |tenth| tenth.media),
                ..Tenth::default()
            };
            self.tenths.resize(index + 1, new);
        }
        &mut self.tenths[index]
    }
}

/// A run: flows of ours, downloads beside them, and one link.
pub struct World {
    pub flows: Vec<Flow>,
    pub downloads: Vec<Tcp>,
    pub link: Link,
    /// The queue in microseconds, each hundredth of a second.
    pub queue: Vec<Micros>,
    random: Random,
}

impl World {
    pub fn new(path: Path, seed: u64) -> World {
        World {
            flows: Vec::new(),
            downloads: Vec::new(),
            link: Link::new(path),
            queue: Vec::new(),
            random: Random::new(seed.wrapping_add(1_000)),
        }
    }

    pub fn run(&mut self, until: Micros) {
        let mut served = Vec::new();
        let mut now = 0;
        while now < until {
            for (number, flow) in self.flows.iter_mut().enumerate() {
                flow.step(now, number, &mut self.link);
            }
            for download in &mut self.downloads {
                download.step(now, &mut self.link);
            }
            now += STEP;
            self.link.serve(now, &mut self.random, &mut served);
            for (packet, at) in served.drain(..) {
                let Some(at) = at else { continue };
                match packet.flow.checked_sub(self.flows.len()) {
                    None => self.flows[packet.flow].arrived(at, packet),
                    Some(index) => self.downloads[index].arrived(at, packet, self.link.path.round_trip / 2),
                }
            }
            if now.is_multiple_of(10_000) {
                self.queue.push(self.link.wait(now));
            }
        }
    }
}
