//! Events that wait until the hub takes them. The hub may be late, or hang. If a state changes back and forth, only its newest
//! event waits, so that there are never more than a few events for each connection, and one for each track.

use std::collections::VecDeque;

use crate::media::messages::MediaEvent;

#[derive(Default)]
pub(super) struct EventQueue(VecDeque<MediaEvent>);

impl EventQueue {
    /// Adds an event behind all others, and removes an older one about the same state, which nobody needs any more.
    pub fn push_back(&mut self, event: MediaEvent) {
        self.0.retain(|waiting| !replaces(&event, waiting));
        self.0.push_back(event);
    }

    pub fn pop_front(&mut self) -> Option<MediaEvent> {
        self.0.pop_front()
    }
}

/// Whether both are about the same state of the same connection, so that only the newer one counts.
fn replaces(newer: &MediaEvent, older: &MediaEvent) -> bool {
    use MediaEvent::{Decodable, LayersWanted, Quality, Resumed, SpeechBegan, SpeechEnded, Suspended, Undecodable};
    match (newer, older) {
        (Suspended { peer } | Resumed { peer }, Suspended { peer: other } | Resumed { peer: other }) => peer == other,
        (SpeechBegan { peer } | SpeechEnded { peer }, SpeechBegan { peer: other } | SpeechEnded { peer: other }) => {
            peer == other
        }
        (
            Quality { peer, feed, .. },
            Quality {
                peer: other,
                feed: other_feed,
                ..
            },
        ) => (peer, feed) == (other, other_feed),
        (
            LayersWanted { peer, feed, .. },
            LayersWanted {
                peer: other,
                feed: other_feed,
                ..
            },
        ) => (peer, feed) == (other, other_feed),
        (
            Undecodable {
                peer, publisher, kind, ..
            }
            | Decodable { peer, publisher, kind },
            Undecodable {
                peer: other,
                publisher: other_publisher,
                kind: other_kind,
                ..
            }
            | Decodable {
                peer: other,
                publisher: other_publisher,
                kind: other_kind,
            },
        ) => (peer, publisher, kind) == (other, other_publisher, other_kind),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Feed, ParticipantId, PeerId};
    use crate::media::codec::{Codec, Kind};

    #[test]
    fn of_what_changes_back_and_forth_only_the_newest_word_waits() {
        let mut events = EventQueue::default();
        let (peer, other) = (PeerId(1), PeerId(2));
        let (publisher, codec) = (ParticipantId(7), Codec::Vp8);
        let wanted = |feed, is_wanted| MediaEvent::LayersWanted {
            peer,
            feed,
            layers: vec![("q".to_owned(), is_wanted)],
            max_bits_per_second: None,
        };
        events.push_back(MediaEvent::Connected { peer });
        events.push_back(MediaEvent::Suspended { peer: other });
        for _ in 0..1_000 {
            events.push_back(MediaEvent::Suspended { peer });
            events.push_back(MediaEvent::SpeechBegan { peer });
            for kind in [Kind::Audio, Kind::Video] {
                events.push_back(MediaEvent::Undecodable {
                    peer,
                    publisher,
                    kind,
                    codec,
                });
            }
            for (feed, is_wanted) in [(Feed::Camera, false), (Feed::Screen, false), (Feed::Camera, true)] {
                events.push_back(wanted(feed, is_wanted));
            }
            events.push_back(MediaEvent::Resumed { peer });
            events.push_back(MediaEvent::SpeechEnded { peer });
            for kind in [Kind::Audio, Kind::Video] {
                events.push_back(MediaEvent::Decodable { peer, publisher, kind });
            }
        }
        let waiting: Vec<MediaEvent> = std::iter::from_fn(|| events.pop_front()).collect();
        let expected = [
            MediaEvent::Connected { peer },
            MediaEvent::Suspended { peer: other },
            wanted(Feed::Screen, false),
            wanted(Feed::Camera, true),
            MediaEvent::Resumed { peer },
            MediaEvent::SpeechEnded { peer },
            MediaEvent::Decodable {
                peer,
                publisher,
                kind: Kind::Audio,
            },
            MediaEvent::Decodable {
                peer,
                publisher,
                kind: Kind::Video,
            },
        ];
        assert_eq!(waiting, expected);
    }
}
