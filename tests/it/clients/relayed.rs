//! Media by our relay (TURN) alone: clients that reach nothing else.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use patchbay::turn::credentials::{Credentials, Secret};
use rtc::peer_connection::configuration::{RTCConfigurationBuilder, RTCIceServer, RTCIceTransportPolicy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::peer::{OPUS_PAYLOAD_TYPE, PATIENCE, Peer, VP8_PAYLOAD_TYPE};
use super::scenarios::{Media, pictures_in_order, publish_in};
use super::signaling::{Family, Signaling};
use super::turn_bridge::{Bridge, To, tls};
use crate::support::server::Server;

const ALICE: u64 = 11;
const BOB: u64 = 22;
const ROOM: u64 = 7;
const SECRET: &str = "a secret of tests";

#[allow(clippy::disallowed_methods, reason = "the server under test has the same clock")]
fn in_ten_minutes() -> SystemTime {
    SystemTime::now() + Duration::from_secs(600)
}

/// A server that relays, with a secret that the test knows.
pub(super) struct Relaying {
    pub server: Server,
    _secret: tempfile::NamedTempFile,
}

impl Relaying {
    pub async fn start() -> Relaying {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), SECRET).unwrap();
        let path = secret.path().display();
        let settings = format!("[turn]\nrelay = \"on\"\nport = 0\nsecret_file = \"{path}\"");
        let server = Server::start_with(&settings).await;
        Relaying {
            server,
            _secret: secret,
        }
    }

    /// The address of the relay at 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        let log = self.server.log();
        let line = log
            .lines()
            .find(|line| line.starts_with("Relay (TURN) by UDP and TCP on "))
            .expect("it relays");
        let addresses = line.trim_start_matches("Relay (TURN) by UDP and TCP on ").split(", ");
        let mut addresses = addresses.map(|address| address.parse::<SocketAddr>().unwrap());
        addresses.find(SocketAddr::is_ipv4).unwrap()
    }

    /// A client that has this relay and nothing else.
    async fn peer(&self) -> Peer {
        self.peer_at(self.address()).await
    }

    async fn bridge(&self, by: By) -> Bridge {
        let certificate = self.server.certificate();
        Bridge::to(match by {
            By::Tcp => To::Tcp(self.address()),
            By::Tls => To::Tls(self.server.tls_port(), &certificate),
        })
        .await
    }

    async fn peer_at(&self, address: SocketAddr) -> Peer {
        let Credentials { username, password } = credentials(in_ten_minutes());
        let server = RTCIceServer {
            urls: vec![format!("turn:{address}?transport=udp")],
            username,
            credential: password,
        };
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(vec![server])
            .with_ice_transport_policy(RTCIceTransportPolicy::Relay);
        Peer::configured(configuration.build()).await
    }
}

/// The ways to the relay beside UDP.
#[derive(Clone, Copy)]
enum By {
    Tcp,
    Tls,
}

pub(super) fn credentials(until: SystemTime) -> Credentials {
    let expiry = until.duration_since(UNIX_EPOCH).unwrap().as_secs();
    Secret::new(SECRET.as_bytes()).issue(expiry, "test")
}

