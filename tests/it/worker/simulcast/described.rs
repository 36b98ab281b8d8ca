//! Streams of which frames are chosen by their dependency descriptors alone: nobody can read their payloads.

mod scene;
mod wants;
mod watcher;

use patchbay::media::codec::h264;

use self::scene::{BYTES, MILLIS, Scene};
use super::*;

const L1T3: &str = include_str!("../../../fixtures/dependency/av1-l1t3.txt");
const L3T3: &str = include_str!("../../../fixtures/dependency/av1-l3t3.txt");
const L3T3_KEY: &str = include_str!("../../../fixtures/dependency/av1-l3t3-key.txt");
const H264_L1T3: &str = include_str!("../../../fixtures/dependency/h264-l1t3.txt");

const AV1: Codec = Codec::Av1 { profile: 0, tier: 0 };
const H264: Codec = Codec::H264 {
    profile: h264::Profile::ConstrainedBaseline,
    packetization_mode: 1,
};

#[test]
fn each_viewer_gets_the_sizes_that_fit_by_what_descriptors_say() {
    for recorded in [L3T3, L3T3_KEY] {
        let mut scene = Scene::new(AV1, &[(recorded, 60_000)], &[true, true]);
        (0..2).for_each(|viewer| scene.path(viewer, 5_000));
        scene.run(6_000);
        assert_eq!(
            scene.viewers[0].shown().iter().map(|shown| shown.spatial).max(),
            Some(2)
        );
        for (kbps, size) in [(420, 1), (110, 0), (5_000, 2)] {
            scene.path(0, kbps);
            // What was put off before is sent first.
            scene.run(400);
            let since = scene.now;
            scene.run(4_000);
            let shown = scene.viewers[0].since(since);
            assert_eq!(shown.iter().map(|shown| shown.spatial).max(), Some(size), "{kbps} kb/s");
            assert!(shown.len() > 80, "{kbps} kb/s: {}", shown.len());
            let rate = scene.viewers[0].kbps(since, scene.now);
            assert!(rate <= kbps, "{rate} of {kbps} kb/s");
            // Viewers are told which parts of the stream they get.
            let above = shown
                .iter()
                .filter(|shown| size < 2 && shown.active >> (3 * (size + 1)) != 0);
            assert_eq!(above.count(), 0, "{kbps} kb/s");
        }
        let whole = scene.viewers[1].shown();
        assert!(whole.iter().filter(|shown| shown.spatial == 2).count() * 2 > whole.len());
        assert_agrees(&scene.worker);
    }
}

#[test]
fn fewer_pictures_reach_a_narrow_path_and_all_come_back_without_a_key_frame() {
    for (codec, recorded) in [(AV1, L1T3), (H264, H264_L1T3)] {
        let mut scene = Scene::new(codec, &[(recorded, 65_500)], &[true, false]);
        scene.recordings[0].bytes = [400; 3];
        (0..2).for_each(|viewer| scene.path(viewer, 5_000));
        scene.run(4_000);
        let rate = scene.viewers[0].kbps(scene.now - MILLIS * 2_000, scene.now);
        let requests = scene.requests;
        for viewer in 0..2 {
            scene.path(viewer, rate * 6 / 10);
        }
        scene.run(500);
        let narrow = scene.now;
        scene.run(2_000);
        let wide = scene.now;
        (0..2).for_each(|viewer| scene.path(viewer, 5_000));
        scene.run(4_000);
        assert_eq!(scene.requests, requests, "{codec}");
        let shown = scene.viewers[0].shown();
        let highest = |from: Instant, to: Instant| {
            let shown = shown.iter().filter(|shown| shown.at > from && shown.at <= to);
            shown.map(|shown| shown.temporal).max()
        };
        assert!(highest(narrow, wide) < Some(2), "{codec}");
        assert_eq!(highest(wide, scene.now), Some(2), "{codec}");
        // Whoever reads no descriptors gets such pictures without them.
        let got = &scene.viewers[1].got;
        assert!(got.values().all(|got| got.descriptor.is_none()));
        assert!(got.keys().zip(got.keys().skip(1)).all(|(one, next)| one + 1 == *next));
        let rate = scene.viewers[1].kbps(narrow, wide);
        assert!(
            rate > 10 && scene.viewers[1].kbps(wide + MILLIS * 1_000, scene.now) > rate,
            "{codec}: {rate}"
        );
        assert_agrees(&scene.worker);
    }
}

