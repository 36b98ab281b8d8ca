//! Offers: the first on a connection, and the next.

use std::fs;
use std::path::Path;

use patchbay::media::peer::negotiate::{self, Role};
use patchbay::media::session::LocalEnd;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::engine::fuzz;

#[test]
fn offers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sdp");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let offers = entries.filter(|path| path.extension().is_some_and(|extension| extension == "sdp"));
    let seeds: Vec<Vec<u8>> = offers.map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() > 20, "the offers of real clients are there");
    let first = String::from_utf8(seeds[0].clone()).unwrap();
    let local = LocalEnd {
        fingerprint: [7; 32],
        spare_fingerprint: [8; 32],
        candidates: vec!["127.0.0.1:4000".parse().unwrap()],
    };
    let role = Role {
        receive: true,
        send_stream: Some("stream"),
        audience: &[],
    };
    // All of them in one room.
    let decodable = |seed: &Vec<u8>| negotiate::decodable(&String::from_utf8_lossy(seed));
    let audience: Vec<_> = seeds.iter().map(decodable).collect();
    fuzz("sdp", seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let mut random = StdRng::seed_from_u64(1);
        let Ok(answered) = negotiate::answer(&text, &local, role, None, &mut random) else {
            return;
        };
        assert_eq!(
            answered.answer.matches("\r\nm=").count(),
            text.matches("\nm=").count(),
            "a section for each"
        );
        // Again, unchanged: nothing about the connection changes (RFC 8829 §5.3.2).
        let again = negotiate::answer(&text, &local, role, Some(&answered), &mut random).expect("the same offer again");
        assert_eq!(again.transport.local_ufrag, answered.transport.local_ufrag);
        assert_eq!(again.sections.len(), answered.sections.len());
        // Who is there changes what is answered first, and what is not accepted, but not the number of sections.
        let known = Role {
            audience: &audience,
            ..role
        };
        let known =
            negotiate::answer(&text, &local, known, Some(&answered), &mut random).expect("the same offer again");
        assert_eq!(known.sections.len(), answered.sections.len());
        assert_eq!(known.decodes, negotiate::decodable(&text));
        let _ = negotiate::answer(&first, &local, role, Some(&answered), &mut random);
    });
}
