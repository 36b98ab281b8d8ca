//! Stays that end: people who come with access tokens, renew them, and have to leave; and somebody whom nobody sees, who comes
//! without a socket.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use patchbay::auth::access_token::App;
use patchbay::domain::{Claim, Command, EndReason, Event, Person as Somebody, Refusal, RoomKind, Stay};
use patchbay::hub::{Events, Session};
use patchbay::shares::ClientAddress;

use super::person::{ANSWERED_WITHIN, ENTERED_WITHIN, Person};
use super::plan::{Family, Role};
use super::run::Run;
use super::surroundings::Surroundings;

/// The name of somebody whom nobody sees; nobody else has it.
pub const UNSEEN: &str = "unseen";

/// Time after its end within which a stay must be over: the hub's timer, one input each millisecond, and the way to the client.
const OVER_WITHIN: Duration = Duration::from_secs(3);
/// Seconds for which tokens let people stay once nothing fails any longer.
const LONG_S: u32 = 100_000;

/// What a client knows of its stay. Each end is that of the newest token.
#[derive(Default)]
pub struct Tenure {
    /// Time at which the newest token was sent. `None` for clients that come without one.
    sent_at: Option<Instant>,
    lasts: Duration,
    /// The earliest end. `None` if the date was changed while the token may have been on its way: then any end may be right.
    earliest: Option<Instant>,
    /// The latest end: the server reads the token before it answers. `None` before that.
    latest: Option<Instant>,
    /// The end of the stay before, which is over if the newest token comes too late.
    before: Option<Instant>,
    /// Time for which the process has stood still.
    late_by: Duration,
}

/// Somebody in a room whom nobody sees.
pub struct Unseen {
    session: Session,
    events: Events,
    ends_at: Instant,
    /// Time by which the stay must be over.
    over_by: Instant,
}

/// The app whose tokens let people in.
pub fn app() -> App {
    App::new("970CA35de60c44645bbae8a215061b33", "5CFd2fd1755d40ecb72977518be15d3b").expect("an app")
}

impl Person {
    /// The token with which the client enters a room now; empty if it needs none.
    pub fn token(&mut self, at: &Surroundings, room: u8) -> String {
        let Role::Group {
            stays_s: Some(stays_s), ..
        } = self.role
        else {
            return String::new();
        };
        let lasts_s = if at.is_calm { LONG_S } else { stays_s };
        let lasts = Duration::from_secs(u64::from(lasts_s));
        self.tenure = Tenure {
            sent_at: Some(at.now),
            lasts,
            earliest: Some(at.now + lasts),
            latest: None,
            // An end that is in doubt may have been any.
            before: self.tenure.sent_at.map(|_| self.tenure.earliest.unwrap_or(at.now)),
            late_by: self.tenure.late_by,
        };
        let until_s = at.wall_s.load(Ordering::Relaxed) + i64::from(lasts_s);
        app().issue(&room.to_string(), &self.name, until_s, 1)
    }

    /// The server has read the token.
    pub fn token_read(&mut self, at: &Surroundings) {
        let is_known = self.tenure.earliest.is_some();
        self.tenure.latest = is_known.then(|| at.now + self.tenure.lasts);
    }

    /// Shows a newer token in the room where it is. Nothing answers that.
    pub fn renew(&mut self, at: &mut Surroundings, family: Family) {
        let is_settled = self.is_in && self.unanswered.is_empty() && self.moving_to.is_none();
        let Some(latest) = self.tenure.latest.filter(|_| is_settled) else {
            return;
        };
        // Another join would not count as a renewal: it would enter anew.
        if at.now + self.tenure.lasts < latest + Duration::from_secs(1) {
            return;
        }
        let token = self.token(at, self.room);
        self.tenure.latest = Some(at.now + self.tenure.lasts + ANSWERED_WITHIN);
        at.tally.stays_renewed += 1;
        self.send(at, &family.enter(&self.name, self.room, &token));
    }

    /// The date is changed: a token that is on its way lasts for another time, or is refused.
    pub fn doubt_end(&mut self, at: &Surroundings) {
        let may_be_under_way = |sent_at| at.now < sent_at + ENTERED_WITHIN + self.tenure.late_by;
        if self.tenure.sent_at.is_some_and(may_be_under_way) {
            (self.tenure.earliest, self.tenure.latest) = (None, None);
        }
    }