/// Receivers of AV1 find the frames of a picture by descriptors alone.
#[test]
fn who_reads_no_descriptors_gets_one_size_of_av1() {
    let mut scene = Scene::new(AV1, &[(L3T3, 7)], &[true, false]);
    (0..2).for_each(|viewer| scene.path(viewer, 5_000));
    scene.run(7_000);
    assert_eq!(
        scene.viewers[0].shown().iter().map(|shown| shown.spatial).max(),
        Some(2)
    );
    let got = &scene.viewers[1].got;
    assert!(got.len() > 100 && got.values().all(|got| got.payload.len() == BYTES[0]));
    assert!(got.keys().zip(got.keys().skip(1)).all(|(one, next)| one + 1 == *next));
    // Of a path that carries the smallest size and no more, nothing is kept free for the others.
    scene.path(1, 200);
    scene.run(500);
    let since = scene.now;
    scene.run(2_000);
    assert!(scene.viewers[1].kbps(since, scene.now) > 40);
}

/// The encodings of a track number their frames as they like.
#[test]
fn numbers_of_frames_go_on_where_the_encoding_changes() {
    let mut scene = Scene::new(AV1, &[(L1T3, 40_000), (L1T3, 9)], &[true]);
    scene.recordings[0].bytes = [100; 3];
    scene.recordings[1].bytes = [900; 3];
    for kbps in [250, 5_000, 250, 5_000] {
        scene.path(0, kbps);
        scene.run(5_000);
    }
    let shown = scene.viewers[0].shown();
    assert!(shown.len() > 300, "{}", shown.len());
    let mut sizes: Vec<usize> = scene.viewers[0].got.values().map(|got| got.payload.len()).collect();
    sizes.retain(|&size| size > 0);
    sizes.dedup();
    assert_eq!(sizes, [100, 900, 100, 900]);
}

#[test]
fn what_is_sent_again_has_the_same_descriptor() {
    for recorded in [L3T3, L3T3_KEY, L1T3] {
        let mut scene = Scene::new(AV1, &[(recorded, 65_000)], &[true]);
        scene.viewers[0].loses_one_in = 7;
        for kbps in [5_000, 300, 110, 5_000] {
            scene.path(0, kbps);
            scene.run(3_000);
        }
        scene.viewers[0].loses_one_in = 0;
        scene.run(300);
        let repaired = scene.viewers[0].repaired;
        assert!(repaired > 30, "{repaired}");
        assert!(scene.viewers[0].shown().len() > 200);
    }
}

/// A frame that others need never comes: one request, and a key frame mends it.
#[test]
fn a_broken_chain_is_mended_by_a_key_frame_and_few_are_asked_for() {
    let mut scene = Scene::new(AV1, &[(L1T3, 65_000)], &[true]);
    scene.path(0, 5_000);
    scene.run(1_000);
    let gone = scene.packets + 1;
    scene.upstream = Box::new(move |number| (number < gone || number > gone + 12).then_some(0));
    let (requests, broken) = (scene.requests, scene.now);
    scene.run(4_000);
    let asked = scene.requests - requests;
    assert!((1..=2).contains(&asked), "{asked}");
    // What is missing was given up long ago.
    let watcher = &mut scene.viewers[0];
    let (&again, _) = watcher
        .got
        .iter()
        .rfind(|(_, got)| watcher::has_structure(got))
        .unwrap();
    // A frame may come for 600 ms. Then the key frame is asked for at once, though another was asked for not long ago.
    let after = watcher.got[&again].at.saturating_duration_since(broken);
    assert!((1..1_200).contains(&after.as_millis()), "{after:?}");
    watcher.got = watcher.got.split_off(&again);
    assert!(watcher.shown().len() > 30);
}

/// The pictures that have come before are read again.
#[test]
fn who_comes_after_a_key_frame_begins_with_it() {
    let mut scene = Scene::new(H264, &[(H264_L1T3, 65_000)], &[true]);
    scene.path(0, 5_000);
    scene.run(800);
    let (requests, next) = (scene.requests, 65_000 + scene.packets as u32);
    scene.join(true, Some(VIDEO_RTX_PT), false);
    scene.path(1, 5_000);
    scene.run(1_000);
    let first = scene.viewers[1].got.values().next().unwrap();
    assert!(first.payload[..4] < next.to_be_bytes()[..], "it came before");
    let shown = scene.viewers[1].shown().len();
    assert!(shown > 30, "{shown}");
    assert_eq!(scene.requests, requests);
}

/// The packet with the structure comes late. What came before it is kept, and found again.
#[test]
fn packets_that_came_before_their_structure_are_not_lost() {
    let mut scene = Scene::new(AV1, &[(L1T3, 65_000)], &[true]);
    scene.path(0, 5_000);
    scene.upstream = Box::new(|number| Some(if number == 1 { 6 } else { 0 }));
    scene.is_deaf = true;
    scene.run(300);
    let shown = scene.viewers[0].shown();
    assert!(shown.len() >= 4, "{}", shown.len());
    for (number, got) in (65_000_u32..).zip(scene.viewers[0].got.values()) {
        assert_eq!(
            got.payload[..4],
            number.to_be_bytes(),
            "each packet, from the first of all on"
        );
    }
}

