//! Key frame requests and retransmissions, and storms of both.

use patchbay::media::session::{Feedback, NegotiatedCodec};

use super::*;

#[test]
fn a_joiner_causes_a_key_frame_request_at_once_and_many_joiners_not_many() {
    let mut stage = Stage::new(0);
    stage.publish(true, 100);
    stage.pass(Duration::from_secs(2));
    let before = stage.worker.stats().key_frame_requests_sent;
    stage.join();
    assert_eq!(stage.worker.stats().key_frame_requests_sent, before + 1);
    for _ in 0..20 {
        stage.join();
    }
    assert_eq!(stage.worker.stats().key_frame_requests_sent, before + 1);
}

#[test]
fn a_stream_that_begins_with_a_key_frame_is_not_asked_for_another() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.publish(true, 100)[0].len(), 1);
    let sent = stage.pass(Duration::from_secs(3));
    assert_eq!(stage.requests_at_publisher(&sent), 0);
}

#[test]
fn a_storm_of_plis_reaches_the_publisher_as_a_trickle() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    stage.pass(Duration::from_secs(2));
    let ssrc = stage.subscribers[0].spec.sections[0].local_ssrc;
    let mut requests = 0;
    for _ in 0..200 {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_pli(&mut compound, 7, ssrc);
        rtcp::write_fir(&mut compound, 7, ssrc, 1);
        let sealed = stage.subscribers[0].seal_rtcp(&compound);
        let sent = exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed);
        requests += stage.requests_at_publisher(&sent);
        let sent = stage.pass(Duration::from_millis(10));
        requests += stage.requests_at_publisher(&sent);
    }
    assert!((1..=6).contains(&requests), "{requests} requests in two seconds");
}

#[test]
fn a_nack_brings_the_packet_again_by_rtx() {
    let mut stage = Stage::new(1);
    let mut originals = Vec::new();
    for at in 0..10 {
        originals.extend(stage.publish(at == 0, 500).remove(0));
    }
    let wanted = Header::parse(&originals[4]).unwrap();
    let again = stage.nack(0, &[wanted.sequence, wanted.sequence.wrapping_add(2)]);
    assert_eq!(again.len(), 2);
    let header = Header::parse(&again[0]).unwrap();
    assert_eq!(header.payload_type, VIDEO_RTX_PT);
    assert_eq!(header.ssrc, stage.subscribers[0].spec.sections[0].local_rtx_ssrc);
    assert_eq!(header.timestamp, wanted.timestamp);
    assert_eq!(again[0][header.len..header.len + 2], wanted.sequence.to_be_bytes());
    assert_eq!(again[0][header.len + 2..], originals[4][wanted.len..]);
    // No publisher is asked for a packet that was never sent, or that is another's.
    assert!(stage.nack(0, &[wanted.sequence.wrapping_add(500)]).is_empty());
}

/// A viewer without transport-wide numbers, whose path carries so many bits per second, and who has seen 250 kb/s for a while.
#[cfg(debug_assertions)]
fn watched(target: u64) -> Stage {
    let mut stage = Stage::new(1);
    let peer = stage.subscribers[0].spec.peer;
    stage.worker.suppose_path(stage.now, peer, target, target);
    show(&mut stage, 60);
    stage
}

/// Publishes so many pictures of 1,000 bytes, 33 ms apart.
#[cfg(debug_assertions)]
fn show(stage: &mut Stage, pictures: usize) {
    for at in 0..pictures {
        stage.publish(at == 0, 1_000);
        stage.pass(Duration::from_millis(33));
    }
}

/// Lets the viewer report a loss so many times, a quarter of a second apart, with pictures in between.
#[cfg(debug_assertions)]
fn report(stage: &mut Stage, times: usize, lost_256: u8) {
    for _ in 0..times {
        let client = &mut stage.subscribers[0];
        let mut block = rtcp::Block::default();
        block.ssrc = client.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[block]);
        // RFC 3550 §6.4.2: the share stands behind the SSRC of the block.
        compound[12] = lost_256;
        let sealed = client.seal_rtcp(&compound);
        client.deliver(stage.now, &mut stage.worker, &sealed);
        for _ in 0..8 {
            stage.publish(false, 1_000);
            stage.pass(Duration::from_millis(33));
        }
    }
}

/// The number of times that the newest picture comes again if it is asked for.
#[cfg(debug_assertions)]
fn copies(stage: &mut Stage) -> usize {
    let newest = stage.publish(false, 1_000).remove(0).remove(0);
    let sequence = Header::parse(&newest).unwrap().sequence;
    stage.nack(0, &[sequence]).len()
}

#[cfg(debug_assertions)]
#[test]
fn where_many_packets_are_lost_they_are_sent_again_several_times_if_the_path_has_room() {
    const TENTH: u8 = 26;
    const FIFTH: u8 = 51;
    let after = |target, lost_256| {
        let mut stage = watched(target);
        report(&mut stage, 12, lost_256);
        copies(&mut stage)
    };
    assert_eq!([0, TENTH, FIFTH].map(|lost| after(2_000_000, lost)), [1, 2, 3]);
    // A tenth of 250 kb/s more fits, and a fifth and two fifths do not.
    assert_eq!([0, TENTH, FIFTH].map(|lost| after(250_000, lost)), [1, 1, 1]);
    assert_eq!(
        after(310_000, FIFTH),
        2,
        "there is room for one copy more, and not for two"
    );
}

