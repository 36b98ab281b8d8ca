//! Payload types, parameters, feedback.

use super::*;
use crate::media::codec::Codec;
use crate::media::codec::h264::Profile;

fn audio(formats: &str, attributes: &str) -> String {
    let line = format!("audio 9 UDP/TLS/RTP/SAVPF {formats}");
    offer("", &[media(&line, &format!("rtcp-mux\n{attributes}"))])
}

fn video(formats: &str, attributes: &str) -> String {
    let line = format!("video 9 UDP/TLS/RTP/SAVPF {formats}");
    offer("", &[media(&line, &format!("rtcp-mux\n{attributes}"))])
}

/// The formats of the only section's m-line.
fn formats(offer: &str) -> String {
    let negotiated = answered(offer, BOTH);
    let line = section(&negotiated.answer, 0)[0].to_owned();
    line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned()
}

fn codecs(offer: &str) -> Vec<(u8, Codec)> {
    let negotiated = answered(offer, BOTH);
    negotiated.sections[0]
        .codecs
        .iter()
        .map(|codec| (codec.payload_type, codec.codec))
        .collect()
}

fn fmtp(offer: &str) -> Vec<String> {
    let negotiated = answered(offer, BOTH);
    starting(&section(&negotiated.answer, 0), "a=fmtp:")
        .into_iter()
        .map(str::to_owned)
        .collect()
}

#[test]
fn codecs_keep_the_offers_numbers_and_order_and_others_are_dropped() {
    let attributes = "rtpmap:110 telephone-event/48000\nrtpmap:9 G722/8000\nrtpmap:120 OPUS/48000/2\nrtpmap:13 CN/8000";
    assert_eq!(formats(&audio("110 8 9 120 0 13", attributes)), "8 120 0");
    assert_eq!(
        codecs(&audio("110 8 9 120 0 13", attributes)),
        [(8, Codec::Pcma), (120, Codec::Opus), (0, Codec::Pcmu)]
    );
}

#[test]
fn forward_error_correction_is_dropped() {
    let attributes = "rtpmap:96 VP8/90000\nrtpmap:97 red/90000\nrtpmap:98 ulpfec/90000\nrtpmap:99 rtx/90000\nfmtp:99 apt=97\nrtpmap:100 flexfec-03/90000";
    assert_eq!(formats(&video("96 97 98 99 100", attributes)), "96");
}

#[test]
fn a_codec_of_the_other_kind_is_none() {
    let error = try_answer(&audio("96", "rtpmap:96 VP8/90000"), BOTH).expect_err("video in audio");
    assert_eq!(error, OfferError::NothingAcceptable(SectionRefusal::NoCommonCodec));
}

#[test]
fn a_codec_at_another_clock_rate_is_none() {
    assert!(try_answer(&audio("111", "rtpmap:111 opus/16000/2"), BOTH).is_err());
    assert!(try_answer(&audio("111", "rtpmap:111 opus/48000000000/2"), BOTH).is_err());
    assert!(try_answer(&audio("111", "rtpmap:111 opus"), BOTH).is_err());
    assert!(try_answer(&audio("0", "rtpmap:0 PCMU/8000/2"), BOTH).is_err());
}

#[test]
fn payload_types_that_look_like_rtcp_are_not_used() {
    let attributes = "rtpmap:72 VP8/90000\nrtpmap:95 VP8/90000\nrtpmap:63 VP8/90000\nrtpmap:128 VP8/90000";
    assert_eq!(formats(&video("72 95 63 128", attributes)), "63");
}

#[test]
fn a_payload_type_listed_twice_counts_once() {
    assert_eq!(
        codecs(&video("96 96", "rtpmap:96 VP8/90000\nrtpmap:96 AV1/90000")),
        [(96, Codec::Vp8)]
    );
}

