//! Patterns of temporal layers as senders have them, and what is sent of them.

use super::*;
use crate::media::virtual_time::epoch;

/// A picture: its layer, and whether it depends on the lowest layer alone.
type Picture = (u8, bool);

/// The pattern of three layers that browsers send: eight pictures, of which two open their layers.
const PATTERN: [Picture; 8] = [
    (0, false),
    (2, true),
    (1, true),
    (2, false),
    (0, false),
    (2, false),
    (1, false),
    (2, false),
];

fn mark((layer, is_open): Picture) -> FrameMark {
    FrameMark {
        temporal: layer,
        opens: if is_open { 1_u8.wrapping_shl(layer.into()) } else { 0 },
        ..FrameMark::default()
    }
}

/// The limit of a copy that has all spatial layers.
fn temporal(highest: u8) -> Limit {
    Limit {
        temporal: highest,
        ..Limit::NONE
    }
}

/// The pictures of the pattern that a copy has. `limits` says from which picture on it has a limit.
fn taken(pictures: u32, limits: &[(u32, u8)]) -> Vec<u32> {
    let mut filter = Filter::default();
    let takes = |at: &u32| {
        if let Some((_, limit)) = limits.iter().find(|(from, _)| from == at) {
            filter.limit(temporal(*limit));
        }
        let picture = mark(PATTERN[*at as usize % 8]);
        let takes = filter.takes(picture, at * 3_000, *at == 0);
        assert_eq!(filter.takes(picture, at * 3_000, false), takes, "its other packets");
        takes
    };
    (0..pictures).filter(takes).collect()
}

#[test]
fn a_lower_limit_counts_from_the_next_picture_on() {
    assert_eq!(taken(8, &[(3, 1)]), [0, 1, 2, 4, 6]);
    assert_eq!(taken(8, &[(3, 0)]), [0, 1, 2, 4]);
}

#[test]
fn a_layer_comes_back_where_it_is_opened_and_not_before() {
    // The next pictures that open their layers are 9 and 10.
    assert_eq!(taken(13, &[(0, 0), (4, WHOLE)]), [0, 4, 8, 9, 10, 11, 12]);
    assert_eq!(taken(13, &[(0, 0), (4, 1)]), [0, 4, 8, 10, 12]);
    assert_eq!(taken(13, &[(0, 1), (4, WHOLE)]), [0, 2, 4, 6, 8, 9, 10, 11, 12]);
    // 10 opens the second layer, but not the third.
    assert_eq!(taken(20, &[(0, 0), (10, WHOLE)]), [0, 4, 8, 10, 12, 14, 16, 17, 18, 19]);
}

#[test]
fn a_limit_that_falls_within_a_picture_leaves_it_whole() {
    let mut filter = Filter::default();
    assert!(filter.takes(mark((2, false)), 7, false));
    filter.limit(temporal(0));
    assert!(filter.takes(mark((2, false)), 7, false));
    assert!(!filter.takes(mark((2, false)), 8, false));
}

#[test]
fn a_key_frame_opens_all() {
    let mut filter = Filter::default();
    filter.limit(temporal(0));
    assert!(!filter.takes(mark((1, false)), 1, false));
    filter.limit(temporal(WHOLE));
    assert!(filter.waits());
    assert!(!filter.takes(mark((1, false)), 2, false));
    assert!(filter.takes(mark((0, false)), 3, true));
    assert!(!filter.waits());
    assert!(filter.takes(mark((1, false)), 4, false));
}

#[test]
fn nobody_waits_for_a_layer_that_is_not_wanted() {
    let mut filter = Filter::default();
    filter.limit(temporal(1));
    assert!(!filter.takes(mark((2, false)), 1, false));
    assert!(!filter.waits());
}

/// Sends the pattern for so many pictures, 33 ms apart, and returns the parts.
fn parts(shares: &mut Shares, from: u64, pictures: u64, sizes: [usize; 3]) -> Vec<(u8, u64)> {
    let mut now = epoch();
    for at in from..from + pictures {
        now = epoch() + Duration::from_millis(33 * at);
        let picture = PATTERN[at as usize % 8];
        shares.received(now, mark(picture), sizes[usize::from(picture.0)]);
    }
    shares
        .parts(now)
        .map(|part| (part.limit.temporal, part.share.of(100)))
        .collect()
}

#[test]
fn each_layer_has_its_share_of_the_rate() {
    let mut shares = Shares::default();
    let got = parts(&mut shares, 0, 120, [1_600, 800, 800]);
    assert_eq!(got, [(0, 40), (1, 60), (WHOLE, 100)]);
    assert!(shares.has_openings);
    let got = parts(&mut shares, 120, 160, [3_000, 500, 250]);
    assert!(matches!(got[..], [(0, 74..=75), (1, 87), (WHOLE, 100)]), "{got:?}");
}