/// Other sizes begin with a structure of their own, of which other packets come first, in the same batch. Nobody has to ask for them.
#[test]
fn packets_that_came_with_their_structure_but_before_it_are_forwarded() {
    let mut scene = Scene::new(AV1, &[(L1T3, 65_000)], &[true]);
    scene.viewers[0].asks = false;
    scene.path(0, 5_000);
    scene.run(1_000);
    scene.is_reversed = true;
    scene.recordings[0].turns_to(L3T3);
    scene.run(1_000);
    let shown = scene.viewers[0].shown();
    assert_eq!(shown.iter().map(|shown| shown.spatial).max(), Some(2));
}

/// A packet of before it comes after it: nobody can read it, and nobody waits for it.
#[test]
fn a_late_packet_of_a_structure_that_is_over_is_missed_by_nobody() {
    let mut scene = Scene::new(AV1, &[(L1T3, 65_000)], &[true, false]);
    (0..2).for_each(|viewer| scene.path(viewer, 5_000));
    scene.run(1_000);
    let (last, requests) = (scene.packets + 1, scene.requests);
    scene.upstream = Box::new(move |number| Some(if number == last { 9 } else { 0 }));
    while scene.packets < last {
        scene.run(11);
    }
    scene.recordings[0].turns_to(L3T3);
    scene.run(1_000);
    assert!(scene.viewers[0].shown().len() > 55);
    let got = &scene.viewers[1].got;
    assert!(got.keys().zip(got.keys().skip(1)).all(|(one, next)| one + 1 == *next));
    assert_eq!(scene.requests, requests, "the key frame has come");
}

/// What waits for its turn is nothing to a viewer any more when another structure, or another encoding, has begun.
#[test]
fn what_has_waited_when_its_stream_was_left_is_missed_by_nobody() {
    let mut empty = 0;
    for late in 1..12 {
        let mut scene = Scene::new(AV1, &[(L1T3, 65_000)], &[true]);
        scene.recordings[0].key_packets = 30;
        scene.recordings[0].bytes = [1_000; 3];
        scene.path(0, 900);
        scene.run(2_000);
        scene.recordings[0].turns_to(L1T3);
        scene.run(11 * late);
        scene.recordings[0].turns_to(L3T3);
        scene.run(2_000);
        let watcher = &mut scene.viewers[0];
        let got = &watcher.got;
        assert!(got.keys().zip(got.keys().skip(1)).all(|(one, next)| one + 1 == *next));
        empty += got.values().filter(|got| got.payload.is_empty()).count();
        let (&newest, _) = got.iter().rfind(|(_, got)| watcher::has_structure(got)).unwrap();
        watcher.got = watcher.got.split_off(&newest);
        let shown = watcher.shown().len();
        assert!(shown > 10, "{shown}");
    }
    assert!(empty > 0);
}

/// The numbers of frames go round, all the while with the first structure.
#[test]
fn a_structure_holds_when_all_numbers_were_used() {
    let mut scene = Scene::new(AV1, &[(L3T3, 0)], &[true]);
    scene.path(0, 5_000);
    scene.run(1_000);
    // To somewhat before the number with which it began, and then past that, without a key frame.
    for skips in [32_000, 32_000, 960] {
        scene.recordings[0].skips = skips;
        scene.recordings[0].turns_to(L3T3);
        scene.run(1_000);
    }
    let requests = scene.requests;
    scene.viewers[0].loses_one_in = 7;
    scene.run(4_000);
    scene.viewers[0].loses_one_in = 0;
    scene.run(300);
    assert!(scene.viewers[0].repaired > 20, "{}", scene.viewers[0].repaired);
    assert!(scene.viewers[0].shown().len() > 150);
    assert_eq!(scene.requests, requests);
}

#[test]
fn without_rtx_a_packet_that_is_sent_again_has_the_same_bits() {
    for recorded in [L3T3, L1T3] {
        let mut scene = Scene::new(AV1, &[(recorded, 65_000)], &[]);
        scene.join(true, None, false);
        scene.viewers[0].loses_one_in = 7;
        scene.path(0, 5_000);
        scene.run(3_000);
        // What was sent before another structure, or before one that nobody can read, is asked for after it.
        let mut structures = 0;
        scene.recordings[0].spoils = Some(Box::new(move |descriptor| {
            if descriptor.get(3).is_some_and(|flags| flags & 0x80 != 0) {
                structures += 1;
                descriptor.truncate(if structures % 2 == 0 { 6 } else { descriptor.len() });
            }
        }));
        for turn in 0..20 {
            scene.recordings[0].turns_to(if turn / 2 % 2 == 0 { L1T3 } else { L3T3 });
            scene.run(300 + 11 * turn);
        }
        let repaired = scene.viewers[0].repaired;
        assert!(repaired > 20, "{repaired}");
    }
}

