//! Scenes of one connection, and rules that hold in all of them.

mod properties;
mod temporal;

use super::*;
use crate::media::virtual_time::epoch;

fn at(millis: u64) -> Instant {
    epoch() + Duration::from_secs(1_000) + Duration::from_millis(millis)
}

/// Three layers as browsers send them, with these rates in kb/s.
fn layers(rates: &[u64]) -> SmallVec<[Step; MAX_STEPS]> {
    let heights = [180, 360, 720, 1_080];
    let step = |(layer, &rate): (usize, &u64)| Step {
        layer: layer as u8,
        spatial: WHOLE,
        temporal: WHOLE,
        bits_per_second: rate * 1_000,
        height: Some(heights[layer]),
        live_since: epoch(),
    };
    rates.iter().enumerate().map(step).collect()
}

const SIMULCAST: [u64; 3] = [150, 500, 2_000];

fn budget(target: u64) -> Budget {
    Budget {
        target: target * 1_000,
        smooth: target * 1_000,
        proven: 0,
        sound: 0,
        loss_256: 0,
        is_silent: false,
        is_probed: true,
    }
}

fn proven(target: u64) -> Budget {
    Budget {
        proven: target * 1_000,
        ..budget(target)
    }
}

/// A connection over some time.
struct Scene {
    division: Division,
    videos: Vec<Video>,
    demand: u64,
}

impl Scene {
    fn new<R: AsRef<[u64]>>(rates: &[R]) -> Scene {
        let video = |(index, rates): (usize, &R)| {
            let mut video = Video::new(index, Place::Other, None, History::default());
            video.steps = layers(rates.as_ref());
            video
        };
        Scene {
            division: Division::default(),
            videos: rates.iter().enumerate().map(video).collect(),
            demand: 0,
        }
    }

    /// Divides, and lets each video take what it gets. Returns that, in the order of the subscriptions.
    fn divide(&mut self, millis: u64, budget: Budget) -> Vec<Grant> {
        self.demand = self.division.divide(at(millis), &budget, &mut self.videos);
        self.videos.sort_by_key(|video| video.index);
        for video in &mut self.videos {
            video.current = match video.grant {
                Grant::Layer(layer) => Some(layer),
                Grant::Paused | Grant::Unwanted | Grant::NoLayer => None,
            };
        }
        self.videos.iter().map(|video| video.grant).collect()
    }

    /// Divides each second, with the same budget.
    fn go_on(&mut self, seconds: std::ops::Range<u64>, budget: Budget) -> Vec<Grant> {
        seconds
            .map(|second| self.divide(second * 1_000, budget))
            .last()
            .unwrap()
    }

    fn video(&mut self, index: usize) -> &mut Video {
        &mut self.videos[index]
    }

    fn total(&self) -> u64 {
        let rate = |video: &Video| video.at.map_or(0, |at| video.cost(at));
        self.videos.iter().map(rate).sum()
    }
}

use Grant::{Layer, NoLayer, Paused, Unwanted};

#[test]
fn one_video_begins_with_the_best_layer_that_leaves_a_tenth_free() {
    for (target, expected) in [
        (150, Layer(0)),
        (500, Layer(0)),
        (560, Layer(1)),
        (2_200, Layer(1)),
        (2_230, Layer(2)),
        (10_000_000, Layer(2)),
    ] {
        assert_eq!(
            Scene::new(&[&SIMULCAST]).divide(0, budget(target)),
            [expected],
            "{target}"
        );
    }
}

#[test]
fn it_keeps_its_layer_while_that_fits_and_falls_at_once_when_it_does_not() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.divide(0, budget(5_000));
    assert_eq!(scene.divide(50, budget(2_000)), [Layer(2)]);
    assert!(!scene.videos[0].is_cut);
    assert_eq!(scene.divide(100, budget(1_999)), [Layer(1)]);
    assert!(scene.videos[0].is_cut, "the old layer must stop now");
    assert_eq!(scene.divide(150, budget(499)), [Layer(0)]);
}

