//! A media worker ends or hangs in the middle of calls: what the people in its rooms and the others
//! notice.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::peer::{PATIENCE, Peer, VP8_PAYLOAD_TYPE};
use super::scenarios::{Media, first_candidate, publish_in, subscribe, video_count};
use super::signaling::{Family, Signaling};
use crate::support::server::Server;

/// The time from a hanging worker's last turn to its loss, and some seconds for a busy machine.
const HANG_NOTICED: Duration = Duration::from_secs(20);

/// One person who publishes and one who watches, in a room of their own.
struct Room {
    publisher: (Signaling, Peer, Media),
    viewer: (Signaling, Peer),
    /// The port of the worker.
    port: u16,
    /// Who publishes.
    alice: u64,
}

impl Room {
    async fn new(server: &Server, room: u64) -> Room {
        let (alice, bob) = (10 * room + 1, 10 * room + 2);
        let publisher = publish_in(server, Family::Type, room, alice).await;
        let (mut signaling, _) = Signaling::join(server, Family::Id, room, bob).await;
        let port = std::cell::Cell::new(0);
        let note_port = |answer: String| {
            port.set(first_candidate(&answer).port());
            answer
        };
        let mut peer = subscribe(&mut signaling, alice, note_port).await;
        peer.connected().await;
        peer.packet(VP8_PAYLOAD_TYPE).await;
        let mut room = Room {
            publisher,
            viewer: (signaling, peer),
            port: port.get(),
            alice,
        };
        room.publisher.0.receive("newParticipantArrived").await;
        room
    }

    /// Checks that everything that is sent to the viewer arrives. The last packets may still be on their
    /// way.
    async fn assert_nothing_is_missing(&mut self, packets: usize) {
        let mut counts = BTreeSet::new();
        while counts.len() < packets {
            counts.insert(video_count(&self.viewer.1.packet(VP8_PAYLOAD_TYPE).await.payload));
        }
        let (first, last) = (*counts.first().unwrap(), *counts.iter().nth_back(10).unwrap());
        let missing: Vec<u32> = (first..last).filter(|count| !counts.contains(count)).collect();
        assert!(missing.is_empty(), "missing: {missing:?}, of {first} to {last}");
    }

    async fn assert_nothing_was_noticed(&mut self) {
        let (publisher, viewer) = (&mut self.publisher.0, &mut self.viewer.0);
        let moment = Duration::from_millis(300);
        assert!(publisher.is_silent(moment).await && viewer.is_silent(moment).await);
    }

    /// Who publishes is sent away, and whoever watches sees them leave, and stays.
    async fn loses_its_publisher(&mut self, within: Duration) {
        let (publisher, viewer) = (&mut self.publisher.0, &mut self.viewer.0);
        assert_eq!(publisher.closed_within(within).await, 1012);
        let left = viewer.receive_within("participantLeft", within).await;
        assert_eq!(left["name"], self.alice.to_string());
        assert!(
            viewer.is_silent(Duration::from_millis(300)).await,
            "nothing else has happened"
        );
    }
}

/// Two rooms on two workers.
async fn two_rooms(server: &Server) -> (Room, Room) {
    let (first, second) = (Room::new(server, 1).await, Room::new(server, 2).await);
    assert_ne!(first.port, second.port, "on two workers");
    (first, second)
}

/// The rooms that go on may not lose a packet, so `tests/run` runs these alone.
mod alone {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_that_ends_takes_its_own_connections_along_and_nothing_else_and_is_replaced() {
        let server = Server::start().await;
        let (mut lost, mut other) = two_rooms(&server).await;
        let connected = "patchbay_media_peers_connected_total";
        for (how, so_far) in [("panic", 4.0), ("error", 6.0)] {
            // A worker reports its counts each second; those since the last report are lost with it.
            server.until_metric(connected, so_far, PATIENCE).await;
            server.fail(&format!("part=worker&worker=0&how={how}")).await;
            lost.loses_its_publisher(PATIENCE).await;
            other.assert_nothing_is_missing(150).await;
            other.assert_nothing_was_noticed().await;
            server.until_metric("patchbay_media_workers", 2.0, PATIENCE).await;
            let port = lost.port;
            drop(lost);
            server.until_metric("patchbay_participants", 2.0, PATIENCE).await;
            lost = Room::new(&server, 1).await;
            assert_eq!(lost.port, port, "the new worker is where the old one was");
            lost.assert_nothing_is_missing(50).await;
            assert_eq!(server.health().await, (200, "alive\n".to_owned()));
            // The new worker's counts are added to those of the one before it.
            server.until_metric(connected, so_far + 2.0, PATIENCE).await;
        }
        assert_eq!(server.metric("patchbay_media_worker_losses_total").await, Some(2.0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_watches_over_a_worker_that_only_mirrors_the_room_watches_anew_and_the_others_see_nothing() {
        let server = Server::start_with("room_subscriptions_per_worker = 2").await;
        let mut room = Room::new(&server, 1).await;
        let (mut carol, _) = Signaling::join(&server, Family::Type, 1, 13).await;
        let mut far = subscribe(&mut carol, 11, |answer| answer).await;
        far.connected().await;
        far.packet(VP8_PAYLOAD_TYPE).await;
        for signaling in [&mut room.publisher.0, &mut room.viewer.0] {
            signaling.receive("newParticipantArrived").await;
        }
        server.fail("part=worker&worker=1&how=panic").await;
        assert_eq!(carol.receive("participantLeft").await["userId"], 11);
        assert_eq!(
            carol.receive("newParticipantArrived").await["participant"]["userId"],
            11
        );
        room.assert_nothing_is_missing(100).await;
        room.assert_nothing_was_noticed().await;
        let mut again = subscribe(&mut carol, 11, |answer| answer).await;
        again.connected().await;
        again.packet(VP8_PAYLOAD_TYPE).await;
        again.packet(VP8_PAYLOAD_TYPE).await;
        server
            .until_metric("patchbay_media_mirrored_tracks", 2.0, PATIENCE)
            .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_worker_that_hangs_stops_nobody_else_and_is_given_up_after_ten_seconds() {
        let server = Server::start().await;
        let (mut lost, mut other) = two_rooms(&server).await;
        server.fail("part=worker&worker=0&how=hang&ms=60000").await;
        let since = Instant::now();
        // The messages of its rooms go on as well.
        let (mut carol, _) = Signaling::join(&server, Family::Type, 1, 13).await;
        let mut far = Peer::new().await;
        far.receive().await;
        carol.negotiate(11, &far.offer().await).await;
        let third = Room::new(&server, 3).await;
        assert_eq!(third.port, other.port, "new rooms are made where something turns");
        other.assert_nothing_is_missing(100).await;
        while server.health().await.0 == 200 {
            assert!(since.elapsed() < HANG_NOTICED, "nobody notices");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(server.health().await, (503, "media worker 0 stands still\n".to_owned()));
        lost.loses_its_publisher(HANG_NOTICED).await;
        assert!(
            since.elapsed() > Duration::from_secs(9),
            "too early: {:?}",
            since.elapsed()
        );
        other.assert_nothing_is_missing(100).await;
        server.until_metric("patchbay_media_workers", 2.0, PATIENCE).await;
        let again = Room::new(&server, 4).await;
        assert_eq!(again.port, lost.port, "the worker in its place has its port");
    }
}
