//! One handshake: the library's state for it, and the messages and records that it may not see yet.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;

use super::failure::DtlsFailure;
use super::identity::PEER;
use super::inbox::Inbox;
use super::introduction::Opening;
use super::records::{self, ClientHello, Fragment, MESSAGE_HEADER, Record, Signed};
use super::signature::Signatures;
use crate::media::session::DtlsRole;

/// Encrypted records that are kept until there are keys. One has the Finished message; the newest are kept.
const HELD_MAX: usize = 2;
/// Bytes of the longest record that is kept. A Finished message is far smaller, whatever the cipher.
const HELD_BYTES: usize = 256;
/// Encrypted records that the library gets before it reports the end of the handshake: a Finished message, and a few forged ones.
/// The library keeps some of them without a bound.
const PROTECTED_MAX: usize = 32;

/// The messages after a client's hello with the cookie (RFC 5246 §7.3). A WebRTC client always has a certificate.
const CLIENT_FLIGHT: &[u8] = &[
    records::CERTIFICATE,
    records::CLIENT_KEY_EXCHANGE,
    records::CERTIFICATE_VERIFY,
];
/// A server's answer to our hello. A WebRTC server always asks for our certificate.
const SERVER_FLIGHT: &[u8] = &[
    records::SERVER_HELLO,
    records::CERTIFICATE,
    records::SERVER_KEY_EXCHANGE,
    records::CERTIFICATE_REQUEST,
    records::SERVER_HELLO_DONE,
];

pub(crate) struct Attempt {
    endpoint: Endpoint,
    /// The random of the ClientHello; unused where we are the client.
    pub random: [u8; 32],
    signatures: Signatures,
    /// Our hello and cookie as a client, until the server has proven who it is.
    opening: Option<Opening>,
    /// All messages of both sides up to the client's flight, which signs them; kept as a server.
    transcript: Vec<u8>,
    /// The cookie that the current datagram asks for.
    requested: Option<Vec<u8>>,
    inbox: Inbox,
    /// The number of the next message for the library.
    next: u16,
    role: DtlsRole,
    /// Whether the library has the other side's last plain-text flight, and so the keys.
    has_keys: bool,
    change_cipher_spec: CipherChange,
    held: Vec<Vec<u8>>,
    protected: usize,
    /// The number of our next plain-text record for the library: a forged number must not push out the client's own record.
    record: u32,
    /// The number of our next plain-text record on the wire, as a client: some are the library's, some our own.
    sent: u32,
    pub outgoing: Vec<BytesMut>,
    /// The handshake messages of our last flight.
    pub(crate) last_flight: Vec<BytesMut>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CipherChange {
    Awaited,
    Arrived,
    Delivered,
}

impl Attempt {
    /// The server's side, for a client that has brought back the cookie with which `config` was made.
    pub fn server(config: HandshakeConfig, random: [u8; 32], provider: Arc<dyn RTCCryptoProvider>) -> Attempt {
        let endpoint = Endpoint::new(PEER, TransportProtocol::UDP, Some(Arc::new(config)));
        Attempt::new(endpoint, random, DtlsRole::Server, provider)
    }

    /// The client's side; sends our ClientHello. `None` if the library cannot.
    pub fn client(now: Instant, config: Arc<HandshakeConfig>, provider: Arc<dyn RTCCryptoProvider>) -> Option<Attempt> {
        let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, None);
        endpoint.connect(now, PEER, config, None).ok()?;
        let mut attempt = Attempt::new(endpoint, [0; 32], DtlsRole::Client, provider);
        attempt.collect();
        attempt.opening = Some(Opening::new(&attempt.outgoing)?);
        Some(attempt)
    }

