//! Hostile or merely unusual clients of a media worker, beyond those in `worker/`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use patchbay::media::codec::{Codec, Kind};
use patchbay::media::peer::dtls::{Dtls, DtlsIdentity, DtlsProgress};
use patchbay::media::rtp::Header;
use patchbay::media::session::{DtlsRole, Fingerprint, FingerprintHash, MediaSection};
use patchbay::media::worker::{Datagram, Worker};

use crate::worker::media_client::*;

const VIDEO_SSRC: u32 = 0x1000;

fn start() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "a test's starting point")]
    Instant::now()
}

fn video(receive: bool, local_ssrc: u32) -> MediaSection {
    let codec = codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8);
    section("0", codec, receive, VIDEO_SSRC, local_ssrc)
}

fn connected(now: Instant, worker: &mut Worker, identity: &DtlsIdentity, number: u64, section: MediaSection) -> Client {
    let source = section.down.map(|_| 1);
    let mut client = Client::new(
        number,
        source,
        vec![section],
        identity,
        &DtlsIdentity::generate().unwrap(),
    );
    client.connect(now, worker);
    client
}

fn frame(sequence: u16, key_frame: bool) -> Vec<u8> {
    let payload = vp8(key_frame, sequence, 200);
    rtp(
        VIDEO_PT,
        true,
        sequence,
        u32::from(sequence) * 3_000,
        VIDEO_SSRC,
        &payload,
    )
}

/// Every SRTP packet that was sent to `client`, as it was on the wire.
fn media_to(client: &Client, sent: &[(std::net::SocketAddr, Vec<u8>)]) -> Vec<Vec<u8>> {
    let is_media = |bytes: &[u8]| bytes.len() > 12 && bytes[0] >> 6 == 2 && !matches!(bytes[1], 192..=223);
    let mine = sent
        .iter()
        .filter(|(to, bytes)| *to == client.address && is_media(bytes));
    mine.map(|(_, bytes)| bytes.clone()).collect()
}

/// Header fields that make up the SRTP index within one turn of the sequence numbers.
fn ssrc_and_sequence(packet: &[u8]) -> (u32, u16) {
    let header = Header::parse(packet).unwrap();
    (header.ssrc, header.sequence)
}

#[test]
fn a_section_that_stops_and_starts_again_uses_no_srtp_index_twice() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let publisher = connected(now, &mut worker, &identity, 1, video(true, 0x9000));
    let mut subscriber = connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    let mut on_the_wire: HashMap<(u32, u16), Vec<u8>> = HashMap::new();
    let mut opened = 0;
    for round in 0..3_u16 {
        for at in 0..10 {
            let sequence = round * 10 + at;
            let sealed = publisher.seal(&frame(sequence, at == 0), u64::from(sequence));
            let sent = exchange(now, &mut worker, publisher.address, &sealed);
            for packet in media_to(&subscriber, &sent) {
                let before = on_the_wire.insert(ssrc_and_sequence(&packet), packet.clone());
                assert!(
                    before.is_none_or(|before| before == packet),
                    "the same index for other bytes"
                );
                opened += usize::from(subscriber.take(now, &packet).is_some());
            }
        }
        // On hold, and back again.
        for send in [false, true] {
            subscriber.spec.sections[0].down = send.then(|| down(1, Kind::Video));
            subscriber.open(now, &mut worker);
        }
    }
    assert_eq!(opened, 30, "and the client can open all of them");
}

#[test]
fn a_published_section_that_was_on_hold_after_many_packets_is_heard_again() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut publisher = connected(now, &mut worker, &identity, 1, video(true, 0x9000));
    let subscriber = connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    // The roll-over counter is one from here on.
    for index in [65_000_u64, 65_500, 65_536] {
        let sealed = publisher.seal(&frame(index as u16, true), index);
        exchange(now, &mut worker, publisher.address, &sealed);
    }
    for receive in [false, true] {
        publisher.spec.sections[0].up = receive.then(|| up(Kind::Video));
        publisher.open(now, &mut worker);
    }
    let sealed = publisher.seal(&frame(1, true), 65_537);
    let sent = exchange(now, &mut worker, publisher.address, &sealed);
    assert_eq!(media_to(&subscriber, &sent).len(), 1);
}

