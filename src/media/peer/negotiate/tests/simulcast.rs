//! Streams of a section: SSRCs, groups, rids.

use super::*;
use crate::media::session::RemoteSsrc;

const RID: &str = "extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\n";

/// The result for a video section with `attributes` and the rid extension.
fn by_rid(attributes: &str) -> (Vec<String>, Vec<String>) {
    let negotiated = answered(&offer("", &[vp8(&format!("{RID}{attributes}"))]), RECEIVING);
    let rids = negotiated.sections[0]
        .rids
        .iter()
        .map(|rid| String::from_utf8_lossy(rid).into_owned());
    let lines = section(&negotiated.answer, 0);
    let answered = lines
        .iter()
        .filter(|line| line.starts_with("a=rid:") || line.starts_with("a=simulcast:"));
    (rids.collect(), answered.map(|line| (*line).to_owned()).collect())
}

fn by_ssrc(attributes: &str) -> Vec<RemoteSsrc> {
    answered(&offer("", &[vp8(attributes)]), RECEIVING).sections[0]
        .remote_ssrcs
        .to_vec()
}

fn plain(ssrc: u32) -> RemoteSsrc {
    RemoteSsrc { ssrc, rtx: None }
}

#[test]
fn layers_are_received_in_the_order_of_the_list() {
    let (rids, answered) = by_rid("rid:a send\nrid:b send\nrid:c send\nsimulcast:send c;a;b");
    assert_eq!(rids, ["c", "a", "b"]);
    assert_eq!(
        answered,
        ["a=rid:c recv", "a=rid:a recv", "a=rid:b recv", "a=simulcast:recv c;a;b"]
    );
}

#[test]
fn the_draft_syntax_is_answered_in_kind() {
    let (rids, answered) = by_rid("rid:hi send\nrid:lo send\nsimulcast: send rid=hi;lo");
    assert_eq!(rids, ["hi", "lo"]);
    assert_eq!(
        answered,
        ["a=rid:hi recv", "a=rid:lo recv", "a=simulcast: recv rid=hi;lo"]
    );
}

#[test]
fn stopped_layers_stay_stopped_and_of_alternatives_the_first_is_taken() {
    let (rids, answered) = by_rid("rid:1 send\nrid:2 send\nrid:3 send\nsimulcast:send ~1;2,3 recv 9");
    assert_eq!(rids, ["1", "2"]);
    assert_eq!(answered.last().map(String::as_str), Some("a=simulcast:recv ~1;2"));
    let (rids, answered) = by_rid("rid:hi send\nrid:lo send\nsimulcast: send rid=~hi;lo");
    assert_eq!(rids, ["hi", "lo"]);
    assert_eq!(
        answered.last().map(String::as_str),
        Some("a=simulcast: recv rid=~hi;lo")
    );
}

#[test]
fn what_the_client_would_receive_is_no_concern() {
    let (rids, answered) = by_rid("rid:1 recv\nrid:2 recv\nsimulcast:recv 1;2");
    assert!(rids.is_empty() && answered.is_empty());
    let (rids, answered) = by_rid("rid:1 recv");
    assert!(rids.is_empty() && answered.is_empty());
}

#[test]
fn restrictions_are_kept_payload_types_are_not() {
    let (_, answered) = by_rid("rid:1 send pt=96;max-width=1280;max-fps=30\nrid:2 send\nsimulcast:send 1;2");
    assert_eq!(answered[0], "a=rid:1 recv max-width=1280;max-fps=30");
}

#[test]
fn one_rid_without_a_list_is_one_layer() {
    let (rids, answered) = by_rid("rid:only send");
    assert_eq!(rids, ["only"]);
    assert_eq!(answered, ["a=rid:only recv"]);
}

#[test]
fn four_layers_are_the_most() {
    let (rids, answered) = by_rid("simulcast:send 1;2;3;4;5");
    assert_eq!(rids, ["1", "2", "3", "4"]);
    assert_eq!(answered.last().map(String::as_str), Some("a=simulcast:recv 1;2;3;4"));
}

#[test]
fn names_that_are_no_rids_are_left_out() {
    let (rids, _) = by_rid("simulcast:send a!;averyveryverylongname;ok;ok;;\u{e9}");
    assert_eq!(rids, ["ok"]);
}

#[test]
fn without_the_rid_extension_there_are_no_rids_to_read() {
    let negotiated = answered(
        &offer("", &[vp8("rid:a send\nrid:b send\nsimulcast:send a;b\nssrc:7 cname:x")]),
        RECEIVING,
    );
    assert!(negotiated.sections[0].rids.is_empty());
    assert!(!negotiated.answer.contains("a=simulcast") && !negotiated.answer.contains("a=rid"));
    assert_eq!(negotiated.sections[0].remote_ssrcs.as_slice(), [plain(7)]);
}

#[test]
fn a_client_that_may_not_send_has_no_streams() {
    let attributes = format!("{RID}rid:a send\nrid:b send\nsimulcast:send a;b\nssrc:7 cname:x");
    let negotiated = answered(&offer("", &[vp8(&attributes)]), SENDING);
    assert!(negotiated.sections[0].rids.is_empty() && negotiated.sections[0].remote_ssrcs.is_empty());
}

#[test]
fn the_order_of_the_sim_group_is_kept_and_it_may_do_without_fid() {
    let layers =
        by_ssrc("ssrc:3 cname:x\nssrc:1 cname:x\nssrc:2 cname:x\nssrc-group:SIM 1 2 3\nx-google-flag:conference");
    assert_eq!(layers, [plain(1), plain(2), plain(3)]);
}

#[test]
fn a_retransmission_stream_is_no_layer_wherever_it_is_listed() {
    let layers = by_ssrc("ssrc:20 cname:x\nssrc:10 cname:x\nssrc-group:FID 10 20");
    assert_eq!(
        layers,
        [RemoteSsrc {
            ssrc: 10,
            rtx: Some(20)
        }]
    );
}

#[test]
fn a_repair_stream_of_flexfec_is_no_layer() {
    assert_eq!(
        by_ssrc("ssrc:30 cname:x\nssrc:10 cname:x\nssrc-group:FEC-FR 10 30"),
        [plain(10)]
    );
}

#[test]
fn malformed_ssrcs_are_passed_over() {
    assert_eq!(
        by_ssrc(
            "ssrc:0 cname:x\nssrc:99999999999 cname:x\nssrc:- cname:x\nssrc:5 cname:x\nssrc-group:\nssrc-group:FID"
        ),
        [plain(5)]
    );
}

#[test]
fn an_ssrc_belongs_to_the_first_section_that_announces_it() {
    let sections = [
        opus("mid:a\nssrc:5 cname:x"),
        vp8("mid:v\nssrc:5 cname:x\nssrc:6 cname:x\nssrc-group:SIM 5 6\nssrc-group:FID 6 5"),
    ];
    let negotiated = answered(&offer("group:BUNDLE a v", &sections), RECEIVING);
    assert_eq!(negotiated.sections[0].remote_ssrcs.as_slice(), [plain(5)]);
    assert_eq!(negotiated.sections[1].remote_ssrcs.as_slice(), [plain(6)]);
}
