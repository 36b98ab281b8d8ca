//! Things that one client can use up over HTTP, while others are served all the same. If a client has to come from
//! another address, a proxy says so.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::running::{Running, start, until_closed};

/// Uploads so many bytes for the client of this address. Returns the status.
async fn upload(running: &Running, address: &str, bytes: usize) -> u16 {
    let part = Part::bytes(vec![b'x'; bytes]).file_name("a.txt");
    let request = running.http.post(running.url("/files"));
    let request = request.header("x-forwarded-for", address);
    let sent = request.multipart(Form::new().part("file", part)).send().await;
    sent.unwrap().status().as_u16()
}

/// An upload that has begun, and of which nothing more is sent.
async fn half_an_upload(running: &Running, address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let head = format!(
        "POST /files HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\nContent-Length: 1000\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nx"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn connections_that_say_nothing_give_way_to_one_that_does() {
    let running = start(|config| config.http.max_connections = 30).await;
    let mut silent = Vec::new();
    for _ in 0..90 {
        silent.push(TcpStream::connect(running.address()).await.unwrap());
    }
    let since = Instant::now();
    assert_eq!(running.get("/healthz").await.status().as_u16(), 200);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    // Oldest first.
    until_closed(silent.swap_remove(0)).await;
}

#[tokio::test]
async fn where_places_are_scarce_silence_is_short() {
    // Those that have been answered do not give way; they have less time.
    let running = start(|config| {
        config.http.max_connections = 4;
        config.http.header_timeout_s = 60;
    })
    .await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        idle.push(stream);
    }
    let since = Instant::now();
    assert_eq!(running.get("/healthz").await.status().as_u16(), 200);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
}

#[tokio::test]
async fn one_address_does_not_use_up_all_places_for_uploads() {
    let running = start(|_| {}).await;
    let mut begun = Vec::new();
    for _ in 0..40 {
        begun.push(half_an_upload(&running, "203.0.113.1").await);
    }
    assert_eq!(upload(&running, "203.0.113.1", 10).await, 503);
    assert_eq!(upload(&running, "203.0.113.2", 10).await, 200);
}

#[tokio::test]
async fn one_address_does_not_use_up_all_space_for_uploads() {
    let running = start(|config| {
        config.files.total_size_mib = 8;
        config.files.max_size_mib = 1;
    })
    .await;
    let mut kept = 0;
    while upload(&running, "203.0.113.1", 512 * 1024).await == 200 {
        kept += 1;
        assert!(kept <= 16, "nobody stops it");
    }
    assert_eq!(kept, 4, "a quarter");
    assert_eq!(upload(&running, "203.0.113.1", 512 * 1024).await, 507);
    assert_eq!(upload(&running, "203.0.113.2", 512 * 1024).await, 200);
}
