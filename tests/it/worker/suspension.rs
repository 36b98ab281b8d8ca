//! Clients that fall silent and come back, while their sessions live.

use patchbay::media::worker::SUSPENDED_MAX;

use super::paths::{NOWHERE, SECOND, changes, somewhere_else};
use super::*;

/// New credentials for a connection, as an ICE restart makes them.
fn restart(stage: &mut Stage, client: Option<usize>) {
    let client = match client {
        Some(subscriber) => &mut stage.subscribers[subscriber],
        None => &mut stage.publisher,
    };
    restart_of(stage.now, &mut stage.worker, client);
}

fn restart_of(now: Instant, worker: &mut Worker, client: &mut Client) {
    let transport = &mut client.spec.transports[0];
    for part in [
        &mut transport.local_ufrag,
        &mut transport.local_pwd,
        &mut transport.remote_ufrag,
    ] {
        part.push_str("-again");
    }
    client.open(now, worker);
}

fn suspended(stage: &Stage, subscriber: usize) -> MediaEvent {
    let peer = stage.subscribers[subscriber].spec.peer;
    MediaEvent::Suspended { peer }
}

#[test]
fn a_subscriber_that_comes_back_goes_on_with_its_keys_from_a_key_frame() {
    for restarts in [false, true] {
        let mut stage = Stage::new(1);
        let before = Header::parse(&stage.publish(true, 100)[0][0]).unwrap();
        for _ in 0..35 {
            stage.pass_second();
        }
        assert_eq!(changes(&mut stage.worker), [suspended(&stage, 0)]);
        assert_eq!(
            stage.destinations(),
            NOWHERE,
            "nothing is sent to somebody who is not heard"
        );
        if restarts {
            restart(&mut stage, Some(0));
            assert_eq!(stage.destinations(), NOWHERE, "the offer does not say where it is");
        }
        let address = somewhere_else(1);
        stage.subscribers[0].address = address;
        // Nobody begins with what came before such a pause.
        stage.pass(SECOND);
        let check = stage.subscribers[0].check();
        let sent = exchange(stage.now, &mut stage.worker, address, &check);
        assert_eq!(
            stage.requests_at_publisher(&sent),
            1,
            "a key frame is asked for at once"
        );
        let peer = stage.subscribers[0].spec.peer;
        assert_eq!(changes(&mut stage.worker), [MediaEvent::Resumed { peer }]);
        assert_eq!(stage.publish(false, 100)[0].len(), 0, "no picture begins with it");
        let after = Header::parse(&stage.publish(true, 100)[0][0]).unwrap();
        assert_eq!((after.ssrc, after.sequence), (before.ssrc, before.sequence + 1));
        assert_eq!(stage.publish(false, 100)[0].len(), 1);
        assert_eq!(stage.worker.stats().suspended, 0);
    }
}

#[test]
fn a_publisher_that_comes_back_is_asked_for_a_key_frame_and_seen_again() {
    for restarts in [false, true] {
        let mut stage = Stage::new(1);
        stage.publish(true, 100);
        for _ in 0..35 {
            stage.pass(SECOND);
            let check = stage.subscribers[0].check();
            stage.subscribers[0].deliver(stage.now, &mut stage.worker, &check);
        }
        let peer = stage.publisher.spec.peer;
        assert_eq!(changes(&mut stage.worker), [MediaEvent::Suspended { peer }]);
        assert_eq!(stage.worker.stats().suspended, 1);
        if restarts {
            restart(&mut stage, None);
        }
        let check = stage.publisher.check();
        let sent = exchange(stage.now, &mut stage.worker, stage.publisher.address, &check);
        assert_eq!(changes(&mut stage.worker), [MediaEvent::Resumed { peer }]);
        assert_eq!(stage.requests_at_publisher(&sent), 1);
        assert_eq!(stage.publish(true, 100)[0].len(), 1);
        assert_eq!(stage.publish(false, 100)[0].len(), 1);
    }
}

