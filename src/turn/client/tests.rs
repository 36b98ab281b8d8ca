//! A client and the relay, message by message, in virtual time. What is refused to those who may not: `hostile.rs`.

mod hostile;

use std::net::IpAddr;
use std::time::Duration;

use rtc_stun::attributes::{ATTR_DATA, ATTR_ERROR_CODE, ATTR_XOR_PEER_ADDRESS, AttrType};
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    CLASS_ERROR_RESPONSE, METHOD_BINDING, METHOD_DATA, Message, MessageType, Method, Setter, TransactionId,
};
use rtc_stun::xoraddr::XorMappedAddress;

use super::*;
use crate::media::virtual_time::epoch;
use crate::turn::credentials::{Credentials, Secret};
use crate::turn::nonce::Nonces;
use crate::turn::quotas::{MAX_OF_USER, Quotas};

const UNIX_S: u64 = 1_800_000_000;
const WORKER: &str = "203.0.113.7:8800";
const OTHER_WORKER: &str = "203.0.113.7:8801";
const WORKER_6: &str = "[2001:db8::7]:8800";

struct Workers(Vec<SocketAddr>);

impl Peers for Workers {
    fn contains(&self, peer: SocketAddr) -> bool {
        self.0.contains(&peer)
    }

    fn address(&self, is_ipv4: bool) -> Option<IpAddr> {
        self.0.iter().find(|one| one.is_ipv4() == is_ipv4).map(SocketAddr::ip)
    }
}

