//! Datagrams that a stranger who knows the client's address can send between the client's own, whether we are server or client. None of them ends the
//! handshake, makes us end it, or stays in memory.

use super::*;

/// A plain-text or encrypted record with any number.
fn record(kind: u8, epoch: u16, number: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xfe, 0xfd];
    record.extend_from_slice(&epoch.to_be_bytes());
    record.extend_from_slice(&number.to_be_bytes()[2..]);
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// The first datagram of another client's handshake.
fn hello_of(mut client: Dtls) -> Vec<u8> {
    client.start(epoch()).unwrap();
    client.poll_transmit().unwrap().to_vec()
}

fn another_hello() -> Vec<u8> {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    hello_of(Dtls::new(theirs, DtlsRole::Client, sha256(&ours)))
}

/// Another hello, without any cipher suite that we know.
fn hello_without_ciphers() -> Vec<u8> {
    let mut hello = another_hello();
    // The body: record header, message header, version, random, no session, no cookie; then the suites.
    let suites = 13 + 12 + 2 + 32 + 1 + 1;
    let len = usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    hello[suites + 2..suites + 2 + len].fill(0x7f);
    hello
}

/// The last flight of another client, Certificate to Finished: whole, well made, and signed over another handshake.
fn another_last_flight() -> Vec<u8> {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    client.start(epoch()).unwrap();
    loop {
        let flight: Vec<BytesMut> = std::iter::from_fn(|| client.poll_transmit()).collect();
        let whole = flight.concat();
        if records::records(&whole).any(|record| record.epoch == 1) {
            return whole;
        }
        for datagram in flight {
            server.receive(epoch(), &datagram).unwrap();
        }
        while let Some(datagram) = server.poll_transmit() {
            client.receive(epoch(), &datagram).unwrap();
        }
    }
}

fn forgeries() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("another client's last flight".into(), another_last_flight()),
        ("close_notify".into(), record(21, 0, 0, &[1, 0])),
        ("a fatal alert".into(), record(21, 0, 9, &[2, 40])),
        ("application data in plain text".into(), record(23, 0, 3, &[1, 2, 3])),
        ("an unknown kind of record".into(), record(99, 0, 3, &[1, 2, 3])),
        ("an early ChangeCipherSpec".into(), record(20, 0, 3, &[1])),
        ("an odd ChangeCipherSpec".into(), record(20, 0, 3, &[2])),
        ("an encrypted record".into(), record(22, 1, 0, &[7; 48])),
        ("an encrypted alert".into(), record(21, 1, 0, &[7; 26])),
        ("another hello".into(), another_hello()),
        ("a hello without ciphers".into(), hello_without_ciphers()),
    ];
    for number in 0..6 {
        for kind in [1, 11, 16, 15, 20] {
            let mut fragment = records::message_header(kind, number, 0xff_ffff);
            fragment[9..].copy_from_slice(&[0, 0, 12]);
            let body = [&fragment[..], &[5; 12]].concat();
            all.push((
                format!("a fragment of 16 MB, {kind} as {number}"),
                record(22, 0, 0, &body),
            ));
            let body = [&records::message_header(kind, number, 4)[..], &[0, 0, 1, 9]].concat();
            all.push((format!("a message, {kind} as {number}"), record(22, 0, 0, &body)));
            all.push((
                format!("a message with the last record number, {kind} as {number}"),
                record(22, 0, (1 << 48) - 1, &body),
            ));
        }
    }
    all
}

/// The server's flight after a client has brought its cookie back, for the client with this hello.
fn answer_to(hello: &[u8], server: &mut Dtls) -> Vec<BytesMut> {
    server.receive(epoch(), hello).unwrap();
    let request = server.poll_transmit().unwrap();
    let cookie = records::requested_cookie(&request[25..]).unwrap();
    let second = records::ClientHello::parse(&hello[25..]).unwrap().second(cookie);
    server.receive(epoch(), &record(22, 0, 1, &second)).unwrap();
    std::iter::from_fn(|| server.poll_transmit()).collect()
}

/// The messages of a flight in one datagram, numbered from `first` on.
fn numbered_from(first: u16, flight: &[BytesMut]) -> Vec<u8> {
    let bodies = flight.iter().flat_map(|datagram| records::records(datagram));
    let fragments = bodies.flat_map(|record| records::fragments(record.body));
    let mut out = Vec::new();
    let mut begins = None;
    for (at, fragment) in fragments.enumerate() {
        let number = first + (fragment.message - *begins.get_or_insert(fragment.message));
        let mut header = records::message_header(fragment.kind, number, fragment.length);
        header[6..9].copy_from_slice(&(fragment.offset as u32).to_be_bytes()[1..]);
        header[9..12].copy_from_slice(&(fragment.body.len() as u32).to_be_bytes()[1..]);
        let body = [&header[..], fragment.body].concat();
        out.extend(record(22, 0, at as u64, &body));
    }
    out
}

