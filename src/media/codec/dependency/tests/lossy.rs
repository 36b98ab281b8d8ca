//! Frames that are lost, late, or out of order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Numbers of frames with this layer, from the tenth frame on.
fn with_layers(fixture: &str, wanted: Layers) -> Vec<u16> {
    let mut stream = Stream::default();
    let read = packets(fixture)
        .into_iter()
        .map(|packet| stream.read(&packet.descriptor, false).unwrap());
    let numbers: BTreeSet<u16> = read
        .filter(|frame| frame.layers == wanted && frame.number > 10)
        .map(|frame| frame.number)
        .collect();
    numbers.into_iter().collect()
}

fn without(packets: &[Packet], lost: u16) -> (Vec<Packet>, Vec<Packet>) {
    packets.iter().cloned().partition(|packet| packet.number() != lost)
}

/// VP8 comes without chains: there, the next frames tell by what they depend on.
#[test]
fn a_frame_of_the_chain_that_stays_away_ends_the_target_until_a_key_frame() {
    for fixture in [AV1_L1T3, VP8_L1T3] {
        let packets = turns(fixture, 2);
        let half = packets[packets.len() / 2].timestamp;
        let lost = with_layers(fixture, layers(0, 0))[3];
        let (came, gone) = without(&packets, lost);
        let mut viewer = Viewer::new(Layers::ALL);
        let since = gone[0].timestamp;
        for packet in &came {
            let (frame, decision) = viewer.receive(packet);
            let (waited, goes_on) = (since + 90 * 760, packet.timestamp >= half);
            if goes_on || packet.timestamp < since + 90 * 590 {
                assert!(decision.forwards && !decision.needs_key_frame, "{frame:?}");
            } else if packet.timestamp > waited {
                assert!(!decision.forwards && decision.needs_key_frame, "{frame:?}");
            }
        }
    }
}

/// A key frame that is sent again long after it came is nothing new: the stream goes on as it was.
#[test]
fn an_old_key_frame_that_is_sent_again_begins_nothing() {
    let packets = turns(AV1_L1T3, 3);
    let mut viewer = Viewer::new(Layers::ALL);
    let at = packets
        .iter()
        .position(|packet| packet.number() == packets[0].number() + 300);
    viewer.receive_all(&packets[..at.unwrap()]);
    let frame = viewer.stream.read_again(&packets[0].descriptor).unwrap();
    let structure = viewer.stream.structure().unwrap();
    let again = Arrival {
        frame: &frame,
        timestamp: packets[0].timestamp,
        marker: false,
        is_late: true,
    };
    let now = viewer.began + Duration::from_secs(20);
    assert!(!viewer.selection.select(structure, again, Layers::ALL, now).forwards);
    for (frame, decision) in viewer.receive_all(&packets[at.unwrap()..]) {
        assert!(decision.forwards && decision.number == frame.number, "{frame:?}");
    }
}

/// What came late was forwarded in the hope for another one. If that is lost, all that depends on either ends.
#[test]
fn hopes_are_handed_on() {
    let packets = packets(AV1_L1T3);
    let lowest = with_layers(AV1_L1T3, layers(0, 0));
    let (came, _) = without(&packets, lowest[3]);
    let (mut came, late) = without(&came, lowest[4]);
    let back = late[0].timestamp + 90 * 150;
    let at = came.iter().position(|packet| packet.timestamp > back).unwrap();
    came.splice(at..at, late);
    let results = Viewer::new(Layers::ALL).receive_all(&came);
    let (_, last) = results.last().unwrap();
    assert!(!last.forwards && last.needs_key_frame);
}

/// It depends on a frame that was given up, so that all who hoped for it end with it.
#[test]
fn a_late_frame_that_cannot_be_decoded_ends_what_hoped_for_it() {
    let packets = packets(AV1_L1T3);
    let lowest = with_layers(AV1_L1T3, layers(0, 0));
    let (came, lost) = without(&packets, lowest[3]);
    let (mut came, late) = without(&came, lowest[4]);
    let back = lost[0].timestamp + 90 * 700;
    let at = came.iter().position(|packet| packet.timestamp > back).unwrap();
    let count = late.len();
    came.splice(at..at, late);
    let results = Viewer::new(Layers::ALL).receive_all(&came);
    assert!(results[at - 1].1.forwards, "as long as there is hope");
    let rest = results[at..].iter().skip(count + 40);
    rest.for_each(|(frame, decision)| assert!(!decision.forwards && decision.needs_key_frame, "{frame:?}"));
}

#[test]
fn a_key_frame_makes_up_for_what_was_lost_before_it() {
    let packets = turns(AV1_L1T3, 2);
    let lost = *with_layers(AV1_L1T3, layers(0, 0)).last().unwrap();
    let (came, _) = without(&packets, lost);
    for (frame, decision) in Viewer::new(Layers::ALL).receive_all(&came) {
        assert!(decision.forwards && !decision.needs_key_frame, "{frame:?}");
    }
}

