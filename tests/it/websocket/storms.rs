//! Many clients at once, over real sockets.

use futures_util::SinkExt;
use futures_util::future::join_all;
use patchbay::config::Config;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use super::sockets::{Client, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_joins_fills_the_room_and_no_more_and_then_all_is_as_before() {
    const MAX: usize = 40;
    let running = start(|config: &mut Config| config.limits.max_participants_per_room = MAX).await;
    let elsewhere = running.connect().await;
    let mut elsewhere = elsewhere;
    elsewhere
        .sends(json!({ "type": "join", "room": "elsewhere", "userId": 1 }))
        .await;
    assert_eq!(elsewhere.hears().await["type"], "existingParticipants");

    let storm = (0..120_u32).map(|user| {
        let running = &running;
        async move {
            let mut client = running.connect().await;
            client
                .sends(json!({ "type": "join", "room": "stormy", "userId": user }))
                .await;
            let first = client.hears().await["type"].as_str().unwrap().to_owned();
            (first, client)
        }
    });
    let clients = join_all(storm).await;

    let entered = clients
        .iter()
        .filter(|(first, _)| first == "existingParticipants")
        .count();
    let denied = clients.iter().filter(|(first, _)| first == "permisionDeny").count();
    assert_eq!((entered, denied), (MAX, 120 - MAX));
    elsewhere
        .sends(json!({ "type": "sendMessage", "message": "calm" }))
        .await;
    assert_eq!(elsewhere.hears().await["message"], "calm");

    drop(clients);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut late = running.connect().await;
        late.sends(json!({ "type": "join", "room": "stormy", "userId": "late" }))
            .await;
        if late.hears().await["participants"] == json!([]) {
            break;
        }
        assert!(Instant::now() < deadline, "somebody stays for ever");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_user_storming_in_leaves_one_of_him() {
    let running = start(|_| {}).await;
    let storm = (0..40).map(|_| async {
        let mut client = running.connect().await;
        client.sends(json!({ "type": "join", "userId": 7 })).await;
        match client.next().await {
            Some(Ok(Message::Text(text))) => assert!(text.contains("existingParticipants"), "{text}"),
            // A join that arrived later here was decided before this one.
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 4001),
            other => panic!("neither an answer nor a close: {other:?}"),
        }
        client
    });
    let _clients = join_all(storm).await;
    let mut witness = running.connect().await;
    witness.sends(json!({ "type": "join", "userId": 8 })).await;
    let others = witness.hears().await["participants"].clone();
    assert_eq!(others.as_array().unwrap().len(), 1, "{others}");
    assert_eq!(others[0]["userId"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_socket_that_is_not_read_is_let_go_while_the_others_talk_on() {
    // So that only the deaf client's socket could keep others waiting, and not anna's own limit.
    let running = start(|config| config.limits.fan_out_kib_per_s = 100_000).await;
    let mut anna = running.join(1).await;
    let _deaf = deaf(running.port).await;
    assert_eq!(anna.hears().await["type"], "newParticipantArrived");
    let text = json!({ "type": "sendMessage", "message": "x".repeat(16 * 1024) });
    for _ in 0..450 {
        anna.sends(text.clone()).await;
        let heard = anna.hears().await;
        if heard["type"] == "participantLeft" {
            assert_eq!(heard["userId"], 2);
            return;
        }
        assert_eq!(heard["type"], "reciveTextMessage");
    }
    // The deaf client misses texts, and is thrown out when it has taken nothing for ten seconds.
    assert_eq!(anna.hears().await, json!({ "type": "participantLeft", "userId": 2 }));
}

/// Joins as 2 and never reads again; little of what it is sent fits into its end of the connection.
async fn deaf(port: u16) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let address = format!("ws://127.0.0.1:{port}/groupcall");
    let (mut socket, _) = client_async(address, MaybeTlsStream::Plain(stream)).await.unwrap();
    socket
        .send(Message::text(r#"{"type":"join","userId":2}"#))
        .await
        .unwrap();
    Client(socket)
}
