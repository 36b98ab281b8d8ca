//! Slots of the rules and of the media engine, which name them alike.

use crate::domain::{MediaKind, SlotStream};
use crate::media::codec::Kind;
use crate::media::names::Down;
use crate::media::session::{MediaSection, SentStream};

pub(super) fn media_kind(kind: MediaKind) -> Kind {
    match kind {
        MediaKind::Audio => Kind::Audio,
        MediaKind::Video => Kind::Video,
    }
}

/// The streams of a connection's slots.
pub(super) fn slots(sections: &[MediaSection]) -> Vec<SlotStream> {
    let of_section = |section: &MediaSection| {
        let kind = match section.kind {
            Kind::Audio => MediaKind::Audio,
            Kind::Video => MediaKind::Video,
        };
        let has_rtx = section.codecs.iter().any(|codec| codec.rtx_payload_type.is_some());
        let slot = move |stream: SentStream| match stream.down? {
            Down::Slot(slot) => Some(SlotStream {
                slot,
                kind,
                ssrc: stream.ssrc,
                rtx_ssrc: has_rtx.then_some(stream.rtx_ssrc),
            }),
            Down::Track(_) => None,
        };
        let streams: Vec<SlotStream> = section.streams().filter_map(slot).collect();
        streams
    };
    sections.iter().flat_map(of_section).collect()
}
