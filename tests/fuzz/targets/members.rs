//! Authentic nonsense: RTP and RTCP of members who have finished their handshake, at any time.

use std::time::Duration;

use patchbay::media::codec::{Codec, Kind, h264};
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::rtp::{Extension, Header};

use super::bytes::Bytes;
use super::media_client::{Client, codec, exchange, rtp, run_until, section, vp8, worker};
use super::{Run, Target, now};

/// A codec, then steps.
pub const MEMBERS: Target = Target {
    name: "members",
    seeds: conversations,
    prepare,
};

const SSRC: u32 = 0x1000;
const PAYLOAD_TYPE: u8 = 96;
const REPAIR_PAYLOAD_TYPE: u8 = 97;
/// Stands beside Opus.
const RED_PAYLOAD_TYPE: u8 = 98;

const CODECS: [Codec; 6] = [
    Codec::Vp8,
    Codec::Vp9 { profile: 0 },
    Codec::H264 {
        profile: h264::Profile::ConstrainedBaseline,
        packetization_mode: 1,
    },
    Codec::H265 { profile: 1, tier: 0 },
    Codec::Av1 { profile: 0, tier: 0 },
    Codec::Opus,
];

fn member(number: u64, source: Option<u64>, of: Codec, identity: &DtlsIdentity, own: &DtlsIdentity) -> Client {
    let repair = (of.kind() == Kind::Video).then_some(REPAIR_PAYLOAD_TYPE);
    let media = codec(PAYLOAD_TYPE, repair, of);
    let local_ssrc = 0x9000 + 16 * number as u32;
    let mut section = section("0", media, source.is_none(), SSRC, local_ssrc);
    section.extensions.push((DESCRIPTOR, Extension::DependencyDescriptor));
    if of == Codec::Opus {
        section.codecs.push(self::codec(RED_PAYLOAD_TYPE, None, Codec::Red));
    }
    Client::new(number, source, vec![section], identity, own)
}

/// The id of dependency descriptors.
const DESCRIPTOR: u8 = 13;

/// The kind of a step in which the viewer's path becomes another one, so that fewer pictures fit.
const NARROW: u8 = 7;

/// A step of an input: the sender, the kind of packet, the wait, and the bytes.
fn step(kind: u8, wait: u8, packet: &[u8]) -> Vec<u8> {
    [&[kind, wait, packet.len() as u8], packet].concat()
}

fn conversations() -> Vec<Vec<u8>> {
    let mut seed = Vec::new();
    for sequence in 0..6_u16 {
        let payload = vp8(sequence == 0, sequence, 40);
        seed.extend(step(
            0,
            10,
            &rtp(
                PAYLOAD_TYPE,
                true,
                sequence,
                3_000 * u32::from(sequence),
                SSRC,
                &payload,
            ),
        ));
    }
    let mut repair = rtp(REPAIR_PAYLOAD_TYPE, true, 1, 0, SSRC + 1, &[0, 3]);
    repair.extend_from_slice(&vp8(false, 3, 40));
    seed.extend(step(0, 1, &repair));
    // A probe: it repeats nothing.
    seed.extend(step(0, 1, &rtp(REPAIR_PAYLOAD_TYPE, true, 2, 0, SSRC + 1, &[])));
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, 0x9000 + 32, &[1, 2]);
    rtcp::write_pli(&mut compound, 7, 0x9000 + 32);
    seed.extend(step(1, 20, &compound));
    let mut report = Vec::new();
    let info = rtcp::SenderInfo {
        ssrc: SSRC,
        ntp: 1 << 40,
        rtp: 3_000,
        packets: 6,
        octets: 240,
    };
    rtcp::write_sender_report(&mut report, &info, "a");
    seed.extend(step(2, 50, &report));
    // The start of a key frame for each codec.
    let key_frames: [&[u8]; 6] = [
        &vp8(true, 0, 40),
        &[0x8a, 0x80, 0x01, 0x10, 0x49, 0x83, 0x42],
        &[24, 0, 2, 0x67, 1, 0, 2, 0x68, 1, 0, 2, 0x65, 1],
        &[48 << 1, 1, 0, 3, 32 << 1, 1, 9, 0, 3, 19 << 1, 1, 9],
        &[0x18, 0x0a, 0x0b, 0, 0, 0],
        &[1, 2, 3],
    ];
    let mut seeds = vec![[&[0], &seed[..]].concat(), layered()];
    for (codec, payload) in key_frames.into_iter().enumerate() {
        let mut steps = vec![codec as u8];
        for sequence in 0..3 {
            steps.extend(step(0, 20, &rtp(PAYLOAD_TYPE, true, sequence, 0, SSRC, payload)));
        }
        seeds.push(steps);
    }
    seeds.push(repeated());
    seeds.push(described());
    seeds
}

