//! Robots: invited into rooms, removed, left alone, and lost with a media worker.

use std::sync::Arc;
use std::time::Duration;

use patchbay::config;
use patchbay::ids::RoomName;
use patchbay::robots::{RobotRefused, Robots};
use patchbay::shares::ClientAddress;
use patchbay::sound::Recording;
use tokio::time::{Instant, sleep};

use super::Stage;

const CLIENT: ClientAddress = ClientAddress::THIS_MACHINE;

pub fn room(name: &str) -> RoomName {
    name.into()
}

fn robots_with(stage: &Stage, settings: config::Robot) -> Robots {
    let recording = Recording::read(include_bytes!("../../fixtures/tone.opus")).unwrap();
    Robots::new(stage.hub.clone(), recording, settings, Arc::new(Instant::now))
}

pub fn robots(stage: &Stage) -> Robots {
    robots_with(stage, config::Robot::default())
}

pub async fn pass(stage: &mut Stage, time: Duration) {
    sleep(time).await;
    stage.hear().await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_was_invited_is_there_and_listed_in_each_family_until_it_is_removed() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    assert!(!robots.remove(&room("r")).await, "there is none");
    robots.invite(&room("r"), CLIENT).await.unwrap();
    robots.invite(&room("r"), CLIENT).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["robot"]}
            ben > {"type":"join","room":"r","userId":2}
            anna < {"id":"newParticipantArrived","name":"2"}
            ben < {"type":"existingParticipants","participants":[{"id":"robot","userId":"robot","name":"robot","prefix":"","postfix":"","suffix":""},{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
    assert!(robots.remove(&room("r")).await);
    assert!(!robots.remove(&room("r")).await);
    stage.hear().await;
    stage
        .play(
            r#"
            media close 1
            anna < {"id":"participantLeft","name":"robot"}
            ben < {"type":"participantLeft","userId":"robot"}
            "#,
        )
        .await;
    robots.invite(&room("r"), CLIENT).await.unwrap();
    stage.hear().await;
    stage
        .play(
            r#"
            media play 2
            anna < {"id":"newParticipantArrived","name":"robot"}
            ben < {"type":"newParticipantArrived","participant":{"id":"robot","userId":"robot","name":"robot","prefix":"","postfix":"","suffix":""}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn two_rooms_have_a_robot_each_and_one_is_invited_while_another_leaves() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    let (first, second) = (room("r"), room("s"));
    let (one, other) = tokio::join!(robots.invite(&first, CLIENT), robots.invite(&second, CLIENT));
    one.unwrap();
    other.unwrap();
    stage
        .play(
            r#"
            media play 1
            media play 2
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["robot"]}
            ben > {"id":"joinRoom","name":"2","room":"s"}
            ben < {"id":"existingParticipants","data":["robot"]}
            "#,
        )
        .await;
    // The invitation waits until the robot that is being removed has left: it gets a new one, under the same name.
    let (removed, invited) = tokio::join!(robots.remove(&first), robots.invite(&first, CLIENT));
    assert!(removed);
    invited.unwrap();
    stage.hear().await;
    stage
        .play(
            r#"
            media close 1
            media play 3
            anna < {"id":"participantLeft","name":"robot"}
            anna < {"id":"newParticipantArrived","name":"robot"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_robot_waits_for_a_minute_and_stays_ten_seconds_after_the_last_one_has_left() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    let (empty, used) = (room("empty"), room("used"));
    robots.invite(&empty, CLIENT).await.unwrap();
    robots.invite(&used, CLIENT).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            media play 2
            anna > {"id":"joinRoom","name":"1","room":"used"}
            anna < {"id":"existingParticipants","data":["robot"]}
            "#,
        )
        .await;
    pass(&mut stage, seconds(59)).await;
    stage.play("").await;
    pass(&mut stage, seconds(2)).await;
    stage.play("media close 1").await;
    assert!(!robots.remove(&empty).await, "nobody came");
    stage.play("anna -").await;
    pass(&mut stage, seconds(9)).await;
    stage
        .play(
            r#"
            ben > {"id":"joinRoom","name":"2","room":"used"}
            ben < {"id":"existingParticipants","data":["robot"]}
            ben -
            "#,
        )
        .await;
    pass(&mut stage, seconds(9)).await;
    stage.play("").await;
    pass(&mut stage, seconds(2)).await;
    stage.play("media close 2").await;
    assert!(!robots.remove(&used).await);
    robots.invite(&used, CLIENT).await.unwrap();
    stage.play("media play 3").await;
}

#[tokio::test(start_paused = true)]
async fn there_are_only_so_many_robots_and_one_that_leaves_makes_place_for_another() {
    let mut stage = Stage::new();
    let settings = config::Robot {
        max_robots: 2,
        ..config::Robot::default()
    };
    let robots = robots_with(&stage, settings);
    robots.invite(&room("1"), CLIENT).await.unwrap();
    robots.invite(&room("2"), CLIENT).await.unwrap();
    assert_eq!(robots.invite(&room("3"), CLIENT).await, Err(RobotRefused::TooMany));
    robots.invite(&room("2"), CLIENT).await.unwrap();
    assert!(robots.remove(&room("1")).await);
    robots.invite(&room("3"), CLIENT).await.unwrap();
    stage
        .play("media play 1\nmedia play 2\nmedia close 1\nmedia play 3")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_robot_throws_out_nobody_and_nobody_takes_its_name_whatever_they_prove() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"robot","room":"r"}
            anna < {"id":"existingParticipants","data":[]}
            "#,
        )
        .await;
    robots.invite(&room("r"), CLIENT).await.unwrap();
    stage.hear().await;
    stage
        .play(
            r#"
            media play 1
            anna < {"id":"newParticipantArrived","name":"robot-2"}
            ben > {"id":"joinRoom","name":"robot-2","room":"r"}
            ben x 4409
            carl > {"id":"joinRoom","name":"robot-2","room":"r","token":"@token robot-2"}
            carl x 4409
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_is_lost_with_its_worker_comes_again_but_not_for_ever() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    robots.invite(&room("r"), CLIENT).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["robot"]}
            "#,
        )
        .await;
    for lost in 1..=4 {
        stage
            .play("media ended 0\nanna < {\"id\":\"participantLeft\",\"name\":\"robot\"}")
            .await;
        pass(&mut stage, seconds(1)).await;
        if lost < 4 {
            let arrived = "anna < {\"id\":\"newParticipantArrived\",\"name\":\"robot\"}";
            stage.play(&format!("media play {}\n{arrived}", lost + 1)).await;
        }
    }
    stage.play("").await;
    assert!(!robots.remove(&room("r")).await, "it has given up");
    robots.invite(&room("r"), CLIENT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_robot_whose_recording_is_played_once_leaves_at_its_end_and_frees_its_place() {
    let mut stage = Stage::new();
    let settings = config::Robot {
        repeats: false,
        max_robots: 1,
        ..config::Robot::default()
    };
    let robots = robots_with(&stage, settings);
    robots.invite(&room("r"), CLIENT).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["robot"]}
            media played 1
            anna < {"id":"participantLeft","name":"robot"}
            ben > {"id":"joinRoom","name":"2","room":"r"}
            anna < {"id":"newParticipantArrived","name":"2"}
            ben < {"id":"existingParticipants","data":["1"]}
            "#,
        )
        .await;
    assert!(!robots.remove(&room("r")).await, "it has left");
    robots.invite(&room("s"), CLIENT).await.unwrap();
    stage.play("media play 2").await;
}

/// A recording that begins again does not end. If its player does, the robot is as good as lost.
#[tokio::test(start_paused = true)]
async fn a_robot_whose_player_ends_though_it_repeats_comes_again() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    robots.invite(&room("r"), CLIENT).await.unwrap();
    stage
        .play(
            r#"
            media play 1
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna < {"id":"existingParticipants","data":["robot"]}
            media played 1
            anna < {"id":"participantLeft","name":"robot"}
            "#,
        )
        .await;
    pass(&mut stage, seconds(1)).await;
    let arrived = "anna < {\"id\":\"newParticipantArrived\",\"name\":\"robot\"}";
    stage.play(&format!("media play 2\n{arrived}")).await;
}

#[tokio::test(start_paused = true)]
async fn robots_hold_up_no_shutdown_and_none_comes_after_it() {
    let mut stage = Stage::new();
    let robots = robots(&stage);
    robots.invite(&room("r"), CLIENT).await.unwrap();
    let begun = Instant::now();
    stage.shut_down().await;
    assert!(begun.elapsed() < seconds(1), "{:?}", begun.elapsed());
    pass(&mut stage, seconds(5)).await;
    assert!(!robots.remove(&room("r")).await);
    assert!(robots.invite(&room("r"), CLIENT).await.is_err());
}
