//! Who gets which media: copies, layers, streams that go on, reports.

use super::*;

#[test]
fn every_subscriber_gets_every_packet_once_under_its_own_numbers() {
    let mut stage = Stage::new(3);
    let mut first = Vec::new();
    for at in 0..5_u16 {
        let got = stage.publish(at == 0, 1_000);
        for (subscriber, packets) in got.iter().enumerate() {
            let [packet] = packets.as_slice() else {
                panic!("one packet, not {}", packets.len())
            };
            let header = Header::parse(packet).unwrap();
            assert_eq!(header.ssrc, stage.subscribers[subscriber].spec.sections[0].local_ssrc);
            assert_eq!(header.payload_type, VIDEO_PT);
            if at == 0 {
                first.push(header.sequence);
            }
            assert_eq!(header.sequence, first[subscriber].wrapping_add(at));
            assert_eq!(packet[header.len..].len(), 1_000);
        }
    }
    assert_eq!(stage.publisher.profile(), Some(Profile::AeadAes128Gcm));
}

/// Publishers send their layers and rates to the server alone (video layers allocation): a viewer's copy has other ones.
#[test]
fn header_extensions_that_were_not_negotiated_reach_nobody() {
    const ALLOCATION: [u8; 7] = [0xb2, 0x31, 0x7f, 0x5a, 0xc4, 0x19, 0xe6];
    let mut stage = Stage::new(2);
    let one_byte: Vec<u8> = [&[0xbe, 0xde, 0, 3, 0x10, b'0', 0x96], &ALLOCATION[..], &[0, 0]].concat();
    let two_bytes: Vec<u8> = [&[0x10, 0, 0, 3, 1, 1, b'0', 9, 7], &ALLOCATION[..]].concat();
    for (sequence, block) in [one_byte, two_bytes].iter().enumerate() {
        let mut packet = rtp(VIDEO_PT, true, 100 + sequence as u16, 5, 0x9000, &[]);
        packet[0] |= 0x10;
        packet.extend_from_slice(block);
        packet.extend_from_slice(&vp8(true, sequence as u16, 100));
        let came = Header::parse(&packet).unwrap();
        assert!(came.elements(&packet).any(|(id, value)| id == 9 && value == ALLOCATION));
        for packets in stage.publish_packet(&packet) {
            let [copy] = packets.as_slice() else {
                panic!("one packet, not {}", packets.len())
            };
            let header = Header::parse(copy).unwrap();
            assert!(
                !copy.windows(ALLOCATION.len()).any(|part| part == ALLOCATION),
                "{copy:?}"
            );
            assert!(header.elements(copy).all(|(id, _)| id != 9));
            assert_eq!(copy[header.len..].len(), 100, "the rest is as it came");
        }
    }
}

#[test]
fn nothing_is_forwarded_before_a_key_frame() {
    let mut stage = Stage::new(1);
    assert!(stage.publish(false, 100)[0].is_empty());
    assert_eq!(stage.worker.stats().forwarded_packets, 0);
    assert_eq!(stage.publish(true, 100)[0].len(), 1);
    assert_eq!(stage.publish(false, 100)[0].len(), 1);
}

#[test]
fn a_publisher_that_comes_back_goes_on_in_the_same_stream() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let last = Header::parse(&stage.publish(false, 100)[0][0]).unwrap();
    stage
        .worker
        .handle_command(stage.now, MediaCommand::Close(stage.publisher.spec.peer));
    stage.pass(Duration::from_secs(1));
    let own = DtlsIdentity::generate().unwrap();
    let mut section = video(true, 0x9100);
    section.remote_ssrcs[0].ssrc = 0x5555;
    let mut again = Client::new(1, None, vec![section], &stage.identity, &own);
    again.spec.peer = patchbay::ids::PeerId(1_000);
    again.spec.transports[0].local_ufrag = "again".to_owned();
    again.address.set_port(41_000);
    again.connect(stage.now, &mut stage.worker);
    stage.publisher = again;
    let packet = rtp(VIDEO_PT, true, 40_000, 5, 0x5555, &vp8(true, 9, 100));
    let got = stage.publish_packet(&packet).remove(0);
    let header = Header::parse(&got[0]).unwrap();
    assert_eq!(header.sequence, last.sequence.wrapping_add(1));
    assert_eq!(header.ssrc, last.ssrc);
    assert_eq!(header.timestamp.wrapping_sub(last.timestamp), 90_000);
}

