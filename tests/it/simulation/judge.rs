//! Things that must hold of a packet that somebody gets.

use super::connection::Connection;
use super::streams::Stamp;
use super::surroundings::Surroundings;

/// Judges whether a packet may have come here, and whether none before it is missing.
pub fn judge(
    at: &mut Surroundings,
    who: &str,
    room: u8,
    connection: &mut Connection,
    stamp: Stamp,
    closed_ms: Option<u64>,
) {
    at.tally.packets += 1;
    let facts = &at.streams[&stamp.stream];
    let is_clean = connection.is_clean && facts.is_clean && closed_ms.is_none();
    let Some(sink) = &mut connection.sink else {
        panic!("{who} gets media on a connection that only sends: {stamp:?}");
    };
    // A connection is requested by the name of one person in one room.
    assert_eq!(
        sink.publisher, stamp.publisher,
        "{who} gets what somebody else sends: {stamp:?}"
    );
    if let Some(closed_ms) = closed_ms {
        // A person who has left, or whose publisher has left, gets nothing that was sent afterwards.
        assert!(
            stamp.sent_ms <= closed_ms,
            "{who} gets what was sent after {closed_ms}: {stamp:?}"
        );
    } else {
        assert_eq!(facts.room, room, "{who} gets what is sent in another room: {stamp:?}");
    }
    if let Some(ended_ms) = facts.ended_ms {
        assert!(
            stamp.sent_ms <= ended_ms,
            "{who} gets what was sent after {ended_ms}: {stamp:?}"
        );
    }
    if is_clean {
        let is_forbidden = at.decisions.forbid(stamp.publisher, stamp.sent_ms);
        assert!(
            !is_forbidden,
            "{who} gets what was sent while its publisher was muted: {stamp:?}"
        );
    }
    let before = sink.last.filter(|last| last.stream == stamp.stream);
    let is_whole = |last: &Stamp| !at.decisions.may_leave_out(stamp.publisher, last.sent_ms, stamp.sent_ms);
    let before = before.filter(is_whole);
    // Neither client, nor their workers, nor their networks were disturbed: events at others do not change anything
    // here.
    if let Some(before) = before.filter(|_| is_clean) {
        at.tally.packets_in_order += 1;
        assert_eq!(
            stamp.count,
            before.count + 1,
            "{who} misses packets, or gets them twice: {stamp:?} after {before:?}"
        );
    }
    let is_newest = sink
        .last
        .is_none_or(|last| (last.stream, last.count) < (stamp.stream, stamp.count));
    if is_newest {
        sink.last = Some(stamp);
    }
}
