//! The table of decoders: which decoder decodes which format, for every codec with profiles.
//!
//! | a decoder of | decodes what is published as | source |
//! |---|---|---|
//! | VP8, Opus, PCMU, PCMA | the same | |
//! | RED | RED; a decoder of Opus gets the Opus out of it ([`best`]) | RFC 2198 |
//! | VP9 profile *p* | profile *p* and no other: they differ in bit depth and in colour sampling | RFC 9628 §6 |
//! | H264 Constrained Baseline | Constrained Baseline | ITU-T H.264 §A.2 |
//! | H264 Baseline | Baseline, Constrained Baseline | |
//! | H264 Main | Main, Constrained Baseline | |
//! | H264 Constrained High | Constrained High, Constrained Baseline | |
//! | H264 High | High, Main, Constrained High, Constrained Baseline | |
//! | H264 High 4:4:4 Predictive | all of High, and itself | |
//! | any of H264 | Baseline, **in practice** | see below |
//! | H264 packetization mode 1 | modes 0 and 1; a decoder of mode 0 takes mode 0 only | RFC 6184 §6.2 |
//! | H265 Main, Main 10 | Main 10 decodes Main also | ITU-T H.265 §A.3.3 |
//! | H265 high tier | both tiers | ITU-T H.265 §A.4.1 |
//! | AV1 Main, High, Professional | each decodes those before it | AV1 §A.2 |
//! | AV1 high tier | both tiers | AV1 §A.3 |
//!
//! **Baseline.** In RFC 6184 §8.1, table 5, `profile-level-id` 42001f is Baseline and 42e01f is Constrained Baseline. The
//! difference is constraint_set1_flag, with which the sender promises not to use flexible macroblock order, arbitrary slice
//! order, and redundant slices. No encoder for real time has these tools. Chromium lists 42001f first, and its encoder keeps
//! the promise of 42e01f. So all H264 decoders decode Baseline, but only in practice: a format that can surely be decoded is
//! better where there is one.
//!
//! **Levels** are not compared. A level bounds the size and rate of pictures, not their syntax. A sender's level is the most
//! that it may send (RFC 6184 §8.2.2, `level-asymmetry-allowed`), and a receiver's is mostly a habit (3.1).

use super::{Codec, h264};

/// The fit of a decoder to a published format. The smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// A fit that the standards promise. 0 where both are the same.
    Surely(u8),
    /// A fit that the standards do not promise, but that holds for all senders.
    InPractice(u8),
}

/// The formats that every WebRTC end can decode: RFC 7742 §5 and §6.2 (packetization mode 1), RFC 7874 §3.
pub(crate) const EVERYBODY: [Codec; 5] = [
    Codec::Vp8,
    Codec::H264 {
        profile: h264::Profile::ConstrainedBaseline,
        packetization_mode: 1,
    },
    Codec::Opus,
    Codec::Pcmu,
    Codec::Pcma,
];

/// The best fit of these `decoders` to a published format; `None` if none decodes it.
pub(crate) fn best(decoders: impl IntoIterator<Item = Codec>, published: Codec) -> Option<Fit> {
    let fit = |decoder: Codec| match (decoder, published) {
        // The worker takes RED apart where it arrives (RFC 2198 §3).
        (Codec::Opus, Codec::Red) => Some(Fit::Surely(1)),
        _ => decoder.decodes(published),
    };
    decoders.into_iter().filter_map(fit).min()
}

impl Codec {
    /// The fit of a decoder of `self` to packets published as `published`, byte for byte; `None` if it cannot decode them.
    pub fn decodes(self, published: Codec) -> Option<Fit> {
        match (self, published) {
            (
                Codec::H264 {
                    profile,
                    packetization_mode: mode,
                },
                Codec::H264 {
                    profile: sent_profile,
                    packetization_mode: sent_mode,
                },
            ) => {
                let other_mode = mode.checked_sub(sent_mode)?;
                Some(match h264_profile(profile, sent_profile)? {
                    Fit::Surely(rank) => Fit::Surely(rank * 2 + other_mode),
                    Fit::InPractice(rank) => Fit::InPractice(rank * 2 + other_mode),
                })
            }
            (
                Codec::H265 { profile, tier },
                Codec::H265 {
                    profile: sent_profile,
                    tier: sent_tier,
                },
            ) => {
                let other_tier = tier.checked_sub(sent_tier)?;
                let other_profile = match (profile, sent_profile) {
                    (2, 1) => 1,
                    (ours, theirs) if ours == theirs => 0,
                    _ => return None,
                };
                Some(Fit::Surely(other_profile * 2 + other_tier))
            }
            (
                Codec::Av1 { profile, tier },
                Codec::Av1 {
                    profile: sent_profile,
                    tier: sent_tier,
                },
            ) => {
                let (profiles, tiers) = (profile.checked_sub(sent_profile)?, tier.checked_sub(sent_tier)?);
                Some(Fit::Surely(profiles * 2 + tiers))
            }
            (decoder, published) => (decoder == published).then_some(Fit::Surely(0)),
        }
    }
}

