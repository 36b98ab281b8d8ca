//! Who of a room spoke last, on whichever worker: the order in which their videos are served. Pure.

use std::time::Instant;

use smallvec::SmallVec;

use crate::ids::ParticipantId;

/// Participants in the order. A talk seldom has more, and everybody else comes after them.
const SPEAKERS_MAX: usize = 8;

/// The participants who began to speak last. They stay in it when they stop: whoever has just spoken mostly speaks again.
#[derive(Debug, Default)]
pub(crate) struct SpeakingOrder {
    /// Each with the time at which they began; the newest first.
    speakers: SmallVec<[(ParticipantId, Instant); 1]>,
}

impl SpeakingOrder {
    /// Notes that somebody has begun to speak. False if that changes nothing.
    pub fn began(&mut self, participant: ParticipantId, at: Instant) -> bool {
        let before = self.rank(participant);
        if self.began_at(participant).is_some_and(|known| known >= at) {
            return false;
        }
        self.forget(participant);
        let place = self.speakers.partition_point(|(_, other)| *other > at);
        self.speakers.insert(place, (participant, at));
        self.speakers.truncate(SPEAKERS_MAX);
        self.rank(participant) != before
    }

    /// The place of a participant among those who spoke last: 0 is that of the newest.
    pub fn rank(&self, participant: ParticipantId) -> Option<u16> {
        let place = self.speakers.iter().position(|(one, _)| *one == participant);
        place.map(|place| place as u16)
    }

    /// Time at which a participant of the order began to speak.
    pub fn began_at(&self, participant: ParticipantId) -> Option<Instant> {
        let mut speakers = self.speakers.iter();
        speakers.find(|(one, _)| *one == participant).map(|(_, at)| *at)
    }

    /// Forgets a participant who publishes nothing any more.
    pub fn forget(&mut self, participant: ParticipantId) {
        self.speakers.retain(|(one, _)| *one != participant);
    }

    pub fn participants(&self) -> impl Iterator<Item = ParticipantId> {
        self.speakers.iter().map(|(participant, _)| *participant)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    #[test]
    fn whoever_began_last_comes_first_in_whatever_order_it_is_heard() {
        let [anna, ben, cleo] = [1, 2, 3].map(ParticipantId);
        let mut order = SpeakingOrder::default();
        assert!(order.began(anna, at(10)) && order.began(ben, at(30)));
        assert!(order.began(cleo, at(20)), "from another worker, it comes late");
        assert_eq!(
            [anna, ben, cleo].map(|one| order.rank(one)),
            [Some(2), Some(0), Some(1)]
        );
        assert!(!order.began(anna, at(10)), "once more");
        assert!(!order.began(ben, at(40)), "the first stays the first");
        assert!(order.began(anna, at(50)));
        assert_eq!(
            [anna, ben, cleo].map(|one| order.rank(one)),
            [Some(0), Some(1), Some(2)]
        );
        order.forget(ben);
        assert_eq!([anna, ben, cleo].map(|one| order.rank(one)), [Some(0), None, Some(1)]);
    }

    #[test]
    fn the_order_has_a_bound() {
        let mut order = SpeakingOrder::default();
        for number in 0..100 {
            order.began(ParticipantId(number), at(number));
        }
        assert_eq!(order.participants().count(), SPEAKERS_MAX);
        assert!(!order.began(ParticipantId(5), at(5)), "too old for it");
        assert_eq!(order.rank(ParticipantId(99)), Some(0));
    }
}
