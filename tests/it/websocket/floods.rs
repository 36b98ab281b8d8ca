//! Clients that use up what others need, over real sockets of a whole server. Where a client has to come from somewhere
//! else, a proxy says so.

use patchbay::config::Config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{connect_async, tungstenite};

use super::sockets::{Client, Running, start};

/// As the client that a proxy on this machine names; the status where the server refuses.
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
    // Nobody is another by saying so: only what the proxy adds at the end counts.
    assert!(connect_for(&running, "203.0.113.9, 203.0.113.1").await.is_err());
    // A program on this machine has no share.
    for _ in 0..30 {
        stay.push(running.connect().await);
    }
}
