//! The offer's text as lines. `rtc-sdp` reads their grammar (RFC 8866 §9). The files beside this one read the meaning of
//! attributes.

use std::io::Cursor;

use rtc_sdp::SessionDescription;
use rtc_sdp::description::common::Attribute;

use super::errors::OfferError;

/// Bytes of an offer: four times what a browser with every codec, three simulcast layers and ten sections sends. A larger limit
/// would only make more work for parsers; a smaller one would refuse clients that offer a section per participant.
pub(super) const MAX_OFFER_BYTES: usize = 64 * 1024;

/// Sections of an offer. m-lines are never removed from a session (RFC 3264 §8.2), so a long call collects sections that are
/// not used any more.
pub(super) const MAX_SECTIONS: usize = 64;

/// Characters of an error text that quote the offer.
const MAX_QUOTE: usize = 120;

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

/// Whether a text is a `token` of RFC 8866 §9 of at most `max` characters. No other text of the client goes back into an
/// answer, so it cannot begin a line of its own.
pub(super) fn is_token(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.bytes().all(is_token_char)
}

fn is_token_char(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
}
