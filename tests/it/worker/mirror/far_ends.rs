//! Other ends of links that do nothing, or go: a worker's memory and everybody else are none the worse for it.

use patchbay::ids::{FeedRef, ParticipantId, PeerId, RoomId, WorkerId};
use patchbay::media::link::{Far, LinkEnd, LinkMessage, narrow_pair, pair};
use patchbay::media::player::{Player, PlayerSpec};
use patchbay::sound::Recording;

use super::*;

const PLAYER: PeerId = PeerId(70);

fn sound(local_ssrc: u32, receive: bool) -> MediaSection {
    section("0", codec(AUDIO_PT, None, Codec::Opus), receive, 0x3000, local_ssrc)
}

fn player_in(room: RoomId) -> Far {
    Far::Player { peer: PLAYER, room }
}

/// A recording of two seconds, in packets of 20 ms.
fn recording() -> Recording {
    Recording::read(include_bytes!("../../../fixtures/tone.opus")).unwrap()
}

fn play(now: Instant, end: LinkEnd) -> Player {
    play_when(now, end, false)
}

fn play_when(now: Instant, end: LinkEnd, waits: bool) -> Player {
    let spec = PlayerSpec {
        peer: PLAYER,
        room: ROOM,
        feed: FeedRef::camera(ParticipantId(7)),
        recording: recording(),
        waits,
        repeats: true,
    };
    Player::new(now, spec, end)
}

/// Somebody who listens to participant 7.
fn listener(stage: &mut Stage) -> Client {
    listener_as(stage, 30)
}

fn listener_as(stage: &mut Stage, id: u64) -> Client {
    let own = DtlsIdentity::generate().unwrap();
    let mut client = Client::new(id, Some(7), vec![sound(0x7_0000, false)], &stage.identity, &own);
    client.connect(stage.now, &mut stage.worker);
    client
}

/// Lets the worker take what is in its links; the datagrams that it sends to `client`, opened.
fn taken(stage: &mut Stage, client: &mut Client) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while stage.worker.has_mail() {
        stage.worker.take_mirrored(stage.now, &mut buffer);
        forward(stage.now, &mut stage.worker, &buffer, &mut sent);
    }
    let address = client.address;
    let mine = sent.iter().filter(|(to, _)| *to == address);
    mine.filter_map(|(_, bytes)| client.take(stage.now, bytes)).collect()
}

/// Lets the worker take what is in its links, as its thread does in each turn.
fn take_mail(stage: &mut Stage) {
    let mut buffer = vec![0; 64 * 1024];
    while stage.worker.has_mail() {
        stage.worker.take_mirrored(stage.now, &mut buffer);
        forward(stage.now, &mut stage.worker, &buffer, &mut Vec::new());
    }
}

/// Packets are published for a while, and none of the others' is lost; how many were dropped on the way to other ends.
fn others_lose_nothing(stage: &mut Stage, packets: usize) -> u64 {
    let before = stage.worker.stats().mirror_dropped_packets;
    for at in 0..packets {
        let got = stage.publish(at == 0, 1_000);
        assert!(got.iter().all(|got| got.len() == 1), "packet {at}");
    }
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
    stage.worker.stats().mirror_dropped_packets - before
}