fn peer(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client and the relay, with the time.
struct Pair {
    now: Now,
    terms: Terms<Workers>,
    client: Client,
    credentials: Credentials,
    nonce: String,
    realm: &'static str,
    number: u8,
}

fn terms() -> Terms<Workers> {
    Terms {
        secret: Secret::new(b"secret"),
        nonces: Nonces::new(b"nonces"),
        quotas: Quotas::new(25),
        peers: Workers([WORKER, OTHER_WORKER, WORKER_6].map(peer).to_vec()),
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

impl Pair {
    fn new() -> Pair {
        let terms = terms();
        Pair {
            now: Now {
                at: Instant::from_std(epoch()),
                unix_s: UNIX_S,
            },
            client: Client::new(address(1), address(1).ip().into()),
            credentials: terms.secret.issue(UNIX_S + 100, "a"),
            nonce: terms.nonces.make(UNIX_S, address(1)),
            realm: REALM,
            terms,
            number: 0,
        }
    }

    fn allocated() -> Pair {
        let mut pair = Pair::new();
        pair.request(METHOD_ALLOCATE, &[transport(UDP)]).unwrap();
        pair
    }

    fn passes(&mut self, seconds: u64) {
        self.now.at += Duration::from_secs(seconds);
        self.now.unix_s += seconds;
    }

    fn message(&mut self, method: Method, attributes: &[Attribute]) -> Vec<u8> {
        self.number += 1;
        let mut message = begun(method, CLASS_REQUEST, self.number, attributes);
        message.add(ATTR_USERNAME, self.credentials.username.as_bytes());
        message.add(ATTR_REALM, self.realm.as_bytes());
        message.add(ATTR_NONCE, self.nonce.as_bytes());
        let key = message::key(&self.credentials.username, self.credentials.password.clone()).unwrap();
        let provider = rtc_crypto::default_provider().unwrap();
        let integrity = MessageIntegrity::new_raw_integrity_with_provider(key, provider.crypto());
        integrity.add_to(&mut message).unwrap();
        message.raw
    }

    fn receive(&mut self, bytes: &[u8]) -> Step {
        self.client.receive(self.now, &self.terms, bytes)
    }

    /// The answer to a signed request, or the code of its error. Whatever is answered to somebody known is signed.
    fn request(&mut self, method: Method, attributes: &[Attribute]) -> Result<Message, u16> {
        let bytes = self.message(method, attributes);
        let Step::Reply(answer) = self.receive(&bytes) else {
            panic!("no answer");
        };
        let mut message = read(&answer.bytes);
        if answer.is_known {
            let key = message::key(&self.credentials.username, self.credentials.password.clone()).unwrap();
            let provider = rtc_crypto::default_provider().unwrap();
            MessageIntegrity::check(&mut message, &key, provider.crypto()).unwrap();
        }
        assert_eq!(code(&message), answer.error);
        answer.error.map_or(Ok(message), Err)
    }

    fn send(&mut self, to: &str, packet: &[u8]) -> Step {
        let indication = begun(
            METHOD_SEND,
            CLASS_INDICATION,
            9,
            &[at(to), (ATTR_DATA, packet.to_vec())],
        );
        self.receive(&indication.raw)
    }

    fn send_by(&mut self, channel: u16, packet: &[u8]) -> Step {
        let mut bytes = Vec::new();
        framing::write_packet(channel, packet, &mut bytes);
        self.receive(&bytes)
    }

    fn delivered(&mut self, from: &str, packet: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let is_delivered = self.client.deliver(self.now.at, peer(from), packet, &mut out);
        is_delivered.then_some(out)
    }
}

type Attribute = (AttrType, Vec<u8>);

fn transport(protocol: u8) -> Attribute {
    (ATTR_REQUESTED_TRANSPORT, vec![protocol, 0, 0, 0])
}

fn lifetime(seconds: u32) -> Attribute {
    (ATTR_LIFETIME, seconds.to_be_bytes().to_vec())
}

fn family(family: u8) -> Attribute {
    (ATTR_REQUESTED_ADDRESS_FAMILY, vec![family, 0, 0, 0])
}

fn channel(number: u16) -> Attribute {
    (ATTR_CHANNEL_NUMBER, [number.to_be_bytes(), [0, 0]].concat())
}

/// The address of a peer. It is obscured in its message.
fn at(peer: &str) -> Attribute {
    (ATTR_XOR_PEER_ADDRESS, peer.as_bytes().to_vec())
}

fn begun(method: Method, class: rtc_stun::message::MessageClass, number: u8, attributes: &[Attribute]) -> Message {
    let mut message = Message::new();
    message.set_type(MessageType::new(method, class));
    message.transaction_id = TransactionId([number; 12]);
    message.write_header();
    for (typ, value) in attributes {
        let text = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<SocketAddr>().ok());
        match text.filter(|_| *typ == ATTR_XOR_PEER_ADDRESS) {
            Some(peer) => {
                let (ip, port) = (peer.ip(), peer.port());
                XorMappedAddress { ip, port }.add_to_as(&mut message, *typ).unwrap();
            }
            None => message.add(*typ, value),
        }
    }
    message
}

fn read(bytes: &[u8]) -> Message {
    let mut message = Message::new();
    message.unmarshal_binary(bytes).unwrap();
    message
}

fn code(message: &Message) -> Option<u16> {
    let value = message.get(ATTR_ERROR_CODE).ok()?;
    assert_eq!(message.typ.class, CLASS_ERROR_RESPONSE);
    Some(u16::from(value[2]) * 100 + u16::from(value[3]))
}

fn address_in(message: &Message, typ: AttrType) -> SocketAddr {
    let mut found = XorMappedAddress::default();
    found.get_from_as(message, typ).unwrap();
    SocketAddr::new(found.ip, found.port)
}

const NOT_PERMITTED: Step = Step::Drop(Dropped::NotPermitted);
const UNREADABLE: Step = Step::Drop(Dropped::Unreadable);

#[test]
fn an_allocation_has_an_address_of_its_own_and_the_client_s_and_a_bounded_lifetime() {
    for (wish, given) in [
        (None, 600),
        (Some(0), 600),
        (Some(1), 600),
        (Some(1_000), 1_000),
        (Some(u32::MAX), 3_600),
    ] {
        let mut pair = Pair::new();
        let mut attributes = vec![transport(UDP)];
        attributes.extend(wish.map(lifetime));
        let answer = pair.request(METHOD_ALLOCATE, &attributes).unwrap();
        let relayed = address_in(&answer, ATTR_XOR_RELAYED_ADDRESS);
        assert_eq!(relayed.ip(), peer(WORKER).ip());
        assert!(relayed.port() >= 49_152);
        assert_eq!(pair.client.relayed().unwrap().address, relayed);
        assert_eq!(address_in(&answer, ATTR_XORMAPPED_ADDRESS), address(1));
        assert_eq!(answer.get(ATTR_LIFETIME).unwrap(), u32::to_be_bytes(given));
        pair.passes(u64::from(given) - 1);
        assert!(pair.request(METHOD_REFRESH, &[]).is_ok(), "{given}");
        pair.passes(600);
        pair.nonce = pair.terms.nonces.make(pair.now.unix_s, address(1));
        assert_eq!(
            pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER)]).err(),
            Some(401),
            "it has ended, as its credentials have"
        );
        assert_eq!(pair.client.relayed(), None);
        assert_eq!(pair.terms.quotas.allocations(), 0);
    }
}

