//! What participants see of one another, and of people who came another way.

use serde_json::{Value, json};

use super::{Participant, start};
use crate::clients::signaling::{Family, Signaling};
use crate::front::running::Running;

/// Somebody who is in the room of the conference by a WebSocket of rooms.
pub(super) async fn roommate(running: &Running, user: &str) -> Signaling {
    roommate_with(running, json!({ "type": "join", "room": "open", "userId": user })).await
}

pub(super) async fn roommate_with(running: &Running, join: Value) -> Signaling {
    let url = format!("ws://{}/groupcall", running.address());
    let mut signaling = Signaling::connect(&url, Family::Type).await;
    signaling.send(join).await;
    signaling
}

#[tokio::test]
async fn participants_see_one_another_come_and_go_and_talk() {
    let running = start().await;
    let anna = Participant::host(&running, "Anna").await;
    let mut events = anna.events().await;
    events.until("participant_sync_end").await;
    let ben = Participant::guest(&running, "Ben").await;
    let created = events.until("participant_create").await;
    assert_eq!(
        (&created["uuid"], &created["display_name"]),
        (&json!(ben.uuid), &json!("Ben"))
    );
    let text = json!({ "type": "text/plain", "payload": "你好, Anna" });
    assert_eq!(ben.ask("message", text).await, true);
    let expected = json!({ "origin": "Ben", "type": "text/plain", "payload": "你好, Anna", "uuid": ben.uuid });
    assert_eq!(events.until("message_received").await, expected);
    anna.ask("message", json!({ "payload": "hello" })).await;
    let mut late = ben.events().await;
    let message = late.until("message_received").await;
    assert_eq!(
        (&message["origin"], &message["payload"]),
        (&json!("Anna"), &json!("hello"))
    );
    ben.ask("end_session", json!({})).await;
    assert_eq!(events.until("participant_delete").await, json!({ "uuid": ben.uuid }));
    assert!(events.is_silent().await, "nobody is sent their own texts");
}

#[tokio::test]
async fn somebody_by_another_way_is_in_the_same_room() {
    let running = start().await;
    let mut anna = roommate(&running, "anna@example.org").await;
    anna.receive("existingParticipants").await;
    let guest = Participant::guest(&running, "Guest").await;
    let mut events = guest.events().await;
    let created = events.until("participant_create").await;
    assert_eq!(
        (&created["uri"], &created["display_name"]),
        (&json!("anna@example.org"), &json!("安娜"))
    );
    let uri = events.until("participant_create").await["uri"].clone();
    let arrived = anna.receive("newParticipantArrived").await;
    assert!(arrived.to_string().contains(uri.as_str().unwrap()), "{arrived}");
    let mut ben = roommate(&running, "ben").await;
    ben.receive("existingParticipants").await;
    assert_eq!(events.until("participant_create").await["uri"], "ben");

    anna.send(json!({ "type": "sendMessage", "message": "hello" })).await;
    let expected = json!({ "origin": "安娜", "type": "text/plain", "payload": "hello", "uuid": created["uuid"] });
    assert_eq!(events.until("message_received").await, expected);
    guest.ask("message", json!({ "payload": "hello, Anna" })).await;
    let own = anna.receive("reciveTextMessage").await;
    assert_eq!(own["message"], "hello");
    let received = anna.receive("reciveTextMessage").await;
    assert_eq!(
        (&received["message"], &received["userId"]),
        (&json!("hello, Anna"), &uri)
    );

    drop(anna);
    assert_eq!(
        events.until("participant_delete").await,
        json!({ "uuid": created["uuid"] })
    );
    guest.ask("end_session", json!({})).await;
    assert_eq!(ben.receive("participantLeft").await["userId"], "anna@example.org");
    let left: Value = ben.receive("participantLeft").await;
    assert!(left.to_string().contains(uri.as_str().unwrap()), "{left}");
}
