//! A packet that a subscriber does not get leaves no hole in its numbers, and one that comes late gets its own number.

use patchbay::media::rtp::Extension;

use super::mirror::Spread;
use super::*;

/// A packet with nothing but padding in it (RFC 3550 §5.1), with which senders without RTX probe for bandwidth.
fn probe(sequence: u16) -> Vec<u8> {
    let mut packet = rtp(VIDEO_PT, false, sequence, 3_000, VIDEO_SSRC, &[0; 200]);
    packet[0] |= 0x20;
    packet[211] = 200;
    packet
}

fn frame(sequence: u16, key_frame: bool) -> Vec<u8> {
    let payload = vp8(key_frame, sequence, 300);
    rtp(
        VIDEO_PT,
        true,
        sequence,
        u32::from(sequence) * 3_000,
        VIDEO_SSRC,
        &payload,
    )
}

/// The copy of a packet for the first subscriber: one packet at most.
fn copy(stage: &mut Stage, packet: &[u8]) -> Option<Vec<u8>> {
    let mut got = stage.publish_packet(packet).remove(0);
    assert!(got.len() <= 1, "{} packets", got.len());
    got.pop()
}

fn number(packet: &[u8]) -> u16 {
    Header::parse(packet).unwrap().sequence
}

/// A subscriber whose packets are sent again byte for byte.
fn without_rtx() -> Stage {
    let mut stage = Stage::new(0);
    let section = section("0", codec(VIDEO_PT, None, Codec::Vp8), false, VIDEO_SSRC, 0x7_0000);
    let own = DtlsIdentity::generate().unwrap();
    let mut client = Client::new(9, Some(1), vec![section], &stage.identity, &own);
    client.connect(stage.now, &mut stage.worker);
    stage.subscribers.push(client);
    stage
}

#[test]
fn probes_reach_nobody_and_leave_no_hole_and_nacks_find_what_they_ask_for() {
    let mut stage = Stage::new(1);
    let mut frames = vec![copy(&mut stage, &frame(0, true)).unwrap()];
    for sequence in 1..200 {
        if sequence % 3 == 0 {
            frames.push(copy(&mut stage, &frame(sequence, false)).unwrap());
        } else {
            assert_eq!(copy(&mut stage, &probe(sequence)), None);
        }
    }
    assert!(
        frames
            .windows(2)
            .all(|pair| number(&pair[1]) == number(&pair[0]).wrapping_add(1))
    );
    for frame in &frames {
        let again = stage.nack(0, &[number(frame)]).remove(0);
        assert!(again.ends_with(&frame[frame.len() - 300..]), "{}", number(frame));
    }
}

#[test]
fn probes_leave_no_hole_at_a_mirror_either() {
    let mut spread = Spread::new(1);
    let mut numbers = Vec::new();
    for sequence in 0..30 {
        let packet = match sequence % 3 {
            0 => frame(sequence, sequence == 0),
            _ => probe(sequence),
        };
        spread.publish_at_home(&packet);
        let sent = spread.settle();
        for packet in spread.hand_out(&sent).remove(0) {
            assert!(packet.len() > 300);
            numbers.push(number(&packet));
        }
    }
    assert_eq!(numbers.len(), 10);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
}

#[test]
fn a_probe_that_comes_late_fills_its_hole_and_is_the_same_when_it_is_sent_again() {
    let mut stage = without_rtx();
    let first = number(&copy(&mut stage, &frame(0, true)).unwrap());
    assert_eq!(copy(&mut stage, &probe(1)), None);
    let newest = copy(&mut stage, &frame(3, false)).unwrap();
    assert_eq!(number(&newest), first.wrapping_add(2), "one may still come");
    let late = copy(&mut stage, &probe(2)).unwrap();
    let header = Header::parse(&late).unwrap();
    assert_eq!(
        (header.sequence, header.len, header.padding),
        (first.wrapping_add(1), late.len(), false)
    );
    // Another packet under one number would be the same SRTP index for other bytes: the client would refuse these as replayed,
    // so the test compares them as they are on the wire.
    let wire = |stage: &mut Stage| {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_nack(&mut compound, 7, 0x7_0000, &[first.wrapping_add(1)]);
        let client = &mut stage.subscribers[0];
        let sealed = client.seal_rtcp(&compound);
        let sent = exchange(stage.now, &mut stage.worker, client.address, &sealed);
        sent.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>()
    };
    let again = wire(&mut stage);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0][..late.len()], late);
    assert_eq!(wire(&mut stage), again);
}

