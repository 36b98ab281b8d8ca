//! What a viewer wants of videos, and what they are told of what they get.

use super::{Stage, offers};

/// A client sends this, and what everybody is sent because of it is passed over.
async fn unheard(stage: &mut Stage, line: &str) {
    let (who, message) = line.split_once(" > ").unwrap();
    stage.sends_text(who, &offers::fill_in(message)).await;
    for client in stage.clients.values_mut() {
        client.heard.clear();
    }
    while stage.media.next().is_some() {}
}

/// Ben and Carl publish over connections 1 and 2; Anna watches Ben over 3 and Carl over 4.
async fn anna_watches_two(features: &str) -> Stage {
    let mut stage = Stage::new();
    let join = format!(r#"anna > {{"id":"joinRoom","name":"anna","room":"r"{features}}}"#);
    unheard(&mut stage, &join).await;
    for line in [
        r#"ben > {"id":"joinRoom","name":"ben","room":"r"}"#,
        r#"7 > {"type":"join","userId":7,"room":"r"}"#,
        r#"ben > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@sendonly 1"}"#,
        r#"7 > {"type":"receiveVideoFrom","userId":7,"sdpOffer":"@sendonly 2"}"#,
        r#"anna > {"id":"receiveVideoFrom","sender":"ben","sdpOffer":"@recvonly 3"}"#,
        r#"anna > {"id":"receiveVideoFrom","sender":"7","sdpOffer":"@recvonly 4"}"#,
    ] {
        unheard(&mut stage, line).await;
    }
    stage
}

#[tokio::test(start_paused = true)]
async fn each_connection_is_told_what_is_wanted_of_its_video_and_odd_wishes_do_no_harm() {
    let mut stage = anna_watches_two("").await;
    stage
        .play(
            r#"
            anna > {"id":"videoWants","onStage":["ben"],"heights":{"ben":720,"*":180}}
            media want 720 on stage of 3
            media want 180 of 4
            anna > {"id":"videoWants","onStage":["ben"],"heights":{"ben":720,"*":180}}
            anna > {"id":"videoWants","lastN":1,"heights":{"7":1000000,"nobody":5}}
            media want of 3
            media want 0 of 4
            anna > {"id":"videoWants","lastN":"x","onStage":{},"heights":[1]}
            media want of 4
            anna > {"id":"videoWants","lastN":0}
            media want 0 of 3
            media want 0 of 4
            7 > {"type":"videoWants","heights":{"*":0}}
            dora > {"id":"videoWants"}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_video_on_stage_is_among_those_that_come_whoever_speaks() {
    let mut stage = anna_watches_two("").await;
    stage
        .play(
            r#"
            anna > {"id":"videoWants","lastN":1}
            media want 0 of 4
            anna > {"id":"videoWants","lastN":1,"onStage":["7"]}
            media want 0 of 3
            media want any on stage of 4
            anna > {"id":"videoWants","lastN":1,"onStage":["7"],"heights":{"7":0}}
            media want of 3
            media want 0 on stage of 4
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_names_the_feature_is_told_what_they_get_and_nobody_else_is() {
    let mut stage = anna_watches_two(r#","features":["videoQuality"]"#).await;
    stage
        .play(
            r#"
            media reduces 3
            anna < {"id":"videoQuality","sender":"ben","height":360,"wanted":720,"state":"reduced","reason":"bandwidth"}
            "#,
        )
        .await;
    let mut stage = anna_watches_two(r#","features":["sendLayers"]"#).await;
    stage.play("media reduces 3").await;
}

#[tokio::test(start_paused = true)]
async fn both_families_have_the_same_words_for_it() {
    let mut stage = Stage::new();
    for line in [
        r#"7 > {"type":"join","userId":7,"room":"r","features":["videoQuality"]}"#,
        r#"ben > {"id":"joinRoom","name":"8","room":"r"}"#,
        r#"ben > {"id":"receiveVideoFrom","sender":"8","sdpOffer":"@sendonly 1"}"#,
        r#"7 > {"type":"receiveVideoFrom","userId":8,"sdpOffer":"@recvonly 2"}"#,
    ] {
        unheard(&mut stage, line).await;
    }
    stage
        .play(
            r#"
            7 > {"type":"videoWants","heights":{"8":90},"onStage":[8]}
            media want 90 on stage of 2
            media reduces 2
            7 < {"type":"videoQuality","sender":8,"height":360,"wanted":720,"state":"reduced","reason":"bandwidth"}
            "#,
        )
        .await;
}
