//! Who enters a conference, as what, and what a session is.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::ben;
use super::{Events, GUEST_PIN, HOST_PIN, Participant, json_of, new_session, start};
use crate::front::dapi::now_s;
use crate::front::running::header;

/// The participant as the others are shown them, whose name and role these are.
fn shown(uuid: &str, uri: &Value, name: &str, role: &str, start_time: &Value) -> Value {
    json!({
        "api_url": format!("/participants/{uuid}"), "call_direction": "in", "display_name": name, "encryption": "On",
        "has_media": true, "is_audio_only_call": "NO", "is_external": false, "is_muted": "NO", "is_presenting": "NO",
        "is_streaming_conference": false, "is_video_call": "YES", "is_vmuted": "NO", "local_audio": true,
        "local_alias": "open", "local_camera": true, "overlay_text": name, "presentation_supported": "YES",
        "protocol": "webrtc", "role": role, "rx_presentation_policy": "ALLOW", "service_type": "conference",
        "spotlight": 0, "start_time": start_time, "uri": uri, "uuid": uuid, "vendor": "",
    })
}

#[tokio::test]
async fn a_guest_enters_and_is_sent_who_is_there() {
    let running = start().await;
    let body = json!({
        "display_name": "Anna", "hideme": "", "checkdup": "x", "force_soft": "yes", "expected_width": 640, "expected_fps": 20,
        "support_participant_list": "yes",
    });
    let (status, answer) = new_session(&running, "open", Some("none"), body).await;
    assert_eq!(status, 200, "{answer}");
    let (token, uuid) = (
        &answer["result"]["token"],
        answer["result"]["participant_uuid"].as_str().unwrap(),
    );
    let version = env!("CARGO_PKG_VERSION");
    let expected = json!({ "status": "success", "result": {
        "token": token, "expires": "120", "participant_uuid": uuid, "display_name": "Anna", "stun": [],
        "analytics_enabled": false, "version": { "pseudo_version": version, "version_id": version }, "role": "GUEST",
        "service_type": "conference", "current_service_type": "conference", "chat_enabled": true,
        "conferenceName": "The open one",
    } });
    assert_eq!(answer, expected);
    let mut events = Events::of(&running, "open", token.as_str().unwrap()).await;
    let event = |id: u64, kind: &str, data: Value| json!({ "_command": "event", "_eventName": kind, "_eventId": id, "data": data });
    let status = json!({ "guests_muted": false, "locked": false });
    assert_eq!(events.frame().await.unwrap(), event(1, "service_update", status));
    assert_eq!(
        events.frame().await.unwrap(),
        event(2, "participant_sync_begin", json!({}))
    );
    let created = events.frame().await.unwrap();
    let (uri, start) = (&created["data"]["uri"], &created["data"]["start_time"]);
    assert!((start.as_i64().unwrap() - now_s()).abs() < 20, "{start}");
    assert_eq!(
        created,
        event(3, "participant_create", shown(uuid, uri, "Anna", "guest", start))
    );
    assert_eq!(
        events.frame().await.unwrap(),
        event(4, "participant_sync_end", json!({}))
    );
}

#[tokio::test]
async fn a_pin_is_asked_for_and_decides_about_the_role() {
    let running = start().await;
    let anna = || json!({ "display_name": "Anna" });
    for (alias, pin, guest_pin) in [
        ("open", None, "none"),
        ("open", Some(""), "none"),
        ("closed", None, "required"),
        ("closed", Some("none"), "required"),
    ] {
        let needed = json!({ "status": "success", "result": { "pin": "required", "guest_pin": guest_pin } });
        assert_eq!(
            new_session(&running, alias, pin, anna()).await,
            (403, needed),
            "{alias} {pin:?}"
        );
    }
    for (alias, pin, role) in [
        ("open", "none", "GUEST"),
        ("open", HOST_PIN, "HOST"),
        ("closed", GUEST_PIN, "GUEST"),
        ("closed", HOST_PIN, "HOST"),
        ("closed@meet.example", HOST_PIN, "HOST"),
        ("closed%40meet.example", HOST_PIN, "HOST"),
    ] {
        let (status, answer) = new_session(&running, alias, Some(pin), anna()).await;
        assert_eq!(
            (status, &answer["result"]["role"]),
            (200, &json!(role)),
            "{alias} {pin}: {answer}"
        );
    }
    for (alias, pin, status) in [
        ("closed", "9999", 403),
        ("closed", "x", 403),
        ("nowhere", HOST_PIN, 404),
    ] {
        let (answered, answer) = new_session(&running, alias, Some(pin), anna()).await;
        assert_eq!(
            (answered, &answer["status"]),
            (status, &json!("failed")),
            "{alias} {pin}: {answer}"
        );
        assert!(answer["result"].is_string());
    }
}

