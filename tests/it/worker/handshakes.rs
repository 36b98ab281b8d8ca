//! Handshakes wait until the copies of their batch are sent, and lose nothing by that.

use patchbay::media::peer::dtls::Dtls;
use patchbay::media::session::DtlsRole;
use patchbay::media::worker::{Datagram, MAX_WAITING};

use super::*;

/// Hands the worker datagrams in one batch. Returns what it sends before it goes on with handshakes,
/// and after.
fn batch(
    now: Instant,
    worker: &mut Worker,
    datagrams: &[(&Client, Vec<u8>)],
) -> [Vec<(std::net::SocketAddr, Vec<u8>)>; 2] {
    let (mut buffer, mut slices) = (Vec::new(), Vec::new());
    for (client, bytes) in datagrams {
        slices.push(Datagram {
            from: client.address,
            to: None,
            start: buffer.len(),
            len: bytes.len(),
        });
        buffer.extend_from_slice(bytes);
    }
    let [mut before, mut after] = [Vec::new(), Vec::new()];
    worker.handle_datagrams(now, &mut buffer, &slices);
    forward(now, worker, &buffer, &mut before);
    take_waiting(now, worker, &mut after);
    [before, after]
}

#[test]
fn a_batch_with_handshakes_in_it_is_copied_first() {
    let mut stage = Stage::new(1);
    stage.publish(true, 100);
    let own = DtlsIdentity::generate().unwrap();
    let mut joiners: Vec<Client> = (3..6)
        .map(|number| {
            Client::new(
                number,
                Some(1),
                vec![video(false, 0x3_0000 + 16 * number as u32)],
                &stage.identity,
                &own,
            )
        })
        .collect();
    let mut hellos = Vec::new();
    for joiner in &mut joiners {
        joiner.open(stage.now, &mut stage.worker);
        let check = joiner.check();
        joiner.deliver(stage.now, &mut stage.worker, &check);
        joiner.dtls.start(stage.now).unwrap();
        hellos.push(joiner.dtls.poll_transmit().unwrap().to_vec());
    }
    let packet = rtp(VIDEO_PT, true, 1, 3_000, VIDEO_SSRC, &vp8(false, 1, 500));
    let mut datagrams: Vec<(&Client, Vec<u8>)> = joiners.iter().zip(hellos).collect();
    datagrams.push((&stage.publisher, stage.publisher.seal(&packet, 1)));
    let [before, after] = batch(stage.now, &mut stage.worker, &datagrams);
    let to = |sent: &[(std::net::SocketAddr, Vec<u8>)], client: &Client| {
        sent.iter().filter(|(to, _)| *to == client.address).count()
    };
    assert_eq!(
        (to(&before, &stage.subscribers[0]), to(&after, &stage.subscribers[0])),
        (1, 0)
    );
    for joiner in &joiners {
        assert_eq!(to(&before, joiner), 0, "no handshake before the copies");
        assert!(to(&after, joiner) > 0, "each goes on afterwards");
    }
}

#[test]
fn media_right_behind_the_end_of_its_handshake_is_not_lost() {
    let now = start();
    let (mut worker, identity) = worker(now);
    let own = DtlsIdentity::generate().unwrap();
    let mut publisher = Client::new(1, None, vec![video(true, 0x9000)], &identity, &own);
    // The side that answers last in a handshake may send media with it.
    let expected = Client::new(1, None, Vec::new(), &own, &identity).spec.transports[0]
        .remote_fingerprints
        .clone();
    publisher.dtls = Dtls::new(own, DtlsRole::Server, expected);
    publisher.spec.transports[0].dtls_role = DtlsRole::Client;
    publisher.open(now, &mut worker);
    let check = publisher.check();
    publisher.deliver(now, &mut worker, &check);
    for _ in 0..16 {
        let flight: Vec<Vec<u8>> =
            std::iter::from_fn(|| publisher.dtls.poll_transmit().map(|bytes| bytes.to_vec())).collect();
        if publisher.secure.is_some() {
            let packet = rtp(VIDEO_PT, true, 0, 0, VIDEO_SSRC, &vp8(true, 0, 500));
            let mut datagrams: Vec<(&Client, Vec<u8>)> = flight.into_iter().map(|bytes| (&publisher, bytes)).collect();
            assert!(!datagrams.is_empty(), "the end of the handshake");
            datagrams.push((&publisher, publisher.seal(&packet, 0)));
            batch(now, &mut worker, &datagrams);
            break;
        }
        for datagram in flight {
            publisher.deliver(now, &mut worker, &datagram);
        }
    }
    let stats = worker.stats();
    assert_eq!(
        (stats.connected, stats.received_packets, stats.rejected_packets),
        (1, 1, 0)
    );
}

#[test]
fn no_more_handshakes_wait_than_there_is_room_for() {
    let mut stage = Stage::new(0);
    let own = DtlsIdentity::generate().unwrap();
    let mut joiner = Client::new(2, Some(1), vec![video(false, 0x2_0000)], &stage.identity, &own);
    joiner.open(stage.now, &mut stage.worker);
    let check = joiner.check();
    joiner.deliver(stage.now, &mut stage.worker, &check);
    let before = stage.worker.stats().dropped_datagrams;
    let record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7];
    let datagrams: Vec<(&Client, Vec<u8>)> = (0..MAX_WAITING + 100).map(|_| (&joiner, record.clone())).collect();
    batch(stage.now, &mut stage.worker, &datagrams);
    assert_eq!(stage.worker.stats().dropped_datagrams - before, 100);
    assert!(!stage.worker.has_waiting());
    assert!(
        joiner.shake_hands(stage.now, &mut stage.worker, |_| ()),
        "afterwards there is room again"
    );
}
