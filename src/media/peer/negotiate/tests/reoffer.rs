//! Offers on a live connection.

use super::*;
use crate::media::session::DtlsRole;

/// An offer of sections with the mids 0 to `n`, alternately audio and video.
fn sections(n: usize) -> Vec<String> {
    let section = |mid| match mid % 2 {
        0 => opus(&format!("mid:{mid}")),
        _ => vp8(&format!("mid:{mid}")),
    };
    (0..n).map(section).collect()
}

fn bundled(sections: &[String]) -> String {
    bundled_as("0 1 2 3", sections)
}

fn bundled_as(mids: &str, sections: &[String]) -> String {
    offer(&format!("group:BUNDLE {mids}"), sections)
}

fn disabled(section: &str) -> String {
    section.replacen(" 9 ", " 0 ", 1)
}

fn ssrcs(negotiated: &Negotiated) -> Vec<(u32, u32)> {
    negotiated
        .sections
        .iter()
        .map(|section| (section.local_ssrc, section.local_rtx_ssrc))
        .collect()
}

fn origin(answer: &str) -> (String, u64) {
    let line = answer.lines().find(|line| line.starts_with("o=")).expect("an origin");
    let words: Vec<&str> = line.split(' ').collect();
    (words[1].to_owned(), words[2].parse().expect("a version"))
}

#[test]
fn the_same_offer_again_changes_nothing_but_the_version() {
    let first = answered(CHROME_SENDRECV_DATA, BOTH);
    let again = answered_again(CHROME_SENDRECV_DATA, BOTH, &first);
    assert_eq!(
        (&again.transports[0], &again.sections),
        (&first.transports[0], &first.sections)
    );
    let ((id, version), (id_again, version_again)) = (origin(&first.answer), origin(&again.answer));
    assert_eq!((id_again, version_again), (id, version + 1));
    let third = answered_again(CHROME_SENDRECV_DATA, BOTH, &again);
    assert_eq!(origin(&third.answer).1, version + 2);
}

#[test]
fn an_ice_restart_gets_new_credentials_and_keeps_the_rest() {
    let first = answered(&bundled(&sections(2)), BOTH);
    let restarted = bundled(&sections(2)).replace("ice-ufrag:abcd", "ice-ufrag:efgh");
    let second = answered_again(&restarted, BOTH, &first);
    assert_ne!(second.transports[0].local_ufrag, first.transports[0].local_ufrag);
    assert_ne!(second.transports[0].local_pwd, first.transports[0].local_pwd);
    assert_eq!(second.transports[0].remote_ufrag, "efgh");
    assert_eq!(ssrcs(&second), ssrcs(&first));
    assert!(
        second
            .answer
            .contains(&format!("a=ice-ufrag:{}\r\n", second.transports[0].local_ufrag))
    );
}

#[test]
fn a_new_password_alone_is_an_ice_restart_too() {
    let first = answered(&bundled(&sections(1)), BOTH);
    let second = answered_again(&bundled(&sections(1)).replace("ijkl", "IJKL"), BOTH, &first);
    assert_ne!(second.transports[0].local_pwd, first.transports[0].local_pwd);
}

#[test]
fn an_actpass_offer_leaves_the_dtls_roles_as_they_are() {
    let first = answered(&bundled(&sections(1)).replace("setup:actpass", "setup:passive"), BOTH);
    let second = answered_again(&bundled(&sections(1)), BOTH, &first);
    assert_eq!(second.transports[0].dtls_role, DtlsRole::Client);
    assert!(has(&section(&second.answer, 0), "a=setup:active"));
}

#[test]
fn a_section_that_is_added_leaves_the_others_alone() {
    let first = answered(&bundled(&sections(2)), BOTH);
    let second = answered_again(&bundled(&sections(3)), BOTH, &first);
    assert_eq!(ssrcs(&second)[..2], ssrcs(&first));
    assert!(!ssrcs(&first).contains(&ssrcs(&second)[2]));
    assert_eq!(second.transports[0], first.transports[0]);
}

#[test]
fn a_removed_section_keeps_its_place_and_the_tag_moves_on() {
    let first = answered(&bundled(&sections(2)), BOTH);
    let mut offered = sections(2);
    offered[0] = disabled(&offered[0]);
    let second = answered_again(&bundled_as("1", &offered), BOTH, &first);
    assert_eq!(parts(&second.answer).len(), 3);
    assert_eq!(section(&second.answer, 0)[0], "m=audio 0 UDP/TLS/RTP/SAVPF 111");
    assert!(has(&section(&second.answer, 1), "a=end-of-candidates"));
    assert!(second.answer.contains("a=group:BUNDLE 1\r\n"));
    assert_eq!(ssrcs(&second), ssrcs(&first)[1..]);
}

#[test]
fn a_recycled_place_is_another_section() {
    let first = answered(&bundled(&sections(2)), BOTH);
    let mut offered = sections(2);
    offered[0] = opus("mid:7");
    let second = answered_again(&bundled_as("7 1", &offered), BOTH, &first);
    assert_ne!(ssrcs(&second)[0], ssrcs(&first)[0]);
    assert_eq!(ssrcs(&second)[1], ssrcs(&first)[1]);
    assert_eq!(second.sections[0].mid.as_slice(), b"7");
}

