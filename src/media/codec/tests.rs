//! Tests across the codecs: no payload breaks a parser.

use proptest::prelude::*;

use super::*;

const VIDEO: [Codec; 5] = [
    Codec::Vp8,
    Codec::Vp9 { profile: 0 },
    Codec::H264 {
        profile: h264::Profile::ConstrainedBaseline,
        packetization_mode: 1,
    },
    Codec::H265 { profile: 1, tier: 0 },
    Codec::Av1 { profile: 0, tier: 0 },
];

#[test]
fn every_audio_packet_is_a_start() {
    for codec in [Codec::Opus, Codec::Red, Codec::Pcmu, Codec::Pcma] {
        assert_eq!(codec.read(&[]).0, Start::Picture);
    }
}

#[test]
fn no_payload_of_up_to_two_bytes_panics() {
    for codec in VIDEO {
        assert_eq!(codec.read(&[]).0, Start::None);
        for first in 0..=255 {
            codec.read(&[first]);
            red::primary(&[first]);
            for second in 0..=255 {
                codec.read(&[first, second]);
                red::primary(&[first, second]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_payloads_never_panic(
        mut payload in prop::collection::vec(any::<u8>(), 0..64),
        // Bytes that lead into the longer branches of each parser.
        first in prop::sample::select(vec![0x90u8, 0xaa, 0x0a, 0x78, 0x7c, 0x60, 0x62, 0x08, 0x00, 0x20, 0xef]),
    ) {
        for hinted in [false, true] {
            if hinted && !payload.is_empty() {
                payload[0] = first;
            }
            for codec in VIDEO {
                let (_, vp8) = codec.read(&payload);
                codec.mark(&payload, vp8.as_ref());
            }
            vp9::heights(&payload);
            if let Some((payload_type, block)) = red::primary(&payload) {
                prop_assert!(payload_type < 128);
                prop_assert!(!payload[block].is_empty());
            }
            if let Some(descriptor) = vp8::parse(&payload) {
                prop_assert!(descriptor.len <= payload.len());
                let mut rewritten = payload.clone();
                let new = vp8::Continuous { picture_id: 0x7ace, tl0_pic_idx: 0x5a, key_index: 0x15 };
                vp8::rewrite(&mut rewritten, &descriptor, &new);
                let mut after = vp8::parse(&rewritten).unwrap();
                prop_assert_eq!(rewritten.get(descriptor.len..), payload.get(descriptor.len..));
                if let (Some(new), Some(old)) = (&mut after.picture_id, descriptor.picture_id) {
                    prop_assert_eq!(new.value, if old.long { 0x7ace } else { 0x4e });
                    new.value = old.value;
                }
                if let (Some(new), Some(old)) = (&mut after.tl0_pic_idx, descriptor.tl0_pic_idx) {
                    prop_assert_eq!(new.1, 0x5a);
                    new.1 = old.1;
                }
                if let (Some(new), Some(old)) = (&mut after.key_index, descriptor.key_index) {
                    prop_assert_eq!(new.1, 0x15);
                    new.1 = old.1;
                }
                prop_assert_eq!(after, descriptor);
            }
        }
    }
}
