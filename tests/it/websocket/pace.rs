//! Time: clients that vanish, that do not read, and that send too much. All time is virtual.

use axum::extract::ws::Message;
use patchbay::hub::{self, Capacity, HubHandle};
use patchbay::shares::ClientAddress;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::wire::{WireClient, connect};
use crate::transcripts::{FakeWorkers, Shelf};

const ANNA: &str = r#"{"type":"join","userId":1}"#;
const BEN: &str = r#"{"type":"join","userId":2}"#;

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_is_noticed_within_thirty_seconds_and_leaves() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let mut ben = joined(&hub, BEN).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    let since = Instant::now();

    let (left, (code, after)) = tokio::join!(anna.hears(), ben.closed());

    assert_eq!(left, json!({ "type": "participantLeft", "userId": 2 }));
    assert_eq!(code, Some(1008));
    assert!(after <= Duration::from_secs(26), "{after:?}");
    assert!(since.elapsed() <= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_and_says_nothing_stays() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let since = Instant::now();
    let mut pings = 0;
    while since.elapsed() < Duration::from_secs(600) {
        match anna.next().await.unwrap() {
            Message::Ping(data) => anna.incoming.send(Message::Pong(data)).await.unwrap(),
            other => panic!("nothing else happens: {other:?}"),
        }
        pings += 1;
    }
    assert_eq!(pings, 60);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_let_go_and_the_room_goes_on() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let ben = joined(&hub, BEN).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    let since = Instant::now();
    let mut left = None;
    for number in 0..200 {
        anna.sends(&json!({ "type": "sendMessage", "message": number.to_string() }).to_string())
            .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        // Anna's own text comes back, whatever Ben does.
        loop {
            let heard = anna.hears().await;
            if heard["type"] == "reciveTextMessage" {
                assert_eq!(heard["message"], number.to_string());
                break;
            }
            left = Some((heard, since.elapsed()));
        }
    }
    let (heard, after) = left.expect("ben has left");
    assert_eq!(heard, json!({ "type": "participantLeft", "userId": 2 }));
    // Ten seconds for the write that is stuck, and two for the goodbye, which is stuck, too.
    assert!(after < Duration::from_secs(16), "{after:?}");
    drop(ben);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_texts_is_slowed_and_a_slow_reader_stays() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let mut ben = joined(&hub, BEN).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    let text = json!({ "type": "sendMessage", "message": "x".repeat(16_000) }).to_string();
    let until = Instant::now() + Duration::from_secs(60);

    let flood = async {
        while timeout_at(until, anna.incoming.send(Message::text(&text)))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {}
        Instant::now() >= until
    };
    let echo = async {
        while let Ok(message) = timeout_at(until, anna.outgoing.recv()).await {
            assert!(
                !matches!(message, None | Some(Message::Close(_))),
                "the client is slowed, not closed"
            );
        }
    };
    // 2 Mb/s.
    let reading = async {
        let mut texts = 0;
        while let Ok(message) = timeout_at(until, ben.outgoing.recv()).await {
            match message.expect("the socket is open") {
                Message::Text(heard) => {
                    assert!(heard.contains("reciveTextMessage"), "{heard}");
                    texts += 1;
                    tokio::time::sleep(Duration::from_millis(64)).await;
                }
                Message::Ping(data) => ben.incoming.send(Message::Pong(data)).await.unwrap(),
                other => panic!("{other:?}"),
            }
        }
        texts
    };
    let (lasted, (), texts) = tokio::join!(flood, echo, reading);
    assert!(lasted);
    assert!((500..1_100).contains(&texts), "{texts} texts in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_full_rooms_worth_of_offers_and_candidates_at_once_is_let_through() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let offer = json!({ "type": "onIceCandidate", "userId": 1, "candidate": "x".repeat(8 * 1024) }).to_string();
    let candidate = r#"{"type":"onIceCandidate","userId":1,"candidate":{"candidate":"candidate:1"}}"#;
    for _ in 0..100 {
        anna.sends(&offer).await;
        for _ in 0..40 {
            anna.sends(candidate).await;
        }
    }
    anna.sends(r#"{"type":"sendMessage","message":"done"}"#).await;
    assert_eq!(anna.hears().await["message"], "done");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_talks_without_end_is_closed_and_leaves() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let mut ben = joined(&hub, BEN).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    let flood = async {
        let mut sent = 0;
        while ben.incoming.send(Message::Pong(Default::default())).await.is_ok() {
            sent += 1;
            assert!(sent < 20_000, "nothing stops the client");
        }
        sent
    };
    let (sent, left) = tokio::join!(flood, anna.hears());
    assert!(sent >= 8_000, "only {sent} were let through");
    assert_eq!(left, json!({ "type": "participantLeft", "userId": 2 }));
    assert_eq!(ben.closed().await.0, Some(1008));
}

#[tokio::test(start_paused = true)]
async fn a_closed_socket_takes_frames_on_the_way_until_the_client_has_seen_the_close() {
    let hub = start();
    let mut patient = connect(&hub).await;
    let mut prompt = connect(&hub).await;
    for client in [&mut patient, &mut prompt] {
        let endless = "x".repeat(257);
        client
            .sends(&json!({ "type": "join", "userId": 1, "pw": endless }).to_string())
            .await;
        assert_eq!(client.hears().await["type"], "permisionDeny");
        assert_eq!(client.closed().await.0, Some(1008));
        client.sends("was on the way").await;
    }
    prompt.incoming.send(Message::Close(None)).await.unwrap();
    let since = Instant::now();
    prompt.incoming.closed().await;
    assert!(since.elapsed() < Duration::from_secs(1));
    patient.incoming.closed().await;
    assert_eq!(since.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn messages_that_come_together_are_served_in_their_order() {
    let hub = start();
    let mut anna = connect(&hub).await;
    anna.sends(ANNA).await;
    for number in 0..5 {
        anna.sends(&json!({ "type": "sendMessage", "message": number.to_string() }).to_string())
            .await;
    }
    assert_eq!(anna.hears().await["type"], "existingParticipants");
    for number in 0..5 {
        assert_eq!(anna.hears().await["message"], number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_clients_but_not_for_ever() {
    let hub = start();
    let mut anna = joined(&hub, ANNA).await;
    let since = Instant::now();
    let ((), (code, _)) = tokio::join!(hub.shutdown(), anna.closed());
    assert_eq!(code, Some(1001));
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert!(
        hub.connect(ClientAddress::THIS_MACHINE).await.is_err(),
        "nobody comes in any more"
    );

    let hub = start();
    let _deaf = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let since = Instant::now();
    hub.shutdown().await;
    assert_eq!(since.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_go_all_at_once_are_all_missed() {
    let hub = start();
    let mut sessions = Vec::new();
    // More messages than may wait for the hub at a time.
    for _ in 0..3_000 {
        sessions.push(hub.connect(ClientAddress::THIS_MACHINE).await.unwrap());
    }
    drop(sessions);
    let since = Instant::now();
    hub.shutdown().await;
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "it waits for sessions that are gone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_hub_says_so_at_once() {
    let hub = start_with(Capacity {
        sessions: 1,
        ..Capacity::default()
    });
    let first = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let since = Instant::now();
    assert!(
        timeout(Duration::from_secs(1), hub.connect(ClientAddress::THIS_MACHINE))
            .await
            .unwrap()
            .is_err()
    );
    assert_eq!(since.elapsed(), Duration::ZERO);
    drop(first);
    assert!(hub.connect(ClientAddress::THIS_MACHINE).await.is_ok());
}

pub fn start() -> HubHandle {
    start_with(Capacity::default())
}

fn start_with(capacity: Capacity) -> HubHandle {
    let (_workers, media) = FakeWorkers::start();
    let (_events, media_events) = mpsc::channel(1);
    let (pushes, _) = mpsc::channel(1);
    let (hub, running) = hub::start(
        media,
        media_events,
        capacity,
        Shelf::default(),
        rand::make_rng(),
        pushes,
    );
    tokio::spawn(running);
    hub
}

async fn joined(hub: &HubHandle, join: &str) -> WireClient {
    let mut client = connect(hub).await;
    client.sends(join).await;
    assert_eq!(client.hears().await["type"], "existingParticipants");
    client
}