/// So many frames at once are not waited for.
#[test]
fn after_a_long_gap_a_key_frame_is_asked_for_at_once() {
    let packets = turns(AV1_L1T3, 5);
    let mut viewer = Viewer::new(Layers::ALL);
    viewer.receive_all(&packets[..40]);
    let gap = packets[39].number() + 300;
    let after = packets.iter().find(|packet| packet.number() == gap).unwrap();
    let (_, decision) = viewer.receive(after);
    assert!(!decision.forwards && decision.needs_key_frame);
}

#[test]
fn a_frame_that_comes_late_leaves_no_trace() {
    let packets = packets(AV1_L3T3);
    for lost in [
        with_layers(AV1_L3T3, layers(0, 0))[3],
        with_layers(AV1_L3T3, layers(1, 1))[2],
    ] {
        let (mut came, gone) = without(&packets, lost);
        let back = gone[0].timestamp + 90 * 200;
        let at = came.iter().position(|packet| packet.timestamp > back).unwrap();
        came.splice(at..at, gone);
        for (frame, decision) in Viewer::new(Layers::ALL).receive_all(&came) {
            assert!(decision.forwards && !decision.needs_key_frame, "{frame:?}");
        }
    }
}

#[test]
fn a_frame_that_comes_after_it_was_given_up_is_left_out() {
    let packets = packets(AV1_L1T3);
    for (lost, ends) in [(layers(0, 0), true), (layers(0, 1), false)] {
        let (mut came, gone) = without(&packets, with_layers(AV1_L1T3, lost)[3]);
        let back = gone[0].timestamp + 90 * 900;
        let at = came.iter().position(|packet| packet.timestamp > back).unwrap();
        came.insert(at, gone[0].clone());
        let results = Viewer::new(Layers::ALL).receive_all(&came);
        assert!(!results[at].1.forwards);
        assert_eq!(results[at].1.needs_key_frame, ends);
    }
}

/// Frames that no later one of the chain refers to can be missed.
#[test]
fn a_lost_frame_outside_the_chain_needs_no_key_frame() {
    let packets = packets(AV1_L3T3);
    for lost in [layers(0, 1), layers(1, 2), layers(2, 1)] {
        let (came, _) = without(&packets, with_layers(AV1_L3T3, lost)[2]);
        let results = Viewer::new(Layers::ALL).receive_all(&came);
        assert!(results.iter().all(|(_, decision)| !decision.needs_key_frame));
        assert_eq!(results.last().unwrap().1.sent, Some(layers(2, 2)));
    }
}

/// The lower layers go on while the higher one waits for its key frame.
#[test]
fn a_broken_chain_of_the_higher_layer_leaves_the_lower_ones() {
    let packets = turns(AV1_L3T3, 2);
    let half = packets[packets.len() / 2].timestamp;
    let (came, gone) = without(&packets, with_layers(AV1_L3T3, layers(2, 0))[2]);
    let waited = gone[0].timestamp + 90 * 800;
    let mut viewer = Viewer::new(Layers::ALL);
    for packet in &came {
        let (frame, decision) = viewer.receive(packet);
        if (waited..half).contains(&packet.timestamp) {
            assert!(decision.needs_key_frame);
            assert_eq!(decision.sent, Some(layers(1, 2)));
            assert_eq!(decision.forwards, frame.layers.spatial < 2);
        }
    }
    let (_, last) = viewer.receive(came.last().unwrap());
    assert!(!last.needs_key_frame && last.sent == Some(layers(2, 2)));
}

/// The chain alone tells of the lost frame: what comes after it does not depend on it.
#[test]
fn a_frame_that_only_its_chain_names_is_missed_too() {
    let packets = packets(AV1_L3T3);
    let mut viewer = Viewer::new(Layers::ALL);
    let results = viewer.receive_all(&packets);
    let [low, middle] = [0, 1].map(|spatial| Viewer::back_to(&results, layers(spatial, 0)));
    let (number, last) = (results.last().unwrap().0.number, packets.last().unwrap());
    // Frame 1 after the last is missing: it is of the highest layer.
    let mut receive = |at: u16, low: u16, high: u16| {
        let packet = Packet {
            marker: true,
            timestamp: last.timestamp + u32::from(at) * 90 * 400,
            descriptor: made(0, number + at, 0x1ff, &[low], [low, middle + at, high]),
        };
        viewer.receive(&packet).1
    };
    let decision = receive(2, low + 2, 1);
    assert_eq!((decision.sent, decision.needs_key_frame), (Some(layers(2, 2)), false));
    receive(3, 1, 2);
    let decision = receive(4, 1, 3);
    assert_eq!((decision.sent, decision.needs_key_frame), (Some(layers(1, 2)), true));
}

