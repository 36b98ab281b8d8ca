//! The media workers. They are real, and their commands come out of the real queues. Their threads are replaced by a loop
//! that does what [`patchbay::media::driver::Driver`] does, when the simulation says so. A worker can die, and stand still.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use patchbay::ids::WorkerId;
use patchbay::media::doorbell::Doorbell;
use patchbay::media::launch::{Launch, MediaStartError, WorkerPort};
use patchbay::media::load::Load;
use patchbay::media::messages::{DriverCommand, MediaEvent};
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::session::LocalEnd;
use patchbay::media::stats::Stats;
use patchbay::media::worker::{Datagram as Slice, MAX_WAITING_BYTES, WORKER_CACHE_BYTES, Worker, WorkerConfig};
use patchbay::pulse::Pulse;
use tokio::sync::mpsc;

use crate::netsim::network::{Datagram, Network};
use crate::worker::media_client::drain;

pub const WORKERS: usize = 2;

/// Datagrams that wait in a worker's socket while it stands still; later ones are lost, as in the kernel.
const SOCKET_MAX: usize = 2_000;
/// Bytes of packets that are taken from other workers at a time.
const MIRRORED_BYTES: usize = 64 * 1024;
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// A client that was not heard for so long has not agreed to be sent anything (RFC 7675 §5.1); with some time until that is
/// noticed.
const UNHEARD_MAX: Duration = Duration::from_secs(31);

/// All places of workers, and the threads in them.
#[derive(Clone)]
pub struct Engines(Arc<Mutex<Floor>>);

pub struct Floor {
    pub seats: Vec<Seat>,
    identity: DtlsIdentity,
    spare_identity: DtlsIdentity,
    /// The number of commands that wait for a worker at most.
    backlog: usize,
    /// Threads that the engine has given up. They stand still, and may go on one day.
    abandoned: Vec<Thread>,
    /// Whether a worker has died or was given up, at any time.
    pub has_lost: bool,
    /// The times at which the workers last took something from each address.
    heard: BTreeMap<SocketAddr, Instant>,
    pub datagrams_sent: u64,
}

/// The place of one worker and of those that replace it: the socket stays.
pub struct Seat {
    pub address: SocketAddr,
    socket: VecDeque<Datagram>,
    thread: Option<Thread>,
    /// The number of threads started here.
    launched: usize,
}

struct Thread {
    worker: Worker,
    index: usize,
    commands: mpsc::Receiver<DriverCommand>,
    load: Arc<Load>,
    stands_still_until: Option<Instant>,
    /// The time at which it last stood still, or was started.
    stood_still_at: Instant,
    /// An event for which the hub had no place.
    held: Option<MediaEvent>,
    next_stats: Instant,
}

/// The ways from workers to clients, and what is known of them.
struct Ways<'a> {
    network: &'a mut Network,
    heard: &'a mut BTreeMap<SocketAddr, Instant>,
    datagrams_sent: &'a mut u64,
}

/// What a thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turned {
    GoesOn,
    /// It ends: it was asked to, or its queue is closed.
    Ended,
}

impl Launch for Engines {
    fn launch(&mut self, worker: WorkerId, generation: u8, now: Instant) -> Result<WorkerPort, MediaStartError> {
        let mut floor = self.lock();
        let (commands, receiver) = mpsc::channel(floor.backlog);
        let load = Arc::new(Load::new(Some(Pulse::new(now))));
        let config = WorkerConfig {
            identity: floor.identity.clone(),
            spare_identity: floor.spare_identity.clone(),
            max_publish_bps: 4_000_000,
            max_segments: 64,
            cache_bytes: WORKER_CACHE_BYTES,
            index: worker.0,
            generation,
        };
        let local = LocalEnd {
            fingerprint: floor.identity.fingerprint,
            spare_fingerprint: floor.spare_identity.fingerprint,
            candidates: vec![floor.seats[worker.0].address],
            tcp_candidates: Vec::new(),
            worker,
        };
        let seat = &mut floor.seats[worker.0];
        assert_eq!(
            usize::from(generation),
            seat.launched,
            "each start is another generation"
        );
        assert!(seat.thread.is_none(), "worker {} is started while it runs", worker.0);
        seat.launched += 1;
        seat.thread = Some(Thread {
            worker: Worker::new(now, config),
            index: worker.0,
            commands: receiver,
            load: load.clone(),
            stands_still_until: None,
            stood_still_at: now,
            held: None,
            next_stats: now,
        });
        Ok(WorkerPort {
            commands,
            doorbell: Arc::new(Doorbell::new(None)),
            load,
            local,
            cpu: None,
            tcp: None,
            relay: None,
        })
    }

