//! An offer (RFC 8866, RFC 8829) as values. Its text is read once, in the task of the session that brings it, and is dropped
//! there. The rules pass on a [`Description`], and [`negotiate`](super::peer::negotiate) answers it. Its size is bounded for
//! any text, and no text can be made from it.
//!
//! ```text
//! text ─► text    ─► offered ─► section ─► formats, extmaps, streams: what could be accepted
//!         lines      groups     m-line     level: ICE and DTLS
//! ```
//!
//! Everything that an answer repeats of an offer is checked to be a token here, when it is read.

mod direction;
mod errors;
mod extmaps;
mod formats;
mod identity;
mod level;
mod offered;
mod section;
mod streams;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(in crate::media) use self::direction::Direction;
pub use self::errors::{NotRestarted, OfferError, SectionRefusal};
pub(in crate::media) use self::extmaps::Extmap;
pub(in crate::media) use self::formats::Format;
pub(crate) use self::identity::ConnectionIdentity;
#[cfg(test)]
pub(crate) use self::identity::tests::identity;
pub(in crate::media) use self::level::{Credentials, Setup, TransportLines};
pub(in crate::media) use self::offered::Offered;
pub(in crate::media) use self::section::{ALLOW_MIXED, Content, Section};
pub(in crate::media) use self::streams::{Rid, Simulcast, Syntax};
use crate::media::codec::{Codec, Kind};

/// The greatest size of a description: that of the longest text that is read. Offers of browsers take about a fifth of their
/// texts. An offer of 64 sections that uses in each all that may be offered could take more, and is refused.
pub const BYTES_MAX: usize = text::MAX_OFFER_BYTES;

/// An offer. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Description(Arc<Understood>);

#[derive(PartialEq, Eq)]
struct Understood {
    /// The offer as it was understood, or the reason why it was not.
    offered: Result<Offered, OfferError>,
    identity: ConnectionIdentity,
}

impl Description {
    /// Reads the text of an offer. A fault in it is reported only when the offer is to be answered.
    pub fn read(text: &str) -> Description {
        let identity = ConnectionIdentity::read(text);
        let offered = text::parse(text).map(|description| Offered::read(&description));
        let offered = offered.and_then(|offered| match offered.bytes() + identity.bytes() > BYTES_MAX {
            true => Err(OfferError::TooMuch { max: BYTES_MAX }),
            false => Ok(offered),
        });
        Description(Arc::new(Understood { offered, identity }))
    }

    pub(in crate::media) fn offered(&self) -> Result<&Offered, OfferError> {
        self.0.offered.as_ref().map_err(Clone::clone)
    }

    /// The parts that tell the offered connection from others.
    pub(crate) fn identity(&self) -> &ConnectionIdentity {
        &self.0.identity
    }

    /// Whether the client is ready to send media of this kind in a section that can be accepted.
    pub fn sends(&self, kind: Kind) -> bool {
        self.acceptable()
            .any(|(section, content)| section.direction.sends && content.kind == kind)
    }

    /// Whether the client is ready to receive media in a section that can be accepted.
    pub fn receives(&self) -> bool {
        self.acceptable().any(|(section, _)| section.direction.receives)
    }

    fn acceptable(&self) -> impl Iterator<Item = (&Section, &Content)> {
        let sections = self.0.offered.iter().flat_map(|offered| &offered.sections);
        sections.filter_map(|section| Some((section, section.content.as_ref().ok()?)))
    }

    /// Whether one of the offer's transports has this ICE user.
    pub fn has_ufrag(&self, ufrag: &str) -> bool {
        let offered = self.0.offered.as_ref();
        offered.is_ok_and(|offered| offered.ufrags().contains(ufrag))
    }

    /// The offer of an ICE restart that changes nothing else. The client's offer is not read again: some clients send only the
    /// new credentials (RFC 9725 §4.3.3).
    pub fn restarted(&self, ufrag: &str, pwd: &str) -> Result<Description, NotRestarted> {
        let offered = self.0.offered.as_ref().map_err(|_| NotRestarted::SeveralTransports)?;
        if offered.ufrags().len() != 1 {
            return Err(NotRestarted::SeveralTransports);
        }
        let credentials = Credentials::new(ufrag, pwd).ok_or(NotRestarted::Credentials)?;
        let identity = self.0.identity.restarted(&credentials.ufrag);
        let offered = offered.with_credentials(&credentials);
        if offered.bytes() + identity.bytes() > BYTES_MAX {
            return Err(NotRestarted::Credentials);
        }
        let offered = Ok(offered);
        Ok(Description(Arc::new(Understood { offered, identity })))
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        let offered = match &self.0.offered {
            Ok(offered) => offered.bytes(),
            Err(OfferError::Syntax(reason)) => reason.len(),
            Err(_) => 0,
        };
        size_of::<Understood>() + self.0.identity.bytes() + offered
    }

    /// Codecs that the client says it can decode: those of the sections in which it is ready to receive. None if the offer was
    /// not understood.
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

/// The description of an empty text.
impl Default for Description {
    fn default() -> Self {
        Description::read("")
    }
}

/// A text without the contents, which include an ICE password.
impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Description");
        debug.field("identity", &self.0.identity).field("bytes", &self.bytes());
        debug
            .field("error", &self.0.offered.as_ref().err())
            .finish_non_exhaustive()
    }
}
