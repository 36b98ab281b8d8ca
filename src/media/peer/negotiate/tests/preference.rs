//! The order of the formats with which a publisher is answered, and the formats that are left out.

use std::slice::from_ref;

use super::*;
use crate::media::codec::h264::Profile;

/// The codecs that a client decodes which offers to receive these formats: `96 VP8` and the like, with parameters after the
/// name.
fn decoder(formats: &[&str]) -> Vec<Codec> {
    decodable(&video("recvonly", formats))
}

/// An offer with one video section. The formats are numbered from 96.
fn video(direction: &str, formats: &[&str]) -> String {
    let numbers: Vec<String> = (96..)
        .take(formats.len())
        .map(|number: u8| number.to_string())
        .collect();
    let line = format!("video 9 UDP/TLS/RTP/SAVPF {}", numbers.join(" "));
    let mut attributes = format!("rtcp-mux\n{direction}\n");
    for (number, format) in numbers.iter().zip(formats) {
        let (name, parameters) = format.split_once(' ').unwrap_or((format, ""));
        attributes += &format!("rtpmap:{number} {name}/90000\n");
        if !parameters.is_empty() {
            attributes += &format!("fmtp:{number} {parameters}\n");
        }
    }
    offer("", &[media(&line, &attributes)])
}

/// The formats with which a publisher that offers `formats` is answered, in this order.
fn published<'a>(formats: &[&'a str], audience: &[Vec<Codec>]) -> Vec<&'a str> {
    let role = Role { audience, ..RECEIVING };
    chosen(&video("sendonly", formats), role)
        .into_iter()
        .map(|number| formats[usize::from(number) - 96])
        .collect()
}

/// The payload types of the answer's only or second section.
fn chosen(offer: &str, role: Role<'_>) -> Vec<u8> {
    let negotiated = answered(offer, role);
    let section = negotiated.sections.last().expect("a section");
    section.codecs.iter().map(|codec| codec.payload_type).collect()
}

const BASELINE: &str = "H264 packetization-mode=1;profile-level-id=42001f";
const CONSTRAINED: &str = "H264 packetization-mode=1;profile-level-id=42e01f";
const CONSTRAINED_0: &str = "H264 packetization-mode=0;profile-level-id=42e01f";
const MAIN: &str = "H264 packetization-mode=1;profile-level-id=4d001f";
const HIGH: &str = "H264 packetization-mode=1;profile-level-id=64001f";
const VP9_2: &str = "VP9 profile-id=2";
const AV1_HIGH: &str = "AV1 profile=1";
const MAIN_10: &str = "H265 profile-id=2";

#[test]
fn chromiums_list_that_begins_with_baseline_publishes_constrained_baseline() {
    let numbers = chosen(CHROME_H264_FIRST, RECEIVING);
    // 108 is 42e01f in mode 1, 114 in mode 0; 96 VP8; 102 and 104 are 42001f; the rest is not sure: Main, AV1, VP9.
    assert_eq!(numbers, [108, 114, 96, 102, 104, 116, 39, 45, 98, 100]);
    let answer = answered(CHROME_H264_FIRST, RECEIVING).answer;
    let line = section(&answer, 1)[0].to_owned();
    assert!(
        line.starts_with("m=video 50000 UDP/TLS/RTP/SAVPF 108 109 114 115 96 97 102 103"),
        "{line}"
    );

    let one_who_knows_it = [decodable(CHROME_RECVONLY_H264_VP8)];
    let role = Role {
        audience: &one_who_knows_it,
        ..RECEIVING
    };
    // Nobody decodes Main, AV1 and VP9 here.
    assert_eq!(chosen(CHROME_H264_FIRST, role), [108, 114, 96, 102, 104]);
}

