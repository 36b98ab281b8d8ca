//! One robot's task: it enters its room, plays, and leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::place::{Presence, RobotPlace, RobotRefused};
use super::visit::{Departure, Patience, Visit};

use crate::alias::alias;
use crate::clock::MonotonicClock;
use crate::config;
use crate::domain::{Claim, Command, Person, Play, Refusal, RoomKind, Stay};
use crate::hub::{Events, HubHandle, Session};
use crate::ids::{Feed, RoomName, UserId};
use crate::shares::ClientAddress;
use crate::sound::Recording;

/// Names that a robot tries in a room. Whoever holds all of them there wants no robot.
pub(super) const NAMES: usize = 5;

/// Times that a robot comes again within [`RETURNS_WITHIN`]: as often as a media worker is replaced.
const RETURNS_MAX: usize = 3;
const RETURNS_WITHIN: Duration = Duration::from_secs(60);

/// Pause before a robot comes again: by then the lost worker has been replaced.
const PAUSE: Duration = Duration::from_millis(500);

/// What every robot needs.
pub(super) struct Ways {
    pub hub: HubHandle,
    pub recording: Recording,
    pub settings: config::Robot,
    pub clock: MonotonicClock,
}

impl Ways {
    /// The name that a robot tries so many-th in a room.
    pub fn name(&self, number: usize) -> UserId {
        let name = &self.settings.name;
        match number {
            1 => name.as_str().into(),
            _ => format!("{name}-{number}").as_str().into(),
        }
    }
}

pub(super) struct Robot {
    ways: Arc<Ways>,
    client: ClientAddress,
    /// Times of its returns within the last [`RETURNS_WITHIN`].
    returns: Vec<Instant>,
}

impl Robot {
    pub fn new(ways: Arc<Ways>, client: ClientAddress) -> Robot {
        Robot {
            ways,
            client,
            returns: Vec::new(),
        }
    }

    /// Runs until the robot has left for good.
    pub async fn run(mut self, place: RobotPlace) {
        let channel = &place.channel;
        let room = alias(channel.as_str());
        loop {
            let departure = match self.enter(channel).await {
                Ok((session, events)) => {
                    place.presence.send_replace(Presence::There);
                    let departure = self.stay(&place, events).await;
                    self.leave(&place, session, departure).await;
                    departure
                }
                Err(why) => {
                    warn!(%room, %why, "a robot cannot enter");
                    if *place.presence.borrow() == Presence::Coming {
                        place.leaving.cancel();
                        place.presence.send_replace(Presence::Refused(why));
                        return;
                    }
                    Departure::Lost
                }
            };
            info!(%room, ?departure, "a robot has left");
            if departure != Departure::Lost || !self.may_return() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = place.leaving.cancelled() => return,
            }
        }
    }

    /// Enters the room under the first name that is free there, and begins to play.
    async fn enter(&self, channel: &RoomName) -> Result<(Session, Events), RobotRefused> {
        let (session, events) = self.ways.hub.connect(self.client).await?;
        let mut joined = Err(Refusal::NameTaken);
        for number in 1..=NAMES {
            let join = Command::Join {
                turn: session.take_turn(),
                kind: RoomKind::Group,
                room: channel.clone(),
                person: Person::unnamed(self.ways.name(number)),
                claim: Claim::Reserved,
                stay: Stay::default(),
                connects: false,
            };
            joined = session.request(join).await;
            if joined != Err(Refusal::NameTaken) {
                break;
            }
        }
        joined?;
        let play = Play {
            feed: Feed::Camera,
            recording: self.ways.recording.clone(),
            waits: true,
            repeats: self.ways.settings.repeats,
        };
        session.request(Command::Play(play)).await?;
        Ok((session, events))
    }

    async fn stay(&self, place: &RobotPlace, mut events: Events) -> Departure {
        let now = || (self.ways.clock)();
        let patience = Patience {
            wait: self.ways.settings.wait(),
            leave_after: self.ways.settings.leave_after(),
        };
        let mut visit = Visit::new(now(), patience);
        loop {
            let departure = tokio::select! {
                () = place.leaving.cancelled() => Some(Departure::Removed),
                event = events.next() => match event {
                    Some(event) => visit.handle(now(), &event),
                    None => Some(Departure::Lost),
                },
                () = until(visit.poll_timeout()) => visit.handle_timeout(now()),
            };
            match departure {
                // A recording that begins again ends only where something has failed.
                Some(Departure::Played) if self.ways.settings.repeats => return Departure::Lost,
                Some(departure) => return departure,
                None => {}
            }
        }
    }

    /// Leaves the room, so that it is free for another robot when this one has given its place back.
    async fn leave(&self, place: &RobotPlace, session: Session, departure: Departure) {
        if departure != Departure::Lost {
            place.leaving.cancel();
        }
        // An error means the same: the session has ended.
        session.request(Command::Leave).await.ok();
    }

    /// Whether the robot, which was lost, may come again now.
    fn may_return(&mut self) -> bool {
        let now = (self.ways.clock)();
        self.returns.retain(|returned| now - *returned < RETURNS_WITHIN);
        let may = self.returns.len() < RETURNS_MAX && self.ways.hub.is_running();
        self.returns.push(now);
        may
    }
}

/// Returns at the deadline; never if there is none.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