#[test]
fn a_stream_of_one_layer_has_one_part_and_so_has_one_that_is_not_measured() {
    let whole = [(WHOLE, 100)];
    let of = |shares: &Shares, now| {
        let parts = shares.parts(now);
        parts
            .map(|part| (part.limit.temporal, part.share.of(100)))
            .collect::<Vec<_>>()
    };
    let mut shares = Shares::default();
    assert_eq!(of(&shares, epoch()), whole);
    shares.received(epoch(), mark((0, false)), 100);
    assert_eq!(of(&shares, epoch()), whole);
    shares.received(epoch(), mark((9, true)), 100);
    assert_eq!(of(&shares, epoch()), whole, "no such layer");
    shares.received(epoch(), mark((1, true)), 100);
    assert_eq!(of(&shares, epoch()), [(0, 50), (WHOLE, 100)]);
    assert_eq!(of(&shares, epoch() + Duration::from_secs(4)), whole, "it has stopped");
}

#[test]
fn what_was_long_ago_says_nothing() {
    let mut shares = Shares::default();
    parts(&mut shares, 0, 60, [100, 100, 100]);
    let later = epoch() + Duration::from_secs(60);
    shares.received(later, mark((0, false)), 100);
    assert_eq!(shares.parts(later).count(), 1);
}

/// A frame of a picture: its spatial layer, whether it depends on earlier pictures, and on the frame below.
fn frame(spatial: u8, is_predicted: bool, uses_lower: bool) -> FrameMark {
    FrameMark {
        spatial,
        is_predicted,
        uses_lower,
        ends: true,
        ..FrameMark::default()
    }
}

/// How pictures of three spatial layers depend on one another: in full SVC on those below each time, in K-SVC in key pictures alone.
#[derive(Clone, Copy)]
struct Mode {
    uses_lower: bool,
}

/// Sends a picture, and returns the spatial layers that a copy has of it, and at which it ends.
fn picture(filter: &mut Filter, at: u32, mode: Mode, is_key: bool) -> (Vec<u8>, Option<u8>) {
    let frames = (0..3).map(|spatial| frame(spatial, !is_key, spatial > 0 && (is_key || mode.uses_lower)));
    let taken = frames.filter(|&frame| filter.takes(frame, at * 3_000, is_key && frame.spatial == 0));
    let taken = taken.map(|frame| frame.spatial).collect();
    (taken, filter.top())
}

fn spatial(highest: u8) -> Limit {
    Limit {
        spatial: highest,
        ..Limit::NONE
    }
}

const FULL: Mode = Mode { uses_lower: true };
const KEY_ONLY: Mode = Mode { uses_lower: false };

#[test]
fn smaller_pictures_begin_at_once_and_larger_ones_with_a_key_frame() {
    for mode in [FULL, KEY_ONLY] {
        let mut filter = Filter::default();
        assert_eq!(picture(&mut filter, 0, mode, true), (vec![0, 1, 2], None));
        filter.limit(spatial(1));
        assert_eq!(picture(&mut filter, 1, mode, false), (vec![0, 1], Some(1)));
        filter.limit(spatial(0));
        assert_eq!(picture(&mut filter, 2, mode, false), (vec![0], Some(0)));
        assert!(!filter.waits());
        filter.limit(Limit::NONE);
        assert!(filter.waits() && filter.waits_for_size());
        assert_eq!(picture(&mut filter, 3, mode, false), (vec![0], Some(0)));
        assert_eq!(picture(&mut filter, 4, mode, true), (vec![0, 1, 2], None));
        assert!(!filter.waits());
    }
}

#[test]
fn a_limit_that_changes_within_a_picture_counts_from_the_next_one_on() {
    let mut filter = Filter::default();
    assert!(filter.takes(frame(0, true, false), 1, false));
    filter.limit(spatial(0));
    assert!(
        filter.takes(frame(1, true, true), 1, false),
        "or the picture would never end"
    );
    assert!(!filter.takes(frame(1, true, true), 2, false));
    assert!(filter.takes(frame(0, false, false), 3, true));
    filter.limit(Limit::NONE);
    assert!(!filter.takes(frame(1, false, true), 3, false), "it ended before");
}

#[test]
fn a_spatial_layer_begins_at_a_frame_that_depends_on_the_one_below_alone() {
    let mut filter = Filter::default();
    filter.limit(spatial(0));
    picture(&mut filter, 1, FULL, false);
    filter.limit(spatial(1));
    assert!(filter.takes(frame(0, true, false), 2, false));
    assert!(filter.takes(frame(1, false, true), 2, false));
    assert_eq!(filter.top(), Some(1));
    assert!(!filter.takes(frame(2, false, true), 2, false), "more than the limit");
    assert_eq!(picture(&mut filter, 3, FULL, false), (vec![0, 1], Some(1)));
    // The third depends on a frame that was left out.
    filter.limit(Limit::NONE);
    assert_eq!(picture(&mut filter, 4, FULL, false), (vec![0, 1], Some(1)));
}

