//! TCP connections for media: who speaks by the first bytes, the packets in a stream of bytes, and what waits to be sent.

use std::io::IoSlice;
use std::ops::Range;
use std::time::{Duration, Instant};

use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::tcp::first_bytes::{Speaker, tell};
use patchbay::media::tcp::framing::{HEADER, MAX_PACKET, header, split};
use patchbay::media::tcp::outgoing::{Dropped, Importance, MAX_BYTES, MAX_SOUND_WAIT, MAX_WAIT, Outgoing};

use super::bytes::Bytes;
use super::media_client::Client;
use super::{Target, now};

/// A stream of bytes: the first of them tell who speaks, and all of them are the same packets however they are cut. The first byte says
/// how.
pub const FRAMES: Target = Target {
    name: "frames",
    seeds: || {
        let identity = DtlsIdentity::generate().unwrap();
        let check = Client::new(1, None, Vec::new(), &identity, &identity).check();
        let frame = [&header(&check).unwrap()[..], &check].concat();
        let beginnings: [&[u8]; 3] = [&[22, 3, 1, 2, 0], b"GET / HTTP/1.1\r\n", &[0, 0, 0, 3, 1, 2, 3]];
        let longest = [&[3, 8, 0][..], &[9; MAX_PACKET], &[8, 1], &[9; MAX_PACKET]].concat();
        let mut seeds = vec![
            [&[7], &frame[..], &[0, 0], &frame].concat(),
            [&[0], &[0; 400][..], &frame].concat(),
            [&[9], &frame[..], &[0xff; 300]].concat(),
            longest,
        ];
        seeds.extend(beginnings.map(|bytes| [&[1], bytes].concat()));
        seeds
    },
    prepare: || Box::new(frames),
};

/// The bound, then steps: what is done, how long it waits, how much of it there is.
pub const OUTGOING: Target = Target {
    name: "outgoing",
    seeds: || {
        let step = |what, wait, len| vec![what, wait, len];
        let fill = [1]
            .into_iter()
            .chain((0..200).flat_map(|number| step(number % 2, number % 7, 255)));
        vec![
            fill.chain(step(2, 0, 90)).collect(),
            [2, 0, 9, 9, 2, 1, 3, 1, 0, 255, 1, 250, 9].to_vec(),
        ]
    },
    prepare: || Box::new(outgoing),
};

fn frames(input: &[u8]) {
    let Some((&cut, bytes)) = input.split_first() else {
        return;
    };
    speaker(bytes);
    let whole = packets(bytes, bytes.len().max(1));
    assert_eq!(whole, read_slowly(bytes), "as the words of the RFC have it");
    assert_eq!(packets(bytes, usize::from(cut) + 1), whole, "in pieces");
    for packet in &whole.0 {
        assert!((1..=MAX_PACKET).contains(&packet.len()));
    }
}

/// Whether these may be the first bytes of a check: of any, as the words of the RFCs have them.
fn may_be_check(bytes: &[u8]) -> bool {
    (20..=MAX_PACKET as u16).any(|length| {
        let [high, low] = length.to_be_bytes();
        let [of_rest_high, of_rest_low] = (length - 20).to_be_bytes();
        let beginning = [high, low, 0, 1, of_rest_high, of_rest_low, 0x21, 0x12, 0xa4, 0x42];
        beginning.iter().zip(bytes).all(|(expected, byte)| expected == byte)
    })
}

/// More bytes never make a connection another one's than it was, but nobody's.
fn speaker(bytes: &[u8]) {
    let mut before = None;
    for end in 0..=bytes.len().min(32) {
        let now = tell(&bytes[..end]);
        assert_eq!(now.is_none(), end == 0);
        let lost = before == Some(Speaker::Media) && now == Some(Speaker::Unknown);
        assert!(before.is_none() || now == before || lost, "{before:?}, then {now:?}");
        let is_media = end > 0 && may_be_check(&bytes[..end]);
        assert_eq!(now == Some(Speaker::Media), is_media, "{:?}", &bytes[..end]);
        before = now;
    }
}

/// The packets in these bytes, and whether a length is too large, by the words of RFC 4571.
fn read_slowly(mut bytes: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut found = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(*high) * 256 + usize::from(*low);
        if length > MAX_PACKET {
            return (found, true);
        }
        let Some((packet, after)) = rest.split_at_checked(length) else {
            break;
        };
        found.extend((length > 0).then(|| packet.to_vec()));
        bytes = after;
    }
    (found, false)
}

