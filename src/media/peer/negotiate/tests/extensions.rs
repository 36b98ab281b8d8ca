//! Header extensions.

use super::*;
use crate::media::rtp::Extension;

const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const ORIENTATION: &str = "urn:3gpp:video-orientation";
const SEQUENCE: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";

/// An offer whose only section, `v`, is in a BUNDLE group.
fn bundle(sections: &[String]) -> String {
    offer("group:BUNDLE v", sections)
}

/// The answer's extensions for a video section with a mid and these `attributes`.
fn negotiated(attributes: &str, role: Role<'_>) -> Vec<(u8, Extension)> {
    let negotiated = answered(&bundle(&[vp8(&format!("mid:v\n{attributes}"))]), role);
    let extensions = negotiated.sections[0].extensions.to_vec();
    let lines = section(&negotiated.answer, 0);
    assert_eq!(
        starting(&lines, "a=extmap:").len(),
        extensions.len(),
        "text and values agree"
    );
    extensions
}

fn extmaps(attributes: &str, role: Role<'_>) -> Vec<String> {
    let negotiated = answered(&bundle(&[vp8(&format!("mid:v\n{attributes}"))]), role);
    starting(&section(&negotiated.answer, 0), "a=extmap:")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_subscriber_gets_what_survives_the_server_and_its_mid() {
    let extensions: Vec<_> = answered(CHROME_RECVONLY, SENDING).sections[1].extensions.to_vec();
    let removed = [
        Extension::Rid,
        Extension::RepairedRid,
        Extension::AbsSendTime,
        Extension::TransmissionOffset,
    ];
    assert!(extensions.iter().all(|(_, extension)| !removed.contains(extension)));
    for kept in [
        Extension::Mid,
        Extension::TransportSequence,
        Extension::VideoOrientation,
        Extension::PlayoutDelay,
        Extension::ColorSpace,
    ] {
        assert!(extensions.iter().any(|(_, extension)| *extension == kept), "{kept:?}");
    }
}

#[test]
fn a_publisher_sends_rids_and_numbers_its_packets() {
    let extensions: Vec<_> = answered(CHROME_SIMULCAST, RECEIVING).sections[1].extensions.to_vec();
    for used in [
        (4, Extension::Mid),
        (10, Extension::Rid),
        (11, Extension::RepairedRid),
        (3, Extension::TransportSequence),
    ] {
        assert!(extensions.contains(&used), "{used:?}");
    }
    assert!(
        extensions
            .iter()
            .all(|(_, extension)| *extension != Extension::TransmissionOffset)
    );
}

#[test]
fn send_times_are_for_publishers_with_remb_and_without_transport_feedback() {
    let offered = |feedback: &str| format!("extmap:2 {SEND_TIME}\nextmap:3 {SEQUENCE}\n{feedback}");
    let cc = "rtcp-fb:96 transport-cc\n";
    let remb = "rtcp-fb:96 goog-remb\n";
    assert_eq!(negotiated(&offered(remb), RECEIVING), [(2, Extension::AbsSendTime)]);
    assert_eq!(negotiated(&offered(cc), RECEIVING), [(3, Extension::TransportSequence)]);
    assert_eq!(
        negotiated(&offered(&(cc.to_owned() + remb)), RECEIVING),
        [(3, Extension::TransportSequence)]
    );
    assert_eq!(negotiated(&offered(""), RECEIVING), []);
    assert_eq!(negotiated(&offered(remb), SENDING), []);
    assert_eq!(
        negotiated(&offered(&(cc.to_owned() + remb)), SENDING),
        [(3, Extension::TransportSequence)]
    );
    assert_eq!(
        negotiated(&format!("extmap:2 {SEND_TIME}\n{cc}{remb}"), RECEIVING),
        [(2, Extension::AbsSendTime)]
    );
}

#[test]
fn transport_feedback_goes_with_its_extension_only() {
    let feedback = |attributes: &str, role| {
        answered(&offer("", &[vp8(attributes)]), role).sections[0].codecs[0]
            .feedback
            .transport_cc
    };
    let both = format!("rtcp-fb:96 transport-cc\nextmap:3 {SEQUENCE}");
    assert!(feedback(&both, RECEIVING));
    assert!(!feedback("rtcp-fb:96 transport-cc", RECEIVING));
    assert!(feedback(&both, SENDING));
}

#[test]
fn unknown_and_encrypted_extensions_are_not_used() {
    let attributes = format!(
        "extmap:1 urn:ietf:params:rtp-hdrext:encrypt {MID}\nextmap:2 urn:example:unknown\n\
         extmap:3 urn:example:unknown-too\n\
         extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
    );
    assert_eq!(negotiated(&attributes, BOTH), []);
}

#[test]
fn an_answer_never_takes_the_allocation_of_layers_which_viewers_must_not_get() {
    const ALLOCATION: &str = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00";
    for role in [SENDING, RECEIVING, BOTH] {
        let attributes = format!("extmap:1 {MID}\nextmap:9 {ALLOCATION}");
        assert_eq!(negotiated(&attributes, role), [(1, Extension::Mid)]);
        let answered = answered(&offer("", &[vp8(&attributes)]), role);
        assert!(!answered.answer.contains(ALLOCATION), "{}", answered.answer);
    }
}

#[test]
fn the_first_of_two_ids_or_two_uris_wins() {
    let attributes = format!("extmap:1 {MID}\nextmap:2 {MID}\nextmap:1 {ORIENTATION}\nextmap:3 {ORIENTATION}");
    assert_eq!(
        negotiated(&attributes, BOTH),
        [(1, Extension::Mid), (3, Extension::VideoOrientation)]
    );
}

#[test]
fn large_ids_need_leave_to_mix_header_forms() {
    let attributes = format!("extmap:14 {MID}\nextmap:16 {ORIENTATION}\nextmap:32 {RID}");
    assert_eq!(negotiated(&attributes, BOTH), [(14, Extension::Mid)]);
    let mixed = format!("{attributes}\nextmap-allow-mixed");
    assert_eq!(
        negotiated(&mixed, BOTH),
        [(14, Extension::Mid), (16, Extension::VideoOrientation)]
    );
}

#[test]
fn dependency_descriptors_need_leave_to_mix_header_forms() {
    let attributes = format!("extmap:13 {}", Extension::DependencyDescriptor.uri());
    assert_eq!(negotiated(&attributes, BOTH), []);
    for role in [RECEIVING, SENDING] {
        assert_eq!(
            negotiated(&format!("{attributes}\nextmap-allow-mixed"), role),
            [(13, Extension::DependencyDescriptor)]
        );
    }
}

#[test]
fn leave_to_mix_is_repeated_at_the_level_where_it_was_given() {
    let in_section = answered(&offer("", &[vp8("extmap-allow-mixed")]), BOTH);
    let [head, video] = <[_; 2]>::try_from(parts(&in_section.answer)).expect("one section");
    assert!(!has(&head, "a=extmap-allow-mixed") && has(&video, "a=extmap-allow-mixed"));
    let in_session = answered(
        &offer("extmap-allow-mixed", &[vp8(&format!("extmap:20 {ORIENTATION}"))]),
        BOTH,
    );
    let [head, video] = <[_; 2]>::try_from(parts(&in_session.answer)).expect("one section");
    assert!(has(&head, "a=extmap-allow-mixed") && !has(&video, "a=extmap-allow-mixed"));
    assert_eq!(
        in_session.sections[0].extensions.as_slice(),
        [(20, Extension::VideoOrientation)]
    );
}

#[test]
fn impossible_ids_are_none() {
    for id in ["0", "256", "4096", "-1", "x", ""] {
        assert_eq!(
            negotiated(&format!("extmap-allow-mixed\nextmap:{id} {ORIENTATION}"), BOTH),
            [],
            "{id}"
        );
    }
}

#[test]
fn directions_are_answered_from_our_side() {
    let rid = format!(
        "extmap:5/sendonly {RID}\nextmap:6/recvonly {ORIENTATION}\nextmap:7/sendrecv {MID}\nextmap:8/inactive {LEVEL}"
    );
    assert_eq!(
        extmaps(&rid, BOTH),
        [
            format!("5/recvonly {RID}"),
            format!("6/sendonly {ORIENTATION}"),
            format!("7/sendrecv {MID}")
        ]
    );
    assert_eq!(
        extmaps(&rid, RECEIVING),
        [format!("5/recvonly {RID}"), format!("7/recvonly {MID}")]
    );
    assert_eq!(
        extmaps(&rid, SENDING),
        [format!("6/sendonly {ORIENTATION}"), format!("7/sendonly {MID}")]
    );
}

#[test]
fn what_we_send_is_numbered_only_where_the_client_reads_the_numbers() {
    let number_id = |direction: &str, role: Role<'_>| {
        let attributes = format!("mid:v\nextmap:3{direction} {SEQUENCE}\nrtcp-fb:96 transport-cc\n");
        answered(&offer("", &[vp8(&attributes)]), role).sections[0].number_id
    };
    assert_eq!(number_id("", BOTH), Some(3));
    assert_eq!(number_id("/sendrecv", BOTH), Some(3));
    assert_eq!(number_id("/sendonly", BOTH), None);
    assert_eq!(number_id("", RECEIVING), None);
    assert_eq!(number_id("", SENDING), Some(3));
    assert_eq!(number_id("/recvonly", SENDING), Some(3));
    assert_eq!(number_id("/sendonly", SENDING), None);
}

