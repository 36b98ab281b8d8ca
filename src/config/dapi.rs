//! Settings of the calls that an app's back end makes over HTTP.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Settings of the calls that an app's back end makes over HTTP.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dapi {
    pub enabled: bool,
    /// The secret that requests have to show. Empty: none.
    pub key: String,
    pub time_zone: String,
    pub message_window_s: u32,
    pub heartbeat_s: u32,
    pub keep_records_d: u32,
    pub max_records: u32,
    pub max_tasks: u32,
    pub max_push_devices: u32,
}

impl std::fmt::Debug for Dapi {
    /// Shows everything but the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dapi")
            .field("enabled", &self.enabled)
            .field("time_zone", &self.time_zone)
            .field("message_window_s", &self.message_window_s)
            .field("heartbeat_s", &self.heartbeat_s)
            .field("keep_records_d", &self.keep_records_d)
            .field("max_records", &self.max_records)
            .field("max_tasks", &self.max_tasks)
            .field("max_push_devices", &self.max_push_devices)
            .finish_non_exhaustive()
    }
}

impl Default for Dapi {
    fn default() -> Self {
        Self {
            enabled: true,
            key: String::new(),
            time_zone: "Asia/Shanghai".to_owned(),
            message_window_s: 60,
            heartbeat_s: 30,
            keep_records_d: 90,
            max_records: 200_000,
            max_tasks: 20_000,
            max_push_devices: 100_000,
        }
    }
}

impl Dapi {
    /// The time zone of dates and times. Loading has checked that it is known.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC)
    }
}
