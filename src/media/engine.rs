//! The handle through which the rest of the server uses the media workers: commands in, events out, plain values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::doorbell::Doorbell;
use super::driver::{self, Driver, DriverCommand, MediaSocket};
use super::link;
use super::peer::dtls::DtlsIdentity;
use super::pinning::{Pinning, PinningError};
use super::session::{LocalEnd, PeerSpec};
use super::stats::Stats;
use super::worker::WorkerConfig;
use crate::ids::{PeerId, TrackId};

/// What the media workers need to know at start.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Local addresses of the media sockets; one port serves all of them. Unspecified addresses stand for all.
    pub bind_addresses: Vec<IpAddr>,
    /// Worker n listens on `first_port + n`; 0 lets the system choose.
    pub first_port: u16,
    pub workers: usize,
    pub pinning: Pinning,
    /// What answers advertise instead of the addresses found on this machine; empty to find them.
    pub announced_addresses: Vec<IpAddr>,
    /// The most a publisher without transport-wide feedback is told to send.
    pub max_publish_bps: u64,
}

/// Which worker; an index below the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub usize);

#[derive(Debug)]
pub enum MediaCommand {
    /// Starts a connection, or changes a live one after a new offer.
    Open(Box<PeerSpec>),
    Close(PeerId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// DTLS is up and media can flow.
    Connected { peer: PeerId },
    /// The client is not heard any more. Nothing is sent to it; its keys are kept for some minutes, for it may come back.
    Suspended { peer: PeerId },
    /// A suspended client is heard again: media flows as before.
    Resumed { peer: PeerId },
    /// The connection is gone by itself: the worker has forgotten it. Not sent in answer to [`MediaCommand::Close`].
    Closed { peer: PeerId, reason: CloseReason },
    /// First authenticated packet of a published track.
    TrackStarted { peer: PeerId, track: TrackId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// No sign of life for the consent time (RFC 7675), and none while it was suspended.
    ConsentExpired,
    /// ICE or DTLS did not finish in time.
    ConnectTimeout,
    /// DTLS handshake failed.
    HandshakeFailed,
    /// The certificate's fingerprint is not the one in the offer.
    WrongFingerprint,
    /// The client sent a DTLS close_notify.
    ClosedByPeer,
    /// The worker holds as many connections as it may.
    Full,
}

/// Commands that wait for one worker: a join storm's worth. Past it, the sender waits.
const COMMAND_QUEUE: usize = 4_096;

/// The running workers. Cheap to clone.
#[derive(Clone)]
pub struct Media {
    workers: Arc<[WorkerPort]>,
    /// None in tests of what stands above the media. By the worker's index, as `workers`.
    doorbells: Arc<[Doorbell]>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

struct WorkerPort {
    commands: mpsc::Sender<DriverCommand>,
    local: LocalEnd,
    cpu: Option<usize>,
    load: Arc<Load>,
    /// Whether it can reach the worker of that index, or will, by the time that it has taken its commands.
    linked: Box<[AtomicBool]>,
}

/// How busy a worker is, and that its thread lives. Written by the worker about once a second.
#[derive(Debug, Default)]
pub struct Load {
    subscriptions: AtomicU64,
    peers: AtomicU64,
    /// Rooms placed and subscriptions opened since the last report, which does not know them yet.
    placed: AtomicU64,
    running: AtomicBool,
}

impl Load {
    /// Every subscription is a stream of packets to send; a connection costs its keep-alives; a new room will have some.
    fn weight(&self) -> u64 {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        10 * count(&self.subscriptions) + count(&self.peers) + 10 * count(&self.placed)
    }

    /// Copies a worker's counters to where metrics and placement read them.
    pub fn publish(&self, index: usize, stats: &Stats) {
        self.subscriptions.store(stats.subscriptions, Ordering::Relaxed);
        self.peers.store(stats.peers, Ordering::Relaxed);
        self.placed.store(0, Ordering::Relaxed);
        stats.publish(index);
    }
}

impl Media {
    /// Binds the sockets and starts the worker threads. The error names the address and port.
    pub fn start(settings: &MediaSettings, events: mpsc::Sender<MediaEvent>) -> Result<Media, MediaStartError> {
        let certificate = || DtlsIdentity::generate().map_err(|error| MediaStartError::Certificate(error.to_string()));
        let (identity, spare_identity) = (certificate()?, certificate()?);
        let count = settings.workers.max(1);
        let cpus = settings.pinning.places(count)?;
        let polls: Result<Vec<_>, _> = (0..count).map(|_| driver::poll()).collect();
        let (polls, wakers): (Vec<_>, Vec<_>) = polls.map_err(MediaStartError::Thread)?.into_iter().unzip();
        let doorbells: Arc<[Doorbell]> = wakers.into_iter().map(Doorbell::new).collect();
        let mut ports = Vec::new();
        let mut drivers = Vec::new();
        // All sockets before any thread: what fails leaves nothing running.
        for (index, (poll, &cpu)) in polls.into_iter().zip(&cpus).enumerate() {
            let wanted = match settings.first_port {
                0 => 0,
                first => first.saturating_add(index as u16),
            };
            let (sockets, port) = driver::bind(&settings.bind_addresses, wanted)?;
            let local = LocalEnd {
                fingerprint: identity.fingerprint,
                spare_fingerprint: spare_identity.fingerprint,
                candidates: candidates(settings, &sockets, port)?,
            };
            let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
            let load = Arc::new(Load::default());
            load.running.store(true, Ordering::Relaxed);
            let config = WorkerConfig {
                identity: identity.clone(),
                spare_identity: spare_identity.clone(),
                max_publish_bps: settings.max_publish_bps,
                max_segments: 1,
                index,
            };
            drivers.push(Driver {
                index,
                sockets,
                poll,
                commands: receiver,
                events: events.clone(),
                config,
                load: load.clone(),
                doorbells: doorbells.clone(),
                cpu,
            });
            ports.push(WorkerPort {
                commands,
                local,
                cpu,
                load,
                linked: (0..count).map(|_| AtomicBool::new(false)).collect(),
            });
        }
        let mut threads = Vec::new();
        for driver in drivers {
            let (index, load) = (driver.index, driver.load.clone());
            let run = move || {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| driver.run()));
                load.running.store(false, Ordering::Relaxed);
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::error!(worker = index, %error, "media worker stopped"),
                    Err(_) => tracing::error!(worker = index, "media worker panicked"),
                }
            };
            let thread = std::thread::Builder::new().name(format!("media-{index}")).spawn(run);
            threads.push(thread.map_err(MediaStartError::Thread)?);
        }
        Ok(Media {
            workers: ports.into(),
            doorbells,
            threads: Arc::new(Mutex::new(threads)),
        })
    }

