//! Tests of the outline of rooms that operators are shown.

use super::*;

#[test]
fn rooms_are_shown_in_the_order_of_their_opening_and_whole_until_there_are_enough_participants() {
    let mut rules = Rules::new(Limits::default());
    for (session, room, name) in [(1, "a", "anna"), (2, "a", "ben"), (3, "b", "carl"), (4, "c", "dora")] {
        join(&mut rules, session, room, name).unwrap();
    }
    offer(&mut rules, 1, "anna", 1).unwrap();
    let shown = |after: Option<RoomId>, enough| {
        let (rooms, has_more) = rules.outline(after, enough);
        let last = rooms.last().map(|room| room.id);
        let rooms: Vec<String> = rooms
            .into_iter()
            .map(|room| {
                let (kind, name) = room.name.unwrap();
                assert_eq!(kind, RoomKind::Group);
                let people = room.participants.iter();
                let people = people.map(|one| format!(" {} {}", one.person.user, one.connections));
                format!("{name}:{}", people.collect::<String>())
            })
            .collect();
        (rooms, has_more, last)
    };
    let all = ["a: anna 1 ben 0", "b: carl 0", "c: dora 0"];
    let (rooms, has_more, last) = shown(None, 100);
    assert_eq!((rooms, has_more), (all.map(str::to_owned).to_vec(), false));
    assert_eq!(shown(last, 100), (vec![], false, None));
    let (rooms, has_more, first) = shown(None, 1);
    assert_eq!((rooms, has_more), (vec![all[0].to_owned()], true));
    let (rooms, has_more, second) = shown(first, 1);
    assert_eq!((rooms, has_more), (vec![all[1].to_owned()], true));
    let (rooms, has_more, _) = shown(second, 1);
    assert_eq!((rooms, has_more), (vec![all[2].to_owned()], false));
}
