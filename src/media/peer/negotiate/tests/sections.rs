//! The sections that are accepted, and their directions.

use super::*;

fn group(mids: &str, sections: &[String]) -> String {
    offer(&format!("group:BUNDLE {mids}"), sections)
}

fn refused(answer: &str, n: usize) -> bool {
    section(answer, n)[0].split(' ').nth(1) == Some("0")
}

#[test]
fn directions_meet_what_the_role_allows() {
    let table = [
        ("sendrecv", BOTH, "a=sendrecv"),
        ("sendrecv", RECEIVING, "a=recvonly"),
        ("sendrecv", SENDING, "a=sendonly"),
        ("sendonly", BOTH, "a=recvonly"),
        ("recvonly", BOTH, "a=sendonly"),
        ("sendonly", SENDING, "a=inactive"),
        ("recvonly", RECEIVING, "a=inactive"),
        ("inactive", BOTH, "a=inactive"),
    ];
    for (offered, role, expected) in table {
        let negotiated = answered(&offer("", &[opus(offered)]), role);
        assert!(has(&section(&negotiated.answer, 0), expected), "{offered} {role:?}");
        let section = &negotiated.sections[0];
        assert_eq!(section.up.is_some(), matches!(expected, "a=sendrecv" | "a=recvonly"));
        assert_eq!(section.down.is_some(), matches!(expected, "a=sendrecv" | "a=sendonly"));
    }
}

#[test]
fn a_role_that_does_nothing_makes_sections_inactive() {
    let role = Role {
        uses: &[],
        audience: &[],
    };
    let negotiated = answered(CHROME_SENDRECV_DATA, role);
    assert!(
        negotiated
            .sections
            .iter()
            .all(|section| section.down.is_none() && section.up.is_none())
    );
    assert!(has(&section(&negotiated.answer, 1), "a=inactive"));
}

#[test]
fn a_direction_at_session_level_holds_where_a_section_says_nothing() {
    let sections = [opus("mid:a"), vp8("mid:v\nsendrecv")];
    let negotiated = answered(&offer("group:BUNDLE a v\nsendonly", &sections), BOTH);
    assert!(has(&section(&negotiated.answer, 0), "a=recvonly"));
    assert!(has(&section(&negotiated.answer, 1), "a=sendrecv"));
}

#[test]
fn an_offer_that_says_no_direction_means_both() {
    let negotiated = answered(&offer("", &[opus("")]), BOTH);
    assert!(has(&section(&negotiated.answer, 0), "a=sendrecv"));
}

#[test]
fn one_section_needs_neither_group_nor_mid() {
    let negotiated = answered(
        &offer("", &[opus("extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid")]),
        BOTH,
    );
    assert!(!negotiated.answer.contains("a=group") && !negotiated.answer.contains("a=mid"));
    assert!(negotiated.sections[0].mid.is_empty() && negotiated.sections[0].extensions.is_empty());
}

#[test]
fn a_section_outside_of_the_group_has_a_transport_of_its_own() {
    let sections = [opus("mid:a"), vp8("mid:v"), opus("mid:b")];
    let negotiated = answered(&group("a b", &sections), BOTH);
    assert!(negotiated.answer.contains("a=group:BUNDLE a b\r\n"));
    let transports: Vec<u8> = negotiated.sections.iter().map(|section| section.transport).collect();
    assert_eq!(transports, [0, 1, 0]);
    let tagged = [0, 1, 2].map(|n| has(&section(&negotiated.answer, n), "a=end-of-candidates"));
    assert_eq!(tagged, [true, true, false]);
}

#[test]
fn without_bundle_the_first_four_acceptable_sections_are_taken() {
    let data = media("application 9 UDP/DTLS/SCTP webrtc-datachannel", "mid:d");
    let mut sections = vec![data];
    sections.extend((0..5).map(|n| opus(&format!("mid:{n}"))));
    let negotiated = answered(&offer("", &sections), BOTH);
    let refusals = [0, 1, 2, 3, 4, 5].map(|n| refused(&negotiated.answer, n));
    assert_eq!(refusals, [true, false, false, false, false, true]);
    assert!(has(&section(&negotiated.answer, 4), "a=end-of-candidates"));
}