/// One side of a call between two: a connection whose only section carries its own picture up and the other's
/// down.
fn leg(number: u64, other: u64, identity: &DtlsIdentity) -> Client {
    let mut section = video(true, 0x2_0000 * number as u32);
    section.down = Some(down(other, patchbay::media::codec::Kind::Video));
    let own = DtlsIdentity::generate().unwrap();
    Client::new(number, Some(other), vec![section], identity, &own)
}

/// How many packets of the other's picture a side is sent, and how often it is asked for a key frame.
fn taken(now: Instant, leg: &mut Client, sent: &[(std::net::SocketAddr, Vec<u8>)]) -> (usize, usize) {
    let (mut pictures, mut requests) = (0, 0);
    for (to, bytes) in sent {
        if *to != leg.address {
            continue;
        }
        let Some(packet) = leg.take(now, bytes) else { continue };
        let found = rtcp::packets(&packet);
        requests += found.filter(|found| matches!(found, rtcp::Packet::Pli { .. })).count();
        let ssrc = leg.spec.sections[0].local_ssrc;
        pictures += usize::from(Header::parse(&packet).is_some_and(|header| header.ssrc == ssrc));
    }
    (pictures, requests)
}

#[test]
fn either_leg_of_a_call_comes_back_and_both_pictures_begin_anew() {
    for restarts in [false, true] {
        let mut now = start();
        let (mut worker, identity) = worker(now);
        let (mut away, mut other) = (leg(1, 2, &identity), leg(2, 1, &identity));
        away.connect(now, &mut worker);
        other.connect(now, &mut worker);
        events(&mut worker);
        let mut sequence = 0;
        let mut sends = |now, worker: &mut Worker, from: &mut Client, to: &mut Client, key_frame| {
            sequence += 1;
            let payload = vp8(key_frame, sequence, 100);
            let timestamp = u32::from(sequence) * 3_000;
            let packet = rtp(VIDEO_PT, true, sequence, timestamp, VIDEO_SSRC, &payload);
            let sealed = from.seal(&packet, u64::from(sequence));
            let sent = exchange(now, worker, from.address, &sealed);
            taken(now, to, &sent).0
        };
        assert_eq!(sends(now, &mut worker, &mut away, &mut other, true), 1);
        assert_eq!(sends(now, &mut worker, &mut other, &mut away, true), 1);
        for _ in 0..35 {
            now += SECOND;
            run_until(&mut worker, now);
            let check = other.check();
            other.deliver(now, &mut worker, &check);
        }
        let peer = away.spec.peer;
        assert_eq!(changes(&mut worker), [MediaEvent::Suspended { peer }]);
        assert_eq!(sends(now, &mut worker, &mut other, &mut away, true), 0);
        if restarts {
            restart_of(now, &mut worker, &mut away);
        }
        // Nobody begins with what came before such a pause.
        now += SECOND;
        run_until(&mut worker, now);
        let check = away.check();
        let sent = exchange(now, &mut worker, away.address, &check);
        assert_eq!(changes(&mut worker), [MediaEvent::Resumed { peer }]);
        for leg in [&mut away, &mut other] {
            assert_eq!(taken(now, leg, &sent).1, 1, "each is asked for a key frame");
        }
        for key_frame in [true, false] {
            assert_eq!(sends(now, &mut worker, &mut away, &mut other, key_frame), 1);
            assert_eq!(sends(now, &mut worker, &mut other, &mut away, key_frame), 1);
        }
    }
}

#[test]
fn nothing_is_asked_of_a_publisher_that_is_not_heard() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    for _ in 0..25 {
        stage.pass(SECOND);
        let check = stage.subscribers[0].check();
        stage.subscribers[0].deliver(stage.now, &mut stage.worker, &check);
    }
    let peer = stage.publisher.spec.peer;
    assert_eq!(changes(&mut stage.worker), [MediaEvent::Suspended { peer }]);
    let mut request = Vec::new();
    rtcp::write_receiver_report(&mut request, 7, &[]);
    rtcp::write_pli(&mut request, 7, stage.subscribers[0].spec.sections[0].local_ssrc);
    let subscriber = &mut stage.subscribers[0];
    let sealed = subscriber.seal_rtcp(&request);
    let mut sent = exchange(stage.now, &mut stage.worker, subscriber.address, &sealed);
    sent.extend(stage.pass(SECOND));
    let address = stage.publisher.address;
    assert!(sent.iter().all(|(to, _)| *to != address));
}

