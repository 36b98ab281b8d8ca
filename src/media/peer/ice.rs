//! ICE-lite (RFC 8445 §2.5): answers connectivity checks, follows the client's nomination, watches its consent.
//!
//! Never sends a check of its own, never gathers. An address becomes known only by an authenticated check.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rtc_stun::attributes::{
    ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use rtc_stun::error_code::{CODE_ROLE_CONFLICT, CODE_UNKNOWN_ATTRIBUTE, ErrorCode};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};
use rtc_stun::uattrs::UnknownAttributes;
use rtc_stun::xoraddr::XorMappedAddress;
use smallvec::SmallVec;

/// Where a connection's packets go: the client's address, and the address of ours that it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub remote: SocketAddr,
    pub local: Option<IpAddr>,
}

/// A client is taken to be gone after this long without an authentic packet: above the 15 s between libnice's
/// keepalives, and below the 30 s of RFC 7675 §5.1, so that people in the room are told in time.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection that has not finished ICE and DTLS within this time is given up: longer than a person waits for a
/// slow network or the permission prompt of a page that offers early.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// No other connection can take over an address within this time of hearing from its owner: clients send something,
/// reports at least, every few seconds. A client that connects anew from the same port waits no longer than this.
const ADDRESS_HELD: Duration = Duration::from_secs(5);

/// Addresses kept for one connection. A phone has a few interfaces and moves between them; the oldest goes first.
const MAX_PATHS: usize = 8;

/// Largest STUN message looked at: a check has about 120 bytes, long usernames and vendor attributes included 500.
const MAX_MESSAGE_BYTES: usize = 1_280;

/// One side of a connection's ICE.
pub struct Ice {
    pub local_ufrag: String,
    local_pwd: String,
    remote_ufrag: String,
    paths: SmallVec<[Path; 2]>,
    /// Where we send: the last nominated path, before that the first one checked.
    selected: Option<Path>,
    nominated: bool,
    last_heard: Instant,
}

/// A binding request, parsed but not yet believed.
pub struct Request {
    message: Message,
}

impl Request {
    /// `None` for anything but a well-formed binding request with MESSAGE-INTEGRITY, and a correct FINGERPRINT
    /// (RFC 8445 §7.1.1: every check carries one).
    pub fn parse(datagram: &[u8]) -> Option<Request> {
        if datagram.len() > MAX_MESSAGE_BYTES {
            return None;
        }
        let mut message = Message::new();
        message.unmarshal_binary(datagram).ok()?;
        if message.typ != BINDING_REQUEST || !message.contains(ATTR_MESSAGE_INTEGRITY) {
            return None;
        }
        message.contains(ATTR_FINGERPRINT).then_some(())?;
        FINGERPRINT.check(&message).ok()?;
        Some(Request { message })
    }

    /// Our ufrag and the client's, from the USERNAME (RFC 8445 §7.2.2).
    pub fn ufrags(&self) -> Option<(String, String)> {
        let username = String::from_utf8(self.protected(ATTR_USERNAME)?).ok()?;
        let (ours, theirs) = username.split_once(':')?;
        Some((ours.to_owned(), theirs.to_owned()))
    }

    /// An attribute that MESSAGE-INTEGRITY covers: what stands behind it could have been added by anybody
    /// (RFC 8489 §14.5).
    fn protected(&self, wanted: AttrType) -> Option<Vec<u8>> {
        let attributes = &self.message.attributes.0;
        let end = attributes
            .iter()
            .position(|attribute| attribute.typ == ATTR_MESSAGE_INTEGRITY)?;
        attributes[..end]
            .iter()
            .find(|attribute| attribute.typ == wanted)
            .map(|attribute| attribute.value.clone())
    }

    fn unknown_required(&self) -> Vec<AttrType> {
        // USERNAME, MESSAGE-INTEGRITY, PRIORITY, USE-CANDIDATE, MESSAGE-INTEGRITY-SHA256, USERHASH.
        const KNOWN: [u16; 6] = [0x0006, 0x0008, 0x0024, 0x0025, 0x001c, 0x001e];
        let attributes = self.message.attributes.0.iter().map(|attribute| attribute.typ);
        attributes
            .filter(|typ| typ.required() && !KNOWN.contains(&typ.value()))
            .take(8)
            .collect()
    }
}

/// What came of a request that was believed.
pub struct Answered {
    pub reply: Vec<u8>,
    /// The check succeeded: this address now belongs to the connection.
    pub accepted: bool,
    /// An address that had to make room.
    pub evicted: Option<SocketAddr>,
}

impl Ice {
    pub fn new(now: Instant, local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) -> Ice {
        Ice {
            local_ufrag: local_ufrag.to_owned(),
            local_pwd: local_pwd.to_owned(),
            remote_ufrag: remote_ufrag.to_owned(),
            paths: SmallVec::new(),
            selected: None,
            nominated: false,
            last_heard: now,
        }
    }

