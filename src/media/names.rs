//! Names of tracks, and what a section of a connection carries. A track has the same name on every worker, and over every
//! connection that carries it.

use super::codec::Kind;
use crate::ids::{Feed, FeedRef, ParticipantId, SlotId};

/// A track among those of its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackName {
    pub feed: Feed,
    pub kind: Kind,
    /// Place among the feed's tracks of this kind, from 0.
    pub number: u8,
}

/// A track among those of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackRef {
    pub participant: ParticipantId,
    pub name: TrackName,
}

impl TrackRef {
    /// The first track of this kind of a feed.
    pub fn first(feed: FeedRef, kind: Kind) -> TrackRef {
        TrackRef::of(feed, kind, 0)
    }

    fn of(FeedRef { participant, feed }: FeedRef, kind: Kind, number: u8) -> TrackRef {
        let name = TrackName { feed, kind, number };
        TrackRef { participant, name }
    }
}

/// The part of what a participant publishes that is forwarded to nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    /// All sound, also that of a screen.
    pub sound: bool,
    /// The pictures of the camera. Whoever shows a screen may do so without being seen.
    pub camera: bool,
}

impl Muted {
    pub fn covers(self, name: TrackName) -> bool {
        match (name.kind, name.feed) {
            (Kind::Audio, _) => self.sound,
            (Kind::Video, Feed::Camera) => self.camera,
            (Kind::Video, Feed::Screen) => false,
        }
    }
}

/// What a sending section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    Track(TrackRef),
    /// The source that [`MediaCommand::Fill`](super::messages::MediaCommand::Fill) named last; nothing before that.
    Slot(SlotId),
}

impl Down {
    /// The name of the stream at the subscriber: in `a=msid`, and as CNAME in SDP and RTCP, which must agree. Sound and
    /// pictures of one feed have the same name, so that the client plays them together (RFC 8834 §4.2). So have all slots of a
    /// connection: clients of conferences play one stream, and expect all sound and pictures in it.
    pub fn stream(self) -> String {
        match self {
            Down::Track(TrackRef { participant, name }) => match name.feed {
                Feed::Camera => format!("p{:x}", participant.0),
                Feed::Screen => format!("p{:x}-screen", participant.0),
            },
            Down::Slot(_) => "slots".to_owned(),
        }
    }
}

/// One thing that a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A feed that the client publishes, of these kinds alone.
    Publish(Feed, &'static [Kind]),
    Watch(FeedRef),
    Slot(SlotId, Kind),
    /// A slot in the section of the slot before it.
    JoinedSlot(SlotId),
}

/// Deals the uses of a connection to its sections, in the order of the offer. Each use gets the next section of a kind. The
/// sections that are left go to the feeds again, in turn, for their second track of the kind, their third, and so on. A section
/// on hold, which carries nothing in a direction, takes no part: clients leave such sections behind when they replace a camera,
/// and the next section is to have its name.
pub struct Dealer<'a> {
    uses: &'a [Use],
    up: [usize; Kind::ALL.len()],
    down: [usize; Kind::ALL.len()],
}