#[test]
fn a_publisher_that_was_not_heard_and_begins_anew_is_asked_for_what_was_wanted_meanwhile() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    for _ in 0..31 {
        stage.pass(SECOND);
        let check = stage.subscribers[0].check();
        stage.subscribers[0].deliver(stage.now, &mut stage.worker, &check);
    }
    assert_eq!(stage.worker.stats().suspended, 1);
    let mut request = Vec::new();
    rtcp::write_receiver_report(&mut request, 7, &[]);
    rtcp::write_pli(&mut request, 7, stage.subscribers[0].spec.sections[0].local_ssrc);
    let subscriber = &mut stage.subscribers[0];
    let sealed = subscriber.seal_rtcp(&request);
    exchange(stage.now, &mut stage.worker, subscriber.address, &sealed);
    // The subscriber leaves, so nobody asks again.
    let removed = stage.subscribers.remove(0).spec.peer;
    stage.worker.handle_command(stage.now, MediaCommand::Close(removed));
    stage.publisher.spec.transports[0].remote_fingerprints[0].digest[0] ^= 1;
    stage.publisher.open(stage.now, &mut stage.worker);
    assert_eq!(stage.worker.stats().suspended, 0);
    // This checks that nothing is forgotten.
    run_until(&mut stage.worker, stage.now);
}

#[test]
fn no_key_frames_are_asked_for_where_the_only_subscriber_is_not_heard() {
    let mut stage = Stage::new(1);
    let mut requested = Vec::new();
    // No picture begins: every viewer waits for a key frame.
    for _ in 0..60 {
        stage.pass_second();
        stage.publish(false, 100);
        requested.push(stage.worker.stats().key_frame_requests_sent);
    }
    assert_eq!(changes(&mut stage.worker), [suspended(&stage, 0)]);
    assert!(
        requested[19] > requested[12],
        "while it is heard, they are asked for: {requested:?}"
    );
    // One request may have been due already.
    assert_eq!(requested[59], requested[25], "{requested:?}");
}

#[test]
fn a_suspended_publishers_packets_are_forgotten() {
    let mut stage = Stage::new(1);
    let got = stage.publish(true, 100);
    let sequence = Header::parse(&got[0][0]).unwrap().sequence;
    assert_eq!(stage.nack(0, &[sequence]).len(), 1);
    for _ in 0..25 {
        stage.pass(SECOND);
        let check = stage.subscribers[0].check();
        stage.subscribers[0].deliver(stage.now, &mut stage.worker, &check);
    }
    assert_eq!(stage.nack(0, &[sequence]).len(), 0);
}

#[test]
fn offers_alone_do_not_keep_a_silent_client_from_being_suspended() {
    let mut stage = Stage::new(1);
    for second in 1..=60 {
        stage.pass_second();
        if second % 6 == 0 {
            restart(&mut stage, Some(0));
        }
        let expected = if second == 21 {
            vec![suspended(&stage, 0)]
        } else {
            vec![]
        };
        assert_eq!(changes(&mut stage.worker), expected, "at {second} s");
    }
}

#[test]
fn a_client_that_stays_away_is_closed_in_the_end_and_a_restart_puts_that_off() {
    let mut stage = Stage::new(1);
    for _ in 0..30 {
        stage.pass_second();
    }
    assert_eq!(changes(&mut stage.worker), [suspended(&stage, 0)]);
    restart(&mut stage, Some(0));
    for _ in 0..SUSPENDED_MAX.as_secs() - 1 {
        stage.pass_second();
        assert_eq!(changes(&mut stage.worker), []);
    }
    for _ in 0..2 {
        stage.pass_second();
    }
    let expected = MediaEvent::Closed {
        peer: stage.subscribers[0].spec.peer,
        reason: CloseReason::ConsentExpired,
    };
    assert_eq!(changes(&mut stage.worker), [expected]);
    let stats = stage.worker.stats();
    assert_eq!((stats.peers, stats.subscriptions, stats.suspended), (1, 0, 0));
}

