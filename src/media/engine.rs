//! The handle through which the hub uses the media workers: commands go in, events come out, all plain values. It notices lost
//! workers and replaces them. It touches neither threads nor clocks ([`Launch`] starts workers).
//!
//! A worker is lost when its thread has ended, when its queue of commands is full because it takes none, or when it has not
//! turned for [`TICKS_WITHOUT_TURN`] seconds. From then on nothing is sent to it, the other workers remove their links with it,
//! and [`MediaEngine::poll_lost`] reports it to the hub, which ends everything that lived there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info};

use super::doorbell::Doorbell;
use super::launch::MediaStartError;
use super::link::{self, Far, LinkEnd};
use super::messages::DriverCommand;
use super::relay::{self, RelayEntrance};
use super::replacements::Replacements;
use super::report::TrackReport;
use super::session::LocalEnd;
use super::stats::{Stats, WorkerMeters};
use super::tcp::entrance::{TcpEntrance, Way};
use super::threads::{ThreadLauncher, Threads};
use crate::ids::{RoomId, WorkerId};
use crate::media::launch::{Launch, MediaSettings, WorkerPort};
#[cfg(debug_assertions)]
use crate::media::messages::Fault;
use crate::media::messages::{MediaCommand, MediaEvent};
use crate::pulse::Pulse;

/// Ticks of a second ([`MediaEngine::tick`]) without a turn after which a worker is lost. A worker turns at least once a second, and
/// after each batch of packets. A thread that the machine does not run for some seconds may go on. After ten seconds, its
/// participants have seen a frozen picture for so long that joining again is better for them. Seconds in which the whole
/// process stood still are no ticks.
pub(crate) const TICKS_WITHOUT_TURN: u32 = 10;

/// Ticks without a turn after which new rooms go to other workers.
const TICKS_SUSPECT: u32 = 2;

/// The workers. The hub owns them. When this is dropped, they close all connections and end.
pub struct MediaEngine {
    launch: Box<dyn Launch>,
    slots: Vec<Slot>,
    /// The lost workers that [`MediaEngine::poll_lost`] has not returned yet.
    lost: VecDeque<WorkerId>,
    watch: MediaWatch,
    entrance: TcpEntrance,
    relay: RelayEntrance,
}

/// The place of one worker and of its replacements.
struct Slot {
    /// The way to the worker. `None` while it is lost and not replaced.
    port: Option<WorkerPort>,
    local: LocalEnd,
    cpu: Option<usize>,
    generation: u8,
    replacements: Replacements,
    /// The workers, by index, that this one has a link with, or will have once it has handled its commands.
    linked: Vec<bool>,
    /// The pulse at the last tick; `ticks_without_turn` counts the ticks for which it has stayed the same.
    last_turn_ms: u64,
    ticks_without_turn: u32,
}

/// The reason why a worker is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Ended,
    Overflowed,
    Hangs,
}

impl Loss {
    fn sentence(self) -> &'static str {
        match self {
            Loss::Ended => "its thread has ended",
            Loss::Overflowed => "it does not take its commands",
            Loss::Hangs => "it has not turned for ten seconds",
        }
    }
}

impl Slot {
    fn new(port: WorkerPort, workers: usize) -> Slot {
        Slot {
            local: port.local.clone(),
            cpu: port.cpu,
            port: Some(port),
            generation: 0,
            replacements: Replacements::default(),
            linked: vec![false; workers],
            last_turn_ms: 0,
            ticks_without_turn: 0,
        }
    }

    /// Counts a tick. Returns whether the worker has stood still for too many of them.
    fn hangs(&mut self) -> bool {
        let Some(pulse) = self.port.as_ref().and_then(|port| port.load.pulse()) else {
            return false;
        };
        let last_turn_ms = pulse.last_ms();
        if std::mem::replace(&mut self.last_turn_ms, last_turn_ms) == last_turn_ms {
            self.ticks_without_turn += 1;
        } else {
            self.ticks_without_turn = 0;
        }
        self.ticks_without_turn >= TICKS_WITHOUT_TURN
    }

