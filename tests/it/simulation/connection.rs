//! A client's end of one WebRTC connection, as light as it can be: connectivity checks, a DTLS handshake that repeats its
//! flights, ICE restarts, one video track up, one down, or both.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use patchbay::media::peer::dtls::{Dtls, DtlsIdentity, DtlsProgress};
use patchbay::media::peer::srtp::{Inbound, Outbound, contexts};
use patchbay::media::rtcp;
use patchbay::media::rtp::Header;
use patchbay::media::session::{DtlsRole, Fingerprint, FingerprintHash};

use super::streams::{Sink, Source, Stamp};
use crate::netsim::network::Datagram;
use crate::worker::media_client::{VIDEO_PT, connectivity_check};

/// Intervals of libwebrtc: often until the first answer, then every 2.5 s, and more often when the last ones got no answer.
const FIRST_CHECKS: Duration = Duration::from_millis(100);
const CHECKS: Duration = Duration::from_millis(2_500);
const ANXIOUS_CHECKS: Duration = Duration::from_millis(500);
const ANXIOUS_AFTER: Duration = Duration::from_secs(3);
/// The silence after which a client restarts ICE. Browsers say "failed" after 15 s or more, and then pages restart ICE. A
/// shorter time makes runs shorter.
const RESTART_AFTER: Duration = Duration::from_secs(8);

const CHECK_ANSWERED: [u8; 2] = [0x01, 0x01];
/// The transaction id in a STUN message.
const TRANSACTION: Range<usize> = 8..20;

pub struct Connection {
    pub address: SocketAddr,
    /// Session id of its offers, and the name of its section.
    pub number: u32,
    /// The number of offers so far.
    offers: u32,
    pub offered_at: Instant,
    ufrag: String,
    former_ufrag: String,
    server: Option<Server>,
    identity: DtlsIdentity,
    dtls: Option<Dtls>,
    secure: Option<(Outbound, Inbound)>,
    connected_at: Option<Instant>,
    /// The time at which the handshake began.
    shaking_since: Option<Instant>,
    next_check: Instant,
    /// The time at which something last came back; an offer sets it anew.
    last_answer: Instant,
    /// The time at which a check was last answered.
    answered_at: Instant,
    /// Checks that are to be sent once it is known that others are answered: user and password.
    former_checks: Vec<(String, String)>,
    /// Transaction ids of checks that must not be answered.
    refused: Vec<Vec<u8>>,
    pub source: Option<Source>,
    pub sink: Option<Sink>,
    /// Whether nothing that could lose a packet has happened on its way, or at its worker.
    pub is_clean: bool,
    /// Whether the server has ended it.
    ended: bool,
}

/// The server's part of an answer.
struct Server {
    address: SocketAddr,
    ufrag: String,
    password: String,
    fingerprint: Vec<u8>,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    Begins,
    /// It goes on under the keys that it has.
    GoesOn,
    /// It has had keys, and needs others; it was not heard for so long.
    BeginsAnew(Duration),
}

/// The contents of a datagram that arrived.
pub enum Arrived {
    Nothing,
    Connected,
    Media(Stamp),
}

impl Connection {
    pub fn new(now: Instant, address: SocketAddr, number: u32, identity: &DtlsIdentity, is_clean: bool) -> Connection {
        Connection {
            address,
            number,
            offers: 0,
            offered_at: now,
            ufrag: String::new(),
            former_ufrag: String::new(),
            server: None,
            identity: identity.clone(),
            dtls: None,
            secure: None,
            connected_at: None,
            shaking_since: None,
            next_check: now,
            last_answer: now,
            answered_at: now,
            former_checks: Vec::new(),
            refused: Vec::new(),
            source: None,
            sink: None,
            is_clean,
            ended: false,
        }
    }

    fn password(&self) -> String {
        format!("password-of-{:012}", self.number)
    }

