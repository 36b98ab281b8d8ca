//! The family whose messages carry their kind under `id`.

use patchbay::config::Config;

use super::{House, Stage};

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_announced_to_the_others_and_they_to_the_newcomer() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"joinRoom","name":"ben","room":"r"}
            anna < {"id":"newParticipantArrived","name":"ben"}
            ben < {"id":"existingParticipants","data":["anna"]}
            carl > {"id":"joinRoom","name":"carl","room":"r"}
            anna < {"id":"newParticipantArrived","name":"carl"}
            ben < {"id":"newParticipantArrived","name":"carl"}
            carl < {"id":"existingParticipants","data":["anna","ben"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_names_features_is_sent_which_of_them_the_server_has_and_no_other_client_is() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"r","features":["videoWants","else","sendLayers"]}
            anna < {"id":"existingParticipants","data":[],"features":["videoWants","sendLayers"]}
            7 > {"type":"join","userId":7,"room":"s","features":["videoQuality"]}
            7 < {"type":"existingParticipants","participants":[],"features":["videoQuality"]}
            8 > {"type":"join","userId":8,"room":"t","features":"videoQuality"}
            8 < {"type":"existingParticipants","participants":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_offer_is_answered_before_its_candidates_whether_or_not_anything_is_published() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            ben > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 2"}
            media open 2 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn answers_fit_their_offers_and_carry_the_candidates_that_are_sent_too() {
    let mut stage = two_in_a_room().await;
    let request = super::offers::fill_in(r#"{"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@recvonly 1"}"#);
    stage.sends_text("anna", &request).await;
    let heard = stage.heard("anna");
    let answer = heard[0]["sdpAnswer"].as_str().unwrap();
    assert_eq!(answer.matches("a=sendonly").count(), 2, "{answer}");
    for message in &heard[1..] {
        let candidate = message["candidate"]["candidate"].as_str().unwrap();
        assert!(
            candidate.starts_with("candidate:") && candidate.contains(" typ host"),
            "{candidate}"
        );
        assert!(answer.contains(candidate), "{candidate} is not in {answer}");
    }
    assert_eq!(heard.len(), 3, "one for each address");
}

#[tokio::test(start_paused = true)]
async fn an_offer_on_a_live_connection_changes_it_and_one_of_a_reloaded_connection_replaces_it() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1 again"}
            media again 1 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 2"}
            media close 1
            media open 2 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_closes_the_leavers_connections_and_those_that_watched_them() {
    let mut stage = three_connections().await;
    stage
        .play(
            r#"
            anna > {"id":"leaveRoom"}
            media close 1
            media close 3
            media close 2
            ben < {"id":"participantLeft","name":"anna"}
            anna > {"id":"leaveRoom"}
            ben > {"id":"leaveRoom"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_closed_socket_is_a_leave() {
    let mut stage = three_connections().await;
    stage
        .play(
            r#"
            anna -
            media close 1
            media close 3
            media close 2
            ben < {"id":"participantLeft","name":"anna"}
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            ben < {"id":"newParticipantArrived","name":"anna"}
            anna < {"id":"existingParticipants","data":["ben"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_session_of_a_name_wins_and_the_others_see_it_leave_and_arrive() {
    let mut stage = three_connections().await;
    stage
        .play(
            r#"
            reloaded > {"id":"joinRoom","name":"anna","room":"r"}
            media close 1
            media close 3
            media close 2
            anna x 4001
            ben < {"id":"participantLeft","name":"anna"}
            ben < {"id":"newParticipantArrived","name":"anna"}
            reloaded < {"id":"existingParticipants","data":["ben"]}
            ben > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 4"}
            media open 4 watch
            ben < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_same_name_in_two_rooms_is_two_people() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            one > {"id":"joinRoom","name":"anna","room":"r"}
            one < {"id":"existingParticipants","data":[]}
            two > {"id":"joinRoom","name":"anna","room":"s"}
            two < {"id":"existingParticipants","data":[]}
            one > {"id":"heart"}
            one < {"id":"heart"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn joining_another_room_leaves_the_first() {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"s"}
            ben < {"id":"participantLeft","name":"anna"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 1"}
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            ben < {"id":"newParticipantArrived","name":"anna"}
            anna < {"id":"existingParticipants","data":["ben"]}
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            ben < {"id":"participantLeft","name":"anna"}
            ben < {"id":"newParticipantArrived","name":"anna"}
            anna < {"id":"existingParticipants","data":["ben"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn known_person_names_are_announced_and_clients_that_have_one_get_objects() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            plain > {"id":"joinRoom","name":"1","room":"r"}
            plain < {"id":"existingParticipants","data":[]}
            named > {"id":"joinRoom","name":"2","room":"r","personName":"Ben"}
            plain < {"id":"newParticipantArrived","name":"2","personName":"Ben"}
            named < {"id":"existingParticipants","data":[{"name":"1","personName":"1"}]}
            other > {"id":"joinRoom","name":"3","room":"r"}
            plain < {"id":"newParticipantArrived","name":"3"}
            named < {"id":"newParticipantArrived","name":"3","personName":"3"}
            other < {"id":"existingParticipants","data":["1","2"]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_switch_gives_objects_to_everybody() {
    let mut config = Config::default();
    config.groupcall.participants_as_objects = true;
    let mut stage = Stage::with(House::default(), config);
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"joinRoom","name":"ben","room":"r"}
            anna < {"id":"newParticipantArrived","name":"ben"}
            ben < {"id":"existingParticipants","data":[{"name":"anna","personName":"anna"}]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_heart_is_answered_before_joining_too() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"heart"}
            anna < {"id":"heart"}
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            anna < {"id":"existingParticipants","data":[]}
            anna > {"id":"heart"}
            anna < {"id":"heart"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn candidates_are_taken_with_all_that_browsers_put_into_them() {
    let mut stage = three_connections().await;
    stage
        .play(
            r#"
            anna > {"id":"onIceCandidate","name":"anna","candidate":{"candidate":"candidate:1 1 tcp 15 10.0.0.1 9 typ host tcptype active","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"u"}}
            anna > {"id":"onIceCandidate","name":"nobody","candidate":{"candidate":""}}
            ben > {"id":"onIceCandidate","name":"ben","candidate":null}
            anna > {"id":"onIceCandidate"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn names_may_be_numbers() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":1,"room":7}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"joinRoom","name":"2","room":"7"}
            anna < {"id":"newParticipantArrived","name":"2"}
            ben < {"id":"existingParticipants","data":["1"]}
            ben > {"id":"receiveVideoFrom","sender":1,"sdpOffer":"@recvonly 1"}
            media open 1 watch
            ben < {"id":"receiveVideoAnswer","name":"1","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"1","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_media_engine_lost_is_forgotten_and_may_be_offered_anew() {
    let mut stage = three_connections().await;
    stage
        .play(
            r#"
            media lost 1
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1 again"}
            media open 4 publish, other certificate
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_back_to_a_connection_that_it_had_replaced_is_made_to_begin_anew() {
    let mut stage = three_connections().await;
    stage
        .play(
            r#"
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 7"}
            media close 1
            media open 4 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1 again"}
            media close 4
            media open 5 publish, other certificate
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_again_with_the_connections_it_had_is_made_to_begin_them_anew() {
    let mut stage = three_connections().await;
    // By a leave, and by a socket that was closed; each time with another certificate than before.
    for (leaving, who, first, certificate) in [
        (r#"anna > {"id":"leaveRoom"}"#, "anna", 4, ", other certificate"),
        ("anna -", "again", 7, ""),
    ] {
        let (publish, watched, watch) = match first {
            4 => (1, 2, 3),
            _ => (4, 5, 6),
        };
        let answer = |to: &str, name: &str| {
            let candidate = format!(
                r#"{to} < {{"id":"iceCandidate","name":"{name}","candidate":{{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}}}"#
            );
            format!(r#"{to} < {{"id":"receiveVideoAnswer","name":"{name}","sdpAnswer":"*"}}"#)
                + &format!("\n{candidate}\n{candidate}")
        };
        let (annas, annas_of_ben, bens) = (answer(who, "anna"), answer(who, "ben"), answer("ben", "anna"));
        let (second, third) = (first + 1, first + 2);
        stage
            .play(&format!(
                r#"
                {leaving}
                media close {publish}
                media close {watch}
                media close {watched}
                ben < {{"id":"participantLeft","name":"anna"}}
                {who} > {{"id":"joinRoom","name":"anna","room":"r"}}
                ben < {{"id":"newParticipantArrived","name":"anna"}}
                {who} < {{"id":"existingParticipants","data":["ben"]}}
                {who} > {{"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1 again"}}
                media open {first} publish{certificate}
                {annas}
                ben > {{"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 2 again"}}
                media open {second} watch{certificate}
                {bens}
                {who} > {{"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@recvonly 3 again"}}
                media open {third} watch{certificate}
                {annas_of_ben}
                "#
            ))
            .await;
    }
    // A page that was loaded again has connections of its own.
    let offer = super::offers::fill_in(r#"{"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 9"}"#);
    stage.sends_text("again", &offer).await;
    stage.heard("again");
    stage.play("media close 7\n media open 10 publish").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_to_wait_after_wrong_passwords_is_closed_with_that_reason() {
    let mut stage = Stage::with(House::default().with_guessed_room("r"), Config::default());
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"1","room":"r","pw":"secret"}
            anna x 4029
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_not_admitted_is_closed_with_the_reason() {
    let house = House::default()
        .with_user("1", "Anna", "Dr.", "")
        .with_room("r", "secret");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            stranger > {"id":"joinRoom","name":"2","room":"s"}
            stranger x 1008
            anna > {"id":"joinRoom","name":"1","room":"r"}
            anna x 1008
            again > {"id":"joinRoom","name":"1","room":"r","pw":"secret"}
            again < {"id":"existingParticipants","data":[]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_name_in_the_user_table_stands_above_the_one_that_a_client_gives_itself() {
    let house = House::default()
        .with_user("1", "Anna", "", "")
        .with_user("2", "2", "", "");
    let mut stage = Stage::with(house, Config::default());
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"1","room":"r","personName":"Her Majesty"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"joinRoom","name":"2","room":"r","personName":"Ben"}
            anna < {"id":"newParticipantArrived","name":"2","personName":"Ben"}
            ben < {"id":"existingParticipants","data":[{"name":"1","personName":"Anna"}]}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_server_is_announced_to_the_clients() {
    let mut stage = three_connections().await;
    stage.connect("idle").await;
    stage.shut_down().await;
    stage
        .play("anna x 1001\n ben x 1001\n idle x 1001\n media close 1\n media close 2\n media close 3\n media shutdown\n media shutdown")
        .await;
}

pub async fn two_in_a_room() -> Stage {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"r"}
            anna < {"id":"existingParticipants","data":[]}
            ben > {"id":"joinRoom","name":"ben","room":"r"}
            anna < {"id":"newParticipantArrived","name":"ben"}
            ben < {"id":"existingParticipants","data":["anna"]}
            "#,
        )
        .await;
    stage
}

/// Anna publishes (1), Ben watches Anna (2), and Anna watches Ben (3).
async fn three_connections() -> Stage {
    let mut stage = two_in_a_room().await;
    stage
        .play(
            r#"
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@recvonly 2"}
            media open 2 watch
            ben < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            ben < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@recvonly 3"}
            media open 3 watch
            anna < {"id":"receiveVideoAnswer","name":"ben","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"ben","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"ben","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            "#,
        )
        .await;
    stage
}
