//! Offers: the first on a connection, and the next.

use std::fs;
use std::path::Path;

use patchbay::ids::{Feed, FeedRef, ParticipantId, WorkerId};
use patchbay::media::codec::Kind;
use patchbay::media::description::{BYTES_MAX, Description};
use patchbay::media::names::Use;
use patchbay::media::peer::negotiate::{self, Role};
use patchbay::media::session::LocalEnd;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Run, Target};

pub const SDP: Target = Target {
    name: "sdp",
    seeds: offers,
    prepare,
};

const FIRST: &str = include_str!("../../fixtures/sdp/aiortc-recvonly.sdp");

/// Offers of people who are in the room already: together they decode every format, but not each of them all.
const AUDIENCE: [&str; 4] = [
    include_str!("../../fixtures/sdp/chrome-sendrecv-data.sdp"),
    include_str!("../../fixtures/sdp/firefox-recvonly.sdp"),
    include_str!("../../fixtures/sdp/safari-sendrecv.sdp"),
    include_str!("../../fixtures/sdp/gstreamer-h264.sdp"),
];

/// The offers of real clients.
fn offers() -> Vec<Vec<u8>> {
    // The folder above differs from driver to driver.
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut fixtures = folders.map(|folder| folder.join("tests/fixtures/sdp"));
    let folder = fixtures.find(|folder| folder.is_dir()).expect("the fixtures are there");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let offers = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sdp"));
    let seeds: Vec<Vec<u8>> = offers.map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() > 20, "the offers of real clients are there");
    seeds
}

fn prepare() -> Run {
    let local = LocalEnd {
        fingerprint: [7; 32],
        spare_fingerprint: [8; 32],
        candidates: vec!["127.0.0.1:4000".parse().unwrap()],
        tcp_candidates: Vec::new(),
        worker: WorkerId(0),
    };
    let audience = AUDIENCE.map(|offer| Description::read(offer).decodes());
    let first = Description::read(FIRST);
    Box::new(move |input| {
        let role = Role {
            uses: &[
                Use::Publish(Feed::Camera, &Kind::ALL),
                Use::Watch(FeedRef::camera(ParticipantId(1))),
            ],
            audience: &[],
        };
        let text = String::from_utf8_lossy(input);
        let offer = Description::read(&text);
        assert!(offer.bytes() <= BYTES_MAX, "{} bytes of {}", offer.bytes(), text.len());
        let mut random = StdRng::seed_from_u64(1);
        let Ok(answered) = negotiate::answer(&offer, &local, role, None, &mut random) else {
            return;
        };
        assert_eq!(
            answered.answer.matches("\r\nm=").count(),
            text.matches("\nm=").count(),
            "a section for each"
        );
        let line_contents = answered.answer.replace("\r\n", "");
        assert!(!line_contents.contains(char::is_control), "a line of the client's own");
        // The same offer again: nothing about the connection changes (RFC 8829 §5.3.2).
        let again =
            negotiate::answer(&offer, &local, role, Some(&answered), &mut random).expect("the same offer again");
        assert_eq!(again.transports[0].local_ufrag, answered.transports[0].local_ufrag);
        assert_eq!(again.sections.len(), answered.sections.len());
        // The people in the room change which formats come first and which are not accepted, but not the number
        // of sections.
        let known = Role {
            audience: &audience,
            ..role
        };
        let known =
            negotiate::answer(&offer, &local, known, Some(&answered), &mut random).expect("the same offer again");
        assert_eq!(known.sections.len(), answered.sections.len());
        assert_eq!(known.decodes, offer.decodes());
        // New ICE credentials alone change those of the answer, and nothing else.
        if let Ok(restarted) = offer.restarted("another", "the-password-of-another") {
            assert!(restarted.bytes() <= BYTES_MAX);
            let restarted = negotiate::answer(&restarted, &local, role, Some(&answered), &mut random);
            let restarted = restarted.expect("the same offer with other credentials");
            assert_eq!(restarted.transports.len(), answered.transports.len());
            assert_ne!(restarted.transports[0].local_ufrag, answered.transports[0].local_ufrag);
            assert_eq!(restarted.sections.len(), answered.sections.len());
        }
        let _ = negotiate::answer(&first, &local, role, Some(&answered), &mut random);
    })
}
