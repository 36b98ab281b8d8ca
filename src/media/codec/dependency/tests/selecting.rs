//! Which frames each viewer gets, of streams without loss.

use std::num::NonZeroU32;

use super::*;

/// The first packet of a picture, from `at` on.
fn picture(packets: &[Packet], at: usize) -> usize {
    (at..)
        .find(|&at| packets[at].timestamp != packets[at - 1].timestamp)
        .unwrap()
}

/// What a decoder gets, by the numbers of frames: it must never be given one whose dependency it was not.
fn assert_decodable(results: &[(Frame, Outcome)]) {
    let mut has = std::collections::BTreeSet::new();
    for (frame, decision) in results.iter().filter(|(_, decision)| decision.forwards) {
        for distance in frame.dependencies() {
            let needed = frame.number - distance;
            assert!(has.contains(&needed), "{} needs {needed}: {decision:?}", frame.number);
        }
        has.insert(frame.number);
    }
}

/// What was forwarded of each picture, except of those at which more layers began than before.
fn pictures(packets: &[Packet], results: &[(Frame, Outcome)]) -> Vec<Vec<(Frame, Outcome)>> {
    let mut pictures: Vec<(u32, Vec<(Frame, Outcome)>)> = Vec::new();
    for (packet, result) in packets.iter().zip(results) {
        match pictures.last_mut() {
            Some((timestamp, picture)) if *timestamp == packet.timestamp => picture.push(*result),
            _ => pictures.push((packet.timestamp, vec![*result])),
        }
    }
    let mut pictures: Vec<_> = pictures.into_iter().map(|(_, picture)| picture).collect();
    pictures.retain(|picture| picture.windows(2).all(|pair| pair[0].1.sent == pair[1].1.sent));
    for picture in &mut pictures {
        picture.retain(|(_, decision)| decision.forwards);
    }
    pictures.retain(|picture| !picture.is_empty());
    pictures
}

#[test]
fn each_target_of_each_stream_gets_its_frames_and_nothing_else() {
    for fixture in ALL {
        let packets = turns(fixture, 2);
        let mut stream = Stream::default();
        stream.read(&packets[0].descriptor, false).unwrap();
        let structure = stream.structure().unwrap().clone();
        for (target, wanted) in structure.targets() {
            let mut viewer = Viewer::new(wanted);
            let results = viewer.receive_all(&packets);
            assert_decodable(&results);
            let mut whole = 0;
            for (frame, decision) in &results {
                let sent = decision.sent.unwrap();
                assert!(
                    sent.is_within(wanted) || decision.needs_key_frame,
                    "{frame:?} {decision:?}"
                );
                if sent == wanted {
                    whole += 1;
                    let belongs = frame.indications.present() & structure.not_above(target) != 0;
                    assert_eq!(decision.forwards, belongs, "{frame:?} {decision:?}");
                }
            }
            assert!(whole > results.len() / 2, "{wanted:?}: {whole} of {}", results.len());
            assert_eq!(results.last().unwrap().1.sent, Some(wanted));
            assert!(!results.last().unwrap().1.needs_key_frame);
        }
    }
}

#[test]
fn the_last_packet_of_what_is_sent_of_a_picture_ends_it() {
    for fixture in ALL {
        let packets = packets(fixture);
        for spatial in 0..3 {
            let results = Viewer::new(layers(spatial, 2)).receive_all(&packets);
            let pictures = pictures(&packets, &results);
            assert!(pictures.len() > 40);
            for picture in pictures {
                let ((frame, last), others) = picture.split_last().unwrap();
                // An encoder may leave out the highest layer of a picture; then it sets no marker either.
                let is_whole = Some(frame.layers.spatial) == last.sent.map(|sent| sent.spatial);
                assert!(last.ends_picture || !is_whole, "{picture:?}");
                assert!(others.iter().all(|(_, decision)| !decision.ends_picture), "{picture:?}");
            }
        }
    }
}

