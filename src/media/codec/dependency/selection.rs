//! Which frames of a stream one subscriber gets.

use std::num::NonZeroU32;
use std::time::Instant;

use super::super::mark::Layers;
use super::history::{Awaited, Fate, History, Place, Waiting};
use super::reader::Frame;
use super::structure::Structure;

/// A packet whose descriptor was read.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub frame: &'a Frame,
    /// RTP timestamp: frames of one picture have the same.
    pub timestamp: u32,
    /// The packet's marker bit.
    pub marker: bool,
    /// Whether newer packets of its stream have come before it, or it is sent again.
    pub is_late: bool,
}

/// What is to be done with a packet for one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the subscriber gets the packet.
    pub forwards: bool,
    /// The marker bit of the subscriber's copy: true for the last packet of the highest spatial layer that it gets of the picture.
    pub ends_picture: bool,
    /// The frame's number in the copy.
    pub number: u16,
    /// Targets (bits) that the copy's descriptor must say are active. `None` if it can say what it says.
    pub active: Option<NonZeroU32>,
}

/// The choice of frames for one subscription.
///
/// Every packet whose descriptor is read is given to [`Selection::select`], in the order in which packets come. The decision about a
/// frame is made at the first of its packets that comes, and kept for the others and for packets that are resent.
///
/// With a target the subscriber gets those that are not above it, also where it does not need them: so it can be given less at once.
/// A target can go on if the frames of its chain were forwarded. It is begun at a frame that opens it (a switch indication), and left
/// for a lower one at the next picture. A frame is never forwarded if one on which it depends was left out. A frame that has not
/// come may still come: others that depend on it are forwarded meanwhile, for a bounded time.
///
/// Where the subscription takes up a stream, also one that it had before, the selection [begins anew](Selection::begin_anew). Numbers of
/// frames go on from there: receivers take lower ones for old.
#[derive(Debug, Default)]
pub struct Selection {
    history: History,
    waiting: Waiting,
    /// The structure for which the numbers of targets below are meant.
    revision: Option<u16>,
    /// Targets, as bits, that can go on: the subscriber has, or may still get, all on which their next frames depend.
    sound: u32,
    /// Targets, as bits, of whose highest spatial layer a frame has come. The sender may call a target active some pictures before
    /// it begins with that.
    running: u32,
    target: Option<u8>,
    /// Targets, as bits, that the sender made at the newest frame.
    active: u32,
    /// The number in the copy of the newest frame before this stream was taken up.
    before: Option<u16>,
    /// What is added to the stream's numbers of frames.
    offset: u16,
    /// Timestamp of the newest picture.
    picture: Option<u32>,
    /// Whether the subscriber was told of fewer active targets than the sender has, and since then no structure that says otherwise.
    is_restricted: bool,
}

impl Selection {
    /// Decides about a packet. `wanted` has the highest layers that the subscriber is to have. `structure` is the stream's.
    pub fn select(&mut self, structure: &Structure, arrival: Arrival<'_>, wanted: Layers, now: Instant) -> Decision {
        let frame = arrival.frame;
        if self.counts_anew(arrival) {
            self.begin_anew();
        }
        self.follow_structure(frame);
        let fate = match self.history.place(frame.number) {
            Place::Newer => self.decide(structure, arrival, wanted, now),
            Place::Known(Fate::Missing) => self.decide_late(structure, frame, now),
            Place::Known(fate) => fate,
            Place::TooOld => Fate::LeftOut,
        };
        self.decision(structure, arrival, fate)
    }

    /// The layers up to which the subscriber gets frames now; `None` while it gets none.
    #[cfg(test)]
    pub(super) fn sent(&self, structure: &Structure) -> Option<Layers> {
        self.target.map(|target| structure.layers(target))
    }

    /// Takes up a stream with the next packet: all that it depends on, and all targets, begin there.
    pub fn begin_anew(&mut self) {
        let newest = self.history.newest().map(|newest| newest.wrapping_add(self.offset));
        *self = Selection {
            before: newest.or(self.before),
            is_restricted: self.is_restricted,
            ..Selection::default()
        };
    }

