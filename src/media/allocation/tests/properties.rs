//! What holds for all videos on all paths.

use proptest::prelude::*;

use super::*;

/// A scene of any kind, and what its path does.
fn anything() -> impl Strategy<Value = (Vec<AnyVideo>, Vec<(u64, Budget)>)> {
    let rate = || prop_oneof![1 => 0_u64..3_000, 4 => 50_u64..1_000, 1 => Just(10_000_000)];
    let video = (
        prop::collection::vec((rate(), 0_u64..4_000, prop::option::of(0_u16..2_000)), 0..=MAX_LAYERS),
        prop::option::of(prop_oneof![Just(0_u16), 90_u16..1_100, Just(u16::MAX)]),
        any::<u8>(),
        0_u16..4,
    );
    let video = video.prop_map(|(layers, wanted, priority, place)| AnyVideo {
        layers,
        wanted,
        priority,
        place,
    });
    let target = prop_oneof![3 => 0_u64..5_000_000, 1 => Just(0), 1 => Just(10_000_000_000), 1 => Just(u64::MAX)];
    let budget = (
        target.clone(),
        target.clone(),
        target,
        0_u64..200_000,
        any::<u8>(),
        prop::bool::weighted(0.05),
    );
    let budget = budget.prop_map(|(target, smooth, proven, sound, loss_256, is_silent)| Budget {
        is_probed: true,
        target,
        smooth,
        proven,
        sound,
        loss_256,
        is_silent,
    });
    (
        prop::collection::vec(video, 0..12),
        prop::collection::vec((0_u64..2_000, budget), 1..20),
    )
}

#[derive(Clone, Debug)]
struct AnyVideo {
    layers: Vec<(u64, u64, Option<u16>)>,
    wanted: Option<u16>,
    priority: u8,
    place: u16,
}

proptest! {
    /// Whatever the layers are and the path does.
    #[test]
    fn videos_never_take_more_than_the_target_but_for_a_first_one_that_is_held((videos, path) in anything()) {
        let mut scene = Scene::new::<&[u64]>(&[]);
        for (index, any) in videos.iter().enumerate() {
            let place = [Place::OnStage, Place::Speaker(0), Place::Speaker(1), Place::Other][usize::from(any.place)];
            let mut video = Video::new(index, place, None, History::default());
            video.wanted_height = any.wanted;
            video.priority = any.priority;
            for (layer, &(rate, live, height)) in any.layers.iter().enumerate() {
                let live_since = at(live);
                let bits_per_second = rate * 1_000;
                video.steps.push(Step { layer: layer as u8, spatial: WHOLE, temporal: WHOLE, bits_per_second, height, live_since });
            }
            scene.videos.push(video);
        }
        let mut now = 0;
        for (pause, budget) in path {
            now += pause;
            let before: Vec<_> = scene.videos.iter().map(|video| video.current).collect();
            let got = scene.divide(now, budget);
            let keep = Limits::of(&budget).keep;
            let first = scene.videos.iter().filter(|video| !video.ladder.is_empty()).min_by_key(|video| (video.place, video.index));
            let held = first.filter(|first| first.cost(0) > keep && first.at == Some(0)).map_or(0, |first| first.cost(0));
            prop_assert!(scene.total() <= keep.max(held), "{} of {keep}", scene.total());
            let rises = scene.videos.iter().filter(|video| video.at.is_some_and(|at| at > video.held) && !video.begins);
            prop_assert!(rises.count() <= 1);
            for ((video, got), before) in scene.videos.iter().zip(got).zip(before) {
                match got {
                    Layer(layer) => {
                        prop_assert!(video.steps.iter().any(|step| step.layer == layer));
                        prop_assert!(video.wanted_height != Some(0) && !budget.is_silent);
                    }
                    Paused => prop_assert!(!video.steps.is_empty() && video.is_cut),
                    Unwanted => prop_assert_eq!(video.wanted_height, Some(0)),
                    NoLayer => prop_assert!(video.steps.is_empty()),
                }
                prop_assert!(!video.is_cut || before != video.current || video.current.is_none());
            }
        }
    }

    /// A path that stays as it is leads to a state that stays as it is.
    #[test]
    fn a_steady_path_brings_no_changes((videos, path) in anything()) {
        let budget = Budget { is_silent: false, ..path[0].1 };
        let mut scene = Scene::new::<&[u64]>(&[]);
        for (index, any) in videos.iter().enumerate() {
            let mut video = Video::new(index, Place::Other, None, History::default());
            video.wanted_height = any.wanted;
            video.priority = any.priority;
            let rates: Vec<u64> = any.layers.iter().map(|(rate, ..)| *rate).collect();
            video.steps = layers(&rates);
            scene.videos.push(video);
        }
        let settled = scene.go_on(0..60, budget);
        for second in 60..90 {
            prop_assert_eq!(&scene.divide(second * 1_000, budget), &settled);
        }
    }
}
