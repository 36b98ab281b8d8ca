//! Who is shown in the slots that follow the speaker.

use crate::ids::ParticipantId;

/// The two participants who spoke last, the later one first. A slot shows the first of them; in the slots of that one it shows
/// the second, because nobody is shown themselves. A participant who has stopped speaking stays until another one speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Speakers {
    last: [Option<ParticipantId>; 2],
}

impl Speakers {
    pub fn note(&mut self, participant: ParticipantId, speaks: bool) {
        if speaks && self.last[0] != Some(participant) {
            self.last = [Some(participant), self.last[0]];
        }
    }

    pub fn forget(&mut self, participant: ParticipantId) {
        let [first, second] = self.last.map(|one| one.filter(|one| *one != participant));
        self.last = [first.or(second), second.filter(|_| first.is_some())];
    }

    pub fn shown_to(&self, participant: ParticipantId) -> Option<ParticipantId> {
        self.last.into_iter().flatten().find(|one| *one != participant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speaker_is_shown_to_the_others_and_sees_who_spoke_before() {
        let [anna, ben, cleo] = [1, 2, 3].map(ParticipantId);
        let mut speakers = Speakers::default();
        assert_eq!(speakers.shown_to(cleo), None);
        speakers.note(anna, true);
        assert_eq!([anna, ben].map(|one| speakers.shown_to(one)), [None, Some(anna)]);
        speakers.note(ben, true);
        speakers.note(ben, false);
        assert_eq!(
            [anna, ben, cleo].map(|one| speakers.shown_to(one)),
            [Some(ben), Some(anna), Some(ben)]
        );
        speakers.forget(ben);
        assert_eq!([anna, cleo].map(|one| speakers.shown_to(one)), [None, Some(anna)]);
        speakers.note(cleo, true);
        speakers.note(cleo, true);
        speakers.forget(anna);
        assert_eq!([ben, cleo].map(|one| speakers.shown_to(one)), [Some(cleo), None]);
    }
}
