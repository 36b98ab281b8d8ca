//! The family whose messages carry their kind under `type`.

use patchbay::config::Config;

use super::{House, Stage};

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_announced_to_the_others_and_they_to_the_newcomer_in_numbers() {
    let house = House::default()
        .with_user("0", "Anna", "Dr.", "MD")
        .with_user("2", "Ben", "", "");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":0}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","room":"7","userId":"2"}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"Ben","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":0,"userId":0,"name":"Anna","prefix":"Dr.","postfix":"MD","suffix":"MD"}]}
            anna -
            ben < {"type":"participantLeft","userId":0}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_user_table_anyone_may_enter_and_is_called_by_the_id() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","room":0,"userId":2,"personName":"Ben"}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"Ben","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_answered_before_its_candidates_which_have_both_spellings() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"type":"receiveVideoFrom","userId":"1","sdpOffer":"@recvonly 2"}
            media open 2 watch
            ben < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            ben < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"type":"onIceCandidate","userId":1,"candidate":{"candidate":"candidate:1"}}
            anna > {"type":"onIceCandidate","userId":1,"candicate":{"candidate":"candidate:1"}}
            anna > {"type":"leave"}
            media close 1
            media close 2
            ben < {"type":"participantLeft","userId":1}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn chat_and_files_come_to_everybody_the_sender_too() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"type":"sendMessage","message":"<b>hello</b>"}
            anna < {"type":"reciveTextMessage","userId":1,"message":"<b>hello</b>"}
            ben < {"type":"reciveTextMessage","userId":1,"message":"<b>hello</b>"}
            ben > {"type":"uploadSuccess","fileName":"a.pdf","fileUrl":"https://h/files/1"}
            anna < {"type":"fileUploaded","userId":2,"fileName":"a.pdf","fileUrl":"https://h/files/1"}
            ben < {"type":"fileUploaded","userId":2,"fileName":"a.pdf","fileUrl":"https://h/files/1"}
            ben > {"type":"uploadSuccess","fileName":"a.png","fileUrl":"u","fileType":"image","userId":1}
            anna < {"type":"fileUploaded","userId":2,"fileName":"a.png","fileUrl":"u","fileType":"image"}
            ben < {"type":"fileUploaded","userId":2,"fileName":"a.png","fileUrl":"u","fileType":"image"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_chat_text_comes_once_under_each_configured_kind() {
    let mut config = Config::default();
    config.groupcall.text_message_types = vec!["reciveTextMessage".into(), "receiveTextMessage".into()];
    let mut stage = Stage::with(House::default(), config);
    stage
        .play(
            r#"
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            anna > {"type":"sendMessage","message":""}
            anna < {"type":"reciveTextMessage","userId":1,"message":""}
            anna < {"type":"receiveTextMessage","userId":1,"message":""}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_not_known_is_sent_that_and_closed() {
    let house = House::default().with_user("1", "Anna", "", "");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            stranger > {"type":"join","room":7,"userId":2}
            stranger < {"type":"userNotFound","userId":2}
            stranger x 1008
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_has_to_wait_after_wrong_passwords_is_sent_that() {
    let mut stage = Stage::with(House::default().with_guessed_room("7"), Config::default());
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":1,"pw":"secret"}
            anna < {"type":"permisionDeny","userId":1,"roomId":7}
            anna x 4029
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_password_is_asked_for_where_the_room_has_one() {
    let mut stage = Stage::with(House::default().with_room("7", "secret"), Config::default());
    stage
        .play(
            r#"
            none > {"type":"join","room":7,"userId":1}
            none < {"type":"permisionDeny","userId":1,"roomId":7}
            none x 1008
            wrong > {"type":"join","room":7,"userId":1,"pw":"guess"}
            wrong < {"type":"permisionDeny","userId":1,"roomId":7}
            wrong x 1008
            right > {"type":"join","room":7,"userId":1,"pw":"secret"}
            right < {"type":"existingParticipants","participants":[]}
            elsewhere > {"type":"join","room":8,"userId":1,"pw":"whatever"}
            elsewhere < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_session_of_an_id_wins_and_the_others_see_it_leave_and_arrive() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            reloaded > {"type":"join","room":7,"userId":1}
            anna x 4001
            ben < {"type":"participantLeft","userId":1}
            ben < {"type":"newParticipantArrived","participant":{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}}
            reloaded < {"type":"existingParticipants","participants":[{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_lacks_a_field_comes_back_whole() {
    let mut stage = two_in_a_room().await;
    for message in [
        r#"{"type":"join","room":7}"#,
        r#"{"type":"join","userId":null}"#,
        r#"{"type":"join","userId":1.5}"#,
        r#"{"type":"join","userId":{"id":1}}"#,
        r#"{"type":"join","userId":1,"room":[7]}"#,
        r#"{"type":"sendMessage"}"#,
        r#"{"type":"sendMessage","message":{"text":"x"}}"#,
        r#"{"type":"uploadSuccess","fileName":"a"}"#,
        r#"{"type":"uploadSuccess","fileUrl":"u"}"#,
        r#"{"type":"onIceCandidate","userId":1}"#,
        r#"{"type":"onIceCandidate","candidate":{"candidate":""}}"#,
        r#"{"type":"receiveVideoFrom","userId":1}"#,
        r#"{"type":"receiveVideoFrom","sdpOffer":"x"}"#,
        r#"{"type":"receiveVideoFrom","userId":1,"sdpOffer":"not an offer"}"#,
        r#"{"type":"receiveVideoFrom","userId":3,"sdpOffer":"x"}"#,
        r#"{"type":"dance","with":"me"}"#,
        r#"{"type":17}"#,
        r#"{"message":"no type"}"#,
        r#"[1,2,3]"#,
        r#""text""#,
        "null",
    ] {
        let line = format!("anna > {message}\n anna < {{\"type\":\"unrecognizedMessage\",\"message\":{message}}}");
        stage.play(&line).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_no_json_comes_back_as_text() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"type":
            anna < {"type":"unrecognizedMessage","message":"{\"type\":"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn before_joining_chat_files_and_offers_come_back_and_the_rest_is_let_pass() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"sendMessage","message":"x"}
            anna < {"type":"unrecognizedMessage","message":{"type":"sendMessage","message":"x"}}
            anna > {"type":"uploadSuccess","fileName":"a","fileUrl":"u"}
            anna < {"type":"unrecognizedMessage","message":{"type":"uploadSuccess","fileName":"a","fileUrl":"u"}}
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"v=0"}
            anna < {"type":"unrecognizedMessage","message":{"type":"receiveVideoFrom","userId":1,"sdpOffer":"v=0"}}
            anna > {"type":"dance"}
            anna < {"type":"unrecognizedMessage","message":{"type":"dance"}}
            anna > {"type":"onIceCandidate","userId":1,"candidate":{"candidate":""}}
            anna > {"type":"leave"}
            anna > {"type":"join","userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kind_is_not_passed_on_to_the_room() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"type":"participantLeft","userId":2}
            anna < {"type":"unrecognizedMessage","message":{"type":"participantLeft","userId":2}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_room_denies() {
    let mut config = Config::default();
    config.limits.max_participants_per_room = 1;
    let mut stage = Stage::with(House::default(), config);
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","room":7,"userId":2}
            ben < {"type":"permisionDeny","userId":2,"roomId":7}
            ben x 1013
            reloaded > {"type":"join","room":7,"userId":1}
            anna x 4001
            reloaded < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_database_that_fails_is_the_servers_fault_and_not_the_clients() {
    let mut stage = Stage::with(House::broken(), Config::default());
    stage
        .play("anna > {\"type\":\"join\",\"userId\":1}\n anna x 1011")
        .await;
    stage
        .play("ben > {\"id\":\"joinRoom\",\"name\":\"b\",\"room\":\"r\"}\n ben x 1011")
        .await;
}

async fn two_in_a_room() -> Stage {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":1}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","room":7,"userId":2}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_loss_of_media_and_its_end_are_announced_to_those_who_take_notices() {
    let mut stage = Stage::new();
    let watched = r#"
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@recvonly 2"}
            media open 2 watch
            ben < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            ben < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#;
    stage
        .play(
            r#"
            anna > {"type":"join","room":7,"userId":1,"notices":true}
            anna < {"type":"existingParticipants","participants":[]}
            ben > {"type":"join","room":7,"userId":2,"notices":true}
            anna < {"type":"newParticipantArrived","participant":{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""}]}
            carl > {"type":"join","room":7,"userId":3}
            anna < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"newParticipantArrived","participant":{"id":3,"userId":3,"name":"3","prefix":"","postfix":"","suffix":""}}
            carl < {"type":"existingParticipants","participants":[{"id":1,"userId":1,"name":"1","prefix":"","postfix":"","suffix":""},{"id":2,"userId":2,"name":"2","prefix":"","postfix":"","suffix":""}]}
            "#,
        )
        .await;
    stage.play(watched).await;
    stage
        .play(
            r#"
            media heard 1
            media silent 2
            media silent 1
            ben < {"type":"participantMedia","userId":1,"media":"lost"}
            dora > {"id":"joinRoom","room":7,"name":"4","notices":true}
            anna < {"type":"newParticipantArrived","participant":{"id":4,"userId":4,"name":"4","prefix":"","postfix":"","suffix":""}}
            ben < {"type":"newParticipantArrived","participant":{"id":4,"userId":4,"name":"4","prefix":"","postfix":"","suffix":""}}
            carl < {"type":"newParticipantArrived","participant":{"id":4,"userId":4,"name":"4","prefix":"","postfix":"","suffix":""}}
            dora < {"id":"existingParticipants","data":["1","2","3"]}
            dora < {"id":"participantMedia","name":"1","media":"lost"}
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 1 again"}
            media again 1 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media heard 1
            ben < {"type":"participantMedia","userId":1,"media":"back"}
            dora < {"id":"participantMedia","name":"1","media":"back"}
            media silent 1
            ben < {"type":"participantMedia","userId":1,"media":"lost"}
            dora < {"id":"participantMedia","name":"1","media":"lost"}
            media lost 1
            anna > {"type":"receiveVideoFrom","userId":1,"sdpOffer":"@sendonly 5"}
            media open 3 publish
            anna < {"type":"receiveVideoAnswer","userId":1,"sdpAnswer":"*"}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"type":"iceCandidate","userId":1,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media heard 3
            ben < {"type":"participantMedia","userId":1,"media":"back"}
            dora < {"id":"participantMedia","name":"1","media":"back"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_of_a_connection_whose_keys_are_lost_is_answered_with_another_certificate_each_time() {
    let mut stage = two_in_a_room().await;
    // Another fingerprint is another DTLS association (RFC 8842 §4): otherwise the client would go on with its old keys.
    for (offer, opened, fingerprint) in [
        ("@sendonly 1", "open 1 publish", "07:07"),
        ("@sendonly 1 again", "open 2 publish, other certificate", "08:08"),
        ("@sendonly 1", "open 3 publish", "07:07"),
        ("@sendonly 2", "open 4 publish", "07:07"),
    ] {
        let number = opened.split(' ').nth(1).unwrap();
        let message = format!(r#"{{"type":"receiveVideoFrom","userId":1,"sdpOffer":"{offer}"}}"#);
        stage.sends_text("anna", &super::offers::fill_in(&message)).await;
        let heard = stage.heard("anna");
        let answer = heard[0]["sdpAnswer"].as_str().unwrap();
        assert!(
            answer.contains(&format!("a=fingerprint:sha-256 {fingerprint}")),
            "{answer}"
        );
        stage
            .play(&format!("media {opened}\nmedia heard {number}\nmedia lost {number}"))
            .await;
    }
}
