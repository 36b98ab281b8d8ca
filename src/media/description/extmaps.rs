//! Header extensions (RFC 8285) that a section offers.

use rtc_sdp::description::common::Attribute;

use super::direction::Direction;
use super::text::values;
use crate::media::rtp::{Extension, MAX_EXTENSION_ID};

/// The largest id of the one-byte form (RFC 8285 §4.2). Larger ids need an agreement to mix both forms (§4.1.2).
const MAX_ONE_BYTE_ID: u8 = 14;

/// `a=extmap` lines that are read for one section; browsers offer up to 15.
const MAX_EXTMAPS: usize = 64;

/// A header extension that is known here, under an id that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::media) struct Extmap {
    pub id: u8,
    /// The directions in which the client wants to use it; `None` if it does not say.
    pub direction: Option<Direction>,
    pub extension: Extension,
}

/// The header extensions of a section. They stand at session level or at media level, not at both (RFC 8285 §5). If a client
/// writes both, those of the section come first.
pub(super) fn extmaps(section: &[Attribute], session: &[Attribute], allows_mixed: bool) -> Box<[Extmap]> {
    let max_id = match allows_mixed {
        true => MAX_EXTENSION_ID,
        false => MAX_ONE_BYTE_ID,
    };
    let lines = values(section, "extmap").chain(values(session, "extmap"));
    let known = lines.take(MAX_EXTMAPS).filter_map(extmap);
    let fits = |known: &Extmap| allows_mixed || !known.extension.is_long();
    known.filter(|known| known.id <= max_id && fits(known)).collect()
}

/// Reads `<id>[/<direction>] <uri> …` (RFC 8285 §8). Ids from 4096 on ask for a number, which nobody needs.
fn extmap(value: &str) -> Option<Extmap> {
    let mut words = value.split_whitespace();
    let (id, direction) = match words.next()?.split_once('/') {
        Some((id, direction)) => (id, Some(Direction::from_name(direction)?)),
        None => (value.split_whitespace().next()?, None),
    };
    let id = id.parse().ok().filter(|id| *id != 0)?;
    // Encrypted extensions (RFC 6904) have a name of their own, so they are unknown.
    let extension = Extension::from_uri(words.next()?)?;
    Some(Extmap {
        id,
        direction,
        extension,
    })
}
