//! The requests by which an operator asks how the server is.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::running::{Running, listener, start};

async fn ready(running: &Running) -> (u16, Value) {
    let response = running.get("/readyz").await;
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_server_that_works_is_alive_and_ready() {
    let running = start(|_| {}).await;
    assert_eq!(running.get("/healthz").await.text().await.unwrap(), "alive\n");
    assert_eq!(ready(&running).await.0, 200);
}

#[tokio::test]
async fn a_server_whose_database_is_removed_is_alive_but_not_ready_and_says_why() {
    let running = start(|_| {}).await;
    std::fs::remove_file(running.data.path().join("records.db")).unwrap();
    let (status, body) = ready(&running).await;
    assert_eq!(status, 503);
    assert_eq!(body["reasons"][0], "storage does not answer");
    assert!(!body.to_string().contains("records.db"), "paths are for the log");
    assert_eq!(running.get("/healthz").await.status().as_u16(), 200);
}

#[tokio::test]
async fn every_metric_has_a_name_of_ours_and_a_meaning() {
    let running = start(|_| {}).await;
    running.get("/").await;
    let text = running.get("/metrics").await.text().await.unwrap();
    let mut seen = 0;
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(name.starts_with("patchbay_"), "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no HELP");
        seen += 1;
    }
    assert!(seen > 5, "{text}");
    assert!(
        text.contains("patchbay_http_requests_total{route=\"/\",status=\"200\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_known_of_paths_is_counted_in_buckets_that_fit_it() {
    let running = start(|_| {}).await;
    let text = running.get("/metrics").await.text().await.unwrap();
    for (name, bound) in [
        ("patchbay_media_target_bits_per_second", "1200000"),
        ("patchbay_media_acked_bits_per_second", "1200000"),
        ("patchbay_media_queue_delay_seconds", "0.2"),
        ("patchbay_media_loss_ratio", "0.02"),
    ] {
        assert!(text.contains(&format!("# TYPE {name} histogram")), "{name}: {text}");
        assert!(
            text.contains(&format!("{name}_bucket{{le=\"{bound}\"}} ")),
            "{name}: {text}"
        );
        assert!(
            text.contains(&format!("{name}_sum ")),
            "of all workers together: {text}"
        );
    }
}

#[tokio::test]
async fn metrics_count_invented_paths_as_one() {
    let running = start(|_| {}).await;
    for n in 0..5 {
        running.get(&format!("/invented/{n}?secret={n}")).await;
    }
    let text = running.get("/metrics").await.text().await.unwrap();
    assert!(!text.contains("invented") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn metrics_are_not_for_clients_of_a_proxy() {
    let running = start(|_| {}).await;
    let request = running
        .http
        .get(running.url("/metrics"))
        .header("x-forwarded-for", "192.0.2.7");
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 403);
    assert!(response.text().await.unwrap().contains("metrics.address"));
    let request = running.http.get(running.url("/admin/v1/rooms"));
    let response = request.header("via", "1.1 front").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 403, "nor is who is in which room");
}

#[tokio::test]
async fn metrics_on_an_address_of_their_own_are_nowhere_else() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let own = format!("127.0.0.1:{port}");
    let running = start(|config| {
        config.metrics.address = own.clone();
        config.listeners = vec![listener("127.0.0.1:0", false)];
    })
    .await;
    assert_eq!(running.get("/metrics").await.status().as_u16(), 403);
    assert_eq!(running.get("/admin/v1/rooms").await.status().as_u16(), 403);
    let there = |path: &str| running.http.get(format!("http://{own}{path}")).send();
    assert_eq!(there("/metrics").await.unwrap().status().as_u16(), 200);
    assert_eq!(there("/readyz").await.unwrap().status().as_u16(), 200);
    assert_eq!(there("/admin/v1/rooms").await.unwrap().status().as_u16(), 200);
    assert_eq!(
        there("/room").await.unwrap().status().as_u16(),
        404,
        "pages are not there"
    );
}

#[tokio::test]
async fn operators_are_shown_who_is_in_which_room_by_names_as_in_the_log() {
    let running = start(|_| {}).await;
    let rooms = async || -> Value { running.get("/admin/v1/rooms").await.json().await.unwrap() };
    assert_eq!(
        rooms().await,
        json!({ "rooms": [], "next": null, "silent_workers": [] })
    );
    let url = running.url("/groupcall").replace("http", "ws");
    let (mut socket, _) = connect_async(url).await.unwrap();
    let join = json!({ "id": "joinRoom", "name": "13800000001", "room": "4711" });
    socket.send(Message::text(join.to_string())).await.unwrap();
    socket.next().await.expect("an answer").unwrap();
    let shown = rooms().await;
    let room = &shown["rooms"][0];
    assert_eq!(
        (&room["kind"], shown["rooms"].as_array().unwrap().len()),
        (&json!("group"), 1)
    );
    assert_eq!(room["participants"][0]["tracks"], json!([]));
    for name in [&room["name"], &room["participants"][0]["user"]] {
        assert!(name.as_str().unwrap().starts_with('#'), "{shown}");
    }
    assert!(!shown.to_string().contains("13800000001") && !shown.to_string().contains("4711"));
    let after = format!("/admin/v1/rooms?after={}", room["id"]);
    let rest: Value = running.get(&after).await.json().await.unwrap();
    assert_eq!(rest["rooms"], json!([]));
    assert_eq!(running.get("/admin/v1/rooms?after=x").await.status().as_u16(), 400);
}
