//! Calls to users: one enters by the name of the other, whose app rings and enters by a one-time token.

use reqwest::Response;
use serde_json::{Value, json};

use super::super::{ben, post};
use super::{Events, HOST_PIN, Participant, new_session, start};
use crate::front::running::{PATIENCE, Running};

/// The next event of a registration: its kind and its data.
async fn event(response: &mut Response, text: &mut String) -> (String, Value) {
    loop {
        if let Some((block, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            let found = (field("event: "), field("data: "));
            *text = rest.to_owned();
            if let (Some(kind), Some(data)) = found {
                return (kind, serde_json::from_str(&data).unwrap());
            }
            continue;
        }
        let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await;
        let chunk = chunk.expect("an event comes").unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

struct Call<'a> {
    caller: Participant<'a>,
    events: Events,
    /// The events of the callee's registration.
    stream: (Response, String),
    incoming: Value,
}

/// Somebody calls Ben, whose registration is sent that.
async fn call<'a>(running: &'a Running) -> Call<'a> {
    let registration = ben(running).await;
    let url = running.url(&format!("/api/registrations/ben/events?token={registration}"));
    let mut stream = (reqwest::Client::new().get(url).send().await.unwrap(), String::new());
    let body = json!({ "display_name": "Caller", "bsskey": "key", "owner": "there.example" });
    let (status, answer) = new_session(running, "ben", None, body).await;
    assert_eq!(status, 200, "{answer}");
    let result = &answer["result"];
    assert_eq!(
        (&result["service_type"], &result["current_service_type"]),
        (&json!("gateway"), &json!("gateway"))
    );
    let text = |key: &str| result[key].as_str().unwrap().to_owned();
    let caller = Participant {
        running,
        alias: "ben".to_owned(),
        token: text("token"),
        uuid: text("participant_uuid"),
    };
    let mut events = caller.events().await;
    events.until("participant_sync_end").await;
    let (kind, incoming) = event(&mut stream.0, &mut stream.1).await;
    assert_eq!(kind, "incoming");
    Call {
        caller,
        events,
        stream,
        incoming,
    }
}

#[tokio::test]
async fn a_user_is_called_and_answers_by_the_one_time_token_and_the_end_reaches_the_other_side() {
    let running = start().await;
    for place in ["conference_alias", "remote_alias"] {
        let Call {
            mut events,
            incoming,
            caller,
            ..
        } = call(&running).await;
        assert_eq!(
            (&incoming["remote_display_name"], &incoming["service_type"]),
            (&json!("Caller"), &json!("gateway"))
        );
        assert_eq!(
            (&incoming["bsskey"], &incoming["owner"]),
            (&json!("key"), &json!("there.example"))
        );
        let alias = match place {
            "remote_alias" => format!("{}@127.0.0.1", incoming[place].as_str().unwrap()),
            place => incoming[place].as_str().unwrap().to_owned(),
        };
        let body = || json!({ "display_name": "x", "token": incoming["token"] });
        let (status, answer) = new_session(&running, &alias, None, body()).await;
        assert_eq!(status, 200, "{place}: {answer}");
        assert_eq!(
            (&answer["result"]["service_type"], &answer["result"]["display_name"]),
            (&json!("gateway"), &json!("Ben"))
        );
        let created = events.until("participant_create").await;
        assert_eq!(
            (&created["display_name"], &created["service_type"]),
            (&json!("Ben"), &json!("gateway"))
        );
        assert_eq!(new_session(&running, &alias, None, body()).await.0, 403, "used up");
        let token = answer["result"]["token"].as_str().unwrap();
        let mut theirs = Events::of(&running, &alias, token).await;
        theirs.until("participant_sync_end").await;
        caller.ask("end_session", json!({})).await;
        assert!(theirs.until("disconnect").await["reason"].is_string());
        assert_eq!(theirs.frame().await.unwrap(), json!({ "_command": "bye" }));
    }
}

#[tokio::test]
async fn a_refusal_reaches_the_caller_and_a_caller_who_gives_up_is_heard_of() {
    let running = start().await;
    let mut first = call(&running).await;
    let place = first.incoming["conference_alias"].as_str().unwrap();
    let token = first.incoming["token"].as_str().unwrap();
    let refused = post(&running, &format!("/api/services/{place}/end_session?token={token}")).await;
    assert_eq!(refused.0, 200);
    assert_eq!(
        first.events.until("disconnect").await,
        json!({ "reason": "the call was declined" })
    );
    let mut second = call(&running).await;
    second.caller.ask("end_session", json!({})).await;
    let (kind, cancelled) = event(&mut second.stream.0, &mut second.stream.1).await;
    assert_eq!(
        (&*kind, &cancelled["token"]),
        ("incoming_cancelled", &second.incoming["token"])
    );
}