    /// The next offer; from the second on it restarts ICE.
    pub fn offer(&mut self, now: Instant) -> String {
        self.offers += 1;
        let ufrag = format!("c{}g{}", self.number, self.offers);
        self.former_ufrag = std::mem::replace(&mut self.ufrag, ufrag);
        self.offered_at = now;
        self.last_answer = now;
        let direction = match (&self.source, &self.sink) {
            (Some(_), Some(_)) => "sendrecv",
            (Some(_), None) => "sendonly",
            _ => "recvonly",
        };
        let digits: Vec<String> = self
            .identity
            .fingerprint
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let announced = self
            .source
            .as_ref()
            .map_or_else(String::new, |source| format!("a=ssrc:{} cname:camera\r\n", source.ssrc));
        format!(
            "v=0\r\no=- {0} {1} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE c{0}\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PT}\r\nc=IN IP4 0.0.0.0\r\na=mid:c{0}\r\n\
            a=ice-ufrag:{2}\r\na=ice-pwd:{3}\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {4}\r\n\
            a=setup:actpass\r\na=rtcp-mux\r\na={direction}\r\na=rtpmap:{VIDEO_PT} VP8/90000\r\n\
            a=rtcp-fb:{VIDEO_PT} nack\r\na=rtcp-fb:{VIDEO_PT} nack pli\r\n{announced}",
            self.number,
            self.offers,
            self.ufrag,
            self.password(),
            digits.join(":")
        )
    }

    /// Whether an answer is to an offer of this connection: then it names the section as the offer does.
    pub fn is_answered_by(&self, answer: &str) -> bool {
        answer.contains(&format!("a=mid:c{}\r\n", self.number))
    }

    /// The keys stay where the server's certificate is the same (RFC 8842 §4).
    pub fn accept(&mut self, now: Instant, answer: &str) -> Accepted {
        let server = Server::read(answer).unwrap_or_else(|| panic!("not an answer: {answer}"));
        let before = self.server.take();
        let is_other = before
            .as_ref()
            .is_some_and(|before| before.fingerprint != server.fingerprint);
        let accepted = match before {
            Some(_) if is_other && self.is_connected() => Accepted::BeginsAnew(now - self.answered_at),
            Some(_) if self.is_connected() => Accepted::GoesOn,
            _ => Accepted::Begins,
        };
        if self.ended || is_other {
            self.dtls = None;
            self.secure = None;
            self.connected_at = None;
            self.ended = false;
        }
        if let Some(before) = before {
            self.try_former(&before, &server);
        }
        self.server = Some(server);
        self.next_check = now;
        accepted
    }

    /// After a restart nothing of the earlier credentials is valid any more: not the client's user, not the server's, and not
    /// both of them with the server's password (RFC 8445 §9).
    fn try_former(&mut self, before: &Server, server: &Server) {
        let user = |server: &Server, own: &str| format!("{}:{own}", server.ufrag);
        self.former_checks = vec![
            (user(server, &self.former_ufrag), server.password.clone()),
            (user(before, &self.ufrag), server.password.clone()),
            (user(before, &self.former_ufrag), before.password.clone()),
        ];
    }

    /// The number of checks sent that must not be answered.
    pub fn refused_checks(&self) -> u64 {
        self.refused.len() as u64
    }

    /// The server's user in checks.
    pub fn server_user(&self) -> Option<&str> {
        Some(&self.server.as_ref()?.ufrag)
    }

    pub fn server(&self) -> Option<SocketAddr> {
        Some(self.server.as_ref()?.address)
    }

    pub fn is_connected(&self) -> bool {
        self.secure.is_some() && !self.ended
    }

    /// Whether its handshake began before that time, and is not done.
    pub fn was_shaking_at(&self, time: Instant) -> bool {
        let is_shaking = self.dtls.is_some() && self.secure.is_none();
        is_shaking && self.shaking_since.is_some_and(|since| since <= time)
    }