#[test]
fn higher_temporal_layers_begin_at_a_switch_without_a_key_frame() {
    let packets = packets(AV1_L1T3);
    let (before, after) = packets.split_at(100);
    let mut viewer = Viewer::new(layers(0, 0));
    let results = viewer.receive_all(before);
    assert!(
        results
            .iter()
            .all(|(frame, decision)| decision.forwards == (frame.layers.temporal == 0))
    );
    viewer.wanted = Layers::ALL;
    let mut results = [results, viewer.receive_all(after)].concat();
    assert_decodable(&results);
    let rest = results.split_off(100);
    assert!(rest.iter().all(|(_, decision)| !decision.needs_key_frame));
    let first = rest
        .iter()
        .find(|(_, decision)| decision.sent == Some(layers(0, 2)))
        .unwrap();
    assert_eq!(first.0.indications.switches() & 0b100, 0b100, "{first:?}");
    let at = rest.iter().position(|result| result == first).unwrap();
    assert!(at < 20 && rest[at..].iter().all(|(_, decision)| decision.forwards));
}

#[test]
fn lower_layers_of_full_scalability_are_chosen_at_the_next_picture() {
    let packets = packets(AV1_L3T3);
    // The second packet of a picture with three layers.
    let at = packets.len() / 2;
    let at = at + (0..).find(|more| packets[at + more].marker).unwrap() + 2;
    let mut viewer = Viewer::new(Layers::ALL);
    viewer.receive_all(&packets[..at]);
    viewer.wanted = layers(0, 1);
    let results = viewer.receive_all(&packets[at..]);
    let picture = packets[at].timestamp;
    for (packet, (frame, decision)) in packets[at..].iter().zip(results) {
        assert!(!decision.needs_key_frame);
        let belongs = frame.layers.is_within(layers(0, 1));
        assert_eq!(decision.forwards, belongs || packet.timestamp == picture, "{frame:?}");
    }
}

#[test]
fn a_higher_spatial_layer_waits_for_a_key_frame_and_asks_for_it() {
    let packets = turns(AV1_L3T3_KEY, 2);
    let half = packets.len() / 2;
    let mut viewer = Viewer::new(layers(0, 2));
    let results = viewer.receive_all(&packets[..half - 40]);
    assert!(results.iter().skip(20).all(|(_, decision)| !decision.needs_key_frame));
    viewer.wanted = Layers::ALL;
    let waiting = viewer.receive_all(&packets[half - 40..half]);
    for (frame, decision) in waiting {
        assert!(decision.needs_key_frame, "{frame:?}");
        assert_eq!(decision.sent, Some(layers(0, 2)));
        assert_eq!(decision.forwards, frame.layers.spatial == 0);
    }
    let after = viewer.receive_all(&packets[half..]);
    let (_, last) = after.last().unwrap();
    assert_eq!((last.sent, last.needs_key_frame), (Some(layers(2, 2)), false));
}

/// Also where each spatial layer has a chain of its own, the lower ones are sent, so that one of them is enough from the next picture on.
#[test]
fn a_lower_spatial_layer_is_there_at_once() {
    for fixture in [AV1_L3T3, AV1_L3T3_KEY, VP9_L3T3_KEY] {
        let packets = turns(fixture, 2);
        let half = packets.len() / 2;
        let mut viewer = Viewer::new(Layers::ALL);
        let next = picture(&packets, half - 39);
        let mut results = viewer.receive_all(&packets[..next]);
        viewer.wanted = layers(0, 2);
        let lower = viewer.receive_all(&packets[next..]);
        for (frame, decision) in &lower {
            assert!(
                !decision.needs_key_frame && decision.sent == Some(layers(0, 2)),
                "{frame:?}"
            );
            assert_eq!(decision.forwards, frame.layers.spatial == 0);
        }
        results.extend(lower);
        assert_decodable(&results);
    }
}

