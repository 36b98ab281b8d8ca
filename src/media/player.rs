//! A player: it feeds a room with a recording, over a link to one worker of the room. Pure: it is given the time, puts the
//! packets that are due into the link, and returns when to call it again. To the room it is a publisher like any other, but it
//! never counts as speaking: a recording has no audio levels (RFC 6464), and nothing here decodes the sound.

use std::time::{Duration, Instant};

use super::clock::SenderClock;
use super::codec::{Codec, Kind};
use super::extension_ids::ExtensionIds;
use super::link::{LinkEnd, LinkMessage, TrackNotice};
use super::names::{TrackName, TrackRef};
use super::packet::BatchPacket;
use super::pictures::EntryPoint;
use super::rewrite::SourceId;
use super::rtp::Header;
use super::session::{Feedback, NegotiatedCodec};
use crate::ids::{FeedRef, PeerId, RoomId, TrackId};
use crate::sound::{PACKET_BYTES_MAX, Recording};

/// The payload type that most clients offer for Opus; each subscriber gets its own.
const PAYLOAD_TYPE: u8 = 111;
const HEADER_BYTES: usize = 12;
/// Time between two messages with the clock, as between two sender reports.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// Longest delay of a call that is made up for. After a longer delay, the packets that are due are not sent all at once: all
/// packets come later.
const LATE_MAX: Duration = Duration::from_millis(200);
/// Time after which a worker that takes nothing is given up: it hangs.
const NOT_TAKEN_MAX: Duration = Duration::from_secs(10);
/// Time between two looks for a worker's request: so late a recording may begin. A player that plays is called as often.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);
/// Top bits of the ids of players' tracks and sources. Workers put their place among the workers there: this is no worker's
/// place.
const PLAYERS: u64 = 0xffff << 48;

/// What is played, and as whose feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerSpec {
    /// Connection that the player has in the rules, which is no WebRTC connection.
    pub peer: PeerId,
    pub room: RoomId,
    pub feed: FeedRef,
    pub recording: Recording,
    /// Whether the recording begins only when the worker requests it, which it does when the sound goes to somebody.
    pub waits: bool,
    /// Whether the recording begins again at its end.
    pub repeats: bool,
}

/// A player's place in its recording, and its end of the link with the worker.
pub struct Player {
    spec: PlayerSpec,
    end: LinkEnd,
    /// Whether it still waits for the request.
    is_waiting: bool,
    /// Places of the next packet: in the recording, and in the stream.
    next: usize,
    extended: u64,
    /// Time at which that packet is due, and its place on the track's time line, in samples of 48 kHz.
    due: Instant,
    timestamp: u64,
    next_clock: Instant,
    started: Instant,
    taken: Instant,
    packet: [u8; HEADER_BYTES + PACKET_BYTES_MAX],
}

impl Player {
    /// Makes a player, and announces its track.
    pub fn new(now: Instant, spec: PlayerSpec, mut end: LinkEnd) -> Player {
        end.send(LinkMessage::Track(Box::new(notice(&spec))));
        Player {
            is_waiting: spec.waits,
            spec,
            end,
            next: 0,
            extended: 0,
            due: now,
            timestamp: 0,
            next_clock: now,
            started: now,
            taken: now,
            packet: [0; HEADER_BYTES + PACKET_BYTES_MAX],
        }
    }

    /// Puts the packets that are due into the link, and returns when to call again. `None` at the end of the recording or of
    /// the link: then drop the player, which ends its track.
    pub fn poll(&mut self, now: Instant) -> Option<Instant> {
        while let Some(message) = self.end.receive(&mut []) {
            // Other requests are ignored: sound has no key frames.
            if self.is_waiting && matches!(message, LinkMessage::Mirror(_)) {
                self.begin(now);
            }
        }
        if self.end.has_ended() {
            return None;
        }
        if self.is_waiting {
            return Some(now + REQUEST_INTERVAL);
        }
        if now.saturating_duration_since(self.due) > LATE_MAX {
            self.due = now;
            // Nothing was sent meanwhile, so the worker had nothing to take.
            self.taken = now;
        }
        if now.saturating_duration_since(self.taken) >= NOT_TAKEN_MAX {
            return None;
        }
        while self.due <= now {
            if self.spec.recording.packet(self.next).is_none() {
                if !self.spec.repeats {
                    return None;
                }
                self.next = 0;
            }
            self.send(now);
        }
        self.end.raise();
        Some(self.due)
    }

    fn begin(&mut self, now: Instant) {
        self.is_waiting = false;
        self.due = now;
        self.next_clock = now;
        self.started = now;
        self.taken = now;
    }

    fn send(&mut self, now: Instant) {
        let Some((opus, lasts)) = self.spec.recording.packet(self.next) else {
            return;
        };
        let len = HEADER_BYTES + opus.len();
        self.packet[HEADER_BYTES..len].copy_from_slice(opus);
        let timestamp = self.timestamp as u32;
        self.packet[..2].copy_from_slice(&[0x80, PAYLOAD_TYPE]);
        self.packet[2..4].copy_from_slice(&(self.extended as u16).to_be_bytes());
        self.packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        self.packet[8..12].copy_from_slice(&(self.spec.peer.0 as u32).to_be_bytes());
        self.next += 1;
        self.due += lasts;
        self.timestamp += samples(lasts);
        let track = id(self.spec.peer);
        let Some(header) = Header::parse(&self.packet[..len]) else {
            return;
        };
        let source = SourceId(track.0);
        let arrival = BatchPacket {
            layer: 0,
            source,
            start: 0,
            end: len,
            header,
            extended: self.extended,
            codec: Codec::Opus,
            entry: EntryPoint::Anybody(0),
            vp8: None,
            mark: None,
            late: false,
            origin: None,
            padding: 0,
        };
        self.extended += 1;
        if self.end.send_packet(track, arrival, &self.packet[..len]) {
            self.taken = now;
        }
        if now >= self.next_clock {
            self.next_clock = now + CLOCK_INTERVAL;
            let clock = self.clock(now, timestamp);
            self.end.send(LinkMessage::Clock {
                track,
                layer: 0,
                source,
                clock,
            });
        }
    }

    /// A clock of its own, which began with the player: a client that lines up sound and pictures compares times of one
    /// publisher only.
    fn clock(&self, now: Instant, timestamp: u32) -> SenderClock {
        let beginning = SenderClock::reported(self.started, 1 << 32, 0, None, Codec::Opus.clock_rate());
        SenderClock::reported(now, beginning.ntp_at(now), timestamp, None, Codec::Opus.clock_rate())
    }
}

fn id(peer: PeerId) -> TrackId {
    TrackId(PLAYERS | peer.0)
}

fn samples(time: Duration) -> u64 {
    time.as_micros() as u64 * 48 / 1_000
}

fn notice(spec: &PlayerSpec) -> TrackNotice {
    let opus = NegotiatedCodec {
        payload_type: PAYLOAD_TYPE,
        rtx_payload_type: None,
        codec: Codec::Opus,
        feedback: Feedback::default(),
    };
    let name = TrackName {
        feed: spec.feed.feed,
        kind: Kind::Audio,
        number: 0,
    };
    TrackNotice {
        id: id(spec.peer),
        room: spec.room,
        name: TrackRef {
            participant: spec.feed.participant,
            name,
        },
        publisher: spec.peer,
        suspended: false,
        codecs: [opus].into_iter().collect(),
        extensions: ExtensionIds::default(),
        layers: Default::default(),
    }
}
