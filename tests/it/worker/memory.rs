//! Memory of packets that are kept for subscribers: bounded for each publisher and for the worker, taken from those who have
//! most, given back in the end.

use patchbay::media::rtp::Extension;
use patchbay::media::worker::WorkerConfig;

use super::wide::{NOTHING, Wide, copy_ssrc, sections};
use super::*;

/// The most that one publisher may hold.
const PUBLISHER_BYTES: u64 = 8 * 1024 * 1024;

fn small_worker(now: Instant, cache_bytes: usize) -> (Worker, DtlsIdentity) {
    let identity = DtlsIdentity::generate().unwrap();
    let config = WorkerConfig {
        spare_identity: spare_identity(),
        identity: identity.clone(),
        max_publish_bps: 4_000_000,
        max_segments: 64,
        cache_bytes,
        index: 0,
        generation: 0,
    };
    (Worker::new(now, config), identity)
}

/// Whether the last packets of a track, and none older than those, are sent again on request.
fn kept(wide: &mut Wide, track: u32, newest: u16, back: u16) -> bool {
    // The copy's numbers begin at one that its SSRC determines; every packet was copied.
    let first = (copy_ssrc(track) >> 3) as u16 & 0x7fff;
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    let sequence = first.wrapping_add(newest).wrapping_sub(back);
    rtcp::write_nack(&mut compound, 7, copy_ssrc(track), &[sequence]);
    let sealed = wide.subscriber.seal_rtcp(&compound);
    let sent = exchange(wide.now, &mut wide.worker, wide.subscriber.address, &sealed);
    sent.len() == 1
}

#[test]
fn a_publisher_of_many_tracks_keeps_the_last_packets_of_each_within_its_budget() {
    let now = start();
    let (worker, identity) = worker(now);
    let mut wide = Wide::on(now, worker, &identity, 60, Codec::Vp8, NOTHING);
    for at in 0..300 {
        wide.publish(at, 3_000 * u32::from(at), 1_300);
        assert!(wide.worker.stats().cache_bytes <= PUBLISHER_BYTES);
    }
    assert!(wide.worker.stats().cache_bytes > PUBLISHER_BYTES / 2);
    for track in 0..60 {
        assert!(kept(&mut wide, track, 299, 50), "track {track}");
        assert!(!kept(&mut wide, track, 299, 290), "track {track}");
    }
    wide.leave();
    assert_eq!(wide.worker.stats().cache_bytes, 0);
}

#[test]
fn an_ordinary_publisher_keeps_a_second_of_each_encoding_and_little_more() {
    let now = start();
    let (worker, identity) = worker(now);
    let mut wide = Wide::on(now, worker, &identity, 9, Codec::Vp8, NOTHING);
    for at in 0..600 {
        wide.publish(at, 360 * u32::from(at), 1_300);
        wide.pass(Duration::from_millis(4));
    }
    for track in 0..9 {
        for back in [0, 100, 249] {
            assert!(kept(&mut wide, track, 599, back), "{back} of track {track}");
        }
        assert!(!kept(&mut wide, track, 599, 400), "track {track}");
    }
}

#[test]
fn where_a_workers_memory_gets_scarce_the_greediest_lose_their_oldest_packets_and_others_nothing() {
    const BUDGET: usize = 6 * 1024 * 1024;
    let now = start();
    let (worker, identity) = small_worker(now, BUDGET);
    let mut wide = Wide::on(now, worker, &identity, 30, Codec::Vp8, NOTHING);
    let mut at = 0;
    while at < 400 {
        wide.publish(at, 3_000 * u32::from(at), 1_300);
        wide.pass(Duration::from_millis(5));
        assert!(wide.worker.stats().cache_bytes <= BUDGET as u64);
        at += 1;
    }
    // Somebody with one camera.
    let own = DtlsIdentity::generate().unwrap();
    let mut ordinary = Client::new(5, None, vec![video(true, 0x9900)], &identity, &own);
    let mut viewer = Client::new(6, Some(5), vec![video(false, 0x3_0000)], &identity, &own);
    ordinary.connect(wide.now, &mut wide.worker);
    viewer.connect(wide.now, &mut wide.worker);
    let mut copies = Vec::new();
    for sequence in 0..512_u16 {
        let payload = vp8(sequence == 0, sequence, 1_200);
        let packet = rtp(VIDEO_PT, true, sequence, 0, VIDEO_SSRC, &payload);
        let sealed = ordinary.seal(&packet, u64::from(sequence));
        let sent = exchange(wide.now, &mut wide.worker, ordinary.address, &sealed);
        let copy = sent.iter().find(|(to, _)| *to == viewer.address);
        let copy = viewer.take(wide.now, &copy.unwrap().1).unwrap();
        copies.push(Header::parse(&copy).unwrap().sequence);
        wide.publish(at, 3_000 * u32::from(at), 1_300);
        wide.pass(Duration::from_millis(5));
        assert!(wide.worker.stats().cache_bytes <= BUDGET as u64);
        at += 1;
    }
    let ssrc = viewer.spec.sections[0].local_ssrc;
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(
        &mut compound,
        7,
        ssrc,
        &[copies[320], copies[321], copies[400], copies[511]],
    );
    let sealed = viewer.seal_rtcp(&compound);
    assert_eq!(
        viewer.deliver(wide.now, &mut wide.worker, &sealed).len(),
        4,
        "nothing was taken from it"
    );
    for track in 0..30 {
        assert!(
            kept(&mut wide, track, at - 1, 20),
            "the greedy one keeps its newest, track {track}"
        );
    }
    // When it has left, there is enough for everybody, and nothing stays behind.
    wide.leave();
    wide.pass(Duration::from_millis(200));
    assert!(wide.worker.stats().cache_bytes < 1024 * 1024);
    let command = MediaCommand::Close(ordinary.spec.peer);
    wide.worker.handle_command(wide.now, command);
    assert_eq!(wide.worker.stats().cache_bytes, 0);
}

