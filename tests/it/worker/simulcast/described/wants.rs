//! Viewers who show a small picture: they get the lower frames of a stream alone, and what is missing of the others is nothing to
//! them.

use std::cell::Cell;
use std::rc::Rc;

use patchbay::ids::{FeedRef, ParticipantId};
use patchbay::media::codec::dependency::Stream;
use patchbay::video::Want;

use super::*;

/// Time for which a frame is waited for (`media/codec/dependency/history.rs`), and that until the next one comes that needs it.
const PATIENCE: Duration = Duration::from_millis(600 + 10 * 11);

/// A viewer shows the video in this height from now on.
fn want(scene: &mut Scene, viewer: usize, height: Option<u16>) {
    let peer = scene.viewers[viewer].client.spec.peer;
    let on_stage = false;
    let wants = vec![(FeedRef::camera(ParticipantId(1)), Want { height, on_stage })];
    scene
        .worker
        .handle_command(scene.now, MediaCommand::Want { peer, wants });
    let mut sent = Vec::new();
    drain(&mut scene.worker, &mut sent);
    scene.hand_out(sent);
}

/// Numbers of frames by what each packet says of itself, for packets that came since then.
fn numbers(scene: &Scene, viewer: usize, since: Instant) -> Vec<(Vec<u8>, u16, bool)> {
    let got = scene.viewers[viewer].got.values();
    let got = got.filter(|got| got.at > since && !got.payload.is_empty());
    let number = |got: &watcher::Got| {
        let descriptor = got.descriptor.as_ref().unwrap();
        let number = u16::from_be_bytes([descriptor[1], descriptor[2]]);
        (got.payload[..4].to_vec(), number, watcher::has_structure(got))
    };
    got.map(number).collect()
}

#[test]
fn who_shows_a_small_picture_gets_the_lowest_size_and_its_frames_keep_their_distances() {
    for recorded in [L3T3, L3T3_KEY] {
        let mut scene = Scene::new(AV1, &[(recorded, 65_000)], &[true, true]);
        (0..2).for_each(|viewer| scene.path(viewer, 5_000));
        scene.run(4_000);
        want(&mut scene, 0, Some(1));
        scene.run(500);
        let since = scene.now;
        // The recording, and the numbers of its frames, begin again meanwhile.
        scene.run(4_000);
        let (small, whole) = (scene.viewers[0].since(since), scene.viewers[1].since(since));
        assert!(small.iter().all(|shown| shown.spatial == 0 && shown.active >> 3 == 0));
        let pictures = small.len().abs_diff(whole.len());
        assert!(
            pictures <= 4,
            "of nearly each picture something: {} of {}",
            small.len(),
            whole.len()
        );
        assert_eq!(small.iter().map(|shown| shown.temporal).max(), Some(2));
        let all = numbers(&scene, 1, since);
        let (mut offset, mut compared) = (None, 0);
        for (packet, number, has_structure) in numbers(&scene, 0, since) {
            let (_, of_whole, _) = all.iter().find(|(other, ..)| *other == packet).unwrap();
            let distance = number.wrapping_sub(*of_whole);
            assert!(
                has_structure || offset.is_none_or(|offset| offset == distance),
                "{number}"
            );
            offset = Some(distance);
            compared += 1;
        }
        assert!(compared > 80, "{compared}");
        want(&mut scene, 0, None);
        scene.run(4_000);
        let shown = scene.viewers[0].since(since);
        assert_eq!(shown.iter().map(|shown| shown.spatial).max(), Some(2));
        assert_agrees(&scene.worker);
    }
}

/// Lets one frame of this size be lost that others of its size depend on. Returns the time after which a key frame is asked for.
fn asked_after_a_loss(spatial: u8) -> Option<Duration> {
    let mut scene = Scene::new(AV1, &[(L3T3, 65_000)], &[true]);
    scene.path(0, 5_000);
    want(&mut scene, 0, Some(1));
    let newest = Rc::new(Cell::new((0, 0, 0)));
    let (seen, mut stream) = (Rc::clone(&newest), Stream::default());
    scene.recordings[0].spoils = Some(Box::new(move |descriptor| {
        let frame = stream.read(descriptor, false).unwrap();
        seen.set((frame.layers.spatial, frame.layers.temporal, frame.number));
    }));
    scene.run(3_000);
    let (requests, lost) = (scene.requests, Rc::new(Cell::new(None)));
    let gone = Rc::clone(&lost);
    scene.upstream = Box::new(move |_| {
        let (of, temporal, number) = newest.get();
        if gone.get().is_none() && (of, temporal) == (spatial, 0) {
            gone.set(Some(number));
        }
        // All of its packets.
        (gone.get() != Some(number)).then_some(0)
    });
    while lost.get().is_none() {
        scene.run(11);
    }
    let broken = scene.now;
    while scene.requests == requests && scene.now - broken < 2 * PATIENCE {
        scene.run(11);
    }
    let asked = (scene.requests > requests).then(|| scene.now - broken);
    // What is missing was given up.
    scene.run(1_000);
    let (&newest, got) = scene.viewers[0].got.iter().next_back().unwrap();
    assert!(
        scene.now - got.at < Duration::from_millis(200),
        "{newest}: the picture goes on"
    );
    asked
}

#[test]
fn a_broken_chain_costs_a_key_frame_as_soon_as_the_frame_is_given_up_and_a_frame_of_another_size_nothing() {
    let asked = asked_after_a_loss(0);
    assert!(asked.is_some_and(|time| time <= PATIENCE), "{asked:?}");
    assert_eq!(asked_after_a_loss(2), None, "nobody sees it");
}