#[test]
fn a_link_whose_other_end_stops_reading_costs_its_queue_and_nothing_else() {
    for far in [Far::Recorder, Far::Worker(1)] {
        let mut stage = Stage::new(2);
        let (end, mut silent) = pair();
        stage.worker.link(stage.now, far, end);
        assert!(silent.send(LinkMessage::Mirror(ROOM)));
        stage.worker.take_mirrored(stage.now, &mut vec![0; 4_096]);
        assert_eq!(others_lose_nothing(&mut stage, 1_000), 0, "so many wait");
        let dropped = others_lose_nothing(&mut stage, 5_000);
        assert!(dropped > 3_500, "{dropped} are counted");

        // Tracks come and go, more than it could hear of; the room goes on, empties, and is another's.
        let spec = stage.publisher.spec.clone();
        for round in 0..6_000 {
            let mut other = spec.clone();
            other.sections[0].mid = format!("mid{round}").as_bytes().into();
            stage
                .worker
                .handle_command(stage.now, MediaCommand::Open(Box::new(other)));
        }
        stage
            .worker
            .handle_command(stage.now, MediaCommand::Open(Box::new(spec)));
        stage.pass(Duration::from_millis(100));
        others_lose_nothing(&mut stage, 10);
        // So do rooms, for which it would be asked.
        for round in 0..100 {
            let mut other = stage.publisher.spec.clone();
            other.room = RoomId(1_000 + round);
            other.peer = PeerId(1_000 + round);
            other.others = [WorkerId(1)].into_iter().collect();
            other.transports[0].local_ufrag = format!("room{round}");
            let peer = other.peer;
            for command in [MediaCommand::Open(Box::new(other)), MediaCommand::Close(peer)] {
                stage.worker.handle_command(stage.now, command);
                assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
            }
        }
        for client in stage.subscribers.drain(..) {
            stage
                .worker
                .handle_command(stage.now, MediaCommand::Close(client.spec.peer));
        }
        stage
            .worker
            .handle_command(stage.now, MediaCommand::Close(stage.publisher.spec.peer));
        let stats = stage.worker.stats();
        assert_eq!(
            (stats.peers, stats.tracks, stats.subscriptions, stats.cache_bytes),
            (0, 0, 0, 0)
        );
        assert_eq!(stage.worker.contradictions(), Vec::<String>::new());

        // At last it goes, unread.
        drop(silent);
        take_mail(&mut stage);
        stage.pass(Duration::from_secs(1));
        if far == Far::Recorder {
            assert_eq!(stage.worker.poll_timeout(), None, "nothing is left to do");
        }
    }
}

#[test]
fn a_link_over_which_nothing_ever_comes_is_of_no_account() {
    for far in [player_in(ROOM), Far::Recorder, Far::Worker(1)] {
        let mut stage = Stage::new(2);
        let (end, silent) = pair();
        stage.worker.link(stage.now, far, end);
        assert_eq!(others_lose_nothing(&mut stage, 100), 0);
        stage.pass(Duration::from_secs(5));
        assert_eq!(others_lose_nothing(&mut stage, 100), 0, "nobody has asked for anything");
        let stats = stage.worker.stats();
        assert_eq!((stats.tracks, stats.mirrored_tracks, stats.mirrored_packets), (1, 0, 0));
        drop(silent);
        take_mail(&mut stage);
        stage.pass(Duration::from_secs(1));
        others_lose_nothing(&mut stage, 10);
    }
}

#[test]
fn a_player_is_heard_as_a_publisher_is_and_its_track_ends_when_it_goes() {
    let mut stage = Stage::new(1);
    let mut hears = listener(&mut stage);
    let (end, far) = narrow_pair();
    stage.worker.link(stage.now, player_in(ROOM), end);
    let mut player = play(stage.now, far);
    events(&mut stage.worker);
    let mut got = Vec::new();
    for _ in 0..100 {
        assert!(player.poll(stage.now).is_some());
        got.extend(taken(&mut stage, &mut hears));
        stage.pass(Duration::from_millis(20));
    }
    let audio: Vec<Header> = got.iter().filter_map(|packet| Header::parse(packet)).collect();
    let audio: Vec<&Header> = audio.iter().filter(|header| header.payload_type == AUDIO_PT).collect();
    assert!(
        (99..=101).contains(&audio.len()),
        "two seconds, {} packets",
        audio.len()
    );
    let next = |pair: &[&Header]| {
        pair[1].sequence == pair[0].sequence.wrapping_add(1) && pair[1].timestamp == pair[0].timestamp.wrapping_add(960)
    };
    assert!(audio.windows(2).all(next));
    let stats = stage.worker.stats();
    assert_eq!((stats.tracks, stats.mirrored_tracks), (2, 0), "it is published here");

    drop(player);
    take_mail(&mut stage);
    let reason = CloseReason::Played;
    assert!(events(&mut stage.worker).contains(&MediaEvent::Closed { peer: PLAYER, reason }));
    assert_eq!(stage.worker.stats().tracks, 1);
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
    others_lose_nothing(&mut stage, 10);
}

