//! Offers of connections, and screens.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Participant, start};
use crate::transcripts::offers::offer;

#[tokio::test]
async fn an_offer_is_answered_with_all_candidates_and_its_call_is_updated_and_ended() {
    let running = start().await;
    let anna = Participant::guest(&running, "Anna").await;
    let mut events = anna.events().await;
    events.until("participant_sync_end").await;
    let calls = anna.about(&anna, "calls");
    let body =
        json!({ "call_type": "WEBRTC", "sdp": offer("sendrecv", 1, false), "multistream": true, "simulcast": true });
    let called = anna.ask(&calls, body).await;
    let call = called["call_uuid"].as_str().unwrap();
    assert_eq!(call.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    let sdp = called["sdp"].as_str().unwrap();
    assert!(
        sdp.contains("a=candidate:") && sdp.contains("a=end-of-candidates"),
        "{sdp}"
    );
    assert_eq!(sdp.matches("a=sendrecv").count(), 2, "{sdp}");
    let voices = called["audio_ssrcs"].as_array().unwrap();
    let different: BTreeSet<u64> = voices.iter().map(|ssrc| ssrc.as_u64().unwrap()).collect();
    assert_eq!(different.len(), 5, "{voices:?}");
    assert!(sdp.contains(&format!("a=ssrc:{} ", voices[0])), "{sdp}");
    assert_eq!(
        events.until("layout").await["participants"],
        json!([]),
        "nobody publishes"
    );
    let step = |step: &str| anna.about(&anna, &format!("calls/{call}/{step}"));
    assert_eq!(anna.ask(&step("ack"), json!({})).await, true);
    assert_eq!(anna.ask(&step("clayout"), json!({ "clayout": "1:4" })).await, true);
    let updated = anna
        .ask(&step("update"), json!({ "sdp": offer("sendrecv", 1, true) }))
        .await;
    assert_eq!(updated["call_uuid"], call);
    assert_eq!(updated["audio_ssrcs"], called["audio_ssrcs"]);
    assert!(updated["sdp"].as_str().unwrap().contains("a=candidate:"));
    assert_eq!(anna.ask(&step("disconnect"), json!({})).await, true);
    for gone in ["ack", "update", "disconnect"] {
        assert_eq!(anna.is_refused(&step(gone), json!({})).await, 404, "{gone}");
    }
    assert!(events.is_silent().await, "whoever ends a call is sent nothing");
}

#[tokio::test]
async fn a_screen_is_announced_received_and_ended() {
    let running = start().await;
    let (anna, ben) = (
        Participant::guest(&running, "Anna").await,
        Participant::guest(&running, "Ben").await,
    );
    let mut events = ben.events().await;
    events.until("participant_sync_end").await;
    let receive = json!({ "present": "receive", "sdp": offer("recvonly", 3, false) });
    let calls = ben.about(&ben, "calls");
    let body = json!({ "call_type": "WEBRTC", "present": "send", "sdp": offer("sendonly", 2, false) });
    let called = anna.ask(&anna.about(&anna, "calls"), body).await;
    let updated = events.until("participant_update").await;
    assert_eq!(
        (&updated["uuid"], &updated["is_presenting"]),
        (&json!(anna.uuid), &json!("YES"))
    );
    let start = events.until("presentation_start").await;
    let uri = &updated["uri"];
    assert_eq!(
        start,
        json!({ "presenter_name": "Anna", "presenter_uri": uri, "presenter_uuid": anna.uuid })
    );
    let mut late = Participant::guest(&running, "Carl").await.events().await;
    assert_eq!(late.until("presentation_start").await, start);
    let received = ben.ask(&calls, receive).await;
    assert!(received["sdp"].as_str().unwrap().contains("a=sendonly"));
    let end = format!("calls/{}/disconnect", called["call_uuid"].as_str().unwrap());
    anna.ask(&anna.about(&anna, &end), json!({})).await;
    assert_eq!(events.until("presentation_stop").await, json!({}));
}
