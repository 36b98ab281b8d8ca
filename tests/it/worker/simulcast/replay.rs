//! Viewers who come soon after a key frame begin with that one: nobody is asked for another.

use patchbay::media::messages::MediaCommand;
use patchbay::media::names::Muted;

use super::*;

/// A studio whose key frames are so many milliseconds old.
fn studio_after(millis: u64) -> Studio {
    let mut studio = Studio::new(1);
    // The first viewer has settled then.
    studio.run(Duration::from_millis(8_000));
    for layer in &mut studio.layers {
        layer.wants_key = true;
    }
    studio.run(Duration::from_millis(millis));
    studio
}

/// The requests for key frames that were sent so far.
fn asked(studio: &Studio) -> u64 {
    studio.worker.stats().key_frame_requests_sent
}

/// The viewer has seen pictures without a gap from the first one on, and the newest is that of now.
fn assert_has_caught_up(studio: &Studio, viewer: usize) {
    let one = &studio.viewers[viewer];
    assert_eq!((one.undecodable, one.torn, one.given_up.len()), (0, 0, 0));
    let newest = one.shown.last().expect("a picture");
    let age = studio.millis() - u64::from(newest.taken);
    assert!(age <= 120, "the newest picture is {age} ms old");
    assert_agrees(&studio.worker);
}

#[test]
fn a_joiner_begins_with_the_last_key_frame_and_catches_up() {
    let mut studio = studio_after(700);
    let requests = asked(&studio);
    assert_eq!(studio.worker.stats().replays, 0);
    let (joiner, joined) = (studio.join(), studio.now);
    studio.run(Duration::from_millis(1_800));
    assert_eq!(asked(&studio), requests, "nobody was asked");
    assert_eq!(studio.worker.stats().replays, 1);
    let first = studio.viewers[joiner].shown[0];
    assert!(first.is_key && first.at - joined <= Duration::from_millis(60));
    assert!(u64::from(first.taken) + 650 <= (joined - studio.began).as_millis() as u64);
    assert_has_caught_up(&studio, joiner);
    // It sees every picture since then.
    let shown = studio.viewers[joiner].shown.iter();
    assert!(
        shown
            .clone()
            .zip(shown.skip(1))
            .all(|(one, next)| next.frame == one.frame + 1)
    );
}

#[test]
fn a_joiner_is_sent_earlier_pictures_at_twice_their_rate_and_no_faster() {
    let mut studio = studio_after(900);
    let joiner = studio.join();
    let mut before = 0;
    let mut most = 0;
    for _ in 0..18 {
        studio.run(Duration::from_millis(99));
        let bytes = studio.viewers[joiner].bytes;
        most = most.max(bytes - before);
        before = bytes;
    }
    // The lowest layer takes some 150 kb/s, and a path of which nothing is known is taken to carry 300.
    let kbps = most * 8 / 99;
    assert!((350..=850).contains(&kbps), "{kbps} kb/s in a tenth of a second");
    assert_has_caught_up(&studio, joiner);
}

#[test]
fn many_joiners_in_turn_cost_the_publisher_nothing() {
    let mut studio = studio_after(100);
    let requests = asked(&studio);
    for _ in 0..8 {
        studio.join();
        studio.run(Duration::from_millis(77));
    }
    studio.run(Duration::from_millis(1_200));
    assert_eq!(asked(&studio), requests);
    for viewer in 1..9 {
        assert_has_caught_up(&studio, viewer);
    }
}

#[test]
fn packets_that_are_lost_while_a_joiner_catches_up_are_sent_again() {
    for seed in 1..4_u64 {
        let mut studio = studio_after(600);
        let requests = asked(&studio);
        let joiner = studio.join();
        studio.viewers[joiner].fate = Box::new(move |packet| match packet > 1 && (packet * 7 + seed) % 20 == 3 {
            true => Fate::IsLost,
            false => Fate::Comes,
        });
        studio.run(Duration::from_millis(1_900));
        assert_eq!(asked(&studio), requests);
        assert_has_caught_up(&studio, joiner);
    }
}

