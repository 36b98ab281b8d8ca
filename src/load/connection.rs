//! The client's side of one WebRTC connection, pure: connectivity checks (RFC 8445, full agent with one candidate), DTLS,
//! SRTP keys. The other end may be an ICE-lite server or a full agent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::distr::Alphanumeric;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};
use rtc_stun::xoraddr::XorMappedAddress;

use super::error::LoadError;
use crate::media::demux::{Class, classify};
use crate::media::peer::dtls::{Dtls, DtlsIdentity, DtlsProgress};
use crate::media::peer::srtp::{Inbound, Outbound, Profile, contexts};
use crate::media::session::{DtlsRole, Fingerprint};

/// Time between checks until one is answered (RFC 8445 §14.3 has at least 500 ms for paths of unknown length; here the
/// server is near), and after that between checks that keep consent (RFC 7675 §5.1 has 5 s).
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
const CONSENT_INTERVAL: Duration = Duration::from_secs(4);

/// Time without an answer after which a server counts as gone.
const CONSENT_TIMEOUT: Duration = Duration::from_secs(20);

/// Peer-reflexive type preference (RFC 8445 §5.1.2.2): the priority that checks announce for our address.
const PRIORITY: u32 = 110 << 24 | 0xffff << 8 | 255;

/// An ICE user name fragment and password.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

impl Credentials {
    /// Random credentials: RFC 8839 §5.4 asks for at least 4 and 22 characters.
    pub fn random() -> Credentials {
        let text = |len| {
            rand::rng()
                .sample_iter(Alphanumeric)
                .take(len)
                .map(char::from)
                .collect()
        };
        Credentials {
            ufrag: text(8),
            pwd: text(24),
        }
    }
}

/// The other end, as it was negotiated.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub credentials: Credentials,
    pub address: SocketAddr,
    pub(crate) fingerprints: Vec<Fingerprint>,
    /// Our role in the handshake.
    pub role: DtlsRole,
    /// Whether we nominate: as the offerer, and towards ICE-lite servers.
    pub(crate) controlling: bool,
}

/// The result of a datagram.
pub(crate) enum Input {
    Nothing,
    /// The end of the handshake: media may flow.
    Connected,
    /// An SRTP packet, still protected.
    Rtp,
    Rtcp,
    /// The end of the connection, sent by the server.
    Closed,
}

pub struct Connection {
    local: Credentials,
    remote: Remote,
    tie_breaker: [u8; 8],
    dtls: Dtls,
    pub outbound: Option<Outbound>,
    pub inbound: Option<Inbound>,
    /// Whether a check of ours has been answered.
    checked: bool,
    started: Instant,
    next_check: Instant,
    last_answer: Instant,
    outgoing: Vec<Vec<u8>>,
}

impl Connection {
    pub fn new(now: Instant, identity: &DtlsIdentity, local: Credentials, remote: Remote) -> Connection {
        Connection {
            local,
            tie_breaker: rand::rng().random(),
            dtls: Dtls::new(identity.clone(), remote.role, remote.fingerprints.clone()),
            remote,
            outbound: None,
            inbound: None,
            checked: false,
            started: now,
            next_check: now,
            last_answer: now,
            outgoing: Vec::new(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.remote.address
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub fn is_connected(&self) -> bool {
        self.outbound.is_some()
    }

    pub fn profile(&self) -> Option<Profile> {
        self.outbound.as_ref().map(Outbound::profile)
    }

    /// Takes the datagrams that are to be sent.
    pub(crate) fn take_outgoing(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outgoing)
    }

    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<Input, LoadError> {
        match classify(datagram) {
            Class::Rtp => Ok(Input::Rtp),
            Class::Rtcp => Ok(Input::Rtcp),
            Class::Stun => {
                self.receive_stun(now, datagram)?;
                Ok(Input::Nothing)
            }
            Class::Dtls => {
                let progress = self.dtls.receive(now, datagram).map_err(LoadError::handshake)?;
                self.collect();
                Ok(match progress {
                    DtlsProgress::Pending => Input::Nothing,
                    DtlsProgress::Closed => Input::Closed,
                    DtlsProgress::Established {
                        profile,
                        exported,
                        we_are_client,
                    } => {
                        let (outbound, inbound) = contexts(profile, &exported, we_are_client).unzip();
                        (self.outbound, self.inbound) = (outbound, inbound);
                        Input::Connected
                    }
                })
            }
            Class::Other => Ok(Input::Nothing),
        }
    }

    /// Sends checks and retransmissions. Fails where the server has been silent too long, or the handshake failed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), LoadError> {
        if now >= self.next_check {
            self.check();
            self.next_check = now + if self.checked { CONSENT_INTERVAL } else { CHECK_INTERVAL };
        }
        if self.checked && now.saturating_duration_since(self.last_answer) > CONSENT_TIMEOUT {
            return Err(LoadError::Silent(self.remote.address));
        }
        self.dtls.handle_timeout(now).map_err(LoadError::handshake)?;
        self.collect();
        Ok(())
    }

    /// Ends the connection, with a message to the server.
    pub fn close(&mut self, now: Instant) {
        self.dtls.close(now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.outgoing.push(datagram.to_vec());
        }
    }

    fn receive_stun(&mut self, now: Instant, datagram: &[u8]) -> Result<(), LoadError> {
        let mut message = Message::new();
        // Anybody can send a bad message: it is dropped.
        if message.unmarshal_binary(datagram).is_err() {
            return Ok(());
        }
        if message.typ == BINDING_SUCCESS {
            self.last_answer = now;
            if !self.checked {
                self.checked = true;
                self.next_check = now + CONSENT_INTERVAL;
                self.dtls.start(now).map_err(LoadError::handshake)?;
                self.collect();
            }
        } else if message.typ == BINDING_REQUEST {
            self.outgoing.extend(self.answer(&message));
        }
        Ok(())
    }

    fn check(&mut self) {
        let mut message = Message::new();
        message.set_type(BINDING_REQUEST);
        let made = message.new_transaction_id().is_ok();
        message.write_header();
        let username = format!("{}:{}", self.remote.credentials.ufrag, self.local.ufrag);
        message.add(ATTR_USERNAME, username.as_bytes());
        message.add(ATTR_PRIORITY, &PRIORITY.to_be_bytes());
        if self.remote.controlling {
            message.add(ATTR_ICE_CONTROLLING, &self.tie_breaker);
            message.add(ATTR_USE_CANDIDATE, &[]);
        } else {
            message.add(ATTR_ICE_CONTROLLED, &self.tie_breaker);
        }
        if made && sign(&mut message, &self.remote.credentials.pwd).is_some() {
            self.outgoing.push(message.raw);
        }
    }

    /// The answer to the other agent's check. The agent is near and known, so the check's integrity is not verified.
    fn answer(&self, request: &Message) -> Option<Vec<u8>> {
        let mut message = Message::new();
        message.transaction_id = request.transaction_id;
        message.set_type(BINDING_SUCCESS);
        message.write_header();
        let mapped = XorMappedAddress {
            ip: self.remote.address.ip(),
            port: self.remote.address.port(),
        };
        mapped.add_to(&mut message).ok()?;
        sign(&mut message, &self.local.pwd)?;
        Some(message.raw)
    }
}

fn sign(message: &mut Message, password: &str) -> Option<()> {
    let provider = rtc_crypto::default_provider().ok()?;
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
    integrity.add_to(message).ok()?;
    FINGERPRINT.add_to(message).ok()
}
