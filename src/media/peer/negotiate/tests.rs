//! Offers of clients, and what the answers must say.

mod clients;
mod codecs;
mod enterprise;
mod extensions;
mod hostile;
mod preference;
mod reoffer;
mod sections;
mod simulcast;
mod transport;

use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::ids::{Feed, FeedRef, ParticipantId, WorkerId};
use crate::media::codec::{Codec, Kind};
use crate::media::names::Use;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/sdp/",
            $name,
            ".sdp"
        ))
    };
}

const CHROME_SENDONLY: &str = fixture!("chrome-sendonly");
const CHROME_RECVONLY: &str = fixture!("chrome-recvonly");
const CHROME_SENDRECV_DATA: &str = fixture!("chrome-sendrecv-data");
const CHROME_SIMULCAST: &str = fixture!("chrome-simulcast");
const CHROME_SSRC_SIMULCAST: &str = fixture!("chrome-ssrc-simulcast");
const CHROME_H264_FIRST: &str = fixture!("chrome-h264-first");
const CHROME_VP9_FIRST: &str = fixture!("chrome-vp9-first");
const CHROME_AV1_ONLY: &str = fixture!("chrome-av1-only");
const CHROME_RECVONLY_H264_VP8: &str = fixture!("chrome-recvonly-h264-vp8");
const CHROME_DATA_ONLY: &str = fixture!("chrome-data-only");
const CHROME_FOUR_SECTIONS: &str = fixture!("chrome-four-sections");
const CHROME_2014_DATA: &str = fixture!("chrome-2014-data");
const FIREFOX_SENDONLY: &str = fixture!("firefox-sendonly");
const FIREFOX_RECVONLY: &str = fixture!("firefox-recvonly");
const FIREFOX_SENDRECV_DATA: &str = fixture!("firefox-sendrecv-data");
const FIREFOX_SIMULCAST: &str = fixture!("firefox-simulcast");
const SAFARI_SENDRECV: &str = fixture!("safari-sendrecv");
const M152_SIMULCAST: &str = fixture!("libwebrtc-m152-simulcast");
const M152_RECVONLY: &str = fixture!("libwebrtc-m152-recvonly");
const M106_SENDRECV_DATA: &str = fixture!("libwebrtc-m106-sendrecv-data");
const M106_RECVONLY: &str = fixture!("libwebrtc-m106-recvonly");
const M106_PLAN_B: &str = fixture!("libwebrtc-m106-plan-b");
const KURENTO_SENDONLY: &str = fixture!("kurento-utils-6-sendonly");
const KURENTO_SENDRECV: &str = fixture!("kurento-utils-6-sendrecv");
const AIORTC_SENDRECV_DATA: &str = fixture!("aiortc-sendrecv-data");
const AIORTC_RECVONLY: &str = fixture!("aiortc-recvonly");
const GSTREAMER_BUNDLE: &str = fixture!("gstreamer-bundle");
const GSTREAMER_NO_BUNDLE: &str = fixture!("gstreamer-no-bundle");
const GSTREAMER_H264: &str = fixture!("gstreamer-h264");
const GSTREAMER_RECVONLY: &str = fixture!("gstreamer-recvonly");
const PION_SENDRECV_DATA: &str = fixture!("pion-sendrecv-data");
const TWO_TRANSPORTS: &str = fixture!("two-transports");
const ENTERPRISE_SDK_NEWER: &str = fixture!("enterprise-sdk-newer");
const ENTERPRISE_SDK_OLDER: &str = fixture!("enterprise-sdk-older");

/// All clients that have media for us. The data-only offer is not among them.
const CLIENTS: [&str; 33] = [
    CHROME_H264_FIRST,
    CHROME_VP9_FIRST,
    CHROME_AV1_ONLY,
    CHROME_RECVONLY_H264_VP8,
    CHROME_SENDONLY,
    CHROME_RECVONLY,
    CHROME_SENDRECV_DATA,
    CHROME_SIMULCAST,
    CHROME_SSRC_SIMULCAST,
    CHROME_FOUR_SECTIONS,
    CHROME_2014_DATA,
    FIREFOX_SENDONLY,
    FIREFOX_RECVONLY,
    FIREFOX_SENDRECV_DATA,
    FIREFOX_SIMULCAST,
    SAFARI_SENDRECV,
    M152_SIMULCAST,
    M152_RECVONLY,
    M106_SENDRECV_DATA,
    M106_RECVONLY,
    M106_PLAN_B,
    KURENTO_SENDONLY,
    KURENTO_SENDRECV,
    AIORTC_SENDRECV_DATA,
    AIORTC_RECVONLY,
    GSTREAMER_BUNDLE,
    GSTREAMER_NO_BUNDLE,
    GSTREAMER_H264,
    GSTREAMER_RECVONLY,
    PION_SENDRECV_DATA,
    TWO_TRANSPORTS,
    ENTERPRISE_SDK_NEWER,
    ENTERPRISE_SDK_OLDER,
];