#[test]
fn media_of_a_suspended_client_does_not_resume_it_and_a_strangers_check_does_not_either() {
    let mut stage = Stage::new(1);
    let address = stage.subscribers[0].address;
    for _ in 0..25 {
        stage.pass_second();
    }
    assert_eq!(changes(&mut stage.worker), [suspended(&stage, 0)]);
    stage.report_from(0, address);
    let forged = stage.subscribers[0].check_with("a guess");
    exchange(stage.now, &mut stage.worker, address, &forged);
    stage.pass_second();
    assert_eq!(changes(&mut stage.worker), []);
    assert_eq!(stage.destinations(), NOWHERE);
}

#[test]
fn a_client_that_has_lost_its_keys_begins_anew_with_the_other_certificate_each_time_and_gets_media() {
    let now = start();
    let (identity, spare) = (spare_identity(), spare_identity());
    let worker = worker_with(now, &identity, &spare, 0, 0);
    let mut stage = Stage::on(now, worker, identity.clone(), 0);
    let own = DtlsIdentity::generate().unwrap();
    for (association, certificate) in [&identity, &spare, &identity].into_iter().enumerate() {
        // The client's restart comes after its connection here has ended: for the worker it is a new one.
        let number = 2 + association as u64;
        let section = video(false, 0x2_0000 + 16 * number as u32);
        let mut client = Client::new(number, Some(1), vec![section], certificate, &own);
        client.spec.spare_certificate = association % 2 == 1;
        client.connect(stage.now, &mut stage.worker);
        let peer = client.spec.peer;
        assert_eq!(changes(&mut stage.worker), [MediaEvent::Connected { peer }]);
        stage.subscribers = vec![client];
        assert_eq!(stage.publish(true, 100)[0].len(), 1, "association {association}");
        assert_eq!(stage.publish(false, 100)[0].len(), 1, "association {association}");
        for _ in 0..SUSPENDED_MAX.as_secs() + 30 {
            stage.pass_second();
        }
        let expected = MediaEvent::Closed {
            peer,
            reason: CloseReason::ConsentExpired,
        };
        assert_eq!(changes(&mut stage.worker), [suspended(&stage, 0), expected]);
    }
}

#[test]
fn a_restart_gives_a_client_that_never_connected_the_whole_time_again() {
    let mut stage = Stage::new(0);
    let own = DtlsIdentity::generate().unwrap();
    let client = Client::new(2, Some(1), vec![video(false, 0x2_0020)], &stage.identity, &own);
    client.open(stage.now, &mut stage.worker);
    stage.subscribers.push(client);
    for _ in 0..2 {
        for _ in 0..25 {
            stage.pass_second();
        }
        assert_eq!(changes(&mut stage.worker), []);
        restart(&mut stage, Some(0));
    }
    stage.subscribers[0].connect(stage.now, &mut stage.worker);
    let peer = stage.subscribers[0].spec.peer;
    assert_eq!(changes(&mut stage.worker), [MediaEvent::Connected { peer }]);
    assert_eq!(stage.publish(true, 100)[0].len(), 1);
}

#[test]
fn an_offer_without_a_restart_does_not_put_off_the_end_of_what_never_connected() {
    let mut stage = Stage::new(0);
    let own = DtlsIdentity::generate().unwrap();
    let client = Client::new(2, Some(1), vec![video(false, 0x2_0020)], &stage.identity, &own);
    for _ in 0..6 {
        client.open(stage.now, &mut stage.worker);
        for _ in 0..5 {
            stage.pass_second();
        }
    }
    stage.pass_second();
    let expected = MediaEvent::Closed {
        peer: client.spec.peer,
        reason: CloseReason::ConnectTimeout,
    };
    assert_eq!(changes(&mut stage.worker), [expected]);
}