#[tokio::test]
async fn nobody_calls_themselves_or_somebody_who_is_not_there() {
    let running = start().await;
    let registration = ben(&running).await;
    let body = json!({ "registration_token": registration });
    assert_eq!(new_session(&running, "ben", None, body.clone()).await.0, 409);
    for alias in ["nobody", "anna@example.org"] {
        let (status, answer) = new_session(&running, alias, None, body.clone()).await;
        assert_eq!(
            (status, &answer["status"]),
            (404, &json!("failed")),
            "{alias}: {answer}"
        );
    }
    let body = json!({ "token": "00000000000000000000000000000000" });
    assert_eq!(
        new_session(&running, "open", Some("none"), body).await.0,
        403,
        "of no call"
    );
}

#[tokio::test]
async fn a_host_calls_a_user_into_the_conference_who_enters_without_a_pin() {
    let running = start().await;
    let registration = ben(&running).await;
    let url = running.url(&format!("/api/registrations/ben/events?token={registration}"));
    let mut stream = (reqwest::Client::new().get(url).send().await.unwrap(), String::new());
    let host = Participant::host(&running, "Host").await;
    let guest = Participant::guest(&running, "Guest").await;
    let mut events = host.events().await;
    events.until("participant_sync_end").await;
    let dial = json!({ "destination": "ben@127.0.0.1", "role": "chair", "protocol": "auto", "streaming": false });
    assert_eq!(guest.is_refused("dial", dial.clone()).await, 403);
    for (destination, status) in [
        (json!("nobody"), 404),
        (json!(""), 400),
        (json!("x".repeat(300)), 400),
        (json!("open"), 404),
    ] {
        let refused = host.is_refused("dial", json!({ "destination": destination })).await;
        assert_eq!(refused, status, "{destination}");
    }
    let dialed = host.ask("dial", dial).await;
    let (kind, incoming) = event(&mut stream.0, &mut stream.1).await;
    assert_eq!((&*kind, &incoming["service_type"]), ("incoming", &json!("conference")));
    assert_eq!(incoming["remote_display_name"], "Host");
    let place = incoming["conference_alias"].as_str().unwrap();
    assert_eq!(place, "open");
    let body = json!({ "token": incoming["token"] });
    let (status, answer) = new_session(&running, place, None, body.clone()).await;
    assert_eq!(status, 200, "{answer}");
    let result = &answer["result"];
    assert_eq!(
        (&result["role"], &result["service_type"]),
        (&json!("HOST"), &json!("conference"))
    );
    assert_eq!(dialed, json!([result["participant_uuid"]]));
    assert_eq!(events.until("participant_create").await["uri"], "ben");
    assert_eq!(new_session(&running, place, None, body).await.0, 403, "used up");
}

#[tokio::test]
async fn a_guest_who_was_called_into_a_conference_comes_as_a_guest_and_need_not_wait_for_the_host_who_has_left() {
    let running = start().await;
    let registration = ben(&running).await;
    let url = running.url(&format!("/api/registrations/ben/events?token={registration}"));
    let mut stream = (reqwest::Client::new().get(url).send().await.unwrap(), String::new());
    let host = Participant::enter(&running, "patient", HOST_PIN, "Host").await;
    host.ask("dial", json!({ "destination": "ben" })).await;
    let (_, incoming) = event(&mut stream.0, &mut stream.1).await;
    host.ask("end_session", json!({})).await;
    let body = json!({ "token": incoming["token"] });
    let (status, answer) = new_session(&running, "patient", None, body).await;
    assert_eq!(status, 200, "{answer}");
    let result = &answer["result"];
    assert_eq!(
        (&result["role"], &result["current_service_type"]),
        (&json!("GUEST"), &json!("conference"))
    );
}

#[tokio::test]
async fn a_guest_who_was_called_into_a_locked_conference_need_not_wait() {
    let running = start().await;
    let registration = ben(&running).await;
    let url = running.url(&format!("/api/registrations/ben/events?token={registration}"));
    let mut stream = (reqwest::Client::new().get(url).send().await.unwrap(), String::new());
    let host = Participant::host(&running, "Host").await;
    host.ask("lock", json!({})).await;
    host.ask("dial", json!({ "destination": "ben" })).await;
    let (_, incoming) = event(&mut stream.0, &mut stream.1).await;
    let body = json!({ "token": incoming["token"] });
    let (status, answer) = new_session(&running, "open", None, body).await;
    assert_eq!(status, 200, "{answer}");
    let result = &answer["result"];
    assert_eq!(
        (&result["role"], &result["current_service_type"]),
        (&json!("GUEST"), &json!("conference"))
    );
    // Others wait as ever.
    let name = json!({ "display_name": "Late" });
    let (_, answer) = new_session(&running, "open", Some("none"), name).await;
    assert_eq!(answer["result"]["current_service_type"], "waiting_room");
}
