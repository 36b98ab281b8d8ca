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

fn mark((layer, is_open): Picture) -> Temporal {
    Temporal {
        layer,
        opens: if is_open { 1_u8.wrapping_shl(layer.into()) } else { 0 },
    }
}

/// The pictures of the pattern that a copy has. `limits` says from which picture on it has a limit.
fn taken(pictures: u32, limits: &[(u32, u8)]) -> Vec<u32> {
    let mut filter = Filter::default();
    let takes = |at: &u32| {
        if let Some((_, limit)) = limits.iter().find(|(from, _)| from == at) {
            filter.limit(*limit);
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
    filter.limit(0);
    assert!(filter.takes(mark((2, false)), 7, false));
    assert!(!filter.takes(mark((2, false)), 8, false));
}

#[test]
fn a_key_frame_opens_all() {
    let mut filter = Filter::default();
    filter.limit(0);
    assert!(!filter.takes(mark((1, false)), 1, false));
    filter.limit(WHOLE);
    assert!(filter.waits());
    assert!(!filter.takes(mark((1, false)), 2, false));
    assert!(filter.takes(mark((0, false)), 3, true));
    assert!(!filter.waits());
    assert!(filter.takes(mark((1, false)), 4, false));
}

#[test]
fn nobody_waits_for_a_layer_that_is_not_wanted() {
    let mut filter = Filter::default();
    filter.limit(1);
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
    shares.parts(now).map(|(layer, share)| (layer, share.of(100))).collect()
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
        parts.map(|(layer, share)| (layer, share.of(100))).collect::<Vec<_>>()
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
