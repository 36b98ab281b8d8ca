//! The parts of a datagram: DTLS, RTP, RTCP, and the payloads of each codec.

use patchbay::media::codec::{Codec, h264, red, vp8};
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity};
use patchbay::media::rtcp::{self, Packet};
use patchbay::media::rtp::{self, Header, NewHeader};
use patchbay::media::session::{DtlsRole, Fingerprint, FingerprintHash};

use super::bytes::Bytes;
use super::media_client::{rtp as packet, vp8 as vp8_payload};
use super::{Run, Target, now};

pub const DTLS: Target = Target {
    name: "dtls",
    seeds: flights,
    prepare: handshakes,
};

pub const RTP: Target = Target {
    name: "rtp",
    seeds: packets,
    prepare: || Box::new(one_packet),
};

pub const RTCP: Target = Target {
    name: "rtcp",
    seeds: compounds,
    prepare: || Box::new(compound),
};

pub const PAYLOADS: Target = Target {
    name: "payloads",
    seeds: payloads,
    prepare: || Box::new(payload),
};

fn side(identity: &DtlsIdentity, role: DtlsRole) -> Dtls {
    let expected = Fingerprint {
        hash: FingerprintHash::Sha256,
        digest: identity.fingerprint.into(),
    };
    Dtls::new(identity.clone(), role, vec![expected])
}

/// Datagrams of one handshake, each after the number of genuine ones that come before it.
fn flights() -> Vec<Vec<u8>> {
    let identity = DtlsIdentity::generate().unwrap();
    let mut sides = [side(&identity, DtlsRole::Client), side(&identity, DtlsRole::Server)];
    let now = now();
    sides[0].start(now).unwrap();
    let mut seeds = Vec::new();
    for turn in 0..8 {
        let (from, to) = (turn % 2, (turn + 1) % 2);
        while let Some(datagram) = sides[from].poll_transmit() {
            sides[to].receive(now, &datagram).unwrap();
            seeds.push([&[seeds.len() as u8], &datagram[..]].concat());
        }
    }
    assert!(seeds.len() >= 6, "a handshake has six flights");
    seeds
}

/// A stranger's datagram, to both sides, at any moment of a handshake, which goes on afterwards.
fn handshakes() -> Run {
    let identity = DtlsIdentity::generate().unwrap();
    let now = now();
    Box::new(move |input| {
        let mut bytes = Bytes(input);
        let mut genuine = bytes.below(16);
        let mut sides = [side(&identity, DtlsRole::Client), side(&identity, DtlsRole::Server)];
        let _ = sides[0].start(now);
        for turn in 0..12 {
            let (from, to) = (turn % 2, (turn + 1) % 2);
            while let Some(datagram) = sides[from].poll_transmit() {
                if genuine == 0 {
                    break;
                }
                genuine -= 1;
                let _ = sides[to].receive(now, &datagram);
            }
        }
        for side in &mut sides {
            while side.poll_transmit().is_some() {}
            let _ = side.receive(now, bytes.0);
            let _ = side.receive(now, bytes.0);
            let answered: usize = std::iter::from_fn(|| side.poll_transmit())
                .map(|datagram| datagram.len())
                .sum();
            // A flight of ours, twice, and at most as much as was received.
            assert!(
                answered <= 4_000 + 2 * bytes.0.len(),
                "{answered} bytes for {}",
                bytes.0.len()
            );
            if let Some(due) = side.poll_timeout() {
                let _ = side.handle_timeout(due);
            }
        }
    })
}

fn packets() -> Vec<Vec<u8>> {
    let mut with_extensions = packet(96, true, 7, 9, 0x1000, &[]);
    with_extensions[0] |= 0x10;
    with_extensions.extend_from_slice(&[0xbe, 0xde, 0, 2, 0x10, b'0', 0x31, 0, 1, 0, 0, 0]);
    with_extensions.extend_from_slice(&vp8_payload(true, 1, 20));
    let mut two_byte = packet(96, true, 7, 9, 0x1000, &[]);
    two_byte[0] |= 0x30;
    two_byte.extend_from_slice(&[0x10, 0, 0, 1, 1, 1, b'0', 0, 9, 9, 9, 3]);
    vec![packet(96, true, 7, 9, 0x1000, &[1, 2, 3]), with_extensions, two_byte]
}

