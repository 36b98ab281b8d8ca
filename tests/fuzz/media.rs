//! What a datagram is made of: STUN, DTLS, RTP, RTCP, and the payloads of each codec.

use patchbay::media::codec::{Codec, h264, red, vp8};
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity};
use patchbay::media::peer::ice::Request;
use patchbay::media::rtcp::{self, Packet};
use patchbay::media::rtp::{self, Header, NewHeader};
use patchbay::media::session::{DtlsRole, Fingerprint, FingerprintHash};

use crate::engine::{fuzz, now};
use crate::media_client::{Client, rtp as packet, vp8 as vp8_payload};

#[test]
fn stun() {
    let identity = DtlsIdentity::generate().unwrap();
    let client = Client::new(1, None, Vec::new(), &identity, &identity);
    fuzz("stun", vec![client.check()], |input| {
        if let Some(request) = Request::parse(input) {
            let _ = request.ufrags();
        }
    });
}

#[test]
fn dtls() {
    let identity = DtlsIdentity::generate().unwrap();
    let expected = Fingerprint {
        hash: FingerprintHash::Sha256,
        digest: identity.fingerprint.into(),
    };
    let new = |role| Dtls::new(identity.clone(), role, vec![expected.clone()]);
    // Both sides' datagrams of one handshake, one input each.
    let (mut client, mut server) = (new(DtlsRole::Client), new(DtlsRole::Server));
    let now = now();
    client.start(now).unwrap();
    let mut seeds = Vec::new();
    for _ in 0..4 {
        while let Some(datagram) = client.poll_transmit() {
            server.receive(now, &datagram).unwrap();
            seeds.push(datagram.to_vec());
        }
        while let Some(datagram) = server.poll_transmit() {
            client.receive(now, &datagram).unwrap();
            seeds.push(datagram.to_vec());
        }
    }
    assert!(seeds.len() >= 6, "a handshake has six flights");
    fuzz("dtls", seeds, |input| {
        for role in [DtlsRole::Client, DtlsRole::Server] {
            let mut side = new(role);
            let _ = side.start(now);
            let _ = side.receive(now, input);
            let _ = side.receive(now, input);
            let answered: usize = std::iter::from_fn(|| side.poll_transmit())
                .map(|datagram| datagram.len())
                .sum();
            // Our own hello, and at most as much as was received.
            assert!(
                answered <= 400 + 2 * input.len().max(1_500),
                "{answered} bytes for {}",
                input.len()
            );
        }
    });
}

#[test]
fn rtp_packets() {
    let mut with_extensions = packet(96, true, 7, 9, 0x1000, &[]);
    with_extensions[0] |= 0x10;
    with_extensions.extend_from_slice(&[0xbe, 0xde, 0, 2, 0x10, b'0', 0x31, 0, 1, 0, 0, 0]);
    with_extensions.extend_from_slice(&vp8_payload(true, 1, 20));
    let mut two_byte = packet(96, true, 7, 9, 0x1000, &[]);
    two_byte[0] |= 0x30;
    two_byte.extend_from_slice(&[0x10, 0, 0, 1, 1, 1, b'0', 0, 9, 9, 9, 3]);
    let seeds = vec![packet(96, true, 7, 9, 0x1000, &[1, 2, 3]), with_extensions, two_byte];
    fuzz("rtp", seeds, |input| {
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
        };
        for room in [0, 11, 12, 20, 1_500] {
            let mut out = vec![0; room];
            if let Some(len) = rtp::write_header(&mut out, &new, &header, input) {
                let written = Header::parse(&out[..len]).expect("what we write can be read");
                assert_eq!((written.ssrc, written.sequence, written.len), (3, 1, len));
            }
        }
    });
}

#[test]
fn rtcp_compounds() {
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, 9, &[1, 2, 40, 65_535]);
    rtcp::write_pli(&mut compound, 7, 9);
    rtcp::write_fir(&mut compound, 7, 9, 3);
    compound.extend_from_slice(&[0x81, 203, 0, 1, 0, 0, 0, 9]);
    fuzz("rtcp", vec![compound], |input| {
        for packet in rtcp::packets(input) {
            match packet {
                Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks } => {
                    assert!(blocks.iter().count() <= 31);
                }
                Packet::Nack { pairs, .. } => rtcp::each_nacked(pairs, |_| {}),
                Packet::Fir { entries } => {
                    rtcp::fir_ssrcs(entries).count();
                }
                _ => {}
            }
        }
    });
}

#[test]
fn payloads() {
    let mut seeds = vec![vp8_payload(true, 1, 20), vp8_payload(false, 2, 40)];
    // H264: SPS, PPS and IDR in one packet, the start of a fragmented one; H265: a VPS and an IDR; VP9 and AV1: key frames; RED.
    seeds.push(vec![24, 0, 2, 0x67, 1, 0, 2, 0x68, 1, 0, 2, 0x65, 1]);
    seeds.push(vec![0x7c, 0x85, 1, 2, 3]);
    seeds.push(vec![48 << 1, 1, 0, 3, 32 << 1, 1, 9, 0, 3, 19 << 1, 1, 9]);
    seeds.push(vec![0x8a, 0x80, 0x01, 0x10, 0x49, 0x83, 0x42]);
    seeds.push(vec![0x18, 0x0a, 0x0b, 0, 0, 0]);
    seeds.push(vec![0xef, 0, 16, 3, 111, 1, 2, 3, 4]);
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
    fuzz("payloads", seeds, |input| {
        for codec in codecs {
            let _ = codec.start(input);
        }
        if let Some(descriptor) = vp8::parse(input) {
            let mut copy = input.to_vec();
            vp8::rewrite(&mut copy, &descriptor, 0x7fff, 0xff);
            assert_eq!(copy.len(), input.len());
            assert!(vp8::parse(&copy).is_some(), "what we write can be read");
        }
        if let Some((_, range)) = red::primary(input) {
            assert!(range.end <= input.len() && range.start <= range.end);
        }
    });
}