#[test]
fn an_older_key_frame_serves_nobody() {
    for age in [2_200, 5_000] {
        let mut studio = studio_after(age);
        let requests = asked(&studio);
        studio.join();
        studio.run(Duration::from_millis(200));
        assert_eq!(asked(&studio), requests + 1, "after {age} ms");
        assert_eq!(studio.worker.stats().replays, 0);
    }
}

#[test]
fn a_layer_that_has_paused_since_its_key_frame_serves_nobody() {
    let mut studio = studio_after(100);
    studio.layers.iter_mut().for_each(|layer| layer.is_on = false);
    studio.run(Duration::from_millis(850));
    studio.layers.iter_mut().for_each(|layer| layer.is_on = true);
    studio.run(Duration::from_millis(100));
    let requests = asked(&studio);
    studio.join();
    studio.run(Duration::from_millis(100));
    assert_eq!((asked(&studio), studio.worker.stats().replays), (requests + 1, 0));
}

#[test]
fn of_a_publisher_who_was_muted_nobody_sees_what_came_before() {
    let mut studio = studio_after(300);
    let peer = studio.publisher.spec.peer;
    let mute = |studio: &mut Studio, camera| {
        let muted = Muted {
            camera,
            ..Muted::default()
        };
        let command = MediaCommand::Mute { peer, muted };
        studio.worker.handle_command(studio.now, command);
    };
    mute(&mut studio, true);
    let early = studio.join();
    studio.run(Duration::from_millis(200));
    assert!(studio.viewers[early].shown.is_empty());
    let unmuted = studio.millis();
    mute(&mut studio, false);
    let joiner = studio.join();
    studio.run(Duration::from_millis(1_000));
    for viewer in [early, joiner] {
        let first = studio.viewers[viewer].shown[0];
        assert!(u64::from(first.taken) + 34 >= unmuted, "{first:?} before {unmuted}");
        assert_has_caught_up(&studio, viewer);
    }
}

#[test]
fn the_first_request_after_such_a_beginning_is_passed_over_and_the_next_is_not() {
    let mut studio = studio_after(500);
    let joiner = studio.join();
    studio.run(Duration::from_millis(110));
    let before = asked(&studio);
    for expected in [0, 1] {
        let ssrc = studio.viewers[joiner].client.spec.sections[0].local_ssrc;
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 7, &[]);
        rtcp::write_pli(&mut compound, 7, ssrc);
        let sealed = studio.viewers[joiner].client.seal_rtcp(&compound);
        let address = studio.viewers[joiner].client.address;
        let sent = exchange(studio.now, &mut studio.worker, address, &sealed);
        studio.hand_out(sent);
        studio.run(Duration::from_millis(22));
        assert_eq!(asked(&studio), before + expected);
    }
}

/// A viewer who is paused for so many milliseconds after their publisher has sent nothing but ordinary pictures, and for so many
/// more after key frames have come.
fn paused_for(before: u64, after: u64, sends_reports: bool) -> (Studio, viewer::Picture) {
    let mut studio = Studio::new(1);
    studio.sends_reports = sends_reports;
    studio.path(0, 5_000, 5_000);
    studio.run(Duration::from_millis(4_000));
    studio.path(0, 20, 0);
    // For a while the lowest layer goes on.
    studio.run(Duration::from_millis(2_500));
    let last = *studio.viewers[0].shown.last().unwrap();
    studio.run(Duration::from_millis(before));
    for layer in &mut studio.layers {
        layer.wants_key = true;
    }
    studio.run(Duration::from_millis(after));
    (studio, last)
}

#[test]
fn a_viewer_who_was_paused_begins_with_the_last_key_frame_too_and_the_pictures_keep_their_times() {
    for sends_reports in [true, false] {
        let (mut studio, last) = paused_for(2_000, 400, sends_reports);
        let requests = asked(&studio);
        studio.path(0, 5_000, 5_000);
        studio.run(Duration::from_millis(66));
        assert_eq!((studio.worker.stats().replays, asked(&studio)), (1, requests));
        studio.run(Duration::from_millis(600));
        let shown = &studio.viewers[0].shown;
        let newest = shown.last().unwrap();
        let ticks = newest.timestamp.wrapping_sub(last.timestamp) as i32;
        let passed = (newest.taken as i32 - last.taken as i32) * 90;
        assert!((ticks - passed).abs() <= 100 * 90, "{ticks} of {passed}");
        for (one, next) in shown.iter().zip(&shown[1..]) {
            // The highest layer, which comes next, has a key frame that came at the same time.
            assert!(
                next.taken >= one.taken || (next.is_key && next.layer > one.layer),
                "{one:?} {next:?}"
            );
        }
        assert_eq!(studio.viewers[0].undecodable, 0);
    }
}

