//! Calls that ring at registered accounts: the events, and refusals.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use super::{ben, post, start};
use crate::front::dapi::{ask, data, now_s};
use crate::front::running::{PATIENCE, Running, header};

/// The events of a registration.
pub struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    pub async fn of(running: &Running, account: &str, token: &str) -> Stream {
        let url = running.url(&format!("/api/registrations/{account}/events?token={token}"));
        // The stream lasts for longer than any other answer.
        let http = reqwest::Client::new();
        let response = tokio::time::timeout(Duration::from_secs(5), http.get(url).send());
        let response = response.await.expect("the headers come at once").unwrap();
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        let text = String::new();
        Stream { response, text }
    }

    /// The next block of lines. `None` at the end of the stream.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("an event comes").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event: its kind and its data.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await.expect("the stream goes on");
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(kind), Some(data)) = (field("event:"), field("data:")) {
                return (kind.to_owned(), serde_json::from_str(data).unwrap());
            }
        }
    }
}

/// Ben is called by Anna. Returns the channel.
pub async fn call_ben(running: &Running) -> String {
    let call = json!({ "src_uid": "anna@example.org", "dst_uid": ["ben"] });
    let entry = data(ask(running, "/dapi/call/user", call).await);
    entry["channel"].as_str().unwrap().to_owned()
}

/// How the call in a channel has ended, as soon as it has.
async fn ending(running: &Running, channel: &str) -> Value {
    loop {
        let record = data(ask(running, "/dapi/call/record", json!({ "channel": channel })).await);
        if record["ending"] != "" {
            return record["ending"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_app_that_is_to_answer_asks_for_the_room_of_the_call_as_for_a_conference() {
    let running = start().await;
    let token = ben(&running).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    let channel = call_ben(&running).await;
    let (kind, _) = stream.event().await;
    assert_eq!(kind, "incoming");
    let path = format!("/api/v3/meet/checkJoin.shtml?joinAccount={channel}&participantName=Ben");
    let (_, answer) = post(&running, &path).await;
    let results = &answer["results"];
    assert_eq!((&answer["code"], &results["isDot"]), (&json!("200"), &json!(true)));
    assert_eq!(
        (&results["alias"], &results["conferenceName"]),
        (&json!(channel), &json!("安娜"))
    );
    assert_eq!((&results["roleType"], &results["password"]), (&json!(""), &json!("")));
}

#[tokio::test]
async fn a_call_rings_at_a_registration_and_is_cancelled_with_the_same_token() {
    let running = start().await;
    let token = ben(&running).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    let channel = call_ben(&running).await;
    let (kind, incoming) = stream.event().await;
    let one_time = incoming["token"].as_str().unwrap().to_owned();
    let began: i64 = incoming["time"].as_str().unwrap().parse().unwrap();
    assert!((now_s() - began).abs() < 20);
    assert_eq!(kind, "incoming");
    let expected = json!({
        "conference_alias": channel, "remote_display_name": "安娜", "token": one_time, "remote_alias": "anna@example.org",
        "owner": "127.0.0.1", "service_type": "gateway", "time": began.to_string(), "bsskey": "",
    });
    assert_eq!(incoming, expected);
    let cancel = json!({ "uid": "anna@example.org", "channel": channel, "code": 1000 });
    data(ask(&running, "/dapi/call/event", cancel).await);
    let cancelled = ("incoming_cancelled".to_owned(), json!({ "token": one_time }));
    assert_eq!(stream.event().await, cancelled);
    let late = format!("/api/services/{channel}/end_session?token={one_time}");
    assert_eq!(post(&running, &late).await.0, 403, "it is over");
}

#[tokio::test]
async fn a_call_that_rings_before_the_stream_begins_is_its_first_event_and_each_registration_has_a_token_of_its_own() {
    let running = start().await;
    let (first, second) = (ben(&running).await, ben(&running).await);
    call_ben(&running).await;
    let mut tokens = Vec::new();
    for token in [first, second] {
        let (kind, incoming) = Stream::of(&running, "ben", &token).await.event().await;
        assert_eq!(kind, "incoming");
        tokens.push(incoming["token"].clone());
    }
    assert_ne!(tokens[0], tokens[1]);
    let refuse = |token: &Value| format!("/api/services/anna/end_session?token={}", token.as_str().unwrap());
    assert_eq!(post(&running, &refuse(&tokens[0])).await.0, 200);
    assert_eq!(post(&running, &refuse(&tokens[1])).await.0, 403, "the call is refused");
}

#[tokio::test]
async fn a_refusal_reaches_the_caller_and_its_token_works_once_and_for_this_call_alone() {
    let running = start().await;
    let token = ben(&running).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    for place in ["CHANNEL", "anna@example.org@127.0.0.1", "anna%40example.org"] {
        let channel = call_ben(&running).await;
        let (_, incoming) = stream.event().await;
        let one_time = incoming["token"].as_str().unwrap();
        let refuse = |place: &str| format!("/api/services/{place}/end_session?token={one_time}");
        let (status, answer) = post(&running, &refuse("elsewhere")).await;
        assert_eq!((status, &answer["status"]), (404, &json!("failed")), "{answer}");
        let place = place.replace("CHANNEL", &channel);
        let done = (200, json!({ "status": "success", "result": true }));
        assert_eq!(post(&running, &refuse(&place)).await, done, "{place}");
        assert_eq!(ending(&running, &channel).await, "declined");
        assert_eq!(stream.event().await.0, "incoming_cancelled");
        let (status, answer) = post(&running, &refuse(&place)).await;
        assert_eq!((status, &answer["status"]), (403, &json!("failed")), "{answer}");
    }
    assert_eq!(post(&running, "/api/services/x/end_session").await.0, 403);
}

#[tokio::test]
async fn a_stream_ends_with_its_registration_and_where_a_newer_one_begins() {
    let running = start().await;
    let token = ben(&running).await;
    let mut first = Stream::of(&running, "ben", &token).await;
    let mut second = Stream::of(&running, "ben", &token).await;
    assert_eq!(first.block().await, None, "a newer one has begun");
    assert_eq!(
        post(&running, &format!("/api/registrations/ben/end_session?token={token}"))
            .await
            .0,
        200
    );
    assert_eq!(second.block().await, None, "the registration is over");
    let ended = running
        .get(&format!("/api/registrations/ben/events?token={token}"))
        .await;
    assert_eq!(ended.status().as_u16(), 401);
}

#[tokio::test]
async fn a_comment_comes_when_nothing_else_does() {
    let running = start().await;
    let token = ben(&running).await;
    let mut stream = Stream::of(&running, "ben", &token).await;
    assert_eq!(stream.block().await.as_deref(), Some(":"));
}
