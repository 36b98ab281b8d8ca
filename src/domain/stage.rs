//! The stage of a room: who is heard and shown in slots that several participants share, and who presents. A pure rule: it says
//! who is to be in a connection's slots, and puts them there so that whoever stays keeps their slot.

use super::MediaKind;
use crate::ids::{Feed, FeedRef, ParticipantId, SlotId};

/// Slots of one section of sound. Older libwebrtc plays the stream that its answer names, and four more. Today's browsers play that
/// one alone. More than five voices at once nobody can follow; with fewer, a short word of a sixth one would cut off somebody
/// who still speaks.
pub(super) const SOUND_SLOTS_MAX: u8 = 5;

/// Slots of one section of pictures: as many as fit into four rows of a screen. Each costs the client a decoder.
pub(super) const PICTURE_SLOTS_MAX: u8 = 16;

/// Participants who have spoken and are remembered: more than any connection has slots, and one, because nobody is in their own.
const REMEMBERED_MAX: usize = PICTURE_SLOTS_MAX as usize + 1;

/// The stream by which a client gets one of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotStream {
    pub slot: SlotId,
    pub kind: MediaKind,
    pub ssrc: u32,
    /// SSRC of packets that are sent again. `None` where they are sent again under the stream's own.
    pub rtx_ssrc: Option<u32>,
}

/// What a slot of the stage is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StagePart {
    Sound,
    Picture,
    /// The screen of whoever presents.
    Presentation,
}

/// A slot of the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSlot {
    pub id: SlotId,
    pub part: StagePart,
    /// Whether it is in the section of the slot before it.
    pub joins: bool,
}

impl StagePart {
    pub fn kind(self) -> MediaKind {
        match self {
            StagePart::Sound => MediaKind::Audio,
            StagePart::Picture | StagePart::Presentation => MediaKind::Video,
        }
    }
}

/// Slots of a connection, each with what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FilledSlots(Vec<(StageSlot, Option<FeedRef>)>);

impl FilledSlots {
    /// Slots as they are after a new offer: those that were there before keep what is in them.
    pub fn renewed(&self, slots: impl Iterator<Item = StageSlot>) -> FilledSlots {
        let before = |slot: StageSlot| {
            let is_same = |other: &&(StageSlot, _)| (other.0.id, other.0.part) == (slot.id, slot.part);
            self.0.iter().find(is_same).and_then(|(_, feed)| *feed)
        };
        FilledSlots(slots.map(|slot| (slot, before(slot))).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SlotId, Option<FeedRef>)> {
        self.0.iter().map(|(slot, feed)| (slot.id, *feed))
    }

    /// The videos in the slots of pictures, and the screen in that of whoever presents.
    pub(crate) fn videos(&self) -> impl Iterator<Item = FeedRef> {
        let of_video = self.0.iter().filter(|(slot, _)| slot.part.kind() == MediaKind::Video);
        of_video.filter_map(|(_, feed)| *feed)
    }

    /// Puts those of the line-up into the slots who are to be there for `viewer`. Whoever stays keeps their slot, but the first slot
    /// of sound has whoever spoke last: its stream is the one that every client plays. Returns the slots that have changed.
    pub fn fill(&mut self, viewer: ParticipantId, lineup: &Lineup) -> Vec<(SlotId, Option<FeedRef>)> {
        let before = self.0.clone();
        for part in [StagePart::Sound, StagePart::Picture, StagePart::Presentation] {
            let of_part = self.0.iter_mut().filter(|(slot, _)| slot.part == part);
            let mut slots: Vec<&mut Option<FeedRef>> = of_part.map(|(_, feed)| feed).collect();
            let wanted: Vec<FeedRef> = lineup.of(part, viewer).take(slots.len()).collect();
            place(&mut slots, &wanted);
            if part == StagePart::Sound {
                put_first(&mut slots, wanted.first().copied());
            }
        }
        let changed = self.0.iter().zip(before).filter(|(after, before)| after.1 != before.1);
        changed.map(|((slot, feed), _)| (slot.id, *feed)).collect()
    }
}

/// Puts feeds into as many slots or more. Those that are in one stay there.
fn place(slots: &mut [&mut Option<FeedRef>], wanted: &[FeedRef]) {
    for slot in slots.iter_mut() {
        **slot = slot.filter(|feed| wanted.contains(feed));
    }
    for feed in wanted {
        if !slots.iter().any(|slot| **slot == Some(*feed))
            && let Some(free) = slots.iter_mut().find(|slot| slot.is_none())
        {
            **free = Some(*feed);
        }
    }
}

/// Lets the first slot and the slot of `feed` change places.
fn put_first(slots: &mut [&mut Option<FeedRef>], feed: Option<FeedRef>) {
    let Some(place) = slots.iter().position(|slot| **slot == feed) else {
        return;
    };
    let (first, rest) = slots.split_at_mut(place);
    if let (Some(first), Some(other)) = (first.first_mut(), rest.first_mut()) {
        std::mem::swap(*first, *other);
    }
}

/// What a room remembers of who spoke and who presents.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// Participants who have spoken, the last one who began first.
    spoke: Vec<ParticipantId>,
    /// Participants who publish a screen, in the order in which they began.
    presenters: Vec<ParticipantId>,
}

