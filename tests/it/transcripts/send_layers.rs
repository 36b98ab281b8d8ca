//! Clients that joined with the feature are told which encodings of their own video are wanted, and no others are.

use super::Stage;

#[tokio::test(start_paused = true)]
async fn a_publisher_that_understands_it_is_told_which_of_its_encodings_are_wanted() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            anna > {"id":"joinRoom","name":"anna","room":"r","features":["sendLayers"]}
            anna < {"id":"existingParticipants","data":[],"features":["sendLayers"]}
            anna > {"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1"}
            media open 1 publish
            anna < {"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            anna < {"id":"iceCandidate","name":"anna","candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media wants 1 l-m-h-
            anna < {"id":"sendLayers","layers":{"h":false,"l":false,"m":false}}
            media wants 1 l+m+h-
            anna < {"id":"sendLayers","layers":{"h":false,"l":true,"m":true}}
            media wants 1 + 1200000
            anna < {"id":"sendLayers","layers":{"":true},"maxBitrate":1200000}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_other_family_has_its_kind_under_type() {
    let mut stage = Stage::new();
    stage
        .play(
            r#"
            7 > {"type":"join","userId":7,"room":"r","features":["sendLayers"]}
            7 < {"type":"existingParticipants","participants":[],"features":["sendLayers"]}
            7 > {"type":"receiveVideoFrom","userId":7,"sdpOffer":"@sendonly 1"}
            media open 1 publish
            7 < {"type":"receiveVideoAnswer","userId":7,"sdpAnswer":"*"}
            7 < {"type":"iceCandidate","userId":7,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            7 < {"type":"iceCandidate","userId":7,"candidate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0},"candicate":{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}
            media wants 1 q+f-
            7 < {"type":"sendLayers","layers":{"f":false,"q":true}}
            "#,
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_did_not_name_the_feature_is_told_nothing() {
    for features in ["", r#","features":["videoQuality"]"#, r#","notices":true"#] {
        let answered = match features.contains("features") {
            true => features,
            false => "",
        };
        let mut stage = Stage::new();
        let transcript = format!(
            r#"
            anna > {{"id":"joinRoom","name":"anna","room":"r"{features}}}
            anna < {{"id":"existingParticipants","data":[]{answered}}}
            anna > {{"id":"receiveVideoFrom","sender":"anna","sdpOffer":"@sendonly 1"}}
            media open 1 publish
            anna < {{"id":"receiveVideoAnswer","name":"anna","sdpAnswer":"*"}}
            anna < {{"id":"iceCandidate","name":"anna","candidate":{{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}}}
            anna < {{"id":"iceCandidate","name":"anna","candidate":{{"candidate":"*","sdpMid":"0","sdpMLineIndex":0}}}}
            media wants 1 l-m-h-
            anna > {{"id":"heart"}}
            anna < {{"id":"heart"}}
            "#
        );
        stage.play(&transcript).await;
    }
}
