//! The plan of a run: who is in which room, and who sends.

use std::collections::HashMap;

use super::options::Options;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Participant {
    /// The participant's number in the run.
    pub index: usize,
    pub room: usize,
    pub(crate) room_name: String,
    pub name: String,
    pub publishes: bool,
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// All participants in the order in which they join: those who send come first.
    pub participants: Vec<Participant>,
    publishers: HashMap<(usize, String), usize>,
    prefix: String,
    rooms: usize,
}

impl Plan {
    /// `run` distinguishes this run from others on the same server.
    pub fn new(options: &Options, run: u64) -> Plan {
        let prefix = options
            .room
            .clone()
            .unwrap_or_else(|| format!("load-{}-{run:x}", options.seed));
        let mut plan = Plan {
            participants: Vec::new(),
            publishers: HashMap::new(),
            prefix,
            rooms: options.rooms(),
        };
        for (publishes, count) in [(true, options.publishers()), (false, options.subscribers())] {
            for room in 0..options.rooms() {
                for nth in 0..count {
                    let role = if publishes { "sender" } else { "viewer" };
                    let index = plan.participants.len();
                    let name = format!("{role}-{}", nth + 1);
                    if publishes {
                        plan.publishers.insert((room, name.clone()), index);
                    }
                    let room_name = plan.room_name(room);
                    plan.participants.push(Participant {
                        index,
                        room,
                        room_name,
                        name,
                        publishes,
                    });
                }
            }
        }
        plan
    }

    fn room_name(&self, room: usize) -> String {
        match self.rooms {
            1 => self.prefix.clone(),
            _ => format!("{}-{}", self.prefix, room + 1),
        }
    }

    /// A visitor in the first room, beside the participants of the plan.
    pub fn visitor(&self, nth: usize) -> Participant {
        Participant {
            index: self.participants.len() + nth,
            room: 0,
            room_name: self.room_name(0),
            name: format!("visitor-{}", nth + 1),
            publishes: false,
        }
    }

    /// The publisher with this name.
    pub fn publisher(&self, room: usize, name: &str) -> Option<usize> {
        self.publishers.get(&(room, name.to_owned())).copied()
    }

    pub fn publishers(&self, room: usize) -> impl Iterator<Item = &Participant> {
        self.participants
            .iter()
            .filter(move |participant| participant.publishes && participant.room == room)
    }

    /// The number of pairs of a viewer and a publisher: everybody in a room watches everybody else
    /// there who sends.
    pub(crate) fn pairs(&self) -> usize {
        let of = |viewer: &Participant| self.publishers(viewer.room).count() - usize::from(viewer.publishes);
        self.participants.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn plan(line: &str) -> Plan {
        let options = Line::parse_from(format!("load {line}").split(' ')).options;
        options.check().unwrap();
        Plan::new(&options, 7)
    }

    #[test]
    fn each_scenario_has_its_people() {
        let broadcast = plan("broadcast --subscribers 5");
        assert_eq!((broadcast.participants.len(), broadcast.pairs()), (6, 5));
        assert!(broadcast.participants[0].publishes);
        let meeting = plan("meeting");
        assert_eq!((meeting.participants.len(), meeting.pairs()), (10, 90));
        let rooms = plan("rooms --rooms 4 --publishers 3 --subscribers 1");
        assert_eq!((rooms.participants.len(), rooms.pairs()), (16, 4 * (6 + 3)));
        assert_eq!(rooms.publisher(3, "sender-2"), Some(10));
        assert_eq!(rooms.participants[10].room_name, "load-1-7-4");
    }
}
