//! Media and requests of far subscribers while everything stays as it is.

use super::*;

#[test]
fn a_far_subscriber_gets_every_packet_in_order_and_unchanged() {
    let mut spread = Spread::new(2);
    let near = DtlsIdentity::generate().unwrap();
    let mut near = Client::new(90, Some(1), vec![video(false, 0x4_0000)], &spread.identity, &near);
    near.connect(spread.now, &mut spread.home);
    spread.settle();
    let mut expected: Option<Vec<u16>> = None;
    for at in 0..300_usize {
        let len = 20 + at * 3;
        let packet = spread.next_packet(at == 0, len);
        let sent = spread.publish_at_home(&packet);
        let mine: Vec<_> = sent.iter().filter(|(to, _)| *to == near.address).collect();
        let at_home = near.take(spread.now, &mine[0].1).unwrap();
        let home_header = Header::parse(&at_home).unwrap();
        let sent = spread.settle();
        let mut sequences = Vec::new();
        for (subscriber, packets) in spread.hand_out(&sent).iter().enumerate() {
            let [packet] = packets.as_slice() else {
                panic!("one packet, not {}", packets.len())
            };
            let header = Header::parse(packet).unwrap();
            assert_eq!(header.ssrc, spread.far[subscriber].spec.sections[0].local_ssrc);
            assert_eq!(packet[header.len..], at_home[home_header.len..]);
            assert_eq!(
                (header.marker, header.timestamp),
                (home_header.marker, home_header.timestamp)
            );
            sequences.push(header.sequence);
        }
        if let Some(expected) = expected {
            assert_eq!(sequences, expected);
        }
        expected = Some(sequences.iter().map(|sequence| sequence.wrapping_add(1)).collect());
    }
    assert_eq!(spread.home.stats().mirrored_packets, 300, "once for all who are there");
    assert_eq!(spread.home.stats().mirror_dropped_packets, 0);
}

#[test]
fn nothing_is_announced_or_counted_twice() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    let (home, mirror) = (spread.home.stats(), spread.mirror.stats());
    assert_eq!((home.tracks, home.mirrored_tracks, home.rooms), (1, 0, 1));
    assert_eq!((mirror.tracks, mirror.mirrored_tracks, mirror.rooms), (0, 1, 1));
    assert_eq!((home.received_packets, mirror.received_packets), (1, 0));
    let sent = events(&mut spread.mirror);
    assert_eq!(
        sent,
        [MediaEvent::Connected {
            peer: spread.far[0].spec.peer
        }]
    );
}

#[test]
fn a_worker_is_woken_once_for_its_commands_and_not_for_nothing() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    while spread.home.poll_wake().or(spread.mirror.poll_wake()).is_some() {}
    for _ in 0..5 {
        let packet = spread.next_packet(false, 100);
        spread.publish_at_home(&packet);
    }
    assert!(spread.home.poll_wake().is_some());
    assert_eq!(spread.home.poll_wake(), None);
    assert!(spread.mirror.has_mail());
    let mut buffer = vec![0; 64 * 1024];
    spread.mirror.take_mirrored(spread.now, &mut buffer);
    forward(spread.now, &mut spread.mirror, &buffer, &mut Vec::new());
    assert!(!spread.mirror.has_mail());
    assert_eq!(spread.mirror.poll_wake(), None, "there was nothing to answer");
}

#[test]
fn a_nack_is_answered_by_the_mirror_itself() {
    let mut spread = Spread::new(1);
    let mut originals = Vec::new();
    for at in 0..10 {
        originals.extend(spread.publish(at == 0, 500).remove(0));
    }
    let wanted = Header::parse(&originals[4]).unwrap();
    let sent = spread.feedback(0, |compound, ssrc| {
        rtcp::write_nack(compound, 7, ssrc, &[wanted.sequence, wanted.sequence.wrapping_add(2)]);
    });
    let again = spread.hand_out(&sent).remove(0);
    assert_eq!(again.len(), 2);
    let header = Header::parse(&again[0]).unwrap();
    assert_eq!(
        (header.payload_type, header.timestamp),
        (VIDEO_RTX_PT, wanted.timestamp)
    );
    assert_eq!(again[0][header.len..header.len + 2], wanted.sequence.to_be_bytes());
    assert_eq!(again[0][header.len + 2..], originals[4][wanted.len..]);
    assert_eq!(spread.home.stats().nacks_received, 0);
}

