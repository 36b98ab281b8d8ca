//! A robot: a session without a socket, which is in a room as anybody is, and publishes a recording there.

use patchbay::domain::{Command, Event, Play, Refusal, Stay};
use patchbay::hub::{Events, Session};
use patchbay::ids::Feed;
use patchbay::shares::ClientAddress;
use patchbay::sound::Recording;

use super::{Stage, join};

async fn robot(stage: &Stage) -> (Session, Events) {
    stage.hub.connect(ClientAddress::THIS_MACHINE).await.expect("a place")
}

async fn play(session: &Session) -> Result<(), Refusal> {
    let recording = Recording::read(include_bytes!("../../fixtures/tone.opus")).unwrap();
    let (feed, repeats) = (Feed::Camera, true);
    let play = Play {
        feed,
        recording,
        waits: false,
        repeats,
    };
    session.request(Command::Play(play)).await
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_plays_is_a_participant_whom_both_families_can_watch() {
    let mut stage = Stage::new();
    let (session, mut events) = robot(&stage).await;
    assert_eq!(play(&session).await, Err(Refusal::NotInRoom));
    join(&session, "7", Stay::default()).await;
    play(&session).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["7"]}
            anna > {"id":"receiveVideoFrom","sender":"7","sdpOffer":"@recvonly 2"}
            media open 2 watch
            anna < {"id":"receiveVideoAnswer","name":"7","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"7","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"7","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"type":"join","room":"r","userId":2}
            anna < {"id":"newParticipantArrived","name":"2"}
            ben < {"type":"existingParticipants","participants":[{"id":7,"userId":7,"name":"7","prefix":"","postfix":"","suffix":""},{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            ben > {"type":"receiveVideoFrom","userId":7,"sdpOffer":"@recvonly 3"}
            media open 3 watch
            ben < {"type":"receiveVideoAnswer","userId":7,"sdpAnswer":"*"}
            ben < {"type":"iceCandidate","userId":7,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"type":"iceCandidate","userId":7,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
    let mut heard = 0;
    while let Some(event) = events.try_next() {
        assert!(
            matches!(event, Event::Joined { .. } | Event::ParticipantArrived { .. }),
            "{event:?}"
        );
        heard += 1;
    }
    assert_eq!(heard, 3, "it is told of the others as anybody is");

    // Another recording takes the place of the first; at the end of one the robot stays; it leaves as anybody does.
    play(&session).await.unwrap();
    stage
        .play(
            r#"
            media close 1
            media play 4
            media played 4
            "#,
        )
        .await;
    play(&session).await.unwrap();
    stage.play("media play 5").await;
    drop(session);
    stage.hear().await;
    stage
        .play(
            r#"
            media close 5
            media close 2
            media close 3
            anna < {"id":"participantLeft","name":"7"}
            ben < {"type":"participantLeft","userId":7}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_robot_whose_worker_is_lost_is_sent_away_as_a_publisher_is() {
    let mut stage = Stage::new();
    let (session, mut events) = robot(&stage).await;
    join(&session, "7", Stay::default()).await;
    play(&session).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["7"]}
            media ended 0
            anna < {"id":"participantLeft","name":"7"}
            "#,
        )
        .await;
    let last = std::iter::from_fn(|| events.try_next()).last();
    assert_eq!(last, Some(Event::Ended(patchbay::domain::EndReason::MediaLost)));
}
