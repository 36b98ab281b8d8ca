//! The people who speak, as they are announced to everybody in a room who takes notices.

use tokio::time::{Duration, advance};

use super::Stage;

const ANSWERED_ANNA: &str = r#"
    anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
    anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
    anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
    "#;

/// Anna publishes over connection 1, Ben over 2; Carl takes no notices.
async fn two_who_publish_and_one_who_takes_no_notices() -> Stage {
    let mut stage = Stage::new();
    let anna_publishes = format!(
        r#"
        anna > {{"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}}
        media open 1 publish
        {ANSWERED_ANNA}
        "#
    );
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":1,"notices":true}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"id":"joinRoom","room":7,"name":"ben","notices":true}
            anna < {"type":"newParticipantArrived","participant":{"id":"ben","userId":"ben","name":"ben","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"existingParticipants","data":["1"]}
            carl > {"id":"joinRoom","room":7,"name":"carl"}
            anna < {"type":"newParticipantArrived","participant":{"id":"carl","userId":"carl","name":"carl","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"newParticipantArrived","name":"carl"}
            carl < {"id":"existingParticipants","data":["1","ben"]}
            "#,
        )
        .await;
    stage.play(&anna_publishes).await;
    stage
        .play(
            r#"
            ben > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@sendonly 2"}
            media open 2 publish
            ben < {"id":"receiveVideoAnswer","name":"ben","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"ben","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"ben","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
    stage
}

#[tokio::test(start_paused = true)]
async fn who_speaks_is_announced_to_those_who_take_notices_four_times_a_second_at_most() {
    let mut stage = two_who_publish_and_one_who_takes_no_notices().await;
    stage
        .play(
            r#"
            media speaks 1
            anna < {"type":"speakers","userIds":[1]}
            ben < {"id":"speakers","names":["1"]}
            media speaks 2
            media hushes 1
            "#,
        )
        .await;
    advance(Duration::from_millis(249)).await;
    stage.play("").await;
    advance(Duration::from_millis(2)).await;
    stage.settle().await;
    stage
        .play(
            r#"
            anna < {"type":"speakers","userIds":["ben"]}
            ben < {"id":"speakers","names":["ben"]}
            media speaks 1
            media hushes 1
            "#,
        )
        .await;
    advance(Duration::from_secs(1)).await;
    stage.settle().await;
    stage
        .play(
            r#"
            media hushes 2
            anna < {"type":"speakers","userIds":[]}
            ben < {"id":"speakers","names":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_is_sent_who_speaks_and_nobody_speaks_over_a_connection_that_has_ended() {
    let mut stage = two_who_publish_and_one_who_takes_no_notices().await;
    stage
        .play(
            r#"
            media speaks 1
            anna < {"type":"speakers","userIds":[1]}
            ben < {"id":"speakers","names":["1"]}
            dora > {"id":"joinRoom","room":7,"name":"dora","notices":true}
            anna < {"type":"newParticipantArrived","participant":{"id":"dora","userId":"dora","name":"dora","prefix":"","postfix":"","suffix":""}}
            ben < {"id":"newParticipantArrived","name":"dora"}
            carl < {"id":"newParticipantArrived","name":"dora"}
            dora < {"id":"existingParticipants","data":["1","ben","carl"]}
            dora < {"id":"speakers","names":["1"]}
            media lost 1
            "#,
        )
        .await;
    advance(Duration::from_millis(251)).await;
    stage.settle().await;
    stage
        .play(
            r#"
            anna < {"type":"speakers","userIds":[]}
            ben < {"id":"speakers","names":[]}
            dora < {"id":"speakers","names":[]}
            media speaks 2
            "#,
        )
        .await;
    advance(Duration::from_millis(251)).await;
    stage.settle().await;
    // If a speaker leaves, only the leave is announced.
    stage
        .play(
            r#"
            anna < {"type":"speakers","userIds":["ben"]}
            ben < {"id":"speakers","names":["ben"]}
            dora < {"id":"speakers","names":["ben"]}
            ben -
            media close 2
            anna < {"type":"participantLeft","userId":"ben"}
            carl < {"id":"participantLeft","name":"ben"}
            dora < {"id":"participantLeft","name":"ben"}
            "#,
        )
        .await;
    advance(Duration::from_secs(1)).await;
    stage.settle().await;
    stage.play("").await;
}
