//! Streams of which frames are chosen by their dependency descriptors alone: nobody can read their payloads.

mod scene;

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
    let key = |got: &scene::Got| {
        got.descriptor
            .as_ref()
            .is_some_and(|descriptor| descriptor.get(3).is_some_and(|flags| flags & 0x80 != 0))
    };
    let (&again, _) = watcher.got.iter().rfind(|(_, got)| key(got)).unwrap();
    // A frame may come for 600 ms. Then the key frame is asked for at once, though another was asked for not long ago.
    let after = watcher.got[&again].at.saturating_duration_since(broken);
    assert!((1..1_200).contains(&after.as_millis()), "{after:?}");
    watcher.got = watcher.got.split_off(&again);
    assert!(watcher.shown().len() > 30);
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
    let first = &scene.viewers[0].got.values().next().unwrap().payload[..4];
    assert_eq!(first, 65_000_u32.to_be_bytes(), "the first packet of all");
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
        let got = scene.viewers[0].got.values().filter(|got| got.at > since);
        let largest = got.filter(|got| got.payload.len() == BYTES[2]);
        assert!(largest.count() > 40, "seed {seed}");
    }
}
