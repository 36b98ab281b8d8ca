//! Commands to media workers, and their events.

use std::sync::Arc;
#[cfg(debug_assertions)]
use std::time::Duration;

use tokio::sync::oneshot;

use super::codec::{Codec, Kind};
use super::doorbell::Doorbell;
use super::link::{Far, LinkEnd};
use super::names::Muted;
use super::report::TrackReport;
use super::session::PeerSpec;
use crate::ids::{Feed, FeedRef, ParticipantId, PeerId, RoomId, SlotId, TrackId, WorkerId};
use crate::video::{Quality, Want};

/// What the hub asks of a worker.
#[derive(Debug)]
pub enum MediaCommand {
    /// Starts a connection, or changes a live one after a new offer.
    Open(Box<PeerSpec>),
    Close(PeerId),
    /// Changes what a slot of a connection carries: the first track of the slot's kind in this feed, or nothing.
    Fill {
        peer: PeerId,
        slot: SlotId,
        source: Option<FeedRef>,
    },
    /// Forwards nothing of this that a connection or a player publishes, now and later, and everything else.
    Mute {
        peer: PeerId,
        muted: Muted,
    },
    /// What a connection's client wants of videos that it watches; of others it wants what there is. It replaces what was wanted
    /// before.
    Want {
        peer: PeerId,
        wants: Vec<(FeedRef, Want)>,
    },
}

/// What a worker reports to the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The handshake is finished and media can flow.
    Connected { peer: PeerId },
    /// Nothing is received from the client any more. Nothing is sent to it. Its keys are kept for some minutes, because it may
    /// come back.
    Suspended { peer: PeerId },
    /// Something is received from a suspended client again: media flows as before.
    Resumed { peer: PeerId },
    /// The connection has ended by itself, and the worker has forgotten it. Not sent in answer to [`MediaCommand::Close`].
    Closed { peer: PeerId, reason: CloseReason },
    /// The first authenticated packet of a published track has arrived.
    TrackStarted { peer: PeerId, track: TrackId },
    /// A worker's thread has ended: it is time to call [`MediaEngine::poll_lost`](super::engine::MediaEngine::poll_lost).
    WorkerEnded { worker: WorkerId },
    /// A publisher sends media of this kind only in a format that this client does not decode, so the client is not sent it.
    /// Reported once for each connection, kind and format, and at most about every ten seconds.
    Undecodable {
        peer: PeerId,
        publisher: ParticipantId,
        kind: Kind,
        codec: Codec,
    },
    /// The end of [`MediaEvent::Undecodable`].
    Decodable {
        peer: PeerId,
        publisher: ParticipantId,
        kind: Kind,
    },
    /// The encodings of a client's video that are wanted from now on, by their names (rids), and the most bits per second for the
    /// highest of them. The empty name is that of an encoding without one.
    LayersWanted {
        peer: PeerId,
        feed: Feed,
        layers: Vec<(String, bool)>,
        max_bits_per_second: Option<u64>,
    },
    /// What a client gets of a video is something else than before. Only about clients that understand that, and about one video
    /// once a second at most.
    Quality {
        peer: PeerId,
        feed: FeedRef,
        quality: Quality,
    },
    /// The participant who publishes over this connection has begun to speak. It is found by the clock, within about 200 ms of
    /// the first word, and only if their client sends audio levels (RFC 6464).
    SpeechBegan { peer: PeerId },
    /// The end of [`MediaEvent::SpeechBegan`]. A pause of less than 800 ms does not end speech. Not sent when the connection
    /// ends.
    SpeechEnded { peer: PeerId },
}

/// The reason why a connection has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// Nothing was received from the client for the consent time (RFC 7675), nor while it was suspended.
    ConsentExpired,
    /// ICE or DTLS did not finish in time.
    ConnectTimeout,
    /// The DTLS handshake failed.
    HandshakeFailed,
    /// The certificate's fingerprint is not the one in the offer.
    WrongFingerprint,
    /// The client sent a DTLS close_notify.
    ClosedByPeer,
    /// The worker has as many connections as it may have.
    Full,
    /// A player has come to its end.
    Played,
}

/// Commands to the thread of a worker.
pub enum DriverCommand {
    Media(MediaCommand),
    /// Links the worker with `far`, which may have a part in rooms from now on.
    Link {
        far: Far,
        end: Box<LinkEnd>,
        /// The doorbell of the other end. `None` if the other end looks by a clock of its own.
        doorbell: Option<Arc<Doorbell>>,
    },
    /// Removes the link with a worker that is lost, and what it shared.
    Unlink {
        other: usize,
    },
    /// Reports the tracks of these rooms that are published here.
    Report {
        rooms: Arc<[RoomId]>,
        reply: oneshot::Sender<Vec<TrackReport>>,
    },
    /// Closes all connections and ends the thread.
    Shutdown,
    #[cfg(debug_assertions)]
    Fault(Fault),
}

/// A failure that a test asks for. Release builds have none.
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Panic,
    /// An error that `run` returns.
    Error,
    /// The thread does nothing for this time.
    Hang(Duration),
}