/// The first packet of the sound that is among these packets, if any is.
fn first_sound(packets: &[Vec<u8>]) -> Option<&[u8]> {
    let is_sound = |packet: &&Vec<u8>| Header::parse(packet).is_some_and(|header| header.payload_type == AUDIO_PT);
    packets.iter().find(is_sound).map(Vec::as_slice)
}

#[test]
fn a_player_that_waits_begins_at_the_beginning_when_the_first_one_is_connected() {
    let mut stage = Stage::new(1);
    let (end, far) = narrow_pair();
    stage.worker.link(stage.now, player_in(ROOM), end);
    let mut player = play_when(stage.now, far, true);
    let pass = |stage: &mut Stage, player: &mut Player, rounds: usize| {
        for _ in 0..rounds {
            assert!(player.poll(stage.now).is_some());
            stage.worker.take_mirrored(stage.now, &mut vec![0; 64 * 1024]);
            stage.pass(Duration::from_millis(20));
        }
    };
    // Longer than a worker that takes nothing is given, and nobody listens but those who watch somebody else.
    pass(&mut stage, &mut player, 1_000);
    assert_eq!(stage.worker.stats().tracks, 2, "its track is there");
    assert_eq!(stage.worker.stats().mirrored_packets, 0);

    let mut hears = listener(&mut stage);
    let mut got = Vec::new();
    for _ in 0..10 {
        assert!(player.poll(stage.now).is_some());
        got.extend(taken(&mut stage, &mut hears));
        stage.pass(Duration::from_millis(20));
    }
    let recording = recording();
    let (beginning, _) = recording.packet(0).unwrap();
    assert!(first_sound(&got).unwrap().ends_with(beginning));

    // Whoever comes later hears it where it is.
    pass(&mut stage, &mut player, 10);
    let mut later = listener_as(&mut stage, 31);
    let mut got = Vec::new();
    for _ in 0..10 {
        assert!(player.poll(stage.now).is_some());
        got.extend(taken(&mut stage, &mut later));
        stage.pass(Duration::from_millis(20));
    }
    assert!(!first_sound(&got).unwrap().ends_with(beginning));
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
}

#[test]
fn a_player_that_waits_begins_for_another_worker_that_asks_for_its_room() {
    let mut stage = Stage::new(0);
    let (end, far) = narrow_pair();
    stage.worker.link(stage.now, player_in(ROOM), end);
    let mut player = play_when(stage.now, far, true);
    assert!(player.poll(stage.now).is_some());
    stage.worker.take_mirrored(stage.now, &mut vec![0; 4_096]);
    let (end, mut other) = pair();
    stage.worker.link(stage.now, Far::Worker(1), end);
    assert!(other.send(LinkMessage::Mirror(ROOM)));
    stage.worker.take_mirrored(stage.now, &mut vec![0; 4_096]);
    assert!(player.poll(stage.now).is_some());
    stage.worker.take_mirrored(stage.now, &mut vec![0; 4_096]);
    assert_eq!(stage.worker.stats().mirrored_packets, 1);
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
}