/// A stream over a lossy way, as one viewer gets it.
struct Run {
    /// Frames as they were sent, by number.
    sent: BTreeMap<u16, Frame>,
    /// The time at which each frame's first packet came.
    came: BTreeMap<u16, u32>,
    /// Frames that were forwarded, and left out, when their first packet came.
    forwarded: BTreeSet<u16>,
    left_out: BTreeSet<u16>,
}

impl Run {
    fn of(packets: &[Packet]) -> Run {
        let mut stream = Stream::default();
        let read = |packet: &Packet| stream.read(&packet.descriptor, false).unwrap();
        let sent = packets.iter().map(read).map(|frame| (frame.number, frame)).collect();
        Run {
            sent,
            came: BTreeMap::new(),
            forwarded: BTreeSet::new(),
            left_out: BTreeSet::new(),
        }
    }

    fn check(&mut self, structure: &Structure, packet: &Packet, frame: &Frame, decision: Outcome) {
        if self.came.contains_key(&frame.number) {
            // What was forwarded in hope may have been given up since.
            assert!(!decision.forwards || self.forwarded.contains(&frame.number));
            return;
        }
        self.came.insert(frame.number, packet.timestamp);
        if !decision.forwards {
            self.left_out.insert(frame.number);
            return;
        }
        for distance in frame.dependencies() {
            let needed = frame.number - distance;
            assert!(!self.left_out.contains(&needed), "{} needs {needed}", frame.number);
        }
        let sent = decision.sent.unwrap();
        let (target, _) = structure.targets().find(|(_, layers)| *layers == sent).unwrap();
        self.check_chain(structure, target, packet.timestamp, frame);
        self.forwarded.insert(frame.number);
    }

    /// Follows the chain of the target back to where the target was opened: none of its frames may have been missing for long.
    fn check_chain(&self, structure: &Structure, target: u8, now: u32, frame: &Frame) {
        let chain = structure
            .protected
            .iter()
            .position(|protected| protected >> target & 1 == 1);
        let (Some(chain), mut at) = (chain, frame) else { return };
        let mut missed_since: Option<u32> = None;
        loop {
            let opens = at.indications.switches() >> target & 1 == 1 && self.came.contains_key(&at.number);
            let distance = u16::from(at.chain_distances[chain]);
            if opens || distance == 0 {
                break;
            }
            let before = &self.sent[&(at.number - distance)];
            if !self.came.contains_key(&before.number)
                && let Some(since) = self.came.get(&at.number)
            {
                missed_since = Some(*since);
            }
            at = before;
        }
        let since = missed_since.unwrap_or(now);
        assert!(
            now - since <= 90 * 600,
            "{} is sent though its chain is broken",
            frame.number
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Packets are lost and reordered at random. Whatever happens, nothing is sent that depends on what was left out, nothing of a
    /// target whose chain is known to be broken, and a key frame mends all.
    #[test]
    fn nothing_undecodable_is_sent_whatever_is_lost(
        fixture in 0..ALL.len(),
        wanted in (0_u8..3, 0_u8..3),
        losses in prop::collection::vec(any::<u32>(), 500),
        one_in in 5_u32..200,
        changes in prop::collection::vec((0_usize..800, 0_u8..4, 0_u8..3), 0..6),
    ) {
        let packets = turns(ALL[fixture], 3);
        let third = packets.len() / 3;
        let mut viewer = Viewer::new(layers(wanted.0, wanted.1));
        let mut run = Run::of(&packets);
        let is_lost = |at: usize| at < 2 * third && losses[at % losses.len()].wrapping_mul(at as u32 | 1) % one_in == 0;
        let mut order: Vec<usize> = (0..packets.len()).filter(|&at| !is_lost(at)).collect();
        for at in (0..2 * third - 40).step_by(7) {
            let is_within = order.get(at + 12).is_some_and(|&last| last < 2 * third);
            if losses[at % losses.len()] % 5 == 0 && is_within {
                let packet = order.remove(at);
                order.insert(at + 1 + losses[at % losses.len()] as usize % 11, packet);
            }
        }
        let mut newest = 0;
        for at in order {
            viewer.is_late = at < newest;
            newest = newest.max(at);
            if at < 2 * third && let Some((_, spatial, temporal)) = changes.iter().find(|(when, _, _)| *when == at) {
                viewer.wanted = layers(*spatial, *temporal);
            }
            if at >= 2 * third {
                viewer.wanted = layers(wanted.0, wanted.1);
            }
            let packet = &packets[at];
            let read = viewer.stream.read(&packet.descriptor, viewer.is_late);
            if let Err(Unreadable::UnknownStructure | Unreadable::OldStructure) = read {
                continue;
            }
            let (frame, decision) = viewer.receive(packet);
            let structure = viewer.stream.structure().unwrap().clone();
            run.check(&structure, packet, &frame, decision);
        }
        let (_, last) = viewer.receive(packets.last().unwrap());
        prop_assert!(!last.needs_key_frame);
        prop_assert!(last.sent.unwrap().is_within(layers(wanted.0, wanted.1)));
    }
}