#[test]
fn packets_go_to_permitted_workers_and_come_back_by_indications_and_channels() {
    let mut pair = Pair::allocated();
    assert_eq!(pair.send(WORKER, b"early"), NOT_PERMITTED);
    assert_eq!(pair.delivered(WORKER, b"early"), None);
    pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER)]).unwrap();
    let forward = |packet: &[u8]| Step::Forward {
        peer: peer(WORKER),
        packet: packet.to_vec(),
    };
    assert_eq!(pair.send(WORKER, b"hello"), forward(b"hello"));
    let indication = read(&pair.delivered(WORKER, b"to you").unwrap());
    assert_eq!(indication.typ, MessageType::new(METHOD_DATA, CLASS_INDICATION));
    assert_eq!(indication.get(ATTR_DATA).unwrap(), b"to you");
    assert_eq!(address_in(&indication, ATTR_XOR_PEER_ADDRESS), peer(WORKER));

    assert_eq!(pair.send_by(0x4000, b"unbound"), NOT_PERMITTED);
    pair.request(METHOD_CHANNEL_BIND, &[channel(0x4000), at(WORKER)])
        .unwrap();
    assert_eq!(pair.send_by(0x4000, b"hello"), forward(b"hello"));
    let packet = pair.delivered(WORKER, b"to you").unwrap();
    assert_eq!(framing::packet_of_channel(&packet), Some((0x4000, &b"to you"[..])));
    assert_eq!(packet.len() % 4, 0);
    // The address is permitted at all ports, and the other worker's packets say where they come from.
    assert!(pair.delivered(OTHER_WORKER, b"x").is_some());
    assert_eq!(pair.delivered("203.0.113.8:8800", b"x"), None);
}

#[test]
fn permissions_and_channels_end_unless_they_are_renewed() {
    let mut pair = Pair::allocated();
    pair.credentials = pair.terms.secret.issue(UNIX_S + 100, "a");
    pair.request(METHOD_REFRESH, &[lifetime(3_600)]).unwrap();
    pair.request(METHOD_CHANNEL_BIND, &[channel(0x4000), at(WORKER)])
        .unwrap();
    pair.passes(299);
    assert!(matches!(pair.send_by(0x4000, b"x"), Step::Forward { .. }));
    pair.passes(1);
    assert_eq!(pair.send_by(0x4000, b"x"), NOT_PERMITTED);
    pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER)]).unwrap();
    assert!(matches!(pair.send_by(0x4000, b"x"), Step::Forward { .. }));
    pair.passes(299);
    assert!(matches!(pair.send_by(0x4000, b"x"), Step::Forward { .. }));
    pair.passes(1);
    pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER)]).unwrap();
    assert_eq!(pair.send_by(0x4000, b"x"), NOT_PERMITTED, "the channel has ended");
    assert!(matches!(pair.send(WORKER, b"x"), Step::Forward { .. }));
    pair.request(METHOD_CHANNEL_BIND, &[channel(0x4001), at(WORKER)])
        .unwrap();
}

#[test]
fn a_worker_that_is_no_longer_there_is_no_longer_reached() {
    let mut pair = Pair::allocated();
    pair.request(METHOD_CHANNEL_BIND, &[channel(0x4000), at(WORKER)])
        .unwrap();
    pair.terms.peers = Workers(vec![peer(OTHER_WORKER)]);
    assert_eq!(pair.send_by(0x4000, b"x"), NOT_PERMITTED);
    assert_eq!(pair.send(WORKER, b"x"), NOT_PERMITTED);
}