/// A participant whose streams are called `pa`.
const ALICE: Use = Use::Watch(FeedRef::camera(ParticipantId(10)));

/// Role of a publisher's connection.
const RECEIVING: Role<'_> = Role {
    uses: &[Use::Publish(Feed::Camera, &Kind::ALL)],
    audience: &[],
};
/// Role of a subscriber's connection.
const SENDING: Role<'_> = Role {
    uses: &[ALICE],
    audience: &[],
};
/// Role of a connection of a one-to-one call.
const BOTH: Role<'_> = Role {
    uses: &[Use::Publish(Feed::Camera, &Kind::ALL), ALICE],
    audience: &[],
};

fn local() -> LocalEnd {
    let addresses = ["203.0.113.7:50000", "[2001:db8::7]:50001", "203.0.113.7:50002"];
    LocalEnd {
        fingerprint: [0xAB; 32],
        spare_fingerprint: [8; 32],
        candidates: addresses
            .map(|address| address.parse::<SocketAddr>().expect("an address"))
            .to_vec(),
        tcp_candidates: vec![
            "203.0.113.7:7000".parse().expect("an address"),
            "[2001:db8::7]:443".parse().expect("an address"),
        ],
        worker: WorkerId(3),
    }
}

/// The answer to a first offer. What the check says before has to be what becomes of it.
fn try_answer(offer: &str, role: Role<'_>) -> Result<Negotiated, OfferError> {
    let answered = answer(
        &Description::read(offer),
        &local(),
        role,
        None,
        &mut StdRng::seed_from_u64(1),
    );
    assert_eq!(
        check(&Description::read(offer)),
        answered.as_ref().map(|_| ()).map_err(Clone::clone)
    );
    answered
}

fn decodable(offer: &str) -> Vec<Codec> {
    Description::read(offer).decodes()
}

fn answered(offer: &str, role: Role<'_>) -> Negotiated {
    try_answer(offer, role).expect("an acceptable offer")
}

fn answered_again(offer: &str, role: Role<'_>, previous: &Negotiated) -> Negotiated {
    let mut random = StdRng::seed_from_u64(2);
    answer(&Description::read(offer), &local(), role, Some(previous), &mut random).expect("an acceptable offer")
}

/// The lines of an answer before its first section, then those of each section.
fn parts(answer: &str) -> Vec<Vec<&str>> {
    let mut parts = vec![Vec::new()];
    for line in answer.split_terminator("\r\n") {
        if line.starts_with("m=") {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    parts
}

/// The lines of the n-th section of an answer, from 0.
fn section(answer: &str, n: usize) -> Vec<&str> {
    parts(answer).swap_remove(n + 1)
}

fn has(lines: &[&str], line: &str) -> bool {
    lines.contains(&line)
}

/// The lines that begin with `prefix`, without it.
fn starting<'a>(lines: &[&'a str], prefix: &str) -> Vec<&'a str> {
    lines.iter().filter_map(|line| line.strip_prefix(prefix)).collect()
}

/// An audio section with what every section needs, and `more`.
fn opus(more: &str) -> String {
    media(
        "audio 9 UDP/TLS/RTP/SAVPF 111",
        &format!("rtcp-mux\nrtpmap:111 opus/48000/2\n{more}"),
    )
}

/// A video section with what every section needs, and `more`.
fn vp8(more: &str) -> String {
    media(
        "video 9 UDP/TLS/RTP/SAVPF 96",
        &format!("rtcp-mux\nrtpmap:96 VP8/90000\n{more}"),
    )
}

/// `m=<line>` and an `a=` line for each line of `attributes`.
fn media(line: &str, attributes: &str) -> String {
    let attributes = attributes.lines().filter(|attribute| !attribute.is_empty());
    attributes.fold(format!("m={line}\r\nc=IN IP4 0.0.0.0\r\n"), |section, attribute| {
        section + "a=" + attribute + "\r\n"
    })
}

const DIGEST: &str = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";

/// An offer that has its ICE and DTLS attributes at session level.
fn offer(session: &str, sections: &[String]) -> String {
    let attributes = format!(
        "ice-ufrag:abcd\nice-pwd:0123456789abcdefghijkl\nfingerprint:sha-256 {DIGEST}\nsetup:actpass\n{session}"
    );
    bare_offer(&attributes, sections)
}

/// An offer with nothing at session level but `session`.
fn bare_offer(session: &str, sections: &[String]) -> String {
    let attributes = session.lines().filter(|attribute| !attribute.is_empty());
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
    attributes.fold(head, |head, attribute| head + "a=" + attribute + "\r\n") + &sections.concat()
}
