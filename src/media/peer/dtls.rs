//! DTLS 1.2 of one connection (RFC 6347, RFC 5764): handshake, fingerprint check, SRTP keys.
//!
//! Until the handshake is done, nothing proves who sent a datagram: anybody who knows the client's address can forge one. So
//! the library sees only what this module lets through: whole messages, in order, under record numbers of our own, a flight
//! at a time. Alerts in plain text, and records that come too early, are dropped. A ClientHello is answered with a cookie
//! and forgotten. One that brings the cookie back comes from somebody who reads what we send to the client (RFC 6347
//! §4.2.1), and begins the handshake. [`introduction`] checks a server's first messages.

mod association;
mod attempt;
mod cookie;
mod failure;
mod identity;
mod inbox;
mod introduction;
mod pace;
mod records;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use aws_lc_rs::digest;
use bytes::BytesMut;
use rtc_dtls::endpoint::EndpointEvent;

use self::association::Association;
use self::attempt::Attempt;
use self::cookie::Cookie;
pub(crate) use self::failure::DtlsFailure;
pub use self::identity::DtlsIdentity;
use self::identity::library_profile;
use self::inbox::Inbox;
use self::pace::is_time;
use self::records::{ClientHello, Fragment, Record};
use super::srtp::Profile;
use crate::media::session::{DtlsRole, Fingerprint, FingerprintHash};

/// Repetitions of our flights in one connection: more than a client on the worst link causes until it gives up. A repeated
/// flight may go to an address that somebody has only claimed.
const MAX_REPEATS: u8 = 64;
/// Handshakes that one connection may begin: a client begins one, and another one if it has lost its own state. Each costs a
/// key pair and a signature.
const MAX_ATTEMPTS: u8 = 8;

/// The progress that a datagram has made.
#[derive(Debug)]
pub enum DtlsProgress {
    /// No news; there may be something to send.
    Pending,
    /// The handshake is done, and the certificate is the right one.
    Established {
        profile: Profile,
        exported: Vec<u8>,
        we_are_client: bool,
    },
    /// The client has ended the connection.
    Closed,
}

/// The DTLS state of one connection.
pub struct Dtls {
    identity: DtlsIdentity,
    role: DtlsRole,
    fingerprints: Vec<Fingerprint>,
    /// The cookie that a client has to bring back, where we are the server.
    cookie: Option<Cookie>,
    /// The handshake, from its beginning to its end.
    attempt: Option<Box<Attempt>>,
    /// State that is kept after the handshake.
    association: Option<Association>,
    /// The ClientHellos: the first one, and the one with the cookie.
    hellos: Inbox,
    /// Whether the connection has ended: nothing is read any more.
    closed: bool,
    outgoing: VecDeque<BytesMut>,
    /// The time when a flight was last repeated because the client repeated its own; `repeats` counts such repetitions.
    repeated: Option<Instant>,
    repeats: u8,
    /// Number of handshakes that have begun.
    attempts: u8,
}

impl Dtls {
    /// A connection before its handshake. As a client, the handshake begins with [`Dtls::start`].
    pub fn new(identity: DtlsIdentity, role: DtlsRole, fingerprints: Vec<Fingerprint>) -> Dtls {
        Dtls {
            identity,
            role,
            fingerprints,
            cookie: None,
            attempt: None,
            association: None,
            hellos: Inbox::default(),
            closed: false,
            outgoing: VecDeque::new(),
            repeated: None,
            repeats: 0,
            attempts: 0,
        }
    }

    /// Whether the client must still prove that it has one of these certificates.
    pub(crate) fn expects(&self, fingerprints: &[Fingerprint]) -> bool {
        self.fingerprints == fingerprints
    }

    /// Whether the client, or somebody at its address, has sent a part of a handshake.
    pub(crate) fn has_begun(&self) -> bool {
        self.cookie.is_some() || self.attempt.is_some() || self.association.is_some()
    }

    /// Whether a datagram fits this side of a handshake.
    pub(crate) fn may_take(&self, datagram: &[u8]) -> bool {
        match first_message(datagram) {
            Some(records::CLIENT_HELLO) => self.role == DtlsRole::Server,
            Some(records::SERVER_HELLO | records::HELLO_VERIFY_REQUEST) => self.role == DtlsRole::Client,
            _ => true,
        }
    }

    /// Takes over a handshake that `other` has finished, if its certificate is the one that this connection expects; `other`
    /// gets the handshake of this one.
    pub(crate) fn take_over(&mut self, other: &mut Dtls) -> Option<DtlsProgress> {
        let state = other.attempt.as_ref()?.state()?;
        let certificate = state.peer_certificates.first()?;
        let is_expected = self
            .fingerprints
            .iter()
            .any(|fingerprint| matches(fingerprint, certificate));
        if !is_expected || !self.can_trade(other) {
            return None;
        }
        self.trade(other);
        self.establish().ok()
    }

