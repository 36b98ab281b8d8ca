//! A media worker ends: to whom this is announced, and what goes on.

use patchbay::config::Config;
use patchbay::hub::{Capacity, HubEnd};

use super::{House, Stage};

/// Plays with the answers and candidates of connections filled in: `ANSWER who subject`.
async fn play(stage: &mut Stage, transcript: &str) {
    let mut whole = String::new();
    for line in transcript.lines().map(str::trim) {
        match line.strip_prefix("ANSWER ").and_then(|rest| rest.split_once(' ')) {
            Some((who, subject)) => {
                let candidate = r#"{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}"#;
                whole += &format!(r#"{who} < {{"id":"receiveVideoAnswer","name":"{subject}","sdpAnswer":"*"}}"#);
                for _ in 0..2 {
                    whole += &format!(
                        "\n{who} < {{\"id\":\"iceCandidate\",\"name\":\"{subject}\",\"candidate\":{candidate}}}"
                    );
                }
            }
            None => whole += line,
        }
        whole += "\n";
    }
    stage.play(&whole).await;
}

#[tokio::test(start_paused = true)]
async fn who_published_over_it_is_sent_away_with_a_word_and_may_come_again_and_the_others_see_them_leave() {
    let mut stage = Stage::new();
    play(
        &mut stage,
        r#"
        anna > {"id":"joinRoom","name":"1","room":"r"}
        anna < {"id":"existingParticipants","data":[]}
        ben > {"type":"join","room":"r","userId":2}
        anna < {"id":"newParticipantArrived","name":"2"}
        ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
        carl > {"id":"joinRoom","name":"3","room":"another"}
        carl < {"id":"existingParticipants","data":[]}
        dora@direct > {"id":"joinRoom","name":"4","room":"r"}
        dora@direct < {"id":"existingParticipants","data":[]}
        anna > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@sendonly 1"}
        media open 1 publish
        ANSWER anna 1
        media ended 0
        anna x 1012
        ben < {"type":"participantLeft","userId":1}
        carl > {"id":"receiveVideoFrom","sender":"3","sdpOffer":"@sendonly 2"}
        media open 2 publish
        ANSWER carl 3
        again > {"id":"joinRoom","name":"1","room":"r"}
        ben < {"type":"newParticipantArrived","participant":{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}}
        again < {"id":"existingParticipants","data":["2"]}
        again > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@sendonly 1 again"}
        media open 3 publish, other certificate
        ANSWER again 1
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_watched_over_a_worker_that_only_mirrored_the_room_is_asked_to_watch_anew() {
    let config = Config::default();
    let capacity = Capacity {
        room_subscriptions_per_worker: 2,
        ..Capacity::from(&config)
    };
    let mut stage = Stage::holding(capacity, House::default(), config);
    play(
        &mut stage,
        r#"
        anna > {"id":"joinRoom","name":"1","room":"r"}
        anna < {"id":"existingParticipants","data":[]}
        anna > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@sendonly 1"}
        media open 1 publish
        ANSWER anna 1
        ben > {"id":"joinRoom","name":"2","room":"r"}
        ben < {"id":"existingParticipants","data":["1"]}
        anna < {"id":"newParticipantArrived","name":"2"}
        ben > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@recvonly 2"}
        media open 2 watch
        ANSWER ben 1
        carl > {"id":"joinRoom","name":"3","room":"r","personName":"Carl","notices":true}
        carl < {"id":"existingParticipants","data":[{"name":"1","personName":"1"},{"name":"2","personName":"2"}]}
        anna < {"id":"newParticipantArrived","name":"3","personName":"Carl"}
        ben < {"id":"newParticipantArrived","name":"3","personName":"Carl"}
        carl > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@recvonly 3"}
        media link 0
        media link 1
        media open 3 watch
        ANSWER carl 1
        media speaks 1
        carl < {"id":"speakers","names":["1"]}
        dora > {"type":"join","room":"r","userId":4}
        dora < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""},{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""},{"id":3,"userId":3,"name":"Carl","prefix":"","postfix":"","suffix":""}]}
        anna < {"id":"newParticipantArrived","name":"4"}
        ben < {"id":"newParticipantArrived","name":"4"}
        carl < {"id":"newParticipantArrived","name":"4","personName":"4"}
        dora > {"type":"receiveVideoFrom","userId":3,"sdpOffer":"@recvonly 4"}
        media open 4 watch
        dora < {"type":"receiveVideoAnswer","userId":3,"sdpAnswer":"*"}
        dora < {"type":"iceCandidate","userId":3,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        dora < {"type":"iceCandidate","userId":3,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        media ended 1
        media unlink 1
        carl < {"id":"participantLeft","name":"1"}
        carl < {"id":"newParticipantArrived","name":"1","personName":"1"}
        carl < {"id":"speakers","names":["1"]}
        dora < {"type":"participantLeft","userId":3}
        dora < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"Carl","prefix":"","postfix":"","suffix":""}}
        carl > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@recvonly 5"}
        media link 0
        media link 1
        media open 5 watch
        ANSWER carl 1
        dora > {"type":"receiveVideoFrom","userId":3,"sdpOffer":"@recvonly 4 again"}
        media open 6 watch, other certificate
        dora < {"type":"receiveVideoAnswer","userId":3,"sdpAnswer":"*"}
        dora < {"type":"iceCandidate","userId":3,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        dora < {"type":"iceCandidate","userId":3,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
        carl -
        media close 5
        media close 6
        anna < {"id":"participantLeft","name":"3"}
        ben < {"id":"participantLeft","name":"3"}
        dora < {"type":"participantLeft","userId":3}
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_room_on_two_workers_goes_on_with_what_lived_on_the_other_one() {
    let config = Config::default();
    let capacity = Capacity {
        room_subscriptions_per_worker: 2,
        ..Capacity::from(&config)
    };
    let mut stage = Stage::holding(capacity, House::default(), config);
    // Anna and ben on the first worker, carl, who publishes and watches, on the second, and anna watches carl from there.
    play(
        &mut stage,
        r#"
        anna > {"id":"joinRoom","name":"1","room":"r"}
        anna < {"id":"existingParticipants","data":[]}
        ben > {"id":"joinRoom","name":"2","room":"r"}
        ben < {"id":"existingParticipants","data":["1"]}
        anna < {"id":"newParticipantArrived","name":"2"}
        carl > {"id":"joinRoom","name":"3","room":"r"}
        carl < {"id":"existingParticipants","data":["1","2"]}
        anna < {"id":"newParticipantArrived","name":"3"}
        ben < {"id":"newParticipantArrived","name":"3"}
        anna > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@sendonly 1"}
        media open 1 publish
        ANSWER anna 1
        ben > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@recvonly 2"}
        media open 2 watch
        ANSWER ben 1
        carl > {"id":"receiveVideoFrom","sender":"3","sdpOffer":"@sendonly 3"}
        media link 0
        media link 1
        media open 3 publish
        ANSWER carl 3
        carl > {"id":"receiveVideoFrom","sender":"1","sdpOffer":"@recvonly 4"}
        media open 4 watch
        ANSWER carl 1
        anna > {"id":"receiveVideoFrom","sender":"3","sdpOffer":"@recvonly 5"}
        media open 5 watch
        ANSWER anna 3
        media ended 0
        media unlink 0
        anna x 1012
        media close 5
        media close 4
        ben < {"id":"participantLeft","name":"1"}
        carl < {"id":"participantLeft","name":"1"}
        again > {"id":"joinRoom","name":"1","room":"r"}
        ben < {"id":"newParticipantArrived","name":"1"}
        carl < {"id":"newParticipantArrived","name":"1"}
        again < {"id":"existingParticipants","data":["2","3"]}
        again > {"id":"receiveVideoFrom","sender":"3","sdpOffer":"@recvonly 6"}
        media open 6 watch
        ANSWER again 3
        "#,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_it_carried_are_over_and_their_people_can_be_called_again() {
    let mut stage = Stage::new();
    let candidate = r#"{"id":"iceCandidate","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}"#;
    let call = r#"
        anna@call > {"id":"call","from":"anna","to":"ben","sdpOffer":"@sendrecv 1"}
        ben@call < {"id":"incomingCall","from":"anna","to":"ben"}
        ben@call > {"id":"incomingCallResponse","from":"anna","callResponse":"accept","sdpOffer":"@sendrecv 2"}
        media open FIRST both ways
        media open SECOND both ways
        ben@call < {"id":"startCommunication","sdpAnswer":"*"}
        ben@call < CANDIDATE
        ben@call < CANDIDATE
        anna@call < {"id":"callResponse","response":"accepted","sdpAnswer":"*"}
        anna@call < CANDIDATE
        anna@call < CANDIDATE
        "#
    .replace("CANDIDATE", candidate);
    let call = |first: &str, second: &str| call.replace("FIRST", first).replace("SECOND", second);
    stage
        .play(
            r#"
            anna@call > {"id":"register","name":"anna"}
            anna@call < {"id":"registerResponse","response":"accepted","userId":"anna"}
            ben@call > {"id":"register","name":"ben"}
            ben@call < {"id":"registerResponse","response":"accepted","userId":"ben"}
            "#,
        )
        .await;
    stage.play(&call("1", "2")).await;
    stage
        .play(
            r#"
            media ended 0
            anna@call < {"id":"stopCommunication"}
            ben@call < {"id":"stopCommunication"}
            "#,
        )
        .await;
    // They use their earlier connections, for which the server has no keys any more.
    let again = call("3", "4").replace("both ways", "both ways, other certificate");
    stage.play(&again).await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_whose_workers_are_all_lost_too_often_ends_with_the_reason_and_announces_its_end() {
    let mut stage = Stage::new();
    play(
        &mut stage,
        r#"
        anna > {"id":"joinRoom","name":"1","room":"r"}
        anna < {"id":"existingParticipants","data":[]}
        media ended 1
        media ended 1
        media ended 1
        media ended 1
        ben@call > {"id":"register","name":"ben"}
        ben@call < {"id":"registerResponse","response":"accepted","userId":"ben"}
        media ended 0
        media ended 0
        media ended 0
        media ended 0
        anna x 1012
        ben@call x 1012
        "#,
    )
    .await;
    assert_eq!(stage.hub_end().await, HubEnd::NoMediaWorkers);
}
