//! A recorder: whoever holds the other end of a link, and asks for a room, gets its tracks, packets and clocks.

use patchbay::media::link::{Far, LinkEnd, LinkMessage, TrackNotice, pair};
use patchbay::media::names::TrackRef;

use super::*;

/// What one has got over its link.
#[derive(Default)]
struct Recorded {
    tracks: Vec<TrackNotice>,
    removed: usize,
    /// Each with its RTP timestamp and payload.
    packets: Vec<(u32, Vec<u8>)>,
    /// The RTP times of sender reports.
    clocks: usize,
}

fn record(end: &mut LinkEnd, recorded: &mut Recorded) {
    let mut room = [0; 2_000];
    while let Some(message) = end.receive(&mut room) {
        match message {
            LinkMessage::Track(notice) => recorded.tracks.push(*notice),
            LinkMessage::Removed(_) => recorded.removed += 1,
            LinkMessage::Clock { .. } => recorded.clocks += 1,
            LinkMessage::Packet { track, arrival } => {
                assert_eq!(Some(track), recorded.tracks.last().map(|notice| notice.id));
                let packet = &room[..arrival.end - arrival.start];
                recorded
                    .packets
                    .push((arrival.header.timestamp, packet[arrival.header.len..].to_vec()));
            }
            other => panic!("a recorder is not asked for anything: {other:?}"),
        }
    }
}

#[test]
fn a_recorder_gets_the_tracks_packets_and_clocks_of_a_room_and_can_ask_for_a_key_frame() {
    let mut stage = Stage::new(0);
    let (end, mut recorder) = pair();
    stage.worker.link(stage.now, Far::Recorder, end);
    stage.publish(true, 100);
    assert!(recorder.send(LinkMessage::Mirror(ROOM)));
    let mut buffer = vec![0; 4_096];
    stage.worker.take_mirrored(stage.now, &mut buffer);
    let mut recorded = Recorded::default();
    record(&mut recorder, &mut recorded);
    let [track] = recorded.tracks.as_slice() else {
        panic!("one track, not {}", recorded.tracks.len())
    };
    let name = TrackRef {
        participant: stage.publisher.spec.participant,
        name: up(patchbay::media::codec::Kind::Video),
    };
    assert_eq!((track.name, track.room), (name, ROOM));
    assert_eq!(track.codecs, stage.publisher.spec.sections[0].codecs);
    assert!(
        recorded.packets.is_empty(),
        "what was before it asked is not kept for it"
    );

    for at in 0..20 {
        stage.publish(at == 5, 300);
        record(&mut recorder, &mut recorded);
    }
    let expected: Vec<(u32, Vec<u8>)> = (1..21_u16)
        .map(|sequence| (u32::from(sequence) * 3_000, vp8(sequence == 6, sequence, 300)))
        .collect();
    assert_eq!(recorded.packets, expected, "unprotected, as they were published");
    let id = recorded.tracks[0].id;
    stage.pass(Duration::from_secs(2));
    assert!(recorder.send(LinkMessage::KeyFrame { track: id, layer: 0 }));
    stage.worker.take_mirrored(stage.now, &mut buffer);
    let mut sent = Vec::new();
    drain(&mut stage.worker, &mut sent);
    assert_eq!(stage.requests_at_publisher(&sent), 1);

    let compound = sender_report(VIDEO_SSRC, 1_000 << 32, 9_000);
    let sealed = stage.publisher.seal_rtcp(&compound);
    exchange(stage.now, &mut stage.worker, stage.publisher.address, &sealed);
    stage
        .worker
        .handle_command(stage.now, MediaCommand::Close(stage.publisher.spec.peer));
    record(&mut recorder, &mut recorded);
    assert_eq!((recorded.clocks, recorded.removed, recorded.tracks.len()), (1, 1, 1));
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());

    // It is there before the publishers of a room are, too, and has the room for as long as it asks.
    assert_eq!(stage.worker.stats().rooms, 0);
    let own = DtlsIdentity::generate().unwrap();
    let mut section = video(true, 0x9100);
    section.remote_ssrcs[0].ssrc = 0x7777;
    let mut again = Client::new(3, None, vec![section], &stage.identity, &own);
    again.connect(stage.now, &mut stage.worker);
    record(&mut recorder, &mut recorded);
    assert_eq!(recorded.tracks.len(), 2);
    assert!(recorder.send(LinkMessage::Release(ROOM)));
    stage.worker.take_mirrored(stage.now, &mut buffer);
    let packet = rtp(VIDEO_PT, true, 1, 3_000, 0x7777, &vp8(true, 1, 100));
    let sealed = again.seal(&packet, 1);
    exchange(stage.now, &mut stage.worker, again.address, &sealed);
    record(&mut recorder, &mut recorded);
    assert_eq!(recorded.packets.len(), 20, "it has had enough");
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
}

#[test]
fn a_recorder_of_a_room_on_two_workers_asks_each_and_gets_each_track_once() {
    let mut spread = Spread::new(1);
    let mut ends = Vec::new();
    for worker in [&mut spread.home, &mut spread.mirror] {
        let (end, mut recorder) = pair();
        worker.link(spread.now, Far::Recorder, end);
        assert!(recorder.send(LinkMessage::Mirror(ROOM)));
        ends.push((recorder, Recorded::default()));
    }
    spread.settle();
    spread.publish(true, 100);
    for (end, recorded) in &mut ends {
        record(end, recorded);
    }
    let counts = ends
        .iter()
        .map(|(_, recorded)| (recorded.tracks.len(), recorded.packets.len()));
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 1), (0, 0)]);
    for worker in [&spread.home, &spread.mirror] {
        assert_eq!(worker.contradictions(), Vec::<String>::new());
    }
}
