//! What media workers are asked, and what they report.

use std::sync::Arc;
#[cfg(debug_assertions)]
use std::time::Duration;

use super::codec::{Codec, Kind};
use super::doorbell::Doorbell;
use super::link::{Far, LinkEnd};
use super::session::PeerSpec;
use crate::ids::{FeedRef, ParticipantId, PeerId, SlotId, TrackId, WorkerId};

#[derive(Debug)]
pub enum MediaCommand {
    /// Starts a connection, or changes a live one after a new offer.
    Open(Box<PeerSpec>),
    Close(PeerId),
    /// Changes what a slot of a connection carries: the first track of each kind of this feed, or nothing.
    Fill {
        peer: PeerId,
        slot: SlotId,
        source: Option<FeedRef>,
    },
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
    /// A worker's thread has ended: time to ask [`Media::poll_lost`](super::engine::Media::poll_lost).
    WorkerEnded { worker: WorkerId },
    /// Something of this kind is published in no format that this client decodes, so it is not sent to it. Reported once for each
    /// connection, kind and format, and not more often than about every ten seconds.
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
    /// Whoever publishes over this connection has begun to speak. Found by the clock, within about 200 ms of the first word, and
    /// only where their client sends audio levels (RFC 6464).
    SpeechBegan { peer: PeerId },
    /// The end of [`MediaEvent::SpeechBegan`]: not within a breath of 800 ms, and not sent where the connection ends.
    SpeechEnded { peer: PeerId },
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
    /// A player has come to its end.
    Played,
}

/// What the thread of a worker is asked.
pub enum DriverCommand {
    Media(MediaCommand),
    /// From now on `far` may have a part in rooms.
    Link {
        far: Far,
        end: Box<LinkEnd>,
        /// What wakes the other end; `None` of one that looks by a clock of its own.
        doorbell: Option<Arc<Doorbell>>,
    },
    /// Worker `other` is lost, with what it shared.
    Unlink {
        other: usize,
    },
    /// Say goodbye to everybody and end the thread.
    Shutdown,
    #[cfg(debug_assertions)]
    Fault(Fault),
}

/// A failure that a test asks for. Release builds have none.
#[cfg(debug_assertions)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Panic,
    /// `run` returns an error.
    Error,
    /// The thread does nothing for so long.
    Hang(Duration),
}