    /// Whether the client sees no difference between the two.
    fn can_trade(&self, other: &Dtls) -> bool {
        self.role == other.role && self.identity.fingerprint == other.identity.fingerprint
    }

    /// Exchanges the handshakes of two connections, but not the certificates that each of them expects.
    pub(crate) fn trade(&mut self, other: &mut Dtls) {
        if self.can_trade(other) {
            std::mem::swap(self, other);
            std::mem::swap(&mut self.fingerprints, &mut other.fingerprints);
        }
    }

    /// Sends our ClientHello, if we are the client and it has not been sent. Call once there is a path.
    pub fn start(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        if self.role == DtlsRole::Client && !self.has_begun() && !self.closed {
            let provider = self.identity.provider.clone();
            let attempt = Attempt::client(now, self.identity.client.clone(), provider).ok_or(DtlsFailure::Handshake)?;
            self.attempt = Some(Box::new(attempt));
            self.collect();
        }
        Ok(())
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<DtlsProgress, DtlsFailure> {
        if self.closed {
            return Ok(DtlsProgress::Pending);
        }
        if self.association.is_none() {
            return self.receive_handshake(now, datagram);
        }
        for record in records::records(datagram) {
            let progress = self.receive_established(now, &record)?;
            if !matches!(progress, DtlsProgress::Pending) {
                return Ok(progress);
            }
        }
        Ok(DtlsProgress::Pending)
    }

    /// Stores the whole datagram before anything is done with it: a later part may repair what a stranger broke.
    fn receive_handshake(&mut self, now: Instant, datagram: &[u8]) -> Result<DtlsProgress, DtlsFailure> {
        for record in records::records(datagram) {
            match (record.kind, record.epoch, &mut self.attempt) {
                (records::HANDSHAKE, 0, _) => {
                    for fragment in records::fragments(record.body) {
                        self.take_in(now, &fragment)?;
                    }
                }
                (records::CHANGE_CIPHER_SPEC, 0, Some(attempt))
                | (records::HANDSHAKE | records::ALERT, 1, Some(attempt)) => attempt.hold(&record),
                // Anybody can send these, and no honest client sends them now.
                _ => {}
            }
        }
        let Some(attempt) = &mut self.attempt else {
            return Ok(DtlsProgress::Pending);
        };
        let events = attempt.advance(now);
        self.collect();
        self.judge(events?)
    }

    /// Processes a record after the handshake. An encrypted alert goes to the library. A handshake message means that our
    /// last flight was lost (RFC 6347 §4.2.4). There are no data channels, so nobody reads application data.
    fn receive_established(&mut self, now: Instant, record: &Record<'_>) -> Result<DtlsProgress, DtlsFailure> {
        match (record.kind, record.epoch, &mut self.association) {
            (records::ALERT, 1, Some(association)) => {
                let events = association.read(now, &self.identity, record.whole);
                self.collect();
                self.judge(events)
            }
            (records::HANDSHAKE, ..) if self.role == DtlsRole::Server => {
                self.repeat(now);
                Ok(DtlsProgress::Pending)
            }
            _ => Ok(DtlsProgress::Pending),
        }
    }

    fn take_in(&mut self, now: Instant, fragment: &Fragment<'_>) -> Result<(), DtlsFailure> {
        let is_hello = self.role == DtlsRole::Server && fragment.message <= 1;
        if is_hello {
            self.hellos.put(0, fragment);
            let whole = self.hellos.take(fragment.message, &[records::CLIENT_HELLO]);
            for message in whole.into_iter().flatten() {
                self.hello(now, message)?;
            }
        } else if let Some(attempt) = &mut self.attempt {
            attempt.put(fragment);
        }
        Ok(())
    }

    /// Processes a whole ClientHello: the first, the one with the cookie, or a repetition of either.
    fn hello(&mut self, now: Instant, message: Vec<u8>) -> Result<(), DtlsFailure> {
        let body = message[records::MESSAGE_HEADER..].to_vec();
        let Some(hello) = ClientHello::parse(&body) else {
            return Ok(());
        };
        let cookie = match self.cookie {
            Some(cookie) => cookie,
            None => *self
                .cookie
                .insert(cookie::draw(&*self.identity.provider).ok_or(DtlsFailure::Handshake)?),
        };
        if hello.cookie != cookie {
            let mut request = Vec::new();
            records::write_record(
                &mut request,
                records::HANDSHAKE,
                0,
                &records::hello_verify_request(&cookie),
            );
            self.outgoing.push_back(BytesMut::from(&request[..]));
            return Ok(());
        }
        match &self.attempt {
            Some(attempt) if attempt.random == hello.random => {
                self.repeat(now);
                return Ok(());
            }
            // A client that has proven who it is sends no further hello.
            Some(attempt) if attempt.has_keys() => return Ok(()),
            _ if self.attempts >= MAX_ATTEMPTS => return Ok(()),
            _ => self.attempts += 1,
        }
        let profile = hello.profile.ok_or(DtlsFailure::Handshake)?;
        let config = self
            .identity
            .server(profile, cookie)
            .map_err(|_| DtlsFailure::Handshake)?;
        // If there was another attempt, the client has begun anew.
        let provider = self.identity.provider.clone();
        let attempt = Attempt::server(config, hello.random, provider);
        let attempt = self.attempt.insert(Box::new(attempt));
        let opened = attempt.open(now, &hello, message);
        self.collect();
        opened
    }

    /// Sends the last flight again: the client has repeated its own flight, so it lacks a part of ours. It drops the records
    /// that it has already as replays.
    fn repeat(&mut self, now: Instant) {
        if self.repeats < MAX_REPEATS && is_time(now, &mut self.repeated) {
            self.repeats += 1;
            let before = self.attempt.as_ref().map(|attempt| &attempt.last_flight);
            let flight = self
                .association
                .as_ref()
                .map(|association| &association.last_flight)
                .or(before);
            self.outgoing.extend(flight.into_iter().flatten().cloned());
        }
    }

    /// Moves the datagrams of the handshake to `outgoing`.
    fn collect(&mut self) {
        if let Some(attempt) = &mut self.attempt {
            self.outgoing.extend(attempt.outgoing.drain(..));
        }
        if let Some(association) = &mut self.association {
            self.outgoing.extend(std::iter::from_fn(|| association.poll_transmit()));
        }
    }

    fn judge(&mut self, events: Vec<EndpointEvent>) -> Result<DtlsProgress, DtlsFailure> {
        let mut progress = DtlsProgress::Pending;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => progress = self.establish()?,
                EndpointEvent::PeerClosed => {
                    self.closed = true;
                    progress = DtlsProgress::Closed;
                }
                _ => {}
            }
        }
        Ok(progress)
    }

    fn establish(&mut self) -> Result<DtlsProgress, DtlsFailure> {
        let attempt = self.attempt.as_ref().ok_or(DtlsFailure::Handshake)?;
        let state = attempt.state().ok_or(DtlsFailure::Handshake)?;
        let certificate = state.peer_certificates.first().ok_or(DtlsFailure::WrongFingerprint)?;
        let profile = Profile::PREFERENCE
            .into_iter()
            .find(|&profile| library_profile(profile) == state.srtp_protection_profile())
            .ok_or(DtlsFailure::Handshake)?;
        let exported = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.exported_len())
            .map_err(|_| DtlsFailure::Handshake)?;
        let exported = exported.as_ref().to_vec();
        let is_announced = |fingerprint: &Fingerprint| matches(fingerprint, certificate);
        if !self.fingerprints.iter().any(is_announced) {
            return Err(DtlsFailure::WrongFingerprint);
        }
        self.association = Some(Association::of(attempt).ok_or(DtlsFailure::Handshake)?);
        self.attempt = None;
        self.hellos = Inbox::default();
        Ok(DtlsProgress::Established {
            profile,
            exported,
            we_are_client: self.role == DtlsRole::Client,
        })
    }

    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.outgoing.pop_front()
    }

    /// Sends due retransmissions. Call at or after [`Dtls::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsFailure> {
        let alive = self.attempt.as_mut().is_none_or(|attempt| attempt.handle_timeout(now));
        self.collect();
        if alive { Ok(()) } else { Err(DtlsFailure::Handshake) }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.attempt.as_ref().and_then(|attempt| attempt.poll_timeout())
    }

    /// Queues a close_notify.
    pub fn close(&mut self, now: Instant) {
        self.closed = true;
        if let Some(attempt) = &mut self.attempt {
            attempt.close(now);
        }
        if let Some(association) = &mut self.association {
            association.close(now, &self.identity);
        }
        self.collect();
    }
}

/// Whether a datagram begins with a record under keys: of an epoch other than the first (RFC 6347 §4.1).
pub(crate) fn is_protected(datagram: &[u8]) -> bool {
    records::records(datagram).next().is_some_and(|record| record.epoch > 0)
}

/// The type of the handshake message with which an unprotected datagram begins.
fn first_message(datagram: &[u8]) -> Option<u8> {
    let record = records::records(datagram).next()?;
    let is_plain = record.kind == records::HANDSHAKE && record.epoch == 0;
    let first = records::fragments(record.body).next()?;
    is_plain.then_some(first.kind)
}

fn matches(fingerprint: &Fingerprint, certificate: &[u8]) -> bool {
    let algorithm = match fingerprint.hash {
        FingerprintHash::Sha256 => &digest::SHA256,
        FingerprintHash::Sha384 => &digest::SHA384,
        FingerprintHash::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, certificate).as_ref() == fingerprint.digest.as_slice()
}
