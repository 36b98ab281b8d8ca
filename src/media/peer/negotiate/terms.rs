//! The result of a negotiation: a connection as both sides understand it, or the reason why there is none.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::media::codec::Codec;
use crate::media::names::Use;
use crate::media::session::{MediaSection, TransportSpec};

/// A connection as both sides now understand it. The caller keeps it and gives it back with the next offer.
#[derive(Clone, Debug)]
pub struct Negotiated {
    pub answer: String,
    /// Candidates of the answer, in its order. Some clients are sent them one by one as well.
    pub candidates: Vec<LocalCandidate>,
    /// Transports in the order of the offer.
    pub transports: SmallVec<[TransportSpec; 1]>,
    pub sections: Vec<MediaSection>,
    /// Codecs that the client says it can decode: those of the sections in which it is ready to receive.
    pub decodes: Vec<Codec>,
    pub(super) history: History,
}

/// A candidate of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// Text (RFC 8839 §5.1): `candidate:…`.
    pub line: String,
    /// The mid of the m-line that has it; empty if that has no mid.
    pub mid: String,
    /// The place of that m-line.
    pub section: usize,
}

/// Values with which the next answer must agree, and which nobody else needs.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The id of the `o=` line, which stays. The version counts answers (RFC 8829 §5.3.2).
    pub(super) session_id: u64,
    pub(super) version: u64,
    /// The m-line of each of [`Negotiated::sections`].
    pub(super) places: Vec<usize>,
    /// The number of the transport that last carried an m-line, by the m-line's place; also of one that is switched off now.
    pub(super) homes: BTreeMap<usize, u8>,
}

/// The role of our side in a connection.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// Uses of the connection. They are given to its sections in their order. A section for which there is none carries nothing
    /// in that direction.
    pub uses: &'a [Use],
    /// Codecs that each person can decode who gets what the client sends, as far as these are known.
    pub audience: &'a [Vec<Codec>],
}
