//! Media by TCP (RFC 6544): clients that no UDP reaches, slow ones, and whoever else connects there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::peer::{OPUS_PAYLOAD_TYPE, PATIENCE, Peer, VP8_PAYLOAD_TYPE, redirect_candidates};
use super::scenarios::{Media, pictures_in_order, publish_in, subscribe, video_count};
use super::signaling::{Family, Signaling};
use super::tcp_relay::{TcpRelay, connect, framed};
use crate::support::server::Server;
use crate::worker::media_client::connectivity_check;

const ALICE: u64 = 11;
const BOB: u64 = 22;
const CAROL: u64 = 33;
const ROOM: u64 = 7;

/// The time after which the server closes a connection that has named nobody, and a second or two for a busy machine.
const UNNAMED_ENDS: Duration = Duration::from_secs(8);

/// The addresses of the answer's candidates by TCP, in their order.
fn tcp_candidates(answer: &str) -> Vec<SocketAddr> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.strip_prefix("a=candidate:")?.split(' ').collect();
        let address =
            (fields[2] == "tcp").then(|| SocketAddr::new(fields[4].parse().unwrap(), fields[5].parse().unwrap()));
        address.inspect(|_| assert_eq!(fields[6..], ["typ", "host", "tcptype", "passive"]))
    };
    answer.lines().filter_map(of_line).collect()
}

/// The answer with no way but this one.
fn only_by(answer: &str, relay: SocketAddr) -> String {
    let lines = answer.split_inclusive("\r\n");
    let by_udp: String = lines.filter(|line| !line.contains(" tcptype passive")).collect();
    redirect_candidates(&by_udp, relay)
}

/// The answer to an offer, with no way but the TCP candidate of this place.
async fn accept_by_tcp(peer: &Peer, answer: &str, place: usize) -> TcpRelay {
    let relay = TcpRelay::to(tcp_candidates(answer)[place]).await;
    peer.accept(&only_by(answer, relay.address)).await;
    relay
}

async fn publish_by_tcp(server: &Server, place: usize) -> (Signaling, Peer, Media, TcpRelay) {
    let (mut signaling, _) = Signaling::join(server, Family::Id, ROOM, ALICE).await;
    let mut peer = Peer::new().await;
    let (audio, video) = (peer.add_audio(1).await, peer.add_video(2).await);
    let offer = peer.offer().await;
    let answer = signaling.negotiate(ALICE, &offer).await;
    let relay = accept_by_tcp(&peer, &answer, place).await;
    peer.connected().await;
    (signaling, peer, Media::start(audio, video), relay)
}

/// An offer that promises no feedback about single packets. Then nobody estimates the path, and a busy machine pauses no video.
fn without_transport_feedback(offer: &str) -> String {
    let is_kept = |line: &&str| !line.contains("transport-wide-cc") && !line.contains(" transport-cc");
    offer.split_inclusive("\r\n").filter(is_kept).collect()
}

async fn watch_by_tcp(server: &Server, user: u64, place: usize) -> (Signaling, Peer, TcpRelay) {
    let (mut signaling, _) = Signaling::join(server, Family::Type, ROOM, user).await;
    let mut peer = Peer::new().await;
    peer.receive().await;
    let offer = without_transport_feedback(&peer.offer().await);
    let answer = signaling.negotiate(ALICE, &offer).await;
    let relay = accept_by_tcp(&peer, &answer, place).await;
    peer.connected().await;
    (signaling, peer, relay)
}

fn sound_count(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[1..5].try_into().unwrap())
}

