//! A client that tries passwords keeps nobody else waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::sockets::start;

/// A number of guesses that take seconds to check, even on a fast machine.
const FLOOD: usize = 60;

#[tokio::test]
async fn a_flood_of_wrong_passwords_for_one_room_does_not_keep_another_room_waiting() {
    let running = start(|_| {}).await;
    running.add_room("1", "of the first").await;
    running.add_room("2", "of the second").await;
    let mut right = running.connect_for("192.0.2.1").await;
    let mut guessers = Vec::new();
    for n in 0..FLOOD {
        guessers.push(running.connect_for(&format!("198.51.{}.{}", n / 250, n % 250)).await);
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let mut guessing = tokio::task::JoinSet::new();
    for mut guesser in guessers {
        guesser
            .sends(json!({ "type": "join", "room": 1, "userId": 1, "pw": "guess" }))
            .await;
        let answered = Arc::clone(&answered);
        guessing.spawn(async move {
            assert_eq!(guesser.hears().await["type"], "permisionDeny");
            answered.fetch_add(1, Ordering::Relaxed);
        });
    }
    let before = answered.load(Ordering::Relaxed);
    right
        .sends(json!({ "type": "join", "room": 2, "userId": 1, "pw": "of the second" }))
        .await;
    assert_eq!(right.hears().await["type"], "existingParticipants");
    let meanwhile = answered.load(Ordering::Relaxed) - before;
    assert!(
        meanwhile < FLOOD / 4,
        "{meanwhile} wrong passwords came before the right one"
    );
}

#[tokio::test]
async fn guesses_from_one_address_are_refused_unchecked_after_a_while_and_hear_why() {
    let running = start(|_| {}).await;
    running.add_room("1", "secret").await;
    let mut codes = Vec::new();
    for n in 0..12 {
        let mut guesser = running.connect_for("192.0.2.1").await;
        guesser
            .sends(json!({ "type": "join", "room": 1, "userId": 1, "pw": n.to_string() }))
            .await;
        codes.push(guesser.closed().await.unwrap());
    }
    assert_eq!(codes[..11], [1008; 11]);
    assert_eq!(codes[11], 4029);
    let mut other = running.connect_for("192.0.2.2").await;
    other
        .sends(json!({ "type": "join", "room": 1, "userId": 1, "pw": "secret" }))
        .await;
    assert_eq!(other.hears().await["type"], "existingParticipants");
}