#[cfg(debug_assertions)]
#[test]
fn what_was_lost_on_a_path_is_forgotten_when_its_client_is_silent_and_comes_back() {
    let mut stage = watched(2_000_000);
    report(&mut stage, 12, 80);
    assert_eq!(copies(&mut stage), 3);
    for _ in 0..35 {
        stage.pass_second();
    }
    stage.subscribers[0].address = super::paths::somewhere_else(1);
    let (address, check) = (stage.subscribers[0].address, stage.subscribers[0].check());
    exchange(stage.now, &mut stage.worker, address, &check);
    show(&mut stage, 30);
    report(&mut stage, 2, 0);
    assert_eq!(copies(&mut stage), 1, "the first report is of another path");
}

#[test]
fn a_storm_of_nacks_is_bounded() {
    let mut stage = Stage::new(1);
    let mut sequences = Vec::new();
    for at in 0..200 {
        for packet in stage.publish(at == 0, 500).remove(0) {
            sequences.push(Header::parse(&packet).unwrap().sequence);
        }
    }
    let mut resent = 0;
    for _ in 0..50 {
        resent += stage.nack(0, &sequences).len();
    }
    assert_eq!(resent, 128);
}

/// The requests to the publisher: packets, and key frames by PLI and by FIR.
fn requested(stage: &mut Stage, sent: &[(std::net::SocketAddr, Vec<u8>)]) -> (usize, usize, usize) {
    let mut requested = (0, 0, 0);
    let publisher = stage.publisher.address;
    for (_, bytes) in sent.iter().filter(|(to, _)| *to == publisher) {
        let compound = stage.publisher.take(stage.now, bytes).unwrap_or_default();
        for packet in rtcp::packets(&compound) {
            match packet {
                rtcp::Packet::Nack { .. } => requested.0 += 1,
                rtcp::Packet::Pli { .. } => requested.1 += 1,
                rtcp::Packet::Fir { .. } => requested.2 += 1,
                _ => {}
            }
        }
    }
    requested
}

#[test]
fn a_publisher_is_asked_in_the_ways_that_go_with_the_codec_that_it_sends_in() {
    const VP9_PT: u8 = 101;
    let vp9 = codec(VP9_PT, None, Codec::Vp9 { profile: 0 });
    let vp8 = codec(VIDEO_PT, None, Codec::Vp8);
    let fir_only = |codec: NegotiatedCodec| NegotiatedCodec {
        feedback: Feedback {
            fir: true,
            ..Feedback::default()
        },
        ..codec
    };
    for (codecs, knows_nack) in [
        ([vp8, fir_only(vp9)], false),
        ([fir_only(vp8), vp9], true),
        ([vp9, fir_only(vp8)], true),
        ([fir_only(vp9), vp8], false),
    ] {
        let mut stage = Stage::new(0);
        let mut section = video(true, 0x9000);
        section.codecs = codecs.into_iter().collect();
        stage.publisher.spec.sections = vec![section];
        stage.publisher.open(stage.now, &mut stage.worker);
        let mut down = video(false, 0x2_0020);
        down.codecs = codecs.into_iter().collect();
        let own = DtlsIdentity::generate().unwrap();
        let mut client = Client::new(2, Some(1), vec![down], &stage.identity, &own);
        client.connect(stage.now, &mut stage.worker);
        stage.subscribers.push(client);
        for sequence in [0, 2, 3, 4, 5] {
            let payload = [if sequence == 0 { 0x08 } else { 0x48 }, 1, 2, 3];
            let packet = rtp(VP9_PT, true, sequence, 0, VIDEO_SSRC, &payload);
            stage.publish_packet(&packet);
        }
        let sent = stage.pass(Duration::from_millis(40));
        let (nacks, ..) = requested(&mut stage, &sent);
        assert_eq!(nacks > 0, knows_nack, "{codecs:?}");

        stage.pass(Duration::from_secs(2));
        let ssrc = stage.subscribers[0].spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_pli(&mut compound, 7, ssrc);
        let sealed = stage.subscribers[0].seal_rtcp(&compound);
        let sent = exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed);
        let (_, by_pli, by_fir) = requested(&mut stage, &sent);
        let expected = if knows_nack { (1, 0) } else { (0, 1) };
        assert_eq!((by_pli, by_fir), expected, "{codecs:?}");
    }
}

#[test]
fn a_missing_packet_is_asked_for_and_its_rtx_is_forwarded_as_the_original() {
    let mut stage = Stage::new(1);
    let head = Header::parse(&stage.publish(true, 300)[0][0]).unwrap();
    let lost = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 300));
    stage.sequence = 2;
    for _ in 0..4 {
        stage.publish(false, 300);
    }
    let sent = stage.pass(Duration::from_millis(40));
    let mut requested = Vec::new();
    for (to, bytes) in &sent {
        if *to == stage.publisher.address
            && let Some(compound) = stage.publisher.take(stage.now, bytes)
        {
            for packet in rtcp::packets(&compound) {
                if let rtcp::Packet::Nack {
                    media_ssrc: VIDEO_SSRC,
                    pairs,
                } = packet
                {
                    rtcp::each_nacked(pairs, |sequence| requested.push(sequence));
                }
            }
        }
    }
    assert_eq!(requested, [1]);
    let mut rtx = rtp(VIDEO_RTX_PT, true, 77, 3_000, VIDEO_SSRC + 1, &[0, 1]);
    rtx.extend_from_slice(&lost[12..]);
    let got = stage.publish_packet(&rtx).remove(0);
    let header = Header::parse(&got[0]).unwrap();
    assert_eq!(header.sequence, head.sequence.wrapping_add(1));
    assert_eq!(header.payload_type, VIDEO_PT);
    assert_eq!(got[0][header.len..][..1], lost[12..][..1]);
    // The original comes late: it has been delivered already.
    assert!(stage.publish_packet(&lost)[0].is_empty());
}