#[test]
fn after_a_fall_it_rises_after_three_seconds_and_only_with_proof() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.divide(0, proven(5_000));
    scene.divide(1_000, budget(700));
    assert_eq!(scene.divide(3_999, proven(5_000)), [Layer(1)], "too soon");
    assert_eq!(scene.divide(4_100, budget(5_000)), [Layer(1)], "not proven");
    let nearly = Budget {
        proven: 2_190_000,
        ..budget(5_000)
    };
    assert_eq!(scene.divide(4_200, nearly), [Layer(1)]);
    let enough = Budget {
        proven: 2_210_000,
        smooth: 700_000,
        ..budget(5_000)
    };
    assert_eq!(
        scene.divide(4_300, enough),
        [Layer(2)],
        "proof counts more than patience"
    );
    // It has all again, so the next rise needs no proof.
    scene.video(0).wanted_height = Some(360);
    scene.divide(10_000, budget(5_000));
    scene.video(0).wanted_height = None;
    assert_eq!(scene.divide(11_000, budget(5_000)), [Layer(2)]);
}

#[test]
fn without_proof_it_rises_by_one_layer_at_a_time_and_with_proof_by_all() {
    let scene = || {
        let mut scene = Scene::new(&[&SIMULCAST]);
        scene.video(0).wanted_height = Some(180);
        assert_eq!(scene.divide(0, budget(5_000)), [Layer(0)]);
        scene.video(0).wanted_height = None;
        scene
    };
    let mut hopes = scene();
    assert_eq!(hopes.divide(1_000, budget(5_000)), [Layer(1)]);
    assert_eq!(hopes.divide(1_999, budget(5_000)), [Layer(1)], "one rise a second");
    assert_eq!(hopes.divide(2_000, budget(5_000)), [Layer(2)]);
    assert_eq!(scene().divide(1_000, proven(5_000)), [Layer(2)]);
    let shaky = Budget {
        smooth: 540_000,
        ..budget(5_000)
    };
    assert_eq!(
        scene().divide(1_000, shaky),
        [Layer(0)],
        "the target was low a moment ago"
    );
}

#[test]
fn everybody_has_a_picture_before_anybody_has_a_better_one() {
    let mut scene = Scene::new(&[&SIMULCAST; 4]);
    assert_eq!(scene.divide(0, budget(700)), [Layer(0); 4]);
    let mut scene = Scene::new(&[&SIMULCAST; 4]);
    let got = scene.divide(0, budget(1_500));
    assert_eq!(got, [Layer(1), Layer(1), Layer(0), Layer(0)]);
}

#[test]
fn the_stage_comes_first_then_speakers_and_both_before_the_others() {
    let mut scene = Scene::new(&[&SIMULCAST; 4]);
    scene.video(3).place = Place::OnStage;
    scene.video(1).place = Place::Speaker(0);
    scene.video(2).place = Place::Speaker(1);
    // Room for one more step, two, three.
    let lowest = Layer(0);
    for (target, expected) in [
        (1_100, [lowest, lowest, lowest, Layer(1)]),
        (1_500, [lowest, Layer(1), lowest, Layer(1)]),
        (1_900, [lowest, Layer(1), Layer(1), Layer(1)]),
    ] {
        let mut scene = Scene {
            videos: scene.videos.clone(),
            division: scene.division,
            demand: 0,
        };
        assert_eq!(scene.divide(0, budget(target)), expected, "{target}");
    }
}

#[test]
fn a_higher_priority_gets_more_steps_in_each_turn() {
    // The first has its step before; after that all goes to the second.
    let mut scene = Scene::new(&[&[150, 500, 900], &[150, 500, 900]]);
    scene.video(1).priority = 255;
    assert_eq!(scene.divide(0, budget(1_600)), [Layer(1), Layer(2)]);
}

