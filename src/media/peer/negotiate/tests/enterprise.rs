//! Offers of the enterprise family's web SDKs, and slots that share a section.

use super::*;
use crate::ids::SlotId;
use crate::media::codec::h264::Profile;
use crate::media::names::Down;
use crate::media::session::{MediaSection, SentStream};

/// Somebody who publishes, hears five and sees one.
const PLAIN: Role<'_> = Role {
    uses: &[
        Use::Publish(Feed::Camera, &Kind::ALL),
        Use::Slot(SlotId(0), Kind::Audio),
        Use::JoinedSlot(SlotId(1)),
        Use::JoinedSlot(SlotId(2)),
        Use::JoinedSlot(SlotId(3)),
        Use::JoinedSlot(SlotId(4)),
        Use::Slot(SlotId(5), Kind::Video),
    ],
    audience: &[],
};

const SDES_MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// The lines `a=ssrc:N msid:STREAM TRACK` of a section, as stream and track.
fn streams<'a>(lines: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let named = starting(lines, "a=ssrc:").into_iter();
    let names = named.filter_map(|line| line.split_once(" msid:"));
    names.filter_map(|(_, names)| names.split_once(' ')).collect()
}

/// The lines with payload types that an answer has in common with its offer.
fn formats(lines: &[&str]) -> Vec<String> {
    starting(lines, "a=rtpmap:").into_iter().map(str::to_owned).collect()
}

#[test]
fn the_newer_sdk_gets_a_transport_for_each_section_and_no_group() {
    let negotiated = answered(ENTERPRISE_SDK_NEWER, PLAIN);
    let [head, audio, video] = <[_; 3]>::try_from(parts(&negotiated.answer)).expect("two sections");
    assert!(starting(&head, "a=group").is_empty());
    assert!(audio[0].starts_with("m=audio ") && has(&audio, "a=mid:audio"));
    assert!(video[0].starts_with("m=video ") && has(&video, "a=mid:video"));
    let [first, second] = &negotiated.transports[..] else {
        panic!("{:?}", negotiated.transports);
    };
    let theirs = (&first.remote_ufrag, &first.remote_pwd);
    assert_eq!(
        theirs,
        (&second.remote_ufrag, &second.remote_pwd),
        "the client's are the same"
    );
    assert_ne!(first.local_ufrag, second.local_ufrag);
    assert_ne!(first.local_pwd, second.local_pwd);
    for (lines, transport) in [(&audio, first), (&video, second)] {
        for line in ["a=sendrecv", "a=setup:passive", "a=rtcp-mux", "a=end-of-candidates"] {
            assert!(has(lines, line), "{line}");
        }
        assert!(has(lines, &format!("a=ice-ufrag:{}", transport.local_ufrag)));
        assert!(has(lines, &format!("a=ice-pwd:{}", transport.local_pwd)));
        assert_eq!(starting(lines, "a=fingerprint:").len(), 1);
        assert_eq!(starting(lines, "a=candidate:").len(), 5, "all of them");
    }
}

#[test]
fn the_newer_sdk_is_sent_no_mids_in_packets() {
    assert!(ENTERPRISE_SDK_NEWER.contains(SDES_MID), "it offers them");
    assert!(!answered(ENTERPRISE_SDK_NEWER, PLAIN).answer.contains(SDES_MID));
    assert!(
        answered(ENTERPRISE_SDK_OLDER, PLAIN).answer.contains(SDES_MID),
        "one transport"
    );
}

#[test]
fn sound_and_pictures_are_one_stream_of_which_the_answer_names_one_track_each() {
    for (offer, sound, picture) in [(ENTERPRISE_SDK_NEWER, 0, 1), (ENTERPRISE_SDK_OLDER, 1, 0)] {
        let negotiated = answered(offer, PLAIN);
        let of_sound = section(&negotiated.answer, sound);
        let of_pictures = section(&negotiated.answer, picture);
        let [(stream, track)] = streams(&of_sound)[..] else {
            panic!("{of_sound:#?}");
        };
        let pictures = streams(&of_pictures);
        assert_eq!(pictures.len(), 2, "with retransmissions");
        assert!(
            pictures.iter().all(|one| one.0 == stream && one.1 != track),
            "{pictures:?}"
        );
    }
}

