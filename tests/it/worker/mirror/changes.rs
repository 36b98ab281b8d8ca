//! Publishers, subscribers, codecs and links come and go, and a mirror falls behind.

use super::*;

#[test]
fn a_publisher_that_comes_back_goes_on_in_the_same_stream_of_a_far_subscriber() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    let last = Header::parse(&spread.publish(false, 100)[0][0]).unwrap();
    spread.restart_publisher(0x5555);
    assert_eq!(spread.mirror.stats().mirrored_tracks, 1, "the old track has gone");
    spread.pass(Duration::from_secs(1));
    let packet = rtp(VIDEO_PT, true, 40_000, 5, 0x5555, &vp8(true, 9, 100));
    spread.publish_at_home(&packet);
    let sent = spread.settle();
    let got = spread.hand_out(&sent).remove(0);
    let header = Header::parse(&got[0]).unwrap();
    assert_eq!(
        (header.sequence, header.ssrc),
        (last.sequence.wrapping_add(1), last.ssrc)
    );
    assert_eq!(header.timestamp.wrapping_sub(last.timestamp), 90_000);
}

#[test]
fn an_ssrc_that_changes_goes_on_in_the_same_far_stream_from_a_key_frame() {
    let identity = DtlsIdentity::generate().unwrap();
    let now = start();
    let (home, mirror) = linked_workers(now, &identity);
    let mut up = video(true, 0x9200);
    up.remote_ssrcs.clear();
    let mut spread = Spread::of(now, identity, home, mirror, up, 1);
    let mut last: Option<u16> = None;
    for round in 0..20_u32 {
        let ssrc = 0x7000 + round;
        let mut got = Vec::new();
        for (sequence, key) in [(500, false), (501, true)] {
            let packet = rtp(VIDEO_PT, true, sequence, 9, ssrc, &vp8(key, 1, 50));
            spread.publish_at_home(&packet);
            let sent = spread.settle();
            got.extend(spread.hand_out(&sent).remove(0));
        }
        let [packet] = got.as_slice() else {
            panic!("the key frame alone, not {}", got.len())
        };
        let sequence = Header::parse(packet).unwrap().sequence;
        assert!(last.is_none_or(|last| sequence == last.wrapping_add(1)));
        last = Some(sequence);
        let sent = spread.feedback(0, |compound, ssrc| rtcp::write_nack(compound, 7, ssrc, &[sequence]));
        assert_eq!(
            spread.hand_out(&sent)[0].len(),
            1,
            "what is of the new stream can be had again"
        );
    }
}

#[test]
fn a_mirror_that_falls_behind_misses_a_stretch_and_a_key_frame_brings_it_back() {
    let mut spread = Spread::new(1);
    spread.publish(true, 1_000);
    spread.pass(Duration::from_secs(2));
    for _ in 0..3_000 {
        let packet = spread.next_packet(false, 1_000);
        spread.publish_at_home(&packet);
    }
    let dropped = spread.home.stats().mirror_dropped_packets;
    assert!((500..2_500).contains(&dropped), "{dropped}");
    assert!(events(&mut spread.home).len() < 10);
    // It takes what there is, in order, and what comes after that.
    let sent = spread.settle();
    let got = spread.hand_out(&sent).remove(0);
    assert_eq!(got.len() as u64, 3_000 - dropped);
    let sequences = got.iter().map(|packet| Header::parse(packet).unwrap().sequence);
    let first = Header::parse(&got[0]).unwrap().sequence;
    assert!(
        sequences
            .enumerate()
            .all(|(at, sequence)| sequence == first.wrapping_add(at as u16))
    );
    let requests_before = spread.home.stats().key_frame_requests_sent;
    spread.publish(false, 1_000);
    let sent = spread.pass(Duration::from_millis(20));
    assert_eq!(spread.requests_at_publisher(&sent), 1);
    let key_frame = spread.publish(true, 1_000).remove(0);
    assert_eq!(key_frame.len(), 1);
    assert_eq!(spread.publish(false, 1_000)[0].len(), 1);
    assert_eq!(spread.home.stats().mirror_dropped_packets, dropped);
    spread.pass(Duration::from_secs(3));
    assert_eq!(
        spread.home.stats().key_frame_requests_sent,
        requests_before + 1,
        "one hole, one request"
    );
}

