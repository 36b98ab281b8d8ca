//! What hosts command, and what becomes of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Events, Participant, new_session, start};

/// A host and a guest of the open conference, and the events of each.
async fn two<'a>(running: &'a crate::front::running::Running) -> (Participant<'a>, Events, Participant<'a>, Events) {
    let host = Participant::host(running, "Host").await;
    let guest = Participant::guest(running, "Guest").await;
    let (mut hosts, mut guests) = (host.events().await, guest.events().await);
    hosts.until("participant_sync_end").await;
    guests.until("participant_sync_end").await;
    (host, hosts, guest, guests)
}

/// The next change of a participant.
async fn updated(events: &mut Events, of: &Participant<'_>) -> Value {
    loop {
        let data = events.until("participant_update").await;
        if data["uuid"] == of.uuid {
            return data;
        }
    }
}

#[tokio::test]
async fn a_host_mutes_unmutes_and_spotlights_a_guest_and_everybody_is_sent_that() {
    let running = start().await;
    let (host, mut hosts, guest, mut guests) = two(&running).await;
    for (command, field, value) in [
        ("mute", "is_muted", json!("YES")),
        ("unmute", "is_muted", json!("NO")),
        ("hard_vmute", "is_vmuted", json!("YES")),
        ("hard_uvmute", "is_vmuted", json!("NO")),
    ] {
        assert_eq!(host.ask(&host.about(&guest, command), json!({})).await, true);
        for events in [&mut hosts, &mut guests] {
            assert_eq!(updated(events, &guest).await[field], value, "{command}");
        }
    }
    host.ask(&host.about(&guest, "spotlighton"), json!({})).await;
    assert!(updated(&mut guests, &guest).await["spotlight"].as_i64().unwrap() > 1_600_000_000);
    host.ask(&host.about(&guest, "spotlightoff"), json!({})).await;
    assert_eq!(updated(&mut guests, &guest).await["spotlight"], 0);
    host.ask(&host.about(&guest, "role"), json!({ "role": "chair" })).await;
    assert_eq!(updated(&mut guests, &guest).await["role"], "chair");
    assert_eq!(guest.ask("refresh_session", json!({})).await["role"], "HOST");
    let local = json!({ "local_audio": false, "local_camera": true, "ismute": true });
    assert_eq!(guest.ask(&guest.about(&guest, "changeLocalStatus"), local).await, true);
    let said = updated(&mut hosts, &guest).await;
    let mut said = said;
    while said["local_audio"] != false {
        said = updated(&mut hosts, &guest).await;
    }
    assert_eq!((&said["local_camera"], &said["is_muted"]), (&json!(true), &json!("NO")));
}

#[tokio::test]
async fn guests_are_muted_together_and_those_who_come_later_too() {
    let running = start().await;
    let (host, mut hosts, guest, mut guests) = two(&running).await;
    host.ask("muteguests", json!({})).await;
    let status = json!({ "guests_muted": true, "locked": false });
    assert_eq!(guests.until("service_update").await, status);
    assert_eq!(host.get("service_status").await, status);
    let late = Participant::guest(&running, "Late").await;
    let created = hosts.until("participant_create").await;
    assert_eq!(created["uuid"], late.uuid);
    let people = host.get("participants").await;
    let muted: Vec<&Value> = people.as_array().unwrap().iter().map(|one| &one["is_muted"]).collect();
    assert_eq!(muted, ["NO", "YES", "YES"]);
    host.ask("unmuteguests", json!({})).await;
    assert_eq!(guests.until("service_update").await["guests_muted"], false);
    let people = guest.get("participants").await;
    assert!(
        people.as_array().unwrap().iter().all(|one| one["is_muted"] == "NO"),
        "{people}"
    );
}

#[tokio::test]
async fn whoever_comes_to_a_locked_conference_waits_until_a_host_lets_them_in() {
    let running = start().await;
    let (host, mut hosts, ..) = two(&running).await;
    host.ask("lock", json!({})).await;
    assert_eq!(hosts.until("service_update").await["locked"], true);
    let (status, answer) = new_session(&running, "open", Some("none"), json!({ "display_name": "Late" })).await;
    assert_eq!(
        (status, &answer["result"]["current_service_type"]),
        (200, &json!("waiting_room")),
        "{answer}"
    );
    assert_eq!(answer["result"]["service_type"], "conference");
    let text = |key: &str| answer["result"][key].as_str().unwrap().to_owned();
    let late = Participant {
        running: &running,
        alias: "open".to_owned(),
        token: text("token"),
        uuid: text("participant_uuid"),
    };
    let created = hosts.until("participant_create").await;
    assert_eq!(
        (&created["uuid"], &created["service_type"]),
        (&json!(late.uuid), &json!("waiting_room"))
    );
    let mut events = late.events().await;
    assert_eq!(events.until("participant_create").await["service_type"], "waiting_room");
    assert_eq!(late.is_refused("message", json!({ "payload": "hello" })).await, 403);
    events.until("participant_sync_end").await;
    host.ask(&host.about(&late, "unlock"), json!({})).await;
    assert_eq!(updated(&mut hosts, &late).await["service_type"], "conference");
    events.until("participant_sync_begin").await;
    let mut services = Vec::new();
    loop {
        let (kind, data) = events.next().await;
        match kind.as_str() {
            "participant_create" => services.push(data["service_type"].clone()),
            "participant_sync_end" => break,
            _ => {}
        }
    }
    assert_eq!(services, ["conference"; 3]);
    late.ask("message", json!({ "payload": "hello" })).await;
    assert_eq!(hosts.until("message_received").await["origin"], "Late");
    host.ask("unlock", json!({})).await;
    assert_eq!(hosts.until("service_update").await["locked"], false);
}