#[test]
fn retransmission_goes_only_with_an_accepted_codec_and_once() {
    let attributes = "rtpmap:96 VP8/90000\nrtpmap:97 rtx/90000\nfmtp:97 apt=96;rtx-time=3000\nrtpmap:98 rtx/90000\n\
        fmtp:98 apt=96\nrtpmap:99 rtx/90000\nfmtp:99 apt=100\nrtpmap:101 rtx/90000\nrtpmap:102 rtx/8000\nfmtp:102 apt=96";
    assert_eq!(formats(&video("102 97 96 98 99 101", attributes)), "97 96");
    assert_eq!(fmtp(&video("102 97 96 98 99 101", attributes)), ["97 apt=96"]);
}

#[test]
fn red_is_taken_around_opus_only() {
    let opus_and = |red: &str| {
        audio(
            "63 111 0",
            &format!("rtpmap:111 opus/48000/2\nrtpmap:63 red/48000/2\n{red}"),
        )
    };
    assert_eq!(formats(&opus_and("fmtp:63 111/111")), "63 111 0");
    assert_eq!(fmtp(&opus_and("fmtp:63 111/111")), ["63 111/111"]);
    for untidy in [
        "fmtp:63 111 / 111",
        "fmtp:63 111/\r111",
        "fmtp:63 111/\u{b}111/\u{a0}111",
    ] {
        let answered = fmtp(&opus_and(untidy));
        let blocks = untidy.matches("111").count();
        assert_eq!(
            answered,
            [format!("63 {}", vec!["111"; blocks].join("/"))],
            "only numbers go back"
        );
    }
    for other in [
        "fmtp:63 0/0",
        "fmtp:63 111/0",
        "fmtp:63 63/63",
        "fmtp:63 111/+111",
        "fmtp:63 111/",
        "fmtp:63 x",
        "",
    ] {
        assert_eq!(formats(&opus_and(other)), "111 0", "{other}");
    }
    assert!(try_answer(&audio("63", "rtpmap:63 red/48000/2\nfmtp:63 63/63"), BOTH).is_err());
}

#[test]
fn h264_profiles_and_modes_are_told_apart() {
    let attributes = "rtpmap:96 H264/90000\nfmtp:96 profile-level-id=42E01F;packetization-mode=1\nrtpmap:97 h264/90000\n\
        fmtp:97 profile-level-id=640032\nrtpmap:98 H264/90000\nfmtp:98 packetization-mode=2\nrtpmap:99 H264/90000\n\
        fmtp:99 profile-level-id=zzzzzz\nrtpmap:100 H264/90000\nrtpmap:101 H264/90000\nfmtp:101 profile-level-id=0042e01f";
    let h264 = |profile, packetization_mode| Codec::H264 {
        profile,
        packetization_mode,
    };
    assert_eq!(
        codecs(&video("96 97 98 99 100 101", attributes)),
        [
            (96, h264(Profile::ConstrainedBaseline, 1)),
            (100, h264(Profile::ConstrainedBaseline, 0)),
            // Not everybody decodes it.
            (97, h264(Profile::High, 0)),
        ]
    );
}

#[test]
fn profiles_of_the_other_codecs_have_their_defaults() {
    let attributes = "rtpmap:96 VP9/90000\nrtpmap:97 VP9/90000\nfmtp:97 profile-id=2\nrtpmap:98 AV1/90000\n\
        rtpmap:99 AV1/90000\nfmtp:99 profile=1;level-idx=5\nrtpmap:100 H265/90000\nrtpmap:101 H265/90000\n\
        fmtp:101 profile-id=2;tier-flag=1\nrtpmap:102 VP9/90000\nfmtp:102 profile-id=9";
    assert_eq!(
        codecs(&video("96 97 98 99 100 101 102", attributes)),
        [
            (96, Codec::Vp9 { profile: 0 }),
            (97, Codec::Vp9 { profile: 2 }),
            (98, Codec::Av1 { profile: 0, tier: 0 }),
            (99, Codec::Av1 { profile: 1, tier: 0 }),
            (100, Codec::H265 { profile: 1, tier: 0 }),
            (101, Codec::H265 { profile: 2, tier: 1 }),
        ]
    );
}

