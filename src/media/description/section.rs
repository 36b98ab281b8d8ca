//! An m-line and its attributes.

use rtc_sdp::MediaDescription;
use rtc_sdp::description::common::Attribute;

use super::direction::Direction;
use super::errors::SectionRefusal;
use super::extmaps::{Extmap, extmaps};
use super::formats::{self, Format};
use super::level::TransportLines;
use super::streams::{Simulcast, announced_ssrcs};
use super::text::{has, is_token, values};
use crate::media::codec::Kind;
use crate::media::session::RemoteSsrc;

/// Characters of a mid. RFC 9143 has no bound; clients number their mids, or use 36 characters of UUID at most.
const MAX_MID: usize = 40;

/// Characters of a format name, or of a part of a protocol's name, that is repeated for a refused section. `webrtc-datachannel`
/// has 18.
const MAX_FORMAT: usize = 32;
/// Parts of a protocol's name; `UDP/TLS/RTP/SAVPF` has as many.
const MAX_PROTOS: usize = 4;

/// The attribute that allows one-byte and two-byte header extensions in one stream (RFC 8285 §6).
pub(in crate::media) const ALLOW_MIXED: &str = "extmap-allow-mixed";

/// Values of the session. Each holds in the sections that do not have one of their own.
pub(super) struct SessionValues<'a> {
    pub attributes: &'a [Attribute],
    pub direction: Option<Direction>,
    pub(crate) allows_mixed: bool,
}

/// The place of a section among the others.
pub(super) struct SectionPlace {
    pub index: usize,
    /// Whether it is in a BUNDLE group.
    pub(crate) in_group: bool,
    /// Whether an earlier section has its mid.
    pub(crate) is_mid_taken: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(in crate::media) struct Section {
    pub index: usize,
    pub line: Line,
    /// The mid. `Some` only if it may go back into the answer.
    pub mid: Option<Box<str>>,
    /// Direction from the client's point of view.
    pub direction: Direction,
    pub level: TransportLines,
    /// Whether the section is not in use, in a BUNDLE group or not.
    pub(crate) is_off: bool,
    pub(crate) rtcp_mux: bool,
    pub(crate) rtcp_rsize: bool,
    /// Who may measure round trips by extended reports. `None` if the client answers none.
    pub(crate) round_trips: Option<RoundTrips>,
    /// Whether the section itself says that header extensions of both forms may come.
    pub(crate) allows_mixed: bool,
    /// Media that can be accepted in it, if its transport can be used.
    pub content: Result<Content, SectionRefusal>,
}

/// The side that may ask for its round trip, with a receiver reference time (RFC 3611 §5.1, `rcvr-rtt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::media) enum RoundTrips {
    OfAll,
    OfSenders,
}

impl RoundTrips {
    /// The mode in the first `a=rtcp-xr` that has one. A bound for the size of the answer may follow it.
    fn offered(attributes: &[Attribute]) -> Option<RoundTrips> {
        let formats = values(attributes, "rtcp-xr").flat_map(str::split_ascii_whitespace);
        let mut modes = formats.filter_map(|format| format.strip_prefix("rcvr-rtt="));
        match modes.next()?.split(':').next()? {
            "all" => Some(RoundTrips::OfAll),
            "sender" => Some(RoundTrips::OfSenders),
            _ => None,
        }
    }

    /// The value of `a=rtcp-xr` in an answer.
    pub fn format(self) -> &'static str {
        match self {
            RoundTrips::OfAll => "rcvr-rtt=all",
            RoundTrips::OfSenders => "rcvr-rtt=sender",
        }
    }
}

/// The parts of an m-line that an answer repeats. All of them are tokens.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::media) struct Line {
    pub media: Box<str>,
    pub(crate) protocol: Box<str>,
    /// The first format that can be repeated.
    pub format: Box<str>,
}

/// The media that a section offers.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::media) struct Content {
    pub kind: Kind,
    /// Formats in the offer's order, with at least one codec.
    pub formats: Box<[Format]>,
    pub(crate) extmaps: Box<[Extmap]>,
    /// SSRCs that the client announces.
    pub ssrcs: Box<[RemoteSsrc]>,
    pub simulcast: Simulcast,
}