fn one_packet(input: &[u8]) {
    let Some(header) = Header::parse(input) else { return };
    for (id, value) in header.elements(input) {
        assert!(id > 0 && value.len() <= 255);
    }
    if let Some(payload) = header.payload(input) {
        assert!(payload.end <= input.len() && payload.start <= payload.end);
    }
    let mut ids = [0; rtp::MAX_EXTENSION_ID as usize + 1];
    for (id, new) in ids.iter_mut().enumerate() {
        *new = (id as u8).wrapping_mul(7) % 15;
    }
    let new = NewHeader {
        marker: true,
        payload_type: 100,
        sequence: 1,
        timestamp: 2,
        ssrc: 3,
        extension_ids: &ids,
        mid: Some((15, b"mid")),
        number: Some((3, 0xffff)),
        playout: Some((4, [1, 2, 3])),
        descriptor: None,
    };
    for room in [0, 11, 12, 20, 1_500] {
        let mut out = vec![0; room];
        if let Some(len) = rtp::write_header(&mut out, &new, &header, input) {
            let written = Header::parse(&out[..len]).expect("what we write can be read");
            assert_eq!((written.ssrc, written.sequence, written.len), (3, 1, len));
        }
    }
}

fn compounds() -> Vec<Vec<u8>> {
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, 9, &[1, 2, 40, 65_535]);
    rtcp::write_pli(&mut compound, 7, 9);
    rtcp::write_fir(&mut compound, 7, 9, 3);
    compound.extend_from_slice(&[0x81, 203, 0, 1, 0, 0, 0, 9]);
    // Transport-wide feedback of one packet, which nobody reads.
    compound.extend_from_slice(&[
        0x8f, 205, 0, 5, 0, 0, 0, 7, 0, 0, 0, 9, 0, 1, 0, 1, 0, 0, 2, 0, 0x20, 1, 9, 0,
    ]);
    vec![compound]
}

fn compound(input: &[u8]) {
    for packet in rtcp::packets(input) {
        match packet {
            Packet::Nack { pairs, .. } => rtcp::each_nacked(pairs, |_| {}),
            Packet::Fir { entries } => {
                rtcp::fir_ssrcs(entries).count();
            }
            _ => {}
        }
    }
    // Our NACK asks its reader for the sequence numbers that we put into it.
    let mut sequences: Vec<u16> = input
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    sequences.sort_unstable();
    sequences.dedup();
    let (mut written, mut read) = (Vec::new(), Vec::new());
    rtcp::write_nack(&mut written, 7, 9, &sequences);
    for packet in rtcp::packets(&written) {
        let Packet::Nack { pairs, .. } = packet else {
            panic!("we wrote nothing else");
        };
        rtcp::each_nacked(pairs, |sequence| read.push(sequence));
    }
    assert_eq!(read, sequences);
    let cut: usize = rtcp::compounds(&written, 1_200).map(<[u8]>::len).sum();
    assert_eq!(cut, written.len(), "nothing is lost by cutting");
}

fn payloads() -> Vec<Vec<u8>> {
    let mut seeds = vec![vp8_payload(true, 1, 20), vp8_payload(false, 2, 40)];
    // H264: SPS, PPS and IDR in one packet, the start of a fragmented one; H265: a VPS and an IDR; VP9 and AV1: key frames; RED.
    seeds.push(vec![24, 0, 2, 0x67, 1, 0, 2, 0x68, 1, 0, 2, 0x65, 1]);
    seeds.push(vec![0x7c, 0x85, 1, 2, 3]);
    seeds.push(vec![48 << 1, 1, 0, 3, 32 << 1, 1, 9, 0, 3, 19 << 1, 1, 9]);
    seeds.push(vec![0x8a, 0x80, 0x01, 0x10, 0x49, 0x83, 0x42]);
    seeds.push(vec![0x18, 0x0a, 0x0b, 0, 0, 0]);
    seeds.push(vec![0xef, 0, 16, 3, 111, 1, 2, 3, 4]);
    seeds
}

fn payload(input: &[u8]) {
    let profile = h264::Profile::from_profile_level_id(0x42, 0xe0).expect("Constrained Baseline");
    let codecs = [
        Codec::Vp8,
        Codec::Vp9 { profile: 0 },
        Codec::H264 {
            profile,
            packetization_mode: 1,
        },
        Codec::H265 { profile: 1, tier: 0 },
        Codec::Av1 { profile: 0, tier: 0 },
        Codec::Opus,
    ];
    for codec in codecs {
        let (_, vp8) = codec.read(input);
        let _ = codec.mark(input, vp8.as_ref());
    }
    if let Some(descriptor) = vp8::parse(input) {
        let mut copy = input.to_vec();
        let new = vp8::Continuous {
            picture_id: 0x7fff,
            tl0_pic_idx: 0xff,
            key_index: 0xff,
        };
        vp8::rewrite(&mut copy, &descriptor, &new);
        assert_eq!(copy.len(), input.len());
        assert!(vp8::parse(&copy).is_some(), "what we write can be read");
    }
    if let Some((_, range)) = red::primary(input) {
        assert!(range.end <= input.len() && range.start <= range.end);
        let mut end = range.start;
        for block in red::earlier(input, &range) {
            assert!(
                block.audio.start <= block.audio.end && block.audio.end == end,
                "one after the other"
            );
            end = block.audio.start;
        }
    }
}
