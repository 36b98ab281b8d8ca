//! Clients that ask for it are sent what they get of each video, and which encodings of their own are wanted; others are not.

use serde_json::{Value, json};

use super::{Events, Participant, new_session, start};
use crate::clients::peer::{Peer, VP8_PAYLOAD_TYPE};
use crate::clients::scenarios::Media;
use crate::front::running::Running;

/// A guest whose client names these features, if any.
async fn guest<'a>(running: &'a Running, name: &str, features: Value) -> Participant<'a> {
    let fields = json!({ "display_name": name, "features": features });
    Participant::enter_with(running, "open", "none", fields).await
}

/// The main connection of a participant, who publishes sound and a picture in one encoding.
async fn connect(participant: &Participant<'_>, ssrc: u32) -> (Peer, Media) {
    let mut peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(ssrc).await, peer.add_video(ssrc + 1).await);
    let body = json!({ "call_type": "WEBRTC", "sdp": peer.offer().await });
    let called = participant.ask(&participant.about(participant, "calls"), body).await;
    peer.accept(called["sdp"].as_str().unwrap()).await;
    peer.connected().await;
    (peer, Media::start(audio, video))
}

impl Events {
    /// The kinds of the events until nothing comes for a moment.
    async fn kinds(&mut self) -> Vec<String> {
        let mut kinds = Vec::new();
        while let Ok(Some(frame)) = tokio::time::timeout(std::time::Duration::from_millis(500), self.frame()).await {
            kinds.push(frame["_eventName"].as_str().unwrap().to_owned());
        }
        kinds
    }

    /// The next event of a kind whose field has this value.
    async fn until_it_is(&mut self, kind: &str, field: &str, value: Value) -> Value {
        loop {
            let data = self.until(kind).await;
            if data[field] == value {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn a_session_says_which_of_the_named_features_there_are_and_nothing_where_none_is_named() {
    let running = start().await;
    for (named, known) in [
        (
            json!(["sendLayers", "other", "videoQuality"]),
            json!(["videoQuality", "sendLayers"]),
        ),
        (json!(["videoWants", 7, null, ["sendLayers"]]), json!(["videoWants"])),
        (json!([]), json!([])),
    ] {
        let (status, answer) = new_session(&running, "open", Some("none"), json!({ "features": named })).await;
        assert_eq!((status, &answer["result"]["features"]), (200, &known), "{named}");
    }
    for named in [
        json!("sendLayers"),
        json!({ "sendLayers": true }),
        json!(true),
        json!(7),
        Value::Null,
    ] {
        let (status, answer) = new_session(&running, "open", Some("none"), json!({ "features": named })).await;
        assert_eq!((status, answer["result"].get("features")), (200, None), "{named}");
    }
    let (_, answer) = new_session(&running, "open", Some("none"), json!({})).await;
    assert_eq!(answer["result"].get("features"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_asks_for_it_is_sent_what_they_get_of_each_video_and_others_are_not() {
    let running = start().await;
    let anna = guest(&running, "Anna", Value::Null).await;
    let _annas = connect(&anna, 100).await;
    let ben = guest(&running, "Ben", json!(["videoQuality"])).await;
    let carl = guest(&running, "Carl", json!(["sendLayers"])).await;
    let (mut bens, _his) = connect(&ben, 200).await;
    let (mut carls, _carls) = connect(&carl, 300).await;
    let (mut to_ben, mut to_carl) = (ben.events().await, carl.events().await);
    for peer in [&mut bens, &mut carls] {
        peer.packet(VP8_PAYLOAD_TYPE).await;
    }
    let full = to_ben.until("video_quality").await;
    assert_eq!(full["sender"], json!(anna.uuid), "{full}");
    let heights = json!({ "heights": { "*": 0 } });
    for viewer in [&ben, &carl] {
        viewer.ask(&viewer.about(viewer, "wants"), heights.clone()).await;
    }
    let unwanted = json!({ "sender": anna.uuid, "height": 0, "wanted": 0, "state": "unwanted", "reason": "viewer" });
    let quality = to_ben.until_it_is("video_quality", "state", json!("unwanted")).await;
    assert_eq!(quality, unwanted);
    // Whoever reads later is sent what is so then.
    let mut later = ben.events().await;
    later.until("layout").await;
    assert_eq!(later.until("video_quality").await, unwanted);
    let kinds = to_carl.kinds().await;
    assert!(kinds.contains(&"layout".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"video_quality".to_owned()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_who_asks_for_it_is_sent_which_encodings_are_wanted_and_others_are_not() {
    let running = start().await;
    let anna = guest(&running, "Anna", json!(["sendLayers"])).await;
    let ben = guest(&running, "Ben", json!(["videoQuality", "layers"])).await;
    let (mut to_anna, mut to_ben) = (anna.events().await, ben.events().await);
    let (_annas, _bens) = (connect(&anna, 100).await, connect(&ben, 200).await);
    for viewer in [&anna, &ben] {
        let heights = json!({ "heights": { "*": 0 } });
        viewer.ask(&viewer.about(viewer, "wants"), heights).await;
    }
    // Nobody has wanted any of it for five seconds.
    let none = json!({ "layers": { "": false } });
    assert_eq!(
        to_anna.until_it_is("send_layers", "layers", json!({ "": false })).await,
        none
    );
    let mut later = anna.events().await;
    assert_eq!(later.until("send_layers").await, none);
    ben.ask(&ben.about(&ben, "wants"), json!({})).await;
    let all = json!({ "": true });
    let again = later.until_it_is("send_layers", "layers", all.clone()).await;
    assert_eq!(again["layers"], all);
    let kinds = to_ben.kinds().await;
    assert!(kinds.contains(&"video_quality".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"send_layers".to_owned()), "{kinds:?}");
}

/// The mean of what a histogram has counted. `None` while it has counted nothing.
fn mean(metrics: &str, name: &str) -> Option<f64> {
    let value = |what: &str| {
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}_{what} ")))?;
        line.parse::<f64>().ok()
    };
    let count = value("count").filter(|count| *count > 0.0)?;
    Some(value("sum")? / count)
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_are_shown_what_the_paths_to_viewers_carry_and_what_arrives() {
    let running = start().await;
    let (anna, ben) = (
        guest(&running, "Anna", Value::Null).await,
        guest(&running, "Ben", Value::Null).await,
    );
    let (_annas, _bens) = (connect(&anna, 100).await, connect(&ben, 200).await);
    let known = async || -> Option<[f64; 4]> {
        let metrics = running.get("/metrics").await.text().await.unwrap();
        Some([
            mean(&metrics, "patchbay_media_target_bits_per_second")?,
            mean(&metrics, "patchbay_media_acked_bits_per_second")?,
            mean(&metrics, "patchbay_media_queue_delay_seconds")?,
            mean(&metrics, "patchbay_media_loss_ratio")?,
        ])
    };
    let until_known = async {
        loop {
            if let Some(known) = known().await {
                return known;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let known = tokio::time::timeout(std::time::Duration::from_secs(20), until_known).await;
    let [target, acked, queue_delay, loss] = known.expect("paths are sampled each second");
    // Some packets a second, over a path without any limit.
    assert!((10e3..=100e6).contains(&target), "{target}");
    assert!((1e3..=100e6).contains(&acked), "{acked}");
    assert!(queue_delay < 1.0, "{queue_delay}");
    assert!(loss < 0.5, "{loss}");
}
