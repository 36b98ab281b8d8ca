//! What a participant wants of the videos that they watch. Names are those of users, who need not be in the room: they may come.

use std::collections::HashMap;

use crate::ids::{Feed, UserId};

/// Videos that a viewer is sent at most who does not say how many: more than a page shows at once in a size that is any use.
pub const LAST_N: usize = 25;

/// What a viewer wants of the videos in their room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoWants {
    /// The number of videos that are sent at most. The others are not, as if their height were 0.
    pub last_n: usize,
    /// Users whom the viewer looks at, the most important first.
    pub on_stage: Vec<UserId>,
    pub cameras: Heights,
    /// Heights of screens; those that are not here are as [`VideoWants::cameras`] says.
    pub screens: Heights,
}

/// Heights at which videos are shown, in pixels; 0 where one is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heights {
    pub of_users: HashMap<UserId, u16>,
    /// Height of the videos of all other users. `None` if it is not known.
    pub of_others: Option<u16>,
}

impl Default for VideoWants {
    fn default() -> Self {
        Self {
            last_n: LAST_N,
            on_stage: Vec::new(),
            cameras: Heights::default(),
            screens: Heights::default(),
        }
    }
}

impl Heights {
    fn of(&self, user: &UserId) -> Option<u16> {
        self.of_users.get(user).copied().or(self.of_others)
    }
}

impl VideoWants {
    pub(super) fn height(&self, user: &UserId, feed: Feed) -> Option<u16> {
        let cameras = self.cameras.of(user);
        match feed {
            Feed::Camera => cameras,
            Feed::Screen => self.screens.of(user).or(cameras),
        }
    }
}
