//! Clients that use up what others need, over real sockets of a whole server. If a client has to come from somewhere
//! else, a proxy says so.

use futures_util::SinkExt;
use patchbay::config::Config;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::time::{Duration, Instant, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, client_async, connect_async};

use super::sockets::{Client, Running, start};

/// Connects as the client that a proxy on this machine names. Returns the status if the server refuses.
async fn connect_for(running: &Running, address: &str) -> Result<Client, u16> {
    let url = format!("ws://127.0.0.1:{}/groupcall", running.port);
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("x-forwarded-for", address.parse().unwrap());
    match connect_async(request).await {
        Ok((socket, _)) => Ok(Client(socket)),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_address_does_not_use_up_all_sessions() {
    let running = start(|config: &mut Config| config.limits.max_sessions = 80).await;
    let mut stay = Vec::new();
    let refused = loop {
        match connect_for(&running, "203.0.113.1").await {
            Ok(client) => stay.push(client),
            Err(status) => break status,
        }
    };
    assert_eq!((stay.len(), refused), (20, 503));
    assert_eq!(connect_for(&running, "203.0.113.1").await.err(), Some(503));
    assert!(connect_for(&running, "203.0.113.2").await.is_ok());
    // Nobody gets another address by naming it: only the one that the proxy adds at the end counts.
    assert!(connect_for(&running, "203.0.113.9, 203.0.113.1").await.is_err());
    // A program on this machine has no share.
    for _ in 0..30 {
        stay.push(running.connect().await);
    }
}

/// A client whose system buffers little for it.
async fn slow_reader(running: &Running) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let stream = socket.connect(([127, 0, 0, 1], running.port).into()).await.unwrap();
    let address = format!("ws://127.0.0.1:{}/groupcall", running.port);
    let (socket, _) = client_async(address, MaybeTlsStream::Plain(stream)).await.unwrap();
    Client(socket)
}

/// It is about pace, so `tests/run` runs it alone.
mod alone {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_paced_flood_of_texts_throws_nobody_out() {
        let running = start(|_| {}).await;
        let mut witness = running.join(1).await;
        let mut slow = slow_reader(&running).await;
        slow.sends(json!({ "type": "join", "userId": 2 })).await;
        let mut flooder = running.join(3).await;
        let text = Message::text(json!({ "type": "sendMessage", "message": "x".repeat(16_000) }).to_string());

        // 440 texts at 1.6 MB/s, or as many as the server takes in eight seconds.
        let flood = async {
            let mut ticks = interval(Duration::from_millis(10));
            for _ in 0..440 {
                ticks.tick().await;
                flooder
                    .0
                    .send(text.clone())
                    .await
                    .expect("the flooder is slowed, not closed");
            }
        };
        let reading = async {
            loop {
                let heard = slow.hears().await;
                assert_ne!(heard["type"], "participantLeft", "{heard}");
                if heard["message"] == "calm" {
                    return;
                }
                // Half a megabit a second.
                sleep(Duration::from_micros(16 * heard.to_string().len() as u64)).await;
            }
        };
        let listening = async {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10) {
                if let Ok(heard) = timeout(Duration::from_secs(1), witness.hears()).await {
                    assert_ne!(heard["type"], "participantLeft", "{heard}");
                }
            }
            witness.sends(json!({ "type": "sendMessage", "message": "calm" })).await;
        };
        let begun = timeout(Duration::from_secs(8), flood);
        let all = async { tokio::join!(begun, listening, reading) };
        // Whether all of the flood was sent in its time depends on the socket buffers.
        let (_, (), ()) = timeout(Duration::from_secs(90), all)
            .await
            .expect("the slow reader hears the last text");
    }
}