/// The messages of another server to its own client.
fn another_answer() -> Vec<BytesMut> {
    let ours = DtlsIdentity::generate().unwrap();
    answer_to(&another_hello(), &mut Dtls::new(ours, DtlsRole::Server, Vec::new()))
}

fn request_for(cookie: &[u8]) -> Vec<u8> {
    record(22, 0, 0, &records::hello_verify_request(cookie))
}

/// The datagrams that a stranger can send in a server's name.
fn forgeries_of_a_server() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![
        ("close_notify".into(), record(21, 0, 0, &[1, 0])),
        ("a fatal alert".into(), record(21, 0, 9, &[2, 40])),
        ("an unknown kind of record".into(), record(99, 0, 3, &[1, 2, 3])),
        ("an early ChangeCipherSpec".into(), record(20, 0, 3, &[1])),
        ("an encrypted record".into(), record(22, 1, 0, &[7; 48])),
        ("an encrypted alert".into(), record(21, 1, 0, &[7; 26])),
        ("a HelloVerifyRequest".into(), request_for(&[7; 20])),
        ("one for an empty cookie".into(), request_for(&[])),
        ("one for a long cookie".into(), request_for(&[7; 255])),
        (
            "two in one datagram".into(),
            [request_for(&[8; 20]), request_for(&[8; 20])].concat(),
        ),
        ("a hello".into(), another_hello()),
    ];
    let answer = another_answer();
    for first in 0..3 {
        let whole = numbered_from(first, &answer);
        all.push((format!("another server's answer, from {first} on"), whole.clone()));
        for (at, message) in records::records(&whole).enumerate() {
            all.push((format!("its message {at}, from {first} on"), message.whole.to_vec()));
        }
    }
    for number in 0..8 {
        for kind in [2, 3, 11, 12, 13, 14, 20] {
            let mut fragment = records::message_header(kind, number, 0xff_ffff);
            fragment[9..].copy_from_slice(&[0, 0, 12]);
            let body = [&fragment[..], &[5; 12]].concat();
            let name = format!("a fragment of 16 MB, {kind} as {number}");
            all.push((name, record(22, 0, 0, &body)));
            let body = [&records::message_header(kind, number, 4)[..], &[0, 0, 1, 9]].concat();
            let name = format!("a message, {kind} as {number}");
            all.push((name, record(22, 0, (1 << 48) - 1, &body)));
        }
    }
    all
}

/// The times at which a stranger's datagrams arrive.
#[derive(Clone, Copy)]
enum When {
    /// Before the datagram of this number.
    Once(usize),
    /// Before each flight, and each repetition of one.
    Always,
}

/// A handshake in which a stranger's datagrams reach one side before the other side's, in the other side's name. True if both sides finish in time,
/// and the client gets no alert.
fn survives(victim: DtlsRole, forged: &[&[u8]], when: When) -> bool {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    client.start(epoch()).unwrap();
    let (mut sent, mut answered) = (0, 0);
    for tick in 0..400 {
        let now = epoch() + Duration::from_millis(tick * 10);
        if client.handle_timeout(now).is_err() || server.handle_timeout(now).is_err() {
            return false;
        }
        let is_due = |before_flight: usize, number: usize| match when {
            When::Once(at) => number == at,
            When::Always => number == before_flight,
        };
        let before_flight = sent;
        while let Some(datagram) = client.poll_transmit() {
            let is_time = victim == DtlsRole::Server && is_due(before_flight, sent);
            if is_time && forged.iter().any(|forged| server.receive(now, forged).is_err()) {
                return false;
            }
            sent += 1;
            if server.receive(now, &datagram).is_err() {
                return false;
            }
        }
        let before_flight = answered;
        while let Some(datagram) = server.poll_transmit() {
            let is_time = victim == DtlsRole::Client && is_due(before_flight, answered);
            if is_time && forged.iter().any(|forged| client.receive(now, forged).is_err()) {
                return false;
            }
            answered += 1;
            let is_alert = datagram[0] == 21 && datagram[3..5] == [0, 0];
            if is_alert || client.receive(now, &datagram).is_err() {
                return false;
            }
        }
        if client.association.is_some() && server.association.is_some() {
            return true;
        }
    }
    false
}

#[test]
fn one_forged_datagram_at_any_time_ends_no_handshake() {
    for (name, forged) in forgeries() {
        for at in 0..5 {
            let survives = survives(DtlsRole::Server, &[&forged], When::Once(at));
            assert!(survives, "{name}, before datagram {at}");
        }
    }
}

#[test]
fn a_datagram_that_is_forged_before_each_flight_keeps_no_client_out() {
    for (name, forged) in forgeries() {
        assert!(survives(DtlsRole::Server, &[&forged], When::Always), "{name}");
    }
}