    fn abandon(&mut self, worker: WorkerId) {
        let mut floor = self.lock();
        let thread = floor.seats[worker.0].thread.take();
        // A worker that turns and takes its commands must not be given up.
        let hangs = thread.as_ref().is_none_or(|thread| thread.stands_still_until.is_some());
        assert!(hangs, "worker {} is given up though it runs", worker.0);
        floor.abandoned.extend(thread);
        floor.has_lost = true;
    }
}

impl Engines {
    pub fn new(identities: [&DtlsIdentity; 2], backlog: usize) -> Engines {
        let seat = |index: usize| Seat {
            address: ([10, 0, 0, 1 + index as u8], 4_000).into(),
            socket: VecDeque::new(),
            thread: None,
            launched: 0,
        };
        Engines(Arc::new(Mutex::new(Floor {
            seats: (0..WORKERS).map(seat).collect(),
            identity: identities[0].clone(),
            spare_identity: identities[1].clone(),
            backlog,
            abandoned: Vec::new(),
            has_lost: false,
            heard: BTreeMap::new(),
            datagrams_sent: 0,
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Floor> {
        self.0.lock().expect("one thread")
    }
}

impl Floor {
    /// The worker whose socket has this address.
    pub fn seat_at(&self, address: SocketAddr) -> Option<usize> {
        self.seats.iter().position(|seat| seat.address == address)
    }

    /// Puts a datagram into a socket. False if the socket is full.
    pub fn deliver(&mut self, seat: usize, datagram: Datagram) -> bool {
        let socket = &mut self.seats[seat].socket;
        let has_space = socket.len() < SOCKET_MAX;
        if has_space {
            socket.push_back(datagram);
        }
        has_space
    }

    /// Ends the thread by a panic. False if there is none.
    pub fn kill(&mut self, seat: usize, events: &mpsc::Sender<MediaEvent>) -> bool {
        let Some(thread) = self.seats[seat].thread.take() else {
            return false;
        };
        thread.load.end();
        self.has_lost = true;
        let worker = WorkerId(seat);
        // A full queue: the hub looks after each of these events.
        let _ = events.try_send(MediaEvent::WorkerEnded { worker });
        true
    }

    /// Lets the thread do nothing for so long.
    pub fn hang(&mut self, seat: usize, until: Instant) {
        if let Some(thread) = &mut self.seats[seat].thread {
            thread.stands_still_until = Some(until);
        }
    }

    /// Whether there is a thread that turns.
    pub fn runs(&self, seat: usize) -> bool {
        let thread = self.seats[seat].thread.as_ref();
        thread.is_some_and(|thread| thread.stands_still_until.is_none())
    }

    /// One turn of every thread. `may_report` says whether the hub may be handed an event; at most one is.
    pub fn turn(
        &mut self,
        now: Instant,
        network: &mut Network,
        events: &mpsc::Sender<MediaEvent>,
        may_report: bool,
    ) -> bool {
        let mut may_report = may_report;
        let mut ways = Ways {
            network,
            heard: &mut self.heard,
            datagrams_sent: &mut self.datagrams_sent,
        };
        for seat in &mut self.seats {
            let Some(thread) = &mut seat.thread else { continue };
            if thread.stands_still(now) {
                continue;
            }
            let turned = thread.turn(now, &mut seat.socket, seat.address, &mut ways);
            assert_eq!(turned, Turned::GoesOn, "a thread that nobody gave up ends");
            if may_report {
                may_report = !thread.report(events);
            }
        }
        let seats = &mut self.seats;
        self.abandoned.retain_mut(|thread| {
            if thread.stands_still(now) {
                return true;
            }
            let seat = &mut seats[thread.index];
            // It finds its queue closed before it looks at the socket.
            let turned = thread.turn(now, &mut VecDeque::new(), seat.address, &mut ways);
            assert_eq!(turned, Turned::Ended, "a thread that was given up goes on");
            false
        });
        may_report
    }

    /// When a thread needs its next turn, whatever arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let threads = self.seats.iter().filter_map(|seat| seat.thread.as_ref());
        let due = |thread: &Thread| thread.stands_still_until.or(thread.worker.poll_timeout());
        let abandoned = self.abandoned.iter().filter_map(|thread| thread.stands_still_until);
        threads.filter_map(due).chain(abandoned).min()
    }

    /// Whether nothing is on its way between the hub and the workers, so that both must know the same connections.
    pub fn is_quiet(&mut self) -> bool {
        self.abandoned.is_empty()
            && self.seats.iter_mut().all(|seat| {
                let quiet = |thread: &mut Thread| {
                    thread.stands_still_until.is_none() && thread.commands.is_empty() && thread.held_event().is_none()
                };
                seat.thread.as_mut().is_some_and(quiet)
            })
    }

    pub fn stats(&self) -> Vec<Stats> {
        self.workers().map(Worker::stats).collect()
    }

    /// The workers that there are.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        (0..WORKERS).filter_map(|seat| self.worker(seat))
    }

    pub fn worker(&self, seat: usize) -> Option<&Worker> {
        Some(&self.seats[seat].thread.as_ref()?.worker)
    }

    /// The number of workers that were replaced.
    pub fn losses(&self) -> usize {
        self.seats.iter().map(|seat| seat.launched - 1).sum()
    }

    /// Whether a room is on several workers.
    pub fn mirrors(&self) -> bool {
        self.workers().any(|worker| worker.stats().mirrored_tracks > 0)
    }
}

impl Thread {
    fn stands_still(&mut self, now: Instant) -> bool {
        if self.stands_still_until.is_some() {
            self.stood_still_at = now;
        }
        self.stands_still_until = self.stands_still_until.filter(|until| now < *until);
        self.stands_still_until.is_some()
    }

    /// One turn of the driver's loop, in the same order.
    fn turn(
        &mut self,
        now: Instant,
        socket: &mut VecDeque<Datagram>,
        address: SocketAddr,
        ways: &mut Ways<'_>,
    ) -> Turned {
        self.load.beat(now);
        if now >= self.next_stats {
            let stats = self.worker.stats();
            self.load.publish(&stats);
            self.next_stats = now + STATS_INTERVAL;
        }
        loop {
            match self.commands.try_recv() {
                Ok(DriverCommand::Media(command)) => self.worker.handle_command(now, command),
                Ok(DriverCommand::Link { far, end, .. }) => drop(self.worker.link(now, far, *end)),
                Ok(DriverCommand::Unlink { other }) => self.worker.unlink(now, other),
                Ok(DriverCommand::Report { rooms, reply }) => drop(reply.send(self.worker.report(now, &rooms))),
                #[cfg(debug_assertions)]
                Ok(DriverCommand::Fault(fault)) => panic!("nobody has asked for {fault:?}"),
                Ok(DriverCommand::Shutdown) | Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.worker.handle_shutdown(now);
                    self.send(now, address, ways);
                    return Turned::Ended;
                }
                Err(mpsc::error::TryRecvError::Empty) => break,
            }
            self.send(now, address, ways);
        }
        while let Some(Datagram { from, mut bytes, .. }) = socket.pop_front() {
            ways.heard.insert(from, now);
            let (start, len) = (0, bytes.len());
            let slice = Slice {
                from,
                to: None,
                start,
                len,
            };
            self.worker.handle_datagrams(now, &mut bytes, &[slice]);
            self.forward(now, &bytes, address, ways);
        }
        if self.worker.has_mail() {
            let mut mirrored = vec![0; MIRRORED_BYTES];
            while self.worker.has_mail() {
                self.worker.take_mirrored(now, &mut mirrored);
                self.forward(now, &mirrored, address, ways);
            }
        }
        let mut waiting = [0; MAX_WAITING_BYTES];
        while self.worker.has_waiting() {
            self.worker.take_waiting(now, &mut waiting);
            self.forward(now, &waiting, address, ways);
        }
        self.worker.handle_timeout(now);
        // Otherwise it would turn for ever at this instant.
        let due = self.worker.poll_timeout();
        assert!(
            due.is_none_or(|due| due > now),
            "a worker is due again at the same instant"
        );
        self.send(now, address, ways);
        // The other threads turn soon anyway.
        while self.worker.poll_wake().is_some() {}
        Turned::GoesOn
    }

    fn forward(&mut self, now: Instant, buffer: &[u8], address: SocketAddr, ways: &mut Ways<'_>) {
        loop {
            let done = self.worker.forward(now, buffer);
            self.send(now, address, ways);
            if done {
                return;
            }
        }
    }

    fn send(&mut self, now: Instant, from: SocketAddr, ways: &mut Ways<'_>) {
        let mut sent = Vec::new();
        drain(&mut self.worker, &mut sent);
        let is_late = now - self.stood_still_at < UNHEARD_MAX;
        for (to, bytes) in sent {
            let is_heard = ways.heard.get(&to).is_some_and(|heard| now - *heard < UNHEARD_MAX);
            assert!(is_heard || is_late, "{to} is sent something, and is not heard any more");
            *ways.datagrams_sent += 1;
            ways.network.send(now, Datagram { from, to, bytes });
        }
    }

    fn held_event(&mut self) -> Option<&MediaEvent> {
        if self.held.is_none() {
            self.held = self.worker.poll_event();
        }
        self.held.as_ref()
    }

    /// Hands the hub one event. Returns whether there was one.
    fn report(&mut self, events: &mpsc::Sender<MediaEvent>) -> bool {
        let Some(event) = self.held_event().cloned() else {
            return false;
        };
        let taken = events.try_send(event).is_ok();
        if taken {
            self.held = None;
        }
        taken
    }
}