#[test]
fn with_nobody_there_the_answer_begins_with_what_everybody_decodes_in_the_offers_order() {
    let sure_first = |formats: &[&'static str]| published(formats, &[]);
    assert_eq!(sure_first(&["VP8", "VP9", CONSTRAINED]), ["VP8", CONSTRAINED, "VP9"]);
    assert_eq!(sure_first(&[CONSTRAINED, "VP9", "VP8"]), [CONSTRAINED, "VP8", "VP9"]);
    assert_eq!(sure_first(&["AV1", "VP9", "VP8"]), ["VP8", "AV1", "VP9"]);
    assert_eq!(sure_first(&[HIGH, MAIN, CONSTRAINED_0]), [CONSTRAINED_0, HIGH, MAIN]);
    assert_eq!(sure_first(&[HIGH, BASELINE]), [BASELINE, HIGH]);
    assert_eq!(
        sure_first(&[BASELINE, "VP8", CONSTRAINED]),
        [CONSTRAINED, "VP8", BASELINE],
        "H264 is preferred, in whatever profile"
    );
    assert_eq!(sure_first(&["H265", "AV1"]), ["H265", "AV1"], "nothing of it is sure");
}

#[test]
fn the_offers_preference_counts_among_what_all_who_are_there_decode() {
    let all = ["AV1", "VP9", "VP8", CONSTRAINED];
    let knows_all = decoder(&["VP8", "VP9", "AV1", CONSTRAINED]);
    let no_av1 = decoder(&["VP8", "VP9", CONSTRAINED]);
    assert_eq!(published(&all, from_ref(&knows_all)), all);
    assert_eq!(
        published(&all, &[knows_all.clone(), no_av1.clone()]),
        ["VP9", "VP8", CONSTRAINED, "AV1"]
    );
    assert_eq!(
        published(&all, &[no_av1]),
        ["VP9", "VP8", CONSTRAINED],
        "nobody decodes AV1"
    );
    let numbers = |audience: &[Vec<Codec>]| chosen(CHROME_VP9_FIRST, Role { audience, ..RECEIVING })[0];
    assert_eq!(numbers(&[decodable(CHROME_RECVONLY)]), 98, "VP9 where it is decoded");
    assert_eq!(
        numbers(&[decodable(CHROME_RECVONLY_H264_VP8)]),
        96,
        "VP8 where it is not"
    );
    assert_eq!(numbers(&[]), 96, "VP8 where nobody knows");
}

#[test]
fn profiles_and_modes_that_an_audience_decodes_come_first() {
    let cases: [(&[&str], &[&str], &[&str]); 8] = [
        (&[HIGH, CONSTRAINED, "VP8"], &[HIGH], &[HIGH, CONSTRAINED]),
        (&[HIGH, CONSTRAINED, "VP8"], &[MAIN, "VP8"], &[CONSTRAINED, "VP8"]),
        (&[CONSTRAINED, CONSTRAINED_0], &[CONSTRAINED_0], &[CONSTRAINED_0]),
        (&[BASELINE, CONSTRAINED], &[BASELINE], &[BASELINE, CONSTRAINED]),
        (&[BASELINE, CONSTRAINED], &[CONSTRAINED], &[CONSTRAINED, BASELINE]),
        (&[VP9_2, "VP9"], &["VP9", "VP8"], &["VP9"]),
        (&[AV1_HIGH, "AV1"], &["AV1"], &["AV1"]),
        (&[MAIN_10, "H265"], &["H265"], &["H265"]),
    ];
    for (offered, decoded, expected) in cases {
        assert_eq!(
            published(offered, &[decoder(decoded)]),
            expected,
            "{offered:?} for {decoded:?}"
        );
    }
}

#[test]
fn what_more_people_decode_comes_before_what_fewer_do() {
    let audience = [decoder(&["VP8", CONSTRAINED]), decoder(&["VP8"]), decoder(&["AV1"])];
    assert_eq!(
        published(&["AV1", CONSTRAINED, "VP9", "VP8"], &audience),
        ["VP8", "AV1", CONSTRAINED]
    );
}

#[test]
fn what_nobody_decodes_is_accepted_where_nothing_better_was_offered() {
    assert_eq!(published(&["AV1"], &[decoder(&["VP8"])]), ["AV1"]);
    assert_eq!(published(&["AV1", "VP9"], &[decoder(&["VP8"])]), ["AV1", "VP9"]);
    let role = Role {
        audience: &[decodable(CHROME_RECVONLY_H264_VP8)],
        ..RECEIVING
    };
    assert_eq!(chosen(CHROME_AV1_ONLY, role), [45]);
}

#[test]
fn who_only_listens_is_no_judge_of_pictures() {
    let listener = decodable(&offer("", &[opus("recvonly")]));
    assert_eq!(listener, [Codec::Opus]);
    assert_eq!(published(&["AV1", "VP8"], from_ref(&listener)), ["VP8", "AV1"]);
    assert_eq!(published(&["AV1", "VP8"], &[listener, decoder(&["AV1"])]), ["AV1"]);
}

#[test]
fn in_a_section_of_both_directions_nothing_is_left_out() {
    // This client may decode the other's Constrained Baseline as High.
    let audience = [decoder(&[CONSTRAINED])];
    let role = Role {
        audience: &audience,
        ..BOTH
    };
    assert_eq!(
        chosen(&video("sendrecv", &[HIGH, "AV1", CONSTRAINED]), role),
        [98, 96, 97]
    );
}

#[test]
fn a_subscriber_is_answered_in_its_own_order() {
    let audience = [decoder(&["VP8"])];
    let role = Role {
        audience: &audience,
        ..SENDING
    };
    assert_eq!(chosen(&video("recvonly", &["AV1", HIGH, "VP8"]), role), [96, 97, 98]);
}

#[test]
fn an_audience_without_red_is_served_by_the_opus_inside() {
    let audio = |direction: &str| {
        let attributes =
            format!("rtcp-mux\n{direction}\nrtpmap:63 red/48000/2\nfmtp:63 111/111\nrtpmap:111 opus/48000/2");
        offer("", &[media("audio 9 UDP/TLS/RTP/SAVPF 63 111 8", &attributes)])
    };
    let listener = decodable(&offer("", &[opus("recvonly")]));
    let role = Role {
        audience: &[listener],
        ..RECEIVING
    };
    assert_eq!(chosen(&audio("sendonly"), role), [63, 111], "PCMA is decoded by nobody");
    assert_eq!(chosen(&audio("sendonly"), RECEIVING), [63, 111, 8]);
}

#[test]
fn what_a_client_decodes_is_what_it_offers_to_receive() {
    let high = Codec::H264 {
        profile: Profile::High,
        packetization_mode: 1,
    };
    for direction in ["recvonly", "sendrecv"] {
        assert_eq!(decodable(&video(direction, &["VP8", HIGH, "VP8"])), [Codec::Vp8, high]);
    }
    for direction in ["sendonly", "inactive"] {
        assert_eq!(decodable(&video(direction, &["VP8", HIGH])), []);
    }
    assert_eq!(decodable("nonsense"), []);
    // The negotiation has the same list, whether or not something is sent to the client.
    let negotiated = answered(&video("sendrecv", &["VP8", HIGH]), RECEIVING);
    assert_eq!(negotiated.decodes, [Codec::Vp8, high]);
}
