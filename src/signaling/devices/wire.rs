//! The messages exactly as they stand on the wire.

use serde::Serialize;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Outgoing<'a> {
    CallFailed {
        #[serde(skip_serializing_if = "Option::is_none")]
        to_phone: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to_device_id: Option<&'a str>,
        message: &'a str,
    },
    Called {
        from_phone: &'a str,
        from_device_id: &'a str,
        room_id: &'a str,
    },
    CallSuccess {
        to_phone: &'a str,
        to_device_id: &'a str,
        room_id: &'a str,
    },
    CallRefuse {
        to_phone: &'a str,
        to_device_id: &'a str,
        room_id: &'a str,
    },
    CalledFailed {
        #[serde(skip_serializing_if = "Option::is_none")]
        from_phone: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from_device_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
    },
    CallingBeHangup {
        fire_phone: &'a str,
        fire_device_id: &'a str,
        room_id: &'a str,
    },
    /// The spelling is the clients'.
    CallingHungupError {
        message: &'a str,
    },
    JsonDataInvalid {
        message: &'a str,
    },
}
