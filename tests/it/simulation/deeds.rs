//! Things that people do when the plan says so.

use super::plan::{Deed, Role};
use super::run::Run;

impl Run {
    pub fn act(&mut self, index: usize, deed: Deed) {
        let at = &mut self.at;
        let person = &mut self.people[index];
        at.note(format!("{} is to {deed:?}", person.name));
        match deed {
            Deed::Come => {
                person.wants_in = true;
                match (&person.socket, person.family()) {
                    (None, _) => person.come_at = Some(at.now),
                    (Some(_), Some(family)) if !person.is_in && person.unanswered.is_empty() => {
                        person.enter(at, family)
                    }
                    _ => {}
                }
            }
            Deed::ComeTwice => {
                person.wants_in = true;
                person.come_at = Some(at.now);
            }
            Deed::Leave => {
                (person.wants_in, person.come_at) = (false, None);
                match (person.family(), person.role) {
                    (Some(family), _) => person.leave_room(at, family),
                    // There is nothing to leave.
                    (None, Role::Writer(_)) => person.hang_up(at),
                    (None, _) => person.stop(at),
                }
            }
            Deed::CloseSocket => {
                (person.wants_in, person.come_at) = (false, None);
                person.hang_up(at);
            }
            Deed::Vanish => {
                (person.wants_in, person.come_at) = (false, None);
                let socket = person.vanish(at);
                self.dead_sockets.extend(socket);
            }
            Deed::Publish(true) => {
                person.publishes = true;
                person.publish(at);
            }
            Deed::Publish(false) => {
                person.publishes = false;
                person.end_publishing(at);
            }
            Deed::Republish => {
                if person.publishes {
                    person.publish(at);
                }
            }
            Deed::Move(room) => {
                // Into the room where they are, somebody with a newer token does not enter anew.
                let moves = person.is_in && person.moving_to.is_none() && !(person.has_token() && room == person.room);
                if let Some(family) = person.family().filter(|_| moves) {
                    // The client is in the old room until the server says otherwise.
                    person.moving_to = Some(room);
                    person.enter(at, family);
                }
            }
            Deed::Renew => {
                if let Some(family) = person.family() {
                    person.renew(at, family);
                }
            }
            Deed::Stall(time) => person.stall(at, time),
            Deed::Wait(time) => person.restarts_from = at.now + time,
        }
    }
}