    /// The weight of this worker: a new room goes to the smallest. `None` if there is no worker.
    fn weight(&self) -> Option<(bool, u64)> {
        let port = self.port.as_ref()?;
        Some((self.ticks_without_turn >= TICKS_SUSPECT, port.load.weight()))
    }
}

impl MediaEngine {
    /// Binds the sockets and starts the worker threads. The error names the address and port.
    pub fn start(
        settings: &MediaSettings,
        events: mpsc::Sender<MediaEvent>,
        now: Instant,
    ) -> Result<(MediaEngine, Threads), MediaStartError> {
        let launcher = ThreadLauncher::new(settings, events)?;
        let threads = launcher.threads();
        let media = MediaEngine::with(Box::new(launcher), settings.workers.max(1), now)?;
        Ok((media, threads))
    }

    /// Starts with workers that `launch` makes.
    pub fn with(mut launch: Box<dyn Launch>, workers: usize, now: Instant) -> Result<MediaEngine, MediaStartError> {
        let mut slots = Vec::new();
        for index in 0..workers {
            let port = launch.launch(WorkerId(index), 0, now)?;
            slots.push(Slot::new(port, workers));
        }
        let mut media = MediaEngine {
            launch,
            slots,
            lost: VecDeque::new(),
            watch: MediaWatch::default(),
            entrance: TcpEntrance::default(),
            relay: RelayEntrance::default(),
        };
        media.show();
        Ok(media)
    }

