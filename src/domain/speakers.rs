//! Who speaks: the participants to show in slots that follow the speaker, and what the room is sent about it.

use std::time::{Duration, Instant};

use crate::ids::{ParticipantId, PeerId};

/// Time between two announcements in one room of who speaks, whatever its participants do. After a longer time, a change seems
/// late. With a shorter one, a hundred people who begin and stop at random would cause a hundred messages to each other many
/// times a second.
const ANNOUNCEMENT_GAP: Duration = Duration::from_millis(250);

/// Participants of one announcement, which limits its length. If more speak at once nobody is understood.
const ANNOUNCED_MAX: usize = 8;

/// Who speaks now, and what the room was sent about it last.
#[derive(Debug, Default)]
pub(super) struct Speaking {
    /// Participants who speak now, each with the connection over which they are heard, in the order in which they began.
    now: Vec<(PeerId, ParticipantId)>,
    announced: Vec<ParticipantId>,
    announced_at: Option<Instant>,
}

impl Speaking {
    pub fn note(&mut self, peer: PeerId, participant: ParticipantId, speaks: bool) {
        self.forget_peer(peer);
        if speaks {
            self.now.push((peer, participant));
        }
    }

    /// The participant who began last, of those who speak.
    pub fn newest(&self) -> Option<ParticipantId> {
        self.now.last().map(|(_, participant)| *participant)
    }

    /// Forgets a connection that has ended.
    pub(crate) fn forget_peer(&mut self, peer: PeerId) {
        self.now.retain(|(one, _)| *one != peer);
    }

    /// Forgets a participant who has left. Everybody is sent another event about that.
    pub fn forget(&mut self, participant: ParticipantId) {
        self.now.retain(|(_, one)| *one != participant);
        self.announced.retain(|one| *one != participant);
    }

    /// The participants of the last announcement, the earliest speaker first.
    pub(crate) fn announced(&self) -> &[ParticipantId] {
        &self.announced
    }

    /// Time at which the room is to be sent who speaks. `None` if that is what it was sent last.
    pub(crate) fn due(&self) -> Option<Instant> {
        let earliest = self.announced_at? + ANNOUNCEMENT_GAP;
        (self.heard() != self.announced).then_some(earliest)
    }

    /// Whether the room is to be sent now who speaks. Then [`Speaking::announced`] are the participants to be sent.
    pub(crate) fn announce(&mut self, now: Instant) -> bool {
        let is_due = match self.announced_at {
            Some(_) => self.due().is_some_and(|due| due <= now),
            None => !self.now.is_empty(),
        };
        if is_due {
            self.announced = self.heard();
            self.announced_at = Some(now);
        }
        is_due
    }

    /// The participants who are heard, each of them once, even over several connections.
    fn heard(&self) -> Vec<ParticipantId> {
        let mut heard: Vec<ParticipantId> = Vec::new();
        for (_, participant) in &self.now {
            if heard.len() < ANNOUNCED_MAX && !heard.contains(participant) {
                heard.push(*participant);
            }
        }
        heard
    }
}

/// The two participants who spoke last, the later one first. A slot shows the first of them; in the slots of that one it shows
/// the second, because nobody is shown themselves. A participant who has stopped speaking stays if no other one speaks. Where fewer have spoken,
/// others who publish are shown: some programs send no audio levels.
///
/// Participants who are spotlit are shown before them, whoever was spotlit first before the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Speakers {
    last: [Option<ParticipantId>; 2],
    /// In the order in which they were spotlit.
    spotlit: Vec<ParticipantId>,
}

impl Speakers {
    pub fn began(&mut self, participant: ParticipantId) {
        if self.last[0] != Some(participant) {
            self.last = [Some(participant), self.last[0]];
        }
    }

    /// Shows somebody in a place that nobody has who has spoken.
    pub(crate) fn introduce(&mut self, participant: ParticipantId) {
        if self.last.contains(&Some(participant)) {
            return;
        }
        if let Some(free) = self.last.iter_mut().find(|place| place.is_none()) {
            *free = Some(participant);
        }
    }

    /// If two people take turns, the first still counts as speaking when the second begins. `newest` goes on speaking when
    /// `participant` stops.
    pub(crate) fn stopped(&mut self, participant: ParticipantId, newest: Option<ParticipantId>) {
        if let Some(newest) = newest
            && self.last[0] == Some(participant)
        {
            self.began(newest);
        }
    }

