//! Clients that connect and cause trouble, and the end of all connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::running::{PATIENCE, listener, start, until_closed};

#[tokio::test]
async fn localhost_is_reached_by_ipv4_and_by_ipv6() {
    let running =
        start(|config| config.listeners = vec![listener("127.0.0.1:0", true), listener("[::1]:0", true)]).await;
    for listener in running.server.listeners() {
        let url = format!("https://{}/healthz", listener.address);
        assert_eq!(running.http.get(url).send().await.unwrap().status().as_u16(), 200);
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_or_half_a_request_loses_its_connection() {
    let running = start(|config| {
        config.http.header_timeout_s = 1;
        config.listeners = vec![listener("127.0.0.1:0", false), listener("127.0.0.1:0", true)];
    })
    .await;
    for listener in running.server.listeners() {
        for beginning in [
            &b""[..],
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
            b"\x16\x03\x01",
        ] {
            let mut stream = TcpStream::connect(listener.address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            until_closed(stream).await;
        }
    }
    let mut idle = TcpStream::connect(running.address()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(
        until_closed(idle).await.contains("alive"),
        "answered, then idle for too long"
    );
}

#[tokio::test]
async fn headers_that_never_end_are_refused() {
    let running = start(|_| {}).await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}", "A: b\r\n".repeat(1_000));
    for request in [long, many] {
        let answer = running.raw(request.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    assert_eq!(running.get("/healthz").await.status().as_u16(), 200);
}

#[tokio::test]
async fn nonsense_gets_a_status_or_silence_and_nobody_else_notices() {
    let running = start(|config| {
        config.http.header_timeout_s = 1;
        config.listeners = vec![listener("127.0.0.1:0", false), listener("127.0.0.1:0", true)];
    })
    .await;
    let nonsense: [&[u8]; 6] = [
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ];
    for listener in running.server.listeners() {
        for bytes in nonsense {
            let mut stream = TcpStream::connect(listener.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let answer = until_closed(stream).await;
            assert!(
                answer.is_empty() || !answer.starts_with("HTTP/1.1 2") || listener.tls,
                "{answer}"
            );
        }
    }
    assert_eq!(running.get("/healthz").await.status().as_u16(), 200);
}

#[tokio::test]
async fn a_client_that_leaves_out_the_s_of_https_gets_an_answer_that_says_so() {
    let running = start(|config| config.listeners = vec![listener("127.0.0.1:0", true)]).await;
    let answer = running.raw(b"GET /room HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("Content-Type: application/json"),
        "{answer}"
    );
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    assert!(
        body["error"].as_str().unwrap_or_default().contains("https://"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_connection_more_than_allowed_waits_until_another_ends() {
    // The listener itself always holds one place, for the next connection.
    let running = start(|config| config.http.max_connections = 2).await;
    let ask = async || {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let answered = async |stream: &mut TcpStream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
    };
    let (mut first, mut second) = (ask().await, ask().await);
    answered(&mut first).await;
    answered(&mut second).await;
    let mut third = ask().await;
    let waiting = tokio::time::timeout(Duration::from_millis(300), answered(&mut third)).await;
    assert!(waiting.is_err(), "the third waits");
    drop(first);
    tokio::time::timeout(PATIENCE, answered(&mut third))
        .await
        .expect("and is then served");
}

#[tokio::test]
async fn half_of_a_login_gives_way_where_places_are_scarce() {
    let running = start(|config| config.http.max_connections = 2).await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        let half = b"POST /account/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Content-Length: 100\r\n\r\n{\"phone";
        stream.write_all(half).await.unwrap();
        stalled.push(stream);
    }
    let mut asking = TcpStream::connect(running.address()).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    asking.write_all(request).await.unwrap();
    // The server would wait twenty seconds for the login.
    let mut byte = [0];
    let answered = tokio::time::timeout(Duration::from_secs(14), asking.read_exact(&mut byte)).await;
    answered.expect("a place within seconds").unwrap();
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_frees_the_ports() {
    let running = start(|_| {}).await;
    let address = running.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    idle.read_exact(&mut [0]).await.unwrap();
    tokio::time::timeout(PATIENCE, running.server.stop()).await.unwrap();
    until_closed(idle).await;
    assert!(TcpStream::connect(address).await.is_err());
}