#[test]
fn a_video_gets_no_more_than_its_viewer_wants() {
    for (wanted, expected, demand) in [
        (Some(0), Unwanted, 0),
        (Some(90), Layer(0), 150_000),
        (Some(180), Layer(0), 150_000),
        (Some(181), Layer(1), 500_000),
        (Some(720), Layer(2), 2_000_000),
        (Some(u16::MAX), Layer(2), 2_000_000),
        (None, Layer(2), 2_000_000),
    ] {
        let mut scene = Scene::new(&[&SIMULCAST]);
        scene.video(0).wanted_height = wanted;
        assert_eq!(scene.divide(0, budget(100_000)), [expected], "{wanted:?}");
        assert_eq!(scene.demand, demand, "{wanted:?}");
    }
}

#[test]
fn a_smaller_wish_does_not_stop_the_layer_that_is_sent() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.divide(0, budget(5_000));
    scene.video(0).wanted_height = Some(180);
    assert_eq!(scene.divide(1_000, budget(5_000)), [Layer(0)]);
    assert!(!scene.videos[0].is_cut);
}

#[test]
fn a_layer_that_costs_more_than_a_better_one_is_passed_over() {
    // A still picture: the encoder needs least for the largest.
    let mut scene = Scene::new(&[&[150, 400, 300]]);
    assert_eq!(scene.divide(0, budget(320)), [Layer(0)]);
    assert_eq!(scene.divide(1_000, budget(340)), [Layer(2)]);
    let mut scene = Scene::new(&[&[300, 200, 100]]);
    assert_eq!(scene.divide(0, budget(10_000)), [Layer(2)]);
}

#[test]
fn the_order_is_that_of_the_rates_where_heights_are_not_known() {
    let mut scene = Scene::new(&[&[2_000, 150, 500]]);
    scene.video(0).steps[1].height = None;
    scene.video(0).wanted_height = Some(100);
    assert_eq!(scene.divide(0, budget(700)), [Layer(2)]);
}

#[test]
fn a_new_layer_counts_after_two_seconds_and_the_lowest_at_once() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.video(0).steps.iter_mut().for_each(|step| step.live_since = at(0));
    assert_eq!(scene.divide(10, proven(5_000)), [Layer(0)]);
    assert_eq!(scene.divide(1_999, proven(5_000)), [Layer(0)]);
    assert_eq!(scene.divide(2_000, proven(5_000)), [Layer(2)]);
}

#[test]
fn videos_are_paused_from_the_bottom_and_come_back_when_there_is_more_than_they_need() {
    let mut scene = Scene::new(&[&SIMULCAST; 3]);
    assert_eq!(scene.divide(0, budget(460)), [Layer(0); 3]);
    assert_eq!(scene.divide(1_000, budget(449)), [Layer(0), Layer(0), Paused]);
    assert!(scene.videos[2].is_cut);
    assert_eq!(scene.divide(2_000, budget(299)), [Layer(0), Paused, Paused]);
    assert_eq!(
        scene.divide(3_000, budget(330)),
        [Layer(0), Paused, Paused],
        "just enough is not enough"
    );
    assert_eq!(scene.divide(4_000, budget(335)), [Layer(0), Layer(0), Paused]);
    assert_eq!(scene.divide(9_000, budget(485)), [Layer(0); 3]);
}