#[tokio::test]
async fn whoever_waits_may_offer_a_connection_and_is_answered_when_they_are_let_in() {
    let running = start().await;
    let guest = Participant::enter(&running, "patient", "none", "Guest").await;
    let (calls, sdp) = (
        guest.about(&guest, "calls"),
        json!({ "sdp": crate::transcripts::offers::offer("sendrecv", 1, false) }),
    );
    let after = |millis| tokio::time::sleep(Duration::from_millis(millis));
    let newer = async {
        after(200).await;
        (guest.ask(&calls, sdp.clone()).await, Instant::now())
    };
    let host = async {
        // Other requests have to be answered within 20 s.
        after(21_000).await;
        let comes = Instant::now();
        (
            Participant::enter(&running, "patient", super::HOST_PIN, "Host").await,
            comes,
        )
    };
    let older = guest.is_refused(&calls, sdp.clone());
    let (older, (called, answered), (host, came)) = tokio::join!(older, newer, host);
    assert_eq!(older, 403, "only the newest offer waits");
    assert!(answered > came, "answered before a host has come");
    assert!(called["sdp"].as_str().unwrap().contains("a=candidate:"), "{called}");

    // Whoever gives up while they wait is not answered later.
    host.ask("lock", json!({})).await;
    let late = Participant::enter(&running, "patient", "none", "Late").await;
    let calls = late.about(&late, "calls");
    let gives_up = async {
        after(200).await;
        late.ask("end_session", json!({})).await
    };
    let (status, _) = tokio::join!(late.is_refused(&calls, sdp), gives_up);
    assert_eq!(status, 401);
}

#[tokio::test]
async fn guests_wait_for_a_host_who_starts_the_conference() {
    let running = start().await;
    let (_, answer) = new_session(&running, "patient", Some("none"), json!({})).await;
    assert_eq!(answer["result"]["current_service_type"], "waiting_room", "{answer}");
    let token = answer["result"]["token"].as_str().unwrap();
    let mut events = Events::of(&running, "patient", token).await;
    assert_eq!(events.until("participant_create").await["service_type"], "waiting_room");
    events.until("participant_sync_end").await;
    let host = Participant::enter(&running, "patient", super::HOST_PIN, "Host").await;
    events.until("participant_sync_begin").await;
    let present = events.until("participant_create").await;
    assert_eq!(present["service_type"], "conference");
    assert_eq!(host.ask("start_service", json!({})).await, true);
}

#[tokio::test]
async fn whoever_is_removed_is_sent_why_and_the_others_that_they_left() {
    let running = start().await;
    let (host, mut hosts, guest, mut guests) = two(&running).await;
    host.ask(&host.about(&guest, "disconnect"), json!({})).await;
    let reason = "a host has removed you, or ended the conference";
    assert_eq!(guests.until("disconnect").await, json!({ "reason": reason }));
    assert_eq!(guests.frame().await.unwrap(), json!({ "_command": "bye" }));
    assert_eq!(guests.frame().await, None);
    assert_eq!(hosts.until("participant_delete").await["uuid"], guest.uuid);
    assert_eq!(guest.is_refused("refresh_session", json!({})).await, 401);

    let late = Participant::guest(&running, "Late").await;
    host.ask("disconnect", json!({})).await;
    assert_eq!(hosts.until("disconnect").await["reason"], reason);
    // The reason waits for a client that does not read at that moment.
    assert_eq!(late.events().await.until("disconnect").await["reason"], reason);
}

#[tokio::test]
async fn whoever_is_transferred_enters_the_other_conference_by_a_token_that_works_once() {
    let running = start().await;
    let (host, _hosts, guest, mut guests) = two(&running).await;
    let to = json!({ "role": "guest", "conference_alias": "closed", "pin": super::GUEST_PIN });
    host.ask(&host.about(&guest, "transfer"), to).await;
    let refer = guests.until("refer").await;
    assert_eq!(refer["alias"], "closed");
    assert_eq!(refer.as_object().unwrap().len(), 2, "{refer}");
    let body = || json!({ "display_name": "Guest", "token": refer["token"] });
    let (status, _) = new_session(&running, "other", None, body()).await;
    assert_eq!(status, 403, "another conference");
    let (status, answer) = new_session(&running, "closed", None, body()).await;
    assert_eq!((status, &answer["result"]["role"]), (200, &json!("GUEST")), "{answer}");
    let (status, answer) = new_session(&running, "closed", None, body()).await;
    assert_eq!(
        (status, &answer["status"]),
        (403, &json!("failed")),
        "used up: {answer}"
    );
    // A token stands for the PIN alone.
    let to = json!({ "role": "chair", "conference_alias": "closed", "pin": "9999" });
    host.ask(&host.about(&guest, "transfer"), to).await;
    let refer = guests.until("refer").await;
    let body = json!({ "token": refer["token"] });
    assert_eq!(new_session(&running, "closed", None, body).await.0, 403);
}
