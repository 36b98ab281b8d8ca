//! How media workers come to life, and why they may not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::doorbell::Doorbell;
use super::load::Load;
use super::messages::DriverCommand;
use super::session::LocalEnd;
use super::worker::MAX_PEERS;
use crate::ids::WorkerId;
use crate::pinning::{Pinning, PinningError};
use crate::ports::PortError;

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

/// Commands that wait for one worker. As many as it can have connections: a join storm that fills the whole worker fits, and
/// a worker that has taken none of so many is lost. At some 4 KiB each they take 64 MiB.
pub const COMMANDS: usize = MAX_PEERS;

/// How workers come to life: threads in the server, whatever it likes in a test.
pub trait Launch: Send {
    /// A worker in the place of an earlier one, if `generation` is not 0.
    fn launch(&mut self, worker: WorkerId, generation: u8, now: Instant) -> Result<WorkerPort, MediaStartError>;

    /// The worker is lost. Its thread may have ended, or hang for ever.
    fn abandon(&mut self, worker: WorkerId);
}

/// The way to one worker that runs.
pub struct WorkerPort {
    pub commands: mpsc::Sender<DriverCommand>,
    pub doorbell: Arc<Doorbell>,
    pub load: Arc<Load>,
    pub local: LocalEnd,
    /// The processor that it keeps to.
    pub cpu: Option<usize>,
}

/// Why the media workers, or one in the place of a lost one, could not be started.
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
