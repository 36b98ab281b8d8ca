//! A double of the media workers: it takes commands, sends the events that a transcript asks for, and loses workers when a
//! transcript says so.

use std::collections::HashMap;

use patchbay::ids::{Feed, FeedRef, ParticipantId, PeerId, WorkerId};
use patchbay::media::codec::{Codec, Kind};
use patchbay::media::engine::MediaEngine;
use patchbay::media::link::Far;
use patchbay::media::messages::{CloseReason, DriverCommand, MediaCommand, MediaEvent};
use patchbay::media::names::{Down, Muted};
use patchbay::media::session::PeerSpec;
use patchbay::video::{Cause, Quality, State};
use tokio::sync::mpsc;

use super::workers::FakeWorkers;

const EVENTS: usize = 16;

pub struct FakeMedia {
    workers: FakeWorkers,
    events: mpsc::Sender<MediaEvent>,
    /// The connections, in the order in which they came.
    peers: Vec<PeerId>,
    /// The participant that each of them watches, if any.
    watched: HashMap<PeerId, ParticipantId>,
}

impl FakeMedia {
    pub fn new() -> (Self, MediaEngine, mpsc::Receiver<MediaEvent>) {
        let (workers, media) = FakeWorkers::start();
        let (events, receiver) = mpsc::channel(EVENTS);
        let media_place = Self {
            workers,
            events,
            peers: Vec::new(),
            watched: HashMap::new(),
        };
        (media_place, media, receiver)
    }

    /// The next command, as it stands in a transcript.
    pub fn next(&mut self) -> Option<String> {
        match self.workers.next()? {
            DriverCommand::Media(MediaCommand::Open(spec)) => Some(self.open(&spec)),
            DriverCommand::Media(MediaCommand::Close(peer)) => Some(format!("close {}", self.number(peer)?)),
            DriverCommand::Media(MediaCommand::Fill { peer, slot, source }) => {
                let number = self.number(peer)?;
                let source = source.map_or("nothing".to_owned(), |source| source.participant.to_string());
                Some(format!("fill slot {} of {number} with {source}", slot.0))
            }
            DriverCommand::Media(MediaCommand::Mute { peer, muted }) => {
                let what = match (muted.sound, muted.camera) {
                    (false, false) => "nothing",
                    (true, false) => "sound",
                    (false, true) => "camera",
                    (true, true) => "sound and camera",
                };
                Some(format!("mute {what} of {}", self.number(peer)?))
            }
            DriverCommand::Media(MediaCommand::Want { peer, wants }) => {
                let number = self.number(peer)?;
                let wants = wants.iter().map(|(feed, want)| {
                    let height = want.height.map_or("any".to_owned(), |height| height.to_string());
                    let (screen, stage) = (feed.feed == Feed::Screen, want.on_stage);
                    format!(
                        " {height}{}{}",
                        if screen { " screen" } else { "" },
                        if stage { " on stage" } else { "" }
                    )
                });
                Some(format!("want{} of {number}", wants.collect::<String>()))
            }
            DriverCommand::Link { far, .. } => Some(match far {
                Far::Worker(other) => format!("link {other}"),
                Far::Player { peer, .. } => {
                    self.peers.push(peer);
                    format!("play {}", self.number(peer)?)
                }
                Far::Recorder => "link a recorder".to_owned(),
            }),
            DriverCommand::Unlink { other } => Some(format!("unlink {other}")),
            DriverCommand::Report { rooms, .. } => Some(format!("report {} rooms", rooms.len())),
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
        let watched = spec.sections.iter().find_map(|section| match section.down? {
            Down::Track(track) => Some(track.participant),
            Down::Slot(_) => None,
        });
        self.watched.extend(watched.map(|watched| (spec.peer, watched)));
        let receives = spec.sections.iter().any(|section| section.up.is_some());
        let sends = spec.sections.iter().any(|section| section.down.is_some());
        let is_up = |kind| {
            spec.sections
                .iter()
                .any(|section| section.kind == kind && section.up.is_some())
        };
        let purpose = match (receives, sends) {
            (true, false) if !is_up(Kind::Video) => "publish sound",
            (true, false) => "publish",
            (false, true) => "watch",
            (true, true) => "both ways",
            (false, false) => "neither",
        };
        let certificate = if spec.spare_certificate {
            ", other certificate"
        } else {
            ""
        };
        let muted = if spec.muted == Muted::default() { "" } else { ", muted" };
        format!("{verb} {number} {purpose}{certificate}{muted}")
    }

    /// The connection's number, from 1.
    fn number(&self, peer: PeerId) -> Option<usize> {
        self.peers
            .iter()
            .position(|known| *known == peer)
            .map(|index| index + 1)
    }

    /// Sends an event of the engine about a connection; a transcript's word names it.
    pub async fn reports(&self, word: &str, number: usize) {
        let peer = self.peers[number - 1];
        let reason = match word {
            "played" => CloseReason::Played,
            _ => CloseReason::ConsentExpired,
        };
        let event = match word {
            "silent" => MediaEvent::Suspended { peer },
            "heard" => MediaEvent::Resumed { peer },
            "speaks" => MediaEvent::SpeechBegan { peer },
            "reduces" => MediaEvent::Quality {
                peer,
                feed: FeedRef::camera(self.watched[&peer]),
                quality: Quality {
                    state: State::Reduced(Cause::Bandwidth),
                    height: Some(360),
                    wanted: Some(720),
                },
            },
            "hushes" => MediaEvent::SpeechEnded { peer },
            _ => MediaEvent::Closed { peer, reason },
        };
        self.events.send(event).await.unwrap();
    }

    /// The engine reports that DTLS is up.
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
        let publisher = self.watched[&peer];
        let codec = Codec::Av1 { profile: 0, tier: 0 };
        let event = match can {
            true => MediaEvent::Decodable { peer, publisher, kind },
            false => MediaEvent::Undecodable {
                peer,
                publisher,
                kind,
                codec,
            },
        };
        self.events.send(event).await.unwrap();
    }

    /// Reports which encodings of a camera are wanted, as in `q+f-`; a number behind them is the bound.
    pub async fn report_wanted(&self, number: usize, layers: &str) {
        let peer = self.peers[number - 1];
        let (layers, bound) = layers.split_once(' ').unwrap_or((layers, ""));
        let each = layers.split_inclusive(['+', '-']);
        let layers = each.map(|one| (one.trim_end_matches(['+', '-']).to_owned(), one.ends_with('+')));
        let event = MediaEvent::LayersWanted {
            peer,
            feed: Feed::Camera,
            layers: layers.collect(),
            max_bits_per_second: bound.parse().ok(),
        };
        self.events.send(event).await.unwrap();
    }

    /// Waits until the hub has taken all events.
    pub async fn settle(&self) {
        while !self.events.is_closed() && self.events.capacity() < EVENTS {
            tokio::task::yield_now().await;
        }
    }
}