#[test]
fn a_mirror_that_was_stuck_knows_everything_afterwards() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    // Thousands of tracks come and go while the mirror takes nothing: more than the link holds.
    let spec = spread.publisher.spec.clone();
    for round in 0..3_000 {
        let mut other = spec.clone();
        other.sections[0].mid = format!("mid{round}").as_bytes().into();
        other.sections[0].remote_ssrcs[0].ssrc = 0x10_0000 + round;
        spread
            .home
            .handle_command(spread.now, MediaCommand::Open(Box::new(other)));
    }
    spread
        .home
        .handle_command(spread.now, MediaCommand::Open(Box::new(spec)));
    spread.settle();
    spread.pass(Duration::from_millis(50));
    assert_eq!(spread.mirror.stats().mirrored_tracks, 1);
    assert_eq!(spread.publish(true, 100)[0].len(), 1);
    assert_eq!(spread.publish(false, 100)[0].len(), 1);
}

#[test]
fn more_tracks_than_a_link_holds_are_sent_one_after_the_other() {
    let mut spread = Spread::new(1);
    let mut spec = spread.publisher.spec.clone();
    let section = spec.sections[0].clone();
    spec.sections = (0..4_200).map(|_| section.clone()).collect();
    for (at, section) in spec.sections.iter_mut().enumerate() {
        section.mid = format!("mid{at}").as_bytes().into();
    }
    spread
        .home
        .handle_command(spread.now, MediaCommand::Open(Box::new(spec)));
    spread.settle();
    assert!(spread.mirror.stats().mirrored_tracks < 4_200);
    spread.pass(Duration::from_millis(50));
    assert_eq!(spread.mirror.stats().mirrored_tracks, 4_200);
}

#[test]
fn a_codec_that_a_new_offer_moves_is_known_at_the_mirror() {
    let mut spread = Spread::new(1);
    let last = Header::parse(&spread.publish(true, 100)[0][0]).unwrap();
    let mut spec = spread.publisher.spec.clone();
    spec.sections[0].codecs[0].payload_type = 120;
    spread
        .home
        .handle_command(spread.now, MediaCommand::Open(Box::new(spec)));
    spread.settle();
    let packet = rtp(120, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 100));
    spread.publish_at_home(&packet);
    let sent = spread.settle();
    let got = spread.hand_out(&sent).remove(0);
    let header = Header::parse(&got[0]).unwrap();
    assert_eq!(
        (header.payload_type, header.sequence),
        (VIDEO_PT, last.sequence.wrapping_add(1))
    );
}

#[test]
fn the_last_far_subscriber_that_leaves_ends_the_mirror_and_the_next_begins_it_anew() {
    let mut spread = Spread::new(2);
    spread.publish(true, 100);
    spread.leave(0);
    assert_eq!(spread.publish(false, 100)[0].len(), 1, "one is still there");
    spread.leave(0);
    let passed_on = spread.home.stats().mirrored_packets;
    spread.publish(true, 100);
    assert_eq!(spread.home.stats().mirrored_packets, passed_on);
    let left = spread.mirror.stats();
    let left = (
        left.peers,
        left.mirrored_tracks,
        left.subscriptions,
        left.known_addresses,
    );
    assert_eq!(left, (0, 0, 0, 0));
    run_until(&mut spread.mirror, spread.now + Duration::from_secs(1));
    assert_eq!(spread.mirror.poll_timeout(), None);
    spread.join(7);
    assert_eq!(spread.publish(true, 100)[0].len(), 1);
    // All leave and one comes at once: the home hears of both, in whatever order it looks.
    let removed = spread.far.remove(0).spec.peer;
    spread.mirror.handle_command(spread.now, MediaCommand::Close(removed));
    drain(&mut spread.mirror, &mut Vec::new());
    let packet = spread.next_packet(false, 100);
    spread.publish_at_home(&packet);
    spread.join(8);
    assert_eq!(spread.publish(true, 100)[0].len(), 1);
}

