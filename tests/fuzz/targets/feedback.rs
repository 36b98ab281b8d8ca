//! Authentic nonsense about the packets that a viewer gets: transport-wide feedback, estimates, and reference times.

use std::time::Duration;

use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;

use super::bytes::Bytes;
use super::media_client::{Client, VIDEO_PT, VIDEO_RTX_PT, codec, exchange, rtp, run_until, section, vp8, worker};
use super::{Run, Target, now};

/// Steps: a wait, a kind, and the bytes.
pub const FEEDBACK: Target = Target {
    name: "feedback",
    seeds: conversations,
    prepare,
};

const SSRC: u32 = 0x1000;

/// Kinds of steps.
const PACKETS: u8 = 0;
const TRANSPORT_WIDE: u8 = 1;
const ESTIMATE: u8 = 2;
const EXTENDED: u8 = 3;
const ANYTHING: u8 = 4;

fn step(kind: u8, wait: u8, bytes: &[u8]) -> Vec<u8> {
    [&[wait, kind, bytes.len() as u8], bytes].concat()
}

fn conversations() -> Vec<Vec<u8>> {
    let mut honest = Vec::new();
    for at in 0..20_u8 {
        honest.extend(step(PACKETS, 10, &[3]));
        // Three that came, from the first of them on.
        honest.extend(step(
            TRANSPORT_WIDE,
            10,
            &[0, at * 3, 0, 3, 0, 0, at, at, 0x20, 3, 4, 4, 4],
        ));
    }
    let mut lies = step(PACKETS, 10, &[60]);
    let lost_runs = [0x1f, 0xff].repeat(8);
    lies.extend(step(
        TRANSPORT_WIDE,
        1,
        &[&[0, 3, 0xfd, 0xe8, 0, 0, 1, 0], &lost_runs[..]].concat(),
    ));
    lies.extend(step(
        TRANSPORT_WIDE,
        1,
        &[0, 0, 0, 9, 0xff, 0xff, 0xff, 1, 0xd5, 0x55, 0xd5, 0x55, 1, 2, 3, 4, 5],
    ));
    lies.extend(step(
        TRANSPORT_WIDE,
        1,
        &[0, 0, 0, 3, 0, 0, 1, 0, 0xea, 0x80, 0x80, 0, 0x7f, 0xff, 0x80, 0],
    ));
    lies.extend(step(ESTIMATE, 20, b"REMB\x01\xff\xff\xff"));
    lies.extend(step(ESTIMATE, 20, b"REMB\x01\0\0\0"));
    lies.extend(step(EXTENDED, 20, &[4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]));
    lies.extend(step(ANYTHING, 20, &[0x8f, 205, 0, 1, 0, 0, 0, 1]));
    vec![honest, lies]
}

fn viewer(number: u64, numbered: bool, identity: &DtlsIdentity, own: &DtlsIdentity) -> Client {
    let mut codec = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
    codec.feedback.remb = true;
    let mut section = section("0", codec, false, SSRC, 0x9000 + 16 * number as u32);
    section.number_id = numbered.then_some(3);
    Client::new(number, Some(1), vec![section], identity, own)
}

/// A packet that says `kind`, as the part of a compound after a report.
fn packet(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut packet = match kind {
        TRANSPORT_WIDE => vec![0x8f, 205, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9],
        ESTIMATE => vec![0x8f, 206, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0],
        EXTENDED => vec![0x80, 207, 0, 0, 0, 0, 0, 7],
        _ => return bytes.to_vec(),
    };
    packet.extend_from_slice(bytes);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}

fn prepare() -> Run {
    let own = DtlsIdentity::generate().unwrap();
    Box::new(move |input| {
        let mut now = now();
        let (mut worker, identity) = worker(now);
        let publishes = section("0", codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8), true, SSRC, 0x9000);
        let mut publisher = Client::new(1, None, vec![publishes], &identity, &own);
        publisher.connect(now, &mut worker);
        let mut viewers = [true, false].map(|numbered| viewer(2 + u64::from(numbered), numbered, &identity, &own));
        viewers.iter_mut().for_each(|viewer| viewer.connect(now, &mut worker));
        let (mut bytes, mut sequence) = (Bytes(input), 0_u16);
        while !bytes.is_empty() {
            let (wait, kind) = (bytes.byte(), bytes.byte());
            now += Duration::from_millis(u64::from(wait));
            run_until(&mut worker, now);
            let said = bytes.piece();
            if kind % 5 == PACKETS {
                for _ in 0..said.first().copied().unwrap_or(1).min(64) {
                    let payload = vp8(sequence == 0, sequence, 1_000);
                    let timestamp = 3_000 * u32::from(sequence);
                    let packet = rtp(VIDEO_PT, true, sequence, timestamp, SSRC, &payload);
                    let sealed = publisher.seal(&packet, u64::from(sequence));
                    exchange(now, &mut worker, publisher.address, &sealed);
                    sequence += 1;
                }
                continue;
            }
            let mut compound = Vec::new();
            rtcp::write_receiver_report(&mut compound, 7, &[]);
            compound.extend(packet(kind % 5, said));
            for viewer in &mut viewers {
                let sealed = viewer.seal_rtcp(&compound);
                let sent = exchange(now, &mut worker, viewer.address, &sealed);
                let bytes: usize = sent.iter().map(|(_, datagram)| datagram.len()).sum();
                assert!(bytes < 50_000, "{bytes} bytes came of one compound");
            }
        }
        run_until(&mut worker, now + Duration::from_secs(2));
        let stats = worker.stats();
        // Each packet is lost once at most, and comes once at most. There are no more of them than were sent.
        let most = 2 * (u64::from(sequence) + stats.probe_packets + stats.resent_packets);
        assert!(stats.reported_packets <= most, "{} of {most}", stats.reported_packets);
        let paths: Vec<_> = worker.paths(now + Duration::from_secs(2)).collect();
        assert!(!paths.is_empty(), "a viewer has numbers");
        for path in paths {
            let target = path.target_bps;
            assert!(
                target.is_none_or(|target| (1..=100_000_000).contains(&target)),
                "{path:?}"
            );
        }
    })
}
