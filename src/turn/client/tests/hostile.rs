//! What relays are asked that must not be: other addresses, others' credentials, lengths that lie, too much of it.

use super::*;

/// The ways in which relays were made to reach what they should not (CVE-2020-26262, CVE-2026-27624).
#[test]
fn nobody_but_the_workers_is_reached_however_the_address_is_written() {
    let mut pair = Pair::allocated();
    pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER)]).unwrap();
    for other in [
        "0.0.0.0:8800",
        "127.0.0.1:8800",
        "127.1.2.3:80",
        "10.0.0.1:8800",
        "192.168.0.1:80",
        "172.16.0.1:80",
        "169.254.169.254:80",
        "100.64.0.1:80",
        "224.0.0.1:8800",
        "255.255.255.255:8800",
        "198.51.100.1:443",
        "203.0.113.8:8800",
        "203.0.113.7:0",
        "203.0.113.7:22",
        "203.0.113.7:3478",
        "203.0.113.7:8802",
        "[::]:8800",
        "[::1]:8800",
        "[::ffff:127.0.0.1]:8800",
        "[::ffff:203.0.113.7]:8800",
        "[::203.0.113.7]:8800",
        "[64:ff9b::cb00:7107]:8800",
        "[2002:cb00:7107::1]:8800",
        "[fe80::1]:8800",
        "[fc00::1]:8800",
        "[fd00:ec2::254]:80",
        "[ff02::1]:8800",
        "[2001:db8::7]:22",
    ] {
        assert_eq!(
            pair.request(METHOD_CREATE_PERMISSION, &[at(other)]).err(),
            Some(403),
            "{other}"
        );
        let both = [at(WORKER), at(other)];
        assert_eq!(
            pair.request(METHOD_CREATE_PERMISSION, &both).err(),
            Some(403),
            "{other}"
        );
        assert_eq!(
            pair.request(METHOD_CHANNEL_BIND, &[channel(0x4001), at(other)]).err(),
            Some(403),
            "{other}"
        );
        assert_eq!(pair.send(other, b"x"), NOT_PERMITTED, "{other}");
    }
    assert_eq!(pair.request(METHOD_CREATE_PERMISSION, &[at(WORKER_6)]).err(), Some(443));
    assert_eq!(pair.send_by(0x4001, b"x"), NOT_PERMITTED);
}

#[test]
fn an_address_that_is_cut_short_is_no_address() {
    let mut pair = Pair::allocated();
    let whole = begun(METHOD_SEND, CLASS_INDICATION, 1, &[at(WORKER)]).attributes.0[0]
        .value
        .clone();
    let whole_6 = begun(METHOD_SEND, CLASS_INDICATION, 1, &[at(WORKER_6)]).attributes.0[0]
        .value
        .clone();
    for whole in [whole, whole_6] {
        for len in 0..whole.len() {
            let cut = (ATTR_XOR_PEER_ADDRESS, whole[..len].to_vec());
            assert_eq!(pair.request(METHOD_CREATE_PERMISSION, &[cut]).err(), Some(400), "{len}");
        }
    }
    assert_eq!(pair.request(METHOD_CREATE_PERMISSION, &[]).err(), Some(400));
}

#[test]
fn whoever_has_no_valid_credentials_gets_no_allocation_and_a_nonce() {
    let foreign = Secret::new(b"another server's");
    let ours = Secret::new(b"secret");
    let fresh = UNIX_S + 100;
    let wrong = |username: &str| Credentials {
        username: username.to_owned(),
        password: "guess".to_owned(),
    };
    for credentials in [
        foreign.issue(fresh, "a"),
        ours.issue(UNIX_S, "a"),
        ours.issue(0, "a"),
        wrong(&format!("{fresh}:a")),
        wrong("a"),
        wrong(""),
        Credentials {
            username: format!("{}:a", fresh + 1_000),
            ..ours.issue(fresh, "a")
        },
    ] {
        let mut pair = Pair::new();
        pair.credentials = credentials;
        assert_eq!(
            pair.request(METHOD_ALLOCATE, &[transport(UDP)]).err(),
            Some(401),
            "{:?}",
            pair.credentials
        );
        assert_eq!(pair.terms.quotas.allocations(), 0);
    }
    let mut pair = Pair::new();
    let unsigned = begun(METHOD_ALLOCATE, CLASS_REQUEST, 1, &[transport(UDP)]).raw;
    let Step::Reply(answer) = pair.receive(&unsigned) else {
        panic!()
    };
    assert!(!answer.is_known);
    let challenge = read(&answer.bytes);
    assert_eq!((code(&challenge), answer.error), (Some(401), Some(401)));
    assert_eq!(challenge.get(ATTR_REALM).unwrap(), REALM.as_bytes());
    pair.nonce = String::from_utf8(challenge.get(ATTR_NONCE).unwrap()).unwrap();
    pair.request(METHOD_ALLOCATE, &[transport(UDP)]).unwrap();
}

