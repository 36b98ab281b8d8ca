//! Strangers, thieves and clients that have vanished can do nothing.

use patchbay::ids::PeerId;
use patchbay::media::worker::SUSPENDED_MAX;

use super::paths::changes;
use super::*;

#[test]
fn a_check_without_the_right_password_changes_nothing_and_gets_no_reply() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let client = Client::new(
        1,
        None,
        vec![video(true, 0x9000)],
        &identity,
        &DtlsIdentity::generate().unwrap(),
    );
    client.open(now, &mut worker);
    for port in 1..2_000 {
        let forged = client.check_with("a guess");
        assert!(exchange(now, &mut worker, ([127, 0, 0, 9], port).into(), &forged).is_empty());
    }
    assert_eq!(worker.stats().known_addresses, 0);
    assert_eq!(worker.stats().rejected_checks, 1_999);
    let reply = exchange(now, &mut worker, client.address, &client.check());
    assert_eq!(reply.len(), 1);
    assert!(reply[0].1.len() <= client.check().len());
}

#[test]
fn many_addresses_of_one_client_stay_bounded() {
    let mut stage = Stage::new(0);
    for port in 1..500 {
        let check = stage.publisher.check();
        exchange(stage.now, &mut stage.worker, ([127, 0, 0, 9], port).into(), &check);
    }
    assert!(stage.worker.stats().known_addresses <= 8);
}

#[test]
fn a_client_hello_from_an_unknown_address_is_not_looked_at_and_the_victim_connects() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    let mut victim = Client::new(1, None, vec![video(true, 0x9000)], &identity, &own);
    victim.open(now, &mut worker);
    let hello = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1][..], &[0; 39]].concat();
    for port in 1..100 {
        assert!(exchange(now, &mut worker, ([127, 0, 0, 66], port).into(), &hello).is_empty());
    }
    victim.connect(now, &mut worker);
    assert!(exchange(now, &mut worker, ([127, 0, 0, 66], 1).into(), &hello).is_empty());
    assert_eq!(events(&mut worker), [MediaEvent::Connected { peer: victim.spec.peer }]);
}

#[test]
fn media_from_another_address_neither_enters_nor_moves_the_way_back() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let packet = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 100));
    let sealed = stage.publisher.seal(&packet, 1);
    let sent = exchange(stage.now, &mut stage.worker, ([127, 0, 0, 66], 1).into(), &sealed);
    assert!(sent.is_empty());
    stage.sequence = 1;
    assert_eq!(stage.publish(false, 100)[0].len(), 1);
}

#[test]
fn a_replay_is_refused_however_many_streams_without_a_track_were_heard() {
    let mut stage = Stage::new(1);
    let packet = rtp(VIDEO_PT, true, 0, 0, VIDEO_SSRC, &vp8(true, 0, 100));
    let recorded = stage.publisher.seal(&packet, 0);
    let address = stage.publisher.address;
    assert_eq!(exchange(stage.now, &mut stage.worker, address, &recorded).len(), 1);
    for ssrc in 0x7_0000..0x7_0100 {
        // A packet of a payload type that no section knows.
        let probe = rtp(50, true, 0, 0, ssrc, &[0; 20]);
        let sealed = stage.publisher.seal(&probe, 0);
        exchange(stage.now, &mut stage.worker, address, &sealed);
    }
    assert_eq!(stage.worker.stats().rejected_packets, 0);
    assert!(exchange(stage.now, &mut stage.worker, address, &recorded).is_empty());
    assert_eq!(stage.worker.stats().rejected_packets, 1);
}

#[test]
fn another_connections_key_does_not_open_a_door() {
    let mut stage = Stage::new(2);
    stage.publish(true, 100);
    let packet = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 100));
    let sealed = stage.subscribers[0].seal(&packet, 1);
    assert!(exchange(stage.now, &mut stage.worker, stage.publisher.address, &sealed).is_empty());
    assert!(exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed).is_empty());
    assert_eq!(stage.worker.stats().rejected_packets, 1);
}