#[test]
fn two_groups_are_two_transports_each_with_its_own_ids_and_ssrcs() {
    let of = |mid: &str, id: u8| {
        vp8(&format!(
            "mid:{mid}\nssrc:77 cname:x\nextmap:{id} urn:ietf:params:rtp-hdrext:sdes:mid"
        ))
    };
    let sections = [of("a", 3), of("b", 5), of("c", 3), of("d", 5)];
    let offer = offer("group:BUNDLE a c\ngroup:BUNDLE b d", &sections);
    let negotiated = answered(&offer, BOTH);
    let head = &parts(&negotiated.answer)[0];
    assert_eq!(starting(head, "a=group:"), ["BUNDLE a c", "BUNDLE b d"]);
    let ids: Vec<u8> = negotiated
        .sections
        .iter()
        .map(|section| section.extensions[0].0)
        .collect();
    assert_eq!(ids, [3, 5, 3, 5]);
    let announced: Vec<usize> = negotiated
        .sections
        .iter()
        .map(|section| section.remote_ssrcs.len())
        .collect();
    assert_eq!(announced, [1, 1, 0, 0], "one SSRC is one stream in one transport");
}

#[test]
fn a_second_transport_that_lacks_something_costs_its_own_sections_only() {
    let whole = format!("mid:a\nice-ufrag:abcd\nice-pwd:0123456789abcdefghijkl\nfingerprint:sha-256 {DIGEST}");
    let lacking = vp8("mid:b\nice-ufrag:efgh\nice-pwd:0123456789abcdefghijkl");
    let negotiated = answered(&bare_offer("", &[opus(&whole), lacking.clone()]), BOTH);
    assert_eq!([0, 1].map(|n| refused(&negotiated.answer, n)), [false, true]);
    assert_eq!(negotiated.transports.len(), 1);
    assert!(try_answer(&bare_offer("", &[lacking, opus(&whole)]), BOTH).is_err());
}

#[test]
fn other_kinds_of_groups_do_not_bundle() {
    let negotiated = answered(&offer("group:LS a v", &[opus("mid:a"), vp8("mid:v")]), BOTH);
    assert_eq!(negotiated.transports.len(), 2);
    assert!(!negotiated.answer.contains("a=group:BUNDLE"));
}

#[test]
fn a_section_with_port_zero_is_not_in_use_unless_it_is_bundle_only() {
    let zero = |section: String| section.replacen(" 9 ", " 0 ", 1);
    let sections = [opus("mid:a"), zero(vp8("mid:v\nbundle-only")), zero(vp8("mid:w"))];
    let negotiated = answered(&group("a v w", &sections), BOTH);
    let refusals = [0, 1, 2].map(|n| refused(&negotiated.answer, n));
    assert_eq!(refusals, [false, false, true]);
    assert!(negotiated.answer.contains("a=group:BUNDLE a v\r\n"));

    let alone = zero(vp8("bundle-only"));
    let error = try_answer(&offer("", &[alone]), BOTH).expect_err("bundle-only outside a group");
    assert_eq!(error, OfferError::NothingAcceptable(SectionRefusal::Disabled));
}

#[test]
fn a_section_without_rtcp_mux_is_refused() {
    let unmuxed = media("video 9 UDP/TLS/RTP/SAVPF 96", "mid:v\nrtpmap:96 VP8/90000");
    let negotiated = answered(&group("a v", &[opus("mid:a"), unmuxed]), BOTH);
    assert!(refused(&negotiated.answer, 1));
}

#[test]
fn rtcp_mux_only_is_as_good() {
    let only = media("audio 9 UDP/TLS/RTP/SAVPF 0", "rtcp-mux-only");
    let negotiated = answered(&offer("", &[only]), BOTH);
    assert!(has(&section(&negotiated.answer, 0), "a=rtcp-mux"));
}

#[test]
fn reduced_size_rtcp_is_only_agreed_to() {
    let negotiated = answered(&group("a v", &[opus("mid:a\nrtcp-rsize"), vp8("mid:v")]), BOTH);
    assert!(has(&section(&negotiated.answer, 0), "a=rtcp-rsize"));
    assert!(!has(&section(&negotiated.answer, 1), "a=rtcp-rsize"));
}

#[test]
fn round_trips_are_measured_by_whom_the_client_allows() {
    for (offered, answered_as) in [
        ("rtcp-xr:rcvr-rtt=all", Some("rcvr-rtt=all")),
        (
            "rtcp-xr:stat-summary=loss rcvr-rtt=sender:1000",
            Some("rcvr-rtt=sender"),
        ),
        ("rtcp-xr:rcvr-rtt=nobody", None),
        ("rtcp-xr:voip-metrics", None),
        ("rtcp-xr:", None),
        ("rtcp-rsize", None),
    ] {
        let negotiated = answered(&group("v", &[vp8(&format!("mid:v\n{offered}"))]), SENDING);
        let lines = section(&negotiated.answer, 0);
        let expected: Vec<&str> = answered_as.into_iter().collect();
        assert_eq!(starting(&lines, "a=rtcp-xr:"), expected, "{offered}");
    }
    let negotiated = answered(&group("v", &[vp8("mid:v\nrtcp-fb:96 rrtr")]), SENDING);
    assert!(has(&section(&negotiated.answer, 0), "a=rtcp-fb:96 rrtr"));
    let negotiated = answered(&group("v", &[vp8("mid:v")]), SENDING);
    assert!(!has(&section(&negotiated.answer, 0), "a=rtcp-fb:96 rrtr"));
}