#[test]
fn an_allocation_outlives_its_credentials_and_answers_to_its_user_alone() {
    let mut pair = Pair::allocated();
    pair.passes(500);
    pair.request(METHOD_REFRESH, &[]).unwrap();
    let own = pair.credentials.clone();
    pair.credentials = pair.terms.secret.issue(UNIX_S + 10_000, "b");
    for method in [METHOD_REFRESH, METHOD_CREATE_PERMISSION, METHOD_CHANNEL_BIND] {
        assert_eq!(pair.request(method, &[at(WORKER), channel(0x4000)]).err(), Some(441));
    }
    pair.credentials = own;
    pair.request(METHOD_REFRESH, &[lifetime(0)]).unwrap();
    assert_eq!(pair.client.relayed(), None);
    assert_eq!(pair.request(METHOD_REFRESH, &[]).err(), Some(401));
}

#[test]
fn an_allocate_that_comes_again_has_the_same_answer_and_another_one_is_refused() {
    let mut pair = Pair::new();
    let bytes = pair.message(METHOD_ALLOCATE, &[transport(UDP)]);
    let (first, second) = (pair.receive(&bytes), pair.receive(&bytes));
    assert_eq!(first, second);
    assert_eq!(pair.terms.quotas.allocations(), 1);
    assert_eq!(pair.request(METHOD_ALLOCATE, &[transport(UDP)]).err(), Some(437));
    let mut pair = Pair::new();
    for method in [METHOD_REFRESH, METHOD_CREATE_PERMISSION, METHOD_CHANNEL_BIND] {
        assert_eq!(pair.request(method, &[at(WORKER)]).err(), Some(437), "without one");
    }
}

#[test]
fn what_is_not_there_is_refused_by_its_code() {
    let unknown = (AttrType(0x7fff), vec![1]);
    for (attributes, expected) in [
        (vec![], 400),
        (vec![transport(6)], 442),
        (vec![transport(UDP), family(3)], 440),
        (vec![transport(UDP), (ATTR_EVEN_PORT, vec![0x80])], 508),
        (vec![transport(UDP), (ATTR_RESERVATION_TOKEN, vec![0; 8])], 508),
        (vec![transport(UDP), unknown], 420),
    ] {
        let mut pair = Pair::new();
        assert_eq!(
            pair.request(METHOD_ALLOCATE, &attributes).err(),
            Some(expected),
            "{attributes:?}"
        );
        assert_eq!(pair.terms.quotas.allocations(), 0);
    }
    let mut pair = Pair::new();
    let answer = pair.request(METHOD_ALLOCATE, &[transport(UDP), family(2)]).unwrap();
    assert_eq!(address_in(&answer, ATTR_XOR_RELAYED_ADDRESS).ip(), peer(WORKER_6).ip());
    pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER_6)]).unwrap();
    assert_eq!(pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER)]).err(), Some(443));
    let mut pair = Pair::new();
    pair.terms.peers = Workers(vec![peer(WORKER)]);
    assert_eq!(
        pair.request(METHOD_ALLOCATE, &[transport(UDP), family(2)]).err(),
        Some(440)
    );
}

#[test]
fn channels_have_their_numbers_and_one_peer_each() {
    let mut pair = Pair::allocated();
    for number in [0, 0x3fff, 0x5000, 0x7fff, 0xffff] {
        let bound = pair.request(METHOD_CHANNEL_BIND, &[channel(number), at(WORKER)]);
        assert_eq!(bound.err(), Some(400), "{number}");
    }
    for number in [0x4000, 0x4fff] {
        let peer = [WORKER, OTHER_WORKER][usize::from(number & 1)];
        pair.request(METHOD_CHANNEL_BIND, &[channel(number), at(peer)]).unwrap();
        pair.request(METHOD_CHANNEL_BIND, &[channel(number), at(peer)]).unwrap();
    }
    assert_eq!(
        pair.request(METHOD_CHANNEL_BIND, &[channel(0x4000), at(OTHER_WORKER)])
            .err(),
        Some(400)
    );
    assert_eq!(
        pair.request(METHOD_CHANNEL_BIND, &[channel(0x4001), at(WORKER)]).err(),
        Some(400)
    );
    assert_eq!(pair.request(METHOD_CHANNEL_BIND, &[at(WORKER)]).err(), Some(400));
    assert_eq!(pair.request(METHOD_CHANNEL_BIND, &[channel(0x4001)]).err(), Some(400));
    let both = [channel(0x4001), at(WORKER), at(OTHER_WORKER)];
    assert_eq!(pair.request(METHOD_CHANNEL_BIND, &both).err(), Some(400));
}
