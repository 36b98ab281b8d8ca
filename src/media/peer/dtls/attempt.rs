//! One handshake: the library's state for it, and what waits until the library may see it.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;

use super::inbox::Inbox;
use super::records::{self, ClientHello, Fragment, Record};
use super::{Failure, PEER};
use crate::media::session::DtlsRole;

/// Encrypted records that are kept until the keys stand. One carries the Finished message; the newest are kept.
const HELD_MAX: usize = 2;
/// A Finished message is far smaller, whatever the cipher.
const HELD_BYTES: usize = 256;
/// Encrypted records that the library gets before it has said that the handshake is done: a Finished message, and a few
/// that somebody forged. The library keeps some of them without a bound.
const PROTECTED_MAX: usize = 32;

/// What follows a client's hello with the cookie (RFC 5246 §7.3). A WebRTC client always has a certificate.
const CLIENT_FLIGHTS: &[&[u8]] = &[&[
    records::CERTIFICATE,
    records::CLIENT_KEY_EXCHANGE,
    records::CERTIFICATE_VERIFY,
]];
/// What a server says: that it wants a cookie, then who it is. A WebRTC server always asks for our certificate.
const SERVER_FLIGHTS: &[&[u8]] = &[
    &[records::HELLO_VERIFY_REQUEST],
    &[
        records::SERVER_HELLO,
        records::CERTIFICATE,
        records::SERVER_KEY_EXCHANGE,
        records::CERTIFICATE_REQUEST,
        records::SERVER_HELLO_DONE,
    ],
];

pub struct Attempt {
    endpoint: Endpoint,
    /// The random of the ClientHello; of no meaning where we are the client.
    pub random: [u8; 32],
    inbox: Inbox,
    /// The number of the next message for the library.
    next: u16,
    role: DtlsRole,
    /// The kinds of message in each flight that the other side may send in plain text.
    flights: &'static [&'static [u8]],
    /// Whether the other side's last plain-text flight is with the library, so that it has the keys.
    has_keys: bool,
    change_cipher_spec: Change,
    held: Vec<Vec<u8>>,
    protected: usize,
    /// The number of our next plain-text record for the library: a forged number must not push out the client's own.
    record: u32,
    pub outgoing: Vec<BytesMut>,
    /// The handshake messages that were sent last.
    pub last_flight: Vec<BytesMut>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Awaited,
    Arrived,
    Delivered,
}

impl Attempt {
    /// The server's side, for a client that has brought back the cookie with which `config` was made.
    pub fn server(config: HandshakeConfig, random: [u8; 32]) -> Attempt {
        let endpoint = Endpoint::new(PEER, TransportProtocol::UDP, Some(Arc::new(config)));
        Attempt::new(endpoint, random, DtlsRole::Server)
    }

