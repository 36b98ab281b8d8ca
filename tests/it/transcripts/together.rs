//! Both families on one path, and in one room.

use patchbay::config::Config;

use super::{House, Stage};

#[tokio::test(start_paused = true)]
async fn the_first_message_that_has_a_kind_decides_the_family() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > not even JSON
            anna > {"neither":"nor"}
            anna > {"id":7,"type":8}
            anna > []
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            anna > {"id":"heart"}
            anna < {"type":"unrecognizedMessage","message":{"id":"heart"}}
            ben > {"id":"heart","type":"join"}
            ben < {"id":"heart"}
            ben > {"type":"join","userId":2}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn people_of_both_families_meet_in_a_room_of_the_same_name() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"7","personName":"Anna"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"type":"join","room":7,"userId":2}
            anna < {"id":"newParticipantArrived","name":"2","personName":"2"}
            ben < {"type":"existingParticipants","participants":[{"id":"anna","userId":"anna","name":"Anna","prefix":"","postfix":"","suffix":""}]}
            ben > {"type":"receiveVideoFrom","userId":"anna","sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"type":"receiveVideoAnswer","userId":"anna","sdpAnswer":"*"}
            ben < {"type":"iceCandidate","userId":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"type":"iceCandidate","userId":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"2","sdpOffer":"@recvonly 2"}
            media open 2 watch
            anna < {"id":"receiveVideoAnswer","name":"2","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"2","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"2","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"type":"sendMessage","message":"no one but me hears this"}
            ben < {"type":"reciveTextMessage","userId":2,"message":"no one but me hears this"}
            anna -
            media close 2
            media close 1
            ben < {"type":"participantLeft","userId":"anna"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_enters_again_in_the_other_family_replaces_himself() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            old > {"id":"joinRoom","name":"1","room":"7"}
            old < {"id":"existingParticipants","data":[]}
            new > {"type":"join","room":7,"userId":1}
            old x 4001
            new < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_room_of_two_is_full_with_two_and_is_no_group_s_room_of_that_name() {
    let house = House::default().with_user("9", "Nina", "", "").with_room("7", "secret");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            a@direct > {"type":"join","room":7,"userId":1}
            a@direct < {"type":"existingParticipants","participants":[]}
            b@direct > {"type":"join","room":7,"userId":2}
            a@direct < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            b@direct < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            c@direct > {"type":"join","room":7,"userId":3}
            c@direct < {"type":"permisionDeny","userId":3,"roomId":7}
            c@direct x 1013
            nina > {"type":"join","room":7,"userId":9,"pw":"secret"}
            nina < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}
