//! Things that must hold once nothing fails any longer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::calls::Phase;
use super::connection::Connection;
use super::family::CALL;
use super::person::Person;
use super::plan::Role;
use super::run::Run;

/// The newest message of a writer that is old enough to have been read.
fn since_number(writer: &Person) -> u32 {
    writer.written.saturating_sub(1).max(1)
}

impl Run {
    /// Everybody who is in a room knows who else is there and gets the media of those whom they watch; callers talk.
    /// Returns what is missing of that: media count if they were sent after `since_ms`.
    pub fn missing(&self, since_ms: u64) -> Vec<String> {
        let mut missing = Vec::new();
        for person in self.people.iter().filter(|person| person.wants_in) {
            if person.socket.is_none() || !person.is_in {
                missing.push(format!("{} is not in", person.name));
            } else {
                match person.role {
                    Role::Group { watches, .. } => self.missing_in_room(person.index, watches, since_ms, &mut missing),
                    Role::Caller(callee) => {
                        self.missing_in_call(person.index, callee, since_ms, &mut missing);
                        self.missing_in_call(callee, person.index, since_ms, &mut missing);
                    }
                    Role::Callee => {}
                    Role::Writer(reader) => {
                        let reader = &self.people[reader];
                        if reader.wants_in && reader.read < since_number(person) {
                            missing.push(format!("{} has read up to {} only", reader.name, reader.read));
                        }
                    }
                }
            }
            // A client whose checks are not answered loses the connection before long.
            let since = self.at.start + Duration::from_millis(since_ms);
            let is_deaf = |(_, connection): &(&String, &Connection)| {
                connection.is_connected() && !connection.was_answered_since(since)
            };
            let deaf = person.connections.iter().filter(is_deaf);
            missing.extend(deaf.map(|(of, _)| format!("{} gets no answer to checks of {of}", person.name)));
            missing.extend(
                person
                    .unanswered
                    .keys()
                    .map(|of| format!("{} has no answer about {of}", person.name)),
            );
        }
        missing
    }

    fn missing_in_room(&self, index: usize, watches: bool, since_ms: u64, missing: &mut Vec<String>) {
        let person = &self.people[index];
        let is_there = |other: &&Person| {
            other.index != index && other.is_in && other.family().is_some() && other.room == person.room
        };
        let there: BTreeSet<String> = self
            .people
            .iter()
            .filter(is_there)
            .map(|other| other.name.clone())
            .collect();
        if there != person.others {
            missing.push(format!(
                "{} believes {:?} are there: {there:?}",
                person.name, person.others
            ));
        }
        for other in self.people.iter().filter(is_there).filter(|other| other.publishes) {
            // Whoever comes back after the host has left stays without pictures, and knows it.
            if watches && other.muted != Some(true) {
                self.missing_of(index, &other.name, other.index, &other.name, since_ms, missing);
            }
            if person.lost.contains(&other.name) {
                missing.push(format!(
                    "{} believes that the media of {} are lost",
                    person.name, other.name
                ));
            }
        }
    }

    fn missing_in_call(&self, index: usize, other: usize, since_ms: u64, missing: &mut Vec<String>) {
        let person = &self.people[index];
        if person.phase != Phase::Talking {
            missing.push(format!("{} does not talk: {:?}", person.name, person.phase));
        }
        if !person.lost.is_empty() {
            missing.push(format!("{} believes that the other's media are lost", person.name));
        }
        self.missing_of(index, CALL, other, CALL, since_ms, missing);
    }

    /// The missing media of `other`, which publishes on the connection that it calls `theirs`, on the connection
    /// called `own`.
    #[expect(clippy::too_many_arguments, reason = "two people, and a connection of each")]
    fn missing_of(
        &self,
        index: usize,
        own: &str,
        other: usize,
        theirs: &str,
        since_ms: u64,
        missing: &mut Vec<String>,
    ) {
        let published = self.people[other].connections.get(theirs);
        let stream = published.and_then(|connection| Some(connection.source.as_ref()?.stream));
        let sink = self.people[index]
            .connections
            .get(own)
            .and_then(|connection| connection.sink.as_ref());
        let last = sink.and_then(|sink| sink.last);
        let arrives = last.is_some_and(|last| Some(last.stream) == stream && last.sent_ms > since_ms);
        if !arrives {
            let (name, of) = (&self.people[index].name, &self.people[other].name);
            missing.push(format!("{name} gets nothing of {of}: stream {stream:?}, last {last:?}"));
        }
    }
}
