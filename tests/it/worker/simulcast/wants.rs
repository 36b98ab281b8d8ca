//! What a viewer wants of a video decides what is sent to them, and to nobody else; they are told what they get.

use patchbay::ids::{FeedRef, ParticipantId};
use patchbay::video::{Cause, Quality, State, Want};

use super::*;

fn run(studio: &mut Studio, millis: u64) {
    studio.run(Duration::from_millis(millis));
}

/// A viewer shows the publisher's video in this height from now on.
fn want(studio: &mut Studio, viewer: usize, height: Option<u16>) {
    let peer = studio.viewers[viewer].client.spec.peer;
    let want = Want {
        height,
        on_stage: false,
    };
    let wants = vec![(FeedRef::camera(ParticipantId(1)), want)];
    studio
        .worker
        .handle_command(studio.now, MediaCommand::Want { peer, wants });
}

/// What viewers were told since the last call.
fn told(studio: &mut Studio) -> Vec<Quality> {
    let events = events(&mut studio.worker).into_iter();
    let told = events.filter_map(|event| match event {
        MediaEvent::Quality { quality, .. } => Some(quality),
        _ => None,
    });
    told.collect()
}

fn newest_layer(studio: &Studio, viewer: usize) -> usize {
    studio.viewers[viewer].layers().last().unwrap().1
}

/// Runs a scene in which one of two viewers wants another height from time to time.
fn wishes(mut studio: Studio) {
    run(&mut studio, 6_000);
    assert_eq!((newest_layer(&studio, 0), newest_layer(&studio, 1)), (2, 2));
    let began = studio.now;
    want(&mut studio, 0, Some(300));
    run(&mut studio, 3_000);
    assert_eq!(newest_layer(&studio, 0), 1, "the smallest that is as high");
    want(&mut studio, 0, Some(0));
    run(&mut studio, 100);
    let (packets, requests) = (studio.viewers[0].packets, studio.requests);
    run(&mut studio, 10_000);
    assert_eq!(
        (studio.viewers[0].packets, studio.requests),
        (packets, requests),
        "nothing is sent"
    );
    let again = studio.now;
    want(&mut studio, 0, Some(16_384));
    run(&mut studio, 200);
    let first = studio.viewers[0]
        .shown
        .iter()
        .find(|picture| picture.at >= again)
        .unwrap();
    assert!(first.at - again <= Duration::from_millis(150), "{:?}", first.at - again);
    run(&mut studio, 3_000);
    assert_eq!(newest_layer(&studio, 0), 2, "more than there is means the best");
    assert_eq!(studio.viewers[0].undecodable, 0);
    let other = &studio.viewers[1];
    assert!(
        other.layers().iter().all(|(at, _)| *at < began),
        "the other viewer notices nothing"
    );
    assert!(other.longest_pause(began) <= Duration::from_millis(150));
    assert_agrees(&studio.worker);
}

#[test]
fn a_video_has_the_height_in_which_it_is_shown_and_is_not_sent_where_it_is_not_shown() {
    let mut studio = Studio::new(2);
    studio.path(0, 5_000, 5_000);
    wishes(studio);
}

#[test]
fn what_is_wanted_counts_too_where_nothing_is_known_of_the_path() {
    wishes(Studio::new(2));
}

#[test]
fn what_is_wanted_of_other_videos_changes_nothing() {
    let mut studio = Studio::new(1);
    run(&mut studio, 4_000);
    let peer = studio.viewers[0].client.spec.peer;
    let nothing = Want {
        height: Some(0),
        on_stage: true,
    };
    let screen = FeedRef {
        feed: patchbay::ids::Feed::Screen,
        ..FeedRef::camera(ParticipantId(1))
    };
    let wants = vec![(screen, nothing), (FeedRef::camera(ParticipantId(9)), nothing)];
    let now = studio.now;
    studio.worker.handle_command(now, MediaCommand::Want { peer, wants });
    run(&mut studio, 3_000);
    assert!(studio.viewers[0].longest_pause(now) <= Duration::from_millis(150));
    assert_eq!(newest_layer(&studio, 0), 2);
}

#[test]
fn a_viewer_who_understands_it_is_told_what_they_get_and_why() {
    let mut studio = Studio::new(1);
    let viewer = studio.join_as(Features {
        video_quality: true,
        send_layers: false,
    });
    let quality = |state, height, wanted| Quality { state, height, wanted };
    studio.path(viewer, 5_000, 5_000);
    run(&mut studio, 6_000);
    let first = told(&mut studio);
    assert_eq!(first.last(), Some(&quality(State::Full, Some(720), None)), "{first:?}");
    studio.path(viewer, 700, 0);
    run(&mut studio, 2_000);
    let narrow = quality(State::Reduced(Cause::Bandwidth), Some(360), None);
    assert_eq!(told(&mut studio), [narrow]);
    want(&mut studio, viewer, Some(0));
    run(&mut studio, 2_000);
    assert_eq!(told(&mut studio), [quality(State::Unwanted, None, Some(0))]);
    assert_eq!(studio.worker.stats().unwanted_videos, 1);
    studio.path(viewer, 5_000, 5_000);
    want(&mut studio, viewer, Some(1_080));
    run(&mut studio, 6_000);
    let less = quality(State::Reduced(Cause::Sender), Some(720), Some(1_080));
    assert_eq!(told(&mut studio).last(), Some(&less));
    studio.path(viewer, 20, 0);
    run(&mut studio, 4_000);
    let paused = quality(State::Paused(Cause::Bandwidth), None, Some(1_080));
    let all = told(&mut studio);
    assert_eq!(all.last(), Some(&paused));
    let stats = studio.worker.stats();
    let others = (stats.full_videos, stats.reduced_videos, stats.unwanted_videos);
    assert_eq!(stats.paused_videos, 1, "{others:?} {all:?}");
    assert!(stats.paused_video_millis >= 500, "{} ms", stats.paused_video_millis);
}

#[test]
fn a_viewer_whose_wishes_change_all_the_time_is_not_told_each_time() {
    let mut studio = Studio::new(0);
    let viewer = studio.join_as(Features {
        video_quality: true,
        send_layers: false,
    });
    run(&mut studio, 3_000);
    told(&mut studio);
    let mut reports = 0;
    for at in 0..40 {
        want(&mut studio, viewer, Some(if at % 2 == 0 { 0 } else { 1_080 }));
        run(&mut studio, 100);
        reports += told(&mut studio).len();
    }
    assert!((2..=5).contains(&reports), "{reports} reports in four seconds");
}
