//! A viewer whose decoder takes what a receiver of dependency descriptors takes: frames whose dependencies it has, with numbers that
//! rise.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::media::codec::dependency::{Frame, Stream};

use super::super::*;

/// The id of the descriptor at a viewer.
pub const DOWN: u8 = 9;

/// A packet that a viewer got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    pub at: Instant,
    timestamp: u32,
    marker: bool,
    pub payload: Vec<u8>,
    pub descriptor: Option<Vec<u8>>,
}

/// Whether a packet brings a structure.
pub fn has_structure(got: &Got) -> bool {
    let flags = got.descriptor.as_ref().and_then(|descriptor| descriptor.get(3));
    flags.is_some_and(|flags| flags & 0x80 != 0)
}

/// A picture that a viewer's decoder shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub at: Instant,
    pub spatial: u8,
    pub temporal: u8,
    pub active: u32,
}

pub struct Watcher {
    pub client: Client,
    /// Whether it lives on the other worker, and whether it asks for what it misses.
    pub is_far: bool,
    pub asks: bool,
    /// What came under each number.
    sealed: BTreeMap<u16, Vec<u8>>,
    pub got: BTreeMap<u64, Got>,
    pub newest: u64,
    /// Of so many packets one is lost on its way; what it said, and how often one came again.
    pub loses_one_in: u64,
    sent: u64,
    lost: BTreeMap<u16, Got>,
    pub repaired: usize,
}

impl Watcher {
    pub fn new(client: Client, is_far: bool) -> Watcher {
        Watcher {
            client,
            is_far,
            asks: true,
            sealed: BTreeMap::new(),
            got: BTreeMap::new(),
            newest: 0,
            loses_one_in: 0,
            sent: 0,
            lost: BTreeMap::new(),
            repaired: 0,
        }
    }

    pub fn take(&mut self, now: Instant, datagram: &[u8]) {
        if self.comes_again(now, datagram) {
            return;
        }
        let Some(packet) = self.client.take(now, datagram) else {
            return;
        };
        let Some(header) = Header::parse(&packet) else { return };
        let section = &self.client.spec.sections[0];
        let payload = &packet[header.payload(&packet).unwrap()];
        let descriptor = header
            .elements(&packet)
            .find(|(id, _)| *id == DOWN)
            .map(|(_, value)| value.to_vec());
        let is_rtx = header.ssrc == section.local_rtx_ssrc;
        if (header.ssrc != section.local_ssrc && !is_rtx) || (is_rtx && payload.len() < 2) {
            return;
        }
        let (sequence, payload) = match is_rtx {
            true => (u16::from_be_bytes([payload[0], payload[1]]), &payload[2..]),
            false => (header.sequence, payload),
        };
        let got = Got {
            at: now,
            timestamp: header.timestamp,
            marker: header.marker,
            payload: payload.to_vec(),
            descriptor,
        };
        if is_rtx {
            let at = now;
            if let Some(lost) = self.lost.remove(&sequence) {
                assert_eq!(Got { at, ..lost }, got, "sent again, it is the same");
                self.repaired += 1;
            }
        } else {
            self.sent += 1;
            if self.loses_one_in > 0 && self.sent.is_multiple_of(self.loses_one_in) {
                self.lost.insert(sequence, got);
                return;
            }
        }
        self.keep(sequence, got);
    }

    fn keep(&mut self, sequence: u16, got: Got) {
        let extended = match self.newest {
            0 => 65_536 + u64::from(sequence),
            newest => newest.wrapping_add_signed(i64::from(sequence.wrapping_sub(newest as u16) as i16)),
        };
        self.newest = self.newest.max(extended);
        self.got.insert(extended, got);
    }

    /// Whether a packet comes once more under its own number, as it does without RTX. Then each bit of it has to be as before: else
    /// its key could be found.
    fn comes_again(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let is_media = matches!(datagram, [128..=191, kind, ..] if !matches!(kind, 192..=223));
        let Some(header) = Header::parse(datagram).filter(|_| is_media) else {
            return false;
        };
        if header.ssrc != self.client.spec.sections[0].local_ssrc {
            return false;
        }
        match self.sealed.insert(header.sequence, datagram.to_vec()) {
            Some(before) => assert_eq!(before, datagram, "sent again, it is the same"),
            None => return false,
        }
        if let Some(lost) = self.lost.remove(&header.sequence) {
            self.repaired += 1;
            self.keep(header.sequence, Got { at: now, ..lost });
        }
        true
    }

    /// The pictures that a decoder shows of the packets, in their order. Checks that none is missing, and that each frame can be
    /// decoded.
    pub fn shown(&self) -> Vec<Shown> {
        let (first, last) = (self.got.keys().next().unwrap(), self.got.keys().last().unwrap());
        let missing: Vec<u64> = (*first..=*last).filter(|at| !self.got.contains_key(at)).collect();
        assert!(missing.is_empty(), "{missing:?} between {first} and {last}");
        let (mut stream, mut decoded) = (Stream::default(), BTreeSet::new());
        let mut newest: Option<i64> = None;
        let (mut shown, mut unit): (Vec<Shown>, Vec<(u32, Frame)>) = (Vec::new(), Vec::new());
        for got in self.got.values().filter(|got| !got.payload.is_empty()) {
            let descriptor = got.descriptor.as_deref().expect("each packet with a payload has one");
            let frame = stream.read(descriptor, false).expect("it can be read");
            let last = newest.unwrap_or(i64::from(frame.number));
            let number = last + i64::from(frame.number.wrapping_sub(last as u16) as i16);
            assert!(
                !frame.has_structure || newest.is_none_or(|newest| number > newest),
                "a key frame that is old"
            );
            newest = Some(last.max(number));
            let needed = |&distance: &u16| decoded.contains(&(number - i64::from(distance)));
            assert!(frame.dependencies().iter().all(needed), "{number} cannot be decoded");
            decoded.insert(number);
            assert!(
                unit.last().is_none_or(|(timestamp, _)| *timestamp == got.timestamp),
                "a picture without an end"
            );
            unit.push((got.timestamp, frame));
            if got.marker {
                let top = unit.iter().map(|(_, frame)| frame.layers.spatial).max().unwrap();
                let (at, temporal, active) = (got.at, frame.layers.temporal, frame.active);
                shown.push(Shown {
                    at,
                    spatial: top,
                    temporal,
                    active,
                });
                assert!(frame.is_last_packet && frame.layers.spatial == top);
                unit.clear();
            }
        }
        shown
    }

    pub fn since(&self, since: Instant) -> Vec<Shown> {
        self.shown().into_iter().filter(|shown| shown.at > since).collect()
    }

    /// Kilobits per second between two times.
    pub fn kbps(&self, since: Instant, now: Instant) -> u64 {
        let got = self.got.values().filter(|got| got.at > since && got.at <= now);
        let bytes: usize = got.map(|got| got.payload.len() + 40).sum();
        bytes as u64 * 8 / (now - since).as_millis() as u64
    }
}