    /// A handle with no worker behind it: whoever holds the receiver sees the commands. For tests of what stands above.
    pub fn detached(local: LocalEnd) -> (Media, mpsc::Receiver<DriverCommand>) {
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let port = WorkerPort {
            commands,
            local,
            cpu: None,
            load: Arc::default(),
            linked: Box::default(),
        };
        (
            Media {
                workers: [port].into(),
                doorbells: Arc::new([]),
                threads: Arc::default(),
            },
            receiver,
        )
    }

    /// The least busy worker, for a new room.
    pub fn place_room(&self) -> WorkerId {
        let least = self.least_busy(|_| true).unwrap_or(WorkerId(0));
        self.workers[least.0].load.placed.fetch_add(1, Ordering::Relaxed);
        least
    }

    /// The least busy of those workers that `is_asked` takes; `None` if there is no such worker.
    pub fn least_busy(&self, is_asked: impl Fn(WorkerId) -> bool) -> Option<WorkerId> {
        (0..self.workers.len())
            .filter(|&index| is_asked(WorkerId(index)))
            .min_by_key(|&index| self.workers[index].load.weight())
            .map(WorkerId)
    }

    /// What answers for rooms on this worker say.
    pub fn local_end(&self, worker: WorkerId) -> &LocalEnd {
        &self.workers[worker.0].local
    }

    /// The processor that a worker keeps to, if it is pinned to one.
    pub fn cpu(&self, worker: WorkerId) -> Option<usize> {
        self.workers[worker.0].cpu
    }