#[test]
fn the_first_video_is_held_for_two_seconds_and_longer_if_it_nearly_fits() {
    let mut scene = Scene::new(&[&[1_000], &[200]]);
    assert_eq!(scene.divide(0, budget(1_200)), [Layer(0), Layer(0)]);
    assert_eq!(scene.divide(1_000, budget(0)), [Layer(0), Paused]);
    assert_eq!(scene.divide(2_999, budget(0)), [Layer(0), Paused]);
    assert_eq!(scene.divide(3_000, budget(600)), [Layer(0), Paused]);
    assert_eq!(scene.divide(60_000, budget(600)), [Layer(0), Paused]);
    assert_eq!(scene.divide(61_000, budget(599)), [Paused, Layer(0)]);
    assert_eq!(scene.divide(62_000, budget(1_119)), [Paused, Layer(0)]);
    assert_eq!(
        scene.divide(63_000, budget(1_120)),
        [Layer(0), Paused],
        "it goes before the others"
    );
    let mut large = Scene::new(&[&[5_000]]);
    large.divide(0, budget(6_000));
    large.divide(1_000, budget(4_400));
    assert_eq!(large.divide(5_000, budget(4_400)), [Paused], "600 kb/s too much");
}

#[test]
fn a_video_whose_publisher_follows_the_path_gets_time_to_fit_and_comes_back_as_soon_as_it_does() {
    let scene = |follows| {
        let mut scene = Scene::new(&[[1_000]]);
        scene.video(0).follows = follows;
        assert_eq!(scene.divide(0, budget(2_000)), [Layer(0)]);
        scene
    };
    for (follows, held) in [(false, 1), (true, 4)] {
        let mut scene = scene(follows);
        // It falls in the second second.
        assert_eq!(scene.go_on(1..2 + held, budget(500)), [Layer(0)], "{follows}");
        assert_eq!(scene.divide((2 + held) * 1_000, budget(500)), [Paused], "{follows}");
        scene.video(0).steps = layers(&[450]);
        let comes_back = if follows { Layer(0) } else { Paused };
        assert_eq!(scene.divide((3 + held) * 1_000, budget(500)), [comes_back]);
        assert_eq!(scene.divide((4 + held) * 1_000, budget(520)), [Layer(0)]);
    }
    let mut fits = scene(true);
    fits.video(0).steps = layers(&[450]);
    assert_eq!(fits.go_on(1..10, budget(500)), [Layer(0)], "it has become less in time");
}

#[test]
fn more_is_demanded_for_a_video_whose_publisher_follows_the_path() {
    for (follows, demand) in [(false, 500_000), (true, 1_000_000)] {
        let mut scene = Scene::new(&[[500]]);
        scene.video(0).follows = follows;
        scene.divide(0, budget(600));
        assert_eq!(scene.demand, demand);
    }
}

#[test]
fn nothing_is_sent_to_somebody_who_is_not_heard() {
    let silent = Budget {
        is_silent: true,
        ..budget(5_000)
    };
    let mut scene = Scene::new(&[&SIMULCAST; 2]);
    scene.divide(0, budget(5_000));
    assert_eq!(scene.divide(10, silent), [Paused; 2]);
    assert_eq!(scene.demand, 4_800_000);
}

#[test]
fn a_path_that_is_not_probed_always_has_one_video() {
    let mut scene = Scene::new(&[&SIMULCAST; 2]);
    let narrow = Budget {
        is_probed: false,
        ..budget(50)
    };
    scene.divide(0, budget(5_000));
    assert_eq!(scene.go_on(1..30, narrow), [Layer(0), Paused]);
    let silent = Budget {
        is_silent: true,
        ..narrow
    };
    assert_eq!(scene.go_on(30..60, silent), [Layer(0), Paused]);
}

#[test]
fn a_path_that_carries_what_was_asked_for_lets_everything_rise() {
    for (rates, sound, loss_256) in [
        ([100, 350, 730], 0, 0),
        ([150, 500, 2_000], 64_000, 10),
        ([30, 40, 9_000], 500_000, 40),
    ] {
        let mut scene = Scene::new(&[&rates; 3]);
        let of = |rate: u64| Budget {
            target: rate,
            smooth: rate,
            proven: rate,
            sound,
            loss_256,
            ..budget(0)
        };
        scene.divide(0, of(rates.iter().sum::<u64>() * 10_000 + 1_000_000));
        let enough = scene.demand;
        scene.divide(1_000, of(rates[1] * 2_000 + sound));
        assert!(scene.demand > enough, "there must be something to prove");
        let asked = scene.demand;
        assert_eq!(scene.go_on(5..10, of(asked)), [Layer(2); 3], "{rates:?}");
        assert!(scene.demand < asked, "nothing more is asked for");
    }
}

