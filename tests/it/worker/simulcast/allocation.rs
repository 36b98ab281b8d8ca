//! Each viewer gets the layer that their path carries, and nobody pays for somebody else's path.

use super::*;

/// Runs for so many milliseconds.
fn run(studio: &mut Studio, millis: u64) {
    studio.run(Duration::from_millis(millis));
}

/// What is shown to a viewer from now on: the layers, and after how many milliseconds each.
fn changes(studio: &Studio, viewer: usize, since: Instant) -> Vec<(u64, usize)> {
    let layers = studio.viewers[viewer].layers();
    let newer = layers.into_iter().filter(|(at, _)| *at >= since);
    newer
        .map(|(at, layer)| ((at - since).as_millis() as u64, layer))
        .collect()
}

#[test]
fn a_path_that_narrows_and_widens_gets_the_layer_that_fits_and_nobody_else_notices() {
    let mut studio = Studio::new(2);
    studio.path(0, 5_000, 5_000);
    run(&mut studio, 6_000);
    assert_eq!(studio.viewers[0].shown.last().unwrap().layer, 2);
    let narrowed = studio.now;
    studio.path(0, 700, 5_000);
    run(&mut studio, 6_000);
    let [(after, 1)] = changes(&studio, 0, narrowed)[..] else {
        panic!("{:?}", changes(&studio, 0, narrowed))
    };
    assert!(after <= 150, "the fitting layer after {after} ms");
    let widened = studio.now;
    studio.path(0, 5_000, 5_000);
    run(&mut studio, 6_000);
    let [(after, 2)] = changes(&studio, 0, widened)[..] else {
        panic!("{:?}", changes(&studio, 0, widened))
    };
    assert!(after <= 4_000, "full size after {after} ms");
    assert!(studio.viewers[0].longest_pause(narrowed) <= Duration::from_millis(150));
    assert_eq!(studio.viewers[0].undecodable, 0);
    let (viewer, joined) = (&studio.viewers[1], studio.viewers[1].shown[0].at);
    assert_eq!(viewer.layers().last().unwrap().1, 2);
    assert!(
        changes(&studio, 1, narrowed).is_empty(),
        "the other viewer notices nothing"
    );
    assert!(viewer.longest_pause(joined) <= Duration::from_millis(150));
    assert_agrees(&studio.worker);
}

#[test]
fn the_layer_that_does_not_fit_stops_at_once() {
    let mut studio = Studio::new(1);
    studio.path(0, 5_000, 5_000);
    run(&mut studio, 5_000);
    let before = studio.viewers[0].bytes;
    studio.path(0, 700, 0);
    run(&mut studio, 500);
    let kbps = (studio.viewers[0].bytes - before) * 8 / 500;
    assert!(kbps < 750, "{kbps} kb/s in the half second after the fall");
    assert!(studio.viewers[0].torn <= 1);
}

#[test]
fn without_proof_a_viewer_who_fell_stays_where_they_are() {
    let mut studio = Studio::new(1);
    studio.path(0, 5_000, 0);
    run(&mut studio, 5_000);
    studio.path(0, 700, 0);
    run(&mut studio, 1_000);
    let widened = studio.now;
    studio.path(0, 5_000, 700);
    run(&mut studio, 10_000);
    assert_eq!(changes(&studio, 0, widened), []);
    studio.path(0, 5_000, 3_000);
    run(&mut studio, 1_500);
    assert_eq!(studio.viewers[0].layers().last().unwrap().1, 2);
}

#[test]
fn a_video_for_which_nothing_fits_is_not_sent_and_comes_back_with_a_key_frame() {
    let mut studio = Studio::new(2);
    studio.path(0, 5_000, 5_000);
    run(&mut studio, 5_000);
    studio.path(0, 20, 0);
    run(&mut studio, 2_500);
    let (packets, requests) = (studio.viewers[0].packets, studio.requests);
    run(&mut studio, 10_000);
    assert_eq!(studio.viewers[0].packets, packets, "it is paused");
    assert_eq!(studio.requests, requests, "nobody waits for a key frame");
    let better = studio.now;
    studio.path(0, 5_000, 0);
    run(&mut studio, 2_000);
    assert_eq!(
        changes(&studio, 0, better).first().map(|(_, layer)| *layer),
        None,
        "the lowest was shown last"
    );
    assert!(studio.viewers[0].shown.last().unwrap().at > better);
    assert!(studio.viewers[0].given_up.is_empty() && studio.viewers[0].undecodable == 0);
    assert_eq!(studio.viewers[1].layers().last().unwrap().1, 2);
    assert_agrees(&studio.worker);
}

#[test]
fn a_layer_that_stops_is_replaced_by_the_next_and_taken_again_after_two_seconds() {
    let mut studio = Studio::new(1);
    studio.path(0, 5_000, 5_000);
    run(&mut studio, 5_000);
    let stopped = studio.now;
    studio.switch(2, false);
    run(&mut studio, 5_000);
    let [(after, 1)] = changes(&studio, 0, stopped)[..] else {
        panic!("{:?}", changes(&studio, 0, stopped))
    };
    assert!(after <= 1_200, "{after} ms");
    let again = studio.now;
    studio.switch(2, true);
    run(&mut studio, 5_000);
    let [(after, 2)] = changes(&studio, 0, again)[..] else {
        panic!("{:?}", changes(&studio, 0, again))
    };
    assert!((2_000..=3_500).contains(&after), "{after} ms");
}

#[test]
fn a_joiner_on_a_narrow_path_begins_with_what_fits() {
    let mut studio = Studio::new(1);
    run(&mut studio, 4_000);
    let joiner = studio.join();
    studio.path(joiner, 700, 0);
    run(&mut studio, 1_000);
    let layers: Vec<usize> = studio.viewers[joiner]
        .layers()
        .iter()
        .map(|(_, layer)| *layer)
        .collect();
    assert!(matches!(layers[..], [1] | [0, 1]), "{layers:?}");
    assert_eq!(studio.viewers[0].layers().last().unwrap().1, 2);
}
