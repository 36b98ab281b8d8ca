//! Why a request about a call is refused.

use crate::channels::life::NotTaken;
use crate::domain::{Refusal, SESSIONS_PER_ADDRESS};
use crate::hub::NoPlace;
use crate::robots::RobotRefused;
use crate::shares::Denied;

/// The reason why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("there is no call in this channel, or its record has been removed")]
    NoSuchChannel,
    #[error("the call is over, or you have left it")]
    Over,
    #[error("the call has as many people as it may")]
    TooManyMembers,
    /// Somebody has proven that the name of whoever asks is theirs.
    #[error("this name is held by somebody who has proven that it is theirs; ask with the key of the app's back end")]
    NameTaken,
    /// Only the app's back end may leave out whose record it is.
    #[error("it is missing: only the app's back end, which shows its key, may leave it out")]
    NobodyNamed,
    /// Whoever calls, or answers, has as many calls going on as one name may have.
    #[error(
        "too many calls of this name are going on: a user may have {SESSIONS_PER_ADDRESS} at once, and half of them from one client \
         address without the key; try again when one is over"
    )]
    TooManyOfOne,
    #[error("this name is that of robots (robot.name): take another one")]
    RobotsName,
    #[error("this list has the name of robots (robot.name): call/robot and invite/robot bring one")]
    CallsRobot,
    #[error("nobody can call themselves")]
    CallsItself,
    #[error("everybody who is called has as many calls that ring as they may; try again later")]
    Busy,
    #[error("the server has as many calls as it may; try again later")]
    TooManyCalls,
    #[error("clients of your address have as many calls here as they may; try again later")]
    ShareUsedUp,
    #[error("this time is over")]
    Past,
    #[error("a call can be scheduled at most a year ahead")]
    TooFar,
    #[error("there is no such scheduled call of this user")]
    NoSuchTask,
    #[error("its call is being made at this moment")]
    TaskIsFiring,
    /// Another process has made the call of a task, or the task has been changed or removed.
    #[error("the scheduled call has been made, changed or removed meanwhile")]
    TaskTaken,
    #[error("no robot comes: {0}")]
    NoRobot(RobotRefused),
    #[error("the user has as many devices as a user may")]
    TooManyDevices,
    #[error("the server is going down")]
    GoingDown,
    #[error("storage failed; nothing has been changed. Try again later; the server's log says why")]
    Storage(#[source] sqlx::Error),
}

impl ChannelError {
    /// Whether the same request may succeed some time later.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            ChannelError::TooManyOfOne
                | ChannelError::Busy
                | ChannelError::TooManyCalls
                | ChannelError::ShareUsedUp
                | ChannelError::GoingDown
                | ChannelError::Storage(_)
        )
    }
}

impl From<sqlx::Error> for ChannelError {
    fn from(error: sqlx::Error) -> Self {
        ChannelError::Storage(error)
    }
}

impl From<NotTaken> for ChannelError {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::TooManyMembers => ChannelError::TooManyMembers,
            NotTaken::Over => ChannelError::Over,
        }
    }
}

impl From<Denied> for ChannelError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::UsedUp => ChannelError::TooManyCalls,
            Denied::ShareUsedUp => ChannelError::ShareUsedUp,
        }
    }
}

impl From<NoPlace> for ChannelError {
    fn from(no_place: NoPlace) -> Self {
        match no_place {
            NoPlace::Full => ChannelError::TooManyCalls,
            NoPlace::ShareUsedUp => ChannelError::ShareUsedUp,
            NoPlace::GoingDown => ChannelError::GoingDown,
        }
    }
}

impl From<Refusal> for ChannelError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NameTaken => ChannelError::NameTaken,
            Refusal::TooManySessions => ChannelError::TooManyOfOne,
            Refusal::CallsItself => ChannelError::CallsItself,
            Refusal::Busy => ChannelError::Busy,
            Refusal::TooManyPushTargets => ChannelError::TooManyDevices,
            Refusal::SessionEnded => ChannelError::GoingDown,
            _ => ChannelError::TooManyCalls,
        }
    }
}
