//! What the publisher is told to send: nothing that nobody sees, and everything again at once.

use patchbay::ids::{FeedRef, ParticipantId};
use patchbay::video::Want;

use super::*;

/// The most that a publisher may send to the worker of these tests, in kb/s.
const MOST: u64 = 4_000;

fn run(studio: &mut Studio, millis: u64) {
    studio.run(Duration::from_millis(millis));
}

/// The first estimate of this rate since then, in milliseconds after it.
fn first(studio: &Studio, since: Instant, wanted: impl Fn(u64) -> bool) -> Option<u128> {
    let newer = studio.estimates.iter().filter(|(at, _)| *at >= since);
    let found = newer
        .filter(|(_, kbps)| wanted(*kbps))
        .map(|(at, _)| (*at - since).as_millis());
    found.min()
}

fn newest(studio: &Studio) -> u64 {
    studio.estimates.last().map_or(0, |(_, kbps)| *kbps)
}

/// The longest time between two estimates.
fn longest_pause(studio: &Studio) -> Duration {
    let pairs = studio.estimates.windows(2);
    pairs.map(|pair| pair[1].0 - pair[0].0).max().unwrap()
}

#[test]
fn a_publisher_whom_nobody_watches_sends_little_after_five_seconds_and_is_seen_at_once_by_whoever_comes() {
    let mut studio = Studio::new(0);
    let began = studio.now;
    run(&mut studio, 12_000);
    let after = first(&studio, began, |kbps| kbps == 50).unwrap();
    assert!((5_000..=6_200).contains(&after), "{after} ms");
    let before = |at: &&(Instant, u64)| at.0 < began + Duration::from_millis(5_000);
    assert!(
        studio
            .estimates
            .iter()
            .take_while(before)
            .all(|(_, kbps)| *kbps == MOST)
    );
    assert!(studio.estimates.len() >= 11);
    assert_eq!(studio.worker.stats().steered_peers, 1);
    // Its higher layers have stopped.
    (1..3).for_each(|layer| studio.switch(layer, false));
    run(&mut studio, 3_000);
    let came = studio.now;
    let asked = studio.worker.stats().key_frame_requests_sent;
    let viewer = studio.join();
    assert_eq!(studio.worker.stats().key_frame_requests_sent, asked + 1, "at once");
    run(&mut studio, 1_500);
    let after = first(&studio, came, |kbps| kbps == MOST).unwrap();
    assert!(after <= 150, "the bound is lifted after {after} ms");
    let shown = studio.viewers[viewer].shown[0].at - came;
    // The first request is lost here: it is made amid the handshake.
    assert!(shown <= Duration::from_millis(1_150), "a picture after {shown:?}");
    assert!(longest_pause(&studio) <= Duration::from_millis(1_150));
    assert_agrees(&studio.worker);
}

#[test]
fn what_the_last_viewer_leaves_behind_is_let_go_after_five_seconds_and_not_before() {
    let mut studio = Studio::new(2);
    run(&mut studio, 7_000);
    studio.leave(0);
    run(&mut studio, 7_000);
    assert_eq!(newest(&studio), MOST);
    let left = studio.now;
    studio.leave(1);
    run(&mut studio, 7_000);
    let after = first(&studio, left, |kbps| kbps == 50).unwrap();
    assert!((5_000..=6_200).contains(&after), "{after} ms");
}

#[test]
fn viewers_who_come_and_go_each_second_cost_no_more_than_a_few_estimates() {
    let mut studio = Studio::new(0);
    run(&mut studio, 7_000);
    assert_eq!(newest(&studio), 50);
    let (began, sent) = (studio.now, studio.estimates.len());
    for _ in 0..10 {
        let viewer = studio.join();
        run(&mut studio, 500);
        studio.leave(viewer);
        run(&mut studio, 500);
    }
    assert!(studio.estimates.len() - sent <= 13, "{}", studio.estimates.len() - sent);
    assert!(first(&studio, began + Duration::from_millis(150), |kbps| kbps != MOST).is_none());
}

#[test]
fn what_the_largest_picture_needs_is_asked_for_and_more_at_once() {
    let mut studio = Studio::new(2);
    run(&mut studio, 1_000);
    let show = |studio: &mut Studio, viewer: usize, height| {
        let peer = studio.viewers[viewer].client.spec.peer;
        let want = Want {
            height: Some(height),
            ..Want::default()
        };
        let wants = vec![(FeedRef::camera(ParticipantId(1)), want)];
        studio
            .worker
            .handle_command(studio.now, MediaCommand::Want { peer, wants });
    };
    show(&mut studio, 0, 170);
    show(&mut studio, 1, 350);
    run(&mut studio, 6_500);
    assert_eq!(newest(&studio), 1_035, "180 and 360 lines");
    studio.switch(2, false);
    show(&mut studio, 1, 0);
    run(&mut studio, 6_500);
    assert_eq!(newest(&studio), 230, "180 lines");
    studio.switch(1, false);
    run(&mut studio, 2_000);
    assert_eq!(newest(&studio), 230);
    let asked = studio.now;
    show(&mut studio, 0, 700);
    run(&mut studio, 300);
    let after = first(&studio, asked, |kbps| kbps == MOST).unwrap();
    assert!(after <= 150, "{after} ms");
    assert_agrees(&studio.worker);
}
