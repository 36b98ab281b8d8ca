//! What a stranger who knows the client's address can put between its datagrams. Nothing of it ends the client's handshake,
//! makes us end it, or stays in memory.

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

/// The first datagram of somebody else's handshake.
fn hello_of(mut client: Dtls) -> Vec<u8> {
    client.start(epoch()).unwrap();
    client.poll_transmit().unwrap().to_vec()
}

fn another_hello() -> Vec<u8> {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    hello_of(Dtls::new(theirs, DtlsRole::Client, sha256(&ours)))
}

/// Another hello, with no cipher suite that we know.
fn hello_without_ciphers() -> Vec<u8> {
    let mut hello = another_hello();
    // Record header, message header, version, random, no session, no cookie; then the suites.
    let suites = 13 + 12 + 2 + 32 + 1 + 1;
    let len = usize::from(u16::from_be_bytes([hello[suites], hello[suites + 1]]));
    hello[suites + 2..suites + 2 + len].fill(0x7f);
    hello
}

fn forgeries() -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = vec![
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

/// A handshake in which a stranger's datagrams reach the server before the client's datagram of the number `at`, in the client's
/// name. True if both sides get through, in time, and the client got no alert.
fn survives(forged: &[&[u8]], at: usize) -> bool {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    client.start(epoch()).unwrap();
    let mut sent = 0;
    for tick in 0..400 {
        let now = epoch() + Duration::from_millis(tick * 10);
        if client.handle_timeout(now).is_err() || server.handle_timeout(now).is_err() {
            return false;
        }
        while let Some(datagram) = client.poll_transmit() {
            if sent == at && forged.iter().any(|forged| server.receive(now, forged).is_err()) {
                return false;
            }
            sent += 1;
            if server.receive(now, &datagram).is_err() {
                return false;
            }
        }
        while let Some(datagram) = server.poll_transmit() {
            let is_alert = datagram[0] == 21 && datagram[3..5] == [0, 0];
            if is_alert || client.receive(now, &datagram).is_err() {
                return false;
            }
        }
        if client.established && server.established {
            return true;
        }
    }
    false
}

#[test]
fn one_forged_datagram_at_any_time_ends_no_handshake() {
    for (name, forged) in forgeries() {
        for at in 0..4 {
            assert!(survives(&[&forged], at), "{name}, before datagram {at}");
        }
    }
}

#[test]
fn all_forgeries_together_end_no_handshake() {
    let all = forgeries();
    let mut datagrams: Vec<&[u8]> = all.iter().map(|(_, forged)| forged.as_slice()).collect();
    for at in 0..4 {
        assert!(survives(&datagrams, at), "before datagram {at}");
    }
    datagrams.reverse();
    for at in 0..4 {
        assert!(survives(&datagrams, at), "in reverse, before datagram {at}");
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
        assert!(survives(&hellos, at), "before datagram {at}");
    }
}

#[test]
fn the_answer_to_a_hello_is_smaller_than_the_hello() {
    let ours = DtlsIdentity::generate().unwrap();
    let mut server = Dtls::new(ours, DtlsRole::Server, Vec::new());
    // The shortest that is read as a hello.
    let body = [&[0xfe, 0xfd][..], &[7; 32], &[0, 0, 0, 0, 0]].concat();
    let message = [&records::message_header(1, 0, body.len())[..], &body].concat();
    let hello = record(22, 0, 0, &message);
    server.receive(epoch(), &hello).unwrap();
    let answer = server.poll_transmit().unwrap();
    assert!(answer.len() < hello.len(), "{} for {}", answer.len(), hello.len());
}

/// Two sides that are through.
fn established() -> (Dtls, Dtls) {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut client = Dtls::new(theirs, DtlsRole::Client, sha256(&ours));
    let (at_client, at_server) = shake(&mut client, &mut server);
    assert!(at_client.unwrap().is_some() && at_server.unwrap().is_some());
    (server, client)
}

#[test]
fn what_is_forged_after_the_handshake_changes_nothing() {
    let (mut server, mut client) = established();
    let mut answered = 0;
    for (name, forged) in forgeries() {
        let progress = server.receive(epoch(), &forged);
        assert!(matches!(progress, Ok(Progress::Pending)), "{name}");
        while let Some(datagram) = server.poll_transmit() {
            answered += 1;
            assert!(
                matches!(client.receive(epoch(), &datagram), Ok(Progress::Pending)),
                "{name}"
            );
        }
    }
    assert!(answered <= 1, "{answered} answers at one moment");
    client.close(epoch());
    let goodbye = client.poll_transmit().unwrap();
    assert!(matches!(server.receive(epoch(), &goodbye), Ok(Progress::Closed)));
    assert!(matches!(server.receive(epoch(), &goodbye), Ok(Progress::Pending)));
}

#[test]
fn a_handshake_that_was_begun_anew_takes_the_place_of_the_old_one() {
    let (ours, theirs) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let mut server = Dtls::new(ours.clone(), DtlsRole::Server, sha256(&theirs));
    let mut first = Dtls::new(theirs.clone(), DtlsRole::Client, sha256(&ours));
    first.start(epoch()).unwrap();
    // It brings back its cookie, gets the server's flight, and says nothing more.
    for _ in 0..2 {
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
