//! ICE-lite (RFC 8445 §2.5): answers connectivity checks, follows the client's nomination, watches its consent.
//!
//! This side never sends a check and never gathers candidates. Only an authenticated check makes an address known.
//!
//! # The path that is used
//!
//! A lite agent sees only one half of each path: the half that arrives. For each known path we keep when a check or
//! authentic media last came over it. A path with one of these within [`CONSENT_INTERVAL`] is alive. Of the living paths the
//! one is used
//! 1. that the client nominated last (RFC 8445 §8.1.1);
//! 2. otherwise, on which media arrives: a client sends media only where its checks were answered. So a path that our
//!    answers do not pass, although checks arrive on it, is not preferred; nothing else here shows such a path;
//! 3. otherwise, that is in use already, or else the one with the newest packet.
//!
//! While no path is alive, the one in use stays. So a client whose address changes without its knowledge (a NAT that binds
//! anew) is followed one interval after its old address fell silent, even if it does not nominate the new one. Media keeps a
//! known path alive; it never makes one known.
//!
//! A nominated path on which checks arrive while nothing that we send gets through looks healthy from here. The client
//! notices: its own consent ends, and it nominates another path or restarts ICE.

use std::net::IpAddr;
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

use crate::media::remote::Remote;

/// The way to a client: its address, and the address of ours that it sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub remote: Remote,
    pub local: Option<IpAddr>,
}

/// Time after a client's last authentic packet when its consent to receive ends: above the 15 s between libnice's keepalives,
/// and below the 30 s of RFC 7675 §5.1, so that people in the room learn of it in time.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(20);

/// Silence after which a path is no longer used. Clients renew their consent every 5 s, plus or minus a fifth (RFC 7675
/// §5.1); libwebrtc checks the path that it uses every 2.5 s, and media and reports come more often. If this were shorter,
/// two lost checks would look like a change of address. If it were longer, people whose address has changed would be without
/// sound and picture for longer.
pub(crate) const CONSENT_INTERVAL: Duration = Duration::from_secs(6);

/// Time for a connection to finish ICE and DTLS, after which it is closed: longer than a person waits for a slow network, or
/// for the permission prompt of a page that offers early.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Addresses kept for one connection. A phone has a few interfaces and changes between them; the one silent for longest is
/// removed first.
const MAX_PATHS: usize = 8;

/// Bytes of the largest STUN message that is read. A check has about 120; with a long username and vendor attributes, 500.
const MAX_MESSAGE_BYTES: usize = 1_280;

/// One side of a connection's ICE.
pub struct Ice {
    pub local_ufrag: String,
    local_pwd: String,
    remote_ufrag: String,
    /// All known paths. A path keeps its index as long as it is known; a free index is used again.
    paths: SmallVec<[Option<KnownPath>; 2]>,
    nominated: Option<PathIndex>,
    /// The path that we send on; see the head of this file. `None` before the first check, and while the connection is
    /// suspended.
    selected: Option<(PathIndex, Path)>,
    /// The time of the last authentic check on any path; before the first one, when the connection was opened.
    last_check: Instant,
}

/// The index of a path among those of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathIndex(u8);

/// The strength of a connection's right to an address, from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AddressRight {
    /// A check has come from the address.
    Claimed,
    /// Media under the connection's keys comes from the address.
    Heard,
    /// A handshake was led and finished there, and the connection is alive.
    Proven,
}

/// An address from which an authenticated check has come.
struct KnownPath {
    path: Path,
    last_check: Instant,
    /// The time of the last SRTP, SRTCP or DTLS from here that only the client can have made.
    last_media: Option<Instant>,
    /// Whether DTLS was finished from here while all our part of it was sent here: the client receives what is sent here.
    /// Whoever only claims an address can forge checks and media from there, but not that.
    proven: bool,
}

impl KnownPath {
    fn last_heard(&self) -> Instant {
        self.last_media
            .map_or(self.last_check, |media| media.max(self.last_check))
    }
}

/// A binding request, parsed but not yet authenticated.
pub struct Request {
    message: Message,
}

impl Request {
    /// Reads a request. `None` for anything but a well-formed binding request with MESSAGE-INTEGRITY and a correct
    /// FINGERPRINT (RFC 8445 §7.1.1: every check has one).
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

    /// An attribute that MESSAGE-INTEGRITY covers. Anybody could have added attributes after it (RFC 8489 §14.5).
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

/// The result of an authentic request.
pub struct Answered {
    pub reply: Vec<u8>,
    /// The path that the check made known, or confirmed. `None` where the check was refused, or must not make the address
    /// known.
    pub path: Option<PathIndex>,
    /// An address that was removed to make room.
    pub evicted: Option<Remote>,
}

/// Whether a check makes its path known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    Learn,
    /// The check is answered, and nothing else happens: the address belongs to another connection.
    AnswerOnly,
}