/// What is known of a participant who may come into slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub id: ParticipantId,
    pub is_heard: bool,
    pub is_seen: bool,
}

impl Stage {
    pub fn began(&mut self, participant: ParticipantId) {
        self.spoke.retain(|one| *one != participant);
        self.spoke.insert(0, participant);
        self.spoke.truncate(REMEMBERED_MAX);
    }

    /// If two people take turns, the first still counts as speaking when the second begins. `newest` goes on speaking when
    /// `participant` stops.
    pub fn stopped(&mut self, participant: ParticipantId, newest: Option<ParticipantId>) {
        if let Some(newest) = newest
            && self.spoke.first() == Some(&participant)
        {
            self.began(newest);
        }
    }

    /// The place of a participant among those who have spoken: 0 for the last one who began.
    pub(crate) fn place_among_speakers(&self, participant: ParticipantId) -> Option<usize> {
        self.spoke.iter().position(|one| *one == participant)
    }

    /// Notes whether a participant publishes a screen. Whoever begins last presents.
    pub fn presents(&mut self, participant: ParticipantId, presents: bool) {
        match presents {
            true if self.presenters.contains(&participant) => {}
            true => self.presenters.push(participant),
            false => self.presenters.retain(|one| *one != participant),
        }
    }

    /// Forgets a participant who has left.
    pub fn forget(&mut self, participant: ParticipantId) {
        self.spoke.retain(|one| *one != participant);
        self.presenters.retain(|one| *one != participant);
    }

    /// Who may be in slots, best first: for pictures the `spotlit` ones, then those who spoke, and then the others of
    /// `publishing`, who publish their cameras, in the order of their arrival.
    pub fn lineup(&self, spotlit: &[ParticipantId], publishing: &[Candidate]) -> Lineup {
        let is_heard = |id: &ParticipantId| publishing.iter().any(|one| one.id == *id && one.is_heard);
        let is_seen = |id: &ParticipantId| publishing.iter().any(|one| one.id == *id && one.is_seen);
        let spoke = || self.spoke.iter().copied();
        let rest = || publishing.iter().map(|one| one.id);
        Lineup {
            heard: first_of(spoke().chain(rest()), is_heard, usize::from(SOUND_SLOTS_MAX) + 1),
            seen: first_of(
                spotlit.iter().copied().chain(spoke()).chain(rest()),
                is_seen,
                usize::from(PICTURE_SLOTS_MAX) + 1,
            ),
            presenter: self.presenters.last().copied(),
        }
    }
}

/// The first of these participants who are fit, each of them once.
fn first_of(
    ids: impl Iterator<Item = ParticipantId>,
    is_fit: impl Fn(&ParticipantId) -> bool,
    enough: usize,
) -> Vec<ParticipantId> {
    let mut first = Vec::new();
    for id in ids {
        if first.len() == enough {
            break;
        }
        if !first.contains(&id) && is_fit(&id) {
            first.push(id);
        }
    }
    first
}