#[test]
fn an_ssrc_that_changes_in_the_middle_goes_on_in_the_same_stream_from_a_key_frame() {
    let mut stage = Stage::new(1);
    // Nothing is announced: the mid says whose packets they are.
    let own = DtlsIdentity::generate().unwrap();
    let mut section = video(true, 0x9200);
    section.remote_ssrcs.clear();
    let mut publisher = Client::new(1, None, vec![section], &stage.identity, &own);
    publisher.spec.peer = patchbay::ids::PeerId(2_000);
    publisher.spec.transports[0].local_ufrag = "unannounced".to_owned();
    publisher.address.set_port(42_000);
    publisher.connect(stage.now, &mut stage.worker);
    stage.publisher = publisher;
    let mut last: Option<u16> = None;
    for round in 0..20_u32 {
        let ssrc = 0x7000 + round;
        let delta = rtp(VIDEO_PT, true, 500, 9, ssrc, &vp8(false, 1, 50));
        assert!(stage.publish_packet(&delta)[0].is_empty(), "not before a key frame");
        let key = rtp(VIDEO_PT, true, 501, 9, ssrc, &vp8(true, 2, 50));
        let got = stage.publish_packet(&key).remove(0);
        let sequence = Header::parse(&got[0]).unwrap().sequence;
        assert!(last.is_none_or(|last| sequence == last.wrapping_add(1)));
        last = Some(sequence);
    }
    assert_eq!(stage.worker.stats().tracks, 2);
}

#[test]
fn one_section_carries_a_track_up_and_anothers_down() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let both_ways = |remote: u32, local: u32| {
        let mut section = section(
            "0",
            codec(VIDEO_PT, Some(VIDEO_RTX_PT), Codec::Vp8),
            true,
            remote,
            local,
        );
        section.down = Some(down(1, patchbay::media::codec::Kind::Video));
        section
    };
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut ann = Client::new(1, Some(2), vec![both_ways(0x1000, 0xa000)], &identity, &certificate());
    let mut bob = Client::new(2, Some(1), vec![both_ways(0x2000, 0xb000)], &identity, &certificate());
    ann.connect(now, &mut worker);
    bob.connect(now, &mut worker);
    for (from, to, ssrc, copy) in [(1, 2, 0x1000, 0xb000), (2, 1, 0x2000, 0xa000)] {
        let (sender, receiver) = if from == 1 { (&ann, &mut bob) } else { (&bob, &mut ann) };
        let packet = rtp(VIDEO_PT, true, 9, 9, ssrc, &vp8(true, 1, 80));
        let sent = exchange(now, &mut worker, sender.address, &sender.seal(&packet, 9));
        let media: Vec<_> = sent
            .iter()
            .filter(|(address, _)| *address == receiver.address)
            .collect();
        assert_eq!(media.len(), 1, "{from} is heard by {to}");
        let got = receiver.take(now, &media[0].1).unwrap();
        assert_eq!(Header::parse(&got).unwrap().ssrc, copy);
    }
}

#[test]
fn a_subscriber_without_red_gets_the_opus_inside() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let audio = |receive, ssrc: u32| {
        let mut section = section("0", codec(AUDIO_PT, None, Codec::Opus), receive, 0x3000, ssrc);
        if receive {
            section.codecs.insert(0, codec(63, None, Codec::Red));
        }
        section
    };
    let certificate = || DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![audio(true, 0x9000)], &identity, &certificate());
    let mut subscriber = Client::new(2, Some(1), vec![audio(false, 0x2_0000)], &identity, &certificate());
    publisher.connect(now, &mut worker);
    subscriber.connect(now, &mut worker);
    // One redundant block of three bytes, then the primary one.
    let red = [
        0x80 | AUDIO_PT,
        0x0f,
        0x00,
        0x03,
        AUDIO_PT,
        b'o',
        b'l',
        b'd',
        b'n',
        b'e',
        b'w',
    ];
    let packet = rtp(63, false, 9, 9, 0x3000, &red);
    let sent = exchange(now, &mut worker, publisher.address, &publisher.seal(&packet, 9));
    let media: Vec<_> = sent
        .iter()
        .filter(|(address, _)| *address == subscriber.address)
        .collect();
    let got = subscriber.take(now, &media[0].1).unwrap();
    let header = Header::parse(&got).unwrap();
    assert_eq!((header.payload_type, &got[header.len..]), (AUDIO_PT, &b"new"[..]));
}