impl Ice {
    pub fn new(now: Instant, local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) -> Ice {
        Ice {
            local_ufrag: local_ufrag.to_owned(),
            local_pwd: local_pwd.to_owned(),
            remote_ufrag: remote_ufrag.to_owned(),
            paths: SmallVec::new(),
            nominated: None,
            selected: None,
            last_check: now,
        }
    }

    /// Sets new credentials on a live connection (RFC 8445 §9). Media goes on over the old path until a new one is nominated,
    /// or until the client's consent ends: an offer does not prove that the client receives anything.
    pub fn restart(&mut self, local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) {
        self.local_ufrag = local_ufrag.to_owned();
        self.local_pwd = local_pwd.to_owned();
        self.remote_ufrag = remote_ufrag.to_owned();
        self.nominated = None;
    }

    /// Answers a request with our ufrag. `None` if it is not authentic: then it changes nothing and gets no reply.
    pub fn handle(
        &mut self,
        now: Instant,
        request: Request,
        path: Path,
        theirs: &str,
        learning: Learning,
    ) -> Option<Answered> {
        let mut request = request;
        let provider = rtc_crypto::default_provider().ok()?;
        let integrity = key(&self.local_pwd);
        MessageIntegrity::check(&mut request.message, &integrity, provider.crypto()).ok()?;
        if theirs != self.remote_ufrag {
            return None;
        }
        self.last_check = now;
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
        // The lite side is always controlled (RFC 8445 §6.1.1). A client that claims to be controlled must switch (§7.3.1.1).
        if request.protected(ATTR_ICE_CONTROLLED).is_some() {
            return refuse(&request, CODE_ROLE_CONFLICT, None, signed);
        }
        let mut reply = response(&request, BINDING_SUCCESS)?;
        XorMappedAddress {
            ip: path.remote.address.ip(),
            port: path.remote.address.port(),
        }
        .add_to(&mut reply)
        .ok()?;
        signed.add_to(&mut reply).ok()?;
        FINGERPRINT.add_to(&mut reply).ok()?;
        if learning == Learning::AnswerOnly {
            return Some(Answered {
                reply: reply.raw,
                path: None,
                evicted: None,
            });
        }
        let (index, evicted) = self.learn(now, path);
        if request.protected(ATTR_USE_CANDIDATE).is_some() {
            self.nominated = Some(index);
        }
        self.follow(now);
        Some(Answered {
            reply: reply.raw,
            path: Some(index),
            evicted,
        })
    }

    fn learn(&mut self, now: Instant, path: Path) -> (PathIndex, Option<Remote>) {
        if let Some(index) = self.index_of(path.remote)
            && let Some(known) = self.known_mut(index)
        {
            (known.path, known.last_check) = (path, now);
            return (index, None);
        }
        let fresh = KnownPath {
            path,
            last_check: now,
            last_media: None,
            proven: false,
        };
        let free = self.paths.iter().position(Option::is_none);
        let place = free.or_else(|| (self.paths.len() >= MAX_PATHS).then(|| self.longest_silent()));
        match place {
            Some(place) => {
                let evicted = self.paths[place].replace(fresh).map(|known| known.path.remote);
                (PathIndex(place as u8), evicted)
            }
            None => {
                self.paths.push(Some(fresh));
                (PathIndex(self.paths.len() as u8 - 1), None)
            }
        }
    }

    /// The index of the path that has been silent for longest; never the one in use.
    fn longest_silent(&self) -> usize {
        let selected = self.selected.map(|(index, _)| index);
        let known = self.paths.iter().enumerate();
        known
            .filter(|(place, _)| Some(PathIndex(*place as u8)) != selected)
            .min_by_key(|(_, known)| known.as_ref().map(KnownPath::last_heard))
            .map_or(0, |(place, _)| place)
    }

    fn index_of(&self, remote: Remote) -> Option<PathIndex> {
        let is_it = |known: &Option<KnownPath>| known.as_ref().is_some_and(|known| known.path.remote == remote);
        self.paths.iter().position(is_it).map(|place| PathIndex(place as u8))
    }

    fn known(&self, index: PathIndex) -> Option<&KnownPath> {
        self.paths.get(usize::from(index.0))?.as_ref()
    }

    fn known_mut(&mut self, index: PathIndex) -> Option<&mut KnownPath> {
        self.paths.get_mut(usize::from(index.0))?.as_mut()
    }