#[test]
fn feedback_for_a_stream_of_somebody_else_does_nothing() {
    let mut stage = Stage::new(2);
    let got = stage.publish(true, 100);
    let sequence = Header::parse(&got[1][0]).unwrap().sequence;
    let others = stage.subscribers[1].spec.sections[0].local_ssrc;
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 7, &[]);
    rtcp::write_nack(&mut compound, 7, others, &[sequence]);
    rtcp::write_pli(&mut compound, 7, others);
    compound.extend_from_slice(&[0x81, 203, 0, 1]);
    compound.extend_from_slice(&VIDEO_SSRC.to_be_bytes());
    let sealed = stage.subscribers[0].seal_rtcp(&compound);
    assert!(exchange(stage.now, &mut stage.worker, stage.subscribers[0].address, &sealed).is_empty());
    assert_eq!(stage.publish(false, 100)[1].len(), 1);
}

#[test]
fn a_client_that_goes_silent_is_noticed_within_thirty_seconds_and_frees_everything_in_the_end() {
    let mut stage = Stage::new(2);
    stage.publish(true, 100);
    let pass = |stage: &mut Stage, seconds: u64| -> Vec<MediaEvent> {
        for _ in 0..seconds {
            stage.pass(Duration::from_secs(1));
            // The first subscriber keeps its consent fresh, the others have vanished.
            let check = stage.subscribers[0].check();
            stage.subscribers[0].deliver(stage.now, &mut stage.worker, &check);
        }
        let mut found = changes(&mut stage.worker);
        found.sort_unstable_by_key(|event| format!("{event:?}"));
        found
    };
    let vanished = [1, 3].map(PeerId);
    assert_eq!(
        pass(&mut stage, 29),
        vanished.map(|peer| MediaEvent::Suspended { peer })
    );
    let reason = CloseReason::ConsentExpired;
    let closed = vanished.map(|peer| MediaEvent::Closed { peer, reason });
    assert_eq!(pass(&mut stage, SUSPENDED_MAX.as_secs()), closed);
    stage
        .worker
        .handle_command(stage.now, MediaCommand::Close(stage.subscribers[0].spec.peer));
    let stats = stage.worker.stats();
    let left = (
        stats.peers,
        stats.tracks,
        stats.subscriptions,
        stats.rooms,
        stats.known_addresses,
    );
    assert_eq!(left, (0, 0, 0, 0, 0));
    let mut goodbyes = Vec::new();
    drain(&mut stage.worker, &mut goodbyes);
    assert_eq!(goodbyes.len(), 1);
    assert_eq!(run_until(&mut stage.worker, stage.now + Duration::from_secs(1)), []);
    assert_eq!(stage.worker.poll_timeout(), None);
}

#[test]
fn a_certificate_that_is_not_the_announced_one_closes_the_connection() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let (own, other) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut client = Client::new(1, None, vec![video(true, 0x9000)], &identity, &own);
    client.spec.transports[0].remote_fingerprints[0].digest = other.fingerprint.into();
    // The client may think that its handshake is done: our last flight leaves when its Finished is
    // right.
    client.try_connect(now, &mut worker);
    let events = events(&mut worker);
    let expected = MediaEvent::Closed {
        peer: client.spec.peer,
        reason: CloseReason::WrongFingerprint,
    };
    assert_eq!(events, [expected]);
}

#[test]
fn random_bytes_from_a_known_address_harm_nobody() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let mut seed = 0x1234_5678_u64;
    for len in 0..1_500 {
        let mut bytes = vec![0; len];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 33) as u8;
        }
        for first in [None, Some(0_u8), Some(22), Some(0x80), Some(0xb0)] {
            if let (Some(first), Some(byte)) = (first, bytes.first_mut()) {
                *byte = first;
            }
            exchange(stage.now, &mut stage.worker, stage.publisher.address, &bytes);
        }
    }
    assert_eq!(stage.publish(false, 100)[0].len(), 1);
}