fn h264_profile(decoder: h264::Profile, published: h264::Profile) -> Option<Fit> {
    use h264::Profile::*;
    if decoder == published {
        return Some(Fit::Surely(0));
    }
    match (decoder, published) {
        (ConstrainedBaseline, Baseline) => Some(Fit::InPractice(0)),
        (_, Baseline) => Some(Fit::InPractice(1)),
        (Baseline | Main | ConstrainedHigh, ConstrainedBaseline) => Some(Fit::Surely(1)),
        (High, ConstrainedBaseline | Main | ConstrainedHigh) => Some(Fit::Surely(1)),
        (PredictiveHigh444, ConstrainedBaseline | Main | ConstrainedHigh | High) => Some(Fit::Surely(1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h264::Profile::*;

    const PROFILES: [h264::Profile; 6] = [
        ConstrainedBaseline,
        Baseline,
        Main,
        ConstrainedHigh,
        High,
        PredictiveHigh444,
    ];

    fn h264(profile: h264::Profile, packetization_mode: u8) -> Codec {
        Codec::H264 {
            profile,
            packetization_mode,
        }
    }

    fn vp9(profile: u8) -> Codec {
        Codec::Vp9 { profile }
    }

    fn h265(profile: u8, tier: u8) -> Codec {
        Codec::H265 { profile, tier }
    }

    fn av1(profile: u8, tier: u8) -> Codec {
        Codec::Av1 { profile, tier }
    }

    fn decodes(decoder: Codec, published: Codec) -> bool {
        decoder.decodes(published).is_some()
    }

    #[test]
    fn each_codec_decodes_itself_best_and_no_other() {
        let all = [
            Codec::Opus,
            Codec::Red,
            Codec::Pcmu,
            Codec::Pcma,
            Codec::Vp8,
            vp9(0),
            h264(ConstrainedBaseline, 1),
            h265(1, 0),
            av1(0, 0),
        ];
        for a in all {
            for b in all {
                let expected = (a == b).then_some(Fit::Surely(0));
                assert_eq!(a.decodes(b), expected, "{a:?} decodes {b:?}");
            }
        }
    }

    #[test]
    fn a_decoder_of_h264_surely_takes_the_profiles_within_its_own() {
        let within = |decoder: h264::Profile| {
            let surely = |profile: &h264::Profile| h264_profile(decoder, *profile) == Some(Fit::Surely(1));
            PROFILES.into_iter().filter(surely).collect::<Vec<_>>()
        };
        assert_eq!(within(ConstrainedBaseline), []);
        assert_eq!(within(Baseline), [ConstrainedBaseline]);
        assert_eq!(within(Main), [ConstrainedBaseline]);
        assert_eq!(within(ConstrainedHigh), [ConstrainedBaseline]);
        assert_eq!(within(High), [ConstrainedBaseline, Main, ConstrainedHigh]);
        assert_eq!(
            within(PredictiveHigh444),
            [ConstrainedBaseline, Main, ConstrainedHigh, High]
        );
    }

    #[test]
    fn what_is_called_baseline_is_decoded_by_all_of_h264_in_practice_and_by_constrained_baseline_best() {
        for decoder in PROFILES.into_iter().filter(|profile| *profile != Baseline) {
            let fit = h264(decoder, 1).decodes(h264(Baseline, 1));
            let expected = if decoder == ConstrainedBaseline { 0 } else { 2 };
            assert_eq!(fit, Some(Fit::InPractice(expected)), "{decoder:?}");
            assert!(fit > Some(Fit::Surely(u8::MAX)));
        }
        assert_eq!(h264(Baseline, 1).decodes(h264(Baseline, 1)), Some(Fit::Surely(0)));
    }

    #[test]
    fn higher_profiles_of_h264_are_not_decoded_by_lower_ones() {
        for (decoder, published) in [
            (ConstrainedBaseline, Main),
            (ConstrainedBaseline, ConstrainedHigh),
            (Baseline, High),
            (Main, High),
            (ConstrainedHigh, High),
            (ConstrainedHigh, Main),
            (High, PredictiveHigh444),
        ] {
            assert_eq!(
                h264(decoder, 1).decodes(h264(published, 1)),
                None,
                "{decoder:?} {published:?}"
            );
        }
    }

    #[test]
    fn a_single_unit_mode_receiver_is_not_sent_aggregates() {
        for profile in PROFILES {
            assert_eq!(h264(profile, 0).decodes(h264(profile, 1)), None);
            assert_eq!(h264(profile, 1).decodes(h264(profile, 0)), Some(Fit::Surely(1)));
        }
        assert_eq!(h264(ConstrainedBaseline, 0).decodes(h264(Baseline, 1)), None);
        let published = h264(ConstrainedBaseline, 0);
        let mut offered = [
            h264(High, 0),
            h264(High, 1),
            h264(ConstrainedBaseline, 1),
            h264(ConstrainedBaseline, 0),
        ];
        offered.sort_by_key(|codec| codec.decodes(published));
        assert_eq!(
            offered,
            [
                h264(ConstrainedBaseline, 0),
                h264(ConstrainedBaseline, 1),
                h264(High, 0),
                h264(High, 1)
            ]
        );
    }

    #[test]
    fn vp9_profiles_are_not_contained_in_one_another() {
        for decoder in 0..=3 {
            for published in 0..=3 {
                assert_eq!(decodes(vp9(decoder), vp9(published)), decoder == published);
            }
        }
    }

    #[test]
    fn av1_and_h265_contain_lower_profiles_and_tiers() {
        let table = [
            (av1(0, 0), av1(1, 0), false),
            (av1(0, 0), av1(0, 1), false),
            (av1(0, 1), av1(0, 0), true),
            (av1(1, 0), av1(0, 0), true),
            (av1(2, 0), av1(0, 0), true),
            (av1(2, 0), av1(1, 1), false),
            (h265(2, 0), h265(1, 0), true),
            (h265(1, 1), h265(1, 0), true),
            (h265(1, 0), h265(1, 1), false),
            (h265(1, 0), h265(2, 0), false),
            (h265(2, 0), h265(1, 1), false),
            (h265(2, 1), h265(1, 0), true),
            (h265(3, 0), h265(1, 0), false),
        ];
        for (decoder, published, expected) in table {
            assert_eq!(decodes(decoder, published), expected, "{decoder:?} {published:?}");
        }
        let mut offered = [h265(2, 1), h265(2, 0), h265(1, 1), h265(1, 0)];
        offered.sort_by_key(|codec| codec.decodes(h265(1, 0)));
        assert_eq!(offered, [h265(1, 0), h265(1, 1), h265(2, 0), h265(2, 1)]);
    }

    #[test]
    fn red_serves_whoever_decodes_opus_but_not_byte_for_byte() {
        assert_eq!(Codec::Opus.decodes(Codec::Red), None);
        assert_eq!(best([Codec::Pcmu, Codec::Opus], Codec::Red), Some(Fit::Surely(1)));
        assert_eq!(best([Codec::Opus, Codec::Red], Codec::Red), Some(Fit::Surely(0)));
        assert_eq!(best([Codec::Pcmu], Codec::Red), None);
        assert_eq!(best([], Codec::Opus), None);
    }

    #[test]
    fn everybody_decodes_both_packetization_modes_and_what_is_called_baseline() {
        let fit = |codec| best(EVERYBODY, codec);
        assert_eq!(fit(Codec::Vp8), Some(Fit::Surely(0)));
        assert_eq!(fit(h264(ConstrainedBaseline, 1)), Some(Fit::Surely(0)));
        assert_eq!(fit(h264(ConstrainedBaseline, 0)), Some(Fit::Surely(1)));
        assert!(matches!(fit(h264(Baseline, 1)), Some(Fit::InPractice(_))));
        for unsure in [h264(High, 1), h264(Main, 1), vp9(0), av1(0, 0), h265(1, 0)] {
            assert_eq!(fit(unsure), None, "{unsure:?}");
        }
        assert!(fit(Codec::Red).is_some());
    }
}
