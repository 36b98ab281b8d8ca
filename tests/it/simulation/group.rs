//! How a client of `/groupcall` behaves: it publishes if it wants to, and watches everybody if it wants to.

use super::family::ToClient;
use super::person::{ENTERING, LEFT_MS, Person};
use super::plan::{Family, Role};
use super::stays::UNSEEN;
use super::surroundings::Surroundings;

impl Person {
    pub fn family(&self) -> Option<Family> {
        match self.role {
            Role::Group { family, .. } => Some(family),
            Role::Caller(_) | Role::Callee | Role::Writer(_) => None,
        }
    }

    fn watches(&self) -> bool {
        matches!(self.role, Role::Group { watches: true, .. })
    }

    pub fn enter(&mut self, at: &mut Surroundings, family: Family) {
        self.expect_to_enter(at);
        self.entries += 1;
        let room = self.moving_to.unwrap_or(self.room);
        let token = self.token(at, room);
        self.send(at, &family.enter(&self.name, room, &token));
    }

    pub fn leave_room(&mut self, at: &mut Surroundings, family: Family) {
        self.part_all(at, self.leaving_ms(at.now));
        self.send(at, &family.leave());
    }

    pub fn publish(&mut self, at: &mut Surroundings) {
        if let Some(family) = self.family().filter(|_| self.is_in) {
            let own = self.name.clone();
            let sdp = self.open(at, &own, true, None);
            self.send(at, &family.offer(&own, &sdp));
        }
    }

    pub fn watch(&mut self, at: &mut Surroundings, other: &str) {
        if let Some(family) = self.family().filter(|_| self.watches()) {
            let sdp = self.open(at, other, false, Some(index_of(other)));
            self.send(at, &family.offer(other, &sdp));
        }
    }

    pub fn hear_of_room(&mut self, at: &mut Surroundings, message: ToClient) {
        match message {
            ToClient::Entered(others) => self.entered(at, others),
            // A message about a room that the client has left meanwhile.
            _ if !self.is_in => {}
            ToClient::Arrived(other) => {
                // Nobody can be there twice: a page would show them twice.
                assert_ne!(
                    other, UNSEEN,
                    "{} is sent that somebody arrives whom nobody sees",
                    self.name
                );
                let is_new = self.others.insert(other.clone());
                assert!(is_new, "{} hears that {other} arrives, who is there", self.name);
                self.watch(at, &other);
            }
            ToClient::Left(other) => {
                let was_there = self.others.remove(&other);
                assert!(was_there, "{} hears that {other} leaves, who is not there", self.name);
                self.lost.remove(&other);
                self.part(at, &other, LEFT_MS);
            }
            ToClient::MediaLost(other) => {
                assert!(
                    self.others.contains(&other),
                    "{} misses {other}, who is not there",
                    self.name
                );
                self.lost.insert(other);
            }
            ToClient::MediaBack(other) => {
                self.lost.remove(&other);
            }
            ToClient::Muted(muted) => {
                at.tally.muted_again += u64::from(muted && self.muted.is_none());
                self.muted = Some(muted);
            }
            ToClient::Answer { subject, sdp } => self.accept(at, &subject, &sdp),
            ToClient::Refused { subject } => {
                // Only an offer that crossed with a departure is refused.
                assert_ne!(subject, self.name, "{subject} may not publish");
                self.unanswered.remove(&subject);
            }
            ToClient::Other => {}
            message => panic!("{} is in no call: {message:?}", self.name),
        }
    }

    fn entered(&mut self, at: &mut Surroundings, others: Vec<String>) {
        self.entries = self.entries.saturating_sub(1);
        // The client has left meanwhile, and may have entered once more.
        if self.entries > 0 || self.unanswered.remove(ENTERING).is_none() {
            return;
        }
        if let Some(room) = self.moving_to {
            self.part_all(at, LEFT_MS);
            self.room = room;
        }
        self.is_in = true;
        self.muted = None;
        self.token_read(at);
        assert!(!others.contains(&self.name), "{} meets themselves", self.name);
        let meets_nobody_unseen = others.iter().all(|other| other != UNSEEN);
        assert!(meets_nobody_unseen, "{} meets somebody whom nobody sees", self.name);
        self.others = others.iter().cloned().collect();
        if self.publishes {
            self.publish(at);
        }
        for other in others {
            self.watch(at, &other);
        }
    }
}

/// People are named by their numbers, from 1.
fn index_of(name: &str) -> usize {
    name.parse::<usize>().expect("a number") - 1
}