impl<'a> Dealer<'a> {
    pub fn new(uses: &'a [Use]) -> Dealer<'a> {
        Dealer {
            uses,
            up: Default::default(),
            down: Default::default(),
        }
    }

    /// The name of the track that the client publishes in its next section of this kind. `None` if it publishes nothing.
    pub fn next_up(&mut self, kind: Kind) -> Option<TrackName> {
        let feeds = || {
            self.uses.iter().filter_map(|one| match one {
                Use::Publish(feed, kinds) => kinds.contains(&kind).then_some(*feed),
                Use::Watch(_) | Use::Slot(..) | Use::JoinedSlot(_) => None,
            })
        };
        let place = self.up[kind.index()];
        let turn = place.checked_div(feeds().count())?;
        let feed = feeds().nth(place % feeds().count())?;
        self.up[kind.index()] += 1;
        let number = u8::try_from(turn).ok()?;
        Some(TrackName { feed, kind, number })
    }

    /// What we send in the next section of this kind. `None` if there is nothing more to send.
    pub fn next_down(&mut self, kind: Kind) -> Option<Down> {
        let place = self.down[kind.index()];
        let first_turn = || {
            self.uses.iter().filter_map(|one| match *one {
                Use::Watch(feed) => Some(Down::Track(TrackRef::first(feed, kind))),
                Use::Slot(slot, of) if of == kind => Some(Down::Slot(slot)),
                Use::Publish(..) | Use::Slot(..) | Use::JoinedSlot(_) => None,
            })
        };
        let watched = || {
            self.uses.iter().filter_map(|one| match one {
                Use::Watch(feed) => Some(*feed),
                Use::Publish(..) | Use::Slot(..) | Use::JoinedSlot(_) => None,
            })
        };
        let found = match first_turn().nth(place) {
            Some(down) => down,
            None => {
                let further = place - first_turn().count();
                let turn = further.checked_div(watched().count())?;
                let feed = watched().nth(further % watched().count())?;
                Down::Track(TrackRef::of(feed, kind, u8::try_from(turn + 1).ok()?))
            }
        };
        self.down[kind.index()] += 1;
        Some(found)
    }

    /// The slots that share the section of `down`, if that is a slot.
    pub fn joined(&self, down: Option<Down>) -> impl Iterator<Item = Down> {
        let is_down = move |one: &Use| matches!((*one, down), (Use::Slot(slot, _), Some(Down::Slot(of))) if slot == of);
        let place = self.uses.iter().position(is_down);
        let after = place.map_or(&[][..], |place| &self.uses[place + 1..]);
        after.iter().map_while(|one| match *one {
            Use::JoinedSlot(slot) => Some(Down::Slot(slot)),
            Use::Publish(..) | Use::Watch(_) | Use::Slot(..) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::Kind::{Audio, Video};

    const ALICE: FeedRef = FeedRef {
        participant: ParticipantId(10),
        feed: Feed::Camera,
    };
    const SCREEN: FeedRef = FeedRef {
        participant: ParticipantId(11),
        feed: Feed::Screen,
    };

    fn down(feed: FeedRef, kind: Kind, number: u8) -> Option<Down> {
        Some(Down::Track(TrackRef::of(feed, kind, number)))
    }

    #[test]
    fn all_sections_of_a_connection_that_watches_one_feed_are_that_feeds() {
        let uses = [Use::Watch(ALICE)];
        let mut dealer = Dealer::new(&uses);
        let dealt = [Audio, Video, Video, Audio, Video].map(|kind| dealer.next_down(kind));
        let expected = [(Audio, 0), (Video, 0), (Video, 1), (Audio, 1), (Video, 2)];
        assert_eq!(dealt, expected.map(|(kind, number)| down(ALICE, kind, number)));
        assert_eq!(dealer.next_up(Audio), None);
    }

    #[test]
    fn every_use_gets_a_section_before_a_feed_gets_a_second_one() {
        let uses = [
            Use::Publish(Feed::Camera, &Kind::ALL),
            Use::Watch(ALICE),
            Use::Slot(SlotId(3), Video),
            Use::Watch(SCREEN),
            Use::Publish(Feed::Screen, &Kind::ALL),
        ];
        let mut dealer = Dealer::new(&uses);
        let videos: Vec<Option<Down>> = (0..6).map(|_| dealer.next_down(Video)).collect();
        let expected = [
            down(ALICE, Video, 0),
            Some(Down::Slot(SlotId(3))),
            down(SCREEN, Video, 0),
            down(ALICE, Video, 1),
            down(SCREEN, Video, 1),
            down(ALICE, Video, 2),
        ];
        assert_eq!(videos, expected);
        assert_eq!(dealer.next_down(Audio), down(ALICE, Audio, 0));
        assert_eq!(dealer.next_down(Audio), down(SCREEN, Audio, 0));
        let published: Vec<_> = (0..3)
            .filter_map(|_| dealer.next_up(Video))
            .map(|name| (name.feed, name.number))
            .collect();
        assert_eq!(published, [(Feed::Camera, 0), (Feed::Screen, 0), (Feed::Camera, 1)]);
    }

    #[test]
    fn a_kind_that_may_not_be_published_gets_no_section() {
        let uses = [
            Use::Publish(Feed::Camera, &[Audio]),
            Use::Publish(Feed::Screen, &Kind::ALL),
            Use::Watch(ALICE),
        ];
        let mut dealer = Dealer::new(&uses);
        let mut published = |kind| dealer.next_up(kind).map(|name| (name.feed, name.number));
        assert_eq!(published(Video), Some((Feed::Screen, 0)));
        assert_eq!(published(Audio), Some((Feed::Camera, 0)));
        assert_eq!(published(Video), Some((Feed::Screen, 1)));
        assert_eq!(dealer.next_down(Video), down(ALICE, Video, 0));
        let mut dealer = Dealer::new(&uses[..1]);
        assert_eq!(dealer.next_up(Video), None);
    }

    #[test]
    fn slots_alone_are_filled_once_each() {
        let uses = [Use::Slot(SlotId(0), Video), Use::Slot(SlotId(1), Audio)];
        let mut dealer = Dealer::new(&uses);
        let dealt = [Video, Video, Audio, Audio].map(|kind| dealer.next_down(kind));
        let slot = |id| Some(Down::Slot(SlotId(id)));
        assert_eq!(dealt, [slot(0), None, slot(1), None]);
    }

    #[test]
    fn slots_that_join_others_share_their_section() {
        let slot = |id| Down::Slot(SlotId(id));
        let uses = [
            Use::Slot(SlotId(0), Audio),
            Use::JoinedSlot(SlotId(1)),
            Use::JoinedSlot(SlotId(2)),
            Use::Slot(SlotId(3), Video),
            Use::JoinedSlot(SlotId(4)),
        ];
        let mut dealer = Dealer::new(&uses);
        let [video, audio, none] = [Video, Audio, Audio].map(|kind| dealer.next_down(kind));
        assert_eq!([video, audio, none], [Some(slot(3)), Some(slot(0)), None]);
        let joined = |down| dealer.joined(down).collect::<Vec<_>>();
        assert_eq!(joined(audio), [slot(1), slot(2)]);
        assert_eq!(joined(video), [slot(4)]);
        assert_eq!((joined(none), joined(Some(slot(1)))), (Vec::new(), Vec::new()));
        assert_eq!(joined(down(ALICE, Audio, 0)), []);
    }

    #[test]
    fn streams_of_different_sources_have_different_names() {
        let streams = [
            down(ALICE, Audio, 0),
            down(ALICE, Video, 4),
            down(SCREEN, Video, 0),
            Some(Down::Slot(SlotId(2))),
        ];
        let names: Vec<String> = streams.into_iter().flatten().map(Down::stream).collect();
        assert_eq!(names, ["pa", "pa", "pb-screen", "slots"]);
    }
}