#[test]
fn a_packet_that_the_publisher_sends_again_fills_the_hole_at_the_mirror_too() {
    let mut spread = Spread::new(1);
    let first = Header::parse(&spread.publish(true, 100)[0][0]).unwrap();
    let late = spread.next_packet(false, 200);
    assert_eq!(spread.publish(false, 300)[0].len(), 1);
    spread.publish_at_home(&late);
    let sent = spread.settle();
    let got = spread.hand_out(&sent).remove(0);
    assert_eq!(Header::parse(&got[0]).unwrap().sequence, first.sequence.wrapping_add(1));
}

#[test]
fn a_far_joiner_causes_a_key_frame_request_at_once_and_many_not_many() {
    let mut spread = Spread::new(0);
    let packet = spread.next_packet(true, 100);
    spread.publish_at_home(&packet);
    spread.pass(Duration::from_secs(2));
    let sent = spread.join(2);
    assert_eq!(spread.requests_at_publisher(&sent), 1);
    for number in 3..20 {
        let sent = spread.join(number);
        assert_eq!(spread.requests_at_publisher(&sent), 0);
    }
    assert!(
        spread.publish(false, 100).iter().all(Vec::is_empty),
        "not before a key frame"
    );
    assert!(spread.publish(true, 100).iter().all(|got| got.len() == 1));
}

#[test]
fn a_stream_that_begins_with_a_key_frame_is_not_asked_for_another() {
    let mut spread = Spread::new(1);
    assert_eq!(spread.publish(true, 100)[0].len(), 1);
    let sent = spread.pass(Duration::from_secs(3));
    assert_eq!(spread.requests_at_publisher(&sent), 0);
}

#[test]
fn a_storm_of_far_plis_reaches_the_publisher_as_a_trickle() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    spread.pass(Duration::from_secs(2));
    let mut requests = 0;
    for _ in 0..200 {
        let sent = spread.feedback(0, |compound, ssrc| rtcp::write_pli(compound, 7, ssrc));
        requests += spread.requests_at_publisher(&sent);
        let sent = spread.pass(Duration::from_millis(10));
        requests += spread.requests_at_publisher(&sent);
    }
    assert!((2..=6).contains(&requests), "{requests} requests in two seconds");
}

/// The publisher's report: RTP time 9,000 was second 1,000 of its clock.
fn report(spread: &mut Spread) {
    let compound = sender_report(VIDEO_SSRC, 1_000 << 32, 9_000);
    let sealed = spread.publisher.seal_rtcp(&compound);
    exchange(spread.now, &mut spread.home, spread.publisher.address, &sealed);
}

/// Within 200 ms of that report there is one for the far subscriber, with the same clock.
fn gets_the_publishers_clock(spread: &mut Spread, copy: &Header) {
    let sent = spread.pass(Duration::from_millis(200));
    let got = spread.hand_out(&sent).remove(0);
    let reports: Vec<_> = got.iter().flat_map(|compound| rtcp::packets(compound)).collect();
    let Some(rtcp::Packet::SenderReport { ssrc, ntp, rtp, .. }) = reports.first() else {
        panic!("a report is due")
    };
    assert_eq!(*ssrc, copy.ssrc);
    let elapsed = Duration::from_nanos(((ntp - (1_000 << 32)) * 1_000_000_000) >> 32);
    assert!(elapsed <= Duration::from_millis(200));
    assert!(rtp.wrapping_sub(9_000).abs_diff(elapsed.as_micros() as u32 * 9 / 100) <= 1);
}

#[test]
fn far_subscribers_get_sender_reports_with_the_publishers_clock() {
    let mut spread = Spread::new(1);
    let copy = Header::parse(&spread.publish(true, 100)[0][0]).unwrap();
    report(&mut spread);
    gets_the_publishers_clock(&mut spread, &copy);
}