#[test]
fn after_a_pause_a_key_frame_is_the_way_back_and_numbers_go_on() {
    let packets = turns(AV1_L1T3, 2);
    let half = packets.len() / 2;
    let mut viewer = Viewer::new(Layers::ALL);
    let (pause, resume) = (picture(&packets, 100), picture(&packets, 200));
    let before = viewer.receive_all(&packets[..pause]);
    assert!(before.iter().all(|(frame, decision)| decision.number == frame.number));
    viewer.selection.begin_anew();
    for (_, decision) in viewer.receive_all(&packets[resume..half]) {
        assert!(!decision.forwards && decision.needs_key_frame && decision.sent.is_none());
    }
    viewer.selection.begin_anew();
    let results = viewer.receive_all(&packets[half..]);
    let last = before.last().unwrap().1.number + (packets[half - 1].number() - packets[resume].number()) + 1;
    let first = results[0].0.number;
    for (frame, decision) in results {
        assert!(decision.forwards && !decision.needs_key_frame);
        assert_eq!(decision.number, last + 1 + (frame.number - first));
    }
}

/// Whoever gets the lower pictures of a layer gets all at the next one that opens them: no key frame has to be asked for.
#[test]
fn more_pictures_need_no_key_frame_and_larger_ones_do() {
    for fixture in [AV1_L1T3, AV1_L3T3, AV1_L3T3_KEY, VP8_L1T3] {
        let packets = turns(fixture, 1);
        let mut viewer = Viewer::new(layers(0, 0));
        let at = picture(&packets, packets.len() / 2);
        viewer.receive_all(&packets[..at]);
        let structure = viewer.stream.structure().unwrap();
        let needs = |wanted| viewer.selection.needs_key_frame(structure, wanted);
        let is_one_size = fixture == AV1_L1T3 || fixture == VP8_L1T3;
        assert!(!needs(layers(0, 2)) && needs(layers(2, 2)) != is_one_size);
    }
}

#[test]
fn who_comes_late_begins_with_a_key_frame() {
    for fixture in ALL {
        let packets = turns(fixture, 2);
        let half = packets.len() / 2;
        let mut viewer = Viewer::new(Layers::ALL);
        for packet in &packets[..100] {
            viewer.stream.read(&packet.descriptor, false).unwrap();
        }
        let begun = viewer.receive_all(&packets[100..half]);
        assert!(
            begun
                .iter()
                .all(|(_, decision)| !decision.forwards && decision.needs_key_frame)
        );
        let results = viewer.receive_all(&packets[half..]);
        assert!(results[0].1.forwards);
        assert_decodable(&results);
    }
}

#[test]
fn a_packet_that_is_resent_gets_the_decision_of_its_frame() {
    for wanted in [Layers::ALL, layers(1, 1), layers(0, 0)] {
        let packets = packets(VP9_L3T3);
        let mut viewer = Viewer::new(wanted);
        let first = viewer.receive_all(&packets[..300]);
        viewer.wanted = layers(0, 1);
        viewer.is_late = true;
        for (packet, (_, before)) in packets.iter().zip(&first).skip(150) {
            let (_, again) = viewer.receive(packet);
            assert_eq!(
                (again.forwards, again.ends_picture, again.active),
                (before.forwards, before.ends_picture, before.active)
            );
        }
    }
}

#[test]
fn a_subscriber_with_fewer_layers_is_told_so_in_each_packet_until_a_key_frame_says_otherwise() {
    let packets = turns(AV1_L1T3, 2);
    let half = packets.len() / 2;
    let mut viewer = Viewer::new(Layers::ALL);
    let whole = viewer.receive_all(&packets[..100]);
    assert!(whole.iter().all(|(_, decision)| decision.active.is_none()));
    viewer.wanted = layers(0, 1);
    let next = picture(&packets, 101);
    viewer.receive_all(&packets[100..next]);
    for (_, decision) in viewer.receive_all(&packets[next..200]) {
        assert!(
            !decision.forwards || decision.active == NonZeroU32::new(0b011),
            "{decision:?}"
        );
    }
    viewer.wanted = Layers::ALL;
    viewer.receive_all(&packets[200..240]);
    for (_, decision) in viewer.receive_all(&packets[240..half]) {
        assert_eq!(decision.active, NonZeroU32::new(0b111));
    }
    for (_, decision) in viewer.receive_all(&packets[half..]) {
        assert_eq!(decision.active, None);
    }
}

