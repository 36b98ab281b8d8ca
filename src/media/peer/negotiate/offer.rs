//! The offer's text as sections and groups. The line grammar (RFC 8866 §9) is `rtc-sdp`'s; the meaning of attributes
//! is read here and in the files beside this one. Everything borrows from the parsed description.

use std::collections::HashMap;
use std::io::Cursor;

use rtc_sdp::description::common::Attribute;
use rtc_sdp::{MediaDescription, SessionDescription};

use super::terms::OfferError;
use crate::media::codec::Kind;

/// Four times what a browser with every codec, three simulcast layers and ten sections sends.
/// Larger would only feed parsers; smaller would refuse clients that offer a section per participant.
pub(super) const MAX_OFFER_BYTES: usize = 64 * 1024;

/// m-lines are never removed from a session (RFC 3264 §8.2), so a long call collects dead ones.
pub(super) const MAX_SECTIONS: usize = 64;

/// RFC 9143 gives a mid no bound of its own; clients number them or use 36 characters of UUID at the most.
const MAX_MID: usize = 40;

/// Characters of an error text that quote the offer.
const MAX_QUOTE: usize = 120;

/// RFC 8285 §6: one-byte and two-byte header extensions may come in one stream.
pub(super) const ALLOW_MIXED: &str = "extmap-allow-mixed";

pub(super) fn parse(offer: &str) -> Result<SessionDescription, OfferError> {
    if offer.len() > MAX_OFFER_BYTES {
        return Err(OfferError::TooLong { max: MAX_OFFER_BYTES });
    }
    let description = SessionDescription::unmarshal(&mut Cursor::new(offer.as_bytes())).map_err(|error| {
        let text = error.to_string();
        OfferError::Syntax(text.chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect())
    })?;
    match description.media_descriptions.len() {
        0 => Err(OfferError::Missing("media section")),
        count if count > MAX_SECTIONS => Err(OfferError::TooManySections {
            count,
            max: MAX_SECTIONS,
        }),
        _ => Ok(description),
    }
}

/// What is read of an offer as a whole.
pub(super) struct Offer<'a> {
    pub session: &'a [Attribute],
    pub sections: Vec<Section<'a>>,
    /// BUNDLE groups (RFC 9143 §7) as indices of sections, in the order of the group. A section is in one at most.
    pub groups: Vec<Vec<usize>>,
    /// What a section says itself goes before these.
    direction: Option<Direction>,
    pub allows_mixed: bool,
}

impl<'a> Offer<'a> {
    pub fn read(description: &'a SessionDescription) -> Offer<'a> {
        let sections: Vec<Section<'a>> = description
            .media_descriptions
            .iter()
            .enumerate()
            .map(|(index, media)| Section::read(index, media))
            .collect();
        let groups = bundle_groups(&description.attributes, &sections);
        Offer {
            session: &description.attributes,
            sections,
            groups,
            direction: direction(&description.attributes),
            allows_mixed: has(&description.attributes, ALLOW_MIXED),
        }
    }

    pub fn group_of(&self, section: usize) -> Option<&[usize]> {
        self.groups
            .iter()
            .find(|group| group.contains(&section))
            .map(Vec::as_slice)
    }

    /// What the client does in `section`: sends, receives (RFC 8866 §6.7; sendrecv when nothing is said).
    pub fn direction(&self, section: &Section<'_>) -> Direction {
        direction(section.attributes).or(self.direction).unwrap_or(Direction {
            sends: true,
            receives: true,
        })
    }
}

/// What the client does in a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Direction {
    pub sends: bool,
    pub receives: bool,
}

impl Direction {
    pub fn from_name(name: &str) -> Option<Direction> {
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
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    let flags = attributes.iter().filter(|attribute| attribute.value.is_none());
    flags.filter_map(|flag| Direction::from_name(&flag.key)).next()
}

/// One m-line and its attributes.
pub(super) struct Section<'a> {
    pub index: usize,
    pub media: &'a MediaDescription,
    pub attributes: &'a [Attribute],
    pub kind: Option<Kind>,
    /// `Some` only if it may go back into the answer.
    pub mid: Option<&'a str>,
}

impl<'a> Section<'a> {
    fn read(index: usize, media: &'a MediaDescription) -> Section<'a> {
        let kind = match media.media_name.media.as_str() {
            "audio" => Some(Kind::Audio),
            "video" => Some(Kind::Video),
            _ => None,
        };
        Section {
            index,
            media,
            attributes: &media.attributes,
            kind,
            mid: values(&media.attributes, "mid")
                .next()
                .filter(|mid| is_token(mid, MAX_MID)),
        }
    }

    pub fn values(&self, key: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
        values(self.attributes, key)
    }

    pub fn has(&self, key: &str) -> bool {
        has(self.attributes, key)
    }

    /// Port 0 says that the section is not in use (RFC 3264 §6), except in a bundle-only one (RFC 9143 §6).
    pub fn is_disabled(&self, in_group: bool) -> bool {
        self.media.media_name.port.value == 0 && !(in_group && self.has("bundle-only"))
    }

    /// RTP over DTLS-SRTP under any of the names that RFC 8829 §5.1.2 asks to accept.
    pub fn is_rtp(&self) -> bool {
        let protos: Vec<&str> = self.media.media_name.protos.iter().map(String::as_str).collect();
        matches!(
            protos.as_slice(),
            ["UDP" | "TCP", "TLS", "RTP", "SAVPF" | "SAVP"] | ["RTP", "SAVPF" | "SAVP" | "AVPF" | "AVP"]
        )
    }
}

/// Sections that carry a mid already taken by an earlier one are in no group.
fn bundle_groups(session: &[Attribute], sections: &[Section<'_>]) -> Vec<Vec<usize>> {
    let mut by_mid = HashMap::new();
    for section in sections {
        if let Some(mid) = section.mid {
            by_mid.entry(mid).or_insert(section.index);
        }
    }
    let bundles = values(session, "group").filter_map(|group| {
        let (semantics, mids) = group.split_once(' ')?;
        (semantics == "BUNDLE").then_some(mids)
    });
    // Each mid is handed out once, so all groups together are no longer than the list of sections.
    let groups = bundles.map(|mids| mids.split(' ').filter_map(|mid| by_mid.remove(mid)).collect::<Vec<_>>());
    groups.filter(|group| !group.is_empty()).collect()
}

/// The values of all attributes `a=<key>:<value>`, in order.
pub(super) fn values<'a>(attributes: &'a [Attribute], key: &'static str) -> impl Iterator<Item = &'a str> + use<'a> {
    attributes
        .iter()
        .filter(move |attribute| attribute.key == key)
        .filter_map(|attribute| attribute.value.as_deref())
}

pub(super) fn has(attributes: &[Attribute], key: &str) -> bool {
    attributes.iter().any(|attribute| attribute.key == key)
}

/// A `token` of RFC 8866 §9 of at most `max` characters. Only such text of the client goes back into an answer, so that
/// it cannot begin a line of its own.
pub(super) fn is_token(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(is_token_char)
}

fn is_token_char(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
}