#[test]
fn a_publisher_that_hides_packets_in_another_codec_makes_no_index_repeat() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut both = video(true, 0x9000);
    both.codecs.push(codec(100, None, Codec::Vp9 { profile: 0 }));
    let publisher = connected(now, &mut worker, &identity, 1, both);
    let subscriber = connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    let mut on_the_wire: HashMap<(u32, u16), Vec<u8>> = HashMap::new();
    let mut index = 0_u64;
    let mut publish = |index: u64, payload_type: u8, worker: &mut Worker| {
        let mut packet = frame(index as u16, index == 0);
        packet[1] = 0x80 | payload_type;
        packet[4..8].copy_from_slice(&(index as u32).to_be_bytes());
        let sealed = publisher.seal(&packet, index);
        for packet in media_to(&subscriber, &exchange(now, worker, publisher.address, &sealed)) {
            let before = on_the_wire.insert(ssrc_and_sequence(&packet), packet.clone());
            assert!(
                before.is_none_or(|before| before == packet),
                "the same index for other bytes"
            );
        }
    };
    while index < 30_000 {
        publish(index, VIDEO_PT, &mut worker);
        index += 7;
    }
    // Packets that this subscriber cannot decode are not copied to it, and its numbers stand still.
    while index < 70_000 {
        publish(index, 100, &mut worker);
        index += 2_500;
    }
    for _ in 0..2_000 {
        publish(index, VIDEO_PT, &mut worker);
        index += 1;
    }
}

#[test]
fn a_burst_larger_than_the_egress_reaches_every_subscriber_whole() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let publisher = connected(now, &mut worker, &identity, 1, video(true, 0x9000));
    let subscribers: Vec<Client> = (0..30)
        .map(|at| {
            connected(
                now,
                &mut worker,
                &identity,
                2 + at,
                video(false, 0x2_0000 + 16 * at as u32),
            )
        })
        .collect();
    // One batch, as the kernel hands it over: forty packets, of which each subscriber takes fifty kilobytes.
    let mut buffer = Vec::new();
    let mut datagrams = Vec::new();
    for sequence in 0..40_u16 {
        let payload = vp8(sequence == 0, sequence, 1_200);
        let packet = rtp(VIDEO_PT, true, sequence, 0, VIDEO_SSRC, &payload);
        let sealed = publisher.seal(&packet, u64::from(sequence));
        datagrams.push(Datagram {
            from: publisher.address,
            to: None,
            start: buffer.len(),
            len: sealed.len(),
        });
        buffer.extend_from_slice(&sealed);
    }
    worker.handle_datagrams(now, &mut buffer, &datagrams);
    let mut sent = Vec::new();
    loop {
        let done = worker.forward(now, &buffer);
        drain(&mut worker, &mut sent);
        if done {
            break;
        }
    }
    for subscriber in &subscribers {
        let got: Vec<u16> = media_to(subscriber, &sent)
            .iter()
            .map(|packet| ssrc_and_sequence(packet).1)
            .collect();
        assert_eq!(got.len(), 40, "{}", subscriber.address);
        assert!(got.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    }
}

#[test]
fn a_client_that_changes_its_tracks_for_hours_is_still_heard() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut publisher = connected(now, &mut worker, &identity, 1, video(true, 0x9000));
    let subscriber = connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    for round in 0..200_u32 {
        let (ssrc, rtx) = (0x10_0000 + 2 * round, 0x10_0001 + 2 * round);
        publisher.spec.sections[0].mid = round.to_string().as_bytes().into();
        publisher.spec.sections[0].remote_ssrcs[0].ssrc = ssrc;
        publisher.spec.sections[0].remote_ssrcs[0].rtx = Some(rtx);
        publisher.open(now, &mut worker);
        let mut heard = 0;
        for (at, ssrc, payload_type) in [(0, ssrc, VIDEO_PT), (0, rtx, VIDEO_RTX_PT), (2, ssrc, VIDEO_PT)] {
            let mut packet = frame(at, true);
            packet[1] = payload_type;
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            if payload_type == VIDEO_RTX_PT {
                packet.splice(12..12, [0, 1]);
            }
            let sealed = publisher.seal(&packet, u64::from(at));
            let sent = exchange(now, &mut worker, publisher.address, &sealed);
            heard += media_to(&subscriber, &sent).len();
        }
        assert_eq!(heard, 3, "track {round}");
    }
}

