//! Authentic nonsense: RTP and RTCP of members who have been through their handshake, at any time.

use std::time::Duration;

use patchbay::media::codec::Codec;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::rtcp;
use patchbay::media::rtp::Header;

use crate::bytes::Bytes;
use crate::engine::{fuzz, now};
use crate::media_client::{Client, codec, exchange, rtp, run_until, section, vp8, worker};

const SSRC: u32 = 0x1000;
const PAYLOAD_TYPE: u8 = 96;
const REPAIR_PAYLOAD_TYPE: u8 = 97;

fn member(number: u64, source: Option<u64>, identity: &DtlsIdentity, own: &DtlsIdentity) -> Client {
    let video = codec(PAYLOAD_TYPE, Some(REPAIR_PAYLOAD_TYPE), Codec::Vp8);
    let local_ssrc = 0x9000 + 16 * number as u32;
    let section = section("0", video, source.is_none(), SSRC, local_ssrc);
    Client::new(number, source, vec![section], identity, own)
}

/// A step of an input: who speaks, what it is, how long to wait, and the bytes.
fn step(kind: u8, wait: u8, packet: &[u8]) -> Vec<u8> {
    [&[kind, wait, packet.len() as u8], packet].concat()
}

#[test]
fn packets_of_members() {
    let own = DtlsIdentity::generate().unwrap();
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
    fuzz("members", vec![seed], |input| {
        let mut now = now();
        let (mut worker, identity) = worker(now);
        let mut members = [member(1, None, &identity, &own), member(2, Some(1), &identity, &own)];
        for member in &mut members {
            member.connect(now, &mut worker);
        }
        let mut bytes = Bytes(input);
        let mut index = 0;
        while !bytes.is_empty() {
            let (kind, wait) = (bytes.byte(), bytes.byte());
            now += Duration::from_millis(u64::from(wait));
            run_until(&mut worker, now);
            let packet = bytes.piece();
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
    });
}
