//! How long a robot stays in its room. Pure: it is given the events of its session, and the time.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{EndReason, Event};

/// How long a robot stays without anybody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Time until the first participant comes.
    pub wait: Duration,
    /// Time after the last participant has left.
    pub leave_after: Duration,
}

/// One visit of a robot in a room.
pub(super) struct Visit {
    patience: Patience,
    /// Number of the other participants.
    others: usize,
    /// Time at which the robot leaves, if nobody comes before. `None` while somebody is there.
    leaves_at: Option<Instant>,
    /// Whether anybody has been there.
    was_visited: bool,
}

/// Why a robot leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Nobody has come.
    NobodyCame,
    /// All others have left.
    AllLeft,
    /// Its recording has ended.
    Played,
    /// It was removed.
    Removed,
    /// The server stops.
    Shutdown,
    /// A part of the server was lost, and the robot's session with it.
    Lost,
}

impl Visit {
    /// The visit of a robot that has just entered its room.
    pub fn new(now: Instant, patience: Patience) -> Visit {
        Visit {
            patience,
            others: 0,
            leaves_at: Some(now + patience.wait),
            was_visited: false,
        }
    }

    /// Handles an event of the robot's session. `Some` if the robot is to leave.
    pub fn handle(&mut self, now: Instant, event: &Event) -> Option<Departure> {
        match event {
            Event::Joined { others } => self.others_are(now, others.len()),
            Event::ParticipantArrived { .. } => self.others_are(now, self.others + 1),
            Event::ParticipantLeft { .. } => self.others_are(now, self.others.saturating_sub(1)),
            Event::Ended(EndReason::Shutdown) => return Some(Departure::Shutdown),
            Event::Ended(EndReason::Removed) => return Some(Departure::Removed),
            Event::Ended(_) => return Some(Departure::Lost),
            Event::ConnectionEnded { .. } => return Some(Departure::Played),
            // A robot neither reads nor watches.
            _ => {}
        }
        None
    }

    fn others_are(&mut self, now: Instant, others: usize) {
        if others > 0 {
            self.leaves_at = None;
            self.was_visited = true;
        } else if self.others > 0 {
            self.leaves_at = Some(now + self.patience.leave_after);
        }
        self.others = others;
    }

    /// Time at which [`Visit::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.leaves_at
    }

    /// `Some` if the robot is to leave.
    pub fn handle_timeout(&self, now: Instant) -> Option<Departure> {
        self.leaves_at.filter(|at| *at <= now)?;
        Some(match self.was_visited {
            true => Departure::AllLeft,
            false => Departure::NobodyCame,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Person, Subject, UserFeed};

    const PATIENCE: Patience = Patience {
        wait: Duration::from_secs(60),
        leave_after: Duration::from_secs(10),
    };

    fn person() -> Arc<Person> {
        Arc::new(Person::unnamed("anna".into()))
    }

    fn arrived() -> Event {
        Event::ParticipantArrived { person: person() }
    }

    fn left() -> Event {
        Event::ParticipantLeft { user: "anna".into() }
    }

    /// A visit to an empty room, and a time some seconds after it began.
    fn begun() -> (Visit, impl Fn(u64) -> Instant) {
        let begin = Instant::now();
        let mut visit = Visit::new(begin, PATIENCE);
        assert_eq!(visit.handle(begin, &Event::Joined { others: Vec::new() }), None);
        (visit, move |seconds| begin + Duration::from_secs(seconds))
    }

    #[test]
    fn a_robot_waits_for_the_first_participant_and_no_longer() {
        let (visit, at) = begun();
        assert_eq!(visit.poll_timeout(), Some(at(60)));
        assert_eq!(visit.handle_timeout(at(59)), None);
        assert_eq!(visit.handle_timeout(at(60)), Some(Departure::NobodyCame));
    }

    #[test]
    fn a_robot_stays_while_somebody_is_there_and_a_moment_longer() {
        let (mut visit, at) = begun();
        for event in [arrived(), arrived(), left()] {
            assert_eq!(visit.handle(at(50), &event), None);
            assert_eq!((visit.poll_timeout(), visit.handle_timeout(at(1_000))), (None, None));
        }
        assert_eq!(visit.handle(at(2_000), &left()), None);
        assert_eq!(visit.poll_timeout(), Some(at(2_010)));
        assert_eq!(
            visit.handle(at(2_009), &arrived()),
            None,
            "a page that was loaded again"
        );
        assert_eq!(visit.poll_timeout(), None);
        assert_eq!(visit.handle(at(2_020), &left()), None);
        assert_eq!(visit.handle_timeout(at(2_029)), None);
        assert_eq!(visit.handle_timeout(at(2_030)), Some(Departure::AllLeft));
    }

    #[test]
    fn a_visit_ends_with_the_recording_also_while_somebody_is_there() {
        let (mut visit, at) = begun();
        assert_eq!(visit.handle(at(1), &arrived()), None);
        let ended = Event::ConnectionEnded {
            subject: Subject::Feed(UserFeed::camera("robot".into())),
        };
        assert_eq!(visit.handle(at(2), &ended), Some(Departure::Played));
    }

    #[test]
    fn who_was_there_before_counts_and_a_visit_ends_with_its_session() {
        let (mut visit, at) = begun();
        let others = vec![person()];
        assert_eq!(visit.handle(at(0), &Event::Joined { others }), None);
        assert_eq!(visit.poll_timeout(), None);
        let mut ended = |reason| visit.handle(at(1), &Event::Ended(reason));
        assert_eq!(ended(EndReason::Shutdown), Some(Departure::Shutdown));
        assert_eq!(ended(EndReason::Removed), Some(Departure::Removed));
        assert_eq!(ended(EndReason::MediaLost), Some(Departure::Lost));
    }
}
