//! What a packet says of its frame: by its dependency descriptor, if it has one, and else by its payload. That may be encrypted from
//! end to end, apart from what the packet needs.

use super::{Layer, Track};
use crate::media::codec::dependency::{Frame, Unreadable};
use crate::media::codec::start::Start;
use crate::media::codec::{Codec, FrameMark, vp8};
use crate::media::packet::Dependency;
use crate::media::rtp::{Extension, Header};

pub(super) struct Reading {
    pub start: Start,
    pub vp8: Option<vp8::Descriptor>,
    pub mark: Option<FrameMark>,
}

impl Reading {
    pub fn new(codec: Codec, payload: &[u8], dependency: Dependency) -> Reading {
        let (start, vp8) = codec.read(payload);
        let is_start = |frame: Frame| frame.has_structure && frame.is_first_packet;
        let (start, mark) = match dependency {
            Dependency::None => (start, codec.mark(payload, vp8.as_ref())),
            Dependency::Frame(frame) if is_start(frame) => (Start::Picture, None),
            Dependency::Frame(_) | Dependency::Unreadable => (Start::None, None),
        };
        Reading { start, vp8, mark }
    }
}

impl Track {
    /// Notes under which id packets have dependency descriptors.
    pub(super) fn expect_descriptors(&mut self) {
        let mut known = self.extensions.known();
        let id = known.find(|(_, extension)| *extension == Extension::DependencyDescriptor);
        self.descriptor_id = id.map_or(0, |(id, _)| id);
    }

    /// The dependency descriptor of a packet.
    pub(crate) fn descriptor<'p>(&self, header: &Header, packet: &'p [u8]) -> Option<&'p [u8]> {
        descriptor(self.descriptor_id, header, packet)
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

impl Layer {
    /// Reads the descriptor of a packet that comes.
    #[inline]
    pub(super) fn describe(&mut self, descriptor: Option<&[u8]>) -> Dependency {
        match descriptor {
            Some(descriptor) => self.stream.read(descriptor).into(),
            None => Dependency::None,
        }
    }

    /// Reads that of a packet that is kept.
    pub(crate) fn describe_again(&self, descriptor: Option<&[u8]>) -> Dependency {
        match descriptor {
            Some(descriptor) => self.stream.read_again(descriptor).into(),
            None => Dependency::None,
        }
    }
}

impl From<Result<Frame, Unreadable>> for Dependency {
    fn from(read: Result<Frame, Unreadable>) -> Dependency {
        match read {
            Ok(frame) => Dependency::Frame(frame),
            Err(Unreadable::UnknownStructure) => Dependency::Unreadable,
            Err(Unreadable::Malformed) => Dependency::None,
        }
    }
}
