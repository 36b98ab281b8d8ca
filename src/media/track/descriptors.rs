//! The dependency descriptors of a track's packets.

use super::Track;
use super::reading::descriptor;
use crate::media::codec::Kind;
use crate::media::rtp::{Extension, Header};

impl Track {
    /// Notes under which id packets have dependency descriptors.
    pub(super) fn expect_descriptors(&mut self) {
        let is_it = |extension| extension == Extension::DependencyDescriptor && self.kind == Kind::Video;
        let id = self.extensions.known().find(|&(_, extension)| is_it(extension));
        self.descriptor_id = id.map_or(0, |(id, _)| id);
    }

    /// The dependency descriptor of a packet.
    pub(crate) fn descriptor<'p>(&self, header: &Header, packet: &'p [u8]) -> Option<&'p [u8]> {
        descriptor(self.descriptor_id, header, packet)
    }
}
