//! Clients that fall silent and come back, while their sessions live.

use patchbay::media::worker::SUSPENDED_MAX;

use super::paths::{NOWHERE, SECOND, changes, somewhere_else};
use super::*;

/// New credentials for a connection, as an ICE restart makes them.
fn restart(stage: &mut Stage, client: Option<usize>) {
    let (now, worker) = (stage.now, &mut stage.worker);
    let client = match client {
        Some(subscriber) => &mut stage.subscribers[subscriber],
        None => &mut stage.publisher,
    };
    let transport = &mut client.spec.transport;
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