#[test]
fn what_follows_the_uri_is_not_minded() {
    assert_eq!(
        extmaps(&format!("extmap:1 {LEVEL} vad=on"), BOTH),
        [format!("1 {LEVEL}")]
    );
}

#[test]
fn extensions_may_stand_at_session_level() {
    let session = format!("group:BUNDLE v\nextmap:1 {MID}\nextmap:2 {ORIENTATION}");
    let negotiated = answered(&offer(&session, &[vp8(&format!("mid:v\nextmap:9 {MID}"))]), BOTH);
    assert_eq!(
        negotiated.sections[0].extensions.as_slice(),
        [(9, Extension::Mid), (2, Extension::VideoOrientation)]
    );
}

#[test]
fn an_id_means_one_extension_in_all_bundled_sections() {
    let audio = opus(&format!("mid:a\nextmap:1 {LEVEL}\nextmap:2 {MID}"));
    let video = vp8(&format!("mid:v\nextmap:1 {ORIENTATION}\nextmap:2 {MID}"));
    let negotiated = answered(&offer("group:BUNDLE a v", &[audio, video]), BOTH);
    assert_eq!(negotiated.sections[1].extensions.as_slice(), [(2, Extension::Mid)]);
}

#[test]
fn a_mid_too_long_for_short_headers_is_not_sent_in_packets() {
    let long = "m".repeat(17);
    let group = format!("group:BUNDLE {long}");
    let negotiated = answered(&offer(&group, &[vp8(&format!("mid:{long}\nextmap:1 {MID}"))]), BOTH);
    assert_eq!(negotiated.sections[0].mid.as_slice(), long.as_bytes());
    assert!(negotiated.sections[0].extensions.is_empty());
}

#[test]
fn in_a_transport_of_its_own_a_section_has_no_name_in_its_packets() {
    let of = |mid: &str| vp8(&format!("mid:{mid}\nextmap:2 {MID}"));
    let ids = |session: &str, sections: &[String]| -> Vec<usize> {
        let negotiated = answered(&offer(session, sections), BOTH);
        let sections = negotiated.sections.iter();
        sections.map(|section| section.extensions.len()).collect()
    };
    assert_eq!(ids("", &[of("a"), of("b")]), [0, 0]);
    assert_eq!(ids("", &[of("a")]), [0]);
    assert_eq!(ids("group:BUNDLE 0", &[of("a")]), [0], "a group of another section");
    assert_eq!(ids("group:BUNDLE b", &[of("a"), of("b")]), [0, 0]);
    assert_eq!(ids("group:BUNDLE a c", &[of("a"), of("b"), of("c")]), [1, 0, 1]);
}
