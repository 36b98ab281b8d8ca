//! A viewer: it puts the packets in order, asks for those that are missing, and notes which pictures a decoder would show.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::media::codec::vp8;

use super::*;

/// Steps after which a missing packet is asked for, and asked for again, and given up.
const ASKS_AFTER: u64 = 2;
const ASKS_EACH: u64 = 5;
const GIVES_UP_AFTER: u64 = 36;

/// What becomes of a packet on its way to the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Comes,
    IsLost,
    /// It comes so many steps later.
    IsLate(u64),
}

/// A picture of which all packets came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    pub at: Instant,
    pub layer: usize,
    pub is_key: bool,
    pub timestamp: u32,
    pub picture_id: u16,
    /// Time at which it was taken, in milliseconds since the scene began.
    pub taken: u32,
    /// TL0PICIDX and the byte of temporal layer and key index, where there are temporal layers.
    pub temporal: Option<(u8, u8)>,
    pub frame: u32,
}

pub struct Kept {
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
}

pub struct Viewer {
    pub client: Client,
    /// Decides about each packet by its number among all that were sent to this viewer.
    pub fate: Box<dyn FnMut(u64) -> Fate>,
    sent: u64,
    /// Payloads by the numbers of their packets, as they were sent first.
    payloads: BTreeMap<u16, Vec<u8>>,
    late: Vec<(u64, Vec<u8>)>,
    /// Packets by their extended numbers, until their turn comes.
    kept: BTreeMap<u64, Kept>,
    /// Number of the next packet for the decoder.
    next: Option<u64>,
    newest: u64,
    /// Missing packets: the step in which each was found to be missing, and in which it was asked for last.
    missing: BTreeMap<u64, (u64, u64)>,
    frame: Vec<Kept>,
    /// Packets in their order, for another decoder than that of this viewer.
    pub in_order: Option<Vec<Kept>>,
    /// Frames since the last key frame that were decoded.
    decoded: BTreeSet<u32>,
    /// Pictures that were shown.
    pub shown: Vec<Picture>,
    /// Numbers of packets that never came.
    pub given_up: Vec<u64>,
    /// Pictures that came whole and could not be decoded, because one before them was missing.
    pub undecodable: usize,
    /// Pictures of which a part never came, because their layer was left.
    pub torn: usize,
    /// Packets that came so far, and their bytes.
    pub packets: u64,
    pub bytes: u64,
    /// Bytes of all RTP that was sent to it, with padding.
    pub carried: u64,
}

impl Viewer {
    pub fn new(client: Client) -> Viewer {
        Viewer {
            client,
            fate: Box::new(|_| Fate::Comes),
            sent: 0,
            payloads: BTreeMap::new(),
            late: Vec::new(),
            kept: BTreeMap::new(),
            next: None,
            newest: 0,
            missing: BTreeMap::new(),
            frame: Vec::new(),
            in_order: None,
            decoded: BTreeSet::new(),
            shown: Vec::new(),
            given_up: Vec::new(),
            undecodable: 0,
            torn: 0,
            packets: 0,
            bytes: 0,
            carried: 0,
        }
    }

    /// A datagram leaves the worker.
    pub fn arrive(&mut self, now: Instant, step: u64, datagram: &[u8]) {
        let is_media = !matches!(datagram.get(1), Some(192..=223)) && matches!(datagram.first(), Some(128..=191));
        if is_media {
            self.sent += 1;
            self.carried += datagram.len() as u64;
            match (self.fate)(self.sent) {
                Fate::IsLost => {
                    self.open(now, datagram);
                    return;
                }
                Fate::IsLate(steps) => return self.late.push((step + steps, datagram.to_vec())),
                Fate::Comes => {}
            }
        }
        self.take(now, step, datagram);
    }

    /// The number and the payload of a media packet, and its header. What is sent again must be what was sent first.
    fn open(&mut self, now: Instant, datagram: &[u8]) -> Option<(Header, u16, Vec<u8>)> {
        let packet = self.client.take(now, datagram)?;
        let section = &self.client.spec.sections[0];
        let (ssrc, rtx_ssrc) = (section.local_ssrc, section.local_rtx_ssrc);
        let header = Header::parse(&packet)?;
        let payload = header.payload(&packet).unwrap();
        let payload = &packet[payload];
        let (sequence, payload) = match header.ssrc {
            one if one == ssrc => (header.sequence, payload),
            // Padding repeats nothing.
            one if one == rtx_ssrc && payload.len() >= 2 => {
                (u16::from_be_bytes([payload[0], payload[1]]), &payload[2..])
            }
            _ => return None,
        };
        let first = self.payloads.entry(sequence).or_insert_with(|| payload.to_vec());
        assert!(first == payload, "other bytes under {sequence}");
        Some((header, sequence, payload.to_vec()))
    }

