//! A viewer behind a path: it tells of each packet that comes, asks for those that are missing, and counts how long its picture
//! stands still, as browsers do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use patchbay::media::rtcp;
use patchbay::media::rtp::Header;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::camera::{Mark, NONE};
use super::path::Path;
use crate::worker::media_client::Client;
use crate::worker::transport_feedback;

/// The id under which numbers are read.
pub const NUMBER: u8 = 3;
const ASKS_EACH: Duration = Duration::from_millis(100);
/// Times that a packet is asked for.
const ASKS_MAX: u8 = 10;
/// Time without a picture after which a key frame is asked for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pictures whose mean distance a freeze is compared with (webrtc-stats, `totalFreezesDuration`).
const MEAN_OF: usize = 30;

/// A picture that was shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub at: Instant,
    pub layer: usize,
    timestamp: u32,
}

struct Picture {
    mark: Mark,
    timestamp: u32,
    parts: BTreeSet<u8>,
}

pub struct Watcher {
    pub client: Client,
    pub path: Path,
    /// Packets that have left the shaper, by their arrival.
    coming: Vec<(Instant, Vec<u8>)>,
    began: Instant,
    random: StdRng,
    /// Numbers that came, with the time in microseconds, and the next one of which to tell.
    came: BTreeMap<u64, u64>,
    next_told: u64,
    newest_number: u64,
    next_feedback: Instant,
    feedbacks: u8,
    next_report: Instant,
    newest: Option<u64>,
    /// Sequence numbers that are missing: when they were asked for last, and how often.
    missing: BTreeMap<u64, (Instant, u8)>,
    pictures: BTreeMap<(usize, u32), Picture>,
    decoded: BTreeSet<u32>,
    pub shown: Vec<Shown>,
    /// The freezes: when each began, and how long it lasted.
    pub freezes: Vec<(Instant, Duration)>,
    /// The time of its last request for a key frame.
    requested: Instant,
    /// Reports and requests that came, for whoever publishes too.
    pub compounds: Vec<Vec<u8>>,
}

impl Watcher {
    pub fn new(now: Instant, client: Client, seed: u64) -> Watcher {
        Watcher {
            client,
            path: Path::new(now, seed),
            coming: Vec::new(),
            began: now,
            random: StdRng::seed_from_u64(seed ^ 0xfeed),
            came: BTreeMap::new(),
            next_told: 0,
            newest_number: 0,
            next_feedback: now,
            feedbacks: 0,
            next_report: now,
            newest: None,
            missing: BTreeMap::new(),
            pictures: BTreeMap::new(),
            decoded: BTreeSet::new(),
            shown: Vec::new(),
            freezes: Vec::new(),
            requested: now,
            compounds: Vec::new(),
        }
    }

    /// Takes what comes until `now`. Returns what it sends.
    pub fn step(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.coming.extend(self.path.serve(now));
        let (came, coming): (Vec<_>, Vec<_>) = std::mem::take(&mut self.coming)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.coming = coming;
        came.into_iter().for_each(|(at, datagram)| self.take(at, &datagram));
        let mut packets = Vec::new();
        self.ask(now, &mut packets);
        self.tell(now, &mut packets);
        let is_due = now >= self.next_report;
        if packets.is_empty() && !is_due {
            return Vec::new();
        }
        self.next_report = now + Duration::from_secs(1);
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        compound.extend(packets);
        vec![self.client.seal_rtcp(&compound)]
    }

    fn take(&mut self, at: Instant, datagram: &[u8]) {
        let Some(packet) = self.client.take(at, datagram) else {
            return;
        };
        if matches!(packet[1], 192..=223) {
            self.compounds.push(packet);
            return;
        }
        let header = Header::parse(&packet).unwrap();
        if let Some((_, value)) = header.elements(&packet).find(|(id, _)| *id == NUMBER) {
            let number = extend(self.newest_number, u16::from_be_bytes(value.try_into().unwrap()));
            self.newest_number = self.newest_number.max(number);
            if number >= self.next_told {
                self.came.insert(number, (at - self.began).as_micros() as u64);
            }
        }
        let payload = &packet[header.payload(&packet).unwrap()];
        let video = &self.client.spec.sections[0];
        if header.ssrc == video.local_ssrc {
            self.take_video(at, header.sequence, header.timestamp, payload);
        } else if header.ssrc == video.local_rtx_ssrc
            && let Some((number, payload)) = payload.split_first_chunk()
        {
            self.take_video(at, u16::from_be_bytes(*number), header.timestamp, payload);
        }
    }

    fn take_video(&mut self, at: Instant, sequence: u16, timestamp: u32, payload: &[u8]) {
        let newest = self.newest.unwrap_or(65_535 + u64::from(sequence));
        let sequence = extend(newest, sequence);
        for missing in newest + 1..sequence {
            self.missing.insert(missing, (at - ASKS_EACH, 0));
        }
        self.newest = Some(newest.max(sequence));
        self.missing.remove(&sequence);
        let Some(mark) = Mark::read(payload) else { return };
        if mark.is_key {
            // What came before a key frame is no longer needed.
            self.missing
                .retain(|&missing, _| missing >= sequence - u64::from(mark.part));
        }
        let is_old = |shown: &Shown| timestamp.wrapping_sub(shown.timestamp) as i32 <= 0;
        if self.shown.last().is_some_and(is_old) {
            // It comes once more, as a part of a probe.
            return;
        }
        let picture = self.pictures.entry((mark.layer, mark.frame)).or_insert(Picture {
            mark,
            timestamp,
            parts: BTreeSet::new(),
        });
        picture.parts.insert(mark.part);
        self.show(at);
    }

