//! One client by UDP and by TCP.

use std::net::SocketAddr;

use rtc_stun::message::TransactionId;
use slotmap::KeyData;

use super::*;
use crate::media::keys::TcpKey;
use crate::media::remote::Via;
use crate::media::virtual_time::epoch;

const PASSWORD: &str = "password-of-the-server";

fn address() -> SocketAddr {
    ([192, 0, 2, 1], 4_000).into()
}

fn by_udp() -> Path {
    Path {
        remote: address().into(),
        local: None,
    }
}

/// The path over a TCP connection from the same address.
fn by_tcp(connection: u64) -> Path {
    let remote = Remote {
        address: address(),
        via: Via::Tcp(TcpKey::from(KeyData::from_ffi(1 << 32 | connection))),
    };
    Path { remote, local: None }
}

fn check(ice: &mut Ice, now: Instant, path: Path, nominates: bool) -> Option<Path> {
    let provider = rtc_crypto::default_provider().unwrap();
    let mut message = Message::new();
    message.set_type(BINDING_REQUEST);
    message.transaction_id = TransactionId([7; 12]);
    message.write_header();
    message.add(ATTR_USERNAME, b"ours:theirs");
    if nominates {
        message.add(ATTR_USE_CANDIDATE, &[]);
    }
    MessageIntegrity::new_short_term_integrity_with_provider(PASSWORD.to_owned(), provider.crypto())
        .add_to(&mut message)
        .unwrap();
    FINGERPRINT.add_to(&mut message).unwrap();
    let request = Request::parse(&message.raw).unwrap();
    let answered = ice.handle(now, request, path, "theirs", Learning::Learn).unwrap();
    let mut reply = Message::new();
    reply.unmarshal_binary(&answered.reply).unwrap();
    let mut seen = XorMappedAddress::default();
    rtc_stun::message::Getter::get_from(&mut seen, &reply).unwrap();
    assert_eq!((seen.ip, seen.port), (address().ip(), address().port()));
    ice.selected()
}

#[test]
fn a_client_moves_between_udp_and_tcp_by_nominating_one() {
    let now = epoch();
    let mut ice = Ice::new(now, "ours", PASSWORD, "theirs");
    assert_eq!(check(&mut ice, now, by_udp(), true), Some(by_udp()));
    assert_eq!(check(&mut ice, now, by_tcp(1), false), Some(by_udp()), "only tried");
    assert_eq!(check(&mut ice, now, by_tcp(1), true), Some(by_tcp(1)));
    assert_eq!(check(&mut ice, now, by_udp(), false), Some(by_tcp(1)));
    assert_eq!(check(&mut ice, now, by_udp(), true), Some(by_udp()));
    assert_eq!(ice.known_addresses().count(), 2);
}

#[test]
fn udp_that_falls_silent_gives_way_to_tcp_that_does_not() {
    let now = epoch();
    let mut ice = Ice::new(now, "ours", PASSWORD, "theirs");
    check(&mut ice, now, by_udp(), true);
    let later = now + CONSENT_INTERVAL;
    assert_eq!(check(&mut ice, later, by_tcp(1), false), Some(by_tcp(1)));
}

#[test]
fn a_connection_that_has_ended_is_no_path_any_more_and_a_new_one_is_another() {
    let now = epoch();
    let mut ice = Ice::new(now, "ours", PASSWORD, "theirs");
    check(&mut ice, now, by_udp(), false);
    check(&mut ice, now, by_tcp(1), true);
    ice.forget(now, by_tcp(1).remote);
    assert_eq!(ice.selected(), Some(by_udp()), "what is left");
    ice.forget(now, by_udp().remote);
    assert_eq!(ice.selected(), None);
    assert_eq!(check(&mut ice, now, by_tcp(2), false), Some(by_tcp(2)));
    ice.forget(now, by_tcp(1).remote);
    assert_eq!(ice.selected(), Some(by_tcp(2)), "the old one's end is not its end");
}