    /// New credentials on a live connection (RFC 8445 §9). Media goes on over the old path until a new one is nominated.
    pub fn restart(&mut self, local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) {
        self.local_ufrag = local_ufrag.to_owned();
        self.local_pwd = local_pwd.to_owned();
        self.remote_ufrag = remote_ufrag.to_owned();
        self.nominated = false;
    }

    /// Answers a request that names our ufrag. `None` if it is not authentic: then it changes nothing and gets no reply.
    pub fn handle(&mut self, now: Instant, request: Request, path: Path, theirs: &str) -> Option<Answered> {
        let mut request = request;
        let provider = rtc_crypto::default_provider().ok()?;
        let integrity = key(&self.local_pwd);
        MessageIntegrity::check(&mut request.message, &integrity, provider.crypto()).ok()?;
        if theirs != self.remote_ufrag {
            return None;
        }
        self.last_heard = now;
        let signed =
            MessageIntegrity::new_short_term_integrity_with_provider(self.local_pwd.clone(), provider.crypto());
        let unknown = request.unknown_required();
        if !unknown.is_empty() {
            return refuse(
                &request,
                CODE_UNKNOWN_ATTRIBUTE,
                Some(UnknownAttributes(unknown)),
                signed,
            );
        }
        // The lite side is always controlled (RFC 8445 §6.1.1); a client that thinks so too must switch (§7.3.1.1).
        if request.protected(ATTR_ICE_CONTROLLED).is_some() {
            return refuse(&request, CODE_ROLE_CONFLICT, None, signed);
        }
        let mut reply = response(&request, BINDING_SUCCESS)?;
        XorMappedAddress {
            ip: path.remote.ip(),
            port: path.remote.port(),
        }
        .add_to(&mut reply)
        .ok()?;
        signed.add_to(&mut reply).ok()?;
        FINGERPRINT.add_to(&mut reply).ok()?;
        let evicted = self.learn(path);
        if request.protected(ATTR_USE_CANDIDATE).is_some() {
            self.selected = Some(path);
            self.nominated = true;
        } else if self.selected.is_none() {
            self.selected = Some(path);
        }
        Some(Answered {
            reply: reply.raw,
            accepted: true,
            evicted,
        })
    }

    fn learn(&mut self, path: Path) -> Option<SocketAddr> {
        if let Some(known) = self.paths.iter_mut().find(|known| known.remote == path.remote) {
            *known = path;
            return None;
        }
        let mut evicted = None;
        if self.paths.len() >= MAX_PATHS {
            let selected = self.selected.map(|path| path.remote);
            let oldest = self
                .paths
                .iter()
                .position(|path| Some(path.remote) != selected)
                .unwrap_or(0);
            evicted = Some(self.paths.remove(oldest).remote);
        }
        self.paths.push(path);
        evicted
    }

    /// An authentic packet of any kind arrived: the client still wants to hear from us.
    pub fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    pub fn consent_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_heard) >= CONSENT_TIMEOUT
    }

    /// Whether this connection lives, and `remote` is where its media goes: then the address is nobody else's.
    pub fn holds(&self, now: Instant, remote: SocketAddr) -> bool {
        self.selected.is_some_and(|path| path.remote == remote)
            && now.saturating_duration_since(self.last_heard) < ADDRESS_HELD
    }

    pub fn selected(&self) -> Option<Path> {
        self.selected
    }

    pub fn is_nominated(&self) -> bool {
        self.nominated
    }

    pub fn known_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.paths.iter().map(|path| path.remote)
    }

    /// Another connection has proved that this address is now its own.
    pub fn forget(&mut self, remote: SocketAddr) {
        self.paths.retain(|path| path.remote != remote);
        if self.selected.is_some_and(|path| path.remote == remote) {
            self.selected = self.paths.last().copied();
        }
    }
}

/// Short-term credentials use the password as it is (RFC 8489 §9.1.1).
fn key(password: &str) -> Vec<u8> {
    password.as_bytes().to_vec()
}

fn response(request: &Request, typ: rtc_stun::message::MessageType) -> Option<Message> {
    let mut reply = Message::new();
    reply.set_type(typ);
    reply.transaction_id = request.message.transaction_id;
    reply.write_header();
    Some(reply)
}

fn refuse(
    request: &Request,
    code: ErrorCode,
    unknown: Option<UnknownAttributes>,
    signed: MessageIntegrity<'_>,
) -> Option<Answered> {
    let mut reply = response(request, BINDING_ERROR)?;
    code.add_to(&mut reply).ok()?;
    if let Some(unknown) = unknown {
        unknown.add_to(&mut reply).ok()?;
    }
    signed.add_to(&mut reply).ok()?;
    FINGERPRINT.add_to(&mut reply).ok()?;
    Some(Answered {
        reply: reply.raw,
        accepted: false,
        evicted: None,
    })
}
