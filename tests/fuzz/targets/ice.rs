//! STUN: any datagram, and authentic connectivity checks with any attributes, from any address, in any order.

use std::net::SocketAddr;
use std::time::Duration;

use patchbay::media::demux;
use patchbay::media::peer::dtls::DtlsIdentity;
use patchbay::media::peer::ice::{Ice, Learning, Path, Request};
use patchbay::media::remote::Remote;
use rtc_stun::attributes::AttrType;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};

use super::bytes::Bytes;
use super::media_client::Client;
use super::{Target, now};

pub const STUN: Target = Target {
    name: "stun",
    seeds: || {
        let identity = DtlsIdentity::generate().unwrap();
        let client = Client::new(1, None, Vec::new(), &identity, &identity);
        vec![client.check(), client.plain_check()]
    },
    prepare: || {
        Box::new(|input| {
            let _ = demux::classify(input);
            if let Some(request) = Request::parse(input) {
                let _ = request.ufrags();
            }
        })
    },
};

/// Steps: what to do, how long to wait, from where, how many attributes; for each attribute its type and its
/// value.
pub const CHECKS: Target = Target {
    name: "checks",
    seeds: || {
        let username = [&[0, 6, 3], &b"a:b"[..]].concat();
        let nominated = [&[0, 1, 1, 2], &username[..], &[0, 0x25, 0]].concat();
        let controlled = [&[0, 200, 2, 2], &username[..], &[0x80, 0x29, 8, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
        let unknown = [&[1, 0, 3, 2], &username[..], &[0x7f, 0xff, 1, 1]].concat();
        let others = [2, 0, 0, 3, 0, 0, 4, 9, 1, 5, 9, 1, 6, 0, 0].to_vec();
        vec![[nominated, controlled, unknown, others].concat()]
    },
    prepare: || Box::new(checks),
};

/// The number of addresses; a connection keeps only some.
const PATHS_MAX: usize = 8;

fn checks(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut now = now();
    let mut passwords = ["password-of-the-server-1", "password-of-the-server-2"];
    let mut ice = Ice::new(now, "a", passwords[0], "b");
    let mut learned = Vec::new();
    while !bytes.is_empty() {
        let (what, wait, from) = (bytes.below(7), bytes.byte(), bytes.byte());
        now += Duration::from_millis(50 * u64::from(wait));
        let remote = Remote::from(SocketAddr::from(([127, 0, 0, 1], 4_000 + u16::from(from % 16))));
        match what {
            0 | 1 => {
                let learning = [Learning::Learn, Learning::AnswerOnly][what];
                let datagram = check(&mut bytes, passwords[0]);
                let path = Path { remote, local: None };
                let Some(request) = Request::parse(&datagram) else {
                    continue;
                };
                let Some((_, theirs)) = request.ufrags() else { continue };
                let Some(answered) = ice.handle(now, request, path, &theirs, learning) else {
                    continue;
                };
                let mut reply = Message::new();
                reply
                    .unmarshal_binary(&answered.reply)
                    .expect("what we write can be read");
                assert_eq!(20 + reply.length as usize, answered.reply.len());
                assert!(answered.evicted.is_none() || answered.path.is_some());
                learned.extend(answered.path);
            }
            2 => ice.suspend(),
            3 => {
                passwords.reverse();
                ice.restart("a", passwords[0], "b");
            }
            4 => {
                if let Some(&index) = learned.get(usize::from(from)) {
                    ice.heard(now, index);
                    let _ = ice.holds(now, index);
                }
            }
            5 => {
                if let Some(&index) = learned.get(usize::from(from)) {
                    ice.prove(now, index);
                }
            }
            _ => ice.forget(now, remote),
        }
        ice.follow(now);
        let _ = ice.consent_expired(now);
        let known: Vec<Remote> = ice.known_addresses().collect();
        assert!(known.len() <= PATHS_MAX, "{} addresses", known.len());
        if let Some(selected) = ice.selected() {
            assert!(known.contains(&selected.remote), "an unknown address is in use");
        }
    }
}

/// A check that is authentic, whatever else it contains.
fn check(bytes: &mut Bytes<'_>, password: &str) -> Vec<u8> {
    let provider = rtc_crypto::default_provider().unwrap();
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    message.transaction_id = TransactionId([7; 12]);
    message.write_header();
    for _ in 0..bytes.below(8) {
        let typ = bytes.number();
        message.add(AttrType(typ), bytes.piece());
    }
    // It cannot be signed if one of the attributes is a fingerprint: then it stays unsigned.
    let signed = MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
    if signed.add_to(&mut message).is_ok() {
        FINGERPRINT.add_to(&mut message).unwrap();
    }
    message.raw
}
