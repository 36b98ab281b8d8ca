//! An offer (RFC 8866, RFC 8829) as values. Its text is read once, in the task of the session that brings it, and dropped there:
//! what the rules pass on, and what [`negotiate`](super::peer::negotiate) answers, is a [`Description`], which takes a bounded
//! place whatever the text was, and from which no text can be had.
//!
//! ```text
//! text ─► text    ─► offered ─► section ─► formats, extmaps, streams: what could be accepted
//!         lines      groups     m-line     level: ICE and DTLS
//! ```
//!
//! Everything that an answer repeats of an offer is checked to be a token where it is read here.

mod direction;
mod errors;
mod extmaps;
mod formats;
mod level;
mod marks;
mod offered;
mod section;
mod streams;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(in crate::media) use self::direction::Direction;
pub use self::errors::{OfferError, Refusal};
pub(in crate::media) use self::extmaps::Extmap;
pub(in crate::media) use self::formats::Format;
pub(in crate::media) use self::level::{Level, Setup};
pub use self::marks::Marks;
pub(in crate::media) use self::offered::Offered;
pub(in crate::media) use self::section::{ALLOW_MIXED, Content, Section};
pub(in crate::media) use self::streams::{Rid, Simulcast, Syntax};
use crate::media::codec::Codec;

/// What a description takes at most: as much as the longest text that is read. Offers of browsers take about a fifth of their
/// texts; one of 64 sections that use all that may be offered in each could take more, and is refused.
pub const BYTES_MAX: usize = text::MAX_OFFER_BYTES;

/// An offer. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Description(Arc<Understood>);

#[derive(PartialEq, Eq)]
struct Understood {
    /// The offer as it was understood, or why it was not.
    offered: Result<Offered, OfferError>,
    marks: Marks,
}

impl Description {
    /// Reads the text of an offer. One that cannot be answered is known as such when it is to be answered.
    pub fn read(text: &str) -> Description {
        let marks = Marks::read(text);
        let offered = text::parse(text).map(|description| Offered::read(&description));
        let offered = offered.and_then(|offered| match offered.bytes() + marks.bytes() > BYTES_MAX {
            true => Err(OfferError::TooMuch { max: BYTES_MAX }),
            false => Ok(offered),
        });
        Description(Arc::new(Understood { offered, marks }))
    }

    pub(in crate::media) fn offered(&self) -> Result<&Offered, OfferError> {
        self.0.offered.as_ref().map_err(Clone::clone)
    }

    /// What tells the connection that is offered from others.
    pub fn marks(&self) -> &Marks {
        &self.0.marks
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        let offered = match &self.0.offered {
            Ok(offered) => offered.bytes(),
            Err(OfferError::Syntax(reason)) => reason.len(),
            Err(_) => 0,
        };
        size_of::<Understood>() + self.0.marks.bytes() + offered
    }

    /// What the client says that it can decode: the codecs of the sections in which it is ready to receive. None where the
    /// offer was not understood.
    pub fn decodes(&self) -> Vec<Codec> {
        let mut found = Vec::new();
        let sections = self.0.offered.iter().flat_map(|offered| &offered.sections);
        for section in sections.filter(|section| section.direction.receives) {
            let formats = section.content.iter().flat_map(|content| &content.formats);
            for codec in formats.filter_map(Format::codec) {
                if !found.contains(&codec) {
                    found.push(codec);
                }
            }
        }
        found
    }
}

/// That of an empty text.
impl Default for Description {
    fn default() -> Self {
        Description::read("")
    }
}

/// Without what is in it: an ICE password, for one.
impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Description");
        debug.field("marks", &self.0.marks).field("bytes", &self.bytes());
        debug
            .field("error", &self.0.offered.as_ref().err())
            .finish_non_exhaustive()
    }
}
