//! The way of a new TCP connection to its worker: whoever has accepted it gives it to [`TcpEntrance::first_check`], which reads no
//! further than its first connectivity check, and then to [`TcpEntrance::hand_over`].

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::first_bytes::{self, Speaker};
use super::framing::{self, HEADER, MAX_PACKET};
use super::ufrag;
use crate::ids::WorkerId;
use crate::media::doorbell::Doorbell;
use crate::media::peer::ice::Request;

/// Time for a client's first check. It sends it as soon as it is connected; over a bad path it is repeated within three seconds.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(5);

/// A connection that has named a connection of ours by its first check.
pub struct Arrival {
    /// The socket, which does not block.
    pub stream: OwnedFd,
    pub client: SocketAddr,
    /// The bytes that have been read: the check.
    pub bytes: Vec<u8>,
    /// What is given back when the connection ends.
    pub place: Box<dyn Any + Send>,
}

/// The way to all workers. Cheap to clone.
#[derive(Clone, Default)]
pub struct TcpEntrance {
    /// The ways by the worker's index; `None` for a worker that is lost and not replaced.
    ways: Arc<ArcSwap<Vec<Option<Way>>>>,
}

/// The way to one worker.
pub(crate) struct Way {
    pub arrivals: mpsc::Sender<Arrival>,
    pub doorbell: Arc<Doorbell>,
}

/// The beginning of a connection: its first check, and the worker for which it is.
pub struct FirstCheck {
    pub worker: WorkerId,
    pub bytes: Vec<u8>,
}

/// The reason why a connection is closed before a worker has it.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("its first packet is no connectivity check")]
    NoCheck,
    #[error("its first check did not come in time")]
    Silent,
    #[error("its first check is for nobody here")]
    Unknown,
    #[error("its worker has as many connections waiting as it may")]
    Full,
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Refused {
    /// A word for it, for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Refused::NoCheck => "no_check",
            Refused::Silent => "silent",
            Refused::Unknown => "unknown",
            Refused::Full => "full",
            Refused::Failed(_) => "failed",
        }
    }
}

impl TcpEntrance {
    /// Reads the first packet. It must be a connectivity check (RFC 6544 §7.2).
    pub async fn first_check(stream: &mut (impl AsyncRead + Unpin)) -> Result<FirstCheck, Refused> {
        let reading = timeout(FIRST_CHECK_WITHIN, read_first(stream));
        let bytes = reading.await.map_err(|_| Refused::Silent)??;
        let request = bytes.get(HEADER..).and_then(Request::parse).ok_or(Refused::NoCheck)?;
        let (ours, _) = request.ufrags().ok_or(Refused::NoCheck)?;
        let worker = ufrag::worker_of(&ours).ok_or(Refused::Unknown)?;
        Ok(FirstCheck { worker, bytes })
    }

    /// Gives a connection to the worker that its first check names.
    pub fn hand_over(&self, worker: WorkerId, arrival: Arrival) -> Result<(), Refused> {
        let ways = self.ways.load();
        let way = ways.get(worker.0).and_then(Option::as_ref).ok_or(Refused::Unknown)?;
        way.arrivals.try_send(arrival).map_err(|_| Refused::Full)?;
        way.doorbell.ring();
        Ok(())
    }

    /// Takes over which workers there are, in the order of their indices.
    pub(crate) fn show(&self, ways: Vec<Option<Way>>) {
        self.ways.store(Arc::new(ways));
    }
}

/// Reads one packet with its length, and nothing after it. Each byte must be one of a check.
async fn read_first(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Refused> {
    let mut bytes = [0; HEADER + MAX_PACKET];
    let mut end = 0;
    loop {
        let wanted = framing::announced(&bytes[..end]).map_or(HEADER, |length| HEADER + length);
        if end == wanted {
            return Ok(bytes[..end].to_vec());
        }
        let read = stream.read(&mut bytes[end..wanted]).await?;
        if read == 0 {
            return Err(Refused::NoCheck);
        }
        end += read;
        if first_bytes::tell(&bytes[..end]) != Some(Speaker::Media) {
            return Err(Refused::NoCheck);
        }
    }
}