#[test]
fn both_sdks_keep_their_payload_types_with_h264_first() {
    for (offer, place) in [(ENTERPRISE_SDK_NEWER, 1), (ENTERPRISE_SDK_OLDER, 0)] {
        let negotiated = answered(offer, PLAIN);
        let lines = section(&negotiated.answer, place);
        let offered = offer.split("m=video").nth(1).expect("pictures");
        let numbers: Vec<&str> = lines[0].split(' ').skip(3).collect();
        assert_eq!(
            numbers,
            ["100", "107", "96", "108", "98", "109"],
            "without red and ulpfec"
        );
        for format in formats(&lines) {
            assert!(offered.contains(&format!("a=rtpmap:{format}\r\n")), "{format}");
        }
        for again in ["107 apt=100", "108 apt=96", "109 apt=98"] {
            assert!(has(&lines, &format!("a=fmtp:{again}")), "{again}");
        }
        let first = negotiated.sections[place].codecs[0];
        let is_baseline = matches!(
            first.codec,
            Codec::H264 {
                profile: Profile::ConstrainedBaseline,
                ..
            }
        );
        assert!(first.payload_type == 100 && is_baseline, "{first:?}");
    }
}

#[test]
fn the_older_sdk_has_pictures_first_and_may_bundle_or_not() {
    let bundled = answered(ENTERPRISE_SDK_OLDER, PLAIN);
    assert!(bundled.answer.contains("a=group:BUNDLE 0 1\r\n"));
    let video = section(&bundled.answer, 0);
    assert!(video[0].starts_with("m=video ") && has(&video, "a=mid:0"));
    let apart = ENTERPRISE_SDK_OLDER.replace("a=group:BUNDLE 0 1\r\n", "");
    let apart = answered(&apart, PLAIN);
    assert!(!apart.answer.contains("a=group:"));
    assert_eq!((bundled.transports.len(), apart.transports.len()), (1, 2));
}

fn slots(section: &MediaSection) -> Vec<Option<u8>> {
    let slot = |stream: SentStream| match stream.down? {
        Down::Slot(SlotId(slot)) => Some(slot),
        Down::Track(_) => None,
    };
    section.streams().map(slot).collect()
}

fn ssrcs(negotiated: &Negotiated) -> Vec<u32> {
    let streams = negotiated.sections.iter().flat_map(MediaSection::streams);
    streams.flat_map(|stream| [stream.ssrc, stream.rtx_ssrc]).collect()
}

#[test]
fn slots_that_share_a_section_have_ssrcs_of_their_own_and_the_answer_names_the_first() {
    let negotiated = answered(ENTERPRISE_SDK_NEWER, PLAIN);
    assert_eq!(slots(&negotiated.sections[0]), [0, 1, 2, 3, 4].map(Some));
    assert_eq!(slots(&negotiated.sections[1]), [Some(5)]);
    let all = ssrcs(&negotiated);
    let different: std::collections::BTreeSet<&u32> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (12, 12));
    let audio = section(&negotiated.answer, 0).join("\n");
    let named = |ssrc: &u32| audio.contains(&ssrc.to_string());
    assert_eq!(all.iter().map(named).position(|is_named| !is_named), Some(1));
    assert_eq!(all.iter().filter(|ssrc| named(ssrc)).count(), 1);
}

#[test]
fn slots_that_share_a_section_keep_their_ssrcs_over_new_offers_and_a_hold() {
    let first = answered(ENTERPRISE_SDK_NEWER, PLAIN);
    let again = answered_again(ENTERPRISE_SDK_NEWER, PLAIN, &first);
    assert_eq!(ssrcs(&again), ssrcs(&first));
    let held = ENTERPRISE_SDK_NEWER.replacen("a=sendrecv", "a=sendonly", 1);
    let held = answered_again(&held, PLAIN, &again);
    assert_eq!(slots(&held.sections[0]), [None; 5]);
    assert_eq!(ssrcs(&held), ssrcs(&first));
    let resumed = answered_again(ENTERPRISE_SDK_NEWER, PLAIN, &held);
    assert_eq!(slots(&resumed.sections[0]), [0, 1, 2, 3, 4].map(Some));
    assert_eq!(ssrcs(&resumed), ssrcs(&first));
    let fewer = Role {
        uses: &PLAIN.uses[..3],
        ..PLAIN
    };
    let fewer = answered_again(ENTERPRISE_SDK_NEWER, fewer, &resumed);
    assert_eq!(slots(&fewer.sections[0]), [0, 1].map(Some));
    let more = answered_again(ENTERPRISE_SDK_NEWER, PLAIN, &fewer);
    assert_eq!(ssrcs(&more)[..4], ssrcs(&first)[..4]);
    let old = ssrcs(&first);
    assert!(
        ssrcs(&more)[4..10].iter().all(|ssrc| !old.contains(ssrc)),
        "a stream that ended does not come back"
    );
}