    fn new(endpoint: Endpoint, random: [u8; 32], role: DtlsRole, provider: Arc<dyn RTCCryptoProvider>) -> Attempt {
        Attempt {
            endpoint,
            random,
            signatures: Signatures::new(provider),
            opening: None,
            transcript: Vec::new(),
            requested: None,
            inbox: Inbox::default(),
            next: 0,
            role,
            has_keys: false,
            change_cipher_spec: CipherChange::Awaited,
            held: Vec::new(),
            protected: 0,
            record: 0,
            sent: 0,
            outgoing: Vec::new(),
            last_flight: Vec::new(),
        }
    }

    /// Repeats the exchange of the cookie for the library, since the client has finished it already, and answers the hello that
    /// brought the cookie back.
    pub fn open(&mut self, now: Instant, hello: &ClientHello<'_>, message: Vec<u8>) -> Result<(), DtlsFailure> {
        self.deliver(now, &[hello.first()])?;
        self.outgoing.clear();
        self.deliver(now, std::slice::from_ref(&message))?;
        let mut inbox = Inbox::default();
        let spoken = self.outgoing.iter().flat_map(|datagram| records::records(datagram));
        for fragment in spoken.flat_map(|record| records::fragments(record.body)) {
            inbox.put(1, &fragment);
        }
        let answer = inbox.take(1, SERVER_FLIGHT).ok_or(DtlsFailure::Handshake)?;
        self.transcript = [message, answer.concat()].concat();
        Ok(())
    }

    /// Whether the other side has proven who it is, so that both have the keys.
    pub(crate) fn has_keys(&self) -> bool {
        self.has_keys
    }

    /// Stores a part of the other side's flight.
    pub(crate) fn put(&mut self, fragment: &Fragment<'_>) {
        if self.opening.is_some() && fragment.kind == records::HELLO_VERIFY_REQUEST {
            let is_whole = fragment.message == 0 && fragment.body.len() == fragment.length;
            let cookie = records::requested_cookie(fragment.body).filter(|_| is_whole);
            self.requested = cookie.map(<[u8]>::to_vec).or(self.requested.take());
        } else if self.has_keys {
            // The other side has sent all its plain-text messages already.
        } else {
            self.inbox.put(self.next, fragment);
        }
    }

    /// Stores a ChangeCipherSpec or an encrypted record until its time.
    pub(crate) fn hold(&mut self, record: &Record<'_>) {
        if record.kind == records::CHANGE_CIPHER_SPEC {
            if record.body == [1] && self.change_cipher_spec == CipherChange::Awaited {
                self.change_cipher_spec = CipherChange::Arrived;
            }
        } else if record.whole.len() <= HELD_BYTES {
            if self.held.len() >= HELD_MAX {
                self.held.remove(0);
            }
            self.held.push(record.whole.to_vec());
        }
    }