#[test]
fn where_a_layer_stops_its_viewer_goes_on_with_a_key_frame_of_another_one_that_has_come_since() {
    for sends_reports in [true, false] {
        let mut studio = Studio::new(1);
        studio.sends_reports = sends_reports;
        studio.path(0, 5_000, 5_000);
        studio.run(Duration::from_millis(5_000));
        let last = *studio.viewers[0].shown.last().unwrap();
        assert_eq!(last.layer, 2);
        studio.layers[2].is_on = false;
        studio.run(Duration::from_millis(250));
        studio.layers[1].wants_key = true;
        let requests = asked(&studio);
        // The layer counts as off 800 ms after its last packet.
        studio.run(Duration::from_millis(1_000));
        assert_eq!((studio.worker.stats().replays, asked(&studio)), (1, requests));
        studio.run(Duration::from_millis(500));
        let viewer = &studio.viewers[0];
        assert_eq!((viewer.undecodable, viewer.torn, viewer.given_up.len()), (0, 0, 0));
        let from = viewer
            .shown
            .iter()
            .position(|one| one.layer == 1 && one.taken > last.taken);
        let (before, after) = viewer.shown.split_at(from.unwrap());
        assert_eq!(before.last().map(|one| one.layer), Some(2));
        assert!(after[0].is_key && after[0].taken < last.taken + 400, "{:?}", after[0]);
        for (one, next) in viewer.shown[from.unwrap() - 1..].iter().zip(after) {
            assert_eq!(
                next.picture_id.wrapping_sub(one.picture_id) & 0x7fff,
                1,
                "{one:?} {next:?}"
            );
            let ticks = next.timestamp.wrapping_sub(one.timestamp) as i32;
            let passed = (next.taken as i32 - one.taken as i32) * 90;
            assert!(ticks > 0 && (ticks - passed).abs() <= 34 * 90, "{ticks} of {passed}");
        }
        assert_has_caught_up(&studio, 0);
    }
}

#[test]
fn nobody_sees_again_more_than_half_a_second() {
    let mut studio = Studio::new(1);
    studio.path(0, 5_000, 5_000);
    studio.run(Duration::from_millis(4_000));
    for layer in &mut studio.layers {
        layer.wants_key = true;
    }
    studio.run(Duration::from_millis(600));
    let requests = asked(&studio);
    // The highest layer stops at once, and the lower one has a key frame that is older than what was shown.
    studio.path(0, 700, 5_000);
    studio.run(Duration::from_millis(500));
    assert_eq!((studio.worker.stats().replays, asked(&studio)), (0, requests + 1));
    let shown = &studio.viewers[0].shown;
    assert!(shown.iter().zip(&shown[1..]).all(|(one, next)| next.taken >= one.taken));
}

#[test]
fn key_frames_that_wait_for_a_narrow_path_are_whole_over_changes_of_the_layer() {
    let mut studio = Studio::new(1);
    studio.path(0, 2_600, 5_000);
    studio.run(Duration::from_millis(4_000));
    for time in 0..12 {
        for layer in &mut studio.layers {
            layer.wants_key = true;
            // As large as eight other pictures.
            layer.key_pictures = 8;
        }
        studio.path(0, [2_600, 700, 2_600, 300][time % 4], 5_000);
        studio.run(Duration::from_millis(1_700));
    }
    let viewer = &studio.viewers[0];
    assert!(studio.worker.stats().paced_packets > 100);
    assert_eq!(viewer.undecodable, 0);
    assert!(viewer.torn <= 12, "{}", viewer.torn);
    assert!(viewer.longest_pause(viewer.shown[0].at) <= Duration::from_millis(700));
}
