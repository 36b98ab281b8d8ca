//! Each client's offer as a whole.

use super::*;
use crate::media::codec::h264::Profile;
use crate::media::codec::{Codec, Kind};
use crate::media::session::{DtlsRole, MediaSection, NegotiatedCodec, RemoteSsrc};

fn codecs(section: &MediaSection) -> Vec<Codec> {
    section.codecs.iter().map(|codec| codec.codec).collect()
}

fn first_codec(section: &MediaSection) -> NegotiatedCodec {
    *section.codecs.first().expect("a codec")
}

#[test]
fn chrome_publishes_audio_and_video_over_one_transport() {
    let negotiated = answered(CHROME_SENDONLY, RECEIVING);
    let [head, audio, video] = <[_; 3]>::try_from(parts(&negotiated.answer)).expect("two sections");
    assert!(has(&head, "a=group:BUNDLE 0 1"));
    assert!(has(&head, "a=ice-lite"));
    assert!(has(&head, "a=extmap-allow-mixed"));
    assert_eq!(starting(&audio, "m="), ["audio 50000 UDP/TLS/RTP/SAVPF 111 63 0 8"]);
    for section in [&audio, &video] {
        for line in ["a=recvonly", "a=rtcp-mux", "a=rtcp-rsize", "a=setup:passive"] {
            assert!(has(section, line), "{line}");
        }
        assert!(starting(section, "a=ssrc").is_empty() && starting(section, "a=msid").is_empty());
    }
    assert_eq!(negotiated.transports[0].dtls_role, DtlsRole::Server);
    assert_eq!(negotiated.transports[0].remote_fingerprints.len(), 1);

    let [audio, video] = negotiated.sections.as_slice() else {
        panic!("two sections")
    };
    assert!(audio.up.is_some() && video.up.is_some() && audio.down.is_none() && video.down.is_none());
    assert_eq!(codecs(audio), [Codec::Opus, Codec::Red, Codec::Pcmu, Codec::Pcma]);
    assert!(first_codec(audio).feedback.transport_cc);
    assert_eq!(
        (first_codec(video).codec, first_codec(video).rtx_payload_type),
        (Codec::Vp8, Some(97))
    );
    assert_eq!(video.remote_ssrcs.len(), 1);
    assert!(video.remote_ssrcs[0].rtx.is_some());
    assert_eq!(video.mid.as_slice(), b"1");
}

#[test]
fn chrome_subscribes_to_a_stream_with_a_name() {
    let negotiated = answered(CHROME_RECVONLY, SENDING);
    let video = section(&negotiated.answer, 1);
    let MediaSection {
        local_ssrc,
        local_rtx_ssrc,
        down,
        up,
        ..
    } = negotiated.sections[1];
    assert!(down.is_some() && up.is_none() && has(&video, "a=sendonly"));
    assert!(has(&video, "a=msid:pa pa-1"));
    assert!(has(&video, &format!("a=ssrc-group:FID {local_ssrc} {local_rtx_ssrc}")));
    assert!(has(&video, &format!("a=ssrc:{local_ssrc} cname:pa")));
    assert!(has(&video, &format!("a=ssrc:{local_ssrc} msid:pa pa-1")));
    assert!(has(&video, &format!("a=ssrc:{local_rtx_ssrc} cname:pa")));
    let audio = section(&negotiated.answer, 0);
    assert!(
        starting(&audio, "a=ssrc-group").is_empty(),
        "audio has no retransmission format"
    );
    assert!(
        negotiated
            .sections
            .iter()
            .all(|section| section.remote_ssrcs.is_empty())
    );
}

#[test]
fn chrome_calls_one_to_one_in_both_directions_and_its_data_section_is_refused() {
    let negotiated = answered(CHROME_SENDRECV_DATA, BOTH);
    let [head, audio, video, data] = <[_; 4]>::try_from(parts(&negotiated.answer)).expect("three sections");
    assert!(has(&head, "a=group:BUNDLE 0 1"));
    assert!(has(&audio, "a=sendrecv") && has(&video, "a=sendrecv"));
    assert_eq!(
        starting(&data, "m="),
        ["application 0 UDP/DTLS/SCTP webrtc-datachannel"]
    );
    assert!(has(&data, "a=mid:2") && has(&data, "a=inactive"));
    assert!(
        negotiated
            .sections
            .iter()
            .all(|section| section.down.is_some() && section.up.is_some())
    );
    assert_eq!(negotiated.sections.len(), 2);
}

#[test]
fn chrome_publishes_three_layers_by_rid() {
    let negotiated = answered(CHROME_SIMULCAST, RECEIVING);
    let video = section(&negotiated.answer, 1);
    assert_eq!(starting(&video, "a=rid:"), ["q recv", "h recv", "f recv"]);
    assert_eq!(starting(&video, "a=simulcast:"), ["recv q;h;f"]);
    let rids: Vec<&[u8]> = negotiated.sections[1].rids.iter().map(|rid| rid.as_slice()).collect();
    assert_eq!(rids, [b"q", b"h", b"f"]);
    assert!(negotiated.sections[1].remote_ssrcs.is_empty());
}

