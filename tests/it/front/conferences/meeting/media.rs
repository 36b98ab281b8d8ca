//! Media between a participant by this interface and somebody who came another way.

use serde_json::json;

use super::together::roommate;
use super::{Participant, start};
use crate::clients::peer::{OPUS_PAYLOAD_TYPE, Peer, VP8_PAYLOAD_TYPE};
use crate::clients::scenarios::Media;
use crate::clients::signaling::Signaling;

/// Offers a connection in the room, for what this user publishes. Returns the offer.
pub(super) async fn negotiate(signaling: &mut Signaling, user: &str, peer: &mut Peer) -> String {
    let offer = peer.offer().await;
    let message = json!({ "type": "receiveVideoFrom", "userId": user, "sdpOffer": &offer });
    signaling.send(message).await;
    let answer = signaling.receive("receiveVideoAnswer").await;
    peer.accept(answer["sdpAnswer"].as_str().unwrap()).await;
    peer.connected().await;
    offer
}

async fn publisher(ssrc: u32) -> (Peer, Media) {
    let peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(ssrc).await, peer.add_video(ssrc + 1).await);
    (peer, Media::start(audio, video))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_and_somebody_by_another_way_see_and_hear_each_other() {
    let running = start().await;
    let mut ben = roommate(&running, "ben").await;
    ben.receive("existingParticipants").await;
    let (mut publishing, _bens) = publisher(100).await;
    negotiate(&mut ben, "ben", &mut publishing).await;

    let anna = Participant::guest(&running, "Anna").await;
    let uri = anna.get("participants").await[1]["uri"].as_str().unwrap().to_owned();
    let (mut peer, _annas) = publisher(200).await;
    let sdp = peer.offer().await;
    let calls = anna.about(&anna, "calls");
    let called = anna.ask(&calls, json!({ "call_type": "WEBRTC", "sdp": sdp })).await;
    peer.accept(called["sdp"].as_str().unwrap()).await;
    let ack = format!("{calls}/{}/ack", called["call_uuid"].as_str().unwrap());
    anna.ask(&ack, json!({})).await;
    peer.connected().await;
    let shown = peer.packet(VP8_PAYLOAD_TYPE).await.header.ssrc;
    peer.packet(OPUS_PAYLOAD_TYPE).await;
    // The client is sent whom it sees.
    let mut events = anna.events().await;
    let bens = anna.get("participants").await[0]["uuid"].clone();
    let layout = events.until("layout").await;
    assert_eq!(
        (&layout["participants"], &layout["ssrcs"]),
        (&json!([bens]), &json!([shown]))
    );
    assert_eq!((&layout["view"], &layout["missing"]), (&json!("1:0"), &json!([])));

    let mut watching = Peer::new().await;
    watching.receive().await;
    negotiate(&mut ben, &uri, &mut watching).await;
    watching.packet(VP8_PAYLOAD_TYPE).await;
    watching.packet(OPUS_PAYLOAD_TYPE).await;

    // The client ends its connection, and is sent that its call is over.
    peer.close().await;
    let ended = events.until("call_disconnected").await;
    assert_eq!(ended["call_uuid"], called["call_uuid"]);
}
