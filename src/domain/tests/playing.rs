//! Recordings that participants publish.

use super::*;
use crate::sound::Recording;

pub(super) fn play(rooms: &mut Rules, session: u64) -> Result<Vec<Effect>, Refusal> {
    let recording = Recording::read(include_bytes!("../../../tests/fixtures/tone.opus")).unwrap();
    let (feed, repeats) = (Feed::Camera, false);
    let play = Play {
        feed,
        recording,
        waits: false,
        repeats,
    };
    rooms.handle(now(), SessionId(session), Command::Play(play))
}

#[test]
fn whoever_plays_publishes_by_one_connection_like_anybody() {
    let limits = Limits {
        peers_per_participant: 1,
        ..Limits::default()
    };
    let mut rooms = Rules::new(limits);
    assert_eq!(play(&mut rooms, 1), Err(Refusal::NotInRoom));
    join(&mut rooms, 1, "r", "anna").unwrap();
    join(&mut rooms, 2, "r", "ben").unwrap();
    assert_eq!(outline(&play(&mut rooms, 1).unwrap()), ["play Camera"]);
    let again = play(&mut rooms, 1).unwrap();
    assert_eq!(outline(&again), ["close peer", "play Camera"]);
    let offered = offer(&mut rooms, 1, "anna", 1).unwrap();
    assert_eq!(
        outline(&offered),
        ["close peer", "negotiate for 1"],
        "a microphone in its place"
    );
    assert_eq!(outline(&play(&mut rooms, 1).unwrap()), ["close peer", "play Camera"]);
    assert_eq!(rooms.peer_count(), 1);
    offer(&mut rooms, 2, "anna", 2).unwrap();
    assert_eq!(play(&mut rooms, 2), Err(Refusal::TooManyPeers));
}

#[test]
fn the_end_of_a_recording_is_missed_by_nobody() {
    let mut rooms = Rules::new(Limits::default());
    join(&mut rooms, 1, "r", "anna").unwrap();
    let effects = play(&mut rooms, 1).unwrap();
    let [Effect::Play(playback)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    rooms.peer_connected(playback.peer);
    let sent = [ended(1, UserFeed::camera("anna".into()))];
    assert_eq!(rooms.peer_lost(now(), playback.peer, true), sent, "the player alone");
    assert_eq!(
        (rooms.peer_count(), rooms.participant_count(), rooms.poll_timeout()),
        (0, 1, None)
    );
}
