//! ICE, DTLS and candidates.

use super::*;
use crate::media::session::{DtlsRole, FingerprintHash};
use crate::media::tcp::ufrag;

fn setup(value: &str) -> String {
    CHROME_SENDONLY.replace("a=setup:actpass", value)
}

#[test]
fn an_active_client_makes_us_the_dtls_server() {
    let negotiated = answered(&setup("a=setup:active"), RECEIVING);
    assert_eq!(negotiated.transports[0].dtls_role, DtlsRole::Server);
    assert!(has(&section(&negotiated.answer, 0), "a=setup:passive"));
}

#[test]
fn a_passive_client_makes_us_the_dtls_client() {
    let negotiated = answered(&setup("a=setup:passive"), RECEIVING);
    assert_eq!(negotiated.transports[0].dtls_role, DtlsRole::Client);
    assert!(has(&section(&negotiated.answer, 1), "a=setup:active"));
}

#[test]
fn an_offer_without_setup_is_taken_for_actpass() {
    let negotiated = answered(&setup("a=unknown"), RECEIVING);
    assert_eq!(negotiated.transports[0].dtls_role, DtlsRole::Server);
}

#[test]
fn holdconn_and_unknown_roles_are_refused() {
    for value in ["a=setup:holdconn", "a=setup:whatever"] {
        assert_eq!(
            try_answer(&setup(value), RECEIVING).expect_err("no role"),
            OfferError::Setup
        );
    }
}

#[test]
fn credentials_fingerprint_and_setup_may_stand_at_session_level() {
    let negotiated = answered(&offer("", &[opus("")]), RECEIVING);
    assert_eq!(negotiated.transports[0].remote_ufrag, "abcd");
    assert_eq!(negotiated.transports[0].remote_pwd, "0123456789abcdefghijkl");
    assert_eq!(negotiated.transports[0].remote_fingerprints.len(), 1);
}

#[test]
fn a_section_has_precedence_over_the_session() {
    let own = "ice-ufrag:wxyz\nice-pwd:zzzzzzzzzzzzzzzzzzzzzzzz\nsetup:passive";
    let negotiated = answered(&offer("", &[opus(own)]), RECEIVING);
    assert_eq!(negotiated.transports[0].remote_ufrag, "wxyz");
    assert_eq!(negotiated.transports[0].dtls_role, DtlsRole::Client);
}

#[test]
fn a_ufrag_and_a_password_of_different_levels_do_not_go_together() {
    let negotiated = answered(&offer("", &[opus("ice-ufrag:wxyz")]), RECEIVING);
    assert_eq!(negotiated.transports[0].remote_ufrag, "abcd");
}