#[test]
fn a_layer_that_stops_and_goes_on_is_not_closed_by_that() {
    let mut filter = Filter::default();
    picture(&mut filter, 0, KEY_ONLY, true);
    for at in 1..10 {
        assert!(filter.takes(frame(0, true, false), at, false));
    }
    assert!(filter.takes(frame(0, true, false), 10, false) && filter.takes(frame(1, false, true), 10, false));
    assert_eq!(filter.top(), None);
}

#[test]
fn pictures_of_higher_temporal_layers_are_left_out_with_all_their_frames_and_close_no_size() {
    let mut filter = Filter::default();
    filter.limit(Limit {
        spatial: 1,
        temporal: 0,
    });
    for at in 0..8_u32 {
        let of = |spatial| FrameMark {
            temporal: at as u8 % 2,
            ..frame(spatial, at > 0, spatial > 0)
        };
        let takes = (0..3)
            .map(|spatial| filter.takes(of(spatial), at, at == 0))
            .collect::<Vec<_>>();
        assert_eq!(takes, [at % 2 == 0, at % 2 == 0, false]);
    }
    assert!(!filter.waits());
}

#[test]
fn a_frame_whose_lower_one_is_still_to_come_is_taken() {
    let mut filter = Filter::default();
    assert!(filter.takes(frame(1, true, true), 1, false));
    assert!(filter.takes(frame(2, true, true), 1, false));
}

#[test]
fn marks_without_sense_are_followed_without_harm() {
    let mut filter = Filter::default();
    for at in 0..2_000_u32 {
        let wild = at.wrapping_mul(2_654_435_761);
        let mark = FrameMark {
            temporal: (wild >> 3) as u8 & 7,
            opens: (wild >> 8) as u8,
            spatial: (wild >> 16) as u8 & 7,
            is_predicted: wild & 1 << 20 != 0,
            uses_lower: wild & 1 << 21 != 0,
            ends: true,
        };
        filter.limit(Limit {
            spatial: (wild >> 24) as u8 & 3,
            temporal: WHOLE,
        });
        let takes = filter.takes(mark, at / 3, wild & 1 << 30 != 0);
        assert!(!takes || filter.top().is_none_or(|top| mark.spatial <= top), "{at}");
    }
}

/// The parts of a stream: the spatial and the temporal limit, the share in hundredths, and the highest spatial layer of each.
fn grid(shares: &Shares, now: Instant) -> Vec<(u8, u8, u64, u8)> {
    let parts = shares.parts(now);
    parts
        .map(|part| {
            (
                part.limit.spatial,
                part.limit.temporal,
                part.share.of(100),
                part.highest,
            )
        })
        .collect()
}

#[test]
fn each_spatial_layer_has_its_share_of_the_rate_with_those_below() {
    let mut shares = Shares::default();
    for at in 0..90_u64 {
        for (spatial, bytes) in [(0, 100), (1, 300), (2, 600)] {
            let mark = FrameMark {
                temporal: (at % 2) as u8,
                ..frame(spatial, true, false)
            };
            shares.received(epoch() + Duration::from_millis(33 * at), mark, bytes);
        }
    }
    let now = epoch() + Duration::from_secs(3);
    let expected = [
        (0, 0, 5, 0),
        (0, WHOLE, 10, 0),
        (1, 0, 20, 1),
        (1, WHOLE, 40, 1),
        (WHOLE, 0, 50, 2),
        (WHOLE, WHOLE, 100, 2),
    ];
    assert_eq!(grid(&shares, now), expected);
    assert!(
        shares
            .parts(now)
            .all(|part| part.since == (part.highest > 0).then_some(epoch()))
    );
}

#[test]
fn a_spatial_layer_that_begins_again_is_new() {
    let mut shares = Shares::default();
    let at = |millis| epoch() + Duration::from_millis(millis);
    let top = |shares: &Shares, now| shares.parts(now).last().unwrap();
    for millis in (0..12_000).step_by(100) {
        shares.received(at(millis), frame(0, true, false), 100);
        if !(2_000..8_050).contains(&millis) {
            shares.received(at(millis), frame(9, true, false), 100);
        }
    }
    let top = top(&shares, at(12_000));
    assert_eq!(
        (top.highest, top.since),
        (3, Some(at(8_100))),
        "what is above counts as the highest"
    );
    assert_eq!(grid(&Shares::default(), at(0)), [(WHOLE, WHOLE, 100, 0)]);
}