    /// Whether every worker thread lives.
    pub fn is_running(&self) -> bool {
        self.workers
            .iter()
            .all(|worker| self.doorbells.is_empty() || worker.load.running.load(Ordering::Relaxed))
    }

    /// Waits only while the worker's bounded command queue is full.
    pub async fn send(&self, worker: WorkerId, command: MediaCommand) {
        if let MediaCommand::Open(spec) = &command {
            let copies = spec.sections.iter().filter(|section| section.send).count() as u64;
            self.workers[worker.0].load.placed.fetch_add(copies, Ordering::Relaxed);
            self.link(worker, spec.home).await;
        }
        self.post(worker, DriverCommand::Media(command)).await;
    }

    /// Lets two workers share rooms. Made when a first room needs it, and kept.
    async fn link(&self, one: WorkerId, other: WorkerId) {
        if one == other || self.workers[one.0].linked[other.0].swap(true, Ordering::Relaxed) {
            return;
        }
        self.workers[other.0].linked[one.0].store(true, Ordering::Relaxed);
        let (end, other_end) = link::pair();
        for (of, other, end) in [(one, other, end), (other, one, other_end)] {
            let end = Box::new(end);
            self.post(of, DriverCommand::Link { other: other.0, end }).await;
        }
    }

    async fn post(&self, worker: WorkerId, command: DriverCommand) {
        if self.workers[worker.0].commands.send(command).await.is_ok() {
            self.wake(worker.0);
        }
    }

    fn wake(&self, index: usize) {
        if let Some(doorbell) = self.doorbells.get(index) {
            // It fails only when the thread is gone, which `is_running` tells.
            let _ = doorbell.wake();
        }
    }

    /// Ends all connections (DTLS close_notify) and stops the threads; returns when they have ended.
    pub fn shutdown(&self) {
        for (index, worker) in self.workers.iter().enumerate() {
            // A full queue means a worker that no longer takes commands: it is left to the end of the process.
            let _ = worker.commands.try_send(DriverCommand::Shutdown);
            self.wake(index);
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Where clients can reach these sockets: what the operator announces, otherwise the bound addresses, and for a wildcard
/// all addresses of the machine (loopback only where there is nothing else).
fn candidates(
    settings: &MediaSettings,
    sockets: &[MediaSocket],
    port: u16,
) -> Result<Vec<SocketAddr>, MediaStartError> {
    let mut found: Vec<IpAddr> = settings.announced_addresses.clone();
    if found.is_empty() {
        for socket in sockets {
            match socket.ip() {
                ip if !ip.is_unspecified() => found.push(ip),
                ip => found.extend(machine_addresses(ip.is_ipv4())),
            }
        }
    }
    // IPv4 first: where both work, fewer networks break it.
    found.sort_by_key(|ip| ip.is_ipv6());
    found.dedup();
    if found.is_empty() {
        return Err(MediaStartError::NoAddress);
    }
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

fn machine_addresses(ipv4: bool) -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let usable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ipv4 && !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ipv4 && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let found: Vec<IpAddr> = interfaces
        .iter()
        .map(|interface| interface.ip())
        .filter(usable)
        .collect();
    match (found.is_empty(), ipv4) {
        (false, _) => found,
        (true, true) => vec![Ipv4Addr::LOCALHOST.into()],
        (true, false) if interfaces.iter().any(|interface| interface.ip().is_ipv6()) => {
            vec![Ipv6Addr::LOCALHOST.into()]
        }
        (true, false) => Vec::new(),
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MediaStartError {
    #[error(
        "cannot listen for media on UDP {address}: {source}. Is another program using the port? Change media.first_port, or stop it"
    )]
    Bind {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("no network address found to advertise to clients; set media.announced_addresses")]
    NoAddress,
    #[error("cannot make the DTLS certificate: {0}")]
    Certificate(String),
    #[error("cannot start a media worker thread: {0}")]
    Thread(std::io::Error),
    #[error("media.pin_workers: {0}")]
    Pinning(#[from] PinningError),
}
