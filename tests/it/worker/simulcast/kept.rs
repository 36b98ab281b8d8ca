//! Viewers who change to another layer soon after a key frame of it has come begin with that one: nobody is asked for another.

use patchbay::ids::{FeedRef, ParticipantId};
use patchbay::video::Want;

use super::*;

/// Time within which a viewer sees the newest picture after a change, with the steps of a scene.
const CATCHES_UP_WITHIN: Duration = Duration::from_millis(250);

/// What has been asked for so far: requests that were sent to the publisher, and beginnings with key frames that had come before.
fn asked(studio: &Studio) -> (u64, u64) {
    let stats = studio.worker.stats();
    (stats.key_frame_requests_sent, stats.replays)
}

fn want(studio: &mut Studio, viewer: usize, height: Option<u16>) {
    let peer = studio.viewers[viewer].client.spec.peer;
    let on_stage = false;
    let wants = vec![(FeedRef::camera(ParticipantId(1)), Want { height, on_stage })];
    let command = MediaCommand::Want { peer, wants };
    studio.worker.handle_command(studio.now, command);
    let mut sent = Vec::new();
    drain(&mut studio.worker, &mut sent);
    studio.hand_out(sent);
}

/// Lets all layers send key frames, and so many milliseconds pass after them.
fn keys(studio: &mut Studio, millis: u64) {
    for layer in &mut studio.layers {
        layer.wants_key = true;
    }
    studio.run(Duration::from_millis(millis));
}

/// A viewer whose path carries so many kb/s has had the layer of this height for a while.
fn settled(kbps: Option<u64>, height: Option<u16>) -> Studio {
    let mut studio = Studio::new(0);
    settle_one(&mut studio, kbps, height);
    studio
}

/// Adds such a viewer. They tell of nothing if nothing is known of their path.
fn settle_one(studio: &mut Studio, kbps: Option<u64>, height: Option<u16>) -> usize {
    let viewer = match kbps {
        Some(_) => studio.join(),
        None => studio.join_telling(Features::NONE, |_| {}),
    };
    if let Some(kbps) = kbps {
        studio.path(viewer, kbps, 5_000);
    }
    want(studio, viewer, height);
    studio.run(Duration::from_millis(6_000));
    viewer
}

/// A viewer has changed to this layer without a gap: they saw some of what they had seen again, and very soon the newest picture.
fn assert_has_changed(studio: &Studio, viewer: usize, changed: Instant, layer: usize) {
    let one = &studio.viewers[viewer];
    assert_eq!((one.undecodable, one.torn, one.given_up.len()), (0, 0, 0));
    let at = one
        .shown
        .iter()
        .position(|shown| shown.at >= changed && shown.layer == layer);
    let (before, after) = one.shown.split_at(at.expect("the layer has come"));
    let (last, first) = (before.last().unwrap(), &after[0]);
    assert!(first.is_key && after.iter().all(|shown| shown.layer == layer));
    assert!(
        first.at - changed <= Duration::from_millis(60),
        "{:?}",
        first.at - changed
    );
    assert!(first.taken + 520 >= last.taken, "{first:?} after {last:?}");
    let newest = after.iter().find(|shown| shown.taken > last.taken).unwrap();
    assert!(newest.at - changed <= CATCHES_UP_WITHIN, "{:?}", newest.at - changed);
    for (shown, next) in one.shown[at.unwrap() - 1..].iter().zip(after) {
        let ids = next.picture_id.wrapping_sub(shown.picture_id) & 0x7fff;
        let ticks = next.timestamp.wrapping_sub(shown.timestamp) as i32;
        assert!(ids == 1 && ticks > 0, "{shown:?} {next:?}");
        let is_again = next.frame == shown.frame + 1 || next.is_key;
        assert!(is_again, "{shown:?} {next:?}");
        // What was seen again takes no time of its own; the rest keeps its times.
        let passed = (next.taken as i32 - last.taken as i32) * 90;
        let since = next.timestamp.wrapping_sub(last.timestamp) as i32;
        // The last layer may have been ahead by a little.
        let most = if next.taken > last.taken + 40 {
            11 * 90
        } else {
            i32::MAX
        };
        assert!((since - passed).abs() <= most, "{last:?} {next:?}");
        assert!(next.taken > last.taken + 40 || since <= 45 * 90, "{last:?} {next:?}");
    }
    assert!(one.longest_pause(changed) <= Duration::from_millis(150));
    assert_agrees(&studio.worker);
}

#[test]
fn up_and_down_a_viewer_goes_on_with_the_key_frame_that_came_last_and_nobody_is_asked() {
    for sends_reports in [true, false] {
        for (from, to, layer) in [
            (Some(300), None, 2),
            (Some(100), Some(300), 1),
            (None, Some(300), 1),
            (None, Some(100), 0),
        ] {
            for age in [60, 250, 480] {
                let mut studio = Studio::new(0);
                studio.sends_reports = sends_reports;
                settle_one(&mut studio, Some(5_000), from);
                keys(&mut studio, age);
                let ((requests, replays), changed) = (asked(&studio), studio.now);
                want(&mut studio, 0, to);
                studio.run(Duration::from_millis(1_500));
                assert_eq!(
                    asked(&studio),
                    (requests, replays + 1),
                    "{from:?} to {to:?} after {age} ms"
                );
                assert_has_changed(&studio, 0, changed, layer);
            }
        }
    }
}