#[test]
fn a_track_that_ends_while_a_worker_leaves_its_room_and_enters_it_again_ends_there_too() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    let now = spread.now;
    let mut buffer = vec![0; 64 * 1024];
    // The track is announced anew, and the mirror leaves before it has taken that.
    let spec = spread.publisher.spec.clone();
    spread.home.handle_command(now, MediaCommand::Open(Box::new(spec)));
    let removed = spread.far.remove(0).spec.peer;
    spread.mirror.handle_command(now, MediaCommand::Close(removed));
    drain(&mut spread.mirror, &mut Vec::new());
    spread.home.take_mirrored(now, &mut buffer);
    // It comes again and takes the announcement. The track ends before the home has taken its question.
    let own = DtlsIdentity::generate().unwrap();
    let mut again = Client::new(9, Some(1), vec![video(false, 0x7_0000)], &spread.identity, &own);
    again.connect(now, &mut spread.mirror);
    spread.mirror.take_mirrored(now, &mut buffer);
    let publisher = spread.publisher.spec.peer;
    spread.home.handle_command(now, MediaCommand::Close(publisher));
    spread.settle();
    assert_eq!(spread.mirror.stats().mirrored_tracks, 0);
    for worker in [&spread.home, &spread.mirror] {
        assert_eq!(worker.contradictions(), Vec::<String>::new());
    }
}

#[test]
fn a_room_whose_publishers_have_left_waits_for_the_next_one() {
    let mut spread = Spread::new(1);
    spread.publish(true, 100);
    spread
        .home
        .handle_command(spread.now, MediaCommand::Close(spread.publisher.spec.peer));
    spread.settle();
    assert_eq!(spread.home.stats().peers, 0);
    assert_eq!(spread.mirror.stats().mirrored_tracks, 0);
    assert_eq!(spread.mirror.stats().subscriptions, 1);
    spread.restart_publisher(0x6666);
    let packet = rtp(VIDEO_PT, true, 1, 5, 0x6666, &vp8(true, 9, 100));
    spread.publish_at_home(&packet);
    let sent = spread.settle();
    assert_eq!(spread.hand_out(&sent)[0].len(), 1);
    spread
        .home
        .handle_command(spread.now, MediaCommand::Close(spread.publisher.spec.peer));
    spread.leave(0);
    assert_eq!(spread.home.stats().rooms, 0, "nothing is left of it");
}

#[test]
fn a_link_that_comes_after_the_subscriber_serves_it_all_the_same() {
    let identity = DtlsIdentity::generate().unwrap();
    let now = start();
    let (home, mirror) = (worker_of(now, &identity, 0), worker_of(now, &identity, 1));
    let mut spread = Spread::of(now, identity, home, mirror, video(true, 0x9000), 1);
    assert!(spread.publish(true, 100)[0].is_empty());
    link(now, &mut spread.home, &mut spread.mirror);
    spread.settle();
    assert_eq!(spread.publish(true, 100)[0].len(), 1);
}

#[test]
fn a_suspended_publishers_packets_are_forgotten_at_the_mirror_too() {
    let mut spread = Spread::new(1);
    let mut last = 0;
    for picture in 0..20 {
        let got = spread.publish(picture == 0, 1_000);
        last = Header::parse(&got[0][0]).unwrap().sequence;
    }
    assert_eq!(requested_again(&mut spread, last), 1);
    assert!(spread.mirror.stats().cache_bytes > 0);
    let alive = |spread: &mut Spread| {
        let check = spread.far[0].check();
        let (now, far) = (spread.now, &mut spread.far[0]);
        far.deliver(now, &mut spread.mirror, &check);
    };
    for _ in 0..30 {
        spread.pass(Duration::from_secs(1));
        alive(&mut spread);
    }
    assert_eq!(spread.home.stats().suspended, 1);
    assert_eq!(spread.mirror.stats().suspended, 0);
    assert_eq!(spread.home.stats().cache_bytes, 0);
    assert_eq!(spread.mirror.stats().cache_bytes, 0);
    assert_eq!(requested_again(&mut spread, last), 0);
    // It comes back, and is kept for those who miss something as before.
    let check = spread.publisher.check();
    exchange(spread.now, &mut spread.home, spread.publisher.address, &check);
    spread.settle();
    assert_eq!(spread.publish(true, 1_000)[0].len(), 1);
    let got = spread.publish(false, 1_000);
    last = Header::parse(&got[0][0]).unwrap().sequence;
    assert_eq!(requested_again(&mut spread, last), 1);
    assert!(spread.mirror.stats().cache_bytes > 0);
}

/// How often a far subscriber gets a packet that it says it has missed.
fn requested_again(spread: &mut Spread, sequence: u16) -> usize {
    let sent = spread.feedback(0, |compound, ssrc| rtcp::write_nack(compound, 7, ssrc, &[sequence]));
    spread.hand_out(&sent)[0].len()
}
