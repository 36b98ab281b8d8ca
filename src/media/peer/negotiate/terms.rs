//! What a negotiation comes to: a connection as both sides understand it, or why there is none.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::media::codec::Codec;
use crate::media::names::Use;
use crate::media::session::{MediaSection, TransportSpec};

/// A connection as both sides now understand it. Kept by the caller and given back at the next offer.
#[derive(Clone, Debug)]
pub struct Negotiated {
    pub answer: String,
    /// Those in the answer, in its order. For clients that are sent them one by one as well.
    pub candidates: Vec<LocalCandidate>,
    /// In the order of the offer.
    pub transports: SmallVec<[TransportSpec; 1]>,
    pub sections: Vec<MediaSection>,
    /// What the client says that it can decode: the codecs of the sections in which it is ready to receive.
    pub decodes: Vec<Codec>,
    pub(super) history: History,
}

/// A candidate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// As text (RFC 8839 §5.1): `candidate:…`.
    pub line: String,
    /// The mid of the m-line that has it; empty where that has none.
    pub mid: String,
    /// The place of that m-line.
    pub section: usize,
}

/// What the next answer must agree with and nobody else needs.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// `o=`: the id stays, the version counts answers (RFC 8829 §5.3.2).
    pub(super) session_id: u64,
    pub(super) version: u64,
    /// The m-line of each of [`Negotiated::sections`].
    pub(super) places: Vec<usize>,
    /// The number of the transport that an m-line was last on, by its place; also of one that is switched off now.
    pub(super) homes: BTreeMap<usize, u8>,
}

/// How our side of a connection presents itself.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// What the connection is for. Its sections are dealt to these in their order; where there is none for a section, the
    /// section carries nothing in that direction.
    pub uses: &'a [Use],
    /// What each of those can decode who get what the client sends, as far as that is known.
    pub audience: &'a [Vec<Codec>],
}