#[tokio::test]
async fn pins_are_guessed_slowly() {
    let running = start().await;
    let mut statuses = Vec::new();
    for _ in 0..11 {
        let request = running.http.post(running.url("/api/services/closed/new_session"));
        let request = request.header("pin", "9999").header("X-Forwarded-For", "192.0.2.1");
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[..10], [403; 10]);
    assert_eq!(statuses[10], 429);
}

#[tokio::test]
async fn whoever_is_registered_enters_as_their_account() {
    let running = start().await;
    let token = ben(&running).await;
    let body = json!({ "display_name": "Somebody", "registration_token": token });
    let (status, answer) = new_session(&running, "open", Some("none"), body).await;
    assert_eq!(
        (status, &answer["result"]["display_name"]),
        (200, &json!("Ben")),
        "{answer}"
    );
    let session = answer["result"]["token"].as_str().unwrap();
    let mut events = Events::of(&running, "open", session).await;
    assert_eq!(events.until("participant_create").await["uri"], "ben");
    let wrong = json!({ "registration_token": "00000000000000000000000000000000" });
    assert_eq!(new_session(&running, "open", Some("none"), wrong).await.0, 401);
}

#[tokio::test]
async fn a_name_is_cut_and_may_be_missing() {
    let running = start().await;
    let entered = |body: Value| {
        let running = &running;
        async move {
            let (status, answer) = new_session(running, "open", Some("none"), body).await;
            assert_eq!(status, 200, "{answer}");
            answer["result"]["display_name"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(
        entered(json!({ "display_name": "安".repeat(1_000) })).await,
        "安".repeat(128)
    );
    assert_eq!(entered(json!({ "display_name": "a\nb\u{7}" })).await, "ab");
    assert!(entered(json!({})).await.starts_with("guest-"));
    assert!(entered(json!({ "display_name": "  " })).await.starts_with("guest-"));
}

#[tokio::test]
async fn a_hidden_participant_is_on_no_list_and_sees_the_others() {
    let running = start().await;
    let anna = Participant::guest(&running, "Anna").await;
    let body = json!({ "display_name": "Nobody", "hideme": "yes" });
    let (_, answer) = new_session(&running, "open", Some("none"), body).await;
    let token = answer["result"]["token"].as_str().unwrap();
    assert_eq!(anna.get("participants").await.as_array().unwrap().len(), 1);
    let mut events = Events::of(&running, "open", token).await;
    assert_eq!(events.until("participant_create").await["display_name"], "Anna");
}

#[tokio::test]
async fn a_session_is_refreshed_and_ends_when_its_client_leaves() {
    let running = start().await;
    let anna = Participant::host(&running, "Anna").await;
    let ben = Participant::guest(&running, "Ben").await;
    let mut events = ben.events().await;
    let refreshed = anna.ask("refresh_session", json!({ "display_name": "Anna" })).await;
    assert_eq!(
        refreshed,
        json!({ "token": anna.token, "expires": "120", "role": "HOST" })
    );
    assert_eq!(
        anna.get("service_status").await,
        json!({ "guests_muted": false, "locked": false })
    );
    let people = anna.get("participants").await;
    let names: Vec<&Value> = people
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["display_name"])
        .collect();
    assert_eq!(names, ["Anna", "Ben"]);
    let start = &people[1]["start_time"];
    assert_eq!(people[1], shown(&ben.uuid, &people[1]["uri"], "Ben", "guest", start));

    let mut own = anna.events().await;
    own.until("participant_sync_end").await;
    assert_eq!(anna.ask("end_session", json!({})).await, true);
    assert_eq!(own.frame().await.unwrap(), json!({ "_command": "bye" }));
    assert_eq!(own.frame().await, None);
    assert_eq!(events.until("participant_delete").await, json!({ "uuid": anna.uuid }));
    assert_eq!(anna.is_refused("refresh_session", json!({})).await, 401);
}

#[tokio::test]
async fn the_events_are_also_server_sent_and_a_newer_stream_ends_the_older_one() {
    let running = start().await;
    let anna = Participant::guest(&running, "Anna").await;
    let url = running.url(&format!("/api/services/open/events?token={}", anna.token));
    let mut response = reqwest::Client::new().get(url).send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let mut text = String::new();
    while !text.contains("participant_sync_end") {
        let chunk = response.chunk().await.unwrap().expect("the stream goes on");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    let mut kinds = text.lines().filter_map(|line| line.strip_prefix("event: "));
    assert_eq!(kinds.next(), Some("service_update"));
    assert_eq!(kinds.next(), Some("participant_sync_begin"));
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let data: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(data[2]["uuid"], anna.uuid);

    let mut events = anna.events().await;
    events.until("participant_sync_end").await;
    while response.chunk().await.unwrap().is_some() {}
    let mut newest = anna.events().await;
    newest.until("participant_sync_end").await;
    assert_eq!(events.frame().await.unwrap(), json!({ "_command": "bye" }));
    let (status, _) = anna.request(Method::GET, "service_status", Value::Null).await;
    assert_eq!(status, 200, "the session goes on");
    let response = running.get("/api/services/open/events?token=x").await;
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(json_of(response).await["status"], "failed");
}