#[test]
fn chrome_publishes_three_layers_by_ssrc() {
    let negotiated = answered(CHROME_SSRC_SIMULCAST, RECEIVING);
    let layer = |ssrc, rtx| RemoteSsrc { ssrc, rtx: Some(rtx) };
    assert_eq!(
        negotiated.sections[1].remote_ssrcs.as_slice(),
        [layer(11, 21), layer(12, 22), layer(13, 23)]
    );
}

#[test]
fn chrome_publishes_and_subscribes_in_sections_of_one_connection() {
    let negotiated = answered(CHROME_FOUR_SECTIONS, BOTH);
    let directions: Vec<_> = negotiated
        .sections
        .iter()
        .map(|section| (section.up.is_some(), section.down.is_some()))
        .collect();
    assert_eq!(directions, [(true, false), (true, false), (false, true), (false, true)]);
    let streams = [0, 1, 2, 3].map(|n| starting(&section(&negotiated.answer, n), "a=msid:").len());
    assert_eq!(streams, [0, 0, 1, 1]);
}

#[test]
fn chrome_of_2014_is_still_answered_in_its_own_words() {
    let negotiated = answered(CHROME_2014_DATA, BOTH);
    let [head, audio, video, data] = <[_; 4]>::try_from(parts(&negotiated.answer)).expect("three sections");
    assert!(has(&head, "a=group:BUNDLE audio video"));
    assert_eq!(starting(&audio, "m="), ["audio 50000 RTP/SAVPF 111 0 8"]);
    assert_eq!(starting(&video, "m="), ["video 50000 RTP/SAVPF 100 96"]);
    assert_eq!(starting(&data, "m="), ["application 0 DTLS/SCTP 5000"]);
    assert!(has(&video, "a=rtcp-fb:100 goog-remb"));
    assert!(has(
        &video,
        "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    ));
}

#[test]
fn firefox_publishes_three_layers_by_rid_though_it_lists_ssrcs_as_well() {
    let negotiated = answered(FIREFOX_SIMULCAST, RECEIVING);
    let video = section(&negotiated.answer, 1);
    assert_eq!(starting(&video, "a=simulcast:"), ["recv q;h;f"]);
    assert!(has(
        &video,
        "a=extmap:9/recvonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    ));
    assert_eq!(negotiated.sections[1].rids.len(), 3);
    assert!(negotiated.sections[1].remote_ssrcs.is_empty());
}

#[test]
fn firefox_subscribes_to_vp8_vp9_and_av1() {
    let negotiated = answered(FIREFOX_RECVONLY, SENDING);
    let offered = codecs(&negotiated.sections[1]);
    assert!(offered.contains(&Codec::Vp8) && offered.contains(&Codec::Vp9 { profile: 0 }));
    assert!(offered.contains(&Codec::Av1 { profile: 0, tier: 0 }));
}

#[test]
fn safari_prefers_h264_and_offers_h265() {
    let negotiated = answered(SAFARI_SENDRECV, SENDING);
    let offered = codecs(&negotiated.sections[1]);
    let h264 = |profile| Codec::H264 {
        profile,
        packetization_mode: 1,
    };
    assert_eq!(
        offered[..2],
        [h264(Profile::ConstrainedHigh), h264(Profile::ConstrainedBaseline)]
    );
    assert_eq!(offered[2], Codec::H265 { profile: 1, tier: 0 });
    let video = section(&negotiated.answer, 1);
    assert!(has(
        &video,
        "a=fmtp:104 level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"
    ));
    // Codecs that everybody decodes come first for what it sends.
    let published = codecs(&answered(SAFARI_SENDRECV, BOTH).sections[1]);
    assert_eq!(published[..2], [h264(Profile::ConstrainedBaseline), Codec::Vp8]);
    assert_eq!(published.len(), offered.len());
}

#[test]
fn an_old_sdk_with_two_streams_in_one_section_publishes_the_first() {
    let negotiated = answered(M106_PLAN_B, RECEIVING);
    let announced = |n: usize| negotiated.sections[n].remote_ssrcs.as_slice();
    assert_eq!(
        announced(0),
        [RemoteSsrc {
            ssrc: 2876912392,
            rtx: None
        }]
    );
    assert_eq!(
        announced(1),
        [RemoteSsrc {
            ssrc: 1106510242,
            rtx: Some(1808376937)
        }]
    );
}

#[test]
fn aiortc_finds_ice_credentials_even_in_the_refused_data_section() {
    let negotiated = answered(AIORTC_SENDRECV_DATA, BOTH);
    let data = section(&negotiated.answer, 2);
    assert!(starting(&data, "m=")[0].starts_with("application 0 "));
    assert_eq!(
        starting(&data, "a=ice-ufrag:"),
        [negotiated.transports[0].local_ufrag.as_str()]
    );
    assert!(has(&data, "a=setup:passive"));
    assert_eq!(negotiated.transports[0].remote_fingerprints.len(), 3);
}

#[test]
fn gstreamer_without_bundle_gets_a_transport_for_each_section() {
    let negotiated = answered(GSTREAMER_NO_BUNDLE, RECEIVING);
    let [head, video, audio] = <[_; 3]>::try_from(parts(&negotiated.answer)).expect("two sections");
    assert!(starting(&head, "a=group").is_empty());
    for (lines, transport) in [video, audio].iter().zip(&negotiated.transports) {
        assert!(has(lines, "a=recvonly") && has(lines, "a=end-of-candidates"));
        assert!(has(lines, &format!("a=ice-ufrag:{}", transport.local_ufrag)));
    }
    let [video, audio] = &negotiated.transports[..] else {
        panic!("{:?}", negotiated.transports);
    };
    assert_ne!(video.local_ufrag, audio.local_ufrag);
    assert_ne!(video.remote_ufrag, audio.remote_ufrag);
    let transports: Vec<u8> = negotiated.sections.iter().map(|section| section.transport).collect();
    assert_eq!(transports, [0, 1]);
}

#[test]
fn gstreamer_gets_no_transport_feedback_that_it_could_not_number() {
    let negotiated = answered(GSTREAMER_H264, RECEIVING);
    let codec = first_codec(&negotiated.sections[0]);
    assert!(codec.feedback.pli && codec.feedback.fir && !codec.feedback.transport_cc);
    let video = section(&negotiated.answer, 0);
    assert_eq!(starting(&video, "a=rtcp-fb:100 "), ["ccm fir", "nack pli"]);
    assert_eq!(
        starting(&video, "a=fmtp:100 "),
        ["packetization-mode=1;profile-level-id=42c015;level-asymmetry-allowed=1"]
    );
}

#[test]
fn pion_has_its_fingerprint_at_session_level() {
    let negotiated = answered(PION_SENDRECV_DATA, BOTH);
    assert_eq!(negotiated.sections.len(), 2);
    assert_eq!(
        negotiated.transports[0].remote_fingerprints[0].digest[..2],
        [0xA1, 0xB2]
    );
}

#[test]
fn a_client_that_bundles_only_its_video_gets_its_audio_beside_it() {
    let negotiated = answered(TWO_TRANSPORTS, BOTH);
    let [head, audio, video] = <[_; 3]>::try_from(parts(&negotiated.answer)).expect("two sections");
    assert!(starting(&head, "a=group:").is_empty(), "a group of one says nothing");
    assert!(has(&audio, "a=sendrecv") && has(&video, "a=sendrecv"));
    assert_eq!(negotiated.transports.len(), 2);
}

#[test]
fn an_offer_of_data_alone_is_refused_with_a_reason() {
    let error = try_answer(CHROME_DATA_ONLY, BOTH).expect_err("nothing for us");
    assert_eq!(error, OfferError::NothingAcceptable(SectionRefusal::NotMedia));
}

/// The rules for every answer to any client.
#[test]
fn every_client_gets_an_answer_that_keeps_the_rules() {
    for (n, offer) in CLIENTS.iter().enumerate() {
        for role in [RECEIVING, SENDING, BOTH] {
            let negotiated = answered(offer, role);
            let offered: Vec<&str> = offer.lines().filter(|line| line.starts_with("m=")).collect();
            let answer = parts(&negotiated.answer);
            assert_eq!(answer.len(), offered.len() + 1, "client {n}");
            let accepted = answer
                .iter()
                .skip(1)
                .filter(|section| section[0].split(' ').nth(1) != Some("0"));
            assert_eq!(accepted.count(), negotiated.sections.len(), "client {n}");
            for (section, offered) in answer.iter().skip(1).zip(offered) {
                let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
                let (answered, offered) = (words(section[0]), words(offered));
                assert_eq!((&answered[0], &answered[2]), (&offered[0], &offered[2]), "client {n}");
                let (answered, mut offered) = (&answered[3..], offered[3..].to_vec());
                let places: Vec<_> = answered
                    .iter()
                    .map(|format| {
                        let place = offered.iter().position(|other| other == format);
                        // Each is there once.
                        place.inspect(|place| offered[*place].clear())
                    })
                    .collect();
                assert!(places.iter().all(Option::is_some), "client {n}: the offer's formats");
                // If the client sends, the codecs that its audience decodes come first: see their own tests.
                assert!(
                    role.uses.contains(&Use::Publish(Feed::Camera, &Kind::ALL)) || places.is_sorted(),
                    "client {n}: in the offer's order"
                );
            }
            let mut ssrcs: Vec<u32> = negotiated
                .sections
                .iter()
                .flat_map(|s| [s.local_ssrc, s.local_rtx_ssrc])
                .collect();
            ssrcs.sort_unstable();
            ssrcs.dedup();
            assert_eq!(ssrcs.len(), negotiated.sections.len() * 2, "client {n}");
            assert!(!ssrcs.contains(&0), "client {n}");
        }
    }
}
