//! Tests the rewriter against a list of all places, each with its fate.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::media::virtual_time::epoch;

/// Numbers that a receiver may still ask for: as many packets as are kept for NACKs.
const ASKED_FOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Missing,
    Sent,
    LeftOut,
}

/// One packet of a source, in the order of the copy.
#[derive(Clone, Copy, Debug)]
struct SourcePacket {
    source: SourceId,
    sequence: u64,
    fate: Fate,
}

#[derive(Clone, Debug)]
enum Step {
    /// The next packet of the present source, after so many that are missing.
    Next { missing: u64, left_out: bool },
    /// A missing packet comes; so many other missing ones are newer.
    Late { back: usize, left_out: bool },
    /// Another source is taken up: a stream that was never heard, or that is somewhere else by now.
    TakeUp { source: u64, sequence: u64 },
    /// The present source is left.
    Pause,
    /// The present source goes on after more than can be taken for loss.
    Jump,
    /// A packet of the present source comes that is older than the point where the source was taken up.
    TooOld,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let missing = prop_oneof![8 => Just(0), 3 => 1_u64..4, 1 => 4_u64..300];
    let step = prop_oneof![
        30 => (missing, prop::bool::weighted(0.3)).prop_map(|(missing, left_out)| Step::Next { missing, left_out }),
        12 => (0_usize..40, prop::bool::weighted(0.3)).prop_map(|(back, left_out)| Step::Late { back, left_out }),
        2 => (0_u64..4, 0_u64..200_000).prop_map(|(source, sequence)| Step::TakeUp { source, sequence: 65_536 + sequence }),
        1 => Just(Step::Pause),
        1 => Just(Step::Jump),
        1 => Just(Step::TooOld),
    ];
    prop::collection::vec(step, 1..500)
}

struct Model {
    rewriter: Rewriter,
    /// First number of the copy.
    first: u64,
    places: Vec<SourcePacket>,
    /// Places at which the epochs begin.
    epochs: Vec<usize>,
    /// Source that is forwarded, with its newest sequence number.
    present: Option<(SourceId, u64)>,
    /// Places that were sent, by their numbers.
    sent: BTreeMap<u64, usize>,
    /// Number of changes of source so far: a source that begins anew gets an id of its own from it.
    restarts: u64,
}

impl Model {
    fn new(first: u64) -> Model {
        // A rewriter as it is after `first` packets.
        let rewriter = Rewriter {
            newest: ONE_TURN + first - 1,
            ..Rewriter::new(90_000, 0)
        };
        Model {
            rewriter,
            first,
            places: Vec::new(),
            epochs: Vec::new(),
            present: None,
            sent: BTreeMap::new(),
            restarts: 0,
        }
    }

    fn number(&self, place: usize) -> u64 {
        let kept = self.places[..place].iter().filter(|place| place.fate != Fate::LeftOut);
        self.first + kept.count() as u64
    }

    /// Whether the rewriter still knows this place's number.
    fn is_known(&self, place: usize) -> bool {
        let left_out = self.places.iter().rposition(|place| place.fate == Fate::LeftOut);
        left_out.is_none_or(|newest| place + left_out::WINDOW as usize > newest) && self.is_remembered(place)
    }

    /// Whether the place's epoch is among those that are remembered.
    fn is_remembered(&self, place: usize) -> bool {
        let forgotten = self.epochs.len().saturating_sub(EPOCHS);
        self.epochs.get(forgotten).is_none_or(|&first| place >= first)
    }