#[test]
fn a_mirror_keeps_no_more_of_a_publisher_than_its_home() {
    let now = start();
    let identity = DtlsIdentity::generate().unwrap();
    let (mut home, mut mirror) = linked_workers(now, &identity);
    let own = DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, sections(60, Codec::Vp8, NOTHING, true), &identity, &own);
    publisher.connect(now, &mut home);
    let mut far = Client::new(2, Some(1), sections(60, Codec::Vp8, NOTHING, false), &identity, &own);
    far.connect(now, &mut mirror);
    let mut buffer = vec![0; 256 * 1024];
    let forget = |worker: &mut Worker| worker.egress().clear();
    settle(now, [&mut home, &mut mirror], &mut buffer, forget);
    for sequence in 0..300_u16 {
        for track in 0..60 {
            let ssrc = super::wide::source_ssrc(track);
            let packet = rtp(VIDEO_PT, true, sequence, 0, ssrc, &vp8(true, sequence, 1_300));
            let sealed = publisher.seal(&packet, u64::from(sequence));
            exchange(now, &mut home, publisher.address, &sealed);
        }
        settle(now, [&mut home, &mut mirror], &mut buffer, forget);
    }
    let held = mirror.stats().cache_bytes;
    assert!((PUBLISHER_BYTES / 2..=PUBLISHER_BYTES).contains(&held), "{held}");
    home.handle_command(now, MediaCommand::Close(publisher.spec.peer));
    settle(now, [&mut home, &mut mirror], &mut buffer, forget);
    assert_eq!((home.stats().cache_bytes, mirror.stats().cache_bytes), (0, 0));
}

#[test]
fn a_connection_has_no_more_than_so_many_encodings() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    let rids = ["a", "b", "c", "d"];
    let mut sections = sections(60, Codec::Vp8, NOTHING, true);
    for section in &mut sections {
        section.remote_ssrcs.clear();
        section.rids = rids.into_iter().map(|rid| rid.as_bytes().into()).collect();
        section.extensions.push((4, Extension::Rid));
    }
    let mut publisher = Client::new(1, None, sections, &identity, &own);
    publisher.connect(now, &mut worker);
    for round in 0..2_u16 {
        for section in 0..60_u32 {
            for (place, rid) in rids.iter().enumerate() {
                let ssrc = 0x5_0000 + section * 4 + place as u32;
                let mut packet = vec![0x90, 0x80 | VIDEO_PT];
                packet.extend_from_slice(&round.to_be_bytes());
                packet.extend_from_slice(&0_u32.to_be_bytes());
                packet.extend_from_slice(&ssrc.to_be_bytes());
                let mid = section.to_string();
                let mut elements = vec![0x10 | (mid.len() - 1) as u8];
                elements.extend_from_slice(mid.as_bytes());
                elements.extend_from_slice(&[0x40, rid.as_bytes()[0]]);
                elements.resize(8, 0);
                packet.extend_from_slice(&[0xbe, 0xde, 0, 2]);
                packet.extend_from_slice(&elements);
                packet.extend_from_slice(&vp8(true, round, 100));
                let sealed = publisher.seal(&packet, u64::from(round));
                exchange(now, &mut worker, publisher.address, &sealed);
            }
        }
    }
    assert_eq!(worker.stats().received_packets, 2 * 128);
}

#[test]
fn what_is_kept_for_viewers_to_begin_with_has_a_bound_and_is_given_back() {
    const BOUND: u64 = 1024 * 1024 + 2 * 16 * 1024;
    for (packets_per_second, held_in_the_end) in [(260, 400 * 1024), (640, 900 * 1024)] {
        let mut stage = Stage::new(0);
        let mut most = 0;
        for at in 0..7 * packets_per_second {
            stage.publish(at == 0, 1_180);
            stage.pass(Duration::from_micros(1_000_000 / packets_per_second));
            most = stage.worker.stats().cache_bytes.max(most);
        }
        assert!((900 * 1024..=BOUND).contains(&most), "{most} at {packets_per_second}");
        let held = stage.worker.stats().cache_bytes;
        assert!(held <= held_in_the_end, "{held} at {packets_per_second}");
    }
}
