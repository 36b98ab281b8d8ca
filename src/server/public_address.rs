//! The public address of this machine behind a one-to-one NAT, as STUN servers see it (RFC 8489).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter, Message};
use rtc_stun::xoraddr::XorMappedAddress;
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::config::Config;

/// Times between requests to a server that does not answer (RFC 8489 §6.2.1 doubles them, from 500 ms on).
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_millis(1_000),
    Duration::from_millis(2_000),
];

/// Time for all servers together. A start waits no longer than this where none answers.
const PATIENCE: Duration = Duration::from_secs(4);

/// The longest answer that is read: larger ones are no answers to a request as short as ours.
const ANSWER_BYTES_MAX: usize = 1_280;

/// The public addresses, one of each family at most. Empty where the configuration does not ask for them, where nothing but
/// loopback listens, or where no server answers.
pub(super) async fn find(config: &Config) -> Vec<IpAddr> {
    let media = &config.media;
    if media.public_address != "auto" || config.is_loopback_only() {
        return Vec::new();
    }
    let (v4, v6) = tokio::join!(
        first(&media.stun_servers, Ipv4Addr::UNSPECIFIED.into()),
        first(&media.stun_servers, Ipv6Addr::UNSPECIFIED.into()),
    );
    let found: Vec<IpAddr> = v4.into_iter().chain(v6).collect();
    if found.is_empty() {
        warn!(
            servers = ?media.stun_servers,
            "no STUN server has said what this machine's public address is, so clients are sent the addresses of this machine alone; \
             let UDP through to these servers, or give the public address as media.announced_addresses, and start again"
        );
    } else {
        info!(
            ?found,
            "STUN servers have said what this machine's public addresses are"
        );
    }
    found
}

/// The address that the first server sees which answers over the family of `local`.
async fn first(servers: &[String], local: IpAddr) -> Option<IpAddr> {
    let mut answers: FuturesUnordered<_> = servers.iter().map(|server| seen_by(server, local)).collect();
    let first = async {
        while let Some(answer) = answers.next().await {
            if let Ok(ip) = answer {
                return Some(ip);
            }
        }
        None
    };
    timeout(PATIENCE, first).await.ok().flatten()
}

/// The address that `server` sees.
async fn seen_by(server: &str, local: IpAddr) -> io::Result<IpAddr> {
    let no_address = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut addresses = lookup_host(server).await?;
    let server = addresses
        .find(|address| address.is_ipv4() == local.is_ipv4())
        .ok_or_else(no_address)?;
    let socket = UdpSocket::bind((local, 0)).await?;
    socket.connect(server).await?;
    let mut request = Message::new();
    request.set_type(BINDING_REQUEST);
    request.new_transaction_id().map_err(io::Error::other)?;
    request.write_header();
    for pause in PAUSES {
        socket.send(&request.raw).await?;
        tokio::select! {
            answer = answer(&socket, &request) => return answer,
            () = sleep(pause) => {}
        }
    }
    answer(&socket, &request).await
}

async fn answer(socket: &UdpSocket, request: &Message) -> io::Result<IpAddr> {
    let mut datagram = [0; ANSWER_BYTES_MAX];
    loop {
        let length = socket.recv(&mut datagram).await?;
        if let Some(address) = datagram.get(..length).and_then(|answer| mapped(answer, request)) {
            return Ok(address.ip());
        }
    }
}

/// The address in the answer to `request`. Nothing where it is no such answer, or names an address that nobody can send to.
fn mapped(datagram: &[u8], request: &Message) -> Option<SocketAddr> {
    let mut answer = Message::new();
    answer.unmarshal_binary(datagram).ok()?;
    if answer.typ != BINDING_SUCCESS || answer.transaction_id != request.transaction_id {
        return None;
    }
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&answer).ok()?;
    let can_be_reached = !mapped.ip.is_unspecified() && !mapped.ip.is_multicast();
    can_be_reached.then(|| SocketAddr::new(mapped.ip, mapped.port))
}

#[cfg(test)]
mod tests {
    use rtc_stun::message::{BINDING_ERROR, TransactionId};
    use tokio::time::Instant;

    use super::*;
    use crate::config::Listener;