#[test]
fn one_forged_datagram_of_a_server_at_any_time_ends_no_handshake() {
    for (name, forged) in forgeries_of_a_server() {
        for at in 0..5 {
            let survives = survives(DtlsRole::Client, &[&forged], When::Once(at));
            assert!(survives, "{name}, before datagram {at}");
        }
    }
}

#[test]
fn all_forgeries_of_a_server_together_end_no_handshake() {
    let all = forgeries_of_a_server();
    let mut datagrams: Vec<&[u8]> = all.iter().map(|(_, forged)| forged.as_slice()).collect();
    for at in 0..5 {
        assert!(
            survives(DtlsRole::Client, &datagrams, When::Once(at)),
            "before datagram {at}"
        );
    }
    datagrams.reverse();
    for at in 0..5 {
        assert!(
            survives(DtlsRole::Client, &datagrams, When::Once(at)),
            "in reverse, before {at}"
        );
    }
}

/// The kind and number of each unencrypted message in a side's datagrams, and whether it is the hello with this cookie.
fn sent(dtls: &mut Dtls, cookie: &[u8]) -> Vec<(u8, u16, bool)> {
    let mut sent = Vec::new();
    while let Some(datagram) = dtls.poll_transmit() {
        for record in records::records(&datagram).filter(|record| record.kind == 22 && record.epoch == 0) {
            for fragment in records::fragments(record.body) {
                let hello = (fragment.kind == 1).then(|| records::ClientHello::parse(fragment.body).unwrap());
                let brings_back = hello.is_some_and(|hello| !cookie.is_empty() && hello.cookie == cookie);
                sent.push((fragment.kind, fragment.message, brings_back));
            }
        }
    }
    sent
}

#[test]
fn a_cookie_is_brought_back_once_it_has_been_asked_for_twice() {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    let at = |ms| epoch() + Duration::from_millis(ms);
    client.start(at(0)).unwrap();
    assert_eq!(sent(&mut client, &[7]), [(1, 0, false)]);
    for (ms, cookie, expected) in [
        (1, 6, Some((1, 0, false))),
        // A request with another cookie gets no hello so soon after the first one.
        (2, 7, None),
        (3, 7, Some((1, 1, true))),
        (40, 7, Some((1, 1, true))),
        (41, 6, None),
        (80, 7, Some((1, 1, true))),
    ] {
        client.receive(at(ms), &request_for(&[cookie])).unwrap();
        assert_eq!(sent(&mut client, &[7]), Vec::from_iter(expected), "after {ms} ms");
    }
    client.handle_timeout(client.poll_timeout().unwrap()).unwrap();
    assert_eq!(sent(&mut client, &[7]), [(1, 1, true)], "and by the clock");
}

#[test]
fn a_server_that_asks_for_no_cookie_is_answered_though_somebody_else_has_asked_for_one() {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    client.start(epoch()).unwrap();
    let hello = client.poll_transmit().unwrap();
    let answer = answer_to(&hello, &mut server);
    client.receive(epoch(), &request_for(&[7; 20])).unwrap();
    assert_eq!(sent(&mut client, &[7; 20]), [(1, 0, false)]);
    client.receive(epoch(), &numbered_from(0, &answer)).unwrap();
    let kinds: Vec<(u8, u16)> = sent(&mut client, &[]).iter().map(|sent| (sent.0, sent.1)).collect();
    assert_eq!(kinds, [(11, 1), (16, 2), (15, 3)]);
}

#[test]
fn an_answer_with_the_servers_certificate_that_its_key_has_not_signed_is_none() {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs.clone(), DtlsRole::Client, sha256(&ours));
    // The certificate of the same server, from another client's handshake, with another random.
    let hello = hello_of(Dtls::new(theirs, DtlsRole::Client, sha256(&ours)));
    let mut other = Dtls::new(ours, DtlsRole::Server, Vec::new());
    let older = answer_to(&hello, &mut other);
    client.start(epoch()).unwrap();
    for first in [0, 1] {
        for _ in 0..100 {
            let progress = client.receive(epoch(), &numbered_from(first, &older));
            assert!(matches!(progress, Ok(DtlsProgress::Pending)));
        }
    }
    for second in 0..4 {
        let now = epoch() + Duration::from_secs(second);
        client.handle_timeout(now).unwrap();
        server.handle_timeout(now).unwrap();
        let (at_client, at_server) = shake_on(now, &mut client, &mut server);
        assert!(at_client.is_ok() && at_server.is_ok(), "after {second} s");
    }
    assert!(client.association.is_some() && server.association.is_some());
}

