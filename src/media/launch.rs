//! The start of media workers, and the reasons why it may fail.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::doorbell::Doorbell;
use super::load::Load;
use super::messages::DriverCommand;
use super::relay::FromRelay;
use super::session::LocalEnd;
use super::tcp::entrance::Arrival;
use super::worker::MAX_TRANSPORTS;
use crate::ids::WorkerId;
use crate::pinning::{Pinning, PinningError};
use crate::ports::PortError;

/// The settings of the media workers.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Local addresses of the media sockets; one port serves all of them. Unspecified addresses stand for all.
    pub bind_addresses: Vec<IpAddr>,
    /// The port of the first worker; worker n listens on `first_port + n`. 0 lets the system choose.
    pub first_port: u16,
    pub workers: usize,
    pub pinning: Pinning,
    /// Addresses announced in answers instead of those found on this machine. Empty: the found ones are announced.
    pub announced_addresses: Vec<IpAddr>,
    /// Addresses announced beside those found on this machine: under these a NAT forwards to it.
    pub public_addresses: Vec<IpAddr>,
    /// The addresses at which connections by TCP are accepted for all workers. Whoever accepts them hands them to
    /// [`TcpEntrance`](super::tcp::entrance::TcpEntrance).
    pub tcp_listeners: Vec<SocketAddr>,
    /// The limit announced to a publisher without transport-wide feedback.
    pub max_publish_bps: u64,
}

/// Commands that wait for one worker. There may be as many as connections: a join storm that fills the whole worker fits,
/// and a worker that has taken none of them is lost. At some 4 KiB each they take 64 MiB.
pub const COMMANDS: usize = MAX_TRANSPORTS;

/// The maker of workers: threads in the server, anything else in a test.
pub trait Launch: Send {
    /// Starts a worker. If `generation` is not 0, it replaces an earlier one.
    fn launch(&mut self, worker: WorkerId, generation: u8, now: Instant) -> Result<WorkerPort, MediaStartError>;

    /// Gives up a lost worker. Its thread may have ended, or hang for ever.
    fn abandon(&mut self, worker: WorkerId);
}

/// The way to one running worker.
pub struct WorkerPort {
    pub commands: mpsc::Sender<DriverCommand>,
    pub doorbell: Arc<Doorbell>,
    pub load: Arc<Load>,
    pub local: LocalEnd,
    /// The processor that it is pinned to, if any.
    pub cpu: Option<usize>,
    /// The way for TCP connections. `None` in tests without sockets.
    pub tcp: Option<mpsc::Sender<Arrival>>,
    /// The way for packets of our relay's clients. `None` there, too.
    pub relay: Option<mpsc::Sender<FromRelay>>,
}

/// The reason why the media workers, or a replacement, could not be started.
#[derive(Debug, thiserror::Error)]
pub enum MediaStartError {
    #[error("cannot listen for media on UDP {address}: {why}")]
    Bind { address: SocketAddr, why: PortError },
    #[error("no network address found to advertise to clients; set media.announced_addresses")]
    NoAddress,
    #[error("cannot make the DTLS certificate: {0}")]
    Certificate(String),
    #[error("cannot start a media worker thread: {0}")]
    Thread(io::Error),
    #[error("earlier threads of this media worker hang still")]
    Hangs,
    #[error("media.pin_workers: {0}")]
    Pinning(#[from] PinningError),
}
