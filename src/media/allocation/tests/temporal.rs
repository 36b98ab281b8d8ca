//! Videos whose layers can be sent with fewer pictures a second.

use super::*;

/// Each layer with two fifths of its rate, three fifths, and all of it, as browsers divide it.
fn in_thirds(rates: &[u64]) -> SmallVec<[Step; MAX_STEPS]> {
    let parts = |step: Step| {
        [(0, 2), (1, 3), (WHOLE, 5)].map(|(temporal, fifths)| Step {
            temporal,
            bits_per_second: step.bits_per_second / 5 * fifths,
            ..step
        })
    };
    layers(rates).into_iter().flat_map(parts).collect()
}

fn scene(videos: usize) -> Scene {
    let mut scene = Scene::new(&vec![SIMULCAST; videos]);
    scene
        .videos
        .iter_mut()
        .for_each(|video| video.steps = in_thirds(&SIMULCAST));
    scene
}

/// Divides, and returns the layer and the highest temporal layer of each video.
fn divide(scene: &mut Scene, millis: u64, budget: Budget) -> Vec<(Grant, u8)> {
    let grants = scene.divide(millis, budget);
    let temporal = scene.videos.iter().map(|video| video.temporal);
    grants.into_iter().zip(temporal).collect()
}

#[test]
fn a_path_that_narrows_costs_a_small_layer_pictures_and_a_large_one_its_size() {
    let mut scene = scene(1);
    for (at, (target, expected)) in [
        (5_000, (Layer(2), WHOLE)),
        (1_999, (Layer(1), WHOLE)),
        (499, (Layer(1), 1)),
        (299, (Layer(0), WHOLE)),
        (149, (Layer(0), 1)),
        (89, (Layer(0), 0)),
        (60, (Layer(0), 0)),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            divide(&mut scene, at as u64 * 50, budget(target)),
            [expected],
            "{target}"
        );
    }
}

#[test]
fn pictures_fall_before_anybody_is_paused() {
    let mut scene = scene(4);
    let got = divide(&mut scene, 0, budget(260));
    assert_eq!(got, [(Layer(0), 0); 4]);
    let got = divide(&mut scene, 1_000, budget(239));
    assert_eq!(got[3], (Paused, WHOLE));
    assert_eq!(got[2], (Layer(0), 0));
}

#[test]
fn pictures_come_back_without_proof_or_waiting_but_only_with_room_to_spare() {
    let mut scene = scene(1);
    divide(&mut scene, 0, budget(5_000));
    assert_eq!(divide(&mut scene, 50, budget(100)), [(Layer(0), 1)]);
    let shaky = Budget {
        smooth: 100_000,
        ..budget(5_000)
    };
    assert_eq!(
        divide(&mut scene, 100, shaky),
        [(Layer(0), 1)],
        "the target was low a moment ago"
    );
    assert_eq!(
        divide(&mut scene, 150, budget(165)),
        [(Layer(0), 1)],
        "less than a tenth to spare"
    );
    assert_eq!(
        divide(&mut scene, 200, budget(5_000)),
        [(Layer(0), WHOLE)],
        "no higher layer"
    );
    assert_eq!(divide(&mut scene, 250, proven(5_000)), [(Layer(0), WHOLE)]);
    assert_eq!(divide(&mut scene, 4_000, proven(5_000)), [(Layer(2), WHOLE)]);
}

#[test]
fn a_rise_to_another_layer_brings_all_its_pictures_at_once() {
    let mut scene = scene(1);
    scene.video(0).wanted_height = Some(180);
    assert_eq!(divide(&mut scene, 0, budget(5_000)), [(Layer(0), WHOLE)]);
    scene.video(0).wanted_height = Some(360);
    assert_eq!(divide(&mut scene, 1_000, budget(5_000)), [(Layer(1), WHOLE)]);
    assert_eq!(scene.demand, 500_000);
    scene.video(0).wanted_height = None;
    assert_eq!(divide(&mut scene, 2_000, budget(5_000)), [(Layer(2), WHOLE)]);
}

#[test]
fn a_video_on_stage_has_all_pictures_of_its_size_before_others_have_more_than_few() {
    let mut scene = scene(3);
    scene.video(2).place = Place::OnStage;
    // 60 kb/s for each of the others, and 500.
    let got = divide(&mut scene, 0, budget(700));
    assert_eq!(got, [(Layer(0), 0), (Layer(0), 0), (Layer(1), WHOLE)]);
}

#[test]
fn the_parts_of_a_layer_of_unknown_height_count_only_where_it_is_the_lowest() {
    let mut scene = scene(1);
    scene.video(0).steps.iter_mut().for_each(|step| step.height = None);
    assert_eq!(divide(&mut scene, 0, budget(400)), [(Layer(0), WHOLE)]);
    assert_eq!(divide(&mut scene, 1_000, budget(100)), [(Layer(0), 1)]);
}