#[test]
fn all_forgeries_together_end_no_handshake() {
    let all = forgeries();
    let mut datagrams: Vec<&[u8]> = all.iter().map(|(_, forged)| forged.as_slice()).collect();
    for at in 0..5 {
        assert!(
            survives(DtlsRole::Server, &datagrams, When::Once(at)),
            "before datagram {at}"
        );
    }
    datagrams.reverse();
    for at in 0..5 {
        assert!(
            survives(DtlsRole::Server, &datagrams, When::Once(at)),
            "in reverse, before {at}"
        );
    }
}

#[test]
fn a_thousand_hellos_shut_no_client_out() {
    let hello = another_hello();
    let hellos: Vec<Vec<u8>> = (0..1_000_u16)
        .map(|random| {
            let mut hello = hello.clone();
            hello[27..29].copy_from_slice(&random.to_be_bytes());
            hello
        })
        .collect();
    let hellos: Vec<&[u8]> = hellos.iter().map(Vec::as_slice).collect();
    for at in 0..3 {
        assert!(
            survives(DtlsRole::Server, &hellos, When::Once(at)),
            "before datagram {at}"
        );
    }
}

#[test]
fn a_client_that_begins_again_and_again_costs_a_bounded_number_of_handshakes() {
    let ours = DtlsIdentity::generate().unwrap();
    let mut server = Dtls::new(ours, DtlsRole::Server, Vec::new());
    let first = another_hello();
    let body = &first[13 + records::MESSAGE_HEADER..];
    server.receive(epoch(), &first).unwrap();
    let cookie = server.cookie.unwrap();
    let (mut answered, mut answers) = (0, 0);
    for round in 0..1_000_u64 {
        let mut body = body.to_vec();
        // Each random comes twice: as a repetition, which gets one answer.
        body[2..4].copy_from_slice(&(round as u16 / 2).to_be_bytes());
        let hello = ClientHello::parse(&body).unwrap().second(&cookie);
        let now = epoch() + Duration::from_millis(30 * round);
        server.receive(now, &record(22, 0, round, &hello)).unwrap();
        let before = answers;
        answers += std::iter::from_fn(|| server.poll_transmit()).count();
        answered += u32::from(answers > before);
    }
    assert_eq!(server.attempts, MAX_ATTEMPTS);
    assert!(answered <= u32::from(MAX_ATTEMPTS + MAX_REPEATS), "{answered} answers");
}

#[test]
fn the_answer_to_a_hello_is_smaller_than_the_hello() {
    let ours = DtlsIdentity::generate().unwrap();
    let mut server = Dtls::new(ours, DtlsRole::Server, Vec::new());
    // The shortest one that is read as a hello.
    let body = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 0, 0]].concat();
    let message = [&records::message_header(1, 0, body.len())[..], &body].concat();
    let hello = record(22, 0, 0, &message);
    server.receive(epoch(), &hello).unwrap();
    let answer = server.poll_transmit().unwrap();
    assert!(answer.len() < hello.len(), "{} for {}", answer.len(), hello.len());
}

#[test]
fn what_is_forged_after_the_handshake_changes_nothing() {
    let (mut server, mut client) = established();
    let mut answered = 0;
    for (name, forged) in forgeries() {
        let progress = server.receive(epoch(), &forged);
        assert!(matches!(progress, Ok(DtlsProgress::Pending)), "{name}");
        while let Some(datagram) = server.poll_transmit() {
            answered += 1;
            assert!(
                matches!(client.receive(epoch(), &datagram), Ok(DtlsProgress::Pending)),
                "{name}"
            );
        }
    }
    assert!(answered <= 1, "{answered} answers at one moment");
    for (name, forged) in forgeries_of_a_server() {
        let progress = client.receive(epoch(), &forged);
        assert!(matches!(progress, Ok(DtlsProgress::Pending)), "{name}");
        assert!(client.poll_transmit().is_none(), "{name}");
    }
    client.close(epoch());
    let goodbye = client.poll_transmit().unwrap();
    assert!(matches!(server.receive(epoch(), &goodbye), Ok(DtlsProgress::Closed)));
    assert!(matches!(server.receive(epoch(), &goodbye), Ok(DtlsProgress::Pending)));
}

#[test]
fn a_handshake_that_was_begun_anew_takes_the_place_of_the_old_one() {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut first = Dtls::new(theirs.clone(), DtlsRole::Client, sha256(&ours));
    first.start(epoch()).unwrap();
    // The client brings its cookie back, gets the server's flight, and sends nothing more.
    for _ in 0..3 {
        let datagram = first.poll_transmit().unwrap();
        server.receive(epoch(), &datagram).unwrap();
        while let Some(datagram) = server.poll_transmit() {
            first.receive(epoch(), &datagram).unwrap();
        }
    }
    let mut second = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    let (at_client, at_server) = shake(&mut second, &mut server);
    assert!(at_client.is_ok_and(|profile| profile.is_some()));
    assert!(at_server.is_ok_and(|profile| profile.is_some()));
}