/// The mid of a section, if it may go back into the answer.
pub(super) fn mid(media: &MediaDescription) -> Option<&str> {
    values(&media.attributes, "mid")
        .next()
        .filter(|mid| is_token(mid, MAX_MID))
}

impl Section {
    pub(super) fn read(media: &MediaDescription, session_values: &SessionValues<'_>, place: &SectionPlace) -> Section {
        let attributes = &media.attributes;
        // Port 0 says that the section is not in use (RFC 3264 §6), except in a bundle-only one (RFC 9143 §6).
        let has_no_port = media.media_name.port.value == 0;
        Section {
            index: place.index,
            line: Line::read(media),
            mid: mid(media).map(Into::into),
            direction: Direction::read(attributes)
                .or(session_values.direction)
                .unwrap_or(Direction::BOTH),
            level: TransportLines::read(attributes),
            is_off: has_no_port && !has(attributes, "bundle-only"),
            rtcp_mux: has(attributes, "rtcp-mux"),
            rtcp_rsize: has(attributes, "rtcp-rsize"),
            round_trips: RoundTrips::offered(attributes),
            allows_mixed: has(attributes, ALLOW_MIXED),
            content: Content::read(media, session_values, place),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let line = self.line.media.len() + self.line.protocol.len() + self.line.format.len();
        let mid = self.mid.as_ref().map_or(0, |mid| mid.len());
        let content = self.content.as_ref().map_or(0, Content::bytes);
        size_of::<Section>() + line + mid + self.level.bytes() + content
    }
}

impl Line {
    fn read(media: &MediaDescription) -> Line {
        let name = &media.media_name;
        let are_tokens = name.protos.iter().all(|proto| is_token(proto, MAX_FORMAT));
        let protocol = match are_tokens && name.protos.len() <= MAX_PROTOS {
            true => name.protos.join("/"),
            false => "RTP/AVP".to_owned(),
        };
        let format = name.formats.iter().find(|format| is_token(format, MAX_FORMAT));
        Line {
            media: name.media.as_str().into(),
            protocol: protocol.into(),
            format: format.map_or("0", String::as_str).into(),
        }
    }
}

impl Content {
    fn read(
        media: &MediaDescription,
        session_values: &SessionValues<'_>,
        place: &SectionPlace,
    ) -> Result<Content, SectionRefusal> {
        let attributes = &media.attributes;
        let is_on = media.media_name.port.value != 0 || (place.in_group && has(attributes, "bundle-only"));
        if !is_on {
            return Err(SectionRefusal::Disabled);
        }
        let kind = match media.media_name.media.as_str() {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            _ => return Err(SectionRefusal::NotMedia),
        };
        if !is_rtp(media) {
            return Err(SectionRefusal::NotRtp);
        }
        if !has(attributes, "rtcp-mux") && !has(attributes, "rtcp-mux-only") {
            return Err(SectionRefusal::NoRtcpMux);
        }
        if has(attributes, "mid") && (mid(media).is_none() || place.is_mid_taken) {
            return Err(SectionRefusal::Mid);
        }
        let formats = formats::common(media, kind);
        if formats.is_empty() {
            return Err(SectionRefusal::NoCommonCodec);
        }
        let allows_mixed = session_values.allows_mixed || has(attributes, ALLOW_MIXED);
        Ok(Content {
            kind,
            formats,
            extmaps: extmaps(attributes, session_values.attributes, allows_mixed),
            ssrcs: announced_ssrcs(attributes),
            simulcast: Simulcast::offered(attributes),
        })
    }

    /// Bytes of memory that it takes beside itself.
    fn bytes(&self) -> usize {
        let formats = self.formats.iter().map(Format::bytes).sum::<usize>();
        formats + size_of_val(&*self.extmaps) + size_of_val(&*self.ssrcs) + self.simulcast.bytes()
    }
}

/// Whether it is RTP over DTLS-SRTP, under any of the names that RFC 8829 §5.1.2 asks to accept.
fn is_rtp(media: &MediaDescription) -> bool {
    let protos: Vec<&str> = media.media_name.protos.iter().map(String::as_str).collect();
    matches!(
        protos.as_slice(),
        ["UDP" | "TCP", "TLS", "RTP", "SAVPF" | "SAVP"] | ["RTP", "SAVPF" | "SAVP" | "AVPF" | "AVP"]
    )
}
