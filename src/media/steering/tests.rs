//! Each rule, with the answers in kb/s.

use super::*;
use crate::media::virtual_time::epoch;

const CAMERA: TrackId = TrackId(1);
const SCREEN: TrackId = TrackId(2);
const KBIT: u64 = 1_000;

fn at(millis: u64) -> Instant {
    epoch() + Duration::from_millis(millis)
}

fn wish(height: u16, paths: &[u64]) -> Wish {
    let viewers = paths.iter().map(|path| Wish {
        height,
        viewers: 1,
        path: path.saturating_mul(KBIT),
    });
    Wish::of(viewers, &mut Vec::new())
}

/// Wish of so many viewers of whose paths nothing is known.
fn shown(height: u16) -> Wish {
    Wish {
        height,
        ..Wish::EVERYTHING
    }
}

fn encodings(heights: &[u16], live: &[bool]) -> SmallVec<[Encoding; MAX_LAYERS]> {
    let of = heights.iter().zip(live);
    let of = of.map(|(&height, &is_live)| Encoding {
        height: (height > 0).then_some(height),
        is_live,
    });
    of.collect()
}

/// A camera in three encodings of 180, 360 and 720 lines.
fn layered(wish: Wish, live: [bool; 3]) -> Published {
    Published {
        id: CAMERA,
        wish,
        encodings: encodings(&[180, 360, 720], &live),
        negotiated: 3,
    }
}

fn single(id: TrackId, wish: Wish) -> Published {
    Published {
        id,
        wish,
        encodings: encodings(&[720], &[true]),
        negotiated: 1,
    }
}

/// What is asked at last, if this is decided each 100 ms in between.
fn bound(steering: &mut Steering, millis: std::ops::Range<u64>, published: &[Published]) -> Option<u64> {
    for millis in millis.step_by(100) {
        steering.decide(at(millis), published, None, false);
    }
    steering.bound().map(|bound| bound / KBIT)
}

fn wanted(steering: &Steering) -> [bool; 3] {
    [0, 1, 2].map(|layer| steering.wanted(CAMERA).contains(layer))
}

#[test]
fn a_layer_that_nobody_wants_is_let_go_after_five_seconds_and_asked_for_at_once() {
    let mut steering = Steering::default();
    let low = [layered(shown(180), [true; 3])];
    assert_eq!(bound(&mut steering, 0..4_901, &low), None);
    assert_eq!(wanted(&steering), [true; 3]);
    assert_eq!(bound(&mut steering, 5_000..5_001, &low), Some(230));
    assert_eq!(wanted(&steering), [true, false, false]);
    let middle = [layered(shown(360), [true, false, false])];
    assert_eq!(bound(&mut steering, 5_100..5_101, &middle), Some(1_035));
    assert_eq!(wanted(&steering), [true, true, false]);
    let high = [layered(shown(361), [true, true, false])];
    assert_eq!(bound(&mut steering, 5_200..5_201, &high), None);
    assert_eq!(wanted(&steering), [true; 3]);
}

#[test]
fn whoever_looks_back_within_five_seconds_costs_no_change() {
    let mut steering = Steering::default();
    for second in 0..60 {
        let height = if second % 4 == 0 { 720 } else { 180 };
        let published = [layered(shown(height), [true; 3])];
        assert_eq!(
            bound(&mut steering, second * 1_000..second * 1_000 + 900, &published),
            None
        );
    }
}

#[test]
fn after_the_quiet_time_the_most_that_was_wanted_in_it_counts() {
    let mut steering = Steering::default();
    bound(&mut steering, 0..2_000, &[layered(shown(180), [true; 3])]);
    bound(&mut steering, 2_000..3_000, &[layered(shown(360), [true; 3])]);
    let low = [layered(shown(180), [true; 3])];
    assert_eq!(bound(&mut steering, 3_000..5_001, &low), Some(1_035));
    let low = [layered(shown(180), [true, true, false])];
    assert_eq!(bound(&mut steering, 5_100..7_901, &low), Some(1_035));
    assert_eq!(
        bound(&mut steering, 8_000..8_001, &low),
        Some(230),
        "five seconds after it"
    );
}

