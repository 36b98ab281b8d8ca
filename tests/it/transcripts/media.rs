//! The media workers' place: takes commands, says what it is told to say, and loses workers when it is told to.

use patchbay::ids::{PeerId, WorkerId};
use patchbay::media::codec::{Codec, Kind};
use patchbay::media::engine::Media;
use patchbay::media::messages::{CloseReason, DriverCommand, MediaCommand, MediaEvent};
use patchbay::media::session::PeerSpec;
use tokio::sync::mpsc;

use super::workers::FakeWorkers;

const EVENTS: usize = 16;

pub struct FakeMedia {
    workers: FakeWorkers,
    events: mpsc::Sender<MediaEvent>,
    /// In the order in which they came.
    peers: Vec<PeerId>,
}

impl FakeMedia {
    pub fn new() -> (Self, Media, mpsc::Receiver<MediaEvent>) {
        let (workers, media) = FakeWorkers::start();
        let (events, receiver) = mpsc::channel(EVENTS);
        let peers = Vec::new();
        (Self { workers, events, peers }, media, receiver)
    }

    /// The next command as a transcript tells it.
    pub fn next(&mut self) -> Option<String> {
        match self.workers.next()? {
            DriverCommand::Media(MediaCommand::Open(spec)) => Some(self.open(&spec)),
            DriverCommand::Media(MediaCommand::Close(peer)) => Some(format!("close {}", self.number(peer)?)),
            DriverCommand::Link { other, .. } => Some(format!("link {other}")),
            DriverCommand::Unlink { other } => Some(format!("unlink {other}")),
            DriverCommand::Shutdown => Some("shutdown".to_owned()),
            #[cfg(debug_assertions)]
            DriverCommand::Fault(fault) => Some(format!("{fault:?}")),
        }
    }

    fn open(&mut self, spec: &PeerSpec) -> String {
        let verb = if self.peers.contains(&spec.peer) {
            "again"
        } else {
            self.peers.push(spec.peer);
            "open"
        };
        let number = self.number(spec.peer).unwrap();
        let receives = spec.sections.iter().any(|section| section.receive);
        let sends = spec.sections.iter().any(|section| section.send);
        let purpose = match (receives, sends, spec.source.is_some()) {
            (true, false, false) => "publish",
            (false, true, true) => "watch",
            (true, true, true) => "both ways",
            other => panic!("neither publishing nor watching: {other:?}"),
        };
        let certificate = if spec.spare_certificate {
            ", other certificate"
        } else {
            ""
        };
        format!("{verb} {number} {purpose}{certificate}")
    }

    /// From 1.
    fn number(&self, peer: PeerId) -> Option<usize> {
        self.peers
            .iter()
            .position(|known| *known == peer)
            .map(|index| index + 1)
    }

    /// What the engine says of a connection, in a transcript's word.
    pub async fn says(&self, word: &str, number: usize) {
        let peer = self.peers[number - 1];
        let reason = CloseReason::ConsentExpired;
        let event = match word {
            "silent" => MediaEvent::Suspended { peer },
            "heard" => MediaEvent::Resumed { peer },
            _ => MediaEvent::Closed { peer, reason },
        };
        self.events.send(event).await.unwrap();
    }

    /// DTLS is up.
    pub async fn connect(&self, number: usize) {
        let peer = self.peers[number - 1];
        self.events.send(MediaEvent::Connected { peer }).await.unwrap();
    }

    pub async fn lose_worker(&self, worker: usize) {
        self.workers.end(worker);
        let worker = WorkerId(worker);
        self.events.send(MediaEvent::WorkerEnded { worker }).await.unwrap();
    }

    pub async fn report_decoding(&self, number: usize, can: bool) {
        let (peer, kind) = (self.peers[number - 1], Kind::Video);
        let codec = Codec::Av1 { profile: 0, tier: 0 };
        let event = match can {
            true => MediaEvent::Decodable { peer, kind },
            false => MediaEvent::Undecodable { peer, kind, codec },
        };
        self.events.send(event).await.unwrap();
    }

    /// Until the hub has taken all events.
    pub async fn settle(&self) {
        while !self.events.is_closed() && self.events.capacity() < EVENTS {
            tokio::task::yield_now().await;
        }
    }
}
