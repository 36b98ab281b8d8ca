//! TCP connections for media: who speaks by the first bytes, the packets in a stream of bytes, and what waits to be sent.

use std::time::Duration;

use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::tcp::first_bytes::{Speaker, tell};
use patchbay::media::tcp::framing::{HEADER, MAX_PACKET, header, split};
use patchbay::media::tcp::outgoing::{Importance, MAX_BYTES, Outgoing};

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
        let mut seeds = vec![[&[7], &frame[..], &[0, 0], &frame].concat()];
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

/// More bytes never make a connection another one's than it was, but nobody's.
fn speaker(bytes: &[u8]) {
    let mut before = None;
    for end in 0..=bytes.len().min(32) {
        let now = tell(&bytes[..end]);
        assert_eq!(now.is_none(), end == 0);
        let lost = before == Some(Speaker::Media) && now == Some(Speaker::Unknown);
        assert!(before.is_none() || now == before || lost, "{before:?}, then {now:?}");
        if now == Some(Speaker::Media) && end >= 10 {
            assert_eq!(
                (&bytes[2..4], &bytes[6..10]),
                (&[0, 1][..], &[0x21, 0x12, 0xa4, 0x42][..])
            );
        }
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
    let (mut held, mut found, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        held.extend_from_slice(piece);
        places.clear();
        let read = split(&held, &mut places);
        found.extend(places.drain(..).map(|place| held[place].to_vec()));
        let Ok(read) = read else { return (found, true) };
        held.drain(..read);
        assert!(held.len() < HEADER + MAX_PACKET, "{} bytes of a packet", held.len());
    }
    (found, false)
}

fn outgoing(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut now = now();
    let mut outgoing = Outgoing::default();
    let bound = [MAX_BYTES, 60_000, 4_000][bytes.below(3)];
    // What a client would have read, what was given, and how much was dropped.
    let (mut stream, mut given, mut dropped) = (Vec::new(), [0_u32; 2], 0);
    while !bytes.is_empty() {
        let (what, wait, amount) = (bytes.below(3), bytes.byte(), bytes.byte());
        now += Duration::from_millis(u64::from(wait) * 10);
        if what == 2 {
            let waiting = outgoing.waiting();
            let sent = (usize::from(amount) * 97).min(waiting.len());
            stream.extend_from_slice(&waiting[..sent]);
            outgoing.sent(sent);
            continue;
        }
        let mut packet = vec![what as u8; 5 + usize::from(amount) * 6];
        packet[1..5].copy_from_slice(&given[what].to_be_bytes());
        given[what] += 1;
        dropped += outgoing.push(now, &packet, [Importance::Kept, Importance::Video][what], bound);
        assert!(outgoing.waiting().len() <= bound);
    }
    stream.extend_from_slice(outgoing.waiting());
    outgoing.sent(outgoing.waiting().len());
    assert!(outgoing.is_empty());
    let mut places = Vec::new();
    assert_eq!(split(&stream, &mut places), Ok(stream.len()), "whole packets");
    assert_eq!(places.len() as u64 + dropped, u64::from(given[0] + given[1]));
    let mut last = [None; 2];
    for place in places {
        let packet = &stream[place];
        let (kind, number) = (
            usize::from(packet[0]),
            u32::from_be_bytes(packet[1..5].try_into().unwrap()),
        );
        assert!(last[kind] < Some(number), "in order");
        last[kind] = Some(number);
    }
}