#[test]
fn of_two_tracks_the_second_is_not_shown_twice_when_the_first_ends() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let of =
        |mid: &str, receive, remote, local| section(mid, codec(VIDEO_PT, None, Codec::Vp8), receive, remote, local);
    let own = DtlsIdentity::generate().unwrap();
    let published = vec![of("0", true, 0x1000, 0x9000), of("1", true, 0x2000, 0x9100)];
    let watched = vec![of("0", false, 0, 0x2_0000), of("1", false, 0, 0x2_0100)];
    let mut publisher = Client::new(1, None, published, &identity, &own);
    publisher.connect(now, &mut worker);
    let mut subscriber = Client::new(2, Some(1), watched, &identity, &own);
    subscriber.connect(now, &mut worker);
    publisher.spec.sections[0].up = None;
    publisher.spec.sections[1].up = Some(up(Kind::Video));
    publisher.open(now, &mut worker);
    let mut packet = frame(1, true);
    packet[8..12].copy_from_slice(&0x2000_u32.to_be_bytes());
    let sealed = publisher.seal(&packet, 1);
    let sent = exchange(now, &mut worker, publisher.address, &sealed);
    assert_eq!(media_to(&subscriber, &sent).len(), 1);
}

#[test]
fn a_participant_cannot_take_the_address_of_another_who_is_talking() {
    let mut now = start();
    let (mut worker, identity) = worker(now);
    let publisher = connected(now, &mut worker, &identity, 1, video(true, 0x9000));
    let subscriber = connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    let sealed = publisher.seal(&frame(0, true), 0);
    let sent = exchange(now, &mut worker, publisher.address, &sealed);
    assert_eq!(media_to(&subscriber, &sent).len(), 1);
    // The publisher's check, with credentials of its own, under the subscriber's (spoofed) address.
    now += Duration::from_millis(100);
    // Like every authentic check it is answered, and it moves nothing.
    let reply = exchange(now, &mut worker, subscriber.address, &publisher.check());
    assert_eq!(reply.len(), 1);
    assert_eq!(media_to(&subscriber, &reply).len(), 0);
    let sealed = publisher.seal(&frame(1, false), 1);
    let sent = exchange(now, &mut worker, publisher.address, &sealed);
    assert_eq!(media_to(&subscriber, &sent).len(), 1);
}

#[test]
fn a_silent_camera_is_not_asked_for_key_frames_for_ever() {
    let mut now = start();
    let (mut worker, identity) = worker(now);
    let publisher = connected(now, &mut worker, &identity, 1, video(true, 0x9000));
    let sealed = publisher.seal(&frame(0, true), 0);
    exchange(now, &mut worker, publisher.address, &sealed);
    let subscriber = connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    for _ in 0..60 {
        now += Duration::from_secs(1);
        run_until(&mut worker, now);
        for client in [&publisher, &subscriber] {
            exchange(now, &mut worker, client.address, &client.check());
        }
    }
    let asked = worker.stats().key_frame_requests_sent;
    assert!(asked <= 10, "{asked} requests in a minute");
}

#[test]
fn two_ssrcs_that_take_turns_for_one_layer_cause_no_storm_of_requests() {
    let mut now = start();
    let (mut worker, identity) = worker(now);
    let mut section = video(true, 0x9000);
    section.remote_ssrcs.clear();
    let publisher = connected(now, &mut worker, &identity, 1, section);
    connected(now, &mut worker, &identity, 2, video(false, 0x2_0000));
    for sequence in 0..2_000_u16 {
        now += Duration::from_millis(1);
        run_until(&mut worker, now);
        let ssrc = 1 + u32::from(sequence % 2);
        let mut packet = vec![0x90, 0x80 | VIDEO_PT];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&0_u32.to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0, 0]);
        packet.extend_from_slice(&vp8(false, sequence, 200));
        let sealed = publisher.seal(&packet, u64::from(sequence));
        exchange(now, &mut worker, publisher.address, &sealed);
    }
    let asked = worker.stats().key_frame_requests_sent;
    assert!((1..=5).contains(&asked), "{asked} requests in two seconds");
}