    /// The addresses at which clients can reach the workers.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &LocalEnd> {
        self.slots.iter().map(|slot| &slot.local)
    }

    /// The least busy worker, for a new room. `None` if all are lost.
    pub(crate) fn place_room(&self) -> Option<WorkerId> {
        let least = self.least_busy(|_| true)?;
        if let Some(port) = &self.slots[least.0].port {
            port.load.place(1);
        }
        Some(least)
    }

    /// The least busy of the workers for which `is_asked` is true; `None` if there is none. A worker that has just stopped
    /// turning counts as busier than all others; a lost one does not count.
    pub(crate) fn least_busy(&self, is_asked: impl Fn(WorkerId) -> bool) -> Option<WorkerId> {
        let weight = |index: usize| Some((self.slots[index].weight()?, index));
        (0..self.slots.len())
            .filter(|&index| is_asked(WorkerId(index)))
            .filter_map(weight)
            .min()
            .map(|(_, index)| WorkerId(index))
    }

    /// The addresses and fingerprints in answers for rooms on this worker.
    pub(crate) fn local_end(&self, worker: WorkerId) -> &LocalEnd {
        &self.slots[worker.0].local
    }

    /// The processor that a worker is pinned to, if any.
    pub(crate) fn cpu(&self, worker: WorkerId) -> Option<usize> {
        self.slots[worker.0].cpu
    }

    /// Whether there is a worker that is not lost.
    pub(crate) fn has_worker(&self) -> bool {
        self.slots.iter().any(|slot| slot.port.is_some())
    }

    pub fn watch(&self) -> MediaWatch {
        self.watch.clone()
    }

    /// The way to the workers for connections by TCP.
    pub fn tcp_entrance(&self) -> TcpEntrance {
        self.entrance.clone()
    }

    /// The way to the workers for the clients of our relay.
    pub fn relay_entrance(&self) -> RelayEntrance {
        self.relay.clone()
    }

    /// Sends a command. Never waits. A command to a lost worker is dropped: everything there has ended anyway.
    pub fn send(&mut self, worker: WorkerId, command: MediaCommand) {
        if let MediaCommand::Open(spec) = &command {
            let copies = spec.copies() as u64;
            if let Some(port) = &self.slots[worker.0].port {
                port.load.place(copies);
            }
            for other in &spec.others {
                self.link(worker.0, other.0);
            }
        }
        self.post(worker.0, DriverCommand::Media(command));
    }

    /// Makes a link with a worker, for somebody who has a part in its rooms. Returns the other end, and the doorbell of the
    /// worker. `None` if the worker is lost.
    pub fn admit(&mut self, worker: WorkerId, far: Far) -> Option<(LinkEnd, Arc<Doorbell>)> {
        let bell = self.slots[worker.0].port.as_ref()?.doorbell.clone();
        let (end, their_end) = link::narrow_pair();
        let end = Box::new(end);
        let doorbell = None;
        self.post(worker.0, DriverCommand::Link { far, end, doorbell });
        Some((their_end, bell))
    }

    /// Asks all workers for their tracks in these rooms. Returns each worker's answer, which comes within a second if the worker
    /// turns.
    pub(crate) fn report(&mut self, rooms: &Arc<[RoomId]>) -> Vec<(WorkerId, oneshot::Receiver<Vec<TrackReport>>)> {
        let mut answers = Vec::new();
        for index in 0..self.slots.len() {
            let (reply, answer) = oneshot::channel();
            let rooms = Arc::clone(rooms);
            // A lost worker's answer is an error: its sender is dropped.
            self.post(index, DriverCommand::Report { rooms, reply });
            answers.push((WorkerId(index), answer));
        }
        answers
    }

    /// Makes a worker fail.
    #[cfg(debug_assertions)]
    pub(crate) fn fault(&mut self, worker: WorkerId, fault: Fault) {
        if worker.0 < self.slots.len() {
            self.post(worker.0, DriverCommand::Fault(fault));
        }
    }

    /// Returns a worker that has been lost since the last call: its rooms and connections have ended. It has been replaced by
    /// now, if that was possible.
    pub(crate) fn poll_lost(&mut self, now: Instant) -> Option<WorkerId> {
        for index in 0..self.slots.len() {
            let port = self.slots[index].port.as_ref();
            if port.is_some_and(|port| !port.load.is_running()) {
                self.lose(index, Loss::Ended);
            }
        }
        let lost = self.lost.pop_front()?;
        if !self.replace(now, lost.0) {
            error!(worker = lost.0, "media worker missing for up to a minute");
        }
        Some(lost)
    }

    /// Looks for workers that hang, and tries again to replace those that are missing. Call it every second.
    pub fn tick(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            if self.slots[index].hangs() {
                self.lose(index, Loss::Hangs);
            } else if self.slots[index].port.is_none() && !self.lost.contains(&WorkerId(index)) {
                self.replace(now, index);
            }
        }
    }

    fn lose(&mut self, index: usize, loss: Loss) {
        // A thread that hung and goes on one day finds its queue of commands closed, and ends.
        if self.slots[index].port.take().is_none() {
            return;
        }
        error!(worker = index, why = loss.sentence(), "media worker lost");
        metrics::counter!("patchbay_media_worker_losses_total", "worker" => index.to_string()).increment(1);
        // The worker has no connections or rooms any more.
        WorkerMeters::new(index).show(&Stats::default());
        self.launch.abandon(WorkerId(index));
        self.lost.push_back(WorkerId(index));
        self.slots[index].linked.fill(false);
        for other in 0..self.slots.len() {
            if std::mem::take(&mut self.slots[other].linked[index]) {
                self.post(other, DriverCommand::Unlink { other: index });
            }
        }
        self.show();
    }

    /// Replaces a lost worker. Returns whether there is a worker in its place now.
    fn replace(&mut self, now: Instant, index: usize) -> bool {
        let slot = &mut self.slots[index];
        if slot.port.is_some() {
            return true;
        }
        if !slot.replacements.may(now) {
            return false;
        }
        slot.generation = slot.generation.wrapping_add(1);
        let generation = slot.generation;
        match self.launch.launch(WorkerId(index), generation, now) {
            Ok(port) => {
                slot.local = port.local.clone();
                slot.port = Some(port);
                (slot.last_turn_ms, slot.ticks_without_turn) = (0, 0);
                info!(worker = index, "media worker replaced");
                self.show();
                true
            }
            Err(error) => {
                error!(worker = index, %error, "media worker not replaced");
                false
            }
        }
    }

    /// Links two workers, so that they can share rooms. The link is made when a first room needs it, and kept until one of them
    /// is lost.
    fn link(&mut self, one: usize, other: usize) {
        let (Some(port), Some(other_port)) = (&self.slots[one].port, &self.slots[other].port) else {
            return;
        };
        if one == other || self.slots[one].linked[other] {
            return;
        }
        let doorbells = [other_port.doorbell.clone(), port.doorbell.clone()];
        self.slots[one].linked[other] = true;
        self.slots[other].linked[one] = true;
        let (end, other_end) = link::pair();
        let ends = [(one, other, end), (other, one, other_end)];
        for ((of, other, end), doorbell) in ends.into_iter().zip(doorbells.map(Some)) {
            let end = Box::new(end);
            // If one was just found to be lost, the other one must not be linked with it.
            if self.slots[of].linked[other] {
                let far = Far::Worker(other);
                self.post(of, DriverCommand::Link { far, end, doorbell });
            }
        }
    }

    fn post(&mut self, index: usize, command: DriverCommand) {
        let Some(port) = &self.slots[index].port else { return };
        match port.commands.try_send(command) {
            Ok(()) => port.doorbell.wake(),
            Err(mpsc::error::TrySendError::Full(_)) => self.lose(index, Loss::Overflowed),
            Err(mpsc::error::TrySendError::Closed(_)) => self.lose(index, Loss::Ended),
        }
    }

    /// Shows the rest of the server which workers there are.
    fn show(&mut self) {
        let ports = self.slots.iter().map(|slot| slot.port.as_ref());
        let pulses: Vec<Option<Pulse>> = ports.map(|port| port?.load.pulse().cloned()).collect();
        let running = self.slots.iter().filter(|slot| slot.port.is_some()).count();
        metrics::gauge!("patchbay_media_workers").set(running as f64);
        self.watch.pulses.store(Arc::new(pulses));
        let way = |slot: &Slot| {
            let port = slot.port.as_ref()?;
            let (arrivals, doorbell) = (port.tcp.clone()?, port.doorbell.clone());
            Some(Way { arrivals, doorbell })
        };
        self.entrance.show(self.slots.iter().map(way).collect());
        let way = |slot: &Slot| {
            let port = slot.port.as_ref()?;
            Some(relay::Way {
                packets: port.relay.clone()?,
                doorbell: port.doorbell.clone(),
                candidates: port.local.candidates.clone(),
            })
        };
        self.relay.show(self.slots.iter().filter_map(way).collect());
    }
}

impl Drop for MediaEngine {
    fn drop(&mut self) {
        self.entrance.show(Vec::new());
        self.relay.show(Vec::new());
        for port in self.slots.iter().filter_map(|slot| slot.port.as_ref()) {
            // A full queue means a worker that takes no commands any more: it ends with the process.
            let _ = port.commands.try_send(DriverCommand::Shutdown);
            port.doorbell.wake();
        }
    }
}

/// The pulses of the workers, for checks of the server's health. Cheap to clone.
#[derive(Clone, Default)]
pub struct MediaWatch {
    /// The pulses by the worker's index; `None` for a worker that is lost and not replaced.
    pulses: Arc<ArcSwap<Vec<Option<Pulse>>>>,
}

impl MediaWatch {
    /// Whether each worker turns.
    pub(crate) fn turning(&self, now: Instant) -> Vec<bool> {
        let turns = |pulse: &Option<Pulse>| pulse.as_ref().is_some_and(|pulse| !pulse.stands_still(now));
        self.pulses.load().iter().map(turns).collect()
    }
}

#[cfg(test)]
mod tests;
