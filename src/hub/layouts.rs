//! The pace of layouts: in a room of hundreds somebody comes, goes or speaks many times a second, and each time everybody with slots
//! may be sent who is in them now. Each connection is sent that at a bounded pace, and the newest is what counts. Pure: the time is
//! given.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::domain::{Effect, Event, Subject};
use crate::ids::SessionId;

/// Time between two layouts of one connection. Streams change at once, so for this time a client may show a picture with the name of
/// whoever was in it before: longer would be seen. A shorter one costs each client of a large room many messages a second.
const GAP: Duration = Duration::from_millis(250);

/// A session's connection: its main one, or the one that receives a presentation.
type Connection = (SessionId, bool);

/// The layouts that sessions were sent lately, and those that wait. A session has two connections with slots at most.
#[derive(Default)]
pub(super) struct Layouts {
    paced: HashMap<Connection, Paced>,
    /// Connections with a layout that waits, each with the time at which it is to be sent.
    due: BTreeSet<(Instant, SessionId, bool)>,
}

struct Paced {
    /// Time before which no further layout is sent.
    free_at: Instant,
    waits: Option<Event>,
}

impl Layouts {
    /// Takes the layouts out of these effects that come too soon after others. They are sent later, unless newer ones come.
    pub fn pace(&mut self, now: Instant, effects: Vec<Effect>) -> Vec<Effect> {
        effects
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Send {
                    session,
                    event: event @ Event::Layout { .. },
                } => self.pace_one(now, session, event),
                // They are in another room, or in none: nothing of the one before concerns them.
                Effect::Send {
                    session,
                    event: Event::Joined { .. },
                }
                | Effect::Dismiss { session, .. } => {
                    self.forget(session);
                    Some(effect)
                }
                other => Some(other),
            })
            .collect()
    }

    fn pace_one(&mut self, now: Instant, session: SessionId, event: Event) -> Option<Effect> {
        let presents = matches!(
            event,
            Event::Layout {
                subject: Subject::Presentation,
                ..
            }
        );
        let paced = self.paced.entry((session, presents)).or_insert(Paced {
            free_at: now,
            waits: None,
        });
        if paced.free_at > now {
            paced.waits = Some(event);
            self.due.insert((paced.free_at, session, presents));
            return None;
        }
        self.due.remove(&(paced.free_at, session, presents));
        *paced = Paced {
            free_at: now + GAP,
            waits: None,
        };
        Some(Effect::Send { session, event })
    }

    /// Time at which a layout that waits is to be sent.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(due, ..)| *due)
    }

    /// The layouts whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some((due, session, presents)) = self.due.first().copied().filter(|(due, ..)| *due <= now) {
            self.due.remove(&(due, session, presents));
            let waits = self
                .paced
                .get_mut(&(session, presents))
                .and_then(|paced| paced.waits.take());
            effects.extend(waits.and_then(|event| self.pace_one(now, session, event)));
        }
        effects
    }

    /// Forgets a session that has left its room, or has ended.
    pub fn forget(&mut self, session: SessionId) {
        for presents in [false, true] {
            if let Some(paced) = self.paced.remove(&(session, presents)) {
                self.due.remove(&(paced.free_at, session, presents));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EndReason;
    use crate::ids::SlotId;

    const ANNA: SessionId = SessionId(1);
    const BEN: SessionId = SessionId(2);

    #[allow(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
    fn start() -> Instant {
        Instant::now()
    }

    fn layout_of(session: SessionId, subject: Subject, number: u8) -> Effect {
        let slots = vec![(SlotId(number), None)];
        let event = Event::Layout { subject, slots };
        Effect::Send { session, event }
    }

    fn layout(session: SessionId, number: u8) -> Effect {
        layout_of(session, Subject::Conference, number)
    }

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_is_sent_at_once_and_of_those_that_follow_soon_the_newest_when_it_is_time() {
        let (start, mut layouts) = (start(), Layouts::default());
        assert_eq!(layouts.pace(start, vec![layout(ANNA, 0)]), [layout(ANNA, 0)]);
        for number in 1..=20 {
            let now = at(start, 10 * u64::from(number));
            assert_eq!(layouts.pace(now, vec![layout(ANNA, number)]), []);
        }
        assert_eq!(layouts.poll_timeout(), Some(at(start, 250)));
        assert_eq!(layouts.handle_timeout(at(start, 249)), []);
        assert_eq!(layouts.handle_timeout(at(start, 260)), [layout(ANNA, 20)]);
        assert_eq!(layouts.poll_timeout(), None, "nothing waits");
        assert_eq!(layouts.pace(at(start, 509), vec![layout(ANNA, 21)]), []);
        assert_eq!(layouts.handle_timeout(at(start, 510)), [layout(ANNA, 21)]);
        assert_eq!(layouts.pace(at(start, 760), vec![layout(ANNA, 22)]), [layout(ANNA, 22)]);
    }

    #[test]
    fn a_layout_that_comes_when_one_is_due_takes_its_place() {
        let (start, mut layouts) = (start(), Layouts::default());
        layouts.pace(start, vec![layout(ANNA, 0)]);
        layouts.pace(at(start, 1), vec![layout(ANNA, 1)]);
        assert_eq!(layouts.pace(at(start, 250), vec![layout(ANNA, 2)]), [layout(ANNA, 2)]);
        assert_eq!(layouts.poll_timeout(), None);
        assert_eq!(layouts.handle_timeout(at(start, 900)), []);
    }

    #[test]
    fn connections_do_not_wait_for_one_another_and_other_effects_for_nothing() {
        let (start, mut layouts) = (start(), Layouts::default());
        let ended = Effect::Dismiss {
            session: SessionId(9),
            reason: EndReason::Removed,
        };
        let screen = layout_of(ANNA, Subject::Presentation, 0);
        let all = || vec![layout(ANNA, 0), ended.clone(), screen.clone(), layout(BEN, 0)];
        assert_eq!(layouts.pace(start, all()), all());
        let at_once = layouts.pace(at(start, 1), all());
        assert_eq!(at_once.len(), 1);
        assert_eq!(at_once[0], ended);
        let later = layouts.handle_timeout(at(start, 250));
        assert_eq!(later, [layout(ANNA, 0), screen, layout(BEN, 0)]);
    }

    #[test]
    fn whoever_enters_another_room_or_has_ended_is_sent_nothing_of_the_one_before() {
        let (start, mut layouts) = (start(), Layouts::default());
        let joined = Effect::Send {
            session: ANNA,
            event: Event::Joined { others: Vec::new() },
        };
        let over = Effect::Dismiss {
            session: BEN,
            reason: EndReason::Removed,
        };
        for number in 0..2 {
            layouts.pace(start, vec![layout(ANNA, number), layout(BEN, number)]);
        }
        let effects = vec![joined.clone(), layout(ANNA, 7), over.clone()];
        assert_eq!(layouts.pace(at(start, 1), effects.clone()), effects);
        assert_eq!(layouts.handle_timeout(at(start, 900)), []);
        layouts.forget(ANNA);
        assert!(layouts.paced.is_empty() && layouts.due.is_empty());
    }
}