    /// Records that authentic media came over a known path. On the packet path: a lookup by index and a store. False where another
    /// path is in use: [`Ice::follow`] may find this one better.
    pub fn heard(&mut self, now: Instant, index: PathIndex) -> bool {
        if let Some(known) = self.known_mut(index) {
            known.last_media = Some(now);
        }
        self.selected.is_some_and(|(selected, _)| selected == index)
    }

    /// Records that DTLS was finished from this path.
    pub fn prove(&mut self, now: Instant, index: PathIndex) {
        if let Some(known) = self.known_mut(index) {
            known.last_media = Some(now);
            known.proven = true;
        }
        self.follow(now);
    }

    /// Chooses the path to use. True if it is another one now. Call it now and then, because silence is not an event.
    pub fn follow(&mut self, now: Instant) -> bool {
        let before = self.selected.map(|(_, path)| path);
        if let Some(best) = self.best(now)
            && let Some(known) = self.known(best)
        {
            self.selected = Some((best, known.path));
        }
        self.selected.map(|(_, path)| path) != before
    }

    fn best(&self, now: Instant) -> Option<PathIndex> {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < CONSENT_INTERVAL;
        let is_alive = |index: &PathIndex| self.known(*index).is_some_and(|known| is_recent(known.last_heard()));
        if let Some(nominated) = self.nominated.filter(is_alive) {
            return Some(nominated);
        }
        let all = (0..self.paths.len()).map(|place| PathIndex(place as u8));
        all.filter(is_alive).max_by_key(|&index| {
            let known = self.known(index);
            let carries_media = known.and_then(|known| known.last_media).is_some_and(is_recent);
            let is_selected = self.selected.is_some_and(|(selected, _)| selected == index);
            (carries_media, is_selected, known.map(KnownPath::last_heard))
        })
    }

    fn last_heard(&self) -> Instant {
        let known = self.paths.iter().flatten().map(KnownPath::last_heard);
        known.fold(self.last_check, Instant::max)
    }

    pub fn consent_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last_heard()) >= CONSENT_TIMEOUT
    }

    /// When consent expires, if nothing is heard until then.
    pub(crate) fn consent_ends(&self) -> Instant {
        self.last_heard() + CONSENT_TIMEOUT
    }

    /// When [`Ice::follow`] may choose another path because the one in use has become silent. What else may change its choice is
    /// an event: a check, or media over a path that is not in use.
    pub(crate) fn next_choice(&self, now: Instant) -> Option<Instant> {
        let (selected, _) = self.selected?;
        let others = self.paths.iter().flatten().count() > 1;
        let used = self.known(selected).filter(|_| others)?;
        let heard = [Some(used.last_heard()), used.last_media].into_iter().flatten();
        heard.map(|at| at + CONSENT_INTERVAL).filter(|&at| at > now).min()
    }

    /// The strength of this connection's right to an address.
    pub(crate) fn address_right(&self, now: Instant, index: PathIndex) -> AddressRight {
        let is_recent = |at: Instant| now.saturating_duration_since(at) < CONSENT_INTERVAL;
        match self.known(index) {
            _ if self.holds(now, index) => AddressRight::Proven,
            Some(known) if known.last_media.is_some_and(is_recent) => AddressRight::Heard,
            _ => AddressRight::Claimed,
        }
    }

    /// Whether the client has proved that it receives at this address, and was heard from there within the consent time. Then
    /// no other connection can take the address by a mere claim.
    pub fn holds(&self, now: Instant, index: PathIndex) -> bool {
        self.known(index)
            .is_some_and(|known| known.proven && now.saturating_duration_since(known.last_heard()) < CONSENT_TIMEOUT)
    }

    /// Stops sending, until the next check from any address.
    pub fn suspend(&mut self) {
        self.selected = None;
    }

    pub fn selected(&self) -> Option<Path> {
        self.selected.map(|(_, path)| path)
    }

    pub fn known_addresses(&self) -> impl Iterator<Item = Remote> {
        self.paths.iter().flatten().map(|known| known.path.remote)
    }

    /// Removes an address that belongs to another connection.
    pub fn forget(&mut self, now: Instant, remote: Remote) {
        let Some(index) = self.index_of(remote) else { return };
        self.paths[usize::from(index.0)] = None;
        self.nominated = self.nominated.filter(|nominated| *nominated != index);
        if self.selected.is_some_and(|(selected, _)| selected == index) {
            self.selected = None;
            self.follow(now);
        }
    }
}

/// The key for integrity. Short-term credentials use the password as it is (RFC 8489 §9.1.1).
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
        path: None,
        evicted: None,
    })
}

#[cfg(test)]
mod tests;
