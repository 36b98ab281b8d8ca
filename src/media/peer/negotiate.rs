//! Offer → answer (RFC 8829, RFC 9429), as a pure function on the signaling side.

use rand::Rng;

use crate::media::session::{LocalEnd, MediaSection, TransportSpec};

/// A connection as both sides now understand it. Kept by the caller and given back at the next offer.
#[derive(Clone, Debug)]
pub struct Negotiated {
    pub answer: String,
    pub transport: TransportSpec,
    pub sections: Vec<MediaSection>,
}

/// How our side of a connection presents itself.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// The client may send to us.
    pub receive: bool,
    /// We may send to the client, and under this stream name (`a=msid`, `cname`); `None` when there is no source.
    pub send_stream: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error("the offer is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the offer is not SDP: {0}")]
    Syntax(String),
    #[error("the offer has {count} media sections, at most {max} are accepted")]
    TooManySections { count: usize, max: usize },
    #[error("the offer has no {0}")]
    Missing(&'static str),
}

/// Answers `offer`. With `previous`, an offer on a live connection: sections keep their place and our SSRCs; a changed
/// remote ufrag is an ICE restart and gets new local credentials.
pub fn answer(
    _offer: &str,
    _local: &LocalEnd,
    _role: Role<'_>,
    _previous: Option<&Negotiated>,
    _random: &mut impl Rng,
) -> Result<Negotiated, OfferError> {
    todo!()
}
