//! The state that the participants of all servers share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{oneshot, watch};

use crate::load::commands::Setup;
use crate::load::connection::{Connection, Credentials, Remote};
use crate::load::error::LoadError;
use crate::load::handle::{self, MediaHandle};
use crate::load::options::Options;
use crate::load::plan::{Participant, Plan};
use crate::load::sdp::{self, Description, Offered};
use crate::load::socket::Target;
use crate::load::source::{Encoding, ExtensionIds, Turns};
use crate::media::codec::Kind;
use crate::media::peer::dtls::DtlsIdentity;

/// Bit rate of one sender's sound: that of a voice from a browser.
const AUDIO_BPS: u64 = 32_000;
/// The longest join time, in microseconds: a minute.
const JOIN_MAX_US: u64 = 60_000_000;

/// The state that all participants share.
pub(crate) struct Context {
    pub options: Options,
    pub plan: Plan,
    pub target: Target,
    pub media: MediaHandle,
    /// One certificate for all: making thousands would take longer than the run.
    pub identity: DtlsIdentity,
    /// Number of pairs of a viewer and a publisher whose connection is up.
    pairs_up: AtomicUsize,
    /// Number of publishers whose connection is up, for each room.
    publishers_up: Vec<watch::Sender<usize>>,
    joins: Mutex<Histogram<u64>>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the shell that owns the clock of joins"
)]
pub fn clock() -> Instant {
    Instant::now()
}

