//! Tests the rewriter against a list of all places, each with its fate.

use std::collections::{BTreeMap, BTreeSet};

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
        pictures in prop::collection::vec((1_usize..4, prop::bool::weighted(0.4), 0_u8..8, 0_u8..8, 1_usize..30), 1..200),
    ) {
        let mut scene = Pictures::new(first_id);
        let mut offered = Vec::new();
        for (at, &(packets, left_out, lost, late, delay)) in pictures.iter().enumerate() {
            for part in 0..packets {
                let is = |bits: u8| at > 0 && bits & (1 << part) != 0;
                let arrives = offered.len() + if is(late) { delay } else { 0 };
                offered.push((arrives, offered.len() as u64, at, left_out && at > 0, is(lost)));
            }
        }
        let lost: Vec<u64> = offered.iter().filter(|packet| packet.4).map(|packet| packet.1).collect();
        offered.retain(|packet| !packet.4);
        offered.sort_by_key(|packet| packet.0);
        for (_, sequence, at, left_out, _) in offered {
            scene.offer(sequence, at, left_out)?;
        }
        // Holes are only where packets were lost, and not where they were lost among packets of one picture that was left out.
        let holes = lost.iter().filter(|sequence| !scene.closed.contains(sequence)).count();
        let span = scene.numbers.last().unwrap() - scene.numbers.first().unwrap() + 1;
        prop_assert!(span as usize <= scene.numbers.len() + holes);
        scene.check_what_is_sent_again()?;
    }
}

/// A copy of which some pictures are left out, as a subscription decides it.
struct Pictures {
    rewriter: Rewriter,
    first_id: u16,
    newest: Option<u64>,
    left_out: BTreeSet<usize>,
    /// The packet that came last, with its picture, if it was the newest and was left out.
    left_last: Option<(u64, usize)>,
    /// Missing packets of pictures that were left out.
    closed: BTreeSet<u64>,
    /// Pictures by the ids that the copy has for them.
    ids: BTreeMap<u16, usize>,
    /// Numbers that were used.
    numbers: BTreeSet<u64>,
    /// Packets that were sent empty, and those that were sent, by their numbers.
    empty: BTreeMap<u64, bool>,
}

impl Pictures {
    fn new(first_id: u16) -> Pictures {
        Pictures {
            rewriter: Rewriter::new(90_000, 1_000),
            first_id,
            newest: None,
            left_out: BTreeSet::new(),
            left_last: None,
            closed: BTreeSet::new(),
            ids: BTreeMap::new(),
            numbers: BTreeSet::new(),
            empty: BTreeMap::new(),
        }
    }

    fn offer(&mut self, sequence: u64, at: usize, left_out: bool) -> Result<(), TestCaseError> {
        let descriptor = vp8::Descriptor {
            picture_id: Some(vp8::PictureId {
                offset: 2,
                long: true,
                value: (self.first_id + at as u16) & 0x7fff,
            }),
            ..vp8::Descriptor::default()
        };
        let packet = IncomingPacket {
            vp8: Some(&descriptor),
            timestamp: at as u32 * 3_000,
            ..Model::packet(SourceId(1), 65_536 + 40_000 + sequence)
        };
        let is_late = self.newest > Some(sequence);
        self.newest = self.newest.max(Some(sequence));
        let is_left_out = match is_late {
            true => self.rewriter.has_left_out(packet.timestamp, 0),
            false => left_out,
        };
        let numbers = match is_left_out {
            true => self.rewriter.leave_out_picture(&packet),
            false => self.rewriter.forward(epoch(), &packet),
        };
        if is_left_out && !is_late {
            prop_assert_eq!(numbers, None);
            self.left_out.insert(at);
            if let Some((last, _)) = self.left_last.filter(|(_, picture)| *picture == at) {
                self.closed.extend(last + 1..sequence);
            }
        }
        if !is_late {
            self.left_last = is_left_out.then_some((sequence, at));
        }
        prop_assert_eq!(
            is_left_out,
            self.left_out.contains(&at),
            "no picture is left out in part"
        );
        let Some(numbers) = numbers else {
            return Ok(());
        };
        prop_assert!(self.numbers.insert(numbers.sequence), "a number for two packets");
        self.empty.insert(numbers.sequence, is_left_out);
        if !is_left_out {
            // Its own id less the pictures before it that the subscriber is not to know of.
            let before = self.left_out.range(..at).count();
            let id = numbers.vp8.picture_id;
            prop_assert_eq!(id, (self.first_id + (at - before) as u16) & 0x7fff);
            prop_assert_eq!(*self.ids.entry(id).or_insert(at), at, "an id for two pictures");
        }
        Ok(())
    }

    /// A packet that was sent empty is sent empty again, and no other one is.
    fn check_what_is_sent_again(&self) -> Result<(), TestCaseError> {
        for (&number, &is_empty) in self.empty.iter().rev().take(ASKED_FOR) {
            let Some(origin) = self.rewriter.origin(number as u16) else {
                return Err(TestCaseError::fail(format!("{number} is not known")));
            };
            prop_assert_eq!(self.rewriter.is_empty(&origin), is_empty);
        }
        Ok(())
    }
}