#[test]
fn a_new_certificate_on_a_live_connection_begins_the_copies_anew() {
    let mut stage = Stage::new(1);
    let first = Header::parse(&stage.publish(true, 100)[0][0]).unwrap();
    for _ in 0..5 {
        stage.publish(false, 100);
    }
    // Nobody begins with what came before such a pause.
    stage.pass(Duration::from_millis(850));
    let section = video(false, 0x2_0020);
    let own = DtlsIdentity::generate().unwrap();
    let mut again = Client::new(2, Some(1), vec![section], &stage.identity, &own);
    again.spec.transports[0].local_ufrag = "another".to_owned();
    again.connect(stage.now, &mut stage.worker);
    stage.subscribers[0] = again;
    let got = stage.publish(true, 100).remove(0);
    assert_eq!(Header::parse(&got[0]).unwrap().sequence, first.sequence);
}

#[test]
fn sound_and_picture_get_sender_reports_on_their_own_time_line() {
    let mut stage = Stage::new(1);
    let first = Header::parse(&stage.publish(true, 100)[0][0]).unwrap();
    let compound = sender_report(VIDEO_SSRC, 1_000 << 32, 9_000);
    let sealed = stage.publisher.seal_rtcp(&compound);
    exchange(stage.now, &mut stage.worker, stage.publisher.address, &sealed);
    let sent = stage.pass(Duration::from_millis(200));
    let got = stage.hand_out(sent).remove(0);
    let reports: Vec<_> = got.iter().flat_map(|compound| rtcp::packets(compound)).collect();
    let Some(rtcp::Packet::SenderReport { ssrc, ntp, rtp, .. }) = reports.first() else {
        panic!("a report is due")
    };
    assert_eq!(*ssrc, first.ssrc);
    let elapsed_ticks = rtp.wrapping_sub(9_000);
    let elapsed = Duration::from_nanos(((ntp - (1_000 << 32)) * 1_000_000_000) >> 32);
    assert!(elapsed <= Duration::from_millis(200));
    assert!(elapsed_ticks.abs_diff(elapsed.as_micros() as u32 * 9 / 100) <= 1);
}

#[test]
fn simulcast_forwards_the_highest_layer_and_changes_only_on_key_frames() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let mut up = video(true, 0x9000);
    up.remote_ssrcs.clear();
    up.rids = ["q", "h", "f"].into_iter().map(|rid| rid.as_bytes().into()).collect();
    up.extensions.push((4, patchbay::media::rtp::Extension::Rid));
    let mut publisher = Client::new(1, None, vec![up], &identity, &DtlsIdentity::generate().unwrap());
    publisher.connect(now, &mut worker);
    let down = video(false, 0x2_0000);
    let mut subscriber = Client::new(2, Some(1), vec![down], &identity, &DtlsIdentity::generate().unwrap());
    subscriber.connect(now, &mut worker);
    let layer = |ssrc: u32, rid: u8, sequence: u16, key: bool, len: usize| {
        let mut packet = vec![0x90, 0x80 | VIDEO_PT];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 3_000 + ssrc).to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, b'0', 0x40, rid]);
        packet.extend_from_slice(&vp8(key, sequence, len));
        packet
    };
    let mut now = now;
    let mut got = Vec::new();
    for at in 0..120_u16 {
        now += Duration::from_millis(33);
        let mut sent = run_until(&mut worker, now);
        let key = at % 60 == 0;
        for (ssrc, rid, len) in [(0x100, b'q', 100), (0x200, b'h', 400), (0x300, b'f', 1_000)] {
            let packet = layer(ssrc, rid, at, key, len);
            let sealed = publisher.seal(&packet, u64::from(at));
            sent.extend(exchange(now, &mut worker, publisher.address, &sealed));
        }
        let address = subscriber.address;
        for (_, bytes) in sent.iter().filter(|(to, _)| *to == address) {
            let packet = subscriber.take(now, bytes).unwrap_or_default();
            if let Some(header) = Header::parse(&packet).filter(|header| header.payload_type == VIDEO_PT) {
                let payload = &packet[header.len..];
                got.push((at, header.sequence, payload.len(), payload[4] & 1 == 0));
            }
        }
    }
    assert!(
        got.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1)),
        "no holes"
    );
    assert!(
        got.iter()
            .filter(|(at, ..)| *at > 60)
            .all(|(_, _, len, _)| *len == 1_000),
        "{got:?}"
    );
    let mut changes = got.windows(2).filter(|pair| pair[0].2 != pair[1].2);
    assert!(changes.all(|pair| pair[1].3), "{got:?}");
}