    /// Whether what is wanted can be begun with a key frame alone. It stays true until that comes, so ask at a pace. `structure` is that
    /// of the stream that was taken up.
    pub fn needs_key_frame(&self, structure: &Structure, wanted: Layers) -> bool {
        let Some(best) = structure.best(self.active, wanted) else {
            return false;
        };
        match self.target {
            None => self.sound >> best & 1 == 0,
            Some(target) => {
                let opens = self.sound | structure.opened_within(target);
                target != best && (self.running & !opens) >> best & 1 == 1
            }
        }
    }

    /// Whether the stream has begun to number its frames anew: a key frame that is its newest packet has the number of an older one.
    fn counts_anew(&self, arrival: Arrival<'_>) -> bool {
        let frame = arrival.frame;
        let may = frame.has_structure && !arrival.is_late;
        may && match self.history.place(frame.number) {
            Place::Newer => false,
            Place::Known(_) => frame.is_first_packet,
            Place::TooOld => true,
        }
    }

    /// Other templates mean other targets: none of them has been begun.
    fn follow_structure(&mut self, frame: &Frame) {
        if self.revision != Some(frame.revision) {
            self.revision = Some(frame.revision);
            self.waiting = Waiting::default();
            self.history.forget_hopes();
            self.sound = 0;
            self.running = 0;
            self.target = None;
        }
    }

    /// Decides about the newest frame.
    fn decide(&mut self, structure: &Structure, arrival: Arrival<'_>, wanted: Layers, now: Instant) -> Fate {
        let frame = arrival.frame;
        if let (None, Some(before)) = (self.history.newest(), self.before) {
            self.offset = before.wrapping_add(1).wrapping_sub(frame.number);
        }
        self.history.advance(frame.number);
        while let Some(lost) = self.waiting.take_lost(now) {
            self.lose(lost);
        }
        self.follow_chains(structure, frame, now);
        self.active = frame.active;
        self.sound &= frame.active;
        self.running = (self.running | structure.highest_in(frame.layers.spatial)) & frame.active;
        let opened = if self.is_decodable(frame) {
            frame.indications.switches() & frame.active
        } else {
            0
        };
        let begins_picture = self.picture.replace(arrival.timestamp) != Some(arrival.timestamp);
        self.target = self.choose(structure, begins_picture, opened, wanted);
        let belongs = |target| frame.indications.present() & structure.not_above(target) != 0;
        let target = self.target.filter(|&target| belongs(target));
        let fate = self.judge(structure, frame, target, now);
        if matches!(fate, Fate::Forwarded { .. }) {
            self.sound |= opened;
            if self.history.hopes(frame.number) == 0 {
                self.waiting.forgive(opened);
            }
        }
        fate
    }

    /// Decides about a frame of which the first packet comes after those of newer frames. What is sent does not change by it. A picture that
    /// is not needed is forwarded, too: its number is free, and decoders of some codecs wait for it.
    fn decide_late(&mut self, structure: &Structure, frame: &Frame, now: Instant) -> Fate {
        let has_size = |target| frame.layers.spatial <= structure.layers(target).spatial;
        let target = self.target.filter(|&target| has_size(target));
        let fate = self.judge(structure, frame, target, now);
        if let Some(awaited) = self.waiting.take(frame.number) {
            match fate {
                Fate::Forwarded { .. } => self.history.fulfil(awaited.place, self.history.hopes(frame.number)),
                Fate::LeftOut | Fate::Missing => self.lose(awaited),
            }
        }
        fate
    }

    /// Forwards the frame as a part of this target, if it can be decoded.
    fn judge(&mut self, structure: &Structure, frame: &Frame, target: Option<u8>, now: Instant) -> Fate {
        let target = target.filter(|_| self.is_decodable(frame));
        let hopes = target.and_then(|_| self.hopes(frame, now));
        let fate = match (target, hopes) {
            (Some(target), Some(_)) => self.forward(structure, frame, target),
            _ => Fate::LeftOut,
        };
        if fate == Fate::LeftOut && structure.chain_count == 0 {
            // Without chains, no later frame tells that this one was needed.
            self.sound &= !frame.indications.needed();
        }
        self.history.set(frame.number, fate, hopes.unwrap_or(0));
        fate
    }