#[test]
fn every_name_of_rtp_over_dtls_is_understood_and_repeated() {
    for proto in [
        "UDP/TLS/RTP/SAVPF",
        "TCP/TLS/RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
        "RTP/SAVPF",
        "RTP/SAVP",
        "RTP/AVPF",
        "RTP/AVP",
    ] {
        let offer = offer("", &[opus("").replace("UDP/TLS/RTP/SAVPF", proto)]);
        let negotiated = answered(&offer, BOTH);
        assert_eq!(section(&negotiated.answer, 0)[0], format!("m=audio 50000 {proto} 111"));
    }
    let other = offer("", &[opus("").replace("UDP/TLS/RTP/SAVPF", "UDP/BFCP")]);
    assert_eq!(
        try_answer(&other, BOTH).expect_err("no RTP"),
        OfferError::NothingAcceptable(SectionRefusal::NotRtp)
    );
}

#[test]
fn the_second_section_of_a_mid_is_refused() {
    let negotiated = answered(&group("a", &[opus("mid:a"), vp8("mid:a")]), BOTH);
    assert!(refused(&negotiated.answer, 1));
    assert_eq!(negotiated.sections.len(), 1);
    assert!(
        negotiated.answer.contains("a=group:BUNDLE a\r\n"),
        "the first has the mid"
    );
}

#[test]
fn a_mid_stays_taken_even_if_its_section_is_refused() {
    let no_rtp = opus("mid:a").replace("UDP/TLS/RTP/SAVPF", "UDP/BFCP");
    let error = try_answer(&offer("", &[no_rtp, vp8("mid:a")]), BOTH).expect_err("one mid, two sections");
    assert_eq!(error, OfferError::NothingAcceptable(SectionRefusal::NotRtp));
}

#[test]
fn a_section_with_a_mid_that_cannot_be_repeated_is_refused() {
    let error = try_answer(&offer("", &[opus("mid:a b")]), BOTH).expect_err("two words");
    assert_eq!(error, OfferError::NothingAcceptable(SectionRefusal::Mid));
}

#[test]
fn a_refused_tag_hands_over_to_the_next_section_of_the_group() {
    let data = media("application 9 UDP/DTLS/SCTP webrtc-datachannel", "mid:d");
    let negotiated = answered(&group("d a v", &[data, opus("mid:a"), vp8("mid:v")]), BOTH);
    assert!(negotiated.answer.contains("a=group:BUNDLE a v\r\n"));
    assert!(has(&section(&negotiated.answer, 1), "a=end-of-candidates"));
}

#[test]
fn the_tag_is_the_first_of_the_group_not_of_the_offer() {
    let negotiated = answered(&group("v a", &[opus("mid:a"), vp8("mid:v")]), BOTH);
    assert!(negotiated.answer.contains("a=group:BUNDLE v a\r\n"));
    assert!(!has(&section(&negotiated.answer, 0), "a=end-of-candidates"));
    assert!(has(&section(&negotiated.answer, 1), "a=end-of-candidates"));
}

#[test]
fn a_bundled_section_may_leave_the_transport_to_the_tagged_one() {
    let transport = format!("mid:a\nice-ufrag:abcd\nice-pwd:0123456789abcdefghijkl\nfingerprint:sha-256 {DIGEST}");
    let sections = [opus(&transport), vp8("mid:v\nbundle-only").replacen(" 9 ", " 0 ", 1)];
    let negotiated = answered(&bare_offer("group:BUNDLE a v", &sections), BOTH);
    assert_eq!(negotiated.sections.len(), 2);
}

#[test]
fn what_the_tagged_section_does_not_say_of_the_transport_another_may() {
    let transport = format!("mid:v\nice-ufrag:abcd\nice-pwd:0123456789abcdefghijkl\nfingerprint:sha-256 {DIGEST}");
    let sections = [opus("mid:a"), vp8(&transport)];
    let negotiated = answered(&bare_offer("group:BUNDLE a v", &sections), BOTH);
    assert_eq!(negotiated.transports[0].remote_ufrag, "abcd");
}

#[test]
fn an_offer_without_sections_lacks_one() {
    assert_eq!(
        try_answer(&offer("", &[]), BOTH).expect_err("empty"),
        OfferError::Missing("media section")
    );
}