    /// Whether the client shows tokens.
    pub fn has_token(&self) -> bool {
        matches!(self.role, Role::Group { stays_s: Some(_), .. })
    }

    /// Whether the server may close the socket because of the token: it has expired, or the date was changed while it was on its
    /// way.
    pub fn may_be_sent_away(&self, at: &mut Surroundings, code: Option<u16>) -> bool {
        let is_due = |end: Instant| at.now >= end;
        let is_over = self.tenure.earliest.is_none_or(is_due) || self.tenure.before.is_some_and(is_due);
        let is_doubtful = self.tenure.earliest.is_none();
        at.tally.stays_over += u64::from(code == Some(4410));
        match code {
            Some(4410) => self.has_token() && is_over,
            Some(4403) => self.has_token() && is_doubtful,
            _ => false,
        }
    }

    /// The client is in no room in which it should no longer be.
    pub fn look_after_stay(&self, at: &Surroundings) {
        let end = self.tenure.latest.filter(|_| self.is_in && self.unanswered.is_empty());
        let slack = OVER_WITHIN + self.tenure.late_by;
        let has_overstayed = end.is_some_and(|end| at.now >= end.max(self.reads_again_at) + slack);
        assert!(!has_overstayed, "{} is still in the room", self.name);
    }

    pub fn late_by(&self) -> Duration {
        self.tenure.late_by
    }

    /// The server has not run for so long.
    pub fn is_late_by(&mut self, time: Duration) {
        self.tenure.late_by += time;
    }
}

impl Run {
    /// Somebody whom nobody sees enters a room, or leaves it.
    pub async fn unseen(&mut self, comes: Option<(u8, Duration)>) {
        let Some((room, stays)) = comes else {
            self.at.note("somebody unseen leaves");
            self.unseen.clear();
            return;
        };
        self.at.note(format!("somebody unseen enters {room} for {stays:?}"));
        let place = self.hub.connect(ClientAddress::THIS_MACHINE).await;
        let (session, events) = place.expect("the server is not full");
        let ends_at = self.at.now + stays;
        let join = Command::Join {
            turn: session.take_turn(),
            kind: RoomKind::Group,
            room: room.to_string().as_str().into(),
            person: Somebody::unnamed(UNSEEN.into()),
            claim: Claim::Proven,
            stay: Stay {
                until: Some(ends_at),
                ..Stay::UNSEEN
            },
            connects: false,
        };
        match session.request(join).await {
            Ok(()) => {}
            Err(Refusal::Locked) if self.at.decisions.is_locked(room) => return,
            Err(why) => panic!("somebody unseen is refused: {why}"),
        }
        self.unseen.push(Unseen {
            session,
            events,
            ends_at,
            over_by: ends_at + OVER_WITHIN,
        });
    }

    /// The server has not run for so long.
    pub fn unseen_wait_longer(&mut self, time: Duration) {
        for unseen in &mut self.unseen {
            unseen.over_by += time;
        }
    }

    /// Those whom nobody sees see the others, until their stay is over, and not longer.
    pub fn look_after_unseen(&mut self) {
        let at = &mut self.at;
        let names: Vec<&str> = self.people.iter().map(|person| person.name.as_str()).collect();
        self.unseen.retain_mut(|unseen| {
            while let Some(event) = unseen.events.try_next() {
                match event {
                    Event::Joined { others } => {
                        let are_people = others.iter().all(|other| names.contains(&other.user.as_str()));
                        assert!(are_people, "somebody unseen meets {others:?}");
                        at.tally.unseen_entered += 1;
                    }
                    Event::Ended(EndReason::StayOver) => {
                        assert!(
                            at.now >= unseen.ends_at,
                            "the stay of somebody unseen is over too early"
                        );
                        at.tally.unseen_over += 1;
                        return false;
                    }
                    Event::Ended(EndReason::Removed) if at.decisions.has_ended => return false,
                    Event::Ended(why) => panic!("the session {} of somebody unseen ends: {why:?}", unseen.session.id()),
                    _ => {}
                }
            }
            assert!(at.now < unseen.over_by, "somebody unseen has overstayed");
            true
        });
    }
}
