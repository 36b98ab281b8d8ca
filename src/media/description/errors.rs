//! The reasons why an offer, or a section of one, is not answered.

/// The reason why an offer is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error("the offer is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("what the offer says takes more than {max} bytes")]
    TooMuch { max: usize },
    #[error("the offer is not SDP: {0}")]
    Syntax(String),
    #[error("the offer has {count} media sections, at most {max} are accepted")]
    TooManySections { count: usize, max: usize },
    #[error("the offer has no {0}")]
    Missing(&'static str),
    #[error("the offer's a=setup must be actpass, active or passive")]
    Setup,
    #[error("the offer is from an ICE-lite agent, and so would be the answer: nobody would begin")]
    BothLite,
    #[error("no media section of the offer can be accepted; the first one {0}")]
    NothingAcceptable(SectionRefusal),
}

/// The reason why ICE is not restarted with credentials alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRestarted {
    #[error("the offer had several transports, or none; offer with one BUNDLE group to be able to restart ICE")]
    SeveralTransports,
    #[error("a new ice-ufrag has 4 to 256 visible characters, and comes with an ice-pwd of 22 to 256")]
    Credentials,
}

/// The reason why a section is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionRefusal {
    #[error("has port 0")]
    Disabled,
    #[error("is neither audio nor video")]
    NotMedia,
    #[error("is not RTP")]
    NotRtp,
    #[error("does not offer a=rtcp-mux")]
    NoRtcpMux,
    #[error("has the mid of another section, or one that is no token")]
    Mid,
    #[error("offers no codec that is passed through (Opus, PCMU, PCMA, VP8, VP9, H264, H265, AV1)")]
    NoCommonCodec,
}