#[test]
fn a_tile_that_shrinks_in_steps_is_not_waited_for_longer() {
    let mut steering = Steering::default();
    for (step, height) in (0..30).zip((0..30).map(|step| 700 - 20 * step)) {
        bound(
            &mut steering,
            step * 100..step * 100 + 1,
            &[layered(shown(height), [true; 3])],
        );
    }
    let low = [layered(shown(100), [true; 3])];
    assert_eq!(bound(&mut steering, 3_000..7_901, &low), None);
    assert_eq!(bound(&mut steering, 8_000..8_001, &low), Some(230));
    let mut steering = Steering::default();
    bound(&mut steering, 0..1_000, &[layered(shown(500), [true; 3])]);
    assert_eq!(bound(&mut steering, 1_000..5_901, &low), None);
    assert_eq!(bound(&mut steering, 6_000..6_001, &low), Some(230));
}

#[test]
fn a_video_that_nobody_watches_is_held_to_fifty_kilobits_and_sound_has_its_own_rate() {
    let mut steering = Steering::default();
    let nobody = [layered(Wish::NOTHING, [true; 3]), single(SCREEN, Wish::NOTHING)];
    assert_eq!(bound(&mut steering, 0..5_001, &nobody), Some(100));
    assert_eq!(wanted(&steering), [false; 3]);
    steering.decide(at(5_100), &nobody, Some(32_000), false);
    assert_eq!(steering.bound(), Some(164_000));
    steering.decide(at(5_200), &nobody, Some(510_000), false);
    assert_eq!(steering.bound(), Some(610_000));
    // Somebody comes, whose path nobody knows.
    let somebody = [layered(Wish::NOTHING, [true; 3]), single(SCREEN, Wish::EVERYTHING)];
    steering.decide(at(5_300), &somebody, Some(32_000), false);
    assert_eq!(steering.bound(), None);
}

#[test]
fn sound_alone_is_never_bound() {
    let mut steering = Steering::default();
    for second in 0..20 {
        steering.decide(at(second * 1_000), &[], Some(32_000), false);
        assert_eq!(steering.bound(), None);
    }
    assert!(!steering.holds_back());
}

#[test]
fn one_encoding_follows_the_path_of_its_only_viewer() {
    let mut steering = Steering::default();
    let mut of = |millis, paths: &[u64]| {
        bound(
            &mut steering,
            millis..millis + 1,
            &[single(CAMERA, wish(Wish::ANY, paths))],
        )
    };
    assert_eq!(of(0, &[800]), Some(760));
    assert_eq!(of(100, &[50]), Some(100));
    assert_eq!(of(200, &[2_000]), Some(1_900));
    assert_eq!(of(300, &[Wish::UNKNOWN]), None);
}

#[test]
fn one_encoding_for_several_is_what_three_quarters_of_them_can_take() {
    let mut steering = Steering::default();
    let mut of = |millis, paths: &[u64]| {
        bound(
            &mut steering,
            millis..millis + 1,
            &[single(CAMERA, wish(Wish::ANY, paths))],
        )
    };
    assert_eq!(of(0, &[800, 3_000]), Some(800));
    assert_eq!(of(100, &[90, 100, 3_000]), Some(250));
    assert_eq!(of(200, &[100, 900, 3_000, 3_000, 3_000]), Some(900));
    // Those who tell nothing of their paths count as fast.
    assert_eq!(
        of(300, &[100, Wish::UNKNOWN, Wish::UNKNOWN, Wish::UNKNOWN, Wish::UNKNOWN]),
        None
    );
}

#[test]
fn one_encoding_with_spatial_layers_follows_no_path_since_each_viewer_gets_those_that_fit() {
    let scalable = |wish| {
        let encodings = encodings(&[180], &[true]);
        [Published {
            encodings,
            negotiated: 3,
            ..single(CAMERA, wish)
        }]
    };
    let mut steering = Steering::default();
    let paths = scalable(wish(720, &[300, 5_000]));
    assert_eq!(bound(&mut steering, 0..8_000, &paths), None);
    let small = scalable(shown(180));
    assert_eq!(
        bound(&mut steering, 8_000..14_000, &small),
        Some(230),
        "the smallest is enough"
    );
    assert_eq!(bound(&mut steering, 14_000..14_200, &scalable(shown(360))), None);
}

#[test]
fn one_encoding_keeps_its_rate_until_nobody_has_watched_for_five_seconds() {
    let mut steering = Steering::default();
    let watched = [single(CAMERA, wish(Wish::ANY, &[800]))];
    assert_eq!(bound(&mut steering, 0..3_000, &watched), Some(760));
    let unwatched = [single(CAMERA, Wish::NOTHING)];
    assert_eq!(bound(&mut steering, 3_000..7_901, &unwatched), Some(760));
    assert_eq!(bound(&mut steering, 8_000..8_001, &unwatched), Some(50));
    assert_eq!(bound(&mut steering, 8_100..8_101, &watched), Some(760));
}