    fn forward(&mut self, structure: &Structure, frame: &Frame, target: u8) -> Fate {
        let active = structure.not_above(target) & frame.active;
        let is_less = active != frame.active;
        self.is_restricted = is_less || (self.is_restricted && !frame.has_structure);
        Fate::Forwarded {
            target,
            active: NonZeroU32::new(active).filter(|_| self.is_restricted),
        }
    }

    /// Waits for what the frame depends on. Returns its hopes; `None` if it has none left.
    fn hopes(&mut self, frame: &Frame, now: Instant) -> Option<u16> {
        for &distance in frame.dependencies() {
            if self.history.before(frame.number, distance) == Fate::Missing {
                self.wait_for(frame.number.wrapping_sub(distance), 0, now);
            }
        }
        frame.dependencies().iter().try_fold(0, |hopes, &distance| {
            let number = frame.number.wrapping_sub(distance);
            match self.history.before(frame.number, distance) {
                Fate::Forwarded { .. } => Some(hopes | self.history.hopes(number)),
                Fate::Missing => Some(hopes | self.waiting.hope(number)),
                Fate::LeftOut => None,
            }
        })
    }

    /// Whether all on which the frame depends was forwarded, or may still come.
    fn is_decodable(&self, frame: &Frame) -> bool {
        let has = |&distance: &u16| self.history.before(frame.number, distance) != Fate::LeftOut;
        frame.dependencies().iter().all(has)
    }

    /// A target whose chain's last frame the subscriber does not have cannot go on.
    fn follow_chains(&mut self, structure: &Structure, frame: &Frame, now: Instant) {
        let chains = structure.protected.iter().zip(frame.chain_distances);
        for (&protected, distance) in chains.take(usize::from(structure.chain_count)) {
            // What is said of a chain none of whose targets is active means nothing.
            let protected = protected & frame.active;
            if protected == 0 || distance == 0 {
                continue;
            }
            match self.history.before(frame.number, u16::from(distance)) {
                Fate::Forwarded { .. } => {}
                Fate::LeftOut => self.sound &= !protected,
                Fate::Missing => self.wait_for(frame.number.wrapping_sub(u16::from(distance)), protected, now),
            }
        }
    }

    fn wait_for(&mut self, number: u16, targets: u32, now: Instant) {
        if let Some(lost) = self.waiting.add(number, targets, now) {
            self.lose(lost);
        }
    }

    fn lose(&mut self, lost: Awaited) {
        self.history.set(lost.number, Fate::LeftOut, 0);
        self.history.disappoint(lost.place);
        self.sound &= !lost.targets;
    }

    /// The target to be sent from this frame on. `opened` has those that can be begun at it.
    fn choose(&self, structure: &Structure, begins_picture: bool, opened: u32, wanted: Layers) -> Option<u8> {
        let current = self.target.filter(|&target| self.sound >> target & 1 == 1);
        let lower = match current.or(self.target) {
            Some(target) => structure.not_above(target),
            None => u32::MAX,
        };
        let chosen = structure.best(opened | (self.sound & lower), wanted);
        // Within a picture what is sent only grows: a marker on a lower layer would come too late.
        let grows = |current: u8| chosen.is_some_and(|chosen| structure.not_above(current) >> chosen & 1 == 0);
        match current {
            Some(current) if !begins_picture && !grows(current) => Some(current),
            _ => chosen,
        }
    }

    fn decision(&self, structure: &Structure, arrival: Arrival<'_>, fate: Fate) -> Decision {
        let frame = arrival.frame;
        let (forwards, ends_picture, active) = match fate {
            Fate::Forwarded { target, active } => {
                let is_highest = frame.layers.spatial >= structure.layers(target).spatial;
                (true, arrival.marker || (frame.is_last_packet && is_highest), active)
            }
            Fate::Missing | Fate::LeftOut => (false, false, None),
        };
        Decision {
            forwards,
            ends_picture,
            number: frame.number.wrapping_add(self.offset),
            active,
        }
    }
}