/// Opus that is repeated in the next packet (RED); some packets are lost.
fn repeated() -> Vec<u8> {
    let opus = CODECS.iter().position(|codec| *codec == Codec::Opus);
    let mut seed = vec![opus.unwrap() as u8];
    for sequence in [0, 1, 3, 5, 8_u16] {
        // The block before is 960 units old, and three bytes long.
        let payload = [
            0x80 | PAYLOAD_TYPE,
            0x0f,
            0,
            3,
            PAYLOAD_TYPE,
            1,
            1,
            1,
            sequence as u8,
            2,
        ];
        let timestamp = 960 * u32::from(sequence);
        seed.extend(step(
            0,
            20,
            &rtp(RED_PAYLOAD_TYPE, false, sequence, timestamp, SSRC, &payload),
        ));
    }
    seed
}

/// VP8 of three temporal layers over a path that becomes narrow and wide again. One packet comes late, and one is asked for.
fn layered() -> Vec<u8> {
    let mut seed = vec![0];
    for at in (0..13).chain([14, 13]).chain(15..24_u16) {
        match at {
            9 => seed.extend(step(NARROW, 1, &[])),
            18 => seed.extend(step(NARROW, u8::MAX, &[])),
            _ => {}
        }
        // The layer, and Y where it is the only picture of its layer that follows the lowest.
        let mark = [0x00, 0xa0, 0x60, 0x80][usize::from(at % 4)];
        let mut payload = vec![0x90, 0xf0, 0x80, at as u8, (at / 4) as u8, mark];
        payload.extend_from_slice(&[u8::from(at > 0), 0, 0, 0x9d, 1, 0x2a, 0, 1, 180, 0]);
        payload.resize(60, 0);
        seed.extend(step(
            0,
            33,
            &rtp(PAYLOAD_TYPE, true, at, 3_000 * u32::from(at), SSRC, &payload),
        ));
    }
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, 0x9000 + 32, &[0x1200, 0x1204, 0x1205]);
    seed.extend(step(1, 20, &compound));
    seed
}

/// AV1 of three spatial and three temporal layers, as Chromium sent it, over a path that becomes narrow and wide again.
fn described() -> Vec<u8> {
    let av1 = CODECS.iter().position(|codec| matches!(codec, Codec::Av1 { .. }));
    let mut seed = vec![av1.unwrap() as u8];
    let recorded = include_str!("../../fixtures/dependency/av1-l3t3.txt");
    for (at, line) in (0..).zip(recorded.lines().take(120)) {
        match at {
            40 => seed.extend(step(NARROW, 1, &[])),
            80 => seed.extend(step(NARROW, u8::MAX, &[])),
            _ => {}
        }
        let fields: Vec<&str> = line.split(' ').collect();
        let byte = |at: usize| u8::from_str_radix(&fields[2][at..at + 2], 16).unwrap();
        let mut block = vec![DESCRIPTOR, (fields[2].len() / 2) as u8];
        block.extend((0..fields[2].len()).step_by(2).map(byte));
        block.resize(block.len().next_multiple_of(4), 0);
        let mut packet = rtp(
            PAYLOAD_TYPE,
            fields[0] == "1",
            at,
            fields[1].parse().unwrap(),
            SSRC,
            &[7; 20],
        );
        packet[0] |= 0x10;
        packet.splice(12..12, [&[0x10, 0, 0, (block.len() / 4) as u8], &block[..]].concat());
        seed.extend(step(0, 11, &packet));
    }
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, 0x9000 + 32, &[0x1200, 0x1204, 0x1205]);
    seed.extend(step(1, 20, &compound));
    seed
}

fn prepare() -> Run {
    let own = DtlsIdentity::generate().unwrap();
    Box::new(move |input| {
        let mut now = now();
        let (mut worker, identity) = worker(now);
        let mut bytes = Bytes(input);
        let codec = bytes.pick(&CODECS);
        let mut members = [
            member(1, None, codec, &identity, &own),
            member(2, Some(1), codec, &identity, &own),
        ];
        for member in &mut members {
            member.connect(now, &mut worker);
        }
        let mut index = 0;
        while !bytes.is_empty() {
            let (kind, wait) = (bytes.byte(), bytes.byte());
            now += Duration::from_millis(u64::from(wait));
            run_until(&mut worker, now);
            let packet = bytes.piece();
            if kind == NARROW {
                // A release build has paths as they are.
                #[cfg(debug_assertions)]
                worker.suppose_path(now, members[1].spec.peer, u64::from(wait) * 4_000, 1_000_000);
                continue;
            }
            let from = &mut members[usize::from(kind % 4 == 1)];
            let datagram = match kind % 4 {
                0 if Header::parse(packet).is_some() => {
                    index += 1;
                    from.seal(packet, u64::from(u16::from_be_bytes([packet[2], packet[3]])))
                }
                1 | 2 if packet.len() >= 8 => from.seal_rtcp(packet),
                _ => packet.to_vec(),
            };
            let sent = exchange(now, &mut worker, from.address, &datagram);
            let bytes: usize = sent.iter().map(|(_, datagram)| datagram.len()).sum();
            assert!(bytes < 200_000, "{bytes} bytes came of one datagram");
        }
        run_until(&mut worker, now + Duration::from_secs(2));
        assert!(
            worker.stats().tracks <= 1 && worker.stats().peers <= 2,
            "after {index} packets"
        );
    })
}