fn candidates(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| line.starts_with("a=candidate:")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_reach_the_relay_alone_publish_and_watch_by_udp() {
    let relaying = Relaying::start().await;
    publish_and_watch(&relaying, [relaying.address(); 2]).await;
    let dropped = relaying
        .server
        .metric("patchbay_media_relay_dropped_packets_total")
        .await;
    assert_eq!(dropped, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_reach_the_relay_alone_publish_and_watch_by_tcp_and_by_tls_on_the_port_of_the_pages() {
    let relaying = Relaying::start().await;
    for by in [By::Tcp, By::Tls] {
        // Each client has a connection of its own.
        let bridges = [relaying.bridge(by).await, relaying.bridge(by).await];
        publish_and_watch(&relaying, bridges.each_ref().map(|bridge| bridge.address)).await;
    }
}

async fn publish_and_watch(relaying: &Relaying, relays: [SocketAddr; 2]) {
    let server = &relaying.server;
    let (mut alice, _) = Signaling::join(server, Family::Id, ROOM, ALICE).await;
    let mut publishing = relaying.peer_at(relays[0]).await;
    let (audio, video) = (publishing.add_audio(1).await, publishing.add_video(2).await);
    let offer = publishing.offer().await;
    let of_relay = |line: &&str| line.contains("typ relay");
    assert!(
        !candidates(&offer).is_empty() && candidates(&offer).iter().all(of_relay),
        "{offer}"
    );
    let answer = alice.negotiate(ALICE, &offer).await;
    publishing.accept(&answer).await;
    publishing.connected().await;
    let _media = Media::start(audio, video);

    let (mut bob, _) = Signaling::join(server, Family::Id, ROOM, BOB).await;
    let mut watching = relaying.peer_at(relays[1]).await;
    watching.receive().await;
    let offer = watching.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    watching.accept(&answer).await;
    watching.connected().await;
    pictures_in_order(&mut watching, 2).await;
    assert_eq!(watching.packet(OPUS_PAYLOAD_TYPE).await.payload[0], 0xfc);
    server.until_metric("patchbay_media_relay_peers", 2.0, PATIENCE).await;
    assert!(server.metric("patchbay_turn_allocations").await >= Some(2.0));

    publishing.close().await;
    watching.close().await;
    server.until_metric("patchbay_turn_allocations", 0.0, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_requests_costs_nothing_that_stays_and_harms_nobody() {
    let relaying = Relaying::start().await;
    let server = &relaying.server;
    let (_alice, _publishing, _media) = publish_in(server, Family::Id, ROOM, ALICE).await;
    let (mut bob, _) = Signaling::join(server, Family::Id, ROOM, BOB).await;
    let mut watching = relaying.peer().await;
    watching.receive().await;
    let offer = watching.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    watching.accept(&answer).await;
    watching.connected().await;

    let allocations = server.metric("patchbay_turn_allocations").await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let messages = storm();
    let mut answers = 0;
    let mut buffer = [0; 1_024];
    for round in 0..10_000 {
        socket
            .send_to(&messages[round % messages.len()], relaying.address())
            .await
            .unwrap();
        while let Ok((len, _)) = socket.try_recv_from(&mut buffer) {
            assert!(len <= 128, "an answer to anybody is short: {len}");
            answers += 1;
        }
        if round % 500 == 0 {
            watching.packet(VP8_PAYLOAD_TYPE).await;
        }
    }
    assert!(answers > 0, "the first ones are answered");
    assert_eq!(server.metric("patchbay_turn_allocations").await, allocations);
    watching.packet(VP8_PAYLOAD_TYPE).await;
    let dropped = server.metrics().await;
    for why in ["unreadable", "not_permitted", "unasked"] {
        assert!(
            dropped.contains(&format!("patchbay_turn_dropped_packets_total{{why=\"{why}\"}}")),
            "{why}: {dropped}"
        );
    }
    assert!(server.log().lines().count() < 300, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_speak_something_else_or_nothing_are_closed_and_others_are_unharmed() {
    let relaying = Relaying::start().await;
    let server = &relaying.server;
    let (_alice, _publishing, _media) = publish_in(server, Family::Id, ROOM, ALICE).await;
    let (mut bob, _) = Signaling::join(server, Family::Id, ROOM, BOB).await;
    let bridge = relaying.bridge(By::Tls).await;
    let mut watching = relaying.peer_at(bridge.address).await;
    watching.receive().await;
    let offer = watching.offer().await;
    let answer = bob.negotiate(ALICE, &offer).await;
    watching.accept(&answer).await;
    watching.connected().await;

    let pages: SocketAddr = ([127, 0, 0, 1], server.tls_port()).into();
    let hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2, 3];
    for (to, bytes) in [
        (relaying.address(), hello),
        (relaying.address(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (relaying.address(), vec![0, 3, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42]),
        (relaying.address(), vec![0x40, 0, 0xff, 0xff]),
        (pages, allocate(None)),
    ] {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        assert!(is_closed(&mut stream, Duration::from_secs(5)).await, "{to} {bytes:?}");
    }
    // Within TLS, one who begins as a client of the relay and goes on as somebody else.
    let mut stream = tls(server.tls_port(), &server.certificate()).await;
    stream.write_all(&[0, 3, 0, 1]).await.unwrap();
    assert!(is_closed(&mut stream, Duration::from_secs(5)).await);
    // One byte a second, and nothing at all.
    let slow = async {
        let mut stream = TcpStream::connect(relaying.address()).await.unwrap();
        for byte in allocate(None) {
            if stream.write_all(&[byte]).await.is_err() || is_closed(&mut stream, Duration::from_secs(1)).await {
                return true;
            }
        }
        false
    };
    let silent = async {
        let mut stream = TcpStream::connect(relaying.address()).await.unwrap();
        is_closed(&mut stream, Duration::from_secs(15)).await
    };
    assert_eq!(tokio::join!(slow, silent), (true, true));
    watching.packet(VP8_PAYLOAD_TYPE).await;
    let closed = server.metrics().await;
    for why in ["no_message", "silent"] {
        assert!(
            closed.contains(&format!("patchbay_turn_closed_connections_total{{why=\"{why}\"}}")),
            "{why}: {closed}"
        );
    }
}

/// Whether the server closes a connection within some time, whatever it sends before.
async fn is_closed(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> bool {
    let mut buffer = [0; 1_024];
    let closed = async { while let Ok(1..) = stream.read(&mut buffer).await {} };
    tokio::time::timeout(within, closed).await.is_ok()
}

/// What a relay is sent by those who have no credentials for it.
fn storm() -> Vec<Vec<u8>> {
    let mut messages = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3],
        vec![0x40, 0, 0, 4, 1, 2, 3, 4],
        vec![0x40, 0, 0xff, 0xff, 1, 2, 3, 4],
        vec![0; 20],
        vec![0xff; 1_200],
    ];
    let past = credentials(UNIX_EPOCH + Duration::from_secs(1));
    let foreign = Secret::new(b"another's").issue(u64::MAX / 2, "x");
    for Credentials { username, .. } in [past, foreign] {
        messages.push(allocate(Some(&username)));
    }
    messages.push(allocate(None));
    messages
}

/// An Allocate (RFC 8656 §7.1), with somebody's name and a signature that is none.
fn allocate(username: Option<&str>) -> Vec<u8> {
    let mut attributes = vec![0, 0x19, 0, 4, 17, 0, 0, 0];
    let mut add = |typ: u16, value: &[u8]| {
        attributes.extend_from_slice(&typ.to_be_bytes());
        attributes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        attributes.extend_from_slice(value);
        attributes.resize(attributes.len().next_multiple_of(4), 0);
    };
    if let Some(username) = username {
        add(0x0006, username.as_bytes());
        add(0x0014, b"patchbay");
        add(0x0015, b"0123456789abcdef01234567");
        add(0x0008, &[7; 20]);
    }
    let head = [
        &[0, 3][..],
        &(attributes.len() as u16).to_be_bytes(),
        &[0x21, 0x12, 0xa4, 0x42],
        &[9; 12],
    ]
    .concat();
    [head, attributes].concat()
}