#[test]
fn sound_in_a_format_that_a_subscriber_does_not_decode_leaves_no_hole() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let audio = |codecs: &[(u8, Codec)], receive, ssrc: u32| {
        let mut section = section("0", codec(AUDIO_PT, None, Codec::Opus), receive, 0x3000, ssrc);
        section.codecs = codecs
            .iter()
            .map(|&(number, known)| codec(number, None, known))
            .collect();
        section
    };
    let up = audio(&[(AUDIO_PT, Codec::Opus), (8, Codec::Pcma)], true, 0x9000);
    let down = audio(&[(AUDIO_PT, Codec::Opus)], false, 0x2_0000);
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![up], &identity, &certificate());
    let mut subscriber = Client::new(2, Some(1), vec![down], &identity, &certificate());
    publisher.connect(now, &mut worker);
    subscriber.connect(now, &mut worker);
    let mut got = |payload_type: u8, sequence: u16| {
        let packet = rtp(payload_type, false, sequence, 9, 0x3000, b"sound");
        let sealed = publisher.seal(&packet, u64::from(sequence));
        let sent = exchange(now, &mut worker, publisher.address, &sealed);
        let address = subscriber.address;
        let mut got = sent
            .iter()
            .filter(|(to, _)| *to == address)
            .filter_map(|(_, bytes)| subscriber.take(now, bytes));
        let packet = got.next();
        assert_eq!(got.next(), None);
        packet
    };
    let first = number(&got(AUDIO_PT, 0).unwrap());
    for sequence in 1..5 {
        assert_eq!(got(8, sequence), None);
    }
    assert_eq!(number(&got(AUDIO_PT, 5).unwrap()), first.wrapping_add(1));
    assert_eq!(number(&got(AUDIO_PT, 7).unwrap()), first.wrapping_add(3));
    // The packet between was not for this subscriber either, and this one is all that it hears of it.
    let late = got(8, 6).unwrap();
    let header = Header::parse(&late).unwrap();
    assert_eq!(
        (header.sequence, header.payload_type),
        (first.wrapping_add(2), AUDIO_PT)
    );
    assert_eq!(header.len, late.len());
}

#[test]
fn pictures_in_a_format_that_is_not_decoded_are_followed_by_a_key_frame_without_a_hole() {
    let mut stage = Stage::new(0);
    let mut up = video(true, 0x9000);
    up.codecs.push(codec(101, None, Codec::Vp9 { profile: 0 }));
    stage.publisher.spec.sections = vec![up];
    stage.publisher.open(stage.now, &mut stage.worker);
    stage.join();
    let first = number(&copy(&mut stage, &frame(0, true)).unwrap());
    copy(&mut stage, &frame(1, false)).unwrap();
    stage.pass(Duration::from_secs(1));
    let before = stage.worker.stats().key_frame_requests_sent;
    let vp9 = rtp(101, true, 2, 6_000, VIDEO_SSRC, &[0x08, 1, 2, 3]);
    assert_eq!(copy(&mut stage, &vp9), None);
    // The next picture depends on one that this subscriber has not got.
    stage.pass(Duration::from_millis(200));
    assert_eq!(copy(&mut stage, &frame(3, false)), None);
    stage.pass(Duration::from_millis(20));
    assert_eq!(stage.worker.stats().key_frame_requests_sent, before + 1);
    let next = copy(&mut stage, &frame(4, true)).unwrap();
    assert_eq!(number(&next), first.wrapping_add(2));
}

#[test]
fn a_packet_of_the_former_layer_that_comes_late_keeps_its_number() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut up = video(true, 0x9000);
    up.remote_ssrcs.clear();
    up.rids = ["q", "f"].into_iter().map(|rid| rid.as_bytes().into()).collect();
    up.extensions.push((4, Extension::Rid));
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![up], &identity, &certificate());
    let down = video(false, 0x2_0000);
    let mut subscriber = Client::new(2, Some(1), vec![down], &identity, &certificate());
    publisher.connect(now, &mut worker);
    subscriber.connect(now, &mut worker);
    let mut now = now;
    let mut send = |ssrc: u32, rid: u8, sequence: u16, key: bool, len: usize| -> Vec<(u16, usize)> {
        now += Duration::from_millis(50);
        run_until(&mut worker, now);
        let mut packet = vec![0x90, 0x80 | VIDEO_PT];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 3_000 + ssrc).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0x40, rid]);
        packet.extend_from_slice(&vp8(key, sequence, len));
        let sealed = publisher.seal(&packet, u64::from(sequence));
        let sent = exchange(now, &mut worker, publisher.address, &sealed);
        let address = subscriber.address;
        let mine = sent.iter().filter(|(to, _)| *to == address);
        let packets: Vec<_> = mine.filter_map(|(_, bytes)| subscriber.take(now, bytes)).collect();
        let media = packets
            .iter()
            .filter(|packet| packet[1] & 0x7f == VIDEO_PT)
            .map(|packet| {
                let header = Header::parse(packet).unwrap();
                (header.sequence, packet.len() - header.len)
            });
        media.collect()
    };
    let first = send(0x100, b'q', 0, true, 100)[0].0;
    assert_eq!(send(0x100, b'q', 2, false, 100), [(first.wrapping_add(2), 100)]);
    for sequence in 40..50 {
        assert_eq!(send(0x200, b'f', sequence, false, 1_000), []);
    }
    // From here on the better layer's packets are sent, and the other's are not.
    assert_eq!(send(0x200, b'f', 50, true, 1_000), [(first.wrapping_add(3), 1_000)]);
    assert_eq!(send(0x100, b'q', 4, false, 100), []);
    assert_eq!(send(0x100, b'q', 1, false, 110), [(first.wrapping_add(1), 110)]);
    // This one was never a part of the copy.
    assert_eq!(send(0x100, b'q', 3, false, 100), []);
    assert_eq!(send(0x200, b'f', 51, false, 1_000), [(first.wrapping_add(4), 1_000)]);
}
