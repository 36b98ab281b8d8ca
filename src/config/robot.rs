//! Settings of robots.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of robots, which play a recording in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Robot {
    /// The recording. Empty: the built-in one.
    pub file: PathBuf,
    pub repeats: bool,
    pub name: String,
    pub wait_s: u64,
    pub leave_after_s: u64,
    pub max_robots: usize,
}

impl Default for Robot {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            repeats: true,
            name: "robot".to_owned(),
            wait_s: 60,
            leave_after_s: 10,
            max_robots: 100,
        }
    }
}

impl Robot {
    /// The file of the recording, where one is configured.
    pub(crate) fn given(&self) -> Option<&Path> {
        (!self.file.as_os_str().is_empty()).then_some(&self.file)
    }

    /// Time for which a robot waits for the first participant.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_s)
    }

    /// Time for which a robot stays when the last other participant has left.
    pub(crate) fn leave_after(&self) -> Duration {
        Duration::from_secs(self.leave_after_s)
    }
}
