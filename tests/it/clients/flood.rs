//! One client opens many sockets and offers many connections that it never makes, and somebody new comes.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::peer::Peer;
use super::signaling::{Family, Signaling};
use crate::support::server::Server;
use crate::transcripts::offers::offer;

const SOCKETS: u64 = 200;
const SOCKETS_PER_ROOM: u64 = 50;

/// The most offers of one socket; the flood lasts as long as the newcomer needs, or until these are used
/// up.
const OFFERS_PER_SOCKET: u32 = 1_000;

/// Offers to publish and to watch everybody in its room, again and again.
async fn flood(mut socket: Signaling, room: u64, user: u64, answered: Arc<AtomicU64>) {
    let first = room * SOCKETS_PER_ROOM;
    for number in 0..OFFERS_PER_SOCKET {
        let subject = first + (user + u64::from(number)) % SOCKETS_PER_ROOM;
        let direction = if subject == user { "sendonly" } else { "recvonly" };
        let sdp = offer(direction, number, false);
        let request = json!({ "type": "receiveVideoFrom", "userId": subject, "sdpOffer": sdp });
        socket.send(request).await;
        socket.receive("receiveVideoAnswer").await;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Somebody who comes from another address and publishes, with the time until that is connected.
async fn newcomer(server: &Server, user: u64) -> (Signaling, Peer, Duration) {
    let since = Instant::now();
    let from = Ipv4Addr::new(127, 0, 0, 2);
    let (mut signaling, _) = Signaling::join_from(from, server, Family::Type, user, user).await;
    let mut peer = Peer::new().await;
    let _track = peer.add_audio(user as u32).await;
    let offer = peer.offer().await;
    let answer = signaling.negotiate(user, &offer).await;
    peer.accept(&answer).await;
    peer.connected().await;
    (signaling, peer, since.elapsed())
}

/// This test and others would take each other's time, so `tests/run` runs it alone.
mod alone {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_client_with_two_hundred_sockets_and_very_many_offers_keeps_nobody_waiting() {
        const PATIENCE: Duration = Duration::from_secs(120);
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let server = Server::start().await;
        let (_, calm, calm_time) = newcomer(&server, 998).await;
        calm.close().await;
        let answered = Arc::new(AtomicU64::new(0));
        let mut sockets = Vec::new();
        for user in 0..SOCKETS {
            let room = user / SOCKETS_PER_ROOM;
            let (socket, _) = Signaling::join(&server, Family::Type, room, user).await;
            sockets.push((socket, room, user));
        }
        let mut flooding = JoinSet::new();
        for (socket, room, user) in sockets {
            flooding.spawn(flood(socket, room, user, Arc::clone(&answered)));
        }
        let displaced = || server.metric("patchbay_displaced_peers_total");
        let full = async {
            while displaced().await.is_none_or(|displaced| displaced < 100.0) {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, full).await.expect("the oldest give way");

        let offers = answered.load(Ordering::Relaxed);
        let (_signaling, peer, time) = newcomer(&server, 999).await;
        let offered = answered.load(Ordering::Relaxed) - offers;
        println!("connected after {time:?}, {calm_time:?} without the flood; {offered} offers of others meanwhile");
        assert!(time < calm_time + Duration::from_secs(2), "{time:?}");
        assert!(offered > 0 && flooding.len() == SOCKETS as usize, "the flood goes on");
        assert!(flooding.try_join_next().is_none(), "nobody of it is done");
        let connected = "patchbay_media_peers_connected_total";
        server.until_metric(connected, 2.0, Duration::from_secs(10)).await;
        let before = displaced().await;
        let more = async {
            while displaced().await == before {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, more).await.expect("the flood goes on");
        assert!(peer.is_connected(), "it stays, whoever gives way");
        flooding.abort_all();
    }
}
