//! Robots: participants who play a recording in a room. A robot is a session without a socket and a task that owns it. In its
//! room it is a participant as a browser is.
//!
//! [`Robots`] sends them and removes them; `place.rs` knows which rooms have one; `robot.rs` is the task; `visit.rs` decides when a
//! robot leaves; `file.rs` reads what they play.

mod file;
mod place;
mod robot;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use file::read;
pub use file::{FileError, recording};
pub use place::RobotRefused;
use place::{Known, Places, Presence, RobotPlace, ended};
use robot::{NAMES, Robot, Ways};

use crate::clock::MonotonicClock;
use crate::config;
use crate::hub::HubHandle;
use crate::ids::{RoomName, UserId};
use crate::shares::ClientAddress;
use crate::sound::Recording;

/// All robots of a server. Cheap to clone.
#[derive(Clone)]
pub struct Robots {
    ways: Arc<Ways>,
    places: Places,
}

impl Robots {
    /// `recording` is what all robots play. Nothing runs yet.
    pub fn new(hub: HubHandle, recording: Recording, settings: config::Robot, clock: MonotonicClock) -> Robots {
        let ways = Ways {
            hub,
            recording,
            settings,
            clock,
        };
        Robots {
            ways: Arc::new(ways),
            places: Places::default(),
        }
    }

    /// Time for which a robot waits for the first other participant.
    pub fn waits_for(&self) -> Duration {
        self.ways.settings.wait()
    }

    /// Whether a robot may have this name.
    pub fn has_name(&self, user: &UserId) -> bool {
        (1..=NAMES).any(|number| self.ways.name(number) == *user)
    }

    /// Sends a robot into a group room, if none is there, and returns when it has entered. It counts against the shares of
    /// `client`, who wants it.
    pub async fn invite(&self, channel: &RoomName, client: ClientAddress) -> Result<(), RobotRefused> {
        loop {
            let (mut presence, leaving) = self.find_or_send(channel, client)?;
            if leaving.is_cancelled() {
                ended(&mut presence).await;
                continue;
            }
            let present = presence.wait_for(|presence| *presence != Presence::Coming).await;
            return match present.map(|presence| presence.clone()) {
                Ok(Presence::Refused(why)) => Err(why),
                Ok(_) => Ok(()),
                Err(_) => Err(RobotRefused::Failed),
            };
        }
    }

    /// Removes the robot from a room, and returns when it has left. False if there was none.
    pub async fn remove(&self, channel: &RoomName) -> bool {
        let Some((mut presence, leaving)) = self.places.find(channel) else {
            return false;
        };
        let is_first = !leaving.is_cancelled();
        leaving.cancel();
        ended(&mut presence).await;
        is_first
    }

    fn find_or_send(&self, channel: &RoomName, client: ClientAddress) -> Result<Known, RobotRefused> {
        let mut places = self.places.lock();
        if let Some(known) = places.get(channel) {
            return Ok(known.clone());
        }
        if places.len() >= self.ways.settings.max_robots {
            return Err(RobotRefused::TooMany);
        }
        let (sender, presence) = watch::channel(Presence::Coming);
        let known = (presence, CancellationToken::new());
        places.insert(channel.clone(), known.clone());
        metrics::gauge!("patchbay_robots").set(places.len() as f64);
        drop(places);
        let place = RobotPlace {
            places: self.places.clone(),
            channel: channel.clone(),
            presence: sender,
            leaving: known.1.clone(),
        };
        tokio::spawn(Robot::new(Arc::clone(&self.ways), client).run(place));
        Ok(known)
    }
}
