//! What is left of a room after a part of the media engine was lost.

use super::*;

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
        let told = expected.into_iter().map(|event| Effect::Tell {
            session: SessionId(2),
            event,
        });
        assert_eq!(rooms.media_lost(now(), &[], &[watching]), told.collect::<Vec<_>>());
    }
}
