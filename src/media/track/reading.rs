//! What a packet says of its frame: by its dependency descriptor, if it has one, and else by its payload. That may be encrypted from
//! end to end, apart from what the packet needs.

use crate::media::codec::dependency::{Frame, Unreadable};
use crate::media::codec::start::Start;
use crate::media::codec::{Codec, FrameMark, vp8};
use crate::media::packet::Dependency;
use crate::media::rtp::Header;

pub(super) struct Reading {
    pub start: Start,
    pub vp8: Option<vp8::Descriptor>,
    pub mark: Option<FrameMark>,
}

impl Reading {
    pub fn new(codec: Codec, payload: &[u8], dependency: Dependency) -> Reading {
        let is_start = |frame: Frame| frame.has_structure && frame.is_first_packet;
        let start = match dependency {
            Dependency::None => {
                let (start, vp8) = codec.read(payload);
                let mark = codec.mark(payload, vp8.as_ref());
                return Reading { start, vp8, mark };
            }
            Dependency::Frame(frame) if is_start(frame) => Start::Picture,
            Dependency::Frame(_) | Dependency::Unreadable | Dependency::Over => Start::None,
        };
        let vp8 = (codec == Codec::Vp8).then(|| vp8::parse(payload)).flatten();
        Reading { start, vp8, mark: None }
    }
}

/// The dependency descriptor that a packet has under this id. No element has the id 0.
#[inline]
pub(super) fn descriptor<'p>(id: u8, header: &Header, packet: &'p [u8]) -> Option<&'p [u8]> {
    if id == 0 {
        return None;
    }
    let mut elements = header.elements(packet);
    elements.find(|(known, _)| *known == id).map(|(_, value)| value)
}

impl From<Result<Frame, Unreadable>> for Dependency {
    fn from(read: Result<Frame, Unreadable>) -> Dependency {
        match read {
            Ok(frame) => Dependency::Frame(frame),
            Err(Unreadable::UnknownStructure) => Dependency::Unreadable,
            Err(Unreadable::OldStructure) => Dependency::Over,
            Err(Unreadable::Malformed) => Dependency::None,
        }
    }
}