#[test]
fn what_a_transport_lacks_is_named() {
    for (left_out, named) in [("a=ice-pwd", "ICE credentials"), ("a=fingerprint", "fingerprint")] {
        let lines = CHROME_SENDONLY
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(left_out));
        let error = try_answer(&lines.collect::<String>(), RECEIVING).expect_err("incomplete");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn credentials_of_impossible_length_are_none() {
    let long = "x".repeat(257);
    for (ufrag, pwd) in [
        ("abc", "0123456789abcdefghijkl"),
        ("abcd", "short"),
        (&long, "0123456789abcdefghijkl"),
    ] {
        let session = format!("ice-ufrag:{ufrag}\nice-pwd:{pwd}\nfingerprint:sha-256 {DIGEST}");
        assert!(try_answer(&bare_offer(&session, &[opus("")]), RECEIVING).is_err());
    }
}

#[test]
fn fingerprints_are_read_in_any_case_and_weak_hashes_passed_over() {
    let session = format!(
        "ice-ufrag:abcd\nice-pwd:0123456789abcdefghijkl\nfingerprint:sha-1 {sha1}\nfingerprint:SHA-256 {lower}\nfingerprint:sha-384 {sha384}",
        sha1 = &DIGEST[..59],
        lower = DIGEST.to_lowercase(),
        sha384 = [DIGEST, &DIGEST[..47]].join(":"),
    );
    let negotiated = answered(&bare_offer(&session, &[opus("")]), RECEIVING);
    let hashes: Vec<_> = negotiated.transports[0]
        .remote_fingerprints
        .iter()
        .map(|one| (one.hash, one.digest.len()))
        .collect();
    assert_eq!(hashes, [(FingerprintHash::Sha256, 32), (FingerprintHash::Sha384, 48)]);
    assert_eq!(
        negotiated.transports[0].remote_fingerprints[0].digest[..4],
        [0x00, 0x11, 0x22, 0x33]
    );
}

#[test]
fn malformed_fingerprints_do_not_count() {
    for digest in [
        &DIGEST[..92],
        &DIGEST.replace(':', "-"),
        &DIGEST.replacen("00", "+0", 1),
        "",
        "é",
    ] {
        let session = format!("ice-ufrag:abcd\nice-pwd:0123456789abcdefghijkl\nfingerprint:sha-256 {digest}");
        assert!(
            try_answer(&bare_offer(&session, &[opus("")]), RECEIVING).is_err(),
            "{digest}"
        );
    }
}

#[test]
fn candidates_stand_in_the_tagged_section_best_first() {
    let negotiated = answered(CHROME_SENDONLY, RECEIVING);
    let audio = section(&negotiated.answer, 0);
    assert_eq!(
        starting(&audio, "a=candidate:"),
        [
            "1 1 udp 2130706431 203.0.113.7 50000 typ host",
            "2 1 udp 2130706175 2001:db8::7 50001 typ host",
            "1 1 udp 2130705919 203.0.113.7 50002 typ host",
            "4 1 tcp 1520435199 203.0.113.7 7000 typ host tcptype passive",
            "5 1 tcp 1520434943 2001:db8::7 443 typ host tcptype passive",
        ]
    );
    assert!(has(&audio, "a=end-of-candidates"));
    assert!(starting(&section(&negotiated.answer, 1), "a=candidate:").is_empty());
}

#[test]
fn port_and_address_lines_are_the_first_candidates() {
    let negotiated = answered(CHROME_SENDONLY, RECEIVING);
    for n in [0, 1] {
        let lines = section(&negotiated.answer, n);
        assert!(lines[0].contains(" 50000 ") && has(&lines, "c=IN IP4 203.0.113.7"));
    }
    let mut six = local();
    six.candidates.remove(0);
    let random = &mut StdRng::seed_from_u64(1);
    let negotiated =
        answer(&Description::read(CHROME_SENDONLY), &six, RECEIVING, None, random).expect("an acceptable offer");
    assert!(has(&section(&negotiated.answer, 0), "c=IN IP6 2001:db8::7"));
}

#[test]
fn our_certificate_and_credentials_are_sent_in_every_section() {
    let negotiated = answered(CHROME_SENDONLY, RECEIVING);
    let digest = ["AB"; 32].join(":");
    for n in [0, 1] {
        let lines = section(&negotiated.answer, n);
        assert!(has(&lines, &format!("a=fingerprint:sha-256 {digest}")));
        assert!(has(
            &lines,
            &format!("a=ice-ufrag:{}", negotiated.transports[0].local_ufrag)
        ));
        assert!(has(
            &lines,
            &format!("a=ice-pwd:{}", negotiated.transports[0].local_pwd)
        ));
    }
    assert!(negotiated.transports[0].local_ufrag.len() >= 4 && negotiated.transports[0].local_pwd.len() >= 22);
}

#[test]
fn our_ice_user_names_the_worker_for_clients_that_come_by_tcp() {
    for transport in answered(CHROME_SENDONLY, RECEIVING).transports {
        assert_eq!(ufrag::worker_of(&transport.local_ufrag), Some(local().worker));
    }
}

#[test]
fn two_lite_agents_cannot_connect() {
    let error = try_answer(&offer("ice-lite", &[opus("")]), RECEIVING).expect_err("both lite");
    assert_eq!(error, OfferError::BothLite);
}

/// The candidates in an answer's text: each with the mid and the place of its m-line.
fn candidates_in(answer: &str) -> Vec<LocalCandidate> {
    let sections = parts(answer).into_iter().skip(1).enumerate();
    let in_section = |(section, lines): (usize, Vec<&str>)| {
        let mid = starting(&lines, "a=mid:").first().unwrap_or(&"").to_string();
        let values: Vec<String> = starting(&lines, "a=candidate:")
            .iter()
            .map(|value| value.to_string())
            .collect();
        values.into_iter().map(move |value| LocalCandidate {
            line: format!("candidate:{value}"),
            mid: mid.clone(),
            section,
        })
    };
    sections.flat_map(in_section).collect()
}

#[test]
fn the_candidates_beside_an_answer_are_those_in_it() {
    let groups = "group:BUNDLE c a\ngroup:BUNDLE b";
    let sections = [opus("mid:a"), vp8("mid:b"), vp8("mid:c"), opus("")];
    let turned_off = format!("m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n{}", vp8(""));
    for text in [offer(groups, &sections), offer("", &[turned_off])]
        .iter()
        .map(String::as_str)
        .chain(CLIENTS)
    {
        let negotiated = answered(text, BOTH);
        let expected = candidates_in(&negotiated.answer);
        assert_eq!(expected.len(), 5 * negotiated.transports.len());
        assert_eq!(negotiated.candidates, expected);
    }
}