    /// Whether it has been connected since that time, under the same keys.
    pub fn was_connected_at(&self, time: Instant) -> bool {
        self.is_connected() && self.connected_at.is_some_and(|at| at <= time)
    }

    /// Whether a check was answered since that time.
    pub fn was_answered_since(&self, time: Instant) -> bool {
        self.last_answer >= time
    }

    /// Sends its next check at that time.
    pub fn check_at(&mut self, time: Instant) {
        self.next_check = time;
    }

    /// Whether nothing comes back any more, so that a page would restart ICE.
    pub fn wants_restart(&self, now: Instant) -> bool {
        self.server.is_some() && (self.ended || now.duration_since(self.last_answer) >= RESTART_AFTER)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.server.as_ref()?;
        let flights = self.dtls.as_ref().filter(|_| self.secure.is_none());
        let flight = flights.and_then(Dtls::poll_timeout);
        let frame = self.source.as_ref().filter(|_| self.is_connected());
        let frame = frame.map(|source| source.next_frame);
        [Some(self.next_check), flight, frame].into_iter().flatten().min()
    }

    /// Sends everything that is due by now.
    pub fn handle_timeout(&mut self, now: Instant, now_ms: u64, send: &mut dyn FnMut(Datagram)) {
        let Some(server) = &self.server else { return };
        let (from, to) = (self.address, server.address);
        if now >= self.next_check {
            let silence = now.duration_since(self.last_answer);
            let pause = match &self.dtls {
                None => FIRST_CHECKS,
                Some(_) if silence >= ANXIOUS_AFTER => ANXIOUS_CHECKS,
                Some(_) => CHECKS,
            };
            self.next_check = now + pause;
            let username = format!("{}:{}", server.ufrag, self.ufrag);
            let bytes = connectivity_check(&username, &server.password, true);
            send(Datagram { from, to, bytes });
        }
        if let (Some(dtls), None) = (&mut self.dtls, &self.secure)
            && dtls.poll_timeout().is_some_and(|due| due <= now)
        {
            // An error is seen by the media that are missing.
            let _ = dtls.handle_timeout(now);
        }
        self.flush(send);
        if let (Some((outbound, _)), Some(source), false) = (&self.secure, &mut self.source, self.ended)
            && now >= source.next_frame
        {
            let bytes = source.frame(now, now_ms, outbound);
            send(Datagram { from, to, bytes });
        }
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant, send: &mut dyn FnMut(Datagram)) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
        self.flush(send);
        self.ended = true;
    }

    fn flush(&mut self, send: &mut dyn FnMut(Datagram)) {
        let (Some(dtls), Some(server)) = (&mut self.dtls, &self.server) else {
            return;
        };
        while let Some(bytes) = dtls.poll_transmit() {
            send(Datagram {
                from: self.address,
                to: server.address,
                bytes: bytes.to_vec(),
            });
        }
    }

    pub fn receive(&mut self, now: Instant, datagram: &Datagram, send: &mut dyn FnMut(Datagram)) -> Arrived {
        let transaction = datagram.bytes.get(TRANSACTION);
        let is_refused = self
            .refused
            .iter()
            .any(|refused| Some(refused.as_slice()) == transaction);
        assert!(!is_refused, "a check under credentials of before a restart is answered");
        match datagram.bytes.first() {
            Some(0..=3) if datagram.bytes.starts_with(&CHECK_ANSWERED) => self.answered(now, send),
            Some(20..=63) => return self.receive_dtls(now, datagram, send),
            Some(128..=191) => return self.receive_media(datagram, send),
            _ => {}
        }
        Arrived::Nothing
    }

    fn answered(&mut self, now: Instant, send: &mut dyn FnMut(Datagram)) {
        self.last_answer = now;
        self.answered_at = now;
        // Something gets through now.
        if let Some(to) = self.server() {
            for (username, password) in std::mem::take(&mut self.former_checks) {
                let (from, bytes) = (self.address, connectivity_check(&username, &password, true));
                self.refused.extend(bytes.get(TRANSACTION).map(<[u8]>::to_vec));
                send(Datagram { from, to, bytes });
            }
        }
        let Some(server) = self.server.as_ref().filter(|_| self.dtls.is_none()) else {
            return;
        };
        let expected = Fingerprint {
            hash: FingerprintHash::Sha256,
            digest: server.fingerprint.as_slice().into(),
        };
        let mut dtls = Dtls::new(self.identity.clone(), DtlsRole::Client, vec![expected]);
        dtls.start(now).expect("a client's hello");
        self.dtls = Some(dtls);
        self.shaking_since = Some(now);
        self.next_check = now + CHECKS;
        self.flush(send);
    }

    fn receive_dtls(&mut self, now: Instant, datagram: &Datagram, send: &mut dyn FnMut(Datagram)) -> Arrived {
        let Some(dtls) = &mut self.dtls else {
            return Arrived::Nothing;
        };
        let progress = dtls.receive(now, &datagram.bytes);
        self.flush(send);
        match progress {
            Ok(DtlsProgress::Established {
                profile,
                exported,
                we_are_client,
            }) => {
                self.secure = contexts(profile, &exported, we_are_client);
                self.connected_at = Some(now);
                if let Some(source) = &mut self.source {
                    source.begin(now);
                }
                Arrived::Connected
            }
            Ok(DtlsProgress::Closed) => {
                self.ended = true;
                Arrived::Nothing
            }
            Ok(DtlsProgress::Pending) | Err(_) => Arrived::Nothing,
        }
    }

    fn receive_media(&mut self, datagram: &Datagram, send: &mut dyn FnMut(Datagram)) -> Arrived {
        let Some((outbound, inbound)) = &mut self.secure else {
            return Arrived::Nothing;
        };
        let mut bytes = datagram.bytes.clone();
        if matches!(bytes[1], 192..=223) {
            let Ok(len) = inbound.open_rtcp(&mut bytes) else {
                return Arrived::Nothing;
            };
            if let Some(source) = &mut self.source {
                for repeated in source.take_feedback(&bytes[..len]) {
                    send(Datagram {
                        from: datagram.to,
                        to: datagram.from,
                        bytes: repeated,
                    });
                }
            }
            return Arrived::Nothing;
        }
        let Some(header) = Header::parse(&bytes) else {
            return Arrived::Nothing;
        };
        // It is a repetition that the network made.
        let Ok(len) = inbound.open_rtp(&mut bytes, &header) else {
            return Arrived::Nothing;
        };
        let payload = &bytes[header.len..len];
        let stamp = Stamp::read(payload).unwrap_or_else(|| panic!("not what anybody has sent: {payload:?}"));
        if let Some(sink) = &mut self.sink {
            let missing = sink.missing_before(header.sequence);
            if !missing.is_empty() {
                let mut compound = Vec::new();
                rtcp::write_receiver_report(&mut compound, 7, &[]);
                rtcp::write_nack(&mut compound, 7, header.ssrc, &missing);
                outbound.seal_rtcp(&mut compound);
                send(Datagram {
                    from: datagram.to,
                    to: datagram.from,
                    bytes: compound,
                });
            }
        }
        Arrived::Media(stamp)
    }
}

impl Server {
    fn read(answer: &str) -> Option<Server> {
        let find = |prefix: &str| answer.lines().find_map(|line| line.trim_end().strip_prefix(prefix));
        let mut candidate = find("a=candidate:")?.split(' ');
        let ip = candidate.nth(4)?.parse().ok()?;
        let port = candidate.next()?.parse().ok()?;
        Some(Server {
            address: SocketAddr::new(ip, port),
            ufrag: find("a=ice-ufrag:")?.to_owned(),
            password: find("a=ice-pwd:")?.to_owned(),
            fingerprint: hex::decode(find("a=fingerprint:sha-256 ")?.replace(':', "")).ok()?,
        })
    }
}
