//! The threads of the media workers: starts them, and starts replacements for lost ones.
//!
//! The sockets are opened once and stay open: a new thread goes on at the same port, whatever the earlier one does.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use slotmap::SecondaryMap;
use tokio::sync::mpsc;

use super::addresses;
use super::doorbell::Doorbell;
use super::driver::relayed::RelayedClients;
use super::driver::tcp::{ARRIVALS, TcpConnections};
use super::driver::{self, Driver, MediaSocket};
use super::launch::{COMMANDS, Launch, MediaSettings, WorkerPort};
use super::load::Load;
use super::messages::MediaEvent;
use super::peer::dtls::DtlsIdentity;
use super::relay;
use super::session::LocalEnd;
use super::worker::{WORKER_CACHE_BYTES, WorkerConfig};
use crate::ids::WorkerId;
use crate::media::launch::MediaStartError;
use crate::pulse::Pulse;

/// Hanging threads of one worker that were given up, while the worker is replaced once more. Each keeps its memory, and may
/// keep a processor busy: the machine can bear one.
const HANGING_MAX: usize = 1;
/// Time between two checks whether the threads have ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Starts the threads.
pub(super) struct ThreadLauncher {
    plans: Vec<WorkerPlan>,
    identity: DtlsIdentity,
    spare_identity: DtlsIdentity,
    max_publish_bps: u64,
    events: mpsc::Sender<MediaEvent>,
    threads: Threads,
    /// Threads of lost workers, which may hang for ever.
    abandoned: Vec<Thread>,
}

/// The parts that stay the same each time a worker is started.
struct WorkerPlan {
    sockets: Vec<MediaSocket>,
    local: LocalEnd,
    cpu: Option<usize>,
}

struct Thread {
    worker: WorkerId,
    handle: JoinHandle<()>,
}

/// The threads that have to end before the process does. Cheap to clone.
#[derive(Clone, Default)]
pub struct Threads {
    running: Arc<Mutex<Vec<Thread>>>,
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when all threads have ended, except those of lost workers. They end when their [`super::engine::MediaEngine`] is
    /// dropped.
    pub async fn ended(&self) {
        while !self.lock().iter().all(|thread| thread.handle.is_finished()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl ThreadLauncher {
    /// Opens all sockets before any thread starts: if one fails, nothing runs.
    pub fn new(settings: &MediaSettings, events: mpsc::Sender<MediaEvent>) -> Result<Self, MediaStartError> {
        let certificate = || DtlsIdentity::generate().map_err(|error| MediaStartError::Certificate(error.to_string()));
        let (identity, spare_identity) = (certificate()?, certificate()?);
        let cpus = settings.pinning.places(settings.workers.max(1))?;
        let announced = (&settings.announced_addresses[..], &settings.public_addresses[..]);
        let mut plans = Vec::new();
        for (index, &cpu) in cpus.iter().enumerate() {
            let wanted = match settings.first_port {
                0 => 0,
                first => first.saturating_add(index as u16),
            };
            let (sockets, port) = driver::bind(&settings.bind_addresses, wanted)?;
            let bound = sockets.iter().map(MediaSocket::ip);
            let candidates = addresses::candidates(announced, bound, port);
            if candidates.is_empty() {
                return Err(MediaStartError::NoAddress);
            }
            let local = LocalEnd {
                fingerprint: identity.fingerprint,
                spare_fingerprint: spare_identity.fingerprint,
                candidates,
                tcp_candidates: addresses::tcp_candidates(announced, &settings.tcp_listeners),
                worker: WorkerId(index),
            };
            plans.push(WorkerPlan { sockets, local, cpu });
        }
        Ok(ThreadLauncher {
            plans,
            identity,
            spare_identity,
            max_publish_bps: settings.max_publish_bps,
            events,
            threads: Threads::default(),
            abandoned: Vec::new(),
        })
    }

    pub fn threads(&self) -> Threads {
        self.threads.clone()
    }
}

impl Launch for ThreadLauncher {
    fn launch(&mut self, worker: WorkerId, generation: u8, now: Instant) -> Result<WorkerPort, MediaStartError> {
        self.abandoned.retain(|thread| !thread.handle.is_finished());
        let hanging = self.abandoned.iter().filter(|thread| thread.worker == worker).count();
        if hanging > HANGING_MAX {
            return Err(MediaStartError::Hangs);
        }
        let plan = &self.plans[worker.0];
        let sockets = plan.sockets.iter().map(MediaSocket::try_clone);
        let sockets = sockets
            .collect::<io::Result<Vec<_>>>()
            .map_err(MediaStartError::Thread)?;
        let (poll, waker) = driver::poll().map_err(MediaStartError::Thread)?;
        let doorbell = Arc::new(Doorbell::new(Some(waker)));
        let load = Arc::new(Load::new(Some(Pulse::new(now))));
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (tcp, arrivals) = mpsc::channel(ARRIVALS);
        let (relay, packets) = mpsc::channel(relay::PACKETS);
        let registry = poll.registry().try_clone().map_err(MediaStartError::Thread)?;
        let driver = Driver {
            index: worker.0,
            sockets,
            tcp: TcpConnections::new(arrivals, registry),
            relayed: RelayedClients::new(packets),
            poll,
            commands: receiver,
            events: self.events.clone(),
            config: WorkerConfig {
                identity: self.identity.clone(),
                spare_identity: self.spare_identity.clone(),
                max_publish_bps: self.max_publish_bps,
                max_segments: 1,
                cache_bytes: WORKER_CACHE_BYTES,
                index: worker.0,
                generation,
            },
            load: load.clone(),
            doorbell: doorbell.clone(),
            doorbells: SecondaryMap::new(),
            cpu: plan.cpu,
        };
        let port = WorkerPort {
            commands,
            doorbell,
            load: load.clone(),
            local: plan.local.clone(),
            cpu: plan.cpu,
            tcp: Some(tcp),
            relay: Some(relay),
        };
        let events = self.events.clone();
        let run = move || run(worker, driver, &load, &events);
        let thread = std::thread::Builder::new()
            .name(format!("media-{}", worker.0))
            .spawn(run);
        let handle = thread.map_err(MediaStartError::Thread)?;
        self.threads.lock().push(Thread { worker, handle });
        Ok(port)
    }

    fn abandon(&mut self, worker: WorkerId) {
        let mut running = self.threads.lock();
        let lost = running.extract_if(.., |thread| thread.worker == worker);
        self.abandoned.extend(lost);
    }
}

/// Runs a worker's thread from its start to its end, whatever ends it.
fn run(worker: WorkerId, driver: Driver, load: &Load, events: &mpsc::Sender<MediaEvent>) {
    match catch_unwind(AssertUnwindSafe(|| driver.run())) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(worker = worker.0, %error, "media worker failed"),
        Err(_) => tracing::error!(worker = worker.0, "media worker panicked"),
    }
    load.end();
    // A hub that has ended does not need this event. A hub with a full queue will find the lost worker by itself.
    let _ = events.try_send(MediaEvent::WorkerEnded { worker });
}
