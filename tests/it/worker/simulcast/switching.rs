//! A viewer's stream goes on over changes of its layer: numbers, timestamps, picture ids, and packets that are sent again.

use super::*;

/// Changes between narrow and wide so many times, a second and a half each.
fn up_and_down(studio: &mut Studio, times: usize) {
    studio.path(0, 5_000, 5_000);
    studio.run(Duration::from_secs(4));
    for time in 0..times {
        let target = [300, 5_000, 700][time % 3];
        studio.path(0, target, 5_000);
        studio.run(Duration::from_millis(if target == 5_000 { 5_000 } else { 1_500 }));
    }
}

/// The shown pictures in pairs.
fn pairs(studio: &Studio) -> impl Iterator<Item = (&viewer::Picture, &viewer::Picture)> {
    let shown = &studio.viewers[0].shown;
    shown.iter().zip(&shown[1..])
}

#[test]
fn numbers_have_no_hole_and_every_picture_can_be_decoded() {
    let mut studio = Studio::new(1);
    up_and_down(&mut studio, 6);
    let viewer = &studio.viewers[0];
    assert!(viewer.layers().len() >= 6, "{:?}", viewer.layers().len());
    assert_eq!((viewer.given_up.len(), viewer.undecodable), (0, 0));
    for (one, next) in pairs(&studio) {
        // A torn picture has an id, too.
        let step = next.picture_id.wrapping_sub(one.picture_id) & 0x7fff;
        assert!(
            (1..=2).contains(&step) && (step == 1 || next.is_key),
            "{one:?} {next:?}"
        );
        let ticks = next.timestamp.wrapping_sub(one.timestamp) as i32;
        assert!(ticks > 0, "{one:?} {next:?}");
    }
}

#[test]
fn timestamps_follow_the_pictures_though_each_layer_has_a_clock_and_a_delay_of_its_own() {
    let mut studio = Studio::new(1);
    studio.lag(2, 6);
    studio.lag(1, 3);
    up_and_down(&mut studio, 6);
    let shown = &studio.viewers[0].shown;
    let first = shown[30];
    assert_eq!(first.layer, 0);
    for picture in &shown[30..] {
        let ticks = picture.timestamp.wrapping_sub(first.timestamp) as i32;
        let ahead = ticks - (picture.taken as i32 - first.taken as i32) * 90;
        // Where a picture was taken before the last one of another layer, its layer is ahead by that, and a little more.
        let most = if picture.layer == 0 { 0 } else { 75 };
        assert!((-90..=most * 90 + 90).contains(&ahead), "{ahead}: {picture:?}");
    }
    assert!(studio.viewers[0].layers().len() >= 6);
}

#[test]
fn before_the_first_reports_timestamps_follow_the_arrival() {
    let mut studio = Studio::new(1);
    studio.sends_reports = false;
    up_and_down(&mut studio, 3);
    for (one, next) in pairs(&studio) {
        let ticks = next.timestamp.wrapping_sub(one.timestamp) as i32;
        let passed = (next.at - one.at).as_millis() as i32 * 90;
        assert!((ticks - passed).abs() <= 34 * 90, "{one:?} {next:?}");
    }
}

/// Changes layers over a path that loses and delays packets. Returns the viewer's stream for further checks.
fn over_a_bad_path(seed: u64) -> Studio {
    let mut studio = Studio::new(1);
    let mut state = seed;
    studio.viewers[0].fate = Box::new(move |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match (state >> 33) % 100 {
            0..5 => Fate::IsLost,
            5..15 => Fate::IsLate(1 + (state >> 50) % 4),
            _ => Fate::Comes,
        }
    });
    up_and_down(&mut studio, 6);
    studio
}

#[test]
fn loss_and_reordering_are_mended_over_changes_of_the_layer() {
    for seed in 1..=5 {
        let studio = over_a_bad_path(seed);
        let viewer = &studio.viewers[0];
        assert!(viewer.layers().len() >= 6, "seed {seed}: {:?}", viewer.layers().len());
        let mut ids = std::collections::BTreeMap::new();
        for (one, next) in pairs(&studio) {
            assert!(
                next.timestamp.wrapping_sub(one.timestamp) as i32 > 0,
                "seed {seed}: {one:?} {next:?}"
            );
            let step = next.picture_id.wrapping_sub(one.picture_id) & 0x7fff;
            assert!((1..0x4000).contains(&step), "seed {seed}: {one:?} {next:?}");
            assert_eq!(
                ids.insert(next.picture_id, next),
                None,
                "seed {seed}: an id for two pictures"
            );
        }
        // Packets of a layer that was left because it did not fit are not sent again; all others are.
        let shown = viewer.shown.len();
        assert!(
            viewer.undecodable * 50 < shown,
            "seed {seed}: {} of {shown}",
            viewer.undecodable
        );
    }
}