#[test]
fn a_nonce_that_is_old_or_another_client_s_is_stale_and_the_answer_has_a_new_one() {
    let mut pair = Pair::new();
    let old = pair.nonce.clone();
    for nonce in [
        pair.terms.nonces.make(UNIX_S, address(2)),
        pair.terms.nonces.make(UNIX_S - 3_600, address(1)),
        "x".into(),
    ] {
        pair.nonce = nonce;
        assert_eq!(pair.request(METHOD_ALLOCATE, &[transport(UDP)]).err(), Some(438));
    }
    pair.nonce = old;
    let bytes = pair.message(METHOD_ALLOCATE, &[transport(UDP)]);
    // What was recorded is sent again from elsewhere, and later.
    let mut elsewhere = Client::new(address(2), address(2).ip().into());
    let Step::Reply(answer) = elsewhere.receive(pair.now, &pair.terms, &bytes) else {
        panic!()
    };
    assert_eq!(answer.error, Some(438));
    pair.passes(3_600);
    let Step::Reply(answer) = pair.receive(&bytes) else {
        panic!()
    };
    assert_eq!(answer.error, Some(438));
    assert!(read(&answer.bytes).contains(ATTR_NONCE));
}

#[test]
fn attributes_behind_the_signature_do_not_count() {
    let mut pair = Pair::allocated();
    let mut message = read(&pair.message(METHOD_CREATE_PERMISSION, &[]));
    let (ip, port) = (peer(WORKER).ip(), peer(WORKER).port());
    XorMappedAddress { ip, port }
        .add_to_as(&mut message, ATTR_XOR_PEER_ADDRESS)
        .unwrap();
    let Step::Reply(answer) = pair.receive(&message.raw) else {
        panic!()
    };
    assert_eq!(answer.error, Some(400));
    assert_eq!(pair.send(WORKER, b"x"), NOT_PERMITTED);
}

#[test]
fn what_is_no_message_and_what_lies_about_its_length_is_dropped() {
    let mut pair = Pair::allocated();
    pair.request(METHOD_CHANNEL_BIND, &[channel(0x4000), at(WORKER)])
        .unwrap();
    let whole = pair.message(METHOD_REFRESH, &[]);
    for end in 0..whole.len() {
        assert_eq!(pair.receive(&whole[..end]), UNREADABLE, "{end}");
    }
    assert_eq!(
        pair.receive(&[&whole[..], &[0; 4]].concat()),
        UNREADABLE,
        "longer than it says"
    );
    for bytes in [
        &[22, 3, 1, 0, 5, 0][..],
        b"GET / HTTP/1.1\r\n",
        &[0x80; 40],
        &[0x40, 0, 0, 9, 1],
        &[0x40],
        &[0x5f; 8],
    ] {
        assert_eq!(pair.receive(bytes), UNREADABLE, "{bytes:?}");
    }
    // Answers and indications of others are for nobody here.
    for class in [CLASS_INDICATION, CLASS_ERROR_RESPONSE] {
        let message = begun(METHOD_ALLOCATE, class, 1, &[]).raw;
        assert_eq!(pair.receive(&message), UNREADABLE);
    }
    let two = begun(
        METHOD_SEND,
        CLASS_INDICATION,
        9,
        &[at(WORKER), at(WORKER), (ATTR_DATA, vec![1])],
    )
    .raw;
    assert_eq!(pair.receive(&two), UNREADABLE);
    let none = begun(METHOD_SEND, CLASS_INDICATION, 9, &[at(WORKER)]).raw;
    assert_eq!(pair.receive(&none), UNREADABLE);
}

#[test]
fn a_client_sends_a_bounded_amount_and_more_a_second_later() {
    let mut pair = Pair::allocated();
    pair.request(METHOD_CHANNEL_BIND, &[channel(0x4000), at(WORKER)])
        .unwrap();
    let packet = vec![1; 1_000];
    let mut taken = 0;
    while matches!(pair.send_by(0x4000, &packet), Step::Forward { .. }) {
        taken += 1;
        assert!(taken < 10_000);
    }
    assert_eq!(pair.send_by(0x4000, &packet), Step::Drop(Dropped::TooMuch));
    assert_eq!(pair.send(WORKER, &packet), Step::Drop(Dropped::TooMuch));
    pair.passes(1);
    assert!(matches!(pair.send_by(0x4000, &packet), Step::Forward { .. }));
    assert_eq!(
        pair.send_by(0x4000, &vec![1; MAX_PACKET + 1]),
        Step::Drop(Dropped::TooMuch)
    );
}

#[test]
fn a_user_and_an_address_have_a_share_of_the_allocations() {
    let mut pair = Pair::new();
    let mut clients = Vec::new();
    for port in 1..=MAX_OF_USER as u16 + 1 {
        pair.client = Client::new(address(port), address(port).ip().into());
        pair.nonce = pair.terms.nonces.make(UNIX_S, address(port));
        let made = pair.request(METHOD_ALLOCATE, &[transport(UDP)]);
        assert_eq!(made.err(), (port > MAX_OF_USER as u16).then_some(486));
        clients.push(std::mem::replace(
            &mut pair.client,
            Client::new(address(0), address(0).ip().into()),
        ));
    }
    drop(clients);
    assert_eq!(pair.terms.quotas.allocations(), 0, "what a client had is given back");
}

#[test]
fn anybody_learns_their_address_by_a_message_that_is_hardly_longer() {
    let mut pair = Pair::new();
    let request = begun(METHOD_BINDING, CLASS_REQUEST, 1, &[]).raw;
    let Step::Reply(answer) = pair.receive(&request) else {
        panic!()
    };
    assert!(!answer.is_known);
    assert_eq!(address_in(&read(&answer.bytes), ATTR_XORMAPPED_ADDRESS), address(1));
    assert_eq!(answer.bytes.len(), request.len() + 12);
}
