//! Things on which every client may count, whatever its family.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::peer::{OPUS_PAYLOAD_TYPE, Peer, Track, VP8_PAYLOAD_TYPE, redirect_candidates};
use super::relay::Relay;
use super::signaling::{Family, Signaling};
use crate::support::server::Server;

const ALICE: u64 = 11;
const BOB: u64 = 22;
const ROOM: u64 = 7;

/// Publishes counted video and audio until it is dropped.
pub struct Media(JoinHandle<()>);

impl Media {
    pub fn start(audio: Track, video: Track) -> Media {
        Media(tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            for count in 0u32.. {
                tick.tick().await;
                audio
                    .write(OPUS_PAYLOAD_TYPE, count as u16, count * 960, false, opus(count))
                    .await;
                video
                    .write(VP8_PAYLOAD_TYPE, count as u16, count * 1_800, true, vp8(count))
                    .await;
            }
        }))
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn opus(count: u32) -> Bytes {
    [&[0xfc][..], &count.to_be_bytes(), &[0x5a; 60]].concat().into()
}

/// One VP8 key frame in one packet (RFC 7741 §4.2 and §4.3): a decoder, and so a subscriber, may start at any of them.
fn vp8(count: u32) -> Bytes {
    let head = [0x10, 0x10, 0x00, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00];
    [&head[..], &count.to_be_bytes(), &[0xa5; 900]].concat().into()
}

pub(super) fn video_count(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[11..15].try_into().unwrap())
}

/// Receives so many pictures: between each two lie as many sequence numbers as pictures. A busy machine may lose some on the way, which
/// are sent again later; none may be left out by the server, and none may have another's place.
pub(super) async fn pictures_in_order(peer: &mut Peer, pictures: usize) {
    let mut last = peer.packet(VP8_PAYLOAD_TYPE).await;
    for _ in 1..pictures {
        let next = peer.packet(VP8_PAYLOAD_TYPE).await;
        let (before, count) = (video_count(&last.payload), video_count(&next.payload));
        let numbers = next.header.sequence_number.wrapping_sub(last.header.sequence_number);
        let between = count.wrapping_sub(before) as i32;
        assert_eq!(between, i32::from(numbers as i16), "from picture {before} to {count}");
        assert_eq!(next.payload[..], vp8(count)[..]);
        last = next;
    }
}

/// Enters, publishes, and keeps publishing.
async fn publish(server: &Server, family: Family, user: u64) -> (Signaling, Peer, Media) {
    publish_in(server, family, ROOM, user).await
}

pub(super) async fn publish_in(server: &Server, family: Family, room: u64, user: u64) -> (Signaling, Peer, Media) {
    let (mut signaling, _) = Signaling::join(server, family, room, user).await;
    let mut peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(user as u32).await, peer.add_video(user as u32 + 1).await);
    let offer = peer.offer().await;
    let answer = signaling.negotiate(user, &offer).await;
    peer.accept(&answer).await;
    peer.connected().await;
    (signaling, peer, Media::start(audio, video))
}

/// Asks for the media of `of`; `change` may change the answer on its way.
pub async fn subscribe(signaling: &mut Signaling, of: u64, change: impl Fn(String) -> String) -> Peer {
    let mut peer = Peer::new().await;
    peer.receive().await;
    let offer = peer.offer().await;
    let answer = signaling.negotiate(of, &offer).await;
    peer.accept(&change(answer)).await;
    peer
}

async fn media_flows_in(family: Family) {
    let server = Server::start().await;
    let (_alice, _publishing, _media) = publish(&server, family, ALICE).await;
    let (mut bob, participants) = Signaling::join(&server, family, ROOM, BOB).await;
    assert_eq!(participants.len(), 1, "{participants:?}");
    let mut peer = subscribe(&mut bob, ALICE, |answer| answer).await;
    peer.connected().await;
    pictures_in_order(&mut peer, 2).await;
    assert_eq!(peer.packet(OPUS_PAYLOAD_TYPE).await.payload[0], 0xfc);
}

