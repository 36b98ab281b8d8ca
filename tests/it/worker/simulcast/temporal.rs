//! Where the lowest layer does not fit, fewer of its pictures are sent: at once, without a key frame, and so that a decoder misses
//! nothing.

use super::*;

fn studio() -> Studio {
    studio_that(true)
}

fn studio_that(tells_openings: bool) -> Studio {
    let mut studio = Studio::new(1);
    studio.is_temporal = true;
    studio.tells_openings = tells_openings;
    studio.path(0, 5_000, 5_000);
    studio.run(Duration::from_secs(5));
    assert_eq!(studio.viewers[0].shown.last().unwrap().layer, 2);
    studio
}

/// Runs for a second, and returns how many pictures were shown in it.
fn pictures_of_a_second(studio: &mut Studio) -> usize {
    let before = studio.viewers[0].shown.len();
    studio.run(Duration::from_secs(1));
    studio.viewers[0].shown.len() - before
}

/// The temporal layer, the key index, and TL0PICIDX of a picture.
fn marks(picture: &viewer::Picture) -> (u8, u8, u8) {
    let (tl0, mark) = picture.temporal.unwrap();
    (mark >> 6, mark & 0x1f, tl0)
}

/// A decoder finds its way by these numbers: they have no holes, whatever was left out.
fn assert_continuous(viewer: &Viewer) {
    for (one, next) in viewer.shown.iter().zip(&viewer.shown[1..]) {
        let step = next.picture_id.wrapping_sub(one.picture_id) & 0x7fff;
        // A torn picture has an id, too.
        assert!(step == 1 || (step == 2 && next.is_key), "{one:?} {next:?}");
        let ((_, key, tl0), (temporal, next_key, next_tl0)) = (marks(one), marks(next));
        assert_eq!(next_key, (key + u8::from(next.is_key)) & 0x1f, "{one:?} {next:?}");
        let step = next_tl0.wrapping_sub(tl0);
        let torn = u8::from(next.is_key);
        assert!(
            (u8::from(temporal == 0)..=u8::from(temporal == 0) + torn).contains(&step),
            "{one:?} {next:?}"
        );
        assert!(
            next.timestamp.wrapping_sub(one.timestamp) as i32 > 0,
            "{one:?} {next:?}"
        );
    }
}

#[test]
fn a_path_too_narrow_for_the_lowest_layer_gets_fewer_pictures_of_it_and_nobody_is_asked_for_anything() {
    let mut studio = studio();
    studio.path(0, 180, 0);
    studio.run(Duration::from_secs(2));
    assert!((28..=31).contains(&pictures_of_a_second(&mut studio)));
    let requests = studio.requests;
    for (target, expected) in [(100, 14..=16), (50, 7..=8), (82, 7..=8)] {
        let bytes = studio.viewers[0].bytes;
        studio.path(0, target, 0);
        let pictures = pictures_of_a_second(&mut studio);
        assert!(expected.contains(&pictures), "{pictures} pictures at {target} kb/s");
        let kbps = (studio.viewers[0].bytes - bytes) * 8 / 1_000;
        assert!(kbps <= target, "{kbps} kb/s at {target}");
    }
    studio.path(0, 300, 0);
    studio.run(Duration::from_secs(1));
    let pictures = pictures_of_a_second(&mut studio);
    assert!((28..=31).contains(&pictures), "all pictures come back: {pictures}");
    assert_eq!(studio.requests, requests, "no key frame was needed");
    let viewer = &studio.viewers[0];
    assert_eq!(
        (viewer.undecodable, viewer.given_up.len(), viewer.torn <= 1),
        (0, 0, true)
    );
    assert_continuous(viewer);
    assert_agrees(&studio.worker);
}

/// Draws numbers below a hundred.
fn dice(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 100
    }
}

fn over_all_widths(studio: &mut Studio) {
    for target in [100, 5_000, 50, 180, 100, 700, 400, 60, 5_000] {
        studio.path(0, target, 5_000);
        studio.run(Duration::from_millis(if target == 5_000 { 4_500 } else { 1_500 }));
    }
}

#[test]
fn loss_on_the_way_to_the_viewer_is_mended_whatever_is_left_out() {
    for seed in 1..=4 {
        let mut studio = studio();
        let mut dice = dice(seed);
        studio.viewers[0].fate = Box::new(move |_| match dice() {
            0..5 => Fate::IsLost,
            5..15 => Fate::IsLate(1 + dice() % 4),
            _ => Fate::Comes,
        });
        over_all_widths(&mut studio);
        assert_mended(&studio.viewers[0], seed);
    }
}

#[test]
fn packets_that_come_late_to_the_worker_find_their_places_whatever_is_left_out() {
    for seed in 1..=4 {
        let mut studio = studio();
        let mut dice = dice(seed);
        studio.upstream = Box::new(move |_| match dice() {
            0..8 => 1 + dice() % 9,
            _ => 0,
        });
        over_all_widths(&mut studio);
        assert_mended(&studio.viewers[0], seed);
    }
}

#[test]
fn packets_that_are_late_and_then_lost_are_mended_too() {
    for seed in 1..=4 {
        let mut studio = studio();
        let (mut upstream, mut downstream) = (dice(seed), dice(seed + 100));
        studio.upstream = Box::new(move |_| if upstream() < 10 { 1 + upstream() % 9 } else { 0 });
        studio.viewers[0].fate = Box::new(move |_| if downstream() < 15 { Fate::IsLost } else { Fate::Comes });
        over_all_widths(&mut studio);
        studio.path(0, 400, 0);
        studio.run(Duration::from_secs(20));
        assert_mended(&studio.viewers[0], seed);
    }
}

#[test]
fn a_sender_that_never_tells_where_its_layers_open_is_asked_for_a_key_frame() {
    let mut studio = studio_that(false);
    studio.path(0, 50, 0);
    studio.run(Duration::from_secs(8));
    assert!(pictures_of_a_second(&mut studio) <= 8);
    let requests = studio.requests;
    studio.path(0, 300, 0);
    studio.run(Duration::from_secs(1));
    assert!((28..=31).contains(&pictures_of_a_second(&mut studio)));
    assert_eq!(studio.requests, requests + 1);
    assert_eq!(studio.viewers[0].undecodable, 0);
}

/// Nearly all pictures can be decoded, and no picture's number is that of another one.
fn assert_mended(viewer: &Viewer, seed: u64) {
    let shown = viewer.shown.len();
    assert!(viewer.layers().len() >= 4, "seed {seed}: {}", viewer.layers().len());
    assert!(
        viewer.undecodable * 50 < shown,
        "seed {seed}: {} of {shown}",
        viewer.undecodable
    );
    let ids: std::collections::BTreeSet<u16> = viewer.shown.iter().map(|picture| picture.picture_id).collect();
    assert_eq!(ids.len(), shown, "seed {seed}");
    for (one, next) in viewer.shown.iter().zip(&viewer.shown[1..]) {
        let step = next.picture_id.wrapping_sub(one.picture_id) & 0x7fff;
        assert!((1..0x4000).contains(&step), "seed {seed}: {one:?} {next:?}");
        assert!(
            next.timestamp.wrapping_sub(one.timestamp) as i32 > 0,
            "seed {seed}: {one:?} {next:?}"
        );
    }
}
