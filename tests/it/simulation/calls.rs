//! How a client of `/call` behaves: the caller calls whenever there is no call, the callee accepts whenever it rings.

use std::time::{Duration, Instant};

use super::family::{self, CALL, ToClient};
use super::person::{ENTERING, LEFT_MS, Person};
use super::plan::Role;
use super::surroundings::Surroundings;

/// A person does not call again at once. This also keeps messages about one call apart from those about the next.
const CALLS_AGAIN_AFTER: Duration = Duration::from_millis(700);

/// What the client knows of its call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Free,
    /// Until the next time to call.
    Waiting(Instant),
    /// Somebody calls.
    Ringing(String),
    Calling,
    Accepting,
    Talking,
}

impl Phase {
    pub fn wait_longer(&mut self, time: Duration) {
        if let Phase::Waiting(until) = self {
            *until += time;
        }
    }
}

impl Person {
    pub fn register(&mut self, at: &Surroundings) {
        self.expect_to_enter(at);
        self.send(at, &family::register(&self.name));
    }

    pub fn stop(&mut self, at: &mut Surroundings) {
        if matches!(self.phase, Phase::Calling | Phase::Accepting | Phase::Talking) {
            self.send(at, &family::stop());
            self.over(at, self.leaving_ms(at.now));
        }
    }

    fn over(&mut self, at: &mut Surroundings, slack_ms: u64) {
        self.part(at, CALL, slack_ms);
        self.lost.clear();
        self.phase = Phase::Waiting(at.now + CALLS_AGAIN_AFTER);
    }

    pub fn look_after_call(&mut self, at: &mut Surroundings) {
        if !self.is_in {
            return;
        }
        match (self.role, self.phase.clone()) {
            (Role::Caller(callee), Phase::Waiting(until)) if self.wants_in && at.now >= until => {
                let sdp = {
                    self.phase = Phase::Calling;
                    self.open(at, CALL, true, Some(callee))
                };
                let to = (callee + 1).to_string();
                self.send(at, &family::call(&self.name, &to, &sdp));
            }
            (_, Phase::Ringing(from)) => {
                self.phase = Phase::Accepting;
                let caller = from.parse::<usize>().expect("a number") - 1;
                let sdp = self.open(at, CALL, true, Some(caller));
                self.send(at, &family::accept(&from, &sdp));
            }
            _ => {}
        }
    }

    pub fn hear_of_call(&mut self, at: &mut Surroundings, message: ToClient) {
        match message {
            ToClient::Registered(true) => {
                self.unanswered.remove(ENTERING);
                self.is_in = true;
                self.phase = Phase::Waiting(at.now + CALLS_AGAIN_AFTER);
            }
            ToClient::Registered(false) => {
                assert!(at.storage_failed, "{} may not register", self.name);
                self.hang_up(at);
                self.come_at = Some(at.now + CALLS_AGAIN_AFTER);
            }
            ToClient::Rings { from } if matches!(self.phase, Phase::Free | Phase::Waiting(_)) => {
                self.phase = Phase::Ringing(from);
            }
            ToClient::Rings { .. } => {}
            ToClient::Called(Some(sdp)) if self.answers_call(&sdp) => {
                self.accept(at, CALL, &sdp);
                self.phase = Phase::Talking;
            }
            ToClient::Called(None) if self.phase == Phase::Calling => self.over(at, LEFT_MS),
            ToClient::Begins(sdp) if self.answers_call(&sdp) => {
                self.accept(at, CALL, &sdp);
                self.phase = Phase::Talking;
            }
            ToClient::Renewed(sdp) => self.accept(at, CALL, &sdp),
            ToClient::CallOver => self.over(at, LEFT_MS),
            ToClient::MediaLost(of) => {
                self.lost.insert(of);
            }
            ToClient::MediaBack(of) => {
                self.lost.remove(&of);
            }
            // Messages about a call that the client has ended.
            ToClient::Called(_) | ToClient::Begins(_) | ToClient::Other => {}
            message => panic!("{} is in no room: {message:?}", self.name),
        }
    }

    fn answers_call(&self, answer: &str) -> bool {
        let connection = self.connections.get(CALL);
        connection.is_some_and(|connection| connection.is_answered_by(answer))
    }
}
