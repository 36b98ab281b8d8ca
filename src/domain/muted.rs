//! Those whom a host has muted alone, and who have left: they are muted again when they come back. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Claim, Muted, Person};

/// People of one meeting who are remembered. Each of them was muted by hand, and a host who has that many to mute mutes all guests.
/// With more, whoever comes is compared with many names. With fewer, those who take turns at coming back would be forgotten.
const REMEMBERED_MAX: usize = 256;

/// The muted who have left a meeting. It ends with the room.
#[derive(Debug, Default)]
pub(super) struct MutedWhoLeft(VecDeque<Remembered>);

#[derive(Debug)]
struct Remembered {
    person: Arc<Person>,
    claim: Claim,
    muted: Muted,
}

impl Remembered {
    /// Whether somebody who comes counts as this person. Names that are only said are all that is known of those who say them: of
    /// people who came with an id of their own making, it is the name by which they are shown. Whoever has proven a name
    /// does not answer for those who only said it.
    fn is(&self, person: &Person, claim: Claim) -> bool {
        let same_id = self.person.user == person.user;
        match (self.claim, claim) {
            (Claim::Unproven, Claim::Unproven) => same_id || self.person.name == person.name,
            (Claim::Proven, Claim::Unproven) => same_id,
            (before, now) => before == now && same_id,
        }
    }
}

impl MutedWhoLeft {
    /// Remembers somebody who leaves, if anything of theirs is muted. The oldest one is forgotten where there are too many.
    pub fn remember(&mut self, person: &Arc<Person>, claim: Claim, muted: Muted) {
        if muted == Muted::default() {
            return;
        }
        self.0
            .retain(|one| one.person.user != person.user || one.claim != claim);
        if self.0.len() >= REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Remembered {
            person: Arc::clone(person),
            claim,
            muted,
        });
    }

    /// What is muted of somebody who comes. They are forgotten: one who has left mutes one who comes.
    pub fn take(&mut self, person: &Person, claim: Claim) -> Muted {
        let by_id = |one: &Remembered| one.is(person, claim) && one.person.user == person.user;
        let place = self.0.iter().position(by_id);
        let place = place.or_else(|| self.0.iter().position(|one| one.is(person, claim)));
        let taken = place.and_then(|place| self.0.remove(place));
        taken.map(|one| one.muted).unwrap_or_default()
    }

    /// A host lets everybody speak again.
    pub fn unmute_sounds(&mut self) {
        self.0.retain_mut(|one| {
            one.muted.sound = false;
            one.muted.camera
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Muted = Muted {
        sound: true,
        camera: false,
    };
    const BOTH: Muted = Muted {
        sound: true,
        camera: true,
    };
    const NOTHING: Muted = Muted {
        sound: false,
        camera: false,
    };

    fn person(user: &str, name: &str) -> Arc<Person> {
        Arc::new(Person {
            name: name.to_owned(),
            ..Person::unnamed(user.into())
        })
    }

    /// What is muted of the second, if the first has left with their sound muted.
    fn after((user, name, claim): (&str, &str, Claim), comes: (&str, &str, Claim)) -> Muted {
        let mut left = MutedWhoLeft::default();
        left.remember(&person(user, name), claim, SOUND);
        left.take(&person(comes.0, comes.1), comes.2)
    }

    #[test]
    fn who_comes_back_is_known_by_what_they_have_proven_or_else_by_the_name_that_they_say() {
        use Claim::{Proven, Reserved, Unproven};
        let said = ("guest-1", "Ben", Unproven);
        assert_eq!(after(said, ("guest-1", "Benjamin", Unproven)), SOUND, "the same id");
        assert_eq!(after(said, ("guest-2", "Ben", Unproven)), SOUND, "the same name");
        assert_eq!(after(said, ("guest-2", "Anna", Unproven)), NOTHING);
        assert_eq!(after(said, ("ben", "Ben", Proven)), NOTHING, "somebody had their name");
        assert_eq!(after(said, ("guest-1", "Ben", Proven)), NOTHING);
        let proven = ("ben", "Ben", Proven);
        assert_eq!(after(proven, ("ben", "Ben", Proven)), SOUND);
        assert_eq!(after(proven, ("ben", "?", Unproven)), SOUND, "he leaves his proof away");
        assert_eq!(after(proven, ("guest-2", "Ben", Unproven)), NOTHING, "another Ben");
        assert_eq!(after(proven, ("ben2", "Ben", Proven)), NOTHING);
        let robot = ("robot", "Robot", Reserved);
        assert_eq!(after(robot, ("robot", "Robot", Reserved)), SOUND);
        assert_eq!(after(robot, ("robot", "Robot", Unproven)), NOTHING);
    }

    #[test]
    fn one_who_has_left_mutes_one_who_comes_and_the_same_id_goes_first() {
        let mut left = MutedWhoLeft::default();
        left.remember(&person("1", "Ben"), Claim::Unproven, BOTH);
        left.remember(&person("2", "Ben"), Claim::Unproven, SOUND);
        left.remember(&person("2", "Ben"), Claim::Unproven, SOUND);
        left.remember(&person("3", "Ben"), Claim::Unproven, NOTHING);
        let mut take = |user| left.take(&person(user, "Ben"), Claim::Unproven);
        assert_eq!([take("2"), take("4"), take("5")], [SOUND, BOTH, NOTHING]);
    }

    #[test]
    fn whoever_may_speak_again_stays_without_a_picture() {
        let mut left = MutedWhoLeft::default();
        left.remember(&person("1", "Ben"), Claim::Unproven, BOTH);
        left.remember(&person("2", "Carl"), Claim::Unproven, SOUND);
        left.unmute_sounds();
        assert_eq!(left.0.len(), 1);
        let camera = Muted {
            sound: false,
            camera: true,
        };
        assert_eq!(left.take(&person("1", "Ben"), Claim::Unproven), camera);
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many() {
        let mut left = MutedWhoLeft::default();
        for number in 0..=REMEMBERED_MAX {
            let name = number.to_string();
            left.remember(&person(&name, &name), Claim::Unproven, SOUND);
        }
        assert_eq!(left.0.len(), REMEMBERED_MAX);
        assert_eq!(left.take(&person("0", "0"), Claim::Unproven), NOTHING);
        assert_eq!(left.take(&person("1", "1"), Claim::Unproven), SOUND);
    }
}
