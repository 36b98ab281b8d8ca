//! A subscriber behind a simulated link, as browsers are one: it repairs losses by NACK, asks for key frames where that
//! fails, reports, and sends transport-wide congestion feedback. Pure.

use std::time::{Duration, Instant};

use super::pattern::Mark;
use super::playback::{Freezes, Playback};
use super::reception::Reception;
use super::repair::{Repair, WatchCounts};
use super::sdp::Terms;
use super::shared::{REPORTER, STREAMS_MAX, media};
use crate::media::bandwidth::TransportFeedback;
use crate::media::codec::Kind;
use crate::media::rtcp::{self, Block};
use crate::media::rtp::Header;

/// Time between two feedbacks. Browsers send one each 50 to 250 ms, by their bit rate.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(80);
/// Time between two requests for a key frame, and the time for which a stream may begin without one.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
const FEEDBACK_BYTES: usize = 1_000;
/// Payload types of retransmissions: one for each codec of a session, and servers offer few codecs.
const RTX_TYPES_MAX: usize = 16;

/// The receiving half of one connection behind a link.
pub(crate) struct Watching {
    pub(super) terms: Terms,
    feedback: TransportFeedback,
    next_feedback: Instant,
    /// What goes with each of the connection's receptions.
    pub(super) streams: Vec<Stream>,
    /// The streams of retransmissions: SSRC, and the index of the stream that they repair.
    rtx: Vec<(u32, usize)>,
    counts: WatchCounts,
    /// Begin and end of the measurement.
    began: Option<Instant>,
    ended: Option<Instant>,
    sequences: Vec<u16>,
    pub(super) written: Vec<u8>,
}

pub(super) struct Stream {
    pub(super) repair: Repair,
    /// The picture; `None` for sound.
    pub(super) playback: Option<Playback>,
    /// The number beyond which the picture must go on before a lost packet is made up for.
    lost_up_to: Option<u64>,
    key_frame_asked: Instant,
}

impl Stream {
    pub(super) fn new(now: Instant, kind: Kind, watching: &Watching) -> Stream {
        let playback = (kind == Kind::Video).then(|| {
            let mut playback = Playback::new(watching.began.unwrap_or(now));
            if watching.ended.is_some() {
                playback.end(now);
            }
            playback
        });
        Stream {
            repair: Repair::new(if kind == Kind::Video { 90_000 } else { 48_000 }),
            playback,
            lost_up_to: None,
            key_frame_asked: now,
        }
    }

    /// Whether to ask for a key frame now: the picture has not begun, or waits for what will not come.
    fn needs_key_frame(&mut self, now: Instant) -> bool {
        let Some(playback) = &self.playback else { return false };
        if self.lost_up_to < playback.next() {
            self.lost_up_to = None;
        }
        let waits = playback.next().is_none() || self.lost_up_to.is_some();
        let needs = waits && now.saturating_duration_since(self.key_frame_asked) >= KEY_FRAME_INTERVAL;
        if needs {
            self.key_frame_asked = now;
        }
        needs
    }
}