    fn packet(source: SourceId, sequence: u64) -> IncomingPacket<'static> {
        IncomingPacket {
            source,
            sequence,
            timestamp: 0,
            origin: None,
            vp8: None,
        }
    }

    /// Offers a packet to the rewriter. Returns the number under which it is sent.
    fn offer(&mut self, source: SourceId, sequence: u64, left_out: bool) -> Option<u64> {
        let packet = Model::packet(source, sequence);
        let numbers = match left_out {
            true => self.rewriter.leave_out(&packet),
            false => self.rewriter.forward(epoch(), &packet),
        };
        numbers.map(|numbers| numbers.sequence)
    }

    fn sent(&mut self, number: Option<u64>, place: usize) -> Result<(), TestCaseError> {
        prop_assert_eq!(number, Some(self.number(place)));
        self.places[place].fate = Fate::Sent;
        prop_assert_eq!(
            self.sent.insert(number.unwrap(), place),
            None,
            "a number for two packets"
        );
        Ok(())
    }

    fn add(&mut self, source: SourceId, sequence: u64, fate: Fate) -> usize {
        self.places.push(SourcePacket { source, sequence, fate });
        self.places.len() - 1
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Next { missing, left_out } => {
                let Some((source, newest)) = self.present else {
                    return Ok(());
                };
                let sequence = newest + missing + 1;
                prop_assert!(self.rewriter.follows(source, sequence));
                let number = self.offer(source, sequence, left_out);
                for sequence in newest + 1..sequence {
                    self.add(source, sequence, Fate::Missing);
                }
                let place = self.add(source, sequence, if left_out { Fate::LeftOut } else { Fate::Missing });
                self.present = Some((source, sequence));
                match left_out {
                    true => prop_assert_eq!(number, None),
                    false => self.sent(number, place)?,
                }
            }
            Step::Late { back, left_out } => {
                let missing = self.places.iter().enumerate().rev();
                let mut missing = missing.filter(|(_, place)| place.fate == Fate::Missing);
                let Some((place, &SourcePacket { source, sequence, .. })) = missing.nth(back) else {
                    return Ok(());
                };
                prop_assert_eq!(self.rewriter.may_miss(source, sequence), self.is_remembered(place));
                if self.is_known(place) {
                    let number = self.offer(source, sequence, left_out);
                    self.sent(number, place)?;
                } else if self.is_remembered(place) {
                    prop_assert_eq!(self.offer(source, sequence, left_out), None);
                }
            }
            Step::TakeUp { source, sequence } => {
                self.restarts += 1;
                // Some sources come back where they were left, as a layer does.
                let same = self
                    .places
                    .iter()
                    .rev()
                    .find(|place| place.source.0 % 4 == source && source < 2);
                let (source, sequence) = match same {
                    Some(known) => (known.source, self.beyond(known.source)),
                    None => (SourceId(4 * self.restarts + source), sequence),
                };
                if self.present.is_none_or(|(present, _)| present != source) {
                    self.begin(source, sequence)?;
                }
            }
            Step::Pause => {
                self.rewriter.pause();
                self.present = None;
            }
            Step::Jump => {
                let Some((source, newest)) = self.present else {
                    return Ok(());
                };
                let sequence = newest + MAX_SKIP + 1;
                prop_assert!(!self.rewriter.follows(source, sequence));
                self.begin(source, sequence)?;
            }
            Step::TooOld => {
                let Some((source, _)) = self.present else { return Ok(()) };
                let known = self.places.iter().filter(|place| place.source == source);
                let oldest = known.map(|place| place.sequence).min().unwrap_or(0);
                for left_out in [false, true] {
                    prop_assert_eq!(self.offer(source, oldest - 1, left_out), None);
                }
            }
        }
        Ok(())
    }

    /// A sequence number of a source that is newer than all that the copy had of it.
    fn beyond(&self, source: SourceId) -> u64 {
        let known = self.places.iter().filter(|place| place.source == source);
        known.map(|place| place.sequence).max().unwrap_or(0) + 7
    }

    fn begin(&mut self, source: SourceId, sequence: u64) -> Result<(), TestCaseError> {
        let number = self.offer(source, sequence, false);
        let place = self.add(source, sequence, Fate::Missing);
        self.epochs.push(place);
        self.present = Some((source, sequence));
        self.sent(number, place)
    }

    /// Checks what must be true at every time.
    fn check(&self) -> Result<(), TestCaseError> {
        let Some(place) = self.places.iter().rposition(|place| place.fate != Fate::LeftOut) else {
            return Ok(());
        };
        let highest = self.number(place);
        prop_assert_eq!(self.rewriter.highest_sequence(), highest);
        prop_assert_eq!(self.rewriter.origin((highest + 1) as u16), None);
        Ok(())
    }

    fn check_all(&self) -> Result<(), TestCaseError> {
        let mut number = self.first;
        for (at, place) in self.places.iter().enumerate() {
            if place.fate == Fate::LeftOut {
                continue;
            }
            // There is no hole but where a packet is missing, and the packets are in the order of their sources.
            prop_assert_eq!(self.sent.get(&number), (place.fate == Fate::Sent).then_some(&at));
            if at + ASKED_FOR > self.places.len() && self.is_remembered(at) {
                let origin = self.rewriter.origin(number as u16);
                let found = origin.map(|origin| (origin.source, origin.sequence));
                prop_assert_eq!(found, Some((place.source, place.sequence)), "of {}", number);
                let again = self.rewriter.again(&origin.unwrap(), 0, None).unwrap();
                prop_assert_eq!(again.sequence, number);
            }
            number += 1;
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Packets come in any order and are sent or left out; sources are left, taken up again, or begin anew.
    #[test]
    fn no_number_is_used_twice_no_hole_is_but_a_packet_that_may_come_and_each_number_leads_back(
        first in 0_u64..200_000,
        steps in steps(),
    ) {
        let mut model = Model::new(first);
        for step in &steps {
            if model.present.is_none() {
                model.take(&Step::TakeUp { source: 3, sequence: 70_000 })?;
            }
            model.take(step)?;
            model.check()?;
        }
        model.check_all()?;
    }

    /// Pictures of one to three packets, of which some are left out whole and some packets come late or never.
    #[test]
    fn pictures_that_are_left_out_leave_no_hole_in_the_picture_ids_and_none_is_used_twice(
        first_id in 0_u16..0x8000,
        pictures in prop::collection::vec((1_usize..4, prop::bool::weighted(0.4), 0_u8..8, 0_u8..8), 1..200),
    ) {
        let mut rewriter = Rewriter::new(90_000, 1_000);
        let mut sequence = 65_536 + 40_000;
        // For each picture: its packets, and whether it is left out.
        let mut offered = Vec::new();
        for (at, &(packets, left_out, lost, late)) in pictures.iter().enumerate() {
            for part in 0..packets {
                let is = |bits: u8| at > 0 && bits & (1 << part) != 0;
                offered.push((sequence, at, left_out && at > 0, is(lost), is(late)));
                sequence += 1;
            }
        }
        let (late, in_order): (Vec<_>, Vec<_>) = offered.into_iter().partition(|packet| packet.4);
        let lost = |packet: &(u64, usize, bool, bool, bool)| packet.3;
        let mut ids: BTreeMap<u16, usize> = BTreeMap::new();
        let mut seen_left_out = std::collections::BTreeSet::new();
        let mut is_late = false;
        for group in [in_order, late] {
            for (sequence, at, left_out, ..) in group.into_iter().filter(|packet| !lost(packet)) {
                let descriptor = vp8::Descriptor {
                    picture_id: Some(vp8::PictureId { offset: 2, long: true, value: (first_id + at as u16) & 0x7fff }),
                    ..vp8::Descriptor::default()
                };
                let packet = IncomingPacket { vp8: Some(&descriptor), ..Model::packet(SourceId(1), sequence) };
                if left_out {
                    let numbers = rewriter.leave_out(&packet);
                    prop_assert!(is_late || numbers.is_none());
                    if numbers.is_none() {
                        seen_left_out.insert(at);
                    }
                } else if let Some(numbers) = rewriter.forward(epoch(), &packet) {
                    // Its own id less the pictures before it that the subscriber is not to know of.
                    let before = seen_left_out.range(..at).count();
                    prop_assert_eq!(numbers.picture_id, (first_id + (at - before) as u16) & 0x7fff);
                    prop_assert_eq!(*ids.entry(numbers.picture_id).or_insert(at), at, "an id for two pictures");
                }
            }
            is_late = true;
        }
    }
}
