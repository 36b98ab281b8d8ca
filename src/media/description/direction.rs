//! The directions of media in a section.

use rtc_sdp::description::common::Attribute;

/// The direction from the client's point of view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::media) struct Direction {
    pub sends: bool,
    pub receives: bool,
}

impl Direction {
    /// The direction where none is written (RFC 8866 §6.7).
    pub(crate) const BOTH: Direction = Direction {
        sends: true,
        receives: true,
    };

    pub(super) fn from_name(name: &str) -> Option<Direction> {
        let (sends, receives) = match name {
            "sendrecv" => (true, true),
            "sendonly" => (true, false),
            "recvonly" => (false, true),
            "inactive" => (false, false),
            _ => return None,
        };
        Some(Direction { sends, receives })
    }

    pub fn name(self) -> &'static str {
        match (self.sends, self.receives) {
            (true, true) => "sendrecv",
            (true, false) => "sendonly",
            (false, true) => "recvonly",
            (false, false) => "inactive",
        }
    }

    /// The first direction that is written.
    pub(super) fn read(attributes: &[Attribute]) -> Option<Direction> {
        let flags = attributes.iter().filter(|attribute| attribute.value.is_none());
        flags.filter_map(|flag| Direction::from_name(&flag.key)).next()
    }
}
