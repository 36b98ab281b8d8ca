//! The rooms that have a robot, and whether it is there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::Refusal;
use crate::hub::NoPlace;
use crate::ids::RoomName;

/// Why no robot comes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RobotRefused {
    #[error("there are as many robots as there may be (robot.max_robots)")]
    TooMany,
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the robot has failed")]
    Failed,
}

/// Whether a robot is in its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Coming,
    There,
    Refused(RobotRefused),
}

/// A robot as others know it: where it is, and the signal by which it leaves. The channel closes when it has left.
pub(super) type Known = (watch::Receiver<Presence>, CancellationToken);

/// The rooms that have a robot, at most `robot.max_robots`.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<RoomName, Known>>>);

impl Places {
    /// The lock is held only for moments: nothing waits meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, HashMap<RoomName, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn find(&self, channel: &RoomName) -> Option<Known> {
        self.lock().get(channel).cloned()
    }
}

/// The place of a robot among all robots. Dropping it gives the place back, also when the robot's task panics.
pub(super) struct RobotPlace {
    pub places: Places,
    pub channel: RoomName,
    pub presence: watch::Sender<Presence>,
    /// The signal that the robot leaves: others give it, or the robot itself.
    pub leaving: CancellationToken,
}

impl Drop for RobotPlace {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        places.remove(&self.channel);
        metrics::gauge!("patchbay_robots").set(places.len() as f64);
    }
}

/// Returns when a robot has left.
pub(super) async fn ended(presence: &mut watch::Receiver<Presence>) {
    while presence.changed().await.is_ok() {}
}