#[test]
fn a_player_that_the_hub_closes_finds_its_link_ended_and_so_does_one_whose_worker_is_lost() {
    for is_lost in [false, true] {
        let mut stage = Stage::new(0);
        let (end, far) = pair();
        stage.worker.link(stage.now, player_in(ROOM), end);
        let mut player = play(stage.now, far);
        assert!(player.poll(stage.now).is_some());
        stage.worker.take_mirrored(stage.now, &mut vec![0; 4_096]);
        if is_lost {
            stage.worker = worker_again(stage.now, &stage.identity, 0, 1);
        } else {
            events(&mut stage.worker);
            stage.worker.handle_command(stage.now, MediaCommand::Close(PLAYER));
            assert_eq!(stage.worker.stats().tracks, 1);
            assert_eq!(events(&mut stage.worker), [], "whoever closes it knows");
            assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
        }
        assert_eq!(player.poll(stage.now + Duration::from_millis(20)), None);
    }
}

#[test]
fn a_player_whose_worker_takes_nothing_gives_up_after_ten_seconds() {
    let now = start();
    let (_held, far) = narrow_pair();
    let mut player = play(now, far);
    let mut at = now;
    while let Some(due) = player.poll(at) {
        assert!(due > at && due - now < Duration::from_secs(3_600));
        at = due;
    }
    // Some seconds are in the queue by then.
    let so_long = Duration::from_secs(12)..Duration::from_secs(20);
    assert!(so_long.contains(&(at - now)), "{:?}", at - now);
}

#[test]
fn a_player_that_was_not_called_for_a_minute_goes_on_even_if_nothing_is_taken_just_then() {
    let now = start();
    for before in [1, 400] {
        let (_held, far) = narrow_pair();
        let mut player = play(now, far);
        let mut at = now;
        for _ in 0..before {
            at = player.poll(at).unwrap();
        }
        // The process was stopped.
        let late = at + Duration::from_secs(60);
        assert_eq!(player.poll(late), Some(late + Duration::from_millis(20)), "{before}");
        // A worker that takes nothing after that hangs all the same.
        at = late;
        while let Some(due) = player.poll(at) {
            at = due;
            assert!(at - late < Duration::from_secs(20), "{before}");
        }
        assert!(at - late >= Duration::from_secs(10), "{before}");
    }
}

#[test]
fn a_player_in_a_room_that_nobody_is_in_waits_for_whoever_comes_on_any_worker() {
    let identity = DtlsIdentity::generate().unwrap();
    let now = start();
    let (mut home, mut mirror) = linked_workers(now, &identity);
    let (end, far) = pair();
    home.link(now, player_in(ROOM), end);
    let mut player = play(now, far);
    let own = DtlsIdentity::generate().unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut hears = Client::new(30, Some(7), vec![sound(0x7_0000, false)], &identity, &own);
    settle(now, [&mut home, &mut mirror], &mut buffer, |worker| {
        worker.egress().clear()
    });
    hears.connect(now, &mut mirror);
    settle(now, [&mut home, &mut mirror], &mut buffer, |worker| {
        worker.egress().clear()
    });
    assert_eq!((home.stats().peers, mirror.stats().mirrored_tracks), (0, 1));
    player.poll(now);
    let mut sent = Vec::new();
    settle(now, [&mut home, &mut mirror], &mut buffer, |worker| {
        drain(worker, &mut sent)
    });
    let address = hears.address;
    let mine = sent.iter().filter(|(to, _)| *to == address);
    assert_eq!(mine.filter_map(|(_, bytes)| hears.take(now, bytes)).count(), 1);
    drop(player);
    run_until(&mut home, now + Duration::from_secs(1));
    settle(now, [&mut home, &mut mirror], &mut buffer, |worker| {
        worker.egress().clear()
    });
    assert_eq!(mirror.stats().mirrored_tracks, 0);
    mirror.handle_command(now, MediaCommand::Close(hears.spec.peer));
    settle(now, [&mut home, &mut mirror], &mut buffer, |worker| {
        worker.egress().clear()
    });
    for worker in [&home, &mirror] {
        assert_eq!(worker.contradictions(), Vec::<String>::new());
        assert_eq!(worker.stats().rooms, 0);
    }
}