/// The addresses for TCP, as any answer has them: the port of its own, that of the pages, and by IPv6.
async fn addresses(server: &Server) -> Vec<SocketAddr> {
    let (mut signaling, _) = Signaling::join(server, Family::Id, ROOM, CAROL).await;
    let mut peer = Peer::new().await;
    peer.add_audio(5).await;
    let offer = peer.offer().await;
    let answer = signaling.negotiate(CAROL, &offer).await;
    tcp_candidates(&answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn media_flows_by_tcp_alone_on_a_port_of_its_own_and_on_that_of_the_pages_and_by_ipv6() {
    let server = Server::start_with("tcp = true").await;
    let places = addresses(&server).await;
    let pages: SocketAddr = format!("127.0.0.1:{}", server.page("").rsplit_once(':').unwrap().1)
        .parse()
        .unwrap();
    assert!(
        places[0].is_ipv4() && places[0] != pages && places[1] == pages,
        "{places:?}"
    );
    assert!(places[2].is_ipv6(), "{places:?}");
    for place in 0..3 {
        let (_alice, _publishing, _media, _relay) = publish_by_tcp(&server, place).await;
        let (_bob, mut peer, _other_relay) = watch_by_tcp(&server, BOB, place).await;
        pictures_in_order(&mut peer, 100).await;
        peer.packet(OPUS_PAYLOAD_TYPE).await;
        server.until_metric("patchbay_media_tcp_peers", 2.0, PATIENCE).await;
        drop((_alice, _bob));
        server
            .until_metric("patchbay_media_tcp_connections", 0.0, PATIENCE)
            .await;
    }
    assert_eq!(
        server.metric("patchbay_media_tcp_refused_connections_total").await,
        Some(0.0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_moves_from_udp_to_tcp_and_back_by_ice_restart() {
    let server = Server::start_with("tcp = true").await;
    let (_alice, _publishing, _media) = publish_in(&server, Family::Id, ROOM, ALICE).await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = subscribe(&mut bob, ALICE, |answer| answer).await;
    peer.connected().await;
    let before = peer.packet(VP8_PAYLOAD_TYPE).await;
    let mut relay = None;
    for by_tcp in [true, false] {
        peer.restart_ice().await;
        let offer = peer.offer().await;
        let answer = bob.negotiate(ALICE, &offer).await;
        let old = match by_tcp {
            true => relay.replace(accept_by_tcp(&peer, &answer, 0).await),
            false => {
                peer.accept(&answer).await;
                relay.take()
            }
        };
        server
            .until_metric("patchbay_media_tcp_peers", f64::from(u8::from(by_tcp)), PATIENCE)
            .await;
        drop(old);
        for _ in 0..100 {
            let after = peer.packet(VP8_PAYLOAD_TYPE).await;
            assert_eq!(after.header.ssrc, before.header.ssrc);
        }
    }
    server
        .until_metric("patchbay_media_tcp_connections", 0.0, PATIENCE)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_old_video_and_no_sound_and_holds_up_nobody() {
    let server = Server::start_with("tcp = true").await;
    let (_alice, _publishing, _media) = publish_in(&server, Family::Id, ROOM, ALICE).await;
    let (_bob, mut slow, relay) = watch_by_tcp(&server, BOB, 0).await;
    let (mut carol, _) = Signaling::join(&server, Family::Id, ROOM, CAROL).await;
    let mut other = subscribe(&mut carol, ALICE, |answer| answer).await;
    other.connected().await;
    other.packet(VP8_PAYLOAD_TYPE).await;
    slow.packet(VP8_PAYLOAD_TYPE).await;

    relay.read(false);
    // Of what comes by UDP, a busy machine may lose a packet or two.
    let (mut first, mut last) = (None, None);
    for _ in 0..250 {
        let count = video_count(&other.packet(VP8_PAYLOAD_TYPE).await.payload);
        first.get_or_insert(count);
        last = last.max(Some(count));
    }
    let lost = (last.unwrap() + 1 - first.unwrap()).saturating_sub(250);
    assert!(lost <= 5, "{lost} of 250");
    server.until_metric("patchbay_media_tcp_peers", 1.0, PATIENCE).await;
    let dropped = server.metric("patchbay_media_tcp_dropped_packets_total").await;
    assert!(dropped > Some(50.0), "{dropped:?}");
    relay.read(true);

    // The newest picture comes after all sound that has waited, and a second of pictures at most.
    let (mut sounds, mut pictures) = (Vec::new(), BTreeSet::new());
    while pictures.last() < last.map(|last| last + 100).as_ref() {
        let packet = slow.any_packet().await;
        match packet.header.payload_type {
            OPUS_PAYLOAD_TYPE => sounds.push(sound_count(&packet.payload)),
            VP8_PAYLOAD_TYPE => {
                pictures.insert(video_count(&packet.payload));
            }
            _ => {}
        }
    }
    let first = sounds[0];
    let expected = first..first + sounds.len() as u32;
    assert!(sounds.iter().copied().eq(expected), "all sound in order: {sounds:?}");
    let missing = pictures.last().unwrap() - pictures.first().unwrap() + 1 - pictures.len() as u32;
    assert!(missing > 50 && sounds.len() > 300, "{missing} of {pictures:?}");
}

async fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let mut some = [0; 64];
    matches!(timeout(within, stream.read(&mut some)).await, Ok(Ok(0) | Err(_)))
}

/// A check that is well formed, for a connection that nobody has, on the first worker.
fn foreign_check() -> Vec<u8> {
    framed(&connectivity_check(
        "AAforeignufrag:theirs",
        "some-password-of-somebody",
        true,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_name_a_client_is_closed_at_once_or_in_time_and_others_are_unharmed() {
    let server = Server::start_with("tcp = true\n[log]\nfilter = \"patchbay=debug\"").await;
    let (_alice, _publishing, _media) = publish_in(&server, Family::Id, ROOM, ALICE).await;
    let (_bob, mut peer, _relay) = watch_by_tcp(&server, BOB, 0).await;
    let check = foreign_check();
    let (nowhere, own, pages) = {
        let mut elsewhere = foreign_check();
        elsewhere.clone_from(&framed(&connectivity_check(
            "//foreignufrag:theirs",
            "some-password",
            true,
        )));
        let places = addresses(&server).await;
        (elsewhere, places[0], places[1])
    };
    let mut spoiled = check.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    let at_once: [(&str, &[u8]); 7] = [
        ("a null packet", &[0, 0]),
        ("the longest length", &[0xff, 0xff]),
        ("a length above the bound", &[8, 1, 0, 1]),
        ("RTP", &[0, 100, 0x80, 96, 0, 0]),
        ("a check for nobody", &check),
        ("a check for a worker that is not there", &nowhere),
        ("a check with a wrong FINGERPRINT", &spoiled),
    ];
    for address in [own, pages] {
        for (what, bytes) in at_once {
            // On the port of the pages, these are the beginning of nothing at all, which TLS answers.
            let mut stream = connect(address).await;
            stream.write_all(bytes).await.unwrap();
            let started = Instant::now();
            while !is_closed(&mut stream, UNNAMED_ENDS).await {
                assert!(started.elapsed() < UNNAMED_ENDS, "{what} at {address}");
            }
            assert!(started.elapsed() < Duration::from_secs(3), "{what} at {address}");
        }
        assert!(peer.packet(VP8_PAYLOAD_TYPE).await.payload.len() > 900);
    }
    // A byte a second, half a check, and nothing at all.
    let mut slow = connect(own).await;
    let (mut half, mut silent, mut half_at_pages) = (connect(own).await, connect(own).await, connect(pages).await);
    half.write_all(&check[..30]).await.unwrap();
    half_at_pages.write_all(&check[..30]).await.unwrap();
    let started = Instant::now();
    for byte in &check {
        if slow.write_all(&[*byte]).await.is_err() || is_closed(&mut slow, Duration::from_millis(700)).await {
            break;
        }
    }
    assert!(started.elapsed() < UNNAMED_ENDS, "{:?}", started.elapsed());
    for stream in [&mut half, &mut silent, &mut half_at_pages] {
        assert!(is_closed(stream, UNNAMED_ENDS.saturating_sub(started.elapsed())).await);
    }
    peer.packet(VP8_PAYLOAD_TYPE).await;
    assert_eq!(
        server.metric("patchbay_media_tcp_refused_connections_total").await,
        Some(2.0)
    );
    let log = server.log();
    assert_eq!(log.matches("its first check is not authentic").count(), 2, "{log}");
    let unnamed = server.metric("patchbay_media_tcp_unnamed_connections_total").await;
    assert!(unnamed >= Some(12.0), "{unnamed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_wrong_length_after_its_first_check_loses_that_connection() {
    let server = Server::start_with("tcp = true").await;
    let (mut bob, _) = Signaling::join(&server, Family::Id, ROOM, BOB).await;
    let mut peer = Peer::new().await;
    peer.add_audio(5).await;
    let offer = peer.offer().await;
    let answer = bob.negotiate(BOB, &offer).await;
    let attribute = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().to_owned()
    };
    let username = [attribute(&answer, "a=ice-ufrag:"), attribute(&offer, "a=ice-ufrag:")].join(":");
    let check = framed(&connectivity_check(&username, &attribute(&answer, "a=ice-pwd:"), false));
    let mut stream = connect(tcp_candidates(&answer)[0]).await;
    stream.write_all(&check).await.unwrap();
    let mut answered = [0; 64];
    stream.read_exact(&mut answered).await.unwrap();
    assert_eq!(answered[2..4], [1, 1], "a binding success");
    // Null packets say nothing, and harm nothing.
    stream.write_all(&[0; 100]).await.unwrap();
    stream.write_all(&check).await.unwrap();
    let mut more = [0; 64];
    stream.read_exact(&mut more).await.unwrap();
    server
        .until_metric("patchbay_media_tcp_connections", 1.0, PATIENCE)
        .await;
    server
        .until_metric("patchbay_media_known_addresses", 1.0, PATIENCE)
        .await;
    stream.write_all(&[0xff, 0xff]).await.unwrap();
    while !is_closed(&mut stream, PATIENCE).await {}
    server
        .until_metric("patchbay_media_known_addresses", 0.0, Duration::from_secs(5))
        .await;
    server
        .until_metric("patchbay_media_tcp_connections", 0.0, PATIENCE)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_without_end_keep_out_nobody() {
    let server = Server::start_with("tcp = true\n[http]\nmax_connections = 24").await;
    let (_alice, _publishing, _media) = publish_in(&server, Family::Id, ROOM, ALICE).await;
    let places = addresses(&server).await;
    let mut flood = Vec::new();
    for number in 0..400 {
        let mut stream = connect(places[number % 2]).await;
        // On the port of the pages a byte shows that it is for media.
        let _ = stream.write_all(&[0]).await;
        flood.push(stream);
    }
    let (_bob, mut peer, _relay) = watch_by_tcp(&server, BOB, 0).await;
    peer.packet(VP8_PAYLOAD_TYPE).await;
    let (_carol, mut peer, _other_relay) = watch_by_tcp(&server, CAROL, 1).await;
    peer.packet(VP8_PAYLOAD_TYPE).await;
}