    /// Gives the library the messages that are complete and due. A client's flight is complete with its Finished message, which
    /// it sends last: until then its own messages replace forged ones. A server's flight is complete when it is signed.
    pub fn advance(&mut self, now: Instant) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let mut events = match self.role {
            DtlsRole::Server => self.advance_closing(now)?,
            DtlsRole::Client => self.advance_opening(now)?,
        };
        if self.has_keys && self.change_cipher_spec == CipherChange::Arrived {
            self.change_cipher_spec = CipherChange::Delivered;
            let mut record = Vec::new();
            self.write_record(&mut record, records::CHANGE_CIPHER_SPEC, &[1]);
            events.extend(self.read(now, &record)?);
        }
        if self.change_cipher_spec == CipherChange::Delivered {
            for record in std::mem::take(&mut self.held) {
                if self.protected < PROTECTED_MAX {
                    self.protected += 1;
                    events.extend(self.read(now, &record)?);
                }
            }
        }
        Ok(events)
    }

    /// As a server: gives the library the client's flight, if the client has signed it. Forged messages are dropped; the client
    /// repeats its own.
    fn advance_closing(&mut self, now: Instant) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let is_finished = self.change_cipher_spec != CipherChange::Awaited && !self.held.is_empty();
        let flight = is_finished.then(|| self.inbox.take(self.next, CLIENT_FLIGHT)).flatten();
        let Some([certificate, key_exchange, verify]) = flight.as_deref() else {
            return Ok(Vec::new());
        };
        let text = [&self.transcript[..], certificate, key_exchange].concat();
        let signed = Signed::parse(&certificate[MESSAGE_HEADER..], &verify[MESSAGE_HEADER..]);
        if signed.is_some_and(|signed| self.signatures.has_signed(now, &signed, &text)) {
            self.transcript = Vec::new();
            return self.deliver(now, flight.as_deref().unwrap_or_default());
        }
        Ok(Vec::new())
    }

    /// As a client: sends our hello again where somebody asks for a cookie, and gives the library the server's answer with the
    /// messages that led to it.
    fn advance_opening(&mut self, now: Instant) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let Some(opening) = &mut self.opening else {
            return Ok(Vec::new());
        };
        if let Some(cookie) = self.requested.take()
            && opening.is_asked(now, &cookie)
        {
            let hello = opening.hello();
            self.send_hello(&hello);
        }
        // The loop looks for the answer to our first hello, and to the one with the cookie.
        for first in 0..=1 {
            let Some(opening) = &mut self.opening else { break };
            let cookie = opening.cookie().map(<[u8]>::to_vec);
            if first == 1 && cookie.is_none() {
                break;
            }
            let flight = self.inbox.take(first, SERVER_FLIGHT);
            let Some(flight) = flight.filter(|flight| opening.is_answered_by(now, flight, &mut self.signatures)) else {
                continue;
            };
            self.opening = None;
            if let Some(cookie) = cookie.filter(|_| first == 1) {
                self.deliver(now, &[records::hello_verify_request(&cookie)])?;
                self.outgoing.clear();
            }
            return self.deliver(now, &flight);
        }
        Ok(Vec::new())
    }

    fn send_hello(&mut self, hello: &[u8]) {
        let mut datagram = Vec::new();
        records::write_record(&mut datagram, records::HANDSHAKE, self.sent, hello);
        self.sent = self.sent.saturating_add(1);
        self.outgoing.push(BytesMut::from(&datagram[..]));
    }

    /// Gives messages with the next numbers to the library.
    fn deliver(&mut self, now: Instant, messages: &[Vec<u8>]) -> Result<Vec<EndpointEvent>, DtlsFailure> {
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

    /// Gives a datagram to the library. An error means that the handshake cannot succeed any more.
    pub fn read(&mut self, now: Instant, datagram: &[u8]) -> Result<Vec<EndpointEvent>, DtlsFailure> {
        let events = self.endpoint.read(now, PEER, None, BytesMut::from(datagram));
        self.collect();
        events.map_err(|_| DtlsFailure::Handshake)
    }

    /// Moves the library's datagrams to `outgoing`.
    fn collect(&mut self) {
        let mut flight: Vec<BytesMut> =
            std::iter::from_fn(|| self.endpoint.poll_transmit().map(|t| t.message)).collect();
        if let Some(opening) = &self.opening {
            // The library repeats its first hello, without the cookie, so ours is sent instead.
            if !flight.is_empty() {
                let hello = opening.hello();
                self.send_hello(&hello);
            }
            return;
        }
        if self.role == DtlsRole::Client {
            for datagram in &mut flight {
                records::number(datagram, &mut self.sent);
            }
        }
        self.outgoing.extend(flight.iter().cloned());
        let is_alert = |datagram: &BytesMut| datagram.first() == Some(&records::ALERT);
        if !flight.is_empty() && !flight.iter().any(is_alert) {
            self.last_flight = flight;
        }
    }

    /// The terms that both sides have agreed on.
    pub fn state(&self) -> Option<&State> {
        self.endpoint.get_connection_state(PEER)
    }

    /// Sends due retransmissions. False if there have been too many.
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