/// Who may be in slots, best first, and one more than any connection has slots.
#[derive(Debug)]
pub(super) struct Lineup {
    heard: Vec<ParticipantId>,
    seen: Vec<ParticipantId>,
    presenter: Option<ParticipantId>,
}

impl Lineup {
    /// The feeds for slots of `viewer`, best first. Nobody is in their own slots.
    fn of(&self, part: StagePart, viewer: ParticipantId) -> impl Iterator<Item = FeedRef> {
        let (ids, feed) = match part {
            StagePart::Sound => (&self.heard[..], Feed::Camera),
            StagePart::Picture => (&self.seen[..], Feed::Camera),
            StagePart::Presentation => (self.presenter.as_slice(), Feed::Screen),
        };
        let others = ids.iter().copied().filter(move |id| *id != viewer);
        others.map(move |participant| FeedRef { participant, feed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many slots of each part, empty.
    fn slots(sounds: u8, pictures: u8, presentation: bool) -> FilledSlots {
        let parts = std::iter::repeat_n(StagePart::Sound, sounds.into())
            .chain(std::iter::repeat_n(StagePart::Picture, pictures.into()))
            .chain(presentation.then_some(StagePart::Presentation));
        let slot = |(id, part)| StageSlot {
            id: SlotId(id),
            part,
            joins: false,
        };
        FilledSlots::default().renewed((0..).zip(parts).map(slot))
    }

    fn publishing(count: u64) -> Vec<Candidate> {
        let candidate = |id| Candidate {
            id: ParticipantId(id),
            is_heard: true,
            is_seen: true,
        };
        (1..=count).map(candidate).collect()
    }

    /// The participants in the slots, 0 for nobody.
    fn shown(slots: &FilledSlots) -> Vec<u64> {
        let number = |feed: Option<FeedRef>| feed.map_or(0, |feed| feed.participant.0);
        slots.iter().map(|(_, feed)| number(feed)).collect()
    }

    const VIEWER: ParticipantId = ParticipantId(100);

    #[test]
    fn while_there_are_few_everybody_is_in_a_slot_and_nobody_in_their_own() {
        let (stage, mut slots) = (Stage::default(), slots(5, 3, false));
        let lineup = stage.lineup(&[], &publishing(3));
        assert_eq!(slots.fill(VIEWER, &lineup).len(), 6);
        assert_eq!(shown(&slots), [1, 2, 3, 0, 0, 1, 2, 3]);
        assert_eq!(slots.fill(VIEWER, &lineup), [], "nothing has changed");
        slots.fill(ParticipantId(2), &lineup);
        assert_eq!(shown(&slots), [1, 0, 3, 0, 0, 1, 0, 3]);
    }

    #[test]
    fn of_many_the_last_who_spoke_are_in_slots_and_whoever_stays_keeps_theirs() {
        let (mut stage, mut slots) = (Stage::default(), slots(0, 3, false));
        let publishing = publishing(9);
        let mut after = |stage: &Stage| {
            slots.fill(VIEWER, &stage.lineup(&[], &publishing));
            shown(&slots)
        };
        assert_eq!(after(&stage), [1, 2, 3]);
        stage.began(ParticipantId(7));
        assert_eq!(after(&stage), [1, 2, 7]);
        stage.began(ParticipantId(2));
        assert_eq!(after(&stage), [1, 2, 7]);
        stage.began(ParticipantId(8));
        assert_eq!(after(&stage), [8, 2, 7]);
        stage.stopped(ParticipantId(8), Some(ParticipantId(9)));
        assert_eq!(after(&stage), [8, 2, 9]);
        stage.forget(ParticipantId(8));
        assert_eq!(after(&stage), [7, 2, 9], "whoever spoke before them");
    }

    #[test]
    fn whoever_spoke_last_is_in_the_first_slot_of_sound() {
        let (mut stage, mut slots) = (Stage::default(), slots(3, 0, false));
        let publishing = publishing(5);
        let mut after = |stage: &Stage, viewer| {
            slots.fill(viewer, &stage.lineup(&[], &publishing));
            shown(&slots)
        };
        assert_eq!(after(&stage, VIEWER), [1, 2, 3]);
        stage.began(ParticipantId(3));
        assert_eq!(after(&stage, VIEWER), [3, 2, 1], "the two change places");
        stage.began(ParticipantId(2));
        assert_eq!(after(&stage, VIEWER), [2, 3, 1]);
        stage.began(ParticipantId(5));
        assert_eq!(
            after(&stage, VIEWER),
            [5, 3, 2],
            "they take the place of who has left, and then the first"
        );
        assert_eq!(after(&stage, ParticipantId(5)), [2, 3, 1]);
    }

    #[test]
    fn one_slot_of_pictures_shows_the_spotlit_one_else_the_speaker() {
        let (mut stage, mut slots) = (Stage::default(), slots(1, 1, false));
        let publishing = publishing(4);
        stage.began(ParticipantId(3));
        slots.fill(VIEWER, &stage.lineup(&[], &publishing));
        assert_eq!(shown(&slots), [3, 3]);
        let spotlit = [ParticipantId(2), ParticipantId(4)];
        slots.fill(VIEWER, &stage.lineup(&spotlit, &publishing));
        assert_eq!(shown(&slots), [3, 2]);
        slots.fill(ParticipantId(2), &stage.lineup(&spotlit, &publishing));
        assert_eq!(shown(&slots), [3, 4]);
    }

    #[test]
    fn who_may_not_be_heard_or_seen_is_in_no_slot_of_that_part() {
        let (mut stage, mut slots) = (Stage::default(), slots(2, 2, false));
        let mut publishing = publishing(2);
        publishing[0].is_heard = false;
        publishing[1].is_seen = false;
        stage.began(ParticipantId(1));
        stage.began(ParticipantId(77));
        slots.fill(VIEWER, &stage.lineup(&[ParticipantId(2)], &publishing));
        assert_eq!(shown(&slots), [2, 0, 1, 0]);
    }

    #[test]
    fn whoever_began_last_presents_and_sees_no_screen() {
        let (mut stage, mut slots) = (Stage::default(), slots(0, 0, true));
        let mut shown_to = |stage: &Stage, viewer| {
            slots.fill(ParticipantId(viewer), &stage.lineup(&[], &[]));
            slots.iter().next().and_then(|(_, feed)| feed)
        };
        let screen = |id| {
            let participant = ParticipantId(id);
            Some(FeedRef {
                participant,
                feed: Feed::Screen,
            })
        };
        assert_eq!(shown_to(&stage, 9), None);
        stage.presents(ParticipantId(1), true);
        stage.presents(ParticipantId(2), true);
        stage.presents(ParticipantId(1), true);
        assert_eq!(
            [9, 1, 2].map(|viewer| shown_to(&stage, viewer)),
            [screen(2), screen(2), None]
        );
        stage.presents(ParticipantId(2), false);
        assert_eq!(shown_to(&stage, 9), screen(1));
        stage.forget(ParticipantId(1));
        assert_eq!(shown_to(&stage, 9), None);
    }

    #[test]
    fn slots_that_a_new_offer_keeps_keep_what_is_in_them() {
        let (stage, mut slots) = (Stage::default(), slots(0, 2, true));
        slots.fill(VIEWER, &stage.lineup(&[], &publishing(2)));
        let kept = slots.renewed(slots.0.iter().skip(1).map(|(slot, _)| *slot));
        assert_eq!(shown(&kept), [2, 0]);
        let other_part = StageSlot {
            part: StagePart::Sound,
            ..slots.0[0].0
        };
        assert_eq!(shown(&slots.renewed([other_part].into_iter())), [0]);
    }

    #[test]
    fn of_all_who_spoke_few_are_remembered() {
        let mut stage = Stage::default();
        for id in 0..1_000 {
            stage.began(ParticipantId(id));
        }
        assert_eq!(stage.spoke.len(), REMEMBERED_MAX);
    }
}
