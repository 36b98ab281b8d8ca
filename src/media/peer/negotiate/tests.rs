//! What clients offer, and what they must be told.

use std::net::SocketAddr;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::media::codec::Codec;

const CHROME_SENDONLY: &str = include_str!("../../../../tests/fixtures/sdp/chrome-sendonly.sdp");

const PUBLISHER: Role<'_> = Role {
    receive: true,
    send_stream: None,
};

fn local() -> LocalEnd {
    let addresses = ["203.0.113.7:50000", "[2001:db8::7]:50000"];
    LocalEnd {
        fingerprint: [0xAB; 32],
        candidates: addresses
            .map(|address| address.parse::<SocketAddr>().expect("an address"))
            .to_vec(),
    }
}

fn answered(offer: &str, role: Role<'_>) -> Negotiated {
    answer(offer, &local(), role, None, &mut StdRng::seed_from_u64(1)).expect("an acceptable offer")
}

#[test]
fn chrome_publishes_audio_and_video_over_one_transport() {
    let negotiated = answered(CHROME_SENDONLY, PUBLISHER);
    assert!(negotiated.answer.contains("a=group:BUNDLE 0 1\r\n"));
    assert!(negotiated.answer.contains("a=setup:passive\r\n"));
    assert!(negotiated.answer.contains(" 203.0.113.7 50000 typ host\r\n"));
    let [audio, video] = negotiated.sections.as_slice() else {
        panic!("two sections")
    };
    assert!(audio.receive && video.receive && !audio.send && !video.send);
    assert_eq!(audio.codecs[0].codec, Codec::Opus);
    assert_eq!(
        (video.codecs[0].codec, video.codecs[0].rtx_payload_type),
        (Codec::Vp8, Some(97))
    );
    assert_eq!(audio.remote_ssrcs.len(), 1);
}