#[test]
fn what_is_not_known_is_not_held_back() {
    let low = shown(180);
    let of = |heights: &[u16], negotiated| Published {
        encodings: encodings(heights, &[true; 4]),
        negotiated,
        ..layered(low, [true; 3])
    };
    let settled = |published: Published| bound(&mut Steering::default(), 0..6_000, &[published]);
    assert_eq!(settled(of(&[180, 0, 720], 3)), None, "a height is not known");
    assert_eq!(settled(of(&[], 3)), None);
    assert_eq!(settled(of(&[90], 3)), None, "a higher one may come");
    assert_eq!(settled(of(&[180], 3)), Some(230), "and is not needed");
    assert_eq!(settled(of(&[720, 180, 360, 90], 4)), Some(460), "in any order");
}

#[test]
fn encodings_that_come_all_the_same_get_less_room_and_those_that_are_missing_more() {
    let mut steering = Steering::default();
    let excess = [layered(shown(360), [true; 3])];
    assert_eq!(bound(&mut steering, 0..7_901, &excess), Some(1_035));
    assert_eq!(bound(&mut steering, 8_000..10_901, &excess), Some(873));
    let right = [layered(shown(360), [true, true, false])];
    assert_eq!(bound(&mut steering, 11_000..60_000, &right), Some(873));
    let lack = [layered(shown(360), [true, false, false])];
    assert_eq!(
        bound(&mut steering, 60_000..90_000, &lack),
        Some(873),
        "more was too much"
    );

    let mut steering = Steering::default();
    assert_eq!(bound(&mut steering, 0..7_901, &lack), Some(1_035));
    assert_eq!(bound(&mut steering, 8_000..10_901, &lack), Some(1_287));
    assert!(bound(&mut steering, 11_000..200_000, &lack) <= Some(3_600));
    let mut steering = Steering::default();
    assert_eq!(
        bound(&mut steering, 0..200_000, &excess),
        Some(450),
        "never less than half"
    );
}

#[test]
fn whoever_is_told_the_encodings_by_name_is_not_bound_but_in_one_encoding() {
    let mut steering = Steering::default();
    for millis in (0..6_000).step_by(100) {
        steering.decide(at(millis), &[layered(shown(180), [true; 3])], None, true);
    }
    assert_eq!((steering.bound(), wanted(&steering)), (None, [true, false, false]));
    assert!(steering.holds_back());
    let mut steering = Steering::default();
    steering.decide(at(0), &[single(CAMERA, wish(Wish::ANY, &[800]))], None, true);
    assert_eq!(steering.bound(), Some(760_000));
    for millis in (0..6_000).step_by(100) {
        steering.decide(at(millis), &[single(CAMERA, Wish::NOTHING)], None, true);
    }
    assert_eq!((steering.bound(), wanted(&steering)), (None, [false; 3]));
}

#[test]
fn estimates_go_out_in_their_turn_and_when_they_change_by_a_tenth() {
    let mut steering = Steering::default();
    let mut of = |millis, path, is_its_turn| {
        steering.decide(at(millis), &[single(CAMERA, wish(Wish::ANY, &[path]))], None, false);
        steering
            .estimate(at(millis), is_its_turn, 5_000_000)
            .map(|value| value / KBIT)
    };
    assert_eq!(of(0, 1_000, false), None, "the first goes with the first report");
    assert_eq!(of(0, 1_000, true), Some(950));
    assert_eq!(of(500, 900, false), None);
    assert_eq!(of(1_000, 900, true), Some(855));
    assert_eq!(of(1_099, 500, false), None, "not each few milliseconds");
    assert_eq!(of(1_100, 500, false), Some(475));
    assert_eq!(of(1_200, Wish::UNKNOWN, false), Some(5_000), "no bound of ours");
    assert_eq!(
        of(2_000, 9_000, true),
        Some(5_000),
        "never more than the way here carries"
    );
}

#[test]
fn layers_that_come_and_go_each_second_cost_nothing_that_grows() {
    let mut steering = Steering::default();
    for second in 0..1_000_u64 {
        let live = [second.is_multiple_of(2), second.is_multiple_of(3), true];
        let published: Vec<Published> = (0..second % 4)
            .map(|id| Published {
                id: TrackId(second * 4 + id),
                ..layered(shown(180), live)
            })
            .collect();
        let asked = bound(&mut steering, second * 1_000..second * 1_000 + 1_000, &published);
        assert!(asked.is_none(), "nothing was there for five seconds");
        assert_eq!(steering.videos.len(), published.len());
    }
}
