//! One connection for everybody in a room, over real sockets: the offer comes with the join, the next one adds whoever comes.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients::peer::{PATIENCE, Peer, VP8_PAYLOAD_TYPE};
use crate::clients::scenarios::{Media, publish_in};
use crate::clients::signaling::{Family, Signaling};
use crate::support::server::Server;

const ROOM: u64 = 7;

/// The first SSRC of each video section that carries something, in their order.
fn ssrcs(answer: &str) -> Vec<u32> {
    let sections = answer.split("m=video ").skip(1);
    let ssrc = |section: &str| {
        let line = section.lines().find_map(|line| line.strip_prefix("a=ssrc:"))?;
        line.split(' ').next()?.parse().ok()
    };
    sections.filter_map(ssrc).collect()
}

/// Waits until a picture has come by each of these streams.
async fn receives(watcher: &mut Peer, ssrcs: &[u32]) {
    let mut missing: BTreeSet<u32> = ssrcs.iter().copied().collect();
    let all = async {
        while !missing.is_empty() {
            missing.remove(&watcher.packet(VP8_PAYLOAD_TYPE).await.header.ssrc);
        }
    };
    let came = tokio::time::timeout(PATIENCE, all).await;
    assert!(came.is_ok(), "nothing came by {missing:?}");
}

async fn publish(server: &Server, user: u64) -> (Signaling, Peer, Media) {
    publish_in(server, Family::Type, ROOM, user).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_with_an_offer_sees_everybody_after_one_message_and_whoever_comes_over_the_same_connection() {
    let server = Server::start().await;
    let (_anna, _ben) = (publish(&server, 11).await, publish(&server, 22).await);
    let mut watcher = Peer::new().await;
    watcher.receive_videos(2).await;
    let offer = watcher.offer().await;
    let mut signaling = Signaling::connect(&server.plain("ws", "/groupcall"), Family::Type).await;
    signaling
        .send(json!({ "type": "join", "room": ROOM, "userId": 33, "watchOffer": offer }))
        .await;
    let entered = signaling.receive("existingParticipants").await;
    assert_eq!(entered["watch"]["userIds"], json!([11, 22]), "{entered}");
    let answer = text(&entered["watch"]["sdpAnswer"]);
    let first = ssrcs(answer);
    assert_eq!(first.len(), 2, "{answer}");
    watcher.accept(answer).await;
    watcher.connected().await;
    receives(&mut watcher, &first).await;

    let carl = publish(&server, 44).await;
    signaling.receive("newParticipantArrived").await;
    watcher.receive_videos(1).await;
    let offer = watcher.offer().await;
    signaling
        .send(json!({ "type": "watch", "userIds": [11, 22, 44], "sdpOffer": offer }))
        .await;
    let answered = signaling.receive("watchAnswer").await;
    assert_eq!(answered["userIds"], json!([11, 22, 44]));
    let second = ssrcs(text(&answered["sdpAnswer"]));
    assert_eq!((&second[..2], second.len()), (&first[..], 3), "the first two go on as they were");
    watcher.accept(text(&answered["sdpAnswer"])).await;
    receives(&mut watcher, &second).await;
    assert!(watcher.is_connected());
    // Three who publish, and one who watches them.
    server
        .until_metric("patchbay_peers", 4.0, Duration::from_secs(5))
        .await;

    drop(carl);
    signaling.receive("participantLeft").await;
    signaling
        .send(json!({ "type": "watch", "userIds": [11, 22, 44], "sdpOffer": watcher.offer().await }))
        .await;
    let refused = signaling.receive("unrecognizedMessage").await;
    assert_eq!(refused["reason"], json!("nobody of that name is in the room"));
    receives(&mut watcher, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_that_are_sent_at_once_are_answered_one_after_the_other() {
    let server = Server::start().await;
    let (_anna, _ben) = (publish(&server, 11).await, publish(&server, 22).await);
    let mut watcher = Peer::new().await;
    watcher.receive_videos(2).await;
    let offer = watcher.offer().await;
    let (mut signaling, _) = Signaling::join(&server, Family::Type, ROOM, 33).await;
    for ids in [json!([11, 22]), json!([22]), json!([22, 11])] {
        signaling
            .send(json!({ "type": "watch", "userIds": ids, "sdpOffer": offer }))
            .await;
    }
    let mut last = String::new();
    for ids in [json!([11, 22]), json!([22]), json!([22, 11])] {
        let answered = signaling.receive("watchAnswer").await;
        assert_eq!(answered["userIds"], ids);
        text(&answered["sdpAnswer"]).clone_into(&mut last);
    }
    watcher.accept(&last).await;
    watcher.connected().await;
    receives(&mut watcher, &ssrcs(&last)).await;
}
