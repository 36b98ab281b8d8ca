//! The handle through which the rest of the server uses the media workers: commands in, events out, plain values.

use std::net::{IpAddr, SocketAddr};

use tokio::sync::mpsc;

use super::session::{LocalEnd, PeerSpec};
use crate::ids::{PeerId, TrackId};

/// What the media workers need to know at start.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// Local addresses of the media sockets; one port serves all of them. Unspecified addresses stand for all.
    pub bind_addresses: Vec<IpAddr>,
    /// Worker n listens on `first_port + n`; 0 lets the system choose.
    pub first_port: u16,
    pub workers: usize,
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
    /// The connection is gone by itself: the worker has forgotten it. Not sent in answer to [`MediaCommand::Close`].
    Closed { peer: PeerId, reason: CloseReason },
    /// First authenticated packet of a published track.
    TrackStarted { peer: PeerId, track: TrackId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// No sign of life for the consent time (RFC 7675).
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

/// The running workers. Cheap to clone.
#[derive(Clone)]
pub struct Media {
    _private: (),
}

impl Media {
    /// Binds the sockets and starts the worker threads. The error names the address and port.
    pub fn start(_settings: &MediaSettings, _events: mpsc::Sender<MediaEvent>) -> Result<Media, MediaStartError> {
        todo!()
    }

    /// The least busy worker, for a new room.
    pub fn place_room(&self) -> WorkerId {
        todo!()
    }

    /// What answers for rooms on this worker say.
    pub fn local_end(&self, _worker: WorkerId) -> &LocalEnd {
        todo!()
    }

    /// Waits only while the worker's bounded command queue is full.
    pub async fn send(&self, _worker: WorkerId, _command: MediaCommand) {
        todo!()
    }

    /// Ends all connections (DTLS close_notify) and stops the threads; returns when they have ended.
    pub fn shutdown(&self) {
        todo!()
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
}
