//! The rest of a room after a part of the media engine was lost.

use super::*;
use crate::ids::UserId;

#[test]
fn who_is_to_watch_somebody_anew_hears_that_their_media_are_missing() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    let published = opened(&offer(&mut rooms, 1, "anna", 1).unwrap());
    for (number, media) in [(2, MediaState::Back), (3, MediaState::Lost), (4, MediaState::Back)] {
        rooms.media_changed(published, media);
        let watching = opened(&offer(&mut rooms, 2, "anna", number).unwrap());
        let person = Arc::new(person("anna"));
        let mut expected = vec![Event::ConnectionLost { person }];
        if media == MediaState::Lost {
            // A participant who watches anew knows nothing, like one who has just come.
            let user = "anna".into();
            expected.push(Event::MediaChanged { user, media });
        }
        let events = expected.into_iter().map(|event| Effect::Send {
            session: SessionId(2),
            event,
        });
        let sent: Vec<_> = events.chain([ended(2, UserFeed::camera("anna".into()))]).collect();
        assert_eq!(rooms.media_lost(now(), &[watching]), sent);
    }
}

#[test]
fn who_is_to_watch_a_speaker_anew_is_sent_who_speaks() {
    let mut rooms = Rules::new(Limits::default());
    for (session, user) in [(1, "anna"), (2, "ben"), (3, "carl")] {
        join(&mut rooms, session, "r", user).unwrap();
    }
    let published = opened(&offer(&mut rooms, 1, "anna", 1).unwrap());
    opened(&offer(&mut rooms, 2, "ben", 2).unwrap());
    rooms.speech_changed(now(), published, true);
    let session = SessionId(3);
    for (number, source, is_speaker) in [(3, "anna", true), (4, "ben", false)] {
        let watching = opened(&offer(&mut rooms, 3, source, number).unwrap());
        let person = Arc::new(person(source));
        let mut expected = vec![Event::ConnectionLost { person }];
        if is_speaker {
            let users: Arc<[UserId]> = Arc::from([UserId::from("anna")]);
            expected.push(Event::Speakers { users });
        }
        let events = expected.into_iter().map(|event| Effect::Send { session, event });
        let sent: Vec<_> = events.chain([ended(3, UserFeed::camera(source.into()))]).collect();
        assert_eq!(rooms.media_lost(now(), &[watching]), sent);
    }
}

#[test]
fn of_a_room_only_those_go_who_published_over_what_is_lost() {
    let mut rooms = Rules::new(Limits::default());
    for (session, user) in [(1, "anna"), (2, "ben"), (3, "carl")] {
        join(&mut rooms, session, "r", user).unwrap();
    }
    let published = opened(&offer(&mut rooms, 1, "anna", 1).unwrap());
    let elsewhere = opened(&offer(&mut rooms, 2, "ben", 2).unwrap());
    let watching = opened(&offer(&mut rooms, 3, "anna", 3).unwrap());
    opened(&offer(&mut rooms, 3, "ben", 4).unwrap());
    let effects = rooms.media_lost(now(), &[published, watching]);
    let expected = [
        "dismiss 1: MediaLost",
        "close peer",
        "close peer",
        "send 2: anna left",
        "send 3: anna left",
    ];
    assert_eq!(
        outline(&effects),
        expected,
        "nobody is to watch somebody anew who has left"
    );
    assert_eq!(
        (rooms.room_count(), rooms.participant_count(), rooms.peer_count()),
        (1, 2, 2)
    );
    let effects = rooms.media_lost(now(), &[elsewhere]);
    assert_eq!(outline(&effects)[0], "dismiss 2: MediaLost");
    assert_eq!(
        (rooms.room_count(), rooms.participant_count(), rooms.peer_count()),
        (1, 1, 0)
    );
}
