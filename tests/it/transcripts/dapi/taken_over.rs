//! Calls of a process that was killed: one that lives notices that nobody is heard of there, or that it rings for too long.

use patchbay::channels::{ChannelError, Channels};
use patchbay::ids::RoomName;
use patchbay::storage::Ending;

use super::SOMEBODY;
use super::clocks::Pair;
use crate::storage::{Place, on_both};

on_both!(
    people_who_are_heard_of_nowhere_are_missed_though_their_process_was_killed,
    whoever_is_heard_of_at_another_process_is_not_missed_though_it_could_not_be_recorded_for_a_while,
    a_call_that_rang_when_its_process_was_killed_is_over,
);

const SAME: [i64; 2] = [0, 0];

async fn beats(process: &Channels, user: &str, channel: &RoomName) {
    process.hear(SOMEBODY, &user.into(), channel).await.unwrap();
}

/// Lets the second process live for so long, which has not been there at the beginning of any call.
async fn second_lives(pair: &Pair, seconds: u64) {
    for count in 1..=seconds / 5 {
        pair.pass(5);
        pair.processes[1].look().await;
        pair.processes[1].record_news().await;
        if count % 2 == 0 {
            pair.processes[1].take_over().await.unwrap();
        }
    }
}

async fn people_who_are_heard_of_nowhere_are_missed_though_their_process_was_killed(place: &Place) {
    let pair = Pair::new(place, SAME).await;
    let [one, other] = &pair.processes;
    let (both_there, one_moves) = (pair.call().await, pair.call().await);
    for channel in [&both_there, &one_moves] {
        beats(one, "anna", channel).await;
        beats(one, "ben", channel).await;
    }
    second_lives(&pair, 35).await;
    assert_eq!(pair.missed(&both_there).await, [""; 0]);
    // Of one call, one client finds the other process.
    beats(other, "anna", &one_moves).await;
    second_lives(&pair, 25).await;
    let mut missed = pair.missed(&both_there).await;
    missed.sort();
    assert_eq!(missed, ["anna", "ben"]);
    let call = pair.records.call(&both_there).await.unwrap().unwrap();
    assert_eq!(call.ending, Some(Ending::Lost));
    assert_eq!(pair.missed(&one_moves).await, ["ben"]);
    let call = pair.records.call(&one_moves).await.unwrap().unwrap();
    assert_eq!(call.ended_s, None);
    second_lives(&pair, 15).await;
    let call = pair.records.call(&one_moves).await.unwrap().unwrap();
    assert_eq!(call.ending, Some(Ending::Lost));
}

async fn whoever_is_heard_of_at_another_process_is_not_missed_though_it_could_not_be_recorded_for_a_while(
    place: &Place,
) {
    let pair = Pair::new(place, SAME).await;
    let [one, other] = &pair.processes;
    let channel = pair.call().await;
    beats(one, "anna", &channel).await;
    beats(one, "ben", &channel).await;
    place.execute("ALTER TABLE channel_members RENAME TO gone").await;
    for _ in 0..3 {
        pair.pass(20);
        for user in ["anna", "ben"] {
            beats(one, user, &channel).await;
        }
        one.record_news().await;
        assert!(other.take_over().await.is_err());
    }
    place.execute("ALTER TABLE gone RENAME TO channel_members").await;
    other.take_over().await.unwrap();
    pair.pass(1);
    one.record_news().await;
    second_lives(&pair, 25).await;
    assert_eq!(pair.missed(&channel).await, [""; 0]);
}

async fn a_call_that_rang_when_its_process_was_killed_is_over(place: &Place) {
    let pair = Pair::new(place, SAME).await;
    let (rings, waits, talks) = (pair.call().await, pair.call().await, pair.call().await);
    let carl = "carl".into();
    let opened = pair.processes[0].call(SOMEBODY, &carl, Vec::new(), String::new());
    let opened = opened.await.unwrap().channel;
    beats(&pair.processes[1], "ben", &talks).await;
    for _ in 0..28 {
        // A caller who waits in the call does not let it ring for ever.
        let waiting = pair.processes[1].hear(SOMEBODY, &"anna".into(), &waits).await;
        assert!(
            waiting.is_ok() || matches!(waiting, Err(ChannelError::Over)),
            "{waiting:?}"
        );
        second_lives(&pair, 5).await;
        beats(&pair.processes[1], "ben", &talks).await;
    }
    let ending = async |channel: &RoomName| {
        pair.processes[1].take_over().await.unwrap();
        // Their deadlines are spread.
        pair.pass(1);
        pair.processes[1].look().await;
        pair.records.call(channel).await.unwrap().unwrap().ending
    };
    assert_eq!(ending(&rings).await, Some(Ending::NoAnswer));
    assert_eq!(ending(&waits).await, Some(Ending::NoAnswer));
    assert_eq!(ending(&talks).await, None);
    assert_eq!(ending(&opened).await, None, "it may be entered");
    pair.pass(2 * 24 * 3_600);
    assert_eq!(ending(&opened).await, Some(Ending::Ended));
}