impl Watching {
    pub(crate) fn new(now: Instant) -> Watching {
        Watching {
            terms: Terms::default(),
            feedback: TransportFeedback::new(now),
            next_feedback: now + FEEDBACK_INTERVAL,
            streams: Vec::new(),
            rtx: Vec::new(),
            counts: WatchCounts::default(),
            began: None,
            ended: None,
            sequences: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Takes in what a description says about the packets.
    pub(crate) fn learn(&mut self, terms: &Terms) {
        if terms.number_id != 0 {
            self.terms.number_id = terms.number_id;
        }
        for &payload_type in &terms.rtx_payload_types {
            let known = &mut self.terms.rtx_payload_types;
            if !known.contains(&payload_type) && known.len() < RTX_TYPES_MAX {
                known.push(payload_type);
            }
        }
    }

    pub(crate) fn begin(&mut self, now: Instant) {
        self.counts = WatchCounts::default();
        self.began = Some(now);
        for stream in &mut self.streams {
            stream.repair.begin();
            if let Some(playback) = &mut stream.playback {
                playback.begin(now);
            }
        }
    }

    pub(crate) fn end(&mut self, now: Instant) {
        self.ended.get_or_insert(now);
        for playback in self.streams.iter_mut().filter_map(|stream| stream.playback.as_mut()) {
            playback.end(now);
        }
    }

    pub(crate) fn counts(&self) -> WatchCounts {
        let mut counts = self.counts;
        for repair in self.streams.iter().map(|stream| stream.repair.counts()) {
            counts.repair.add(repair);
        }
        counts
    }

    /// The freezes of each picture. Of `expected` pictures those that never came were frozen all the time.
    pub(crate) fn freezes(&self, expected: usize) -> Vec<Freezes> {
        let pictures = self.streams.iter().filter_map(|stream| stream.playback.as_ref());
        let mut freezes: Vec<Freezes> = pictures.map(Playback::freezes).collect();
        if let Some((began, ended)) = self.began.zip(self.ended) {
            let all = ended.saturating_duration_since(began);
            let never = Freezes {
                count: 1,
                total: all,
                longest: all,
            };
            freezes.resize(freezes.len().max(expected), never);
        }
        freezes
    }

    /// Takes in a sender report.
    pub(crate) fn reported(&mut self, now: Instant, receptions: &[Reception], ssrc: u32, ntp: u64) {
        if let Some(at) = receptions.iter().position(|reception| reception.ssrc == ssrc) {
            self.streams[at].repair.reported(now, ntp);
        }
    }

    pub(crate) fn blocks(&mut self, now: Instant, receptions: &[Reception]) -> Vec<Block> {
        let streams = receptions.iter().zip(&mut self.streams);
        streams
            .map(|(reception, stream)| stream.repair.block(now, reception.ssrc))
            .collect()
    }

    /// Records the transport-wide number of a packet.
    pub(super) fn numbered(&mut self, now: Instant, header: &Header, packet: &[u8]) {
        let mut elements = header.elements(packet);
        let number = elements.find(|(id, _)| *id == self.terms.number_id && *id != 0);
        if let Some((_, &[high, low])) = number {
            self.feedback.received(now, u16::from_be_bytes([high, low]));
        }
    }

    /// The stream that a retransmission belongs to. The first packet shows it: its mark has the source.
    pub(super) fn repaired_by(&mut self, ssrc: u32, payload: &[u8], receptions: &[Reception]) -> Option<usize> {
        if let Some((_, at)) = self.rtx.iter().find(|(rtx, _)| *rtx == ssrc) {
            return Some(*at);
        }
        let (_, Mark { source, .. }, _) = media(payload)?;
        let at = receptions
            .iter()
            .position(|reception| reception.source() == Some(source))?;
        if self.rtx.len() < STREAMS_MAX {
            self.rtx.push((ssrc, at));
        }
        Some(at)
    }

    /// Writes what is due: requests for packets and key frames, feedback.
    pub(super) fn write(&mut self, now: Instant, receptions: &[Reception]) {
        self.written.clear();
        for (reception, stream) in receptions.iter().zip(&mut self.streams) {
            if stream.playback.is_some() && stream.repair.is_due(now) {
                self.sequences.clear();
                if stream.repair.due(now, &mut self.sequences) {
                    stream.lost_up_to = Some(reception.highest());
                }
                self.counts.requests += self.sequences.len() as u64;
                rtcp::write_nack(&mut self.written, REPORTER, reception.ssrc, &self.sequences);
            }
            if stream.needs_key_frame(now) {
                self.counts.key_frame_requests += 1;
                rtcp::write_pli(&mut self.written, REPORTER, reception.ssrc);
            }
        }
        if now >= self.next_feedback {
            self.next_feedback = now + FEEDBACK_INTERVAL;
            let begin = self.written.len();
            // The feedback is about all streams, and names any.
            let media_ssrc = receptions.first().map_or(0, |reception| reception.ssrc);
            self.feedback
                .write(REPORTER, media_ssrc, FEEDBACK_BYTES, &mut self.written);
            self.counts.feedbacks += rtcp::packets(&self.written[begin..]).count() as u64;
        }
    }
}