#[test]
fn a_layer_that_the_sender_does_not_make_is_not_waited_for() {
    let results = Viewer::new(Layers::ALL).receive_all(&packets(AV1_L3T3));
    // At first it makes two spatial layers. The third begins without a key frame, at a switch.
    for (frame, decision) in results {
        assert!(decision.forwards && !decision.needs_key_frame, "{frame:?}");
        let spatial = if frame.number < 11 { 1 } else { 2 };
        assert_eq!(decision.sent, Some(layers(spatial, 2)), "{frame:?}");
    }
}

/// A layer that was made, then not, then again, begins anew: until its first frame, the one below is the highest of each picture.
#[test]
fn a_layer_that_the_sender_makes_again_is_begun_at_a_switch() {
    let packets = packets(AV1_L3T3);
    let mut viewer = Viewer::new(Layers::ALL);
    let results = viewer.receive_all(&packets);
    let [low, middle, high] = [0, 1, 2].map(|spatial| Viewer::back_to(&results, layers(spatial, 0)));
    let number = results.last().unwrap().0.number;
    let mut timestamp = packets.last().unwrap().timestamp;
    let mut receive = |at: u16, spatial: u32, active: u32, dependencies: &[u16], chains: [u16; 3]| {
        timestamp += if spatial == 0 { 3_000 } else { 0 };
        let packet = Packet {
            marker: false,
            timestamp,
            // Templates of the lowest temporal layer.
            descriptor: made([0, 5, 11][spatial as usize], number + at, active, dependencies, chains),
        };
        viewer.receive(&packet).1
    };
    let two = Some(layers(1, 2));
    receive(1, 0, 0x3f, &[low + 1], [low + 1, middle + 1, high + 1]);
    let below = receive(2, 1, 0x3f, &[1, middle + 2], [1, 1, high + 2]);
    assert_eq!(
        (below.sent, below.ends_picture, below.active),
        (two, true, NonZeroU32::new(0x3f))
    );
    receive(3, 0, 0x1ff, &[2], [2, 1, high + 3]);
    let below = receive(4, 1, 0x1ff, &[1, 2], [1, 1, high + 4]);
    assert_eq!(
        (below.sent, below.ends_picture, below.active),
        (two, true, NonZeroU32::new(0x3f))
    );
    assert!(!below.needs_key_frame);
    receive(5, 0, 0x1ff, &[2], [2, 1, high + 5]);
    receive(6, 1, 0x1ff, &[1, 2], [1, 1, high + 6]);
    let top = receive(7, 2, 0x1ff, &[1], [2, 1, 1]);
    assert_eq!(
        (top.sent, top.forwards, top.active),
        (Some(layers(2, 2)), true, NonZeroU32::new(0x1ff))
    );
}

#[test]
fn a_stream_that_counts_anew_goes_on_with_its_key_frame() {
    let mut viewer = Viewer::new(Layers::ALL);
    viewer.receive_all(&turns(AV1_L1T3, 5));
    let again = viewer.receive_all(&packets(AV1_L1T3));
    assert!(again.iter().all(|(_, decision)| decision.forwards));
    // Also a little.
    let once = packets(AV1_L1T3);
    for (turn, count) in [3, 40, once.len()].into_iter().enumerate() {
        viewer.receive_all(&once[..count]);
        let before = viewer.receive(&once[count - 1]).1.number;
        let again = viewer.receive_all(&once[..60]);
        assert!(again.iter().all(|(_, decision)| decision.forwards), "{turn}");
        assert_eq!(again[0].1.number, before.wrapping_add(1));
        assert_decodable(&again);
    }
    // Without one, its numbers say nothing.
    viewer.receive_all(&turns(AV1_L1T3, 5));
    let (_, without) = viewer.receive(&packets(AV1_L1T3)[1]);
    assert!(!without.forwards);
}