#[test]
fn a_layer_that_loses_its_parts_goes_on_whole() {
    let mut scene = scene(1);
    divide(&mut scene, 0, budget(100));
    scene.video(0).steps = layers(&SIMULCAST);
    assert_eq!(divide(&mut scene, 1_000, budget(160)), [(Layer(0), WHOLE)]);
}

proptest::proptest! {
    /// What is given fits, whatever the layers' parts are.
    #[test]
    fn steps_of_all_kinds_fit(
        rates in proptest::collection::vec((1_u64..3_000, 0_u64..5, proptest::bool::ANY), 1..4),
        targets in proptest::collection::vec(0_u64..6_000, 1..20),
    ) {
        let mut scene = Scene::new(&[&SIMULCAST; 2]);
        for video in &mut scene.videos {
            let whole: Vec<u64> = rates.iter().map(|(rate, ..)| *rate).collect();
            video.steps = in_thirds(&whole).into_iter().filter(|step| {
                let (_, gone, is_known) = rates[usize::from(step.layer)];
                (step.temporal == WHOLE || u64::from(step.temporal) != gone) && (is_known || step.height.is_some())
            }).collect();
        }
        for (at, target) in targets.into_iter().enumerate() {
            scene.divide(at as u64 * 700, proven(target));
            let first = scene.videos.iter().map(|video| video.cost(0)).next().unwrap();
            proptest::prop_assert!(scene.total() <= (target * 1_000).max(first));
            for video in &scene.videos {
                let given = video.at.map(|at| (video.ladder[at].layer, video.ladder[at].temporal));
                let costs: Vec<u64> = video.ladder.iter().map(|step| step.bits_per_second).collect();
                proptest::prop_assert!(costs.is_sorted(), "{costs:?}");
                if let Layer(layer) = video.grant {
                    proptest::prop_assert_eq!(given, Some((layer, video.temporal)));
                }
            }
        }
    }
}

/// One layer with three spatial layers, each with those below, and with temporal layers.
fn scalable() -> SmallVec<[Step; MAX_STEPS]> {
    let mut steps = in_thirds(&SIMULCAST);
    for step in &mut steps {
        step.spatial = [0, 1, WHOLE][usize::from(step.layer)];
        step.layer = 0;
    }
    steps
}

/// Divides, and returns the highest spatial and temporal layer of the first video.
fn divide_one(scene: &mut Scene, millis: u64, budget: Budget) -> (Grant, u8, u8) {
    let grants = scene.divide(millis, budget);
    (grants[0], scene.videos[0].spatial, scene.videos[0].temporal)
}

#[test]
fn spatial_layers_of_one_encoding_are_steps_as_encodings_are() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.video(0).steps = scalable();
    for (at, (target, spatial, temporal)) in [
        (5_000, WHOLE, WHOLE),
        (1_999, 1, WHOLE),
        (499, 1, 1),
        (299, 0, WHOLE),
        (149, 0, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let got = divide_one(&mut scene, at as u64 * 50, budget(target));
        assert_eq!(got, (Layer(0), spatial, temporal), "{target}");
    }
    // As another encoding, a larger size needs a key frame: it waits after a fall, and for proof.
    assert_eq!(divide_one(&mut scene, 300, proven(5_000)), (Layer(0), 0, WHOLE));
    assert_eq!(divide_one(&mut scene, 4_000, budget(5_000)), (Layer(0), 0, WHOLE));
    assert_eq!(divide_one(&mut scene, 5_000, proven(5_000)), (Layer(0), WHOLE, WHOLE));
}

#[test]
fn a_viewer_of_a_small_picture_gets_the_spatial_layers_that_are_high_enough() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.video(0).steps = scalable();
    scene.video(0).wanted_height = Some(180);
    assert_eq!(divide_one(&mut scene, 0, budget(5_000)), (Layer(0), 0, WHOLE));
    scene.video(0).wanted_height = Some(360);
    assert_eq!(divide_one(&mut scene, 1_000, budget(5_000)), (Layer(0), 1, WHOLE));
    scene.video(0).wanted_height = None;
    assert_eq!(divide_one(&mut scene, 2_000, proven(5_000)), (Layer(0), WHOLE, WHOLE));
}

#[test]
fn a_spatial_layer_that_has_only_just_begun_is_not_risen_to() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.video(0).steps = scalable();
    divide_one(&mut scene, 0, budget(300));
    let now = at(4_000);
    for step in scene.video(0).steps.iter_mut().filter(|step| step.spatial != 0) {
        step.live_since = now;
    }
    assert_eq!(divide_one(&mut scene, 5_900, proven(5_000)), (Layer(0), 0, WHOLE));
    assert_eq!(divide_one(&mut scene, 6_950, proven(5_000)), (Layer(0), WHOLE, WHOLE));
}