#[allow(
    clippy::disallowed_methods,
    reason = "tokens of another server's want the time of day"
)]
pub(crate) fn now_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Context {
    pub fn new(options: Options, plan: Plan, target: Target, media: MediaHandle, identity: DtlsIdentity) -> Context {
        let publishers_up = (0..options.rooms()).map(|_| watch::Sender::new(0)).collect();
        Context {
            options,
            plan,
            target,
            media,
            identity,
            pairs_up: AtomicUsize::new(0),
            publishers_up,
            joins: Mutex::new(Histogram::new_with_bounds(1, JOIN_MAX_US, 3).expect("the bounds are good")),
        }
    }

    pub(crate) fn pairs_up(&self) -> usize {
        self.pairs_up.load(Ordering::Relaxed)
    }

    pub(crate) fn count_join(&self, took: Duration) {
        let mut joins = self.joins.lock().unwrap_or_else(PoisonError::into_inner);
        joins.saturating_record(took.as_micros() as u64);
    }

    /// Returns the join times in microseconds, and begins to count anew.
    pub(crate) fn take_joins(&self) -> Histogram<u64> {
        let mut joins = self.joins.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = joins.clone();
        joins.reset();
        taken
    }

    /// Whether subscribers send congestion feedback: behind a simulated link.
    pub(crate) fn has_feedback(&self) -> bool {
        self.options.link.is_some()
    }

    /// Tells the media thread what a description of the server says about the packets that a participant receives.
    pub(crate) fn learn(&self, participant: &Participant, description: &Description) -> Result<(), LoadError> {
        match self.has_feedback() {
            true => self.media.learn(participant.index, description.terms()),
            false => Ok(()),
        }
    }

    /// The sections that a publisher offers.
    pub(crate) fn published(&self, participant: &Participant) -> Vec<Offered> {
        let first = 0x1000_0000 + participant.index as u32 * 64;
        let mut sections = self.watched();
        for (at, section) in sections.iter_mut().enumerate() {
            let layers = match section.kind {
                Kind::Video if self.options.simulcast => sdp::SIMULCAST.len(),
                _ => 1,
            };
            // Every second number is for retransmissions.
            section.feedback = false;
            section.ssrcs = (0..layers).map(|layer| first + (at * 16 + layer * 2) as u32).collect();
        }
        sections
    }

    /// The sections that a viewer offers for one publisher.
    pub fn watched(&self) -> Vec<Offered> {
        let kinds = [
            (Kind::Audio, self.options.has_sound()),
            (Kind::Video, self.options.has_video()),
        ];
        kinds
            .into_iter()
            .filter(|(_, wanted)| *wanted)
            .map(|(kind, _)| Offered {
                kind,
                ssrcs: Vec::new(),
                feedback: self.has_feedback(),
            })
            .collect()
    }

    /// The encodings for the sections that the server has accepted.
    pub(crate) fn encodings(
        &self,
        participant: &Participant,
        sections: &[Offered],
        answer: &Description,
    ) -> Result<Vec<Encoding>, LoadError> {
        let mut encodings = Vec::new();
        for (mid, (section, answered)) in sections.iter().zip(&answer.sections).enumerate() {
            let (codec, name) = match section.kind {
                Kind::Audio => ("opus", "sound"),
                Kind::Video => ("VP8", "video"),
            };
            let payload_type = answered.payload_type(codec).filter(|_| !answered.rejected);
            let payload_type =
                payload_type.ok_or_else(|| LoadError::Description(format!("the server refuses {codec} {name}")))?;
            let shares: Vec<(&'static str, f64, u16)> = match section.ssrcs.len() {
                1 => vec![("", 1.0, sdp::HEIGHT)],
                layers => sdp::SIMULCAST[..layers].to_vec(),
            };
            let whole = match section.kind {
                Kind::Audio => AUDIO_BPS,
                Kind::Video => self.options.bitrate_kbps * 1_000,
            };
            for (ssrc, (rid, share, height)) in section.ssrcs.iter().zip(shares) {
                let ids = answered.extension_ids();
                encodings.push(Encoding {
                    kind: section.kind,
                    ssrc: *ssrc,
                    payload_type,
                    bitrate_bps: (whole as f64 * share) as u64,
                    rid,
                    height,
                    turns: self.turns(participant),
                    mid: mid.to_string(),
                    extensions: ExtensionIds {
                        rid: if rid.is_empty() { 0 } else { ids.rid },
                        ..ids
                    },
                });
            }
        }
        Ok(encodings)
    }

    /// The turns in which a sender speaks, if people take turns.
    fn turns(&self, participant: &Participant) -> Option<Turns> {
        let speakers = self.options.speakers?;
        let mut senders = self.plan.publishers(participant.room);
        Some(Turns {
            place: senders.position(|one| one.index == participant.index)?,
            senders: self.options.publishers(),
            speakers,
        })
    }

    /// Begins a connection. The returned receiver gets the result: up, or the reason why not.
    pub fn connect(
        &self,
        participant: &Participant,
        local: Credentials,
        remote: Remote,
        publishes: Vec<Encoding>,
        watches: Vec<usize>,
    ) -> Result<oneshot::Receiver<Result<(), LoadError>>, LoadError> {
        let socket = handle::socket(remote.address)?;
        let (connected, outcome) = oneshot::channel();
        self.media.add(Setup {
            participant: participant.index,
            connection: Connection::new(clock(), &self.identity, local, remote),
            socket,
            publishes,
            watches,
            connected,
        })?;
        Ok(outcome)
    }

    pub(crate) fn publisher_is_up(&self, room: usize) {
        self.publishers_up[room].send_modify(|up| *up += 1);
    }

    /// Waits until all publishers of the room send.
    pub(crate) async fn publishers_are_up(&self, room: usize) {
        let mut up = self.publishers_up[room].subscribe();
        let all = self.options.publishers();
        // The sender lives as long as this context.
        let _ = up.wait_for(|up| *up >= all).await;
    }

    /// Ends the participant's media, before its signaling: if a server ends the media first, that is a
    /// failure of the server.
    pub async fn leave(&self, participant: &Participant) {
        // The media thread has ended if the run has.
        let _ = self.media.leave(participant.index).await;
    }

    pub(crate) fn pair_is_up(&self) {
        self.pairs_up.fetch_add(1, Ordering::Relaxed);
    }
}