    const PUBLIC: &str = "203.0.113.7";

    /// A STUN server on loopback.
    struct StunServer {
        socket: UdpSocket,
        name: String,
    }

    impl StunServer {
        async fn new() -> StunServer {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let name = socket.local_addr().unwrap().to_string();
            StunServer { socket, name }
        }

        async fn request(&self) -> (Message, SocketAddr) {
            let mut datagram = [0; 1_500];
            let (length, from) = self.socket.recv_from(&mut datagram).await.unwrap();
            let mut request = Message::new();
            request.unmarshal_binary(&datagram[..length]).unwrap();
            assert_eq!(request.typ, BINDING_REQUEST);
            (request, from)
        }

        /// Answers the next request.
        async fn answers(&self, ip: &str) {
            let (request, from) = self.request().await;
            self.socket.send_to(&answer_to(&request, ip).raw, from).await.unwrap();
        }
    }

    fn answer_to(request: &Message, ip: &str) -> Message {
        let mut answer = Message::new();
        let ip = ip.parse().unwrap();
        let mapped = XorMappedAddress { ip, port: 4_711 };
        answer.transaction_id = request.transaction_id;
        answer.set_type(BINDING_SUCCESS);
        answer
            .build(&[
                Box::new(request.transaction_id),
                Box::new(BINDING_SUCCESS),
                Box::new(mapped),
            ])
            .unwrap();
        answer
    }

    /// A server for everybody that asks these for its public address.
    fn asking(servers: &[&StunServer]) -> Config {
        let mut config = Config {
            listeners: vec![Listener {
                address: ([0, 0, 0, 0], 443).into(),
                tls: true,
            }],
            ..Config::default()
        };
        config.media.public_address = "auto".to_owned();
        config.media.stun_servers = servers.iter().map(|server| server.name.clone()).collect();
        config
    }

    fn public() -> Vec<IpAddr> {
        vec![PUBLIC.parse().unwrap()]
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let (silent, server) = (StunServer::new().await, StunServer::new().await);
        let config = asking(&[&silent, &server]);
        let (found, ()) = tokio::join!(find(&config), server.answers(PUBLIC));
        assert_eq!(found, public());
    }

    #[tokio::test]
    async fn a_lost_request_is_sent_again() {
        let server = StunServer::new().await;
        let config = asking(&[&server]);
        let lossy = async {
            server.request().await;
            server.answers(PUBLIC).await;
        };
        let (found, ()) = tokio::join!(find(&config), lossy);
        assert_eq!(found, public());
    }

    #[tokio::test]
    async fn what_is_no_answer_to_the_request_is_not_believed() {
        let server = StunServer::new().await;
        let config = asking(&[&server]);
        let liar = async {
            let (request, from) = server.request().await;
            let send = async |answer: &[u8]| server.socket.send_to(answer, from).await.unwrap();
            let mut others = answer_to(&request, "198.51.100.1");
            others.transaction_id = TransactionId::new();
            others.write_transaction_id();
            send(&others.raw).await;
            let mut error = answer_to(&request, "198.51.100.2");
            error.set_type(BINDING_ERROR);
            send(&error.raw).await;
            let whole = answer_to(&request, "198.51.100.3");
            send(&whole.raw[..whole.raw.len() - 1]).await;
            for nowhere in ["0.0.0.0", "224.0.0.1"] {
                send(&answer_to(&request, nowhere).raw).await;
            }
            send(b"").await;
            send(&answer_to(&request, PUBLIC).raw).await;
        };
        let (found, ()) = tokio::join!(find(&config), liar);
        assert_eq!(found, public());
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_does_not_wait_for_ever() {
        let server = StunServer::new().await;
        let since = Instant::now();
        assert!(find(&asking(&[&server])).await.is_empty());
        assert!(since.elapsed() <= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_unless_it_is_wanted() {
        let server = StunServer::new().await;
        let mut off = asking(&[&server]);
        off.media.public_address = "off".to_owned();
        let mut loopback = asking(&[&server]);
        loopback.listeners = Config::default().listeners;
        for config in [off, loopback] {
            assert!(find(&config).await.is_empty());
            assert!(server.socket.try_recv_from(&mut [0; 1_500]).is_err());
        }
    }
}
