//! The ends of calls over HTTP, posted to the URL of an app's back end, which checks every byte.

use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use patchbay::config::Config;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::running::{PATIENCE, Running, start};

const KEY: &[u8] = b"a secret of thirty-two bytes....";

/// A back end: what has been posted to it, and whether it takes more.
#[derive(Clone, Default)]
struct BackEnd(Arc<Mutex<Posted>>);

#[derive(Default)]
struct Posted {
    refuses: bool,
    /// Ids and bodies, also of what was refused.
    messages: Vec<(String, Value)>,
}

impl BackEnd {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn refuses(&self, refuses: bool) {
        self.0.lock().unwrap().refuses = refuses;
    }

    fn messages(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().messages.clone()
    }

    /// What has been posted, once there are so many messages.
    async fn until(&self, count: usize) -> Vec<(String, Value)> {
        let begun = now();
        while self.messages().len() < count {
            assert!(begun.elapsed() < PATIENCE, "only {:?}", self.messages());
            sleep(std::time::Duration::from_millis(20)).await;
        }
        self.messages()
    }
}

#[allow(clippy::disallowed_methods, reason = "a test waits for real sockets")]
fn now() -> Instant {
    Instant::now()
}

async fn take(State(back_end): State<BackEnd>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(&body);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), &signed);
    assert_eq!(
        text("webhook-signature"),
        format!("v1,{}", BASE64_STANDARD.encode(tag.as_ref()))
    );
    let mut posted = back_end.0.lock().unwrap();
    posted.messages.push((id, serde_json::from_slice(&body).unwrap()));
    match posted.refuses {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    }
}

/// A server whose records outlive it. Without a URL it posts nothing.
async fn start_on(folder: &TempDir, url: Option<&str>) -> Running {
    start(|config: &mut Config| {
        config.storage.url = format!("sqlite:{}", folder.path().join("kept.db").display());
        if let Some(url) = url {
            config.webhooks.url = url.to_owned();
            config.webhooks.secret = format!("whsec_{}", BASE64_STANDARD.encode(KEY));
            config.webhooks.allow_private_addresses = true;
        }
    })
    .await
}

async fn ask(running: &Running, path: &str, body: Value) -> Value {
    let request = running.http.post(running.url(path)).body(body.to_string());
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["success"], true, "{answer}");
    answer["data"].clone()
}

/// A call that is over.
async fn cancelled_call(running: &Running) -> String {
    let call = ask(running, "/dapi/call/user", json!({ "src_uid": "1", "dst_uid": ["2"] })).await;
    let channel = call["channel"].as_str().unwrap().to_owned();
    let event = json!({ "uid": "1", "channel": channel, "code": 1000, "desp": "取消" });
    ask(running, "/dapi/call/event", event).await;
    channel
}

#[tokio::test]
async fn the_end_of_each_call_is_posted_with_its_record_and_nothing_else_is() {
    let (folder, back_end) = (tempfile::tempdir().unwrap(), BackEnd::default());
    let running = start_on(&folder, Some(&back_end.start().await)).await;
    ask(&running, "/dapi/call/user", json!({ "src_uid": "1", "dst_uid": ["3"] })).await;
    let mut channels = Vec::new();
    for count in 1..=3 {
        channels.push(cancelled_call(&running).await);
        let (_, last) = back_end.until(count).await.pop().unwrap();
        let channel = &channels[count - 1];
        let record = ask(&running, "/dapi/call/record", json!({ "channel": channel })).await;
        assert_eq!((&last["type"], &last["data"]), (&json!("call.ended"), &record));
        assert_eq!(record["ending"], "cancelled");
        assert_eq!(record["events"][0]["desp"], "取消");
        assert_eq!(last["timestamp"].as_str().unwrap().len(), "2026-01-02T03:04:05Z".len());
    }
    running.server.stop().await;
    let posted = back_end.messages();
    let about: Vec<_> = posted
        .iter()
        .map(|(_, body)| body["data"]["channel"].as_str())
        .collect();
    assert_eq!(
        about,
        channels
            .iter()
            .map(|channel| Some(channel.as_str()))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_a_back_end_has_not_taken_comes_again_after_a_restart_under_the_same_id() {
    let (folder, back_end) = (tempfile::tempdir().unwrap(), BackEnd::default());
    let url = back_end.start().await;
    back_end.refuses(true);
    let running = start_on(&folder, Some(&url)).await;
    cancelled_call(&running).await;
    back_end.until(1).await;
    running.server.stop().await;
    back_end.refuses(false);
    let refused = back_end.messages().len();
    let running = start_on(&folder, Some(&url)).await;
    let posted = back_end.until(refused + 1).await;
    // Another one comes after it: the first is not posted a third time meanwhile.
    cancelled_call(&running).await;
    let more = back_end.until(refused + 2).await;
    assert!(posted.iter().all(|message| *message == posted[0]), "{posted:?}");
    assert_ne!(more[refused + 1].0, posted[0].0);
}

#[tokio::test]
async fn a_call_whose_server_ended_before_it_was_posted_is_posted_by_the_next_one() {
    let (folder, back_end) = (tempfile::tempdir().unwrap(), BackEnd::default());
    let url = back_end.start().await;
    // Without a URL nothing is handed on: the records are as those of a server that was killed at the end of the call.
    let running = start_on(&folder, None).await;
    let channel = cancelled_call(&running).await;
    running.server.stop().await;
    assert_eq!(back_end.messages(), []);
    // Two processes share the database from now on.
    let (one, other) = (start_on(&folder, Some(&url)).await, start_on(&folder, Some(&url)).await);
    back_end.until(1).await;
    let last = cancelled_call(&other).await;
    let posted = back_end.until(2).await;
    let about: Vec<_> = posted
        .iter()
        .map(|(_, body)| body["data"]["channel"].as_str())
        .collect();
    assert_eq!(about, [Some(channel.as_str()), Some(last.as_str())]);
    for running in [one, other] {
        running.server.stop().await;
    }
    assert_eq!(back_end.messages().len(), 2);
}