#[test]
fn whoever_falls_goes_on_with_a_kept_key_frame_where_the_path_has_room_for_it() {
    for (kbps, age, expected) in [(700, 200, (0, 1)), (180, 350, (1, 0))] {
        let mut studio = settled(Some(5_000), None);
        keys(&mut studio, age);
        let ((requests, replays), changed) = (asked(&studio), studio.now);
        studio.path(0, kbps, 5_000);
        studio.run(Duration::from_millis(900));
        assert_eq!(
            asked(&studio),
            (requests + expected.0, replays + expected.1),
            "{kbps} kb/s"
        );
        assert_eq!(
            (studio.viewers[0].undecodable, studio.viewers[0].given_up.len()),
            (0, 0)
        );
        assert!(studio.viewers[0].longest_pause(changed) <= Duration::from_millis(150));
    }
}

#[test]
fn an_older_key_frame_or_one_that_does_not_fit_in_is_asked_for_anew() {
    // Too much would be seen again, or it would fill the path for too long.
    for (kbps, age, expected) in [(5_000, 600, (1, 0)), (2_600, 450, (1, 0)), (2_600, 150, (0, 1))] {
        let mut studio = settled(Some(kbps), Some(300));
        keys(&mut studio, age);
        let ((requests, replays), changed) = (asked(&studio), studio.now);
        want(&mut studio, 0, None);
        studio.run(Duration::from_millis(1_500));
        let what = format!("{kbps} kb/s, {age} ms");
        assert_eq!(asked(&studio), (requests + expected.0, replays + expected.1), "{what}");
        assert_eq!(studio.viewers[0].layers().last().unwrap().1, 2, "{what}");
        assert!(studio.viewers[0].longest_pause(changed) <= Duration::from_millis(150));
        assert_eq!((studio.viewers[0].undecodable, studio.viewers[0].torn), (0, 0));
    }
}

#[test]
fn whoever_tells_nothing_of_their_path_begins_with_as_much_as_a_large_key_frame_takes() {
    for (from, to, layer, age, expected) in [
        (Some(300), None, 2, 120, (0, 1)),
        (Some(300), None, 2, 400, (1, 0)),
        (None, Some(300), 1, 400, (0, 1)),
        (None, Some(100), 0, 480, (0, 1)),
    ] {
        let mut studio = settled(None, from);
        keys(&mut studio, age);
        let ((requests, replays), changed) = (asked(&studio), studio.now);
        want(&mut studio, 0, to);
        studio.run(Duration::from_millis(1_500));
        let what = format!("{from:?} to {to:?} after {age} ms");
        assert_eq!(asked(&studio), (requests + expected.0, replays + expected.1), "{what}");
        match expected.1 {
            1 => assert_has_changed(&studio, 0, changed, layer),
            _ => assert_eq!(studio.viewers[0].layers().last().unwrap().1, layer),
        }
    }
}

#[test]
fn whoever_tells_nothing_of_their_path_begins_to_watch_with_the_last_key_frame_too() {
    let mut studio = settled(None, Some(0));
    assert!(studio.viewers[0].shown.is_empty(), "it shows nothing");
    keys(&mut studio, 150);
    let ((requests, replays), began) = (asked(&studio), studio.now);
    want(&mut studio, 0, None);
    studio.run(Duration::from_millis(60));
    assert_eq!(asked(&studio), (requests, replays + 1));
    let one = &studio.viewers[0];
    assert!(one.shown[0].is_key && one.shown[0].at - began <= Duration::from_millis(40));
    let newest = u64::from(one.shown.last().unwrap().taken);
    assert!(newest + 60 >= studio.millis(), "the newest at once: they are few");
    assert_eq!((one.undecodable, one.torn, one.given_up.len()), (0, 0, 0));
    assert_agrees(&studio.worker);
}

#[test]
fn many_who_change_in_turn_cost_the_publisher_nothing() {
    let mut studio = Studio::new(0);
    for viewer in 0..8 {
        studio.join();
        studio.path(viewer, 5_000, 5_000);
        want(&mut studio, viewer, Some(300));
    }
    studio.run(Duration::from_millis(6_000));
    keys(&mut studio, 30);
    let ((requests, replays), changed) = (asked(&studio), studio.now);
    for viewer in 0..8 {
        want(&mut studio, viewer, None);
        studio.run(Duration::from_millis(50));
    }
    studio.run(Duration::from_millis(1_000));
    assert_eq!(asked(&studio), (requests, replays + 8));
    for viewer in 0..8 {
        let since = changed + Duration::from_millis(55) * viewer as u32;
        assert_has_changed(&studio, viewer, since, 2);
    }
}

#[test]
fn packets_that_are_lost_over_such_a_change_are_sent_again() {
    for seed in 1..6_u64 {
        let mut studio = settled(Some(5_000), Some(300));
        studio.viewers[0].fate = Box::new(move |packet| match (packet * 7 + seed) % 20 {
            3 => Fate::IsLost,
            _ => Fate::Comes,
        });
        keys(&mut studio, 300);
        let (requests, replays) = asked(&studio);
        want(&mut studio, 0, None);
        studio.run(Duration::from_millis(2_000));
        assert_eq!(asked(&studio), (requests, replays + 1));
        let one = &studio.viewers[0];
        assert_eq!((one.undecodable, one.given_up.len()), (0, 0), "seed {seed}");
        assert_eq!(one.layers().last().unwrap().1, 2);
    }
}