/// The packets in these bytes, as they come in pieces; whether they end with a length that is refused.
fn packets(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let most = piece % 7 + 1;
    let (mut held, mut found, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        held.extend_from_slice(piece);
        loop {
            let read = split(&held, &mut places, most);
            let count = places.len();
            assert!(count <= most);
            found.extend(places.drain(..).map(|place| held[place].to_vec()));
            let Ok(read) = read else { return (found, true) };
            held.drain(..read);
            if count < most {
                break;
            }
        }
        assert!(held.len() < HEADER + MAX_PACKET, "{} bytes of a packet", held.len());
    }
    (found, false)
}

/// The next bytes that wait, `most` at most.
fn sent(outgoing: &mut Outgoing, most: usize) -> Vec<u8> {
    let mut pieces = [IoSlice::new(&[]); 4];
    let count = outgoing.pieces(&mut pieces);
    let mut bytes: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.to_vec()).collect();
    assert_eq!(bytes.is_empty(), outgoing.is_empty());
    bytes.truncate(most);
    let before = outgoing.len();
    outgoing.sent(bytes.len());
    assert_eq!(outgoing.len(), before - bytes.len());
    bytes
}

/// What was given to a queue, and what has come out of it.
struct Queue {
    outgoing: Outgoing,
    stream: Vec<u8>,
    /// The times of the packets, by their numbers, for each importance.
    given: [Vec<Instant>; 3],
    dropped: Dropped,
}

const IMPORTANCES: [Importance; 3] = [Importance::Kept, Importance::Video, Importance::Sound];

fn outgoing(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut now = now();
    let mut queue = Queue {
        outgoing: Outgoing::default(),
        stream: Vec::new(),
        given: Default::default(),
        dropped: Dropped::default(),
    };
    let bound = [MAX_BYTES, 60_000, 4_000][bytes.below(3)];
    while !bytes.is_empty() {
        let (what, wait, amount) = (bytes.below(6), bytes.byte(), bytes.byte());
        now += Duration::from_millis(u64::from(wait) * 10);
        match what {
            0..=2 => queue.give(now, what, usize::from(amount), bound),
            3 => {
                let some = sent(&mut queue.outgoing, usize::from(amount) * 97);
                queue.stream.extend(some);
            }
            4 => queue.drain(now),
            _ => queue.dropped += queue.outgoing.forget_media(),
        }
    }
    queue.drain(now);
    queue.judge();
}

impl Queue {
    fn give(&mut self, now: Instant, what: usize, amount: usize, bound: usize) {
        let mut packet = vec![what as u8; 5 + amount * 6];
        packet[1..5].copy_from_slice(&(self.given[what].len() as u32).to_be_bytes());
        self.given[what].push(now);
        self.dropped += self.outgoing.push(now, &packet, IMPORTANCES[what], bound);
        assert!(self.outgoing.len() <= bound);
    }

    /// Sends all that waits and is not late.
    fn drain(&mut self, now: Instant) {
        self.dropped += self.outgoing.forget_late(now);
        let before = self.packets().0.len();
        while !self.outgoing.is_empty() {
            let some = sent(&mut self.outgoing, usize::MAX);
            self.stream.extend(some);
        }
        // The first of them may have begun to leave before.
        for (what, number) in self.packets().0.into_iter().skip(before + 1) {
            let most = [Duration::MAX, MAX_WAIT, MAX_SOUND_WAIT][what];
            assert!(now - self.given[what][number] < most, "{what} {number}");
        }
    }

    /// The packets that have left whole, and the bytes of all.
    fn packets(&self) -> (Vec<(usize, usize)>, usize) {
        let mut places = Vec::new();
        let read = split(&self.stream, &mut places, usize::MAX).unwrap();
        let packet = |place: Range<usize>| {
            let packet = &self.stream[place];
            let number = u32::from_be_bytes(packet[1..5].try_into().unwrap());
            (usize::from(packet[0]), number as usize)
        };
        (places.into_iter().map(packet).collect(), read)
    }

    fn judge(&self) {
        let (packets, read) = self.packets();
        assert_eq!(read, self.stream.len(), "whole packets");
        let given: usize = self.given.iter().map(Vec::len).sum();
        assert_eq!(packets.len() + self.dropped.packets as usize, given);
        let mut last = [None; 3];
        for (what, number) in packets {
            assert!(last[what] < Some(number), "in order");
            last[what] = Some(number);
        }
    }
}