#[test]
fn a_mirror_that_begins_later_knows_the_publishers_clock_from_the_start() {
    let mut spread = Spread::new(0);
    let packet = spread.next_packet(true, 100);
    spread.publish_at_home(&packet);
    report(&mut spread);
    spread.join(2);
    let copy = Header::parse(&spread.publish(true, 100)[0][0]).unwrap();
    // Its time line begins with the packet that it got first.
    assert_eq!(copy.timestamp, 3_000);
    gets_the_publishers_clock(&mut spread, &copy);
}

#[test]
fn a_far_subscriber_of_simulcast_gets_the_highest_layer_from_a_key_frame_on() {
    let identity = DtlsIdentity::generate().unwrap();
    let now = start();
    let (home, mirror) = linked_workers(now, &identity);
    let mut up = video(true, 0x9000);
    up.remote_ssrcs.clear();
    up.rids = ["q", "h", "f"].into_iter().map(|rid| rid.as_bytes().into()).collect();
    up.extensions.push((4, patchbay::media::rtp::Extension::Rid));
    let mut spread = Spread::of(now, identity, home, mirror, up, 1);
    let mut got = Vec::new();
    for at in 0..180_u16 {
        let mut sent = spread.pass(Duration::from_millis(33));
        // The highest layer ends for good after two thirds.
        let layers = [(0x100, b'q', 100), (0x200, b'h', 400), (0x300, b'f', 1_000)];
        for (ssrc, rid, len) in layers.into_iter().take(if at < 120 { 3 } else { 2 }) {
            let mut packet = vec![0x90, 0x80 | VIDEO_PT];
            packet.extend_from_slice(&at.to_be_bytes());
            packet.extend_from_slice(&(u32::from(at) * 3_000 + ssrc).to_be_bytes());
            packet.extend_from_slice(&ssrc.to_be_bytes());
            packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0x40, rid]);
            packet.extend_from_slice(&vp8(at % 30 == 0, at, len));
            spread.publish_at_home(&packet);
            sent.extend(spread.settle());
        }
        for packet in spread.hand_out(&sent).remove(0) {
            let header = Header::parse(&packet).unwrap();
            if header.payload_type == VIDEO_PT {
                let payload = &packet[header.len..];
                got.push((at, header.sequence, payload.len(), payload[4] & 1 == 0));
            }
        }
    }
    assert!(
        got.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1)),
        "no holes"
    );
    let of = |range: std::ops::Range<u16>| got.iter().filter(move |(at, ..)| range.contains(at));
    assert!(of(60..120).count() == 60 && of(60..120).all(|(_, _, len, _)| *len == 1_000));
    assert!(of(150..180).count() == 30 && of(150..180).all(|(_, _, len, _)| *len == 400));
    let mut changes = got.windows(2).filter(|pair| pair[0].2 != pair[1].2);
    assert!(changes.all(|pair| pair[1].3), "each with a key frame");
}

#[test]
fn a_far_subscriber_that_decodes_none_of_the_sent_formats_is_reported_too() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    let av1 = Codec::Av1 { profile: 0, tier: 0 };
    spread.publisher.spec.sections[0].codecs.push(codec(45, None, av1));
    spread.publisher.open(spread.now, &mut spread.home);
    spread.pass(Duration::from_millis(200));
    events(&mut spread.mirror);
    let packet = rtp(45, true, spread.sequence, 90_000, VIDEO_SSRC, &[0x18, 0x0a, 0x0b]);
    spread.publish_at_home(&packet);
    spread.settle();
    spread.pass(Duration::from_secs(1));
    let reported = MediaEvent::Undecodable {
        publisher: patchbay::ids::ParticipantId(1),
        peer: spread.far[0].spec.peer,
        kind: patchbay::media::codec::Kind::Video,
        codec: av1,
    };
    assert_eq!(events(&mut spread.mirror), [reported]);
    assert_eq!(spread.mirror.stats().undecodable, 1);
}