    /// Sends our ClientHello. `None` if the library cannot.
    pub fn client(now: Instant, config: Arc<HandshakeConfig>) -> Option<Attempt> {
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, None);
        endpoint.connect(now, PEER, config, None).ok()?;
        let mut attempt = Attempt::new(endpoint, [0; 32], DtlsRole::Client);
        attempt.collect();
        Some(attempt)
    }

    fn new(endpoint: Endpoint, random: [u8; 32], role: DtlsRole) -> Attempt {
        Attempt {
            endpoint,
            random,
            inbox: Inbox::default(),
            next: 0,
            flights: match role {
                DtlsRole::Server => CLIENT_FLIGHTS,
                DtlsRole::Client => SERVER_FLIGHTS,
            },
            role,
            has_keys: false,
            change_cipher_spec: Change::Awaited,
            held: Vec::new(),
            protected: 0,
            record: 0,
            outgoing: Vec::new(),
            last_flight: Vec::new(),
        }
    }

    /// Plays the library the exchange of the cookie, which the client has been through already, and answers the hello that
    /// brought it back.
    pub fn open(&mut self, now: Instant, hello: &ClientHello<'_>, message: Vec<u8>) -> Result<(), Failure> {
        self.deliver(now, &[hello.first()])?;
        self.outgoing.clear();
        self.deliver(now, &[message])?;
        Ok(())
    }

    pub fn put(&mut self, fragment: &Fragment<'_>) {
        self.inbox.put(self.next, fragment);
    }

    /// Keeps a ChangeCipherSpec or an encrypted record until its time.
    pub fn hold(&mut self, record: &Record<'_>) {
        if record.kind == records::CHANGE_CIPHER_SPEC {
            if record.body == [1] && self.change_cipher_spec == Change::Awaited {
                self.change_cipher_spec = Change::Arrived;
            }
        } else if record.whole.len() <= HELD_BYTES {
            if self.held.len() >= HELD_MAX {
                self.held.remove(0);
            }
            self.held.push(record.whole.to_vec());
        }
    }

    /// Hands the library what is complete and whose turn it is. A client's flight is complete with its Finished message, which it
    /// sends last: until then each message that a stranger forged can be replaced by the client's.
    pub fn advance(&mut self, now: Instant) -> Result<Vec<EndpointEvent>, Failure> {
        let mut events = Vec::new();
        let is_finished = self.change_cipher_spec != Change::Awaited && !self.held.is_empty();
        if self.role == DtlsRole::Server && !is_finished {
            return Ok(events);
        }
        for kinds in self.flights {
            if let Some(flight) = self.inbox.take(self.next, kinds) {
                events.extend(self.deliver(now, &flight)?);
            }
        }
        if self.has_keys && self.change_cipher_spec == Change::Arrived {
            self.change_cipher_spec = Change::Delivered;
            let mut record = Vec::new();
            self.write_record(&mut record, records::CHANGE_CIPHER_SPEC, &[1]);
            events.extend(self.read(now, &record)?);
        }
        if self.change_cipher_spec == Change::Delivered {
            for record in std::mem::take(&mut self.held) {
                if self.protected < PROTECTED_MAX {
                    self.protected += 1;
                    events.extend(self.read(now, &record)?);
                }
            }
        }
        Ok(events)
    }

    /// Hands messages with the next numbers to the library.
    fn deliver(&mut self, now: Instant, messages: &[Vec<u8>]) -> Result<Vec<EndpointEvent>, Failure> {
        let mut datagram = Vec::new();
        for message in messages {
            let kind = message.first().copied().unwrap_or_default();
            self.has_keys |= matches!(kind, records::CERTIFICATE_VERIFY | records::SERVER_HELLO_DONE);
            self.next = self.next.saturating_add(1);
            self.write_record(&mut datagram, records::HANDSHAKE, message);
        }
        self.read(now, &datagram)
    }

    fn write_record(&mut self, out: &mut Vec<u8>, kind: u8, body: &[u8]) {
        records::write_record(out, kind, self.record, body);
        self.record = self.record.saturating_add(1);
    }

    /// An error means that the handshake cannot succeed any more.
    pub fn read(&mut self, now: Instant, datagram: &[u8]) -> Result<Vec<EndpointEvent>, Failure> {
        let events = self.endpoint.read(now, PEER, None, BytesMut::from(datagram));
        self.collect();
        events.map_err(|_| Failure::Handshake)
    }

    /// Takes what the library wants sent.
    fn collect(&mut self) {
        let flight: Vec<BytesMut> = std::iter::from_fn(|| self.endpoint.poll_transmit().map(|t| t.message)).collect();
        self.outgoing.extend(flight.iter().cloned());
        let is_alert = |datagram: &BytesMut| datagram.first() == Some(&records::ALERT);
        if !flight.is_empty() && !flight.iter().any(is_alert) {
            self.last_flight = flight;
        }
    }

    /// What both sides agreed on.
    pub fn state(&self) -> Option<&State> {
        self.endpoint.get_connection_state(PEER)
    }

    /// Retransmissions. False if there have been too many.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return true;
        }
        let alive = self.endpoint.handle_timeout(PEER, now).is_ok();
        self.collect();
        alive
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&PEER)
    }

    /// Queues a close_notify.
    pub fn close(&mut self, now: Instant) {
        let _ = self.endpoint.close(now);
        self.collect();
    }
}