#[test]
fn parameters_that_both_ends_must_agree_on_are_repeated() {
    let h264 = "rtpmap:96 H264/90000\nfmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f;\
        sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==";
    assert_eq!(
        fmtp(&video("96", h264)),
        ["96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"]
    );
    let vp8 = "rtpmap:96 VP8/90000\nfmtp:96 max-fs=12288;max-fr=60";
    assert!(
        fmtp(&video("96", vp8)).is_empty(),
        "limits of the client's decoder are not ours"
    );
}

#[test]
fn opus_wishes_are_repeated_spaces_and_several_lines_included() {
    let opus = "rtpmap:111 opus/48000/2\nfmtp:111 minptime=10; useinbandfec=1;stereo=1; sprop-stereo=1\nfmtp:111 usedtx=1;stereo=0";
    assert_eq!(
        fmtp(&audio("111", opus)),
        ["111 minptime=10;useinbandfec=1;stereo=1;usedtx=1"]
    );
}

#[test]
fn feedback_is_what_was_offered_and_no_more() {
    let attributes = "rtpmap:96 VP8/90000\nrtcp-fb:96 nack\nrtcp-fb:96 ccm tmmbr\nrtcp-fb:96 nack sli\nrtpmap:97 VP9/90000\n\
        rtcp-fb:97 nack pli\nrtcp-fb:97 ccm fir\nrtcp-fb:97 goog-remb";
    let negotiated = answered(&video("96 97", attributes), BOTH);
    let lines = section(&negotiated.answer, 0);
    assert_eq!(
        starting(&lines, "a=rtcp-fb:"),
        ["96 nack", "97 goog-remb", "97 ccm fir", "97 nack pli"]
    );
    let feedback = |n: usize| negotiated.sections[0].codecs[n].feedback;
    assert!(feedback(0).nack && !feedback(0).pli && !feedback(0).fir && !feedback(0).remb);
    assert!(!feedback(1).nack && feedback(1).pli && feedback(1).fir && feedback(1).remb);
}

#[test]
fn feedback_may_be_offered_for_all_codecs_at_once() {
    let attributes = "rtpmap:96 VP8/90000\nrtpmap:97 VP9/90000\nrtcp-fb:* nack pli";
    let negotiated = answered(&video("96 97", attributes), BOTH);
    assert!(negotiated.sections[0].codecs.iter().all(|codec| codec.feedback.pli));
    assert!(!negotiated.answer.contains("rtcp-fb:*"));
}

#[test]
fn audio_may_be_repeated_and_numbered_but_has_no_pictures() {
    let attributes = "rtpmap:111 opus/48000/2\nrtcp-fb:111 nack\nrtcp-fb:111 transport-cc\nrtcp-fb:111 goog-remb\nrtcp-fb:111 nack pli\n\
        extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let negotiated = answered(&audio("111", attributes), BOTH);
    let lines = section(&negotiated.answer, 0);
    assert_eq!(starting(&lines, "a=rtcp-fb:"), ["111 transport-cc", "111 nack"]);
}

#[test]
fn a_section_without_a_common_codec_is_refused_and_the_others_go_on() {
    let g722 = media("audio 9 UDP/TLS/RTP/SAVPF 9 13", "mid:a\nrtcp-mux\nrtpmap:9 G722/8000");
    let negotiated = answered(&offer("group:BUNDLE a v", &[g722, vp8("mid:v")]), BOTH);
    let refused = section(&negotiated.answer, 0);
    assert_eq!(refused[0], "m=audio 0 UDP/TLS/RTP/SAVPF 9");
    assert!(has(&refused, "a=mid:a") && has(&refused, "a=inactive") && has(&refused, "a=rtcp-mux"));
    assert!(negotiated.answer.contains("a=group:BUNDLE v\r\n"));
    assert_eq!(negotiated.sections.len(), 1);
}