/// Whoever comes on another worker, which has not seen the structure, gets it with a key frame.
#[test]
fn a_viewer_on_another_worker_gets_the_frames_that_their_path_carries() {
    let mut scene = Scene::new(AV1, &[(L3T3, 65_000)], &[true]);
    scene.path(0, 5_000);
    scene.run(3_000);
    let requests = scene.requests;
    scene.join(true, Some(VIDEO_RTX_PT), true);
    scene.viewers[1].loses_one_in = 9;
    scene.path(1, 5_000);
    for (kbps, size) in [(5_000, 2), (420, 1), (110, 0), (5_000, 2)] {
        scene.path(1, kbps);
        scene.run(500);
        let since = scene.now;
        scene.run(3_000);
        scene.viewers[1].loses_one_in = 0;
        scene.run(100);
        let shown = scene.viewers[1].since(since);
        assert_eq!(shown.iter().map(|shown| shown.spatial).max(), Some(size), "{kbps} kb/s");
        assert!(shown.len() > 60, "{kbps} kb/s: {}", shown.len());
    }
    assert!(
        (1..=4).contains(&(scene.requests - requests)),
        "{}",
        scene.requests - requests
    );
    assert!(scene.viewers[1].repaired > 5);
}

/// Nobody can read its packets, and nobody wants to.
#[test]
fn no_key_frame_is_asked_for_of_a_stream_that_nobody_watches() {
    let mut scene = Scene::new(AV1, &[(L1T3, 65_000)], &[]);
    scene.upstream = Box::new(|number| (number > 1).then_some(0));
    scene.run(7_000);
    assert_eq!(scene.requests, 0);
    scene.join(true, Some(VIDEO_RTX_PT), false);
    scene.run(1_500);
    assert_eq!(scene.requests, 1);
    let shown = scene.viewers[0].shown().len();
    assert!(shown > 20, "{shown}");
}

/// Descriptors of any kind, also with structures that change with each packet, and layers that come and go.
#[test]
fn descriptors_that_make_no_sense_harm_nobody_and_cost_few_requests() {
    for seed in 1..6 {
        let mut scene = Scene::new(AV1, &[(L3T3, 65_000), (L1T3, 7)], &[true, false]);
        (0..2).for_each(|viewer| scene.path(viewer, 5_000));
        scene.run(1_000);
        let (requests, began) = (scene.requests, scene.now);
        let mut state = seed;
        let mut dice = move || {
            state = u64::wrapping_mul(state, 6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        scene.recordings[0].spoils = Some(Box::new(move |descriptor| match dice() % 4 {
            // Bits are turned over, most often in the structure.
            0 => {
                let at = 3.min(descriptor.len() - 1) + dice() % (descriptor.len() - 3).max(1);
                let at = at.min(descriptor.len() - 1);
                descriptor[at] ^= 1 << (dice() % 8);
            }
            // Another frame, another template, a structure of 64 templates of which the last is cut.
            1 => descriptor[dice() % 3] = dice() as u8,
            2 if dice() % 8 == 0 => {
                descriptor.truncate(3);
                descriptor.extend((0..dice() % 250).map(|_| dice() as u8));
            }
            _ => {}
        }));
        for kbps in [300, 5_000, 110, 5_000] {
            scene.path(0, kbps);
            scene.run(1_500);
        }
        let asked = scene.requests - requests;
        let seconds = (scene.now - began).as_secs() as usize;
        assert!(asked <= 4 * seconds, "{asked} requests for two streams in {seconds} s");
        assert_agrees(&scene.worker);
        // Once it makes sense again, so do the pictures.
        scene.recordings[0].spoils = None;
        let since = scene.now;
        scene.run(4_000);
        let count = |viewer: usize, size: usize| {
            let got = scene.viewers[viewer].got.values().filter(|got| got.at > since);
            got.filter(|got| got.payload.len() == size).count()
        };
        assert!(count(0, BYTES[2]) > 40, "seed {seed}");
        assert!(count(1, BYTES[0]) > 40, "seed {seed}");
        // From the first structure on, all can be decoded.
        let watcher = &mut scene.viewers[0];
        let begins = |(_, got): &(&u64, &watcher::Got)| got.at > since && watcher::has_structure(got);
        let first = *watcher.got.iter().find(begins).unwrap().0;
        watcher.got = watcher.got.split_off(&first);
        assert!(watcher.shown().len() > 40, "seed {seed}");
    }
}