    /// Forgets a participant who has left. If they were shown, `newest` is shown now, of those who go on speaking.
    pub fn forget(&mut self, participant: ParticipantId, newest: Option<ParticipantId>) {
        let was_shown = self.last[0] == Some(participant);
        self.spotlight(participant, false);
        let [first, second] = self.last.map(|one| one.filter(|one| *one != participant));
        self.last = [first.or(second), second.filter(|_| first.is_some())];
        if let Some(newest) = newest.filter(|_| was_shown) {
            self.began(newest);
        }
    }

    /// Puts somebody into the spotlight, behind those who are there, or out of it.
    pub(crate) fn spotlight(&mut self, participant: ParticipantId, on: bool) {
        let is_there = self.spotlit.contains(&participant);
        match on {
            true if !is_there => self.spotlit.push(participant),
            true => {}
            false => self.spotlit.retain(|one| *one != participant),
        }
    }

    /// Those in the spotlight, whoever was there first before the others.
    pub(super) fn spotlit(&self) -> &[ParticipantId] {
        &self.spotlit
    }

    pub(crate) fn shown_to(&self, participant: ParticipantId) -> Option<ParticipantId> {
        let spotlit = self.spotlit.iter().copied();
        let shown = spotlit.chain(self.last.into_iter().flatten());
        shown.into_iter().find(|one| *one != participant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::some_instant;

    #[test]
    fn what_is_announced_is_news_and_not_sooner_than_a_quarter_of_a_second_after_the_last() {
        let now = some_instant();
        let at = |millis| now + Duration::from_millis(millis);
        let [anna, ben] = [1, 2].map(ParticipantId);
        let mut speaking = Speaking::default();
        assert!(!speaking.announce(at(0)), "nobody has spoken");
        speaking.note(PeerId(1), anna, true);
        assert!(speaking.announce(at(0)), "the first at once");
        speaking.note(PeerId(2), ben, true);
        speaking.note(PeerId(3), ben, true);
        assert_eq!(speaking.due(), Some(at(250)));
        assert!(!speaking.announce(at(249)));
        assert!(speaking.announce(at(250)));
        assert_eq!(speaking.announced(), [anna, ben], "each once");
        speaking.note(PeerId(2), ben, false);
        assert_eq!(speaking.due(), None, "Ben is heard over another connection");
        speaking.note(PeerId(1), anna, false);
        speaking.note(PeerId(1), anna, true);
        assert_eq!(speaking.due(), Some(at(500)), "the order has changed");
        speaking.forget_peer(PeerId(3));
        assert!(speaking.announce(at(600)));
        assert_eq!(speaking.announced(), [anna]);
        speaking.forget(anna);
        assert_eq!((speaking.due(), speaking.announced()), (None, &[][..]));
    }

    #[test]
    fn of_many_who_speak_at_once_the_first_are_announced_and_others_take_their_places() {
        let now = some_instant();
        let mut speaking = Speaking::default();
        for number in 0..100 {
            speaking.note(PeerId(number), ParticipantId(number), true);
        }
        assert!(speaking.announce(now));
        assert_eq!(speaking.announced().len(), ANNOUNCED_MAX);
        speaking.forget(ParticipantId(0));
        assert!(speaking.announce(now + ANNOUNCEMENT_GAP));
        assert_eq!(speaking.announced().last(), Some(&ParticipantId(8)));
    }

    #[test]
    fn a_speaker_is_shown_to_the_others_and_sees_who_spoke_before() {
        let [anna, ben, cleo] = [1, 2, 3].map(ParticipantId);
        let mut speakers = Speakers::default();
        assert_eq!(speakers.shown_to(cleo), None);
        speakers.began(anna);
        assert_eq!([anna, ben].map(|one| speakers.shown_to(one)), [None, Some(anna)]);
        speakers.began(ben);
        speakers.stopped(ben, None);
        assert_eq!(
            [anna, ben, cleo].map(|one| speakers.shown_to(one)),
            [Some(ben), Some(anna), Some(ben)]
        );
        speakers.forget(ben, None);
        assert_eq!([anna, cleo].map(|one| speakers.shown_to(one)), [None, Some(anna)]);
        speakers.began(cleo);
        speakers.began(cleo);
        speakers.forget(anna, None);
        assert_eq!([ben, cleo].map(|one| speakers.shown_to(one)), [Some(cleo), None]);
        speakers.began(anna);
        speakers.stopped(cleo, Some(anna));
        assert_eq!(speakers.shown_to(ben), Some(anna));
        speakers.stopped(anna, Some(cleo));
        assert_eq!(speakers.shown_to(ben), Some(cleo), "she has gone on all the while");
    }
}