/// The turns that the clock makes within so many seconds, and the visits in them.
fn work(stage: &mut Stage, seconds: u64) -> (usize, u64) {
    let until = stage.now + Duration::from_secs(seconds);
    let (mut turns, before) = (0, stage.worker.stats().visits);
    while let Some(due) = stage.worker.poll_timeout().filter(|due| *due <= until) {
        stage.now = due;
        stage.worker.handle_timeout(due);
        stage.worker.egress().clear();
        assert!(!stage.worker.has_mail(), "nobody has sent anything");
        turns += 1;
    }
    stage.now = until;
    (turns, stage.worker.stats().visits - before)
}

#[test]
fn of_a_thousand_players_those_that_send_something_are_visited_and_no_others() {
    let mut stage = Stage::new(0);
    let publisher = stage.publisher.spec.peer;
    stage.worker.handle_command(stage.now, MediaCommand::Close(publisher));
    work(&mut stage, 1);
    assert_eq!(work(&mut stage, 10), (0, 0), "nobody is there");
    let mut players: Vec<Player> = (0..1_000_u64)
        .map(|number| {
            let (end, far) = narrow_pair();
            let (peer, room) = (PeerId(1_000 + number), RoomId(100 + number));
            stage.worker.link(stage.now, Far::Player { peer, room }, end);
            let spec = PlayerSpec {
                peer,
                room,
                feed: FeedRef::camera(ParticipantId(1_000 + number)),
                recording: recording(),
                waits: false,
                repeats: true,
            };
            Player::new(stage.now, spec, far)
        })
        .collect();
    let before = stage.worker.stats().visits;
    take_mail(&mut stage);
    assert_eq!(
        stage.worker.stats().visits - before,
        1_000,
        "each has announced a track"
    );
    assert_eq!(stage.worker.stats().tracks, 1_000);
    assert_eq!(work(&mut stage, 1).1, 1_000, "each new track is looked at once");
    assert_eq!(work(&mut stage, 10), (0, 0));

    let before = stage.worker.stats().visits;
    for place in [0, 500, 999] {
        assert!(players[place].poll(stage.now).is_some());
    }
    assert!(stage.worker.has_mail());
    take_mail(&mut stage);
    assert_eq!(stage.worker.stats().visits - before, 3);
    stage.pass(Duration::from_secs(5));
    events(&mut stage.worker);
    drop(players.split_off(998));
    take_mail(&mut stage);
    let ended = events(&mut stage.worker);
    let closed = |number: u64| MediaEvent::Closed {
        peer: PeerId(1_000 + number),
        reason: CloseReason::Played,
    };
    assert_eq!(ended, [closed(998), closed(999)]);
    assert_eq!(stage.worker.stats().tracks, 998);
    assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
}

#[test]
fn the_last_packets_of_whoever_goes_are_sent_on() {
    let mut stage = Stage::new(0);
    let mut hears = listener(&mut stage);
    let (end, far) = narrow_pair();
    stage.worker.link(stage.now, player_in(ROOM), end);
    let mut player = play(stage.now, far);
    assert!(player.poll(stage.now).is_some());
    drop(player);
    assert_eq!(taken(&mut stage, &mut hears).len(), 1);
    assert_eq!(stage.worker.stats().tracks, 1);
}

#[test]
fn nobody_publishes_where_they_may_not() {
    for far in [player_in(RoomId(99)), Far::Recorder, Far::Worker(1)] {
        let mut stage = Stage::new(1);
        let (end, other) = pair();
        stage.worker.link(stage.now, far, end);
        let mut player = play(stage.now, other);
        player.poll(stage.now);
        let mut hears = listener(&mut stage);
        assert_eq!(taken(&mut stage, &mut hears), Vec::<Vec<u8>>::new());
        let stats = stage.worker.stats();
        assert_eq!((stats.tracks, stats.mirrored_tracks), (1, 0), "{far:?}");
        assert_eq!(stage.worker.contradictions(), Vec::<String>::new());
    }
}