#[test]
fn sound_and_repairs_go_first() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    let sound = |target| Budget {
        sound: 64_000,
        ..budget(target)
    };
    scene.divide(0, sound(5_000));
    assert_eq!(scene.demand, 2_064_000);
    assert_eq!(scene.divide(1_000, sound(2_064)), [Layer(2)]);
    assert_eq!(scene.divide(2_000, sound(2_063)), [Layer(1)]);
    let mut scene = Scene::new(&[&SIMULCAST]);
    let lossy = |target| Budget {
        loss_256: 128,
        ..budget(target)
    };
    scene.divide(0, lossy(5_000));
    assert_eq!(scene.divide(1_000, lossy(2_223)), [Layer(2)]);
    assert_eq!(
        scene.divide(2_000, lossy(2_222)),
        [Layer(1)],
        "a tenth at most is for repairs"
    );
}

#[test]
fn it_is_divided_each_second_and_at_once_when_the_target_falls_or_grows_or_something_changes() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    assert!(scene.division.is_due(at(0), 1));
    assert_eq!(scene.division.next(), None);
    scene.divide(0, budget(2_300));
    let is_due = |scene: &Scene, millis, target: u64| scene.division.is_due(at(millis), target * 1_000);
    assert!(!is_due(&scene, 999, 2_300));
    assert!(is_due(&scene, 1_000, 2_300));
    assert!(!is_due(&scene, 10, 1_800));
    assert!(is_due(&scene, 10, 1_799), "a tenth less than is sent");
    assert!(!is_due(&scene, 10, 2_645));
    assert!(is_due(&scene, 10, 2_646));
    assert_eq!(scene.division.next(), Some(at(1_000)));
    scene.division.outdate(at(10));
    scene.division.outdate(at(50));
    assert!(is_due(&scene, 10, 2_300));
    assert_eq!(scene.division.next(), Some(at(110)));
}

#[test]
fn layers_that_come_and_go_each_second_change_nothing() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.video(0).steps.truncate(2);
    scene.go_on(0..5, proven(5_000));
    for second in 5..60 {
        scene.video(0).steps = layers(&SIMULCAST);
        scene
            .video(0)
            .steps
            .iter_mut()
            .find(|step| step.layer == 2)
            .unwrap()
            .live_since = at(second * 1_000);
        assert_eq!(scene.divide(second * 1_000 + 100, proven(5_000)), [Layer(1)]);
        scene.video(0).steps.truncate(2);
        assert_eq!(scene.divide(second * 1_000 + 900, proven(5_000)), [Layer(1)]);
    }
}

#[test]
fn a_layer_that_stops_is_left_for_the_best_of_the_others() {
    let mut scene = Scene::new(&[&SIMULCAST]);
    scene.divide(0, budget(5_000));
    scene.video(0).steps.truncate(2);
    assert_eq!(scene.divide(100, budget(5_000)), [Layer(1)]);
    scene.video(0).steps.clear();
    assert_eq!(scene.divide(200, budget(5_000)), [NoLayer]);
}

#[test]
fn a_gallery_of_25_rises_one_video_a_second_and_then_stays() {
    let mut scene = Scene::new(&[&SIMULCAST; 25]);
    scene
        .videos
        .iter_mut()
        .for_each(|video| video.wanted_height = Some(180));
    scene.divide(0, proven(100_000));
    scene.videos.iter_mut().for_each(|video| video.wanted_height = None);
    for second in 1..=25 {
        let got = scene.divide(second * 1_000, proven(100_000));
        assert_eq!(got.iter().filter(|got| **got == Layer(2)).count() as u64, second);
    }
}