#[test]
fn a_direction_may_change_back_and_forth_under_one_ssrc() {
    let with = |direction: &str| bundled(&[opus(&format!("mid:0\n{direction}"))]);
    let first = answered(&with("sendrecv"), BOTH);
    let held = answered_again(&with("inactive"), BOTH, &first);
    assert!(held.sections[0].down.is_none() && held.sections[0].up.is_none());
    let resumed = answered_again(&with("sendrecv"), BOTH, &held);
    assert_eq!(ssrcs(&resumed), ssrcs(&first));
    assert!(resumed.sections[0].down.is_some() && resumed.sections[0].up.is_some());
}

#[test]
fn without_a_mid_the_place_is_remembered() {
    let first = answered(&offer("", &[opus("")]), BOTH);
    let second = answered_again(&offer("", &[opus("")]), BOTH, &first);
    assert_eq!(ssrcs(&second), ssrcs(&first));
    let moved = answered_again(&offer("", &[disabled(&opus("")), opus("")]), BOTH, &first);
    assert_ne!(ssrcs(&moved), ssrcs(&first));
}

#[test]
fn a_mid_that_changes_its_kind_is_another_section() {
    let first = answered(&bundled(&[opus("mid:0")]), BOTH);
    let second = answered_again(&bundled(&[vp8("mid:0")]), BOTH, &first);
    assert_ne!(ssrcs(&second), ssrcs(&first));
}

#[test]
fn a_client_may_switch_everything_off_and_on_again() {
    let first = answered(&bundled(&sections(2)), BOTH);
    let off: Vec<String> = sections(2).iter().map(|section| disabled(section)).collect();
    let second = answered_again(&offer("", &off), BOTH, &first);
    assert!(second.sections.is_empty() && second.transports[0] == first.transports[0]);
    assert!([0, 1].iter().all(|n| section(&second.answer, *n)[0].contains(" 0 ")));
    let third = answered_again(&bundled(&sections(2)), BOTH, &second);
    assert_eq!(third.sections.len(), 2);
    assert_eq!(third.transports[0], first.transports[0]);

    assert!(
        try_answer(&offer("", &off), BOTH).is_err(),
        "a connection cannot begin so"
    );
}

#[test]
fn transports_keep_their_numbers_and_credentials_whatever_is_added_or_switched_off() {
    let of = |mid: &str| vp8(&format!("mid:{mid}"));
    let first = answered(&offer("", &[of("a"), of("b")]), BOTH);
    let numbers = |one: &Negotiated| {
        one.transports
            .iter()
            .map(|one| (one.number, one.local_ufrag.clone()))
            .collect::<Vec<_>>()
    };
    let [a, b] = <[_; 2]>::try_from(numbers(&first)).expect("two transports");
    assert_eq!((a.0, b.0), (0, 1));
    let second = answered_again(&offer("", &[disabled(&of("a")), of("b"), of("c")]), BOTH, &first);
    let [again, c] = <[_; 2]>::try_from(numbers(&second)).expect("two transports");
    assert_eq!(again, b);
    assert_eq!(c.0, 2, "a number means one transport for as long as it lives");
    let third = answered_again(
        &offer("", &[disabled(&of("a")), of("b"), disabled(&of("c"))]),
        BOTH,
        &second,
    );
    assert_eq!(numbers(&third), [b]);
    // A client that bundles later has one transport from then on.
    let bundled = offer("group:BUNDLE a b", &[of("a"), of("b")]);
    let fourth = answered_again(&bundled, BOTH, &first);
    assert_eq!(numbers(&fourth), [a]);
}

#[test]
fn a_section_that_comes_back_to_a_transport_has_other_ssrcs_there() {
    let sections = [vp8("mid:a"), vp8("mid:b")];
    let (together, apart) = (offer("group:BUNDLE a b", &sections), offer("", &sections));
    let first = answered(&together, BOTH);
    let second = answered_again(&apart, BOTH, &first);
    let third = answered_again(&together, BOTH, &second);
    let of_b = |one: &Negotiated| {
        (
            one.sections[1].transport,
            one.sections[1].local_ssrc,
            one.sections[1].local_rtx_ssrc,
        )
    };
    assert_eq!([&first, &second, &third].map(|one| of_b(one).0), [0, 1, 0]);
    let ssrcs: std::collections::HashSet<u32> = [&first, &second, &third]
        .iter()
        .flat_map(|one| [of_b(one).1, of_b(one).2])
        .collect();
    assert_eq!(ssrcs.len(), 6, "the keys of the first transport have stayed the same");
    assert_eq!(
        third.sections[0].local_ssrc, first.sections[0].local_ssrc,
        "the other one never left"
    );
}

#[test]
fn a_section_that_comes_back_does_not_take_the_transport_that_another_has_by_now() {
    let of = |mid: &str| vp8(&format!("mid:{mid}"));
    let first = answered(&offer("", &[of("a"), of("b"), of("c")]), BOTH);
    let second = answered_again(&offer("", &[of("a"), disabled(&of("b")), of("c")]), BOTH, &first);
    let third = answered_again(
        &offer("", &[of("a"), disabled(&of("b")), of("c"), of("d")]),
        BOTH,
        &second,
    );
    let number = |one: &Negotiated, mid: &[u8]| {
        let section = one.sections.iter().find(|section| section.mid.as_slice() == mid);
        section.expect("it is accepted").transport
    };
    let fourth = answered_again(&offer("", &[of("a"), of("b"), of("c"), of("d")]), BOTH, &third);
    for mid in [b"a", b"c", b"d"] {
        assert_eq!(number(&fourth, mid), number(&third, mid), "{mid:?}");
    }
}