    fn take(&mut self, now: Instant, step: u64, datagram: &[u8]) {
        let Some((header, sequence, payload)) = self.open(now, datagram) else {
            return;
        };
        self.packets += 1;
        self.bytes += (header.len + payload.len()) as u64;
        let extended = match self.next {
            None => u64::from(sequence) + 65_536,
            Some(_) => self
                .newest
                .wrapping_add_signed(i64::from(sequence.wrapping_sub(self.newest as u16) as i16)),
        };
        self.next.get_or_insert(extended);
        for missing in self.newest + 1..extended {
            if self.newest > 0 {
                self.missing.insert(missing, (step, step));
            }
        }
        self.newest = self.newest.max(extended);
        self.missing.remove(&extended);
        let kept = Kept {
            timestamp: header.timestamp,
            marker: header.marker,
            payload,
        };
        if Some(extended) >= self.next {
            self.kept.insert(extended, kept);
        }
    }

    /// Takes what comes in this step. Returns the requests that the viewer sends.
    pub fn receive(&mut self, now: Instant, step: u64) -> Vec<Vec<u8>> {
        let (due, late) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, _)| *at <= step);
        self.late = late;
        let due: Vec<(u64, Vec<u8>)> = due;
        due.iter().for_each(|(_, datagram)| self.take(now, step, datagram));
        let mut asked = Vec::new();
        let mut given_up = Vec::new();
        for (&sequence, (since, last)) in &mut self.missing {
            if step - *since >= GIVES_UP_AFTER {
                given_up.push(sequence);
            } else if step - *since == ASKS_AFTER || step - *last >= ASKS_EACH {
                *last = step;
                asked.push(sequence as u16);
            }
        }
        for sequence in given_up {
            self.missing.remove(&sequence);
            self.given_up.push(sequence);
        }
        self.decode(now);
        let ssrc = self.client.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        if asked.is_empty() {
            return Vec::new();
        }
        rtcp::write_nack(&mut compound, 7, ssrc, &asked);
        vec![self.client.seal_rtcp(&compound)]
    }

    fn decode(&mut self, now: Instant) {
        while let Some(next) = self.next {
            let is_given_up = next <= self.newest && !self.missing.contains_key(&next);
            let Some(packet) = self.kept.remove(&next) else {
                if !is_given_up {
                    return;
                }
                self.torn += usize::from(!std::mem::take(&mut self.frame).is_empty());
                self.next = Some(next + 1);
                continue;
            };
            self.next = Some(next + 1);
            if packet.payload.is_empty() {
                continue;
            }
            if let Some(in_order) = &mut self.in_order {
                in_order.push(packet);
                continue;
            }
            if packet.payload[0] & 0x10 != 0 && !std::mem::take(&mut self.frame).is_empty() {
                self.torn += 1;
            }
            let is_last = packet.marker;
            self.frame.push(packet);
            if is_last {
                let frame = std::mem::take(&mut self.frame);
                self.show(now, &frame);
            }
        }
    }

    /// A picture is whole, or its beginning is missing.
    fn show(&mut self, now: Instant, packets: &[Kept]) {
        let descriptor = vp8::parse(&packets[0].payload).unwrap();
        let body = |packet: &Kept| packet.payload[descriptor.len + 10..].to_vec();
        let first = body(&packets[0]);
        let whole = packets.iter().enumerate().all(|(part, packet)| {
            let body = body(packet);
            let same = body[0] == first[0] && body[4..12] == first[4..12];
            same && usize::from(body[2]) == part && packet.timestamp == packets[0].timestamp
        });
        if !whole || usize::from(first[3]) != packets.len() {
            self.torn += 1;
            return;
        }
        let number = |at: usize| u32::from_be_bytes(first[at..at + 4].try_into().unwrap());
        let picture = Picture {
            at: now,
            layer: usize::from(first[0]),
            is_key: first[1] == 1,
            timestamp: packets[0].timestamp,
            picture_id: u16::from_be_bytes([packets[0].payload[2], packets[0].payload[3]]) & 0x7fff,
            taken: number(8),
            frame: number(4),
            temporal: descriptor.mark.map(|_| (packets[0].payload[4], packets[0].payload[5])),
        };
        let same_layer = self.shown.last().is_some_and(|last| last.layer == picture.layer);
        let mut needed = [number(12), number(16), number(20)].into_iter();
        let is_decodable = same_layer && needed.all(|frame| frame == NO_FRAME || self.decoded.contains(&frame));
        if picture.is_key {
            self.decoded.clear();
        } else if !is_decodable {
            self.undecodable += 1;
            return;
        }
        self.decoded.insert(number(4));
        self.shown.push(picture);
    }

    /// The layers that were shown, without repetitions, and when each began.
    pub fn layers(&self) -> Vec<(Instant, usize)> {
        let mut layers: Vec<(Instant, usize)> = Vec::new();
        for picture in &self.shown {
            if layers.last().is_none_or(|(_, layer)| *layer != picture.layer) {
                layers.push((picture.at, picture.layer));
            }
        }
        layers
    }

    /// The longest time for which the picture stood still since `since`.
    pub fn longest_pause(&self, since: Instant) -> Duration {
        let shown = self.shown.iter().map(|picture| picture.at).filter(|at| *at >= since);
        let times: Vec<Instant> = std::iter::once(since).chain(shown).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}
