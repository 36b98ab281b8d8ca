//! Requests that are refused, each with its status and a sentence.

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;

use super::{Participant, json_of, start};
use crate::transcripts::offers::offer;

const REQUESTS: [(Method, &str); 9] = [
    (Method::POST, "refresh_session"),
    (Method::GET, "service_status"),
    (Method::GET, "participants"),
    (Method::GET, "events"),
    (Method::POST, "message"),
    (Method::POST, "lock"),
    (Method::POST, "participants/OWN/mute"),
    (Method::POST, "participants/OWN/calls"),
    (Method::POST, "participants/OWN/calls/x/ack"),
];

#[tokio::test]
async fn a_token_that_is_missing_unknown_over_or_of_another_conference_is_401() {
    let running = start().await;
    let anna = Participant::guest(&running, "Anna").await;
    let gone = Participant::guest(&running, "Gone").await;
    gone.ask("end_session", json!({})).await;
    for (method, request) in REQUESTS {
        let request = request.replace("OWN", &anna.uuid);
        for (alias, token) in [
            ("open", ""),
            ("open", "x"),
            ("open", "00000000000000000000000000000000"),
            ("open", &*gone.token),
            ("other", &*anna.token),
            ("nowhere", &*anna.token),
        ] {
            let url = running.url(&format!("/api/services/{alias}/{request}"));
            let body = json!({ "sdp": offer("sendrecv", 1, false), "payload": "x" });
            let sent = running.http.request(method.clone(), url).header("token", token);
            let response = sent.body(body.to_string()).send().await.unwrap();
            assert_eq!(response.status().as_u16(), 401, "{method} {alias}/{request} {token}");
            let answer = json_of(response).await;
            assert_eq!(answer["status"], "failed", "{answer}");
            assert!(answer["result"].is_string(), "{answer}");
        }
    }
    let url = format!(
        "ws://{}/wapi/services/other/wsevents?token={}",
        running.address(),
        anna.token
    );
    let refused = connect_async(url).await.unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");
    let plain = running
        .get(&format!("/wapi/services/open/wsevents?token={}", anna.token))
        .await;
    assert_eq!(plain.status().as_u16(), 426);
    assert_eq!(
        anna.get("service_status").await["locked"],
        false,
        "nothing has become of the session"
    );
}

#[tokio::test]
async fn bodies_commands_and_people_that_make_no_sense_are_refused() {
    let running = start().await;
    let anna = Participant::guest(&running, "Anna").await;
    let ben = Participant::guest(&running, "Ben").await;
    let elsewhere = Participant::enter(&running, "other", "none", "Carl").await;
    let own = |command: &str| anna.about(&anna, command);
    let sdp = || json!({ "sdp": offer("sendrecv", 1, false) });
    for (request, body, status) in [
        ("message".to_owned(), json!({}), 400),
        (
            "message".to_owned(),
            json!({ "payload": "x".repeat(16 * 1024 + 1) }),
            400,
        ),
        ("nothing".to_owned(), json!({}), 404),
        ("mute".to_owned(), json!({}), 404),
        (own("nothing"), json!({}), 404),
        (own("lock"), json!({}), 404),
        (own("role"), json!({ "role": "king" }), 400),
        (own("transfer"), json!({ "role": "guest" }), 400),
        (own("calls"), json!({}), 400),
        (own("calls"), json!({ "sdp": "x".repeat(64 * 1024 + 1) }), 400),
        (own("calls"), json!({ "sdp": "hello" }), 400),
        (own("calls/x/ack"), json!({}), 404),
        (anna.about(&ben, "calls"), sdp(), 403),
        (anna.about(&ben, "changeLocalStatus"), json!({ "ismute": true }), 403),
        (anna.about(&ben, "wants"), json!({ "heights": { "*": 0 } }), 403),
        (anna.about(&elsewhere, "wants"), json!({}), 404),
        (anna.about(&elsewhere, "calls"), sdp(), 404),
        (anna.about(&elsewhere, "mute"), json!({}), 404),
        ("participants/x/mute".to_owned(), json!({}), 404),
    ] {
        assert_eq!(anna.is_refused(&request, body).await, status, "{request}");
    }
    let call = anna.ask(&own("calls"), sdp()).await["call_uuid"].clone();
    let call = call.as_str().unwrap();
    assert_eq!(
        anna.is_refused(&own(&format!("calls/{call}/nothing")), json!({})).await,
        404
    );
    assert_eq!(
        anna.is_refused(&own(&format!("calls/{call}/update")), json!({})).await,
        400
    );
    let theirs = anna.about(&ben, &format!("calls/{call}/ack"));
    assert_eq!(anna.is_refused(&theirs, json!({})).await, 403);
    for request in [
        "new_session",
        "refresh_session",
        "message",
        "participants/OWN/calls",
        "participants/OWN/role",
    ] {
        let request = request.replace("OWN", &anna.uuid);
        for body in ["hello", "[1]", "{", "\u{0}"] {
            let url = running.url(&format!("/api/services/open/{request}"));
            let sent = running
                .http
                .post(url)
                .header("token", &anna.token)
                .header("pin", "none");
            let response = sent.body(body).send().await.unwrap();
            assert_eq!(response.status().as_u16(), 400, "{request} {body}");
            assert_eq!(json_of(response).await["status"], "failed");
        }
    }
}

#[tokio::test]
async fn a_guest_commands_nobody() {
    let running = start().await;
    let _host = Participant::host(&running, "Host").await;
    let (anna, ben) = (
        Participant::guest(&running, "Anna").await,
        Participant::guest(&running, "Ben").await,
    );
    for command in [
        "lock",
        "unlock",
        "start_service",
        "muteguests",
        "unmuteguests",
        "disconnect",
    ] {
        assert_eq!(anna.is_refused(command, json!({})).await, 403, "{command}");
    }
    for (command, body) in [
        ("disconnect", json!({})),
        ("mute", json!({})),
        ("unmute", json!({})),
        ("hard_vmute", json!({})),
        ("spotlighton", json!({})),
        ("unlock", json!({})),
        ("role", json!({ "role": "chair" })),
        ("transfer", json!({ "role": "guest", "conference_alias": "other" })),
    ] {
        assert_eq!(
            anna.is_refused(&anna.about(&ben, command), body).await,
            403,
            "{command}"
        );
    }
    let own = anna.about(&anna, "role");
    assert_eq!(anna.is_refused(&own, json!({ "role": "chair" })).await, 403);
    for (request, body) in [
        (
            "override_layout".to_owned(),
            json!({ "layouts": [{ "audience": "hosts" }] }),
        ),
        (anna.about(&anna, "clayout"), json!({})),
        (anna.about(&ben, "dtmf"), json!({ "digits": "1" })),
    ] {
        assert_eq!(anna.ask(&request, body).await, Value::Bool(true), "{request}");
    }
}