    /// Shows each picture that is whole and newer than the last one, if what it needs was shown.
    fn show(&mut self, at: Instant) {
        while let Some(key) = self.next_picture() {
            let picture = self.pictures.remove(&key).unwrap();
            if picture.mark.is_key {
                self.decoded.clear();
            }
            self.decoded.insert(picture.mark.frame);
            if let Some(last) = self.shown.last() {
                let oldest = self.shown[self.shown.len().saturating_sub(MEAN_OF + 1)].at;
                let mean = (last.at - oldest) / (self.shown.len() - 1).clamp(1, MEAN_OF) as u32;
                let stood = at - last.at;
                if stood > (3 * mean).max(mean + Duration::from_millis(150)) {
                    self.freezes.push((last.at, stood));
                }
            }
            self.shown.push(Shown {
                at,
                layer: picture.mark.layer,
                timestamp: picture.timestamp,
            });
            let newest = picture.timestamp;
            self.pictures
                .retain(|_, other| other.timestamp.wrapping_sub(newest) as i32 > 0);
        }
    }

    fn next_picture(&self) -> Option<(usize, u32)> {
        let last = self.shown.last();
        let can_be_shown = |picture: &Picture| {
            let is_whole = picture.parts.len() == usize::from(picture.mark.parts);
            let same = last.is_some_and(|last| last.layer == picture.mark.layer);
            let mut needs = picture.mark.needs.iter();
            let has_all = same && needs.all(|frame| *frame == NONE || self.decoded.contains(frame));
            is_whole && (picture.mark.is_key || has_all)
        };
        let ready = self.pictures.iter().filter(|(_, picture)| can_be_shown(picture));
        ready.min_by_key(|(_, picture)| picture.timestamp).map(|(key, _)| *key)
    }

    fn ask(&mut self, now: Instant, out: &mut Vec<u8>) {
        let mut asked = Vec::new();
        for (&sequence, (at, times)) in &mut self.missing {
            if now.saturating_duration_since(*at) >= ASKS_EACH {
                (*at, *times) = (now, *times + 1);
                asked.push(sequence as u16);
            }
        }
        self.missing.retain(|_, (_, times)| *times < ASKS_MAX);
        let ssrc = self.client.spec.sections[0].local_ssrc;
        if !asked.is_empty() {
            rtcp::write_nack(out, 7, ssrc, &asked);
        }
        let seen = self
            .shown
            .last()
            .map_or(self.began, |shown| shown.at)
            .max(self.requested);
        if now - seen >= PATIENCE {
            self.requested = now;
            rtcp::write_pli(out, 7, ssrc);
        }
    }

    fn tell(&mut self, now: Instant, out: &mut Vec<u8>) {
        if now < self.next_feedback {
            return;
        }
        self.next_feedback = now + Duration::from_millis(self.random.random_range(50..=100));
        let Some(&last) = self.came.keys().next_back() else {
            return;
        };
        let base = self.next_told.max(last.saturating_sub(200));
        let mut latest = 0;
        let arrivals: Vec<Option<u64>> = (base..=last)
            .map(|number| {
                latest = latest.max(*self.came.get(&number)?);
                Some(latest)
            })
            .collect();
        self.came.clear();
        self.next_told = last + 1;
        self.feedbacks = self.feedbacks.wrapping_add(1);
        out.extend(transport_feedback::feedback(base as u16, &arrivals, self.feedbacks));
    }

    /// The layers that were shown since then, without repetitions, and when each began.
    pub fn layers(&self, since: Instant) -> Vec<(Duration, usize)> {
        let mut layers: Vec<(Duration, usize)> = Vec::new();
        for shown in self.shown.iter().filter(|shown| shown.at >= since) {
            if layers.last().is_none_or(|(_, layer)| *layer != shown.layer) {
                layers.push((shown.at - since, shown.layer));
            }
        }
        layers
    }

    /// The time for which the picture stood still between then and `now`.
    pub fn frozen(&self, since: Instant, now: Instant) -> Duration {
        let until_now = self.shown.last().map_or(Duration::ZERO, |last| now - last.at);
        let open = Some(until_now).filter(|stood| *stood > Duration::from_millis(600));
        let ended = self.freezes.iter().filter(|(at, stood)| *at + *stood > since);
        ended
            .map(|(at, stood)| (*at + *stood - since).min(*stood))
            .chain(open)
            .sum()
    }

    /// Pictures shown since then.
    pub fn pictures(&self, since: Instant) -> usize {
        self.shown.iter().filter(|shown| shown.at >= since).count()
    }
}

fn extend(newest: u64, number: u16) -> u64 {
    newest.wrapping_add_signed(i64::from(number.wrapping_sub(newest as u16) as i16))
}