/// Writes a correct FINGERPRINT over the last eight bytes, as anybody can.
fn with_fingerprint(mut message: Vec<u8>) -> Vec<u8> {
    if message.len() >= 28 {
        let end = message.len() - 8;
        let value = rtc_stun::fingerprint::fingerprint_value(&message[..end]).to_be_bytes();
        message[end..end + 4].copy_from_slice(&[0x80, 0x28, 0, 4]);
        message[end + 4..].copy_from_slice(&value);
    }
    message
}

#[test]
fn checks_with_any_byte_changed_or_cut_anywhere_are_answered_only_if_authentic() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    let client = Client::new(1, None, vec![video(true, 0x9000)], &identity, &own);
    client.open(now, &mut worker);
    let check = client.check();
    for at in 0..check.len() - 8 {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            let mut bad = check.clone();
            bad[at] ^= flip;
            let sent = exchange(now, &mut worker, client.address, &with_fingerprint(bad));
            assert!(sent.is_empty(), "byte {at}");
        }
    }
    for len in 0..check.len() {
        let mut cut = check[..len].to_vec();
        for fixed in [false, true] {
            if fixed && len >= 28 {
                cut[2..4].copy_from_slice(&(len as u16 - 20).to_be_bytes());
                cut = with_fingerprint(cut);
            }
            assert!(
                exchange(now, &mut worker, client.address, &cut).is_empty(),
                "{len} bytes"
            );
        }
    }
    assert_eq!(worker.stats().known_addresses, 0);
    assert_eq!(exchange(now, &mut worker, client.address, &check).len(), 1);
}

/// A server's side of DTLS that expects `client`, and the client's side.
fn dtls_pair(server: &DtlsIdentity, client: &DtlsIdentity) -> (Dtls, Dtls) {
    let expects = |identity: &DtlsIdentity| {
        let digest = identity.fingerprint.into();
        vec![Fingerprint {
            hash: FingerprintHash::Sha256,
            digest,
        }]
    };
    (
        Dtls::new(server.clone(), DtlsRole::Server, expects(client)),
        Dtls::new(client.clone(), DtlsRole::Client, expects(server)),
    )
}

/// Runs a handshake in which `tamper` sees the server's side and each of the client's datagrams before the server does.
fn handshake(server: &DtlsIdentity, client: &DtlsIdentity, mut tamper: impl FnMut(usize, &mut Dtls, &[u8])) -> bool {
    let now = start();
    let (mut server, mut client) = dtls_pair(server, client);
    client.start(now).unwrap();
    let mut sent = 0;
    let mut established = false;
    for _ in 0..10 {
        while let Some(datagram) = client.poll_transmit() {
            tamper(sent, &mut server, &datagram);
            sent += 1;
            established |= matches!(server.receive(now, &datagram), Ok(DtlsProgress::Established { .. }));
        }
        while let Some(datagram) = server.poll_transmit() {
            let _ = client.receive(now, &datagram);
        }
    }
    established
}

#[test]
fn handshakes_with_any_byte_changed_or_cut_anywhere_panic_nowhere() {
    let now = start();
    let (server, client) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut lens = Vec::new();
    assert!(handshake(&server, &client, |_, _, datagram| lens.push(datagram.len())));
    for (target, len) in lens.iter().enumerate() {
        for at in (0..*len).step_by(3) {
            handshake(&server, &client, |index, server, datagram| {
                if index == target {
                    let _ = server.receive(now, &datagram[..at.min(datagram.len())]);
                    let mut bad = datagram.to_vec();
                    if let Some(byte) = bad.get_mut(at) {
                        *byte ^= 0x81;
                    }
                    let _ = server.receive(now, &bad);
                }
            });
        }
    }
}