#[tokio::test(flavor = "multi_thread")]
async fn media_flows_between_clients_of_the_id_family() {
    media_flows_in(Family::Id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn media_flows_between_clients_of_the_type_family() {
    media_flows_in(Family::Type).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_both_families_share_a_room() {
    let server = Server::start().await;
    let (mut alice, _publishing, _media) = publish(&server, Family::Id, ALICE).await;
    let (mut bob, participants) = Signaling::join(&server, Family::Type, ROOM, BOB).await;
    assert_eq!(participants[0]["userId"], ALICE);
    assert_eq!(alice.receive("newParticipantArrived").await["name"], BOB.to_string());
    let mut peer = subscribe(&mut bob, ALICE, |answer| answer).await;
    peer.connected().await;
    peer.packet(VP8_PAYLOAD_TYPE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_may_ask_before_there_is_anything_to_see() {
    let server = Server::start().await;
    let (mut alice, _) = Signaling::join(&server, Family::Id, ROOM, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut watching = subscribe(&mut bob, ALICE, |answer| answer).await;
    watching.connected().await;
    let mut publishing = Peer::new().await;
    let (audio, video) = (publishing.add_audio(1).await, publishing.add_video(2).await);
    let offer = publishing.offer().await;
    let answer = alice.negotiate(ALICE, &offer).await;
    publishing.accept(&answer).await;
    publishing.connected().await;
    let _media = Media::start(audio, video);
    watching.packet(VP8_PAYLOAD_TYPE).await;
    watching.packet(OPUS_PAYLOAD_TYPE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_lost_on_the_way_to_a_client_are_sent_again() {
    let server = Server::start().await;
    let (_alice, _publishing, _media) = publish(&server, Family::Id, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = Peer::new().await;
    peer.receive().await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    let relay = Relay::to(first_candidate(&answer)).await;
    peer.accept(&redirect_candidates(&answer, relay.address)).await;
    peer.connected().await;
    peer.packet(VP8_PAYLOAD_TYPE).await;
    relay.lose_one_in(9);
    let mut counts = Vec::new();
    while counts.len() < 300 {
        counts.push(video_count(&peer.packet(VP8_PAYLOAD_TYPE).await.payload));
    }
    assert!(relay.lost() > 20, "the relay lost {}: this shows nothing", relay.lost());
    // The last ones may still be on their way.
    counts.sort_unstable();
    counts.dedup();
    counts.truncate(counts.len() - 30);
    let (first, last) = (counts[0], counts[counts.len() - 1]);
    let missing: Vec<u32> = (first..last)
        .filter(|count| counts.binary_search(count).is_err())
        .collect();
    assert!(missing.len() <= 2, "never came: {missing:?}, of {} to {}", first, last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_offer_with_ice_restart_keeps_the_stream() {
    let server = Server::start().await;
    let (_alice, _publishing, _media) = publish(&server, Family::Id, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = subscribe(&mut bob, ALICE, |answer| answer).await;
    peer.connected().await;
    let before = peer.packet(VP8_PAYLOAD_TYPE).await;
    peer.restart_ice().await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    peer.accept(&answer).await;
    for _ in 0..100 {
        let after = peer.packet(VP8_PAYLOAD_TYPE).await;
        assert_eq!(after.header.ssrc, before.header.ssrc);
    }
    server.until_metric("patchbay_peers", 2.0, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_gets_no_media() {
    let server = Server::start().await;
    let (_alice, _publishing, _media) = publish(&server, Family::Id, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = Peer::new().await;
    peer.receive().await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(ALICE, &forge_fingerprint(&offer)).await;
    peer.accept(&answer).await;
    server
        .until_metric("patchbay_peers", 1.0, Duration::from_secs(15))
        .await;
    assert!(
        peer.is_silent(Duration::from_secs(1)).await,
        "media came without a valid certificate"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_is_noticed_within_thirty_seconds() {
    let server = Server::start().await;
    let (_alice, _publishing, _media) = publish(&server, Family::Id, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = Peer::new().await;
    peer.receive().await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    let relay = Relay::to(first_candidate(&answer)).await;
    peer.accept(&redirect_candidates(&answer, relay.address)).await;
    peer.connected().await;
    peer.packet(VP8_PAYLOAD_TYPE).await;
    server.until_metric("patchbay_peers", 2.0, Duration::from_secs(5)).await;
    relay.cut();
    server
        .until_metric("patchbay_media_suspended_peers", 1.0, Duration::from_secs(30))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_cut_off_goes_on_after_a_restart() {
    let server = Server::start().await;
    let (_alice, _publishing, _media) = publish(&server, Family::Id, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = Peer::new().await;
    peer.receive().await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    let relay = Relay::to(first_candidate(&answer)).await;
    peer.accept(&redirect_candidates(&answer, relay.address)).await;
    peer.connected().await;
    let before = peer.packet(VP8_PAYLOAD_TYPE).await;
    relay.cut();
    server
        .until_metric("patchbay_media_suspended_peers", 1.0, Duration::from_secs(30))
        .await;
    while !peer.is_silent(Duration::from_millis(500)).await {}
    relay.mend();
    peer.restart_ice().await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    peer.accept(&redirect_candidates(&answer, relay.address)).await;
    let after = peer.packet(VP8_PAYLOAD_TYPE).await;
    assert_eq!(after.header.ssrc, before.header.ssrc);
    assert!(video_count(&after.payload) > video_count(&before.payload) + 100);
    server
        .until_metric("patchbay_media_suspended_peers", 0.0, Duration::from_secs(5))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_socket_no_longer_answers_leaves_within_thirty_seconds() {
    let server = Server::start().await;
    let (mut alice, _) = Signaling::join(&server, Family::Type, ROOM, ALICE).await;
    // A socket that stays open and is never read again: no ping of the server is answered.
    let _silent = Signaling::join(&server, Family::Type, ROOM, BOB).await;
    alice.receive("newParticipantArrived").await;
    let left = alice.receive_within("participantLeft", Duration::from_secs(30)).await;
    assert_eq!(left["userId"], BOB);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_frees_everything() {
    let server = Server::start().await;
    let within = Duration::from_secs(10);
    {
        let (mut alice, publishing, _media) = publish(&server, Family::Id, ALICE).await;
        let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
        let mut watching = subscribe(&mut bob, ALICE, |answer| answer).await;
        watching.connected().await;
        watching.packet(VP8_PAYLOAD_TYPE).await;
        for (metric, value) in [
            ("patchbay_rooms", 1.0),
            ("patchbay_participants", 2.0),
            ("patchbay_peers", 2.0),
        ] {
            server.until_metric(metric, value, within).await;
        }
        alice.send(serde_json::json!({ "id": "leaveRoom" })).await;
        assert_eq!(bob.receive("participantLeft").await["name"], ALICE.to_string());
        publishing.close().await;
        // Bob's socket closes without a goodbye: that is a leave too.
    }
    for metric in [
        "patchbay_rooms",
        "patchbay_participants",
        "patchbay_peers",
        "patchbay_sessions",
    ] {
        server.until_metric(metric, 0.0, within).await;
    }
}

/// The address of the answer's best candidate.
pub(super) fn first_candidate(answer: &str) -> SocketAddr {
    let line = answer
        .lines()
        .find(|line| line.starts_with("a=candidate:"))
        .expect("the answer has a candidate");
    let fields: Vec<&str> = line.split(' ').collect();
    SocketAddr::new(fields[4].parse().unwrap(), fields[5].parse().unwrap())
}

/// Another certificate than the client's own: every hex digit is changed.
fn forge_fingerprint(offer: &str) -> String {
    let forge = |line: &str| match line.strip_prefix("a=fingerprint:sha-256 ") {
        Some(digest) => {
            let turned: String = digest
                .chars()
                .map(|c| {
                    if c == '0' {
                        '1'
                    } else if c == ':' {
                        ':'
                    } else {
                        '0'
                    }
                })
                .collect();
            format!("a=fingerprint:sha-256 {turned}")
        }
        None => line.to_owned(),
    };
    offer.split("\r\n").map(forge).collect::<Vec<_>>().join("\r\n")
}

/// Not a packet may be lost, so `tests/run` runs this alone.
mod alone {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_room_that_outgrows_a_worker_spreads_over_the_others_and_everybody_sees_the_same() {
        let server = Server::start_with("room_subscriptions_per_worker = 2").await;
        let soon = Duration::from_secs(10);
        let (mut alice, publishing, media) = publish(&server, Family::Id, ALICE).await;
        let mut viewers = Vec::new();
        let mut ports = Vec::new();
        for user in [BOB, BOB + 1, BOB + 2] {
            let (mut session, _) = Signaling::join(&server, Family::Id, ROOM, user).await;
            let port = std::cell::Cell::new(0);
            let note_port = |answer: String| {
                port.set(first_candidate(&answer).port());
                answer
            };
            let mut peer = subscribe(&mut session, ALICE, note_port).await;
            peer.connected().await;
            ports.push(port.get());
            viewers.push((session, peer));
        }
        assert_ne!(
            ports[0], ports[1],
            "the first viewer's two subscriptions fill its worker"
        );
        for (_, peer) in &mut viewers {
            pictures_in_order(peer, 101).await;
            assert_eq!(peer.packet(OPUS_PAYLOAD_TYPE).await.payload[0], 0xfc);
        }
        server.until_metric("patchbay_media_mirrored_tracks", 2.0, soon).await;
        assert!(server.metric("patchbay_media_mirrored_packets_total").await > Some(200.0));
        server
            .until_metric("patchbay_media_mirror_dropped_packets_total", 0.0, soon)
            .await;
        drop(media);
        publishing.close().await;
        alice.send(serde_json::json!({ "id": "leaveRoom" })).await;
        server.until_metric("patchbay_media_mirrored_tracks", 0.0, soon).await;
        drop(viewers);
        server.until_metric("patchbay_media_peers", 0.0, soon).await;
        server.until_metric("patchbay_media_rooms", 0.0, soon).await;
    }
}
