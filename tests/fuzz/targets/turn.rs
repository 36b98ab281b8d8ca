//! The relay (TURN): any datagram, any stream, and signed requests with any attributes, in any order, with any time between.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use patchbay::turn::client::Client;
use patchbay::turn::credentials::Secret;
use patchbay::turn::nonce::Nonces;
use patchbay::turn::quotas::Quotas;
use patchbay::turn::{MAX_MESSAGE, MAX_PACKET, Now, Peers, REALM, Step, Terms, framing};
use rtc_stun::attributes::{ATTR_NONCE, ATTR_REALM, ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, AttrType};
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{Message, Setter, TransactionId};
use rtc_stun::xoraddr::XorMappedAddress;
use tokio::time::Instant;

use super::bytes::Bytes;
use super::{Target, now};

/// Steps: what to do, how many seconds pass, and what it is done with.
pub const TURN: Target = Target {
    name: "turn",
    seeds: || {
        let allocate = [&[0, 0, 0, 3, 1, 0, 0x19, 4][..], &[17, 0, 0, 0]].concat();
        let permit = vec![0, 1, 0, 8, 1, 0, 0x12, 255, 0];
        let bind = [&[0, 1, 0, 9, 2, 0, 0x0c, 4][..], &[0x40, 1, 0, 0], &[0, 0x12, 255, 0]].concat();
        let refresh = [&[0, 200, 0, 4, 1, 0, 0x0d, 4][..], &[0, 0, 2, 0x58]].concat();
        let by_channel = [&[2, 0, 8][..], &[0x40, 1, 0, 4, 1, 2, 3, 4]].concat();
        let (back, stream) = (
            vec![3, 0, 0, 40],
            [&[4, 0, 12][..], &[0x40, 1, 0, 4, 1, 2, 3, 4, 0x40, 1, 0xff, 0xff]].concat(),
        );
        vec![[allocate, permit, bind, by_channel, back, refresh, stream].concat()]
    },
    prepare: || Box::new(turn),
};

const UNIX_S: u64 = 1_800_000_000;
const WORKERS: [&str; 3] = ["203.0.113.7:8800", "203.0.113.7:8801", "[2001:db8::7]:8800"];

/// Bytes of the longest answer: an error with a few unknown attributes, or an allocation.
const ANSWER_MAX: usize = 160;

struct Workers(Vec<SocketAddr>);

impl Peers for Workers {
    fn contains(&self, peer: SocketAddr) -> bool {
        self.0.contains(&peer)
    }

    fn address(&self, is_ipv4: bool) -> Option<IpAddr> {
        self.0.iter().find(|one| one.is_ipv4() == is_ipv4).map(SocketAddr::ip)
    }
}

struct Scene {
    now: Now,
    terms: Terms<Workers>,
    client: Client,
}

fn turn(input: &[u8]) {
    let mut bytes = Bytes(input);
    let address = SocketAddr::from(([192, 0, 2, 1], 1));
    let mut scene = Scene {
        now: Now {
            at: Instant::from_std(now()),
            unix_s: UNIX_S,
        },
        terms: Terms {
            secret: Secret::new(b"secret"),
            nonces: Nonces::new(b"nonces"),
            quotas: Quotas::new(25),
            peers: Workers(WORKERS.map(|worker| worker.parse().unwrap()).to_vec()),
        },
        client: Client::new(address, address.ip().into()),
    };
    let mut held = Vec::new();
    while !bytes.is_empty() {
        let kind = bytes.below(5);
        let passed = u64::from(bytes.byte());
        scene.now.at += Duration::from_secs(passed);
        scene.now.unix_s += passed;
        match kind {
            0 => {
                let request = signed(&scene, address, &mut bytes);
                scene.take(&request);
            }
            1 | 2 => {
                let datagram = bytes.piece();
                scene.take(datagram);
            }
            3 => scene.deliver(&mut bytes),
            _ => {
                held.extend_from_slice(bytes.piece());
                let mut places = Vec::new();
                match framing::split(&held, &mut places) {
                    Ok(read) => {
                        places.into_iter().for_each(|place| scene.take(&held[place]));
                        held.drain(..read);
                        assert!(held.len() < MAX_MESSAGE + 4, "what is kept of a message has a bound");
                    }
                    Err(_) => held.clear(),
                }
            }
        }
        assert!(scene.terms.quotas.allocations() <= 1);
    }
    drop(scene.client);
    assert_eq!(scene.terms.quotas.allocations(), 0, "what a client had is given back");
}

impl Scene {
    fn take(&mut self, message: &[u8]) {
        match self.client.receive(self.now, &self.terms, message) {
            Step::Reply(answer) => assert!(answer.bytes.len() <= ANSWER_MAX, "{}", answer.bytes.len()),
            Step::Forward { peer, packet } => {
                assert!(self.terms.peers.contains(peer), "{peer} is no worker");
                assert!(packet.len() <= MAX_PACKET);
                assert!(self.client.relayed().is_some());
            }
            Step::Drop(_) => {}
        }
    }

    fn deliver(&mut self, bytes: &mut Bytes<'_>) {
        let from = bytes.pick(&self.terms.peers.0);
        let packet = vec![7; usize::from(bytes.byte()) * 8];
        let mut out = Vec::new();
        if self.client.deliver(self.now.at, from, &packet, &mut out) {
            assert!(self.client.relayed().is_some());
            let mut places = Vec::new();
            assert_eq!(
                framing::split(&out, &mut places),
                Ok(out.len()),
                "clients read it from a stream, too"
            );
            assert_eq!(places.len(), 1);
        } else {
            assert!(out.is_empty());
        }
    }
}

/// A request with a method and attributes of the input. The address of a peer may be a worker's.
fn signed(scene: &Scene, address: SocketAddr, bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut message = Message::new();
    message.typ.read_value(bytes.number());
    let typ = message.typ;
    message.set_type(typ);
    message.transaction_id = TransactionId([bytes.0.len() as u8; 12]);
    message.write_header();
    for _ in 0..bytes.below(6) {
        let typ = AttrType(bytes.number());
        let len = bytes.byte();
        if typ == ATTR_XOR_PEER_ADDRESS && len == 255 {
            let peer = bytes.pick(&scene.terms.peers.0);
            let (ip, port) = (peer.ip(), peer.port());
            XorMappedAddress { ip, port }.add_to_as(&mut message, typ).unwrap();
        } else {
            message.add(typ, bytes.take(usize::from(len % 32)));
        }
    }
    let credentials = scene.terms.secret.issue(UNIX_S + 1_000, "a");
    message.add(ATTR_USERNAME, credentials.username.as_bytes());
    message.add(ATTR_REALM, REALM.as_bytes());
    message.add(
        ATTR_NONCE,
        scene.terms.nonces.make(scene.now.unix_s, address).as_bytes(),
    );
    let provider = rtc_crypto::default_provider().unwrap();
    let (username, realm) = (credentials.username, REALM.to_owned());
    let integrity = MessageIntegrity::new_long_term_integrity_with_provider(
        username,
        realm,
        credentials.password,
        provider.crypto(),
    );
    // One that the library does not sign, because there is a fingerprint in it already, is sent as it is.
    let _ = integrity.unwrap().add_to(&mut message);
    message.raw
}
