//! The points at which decoding can start.

/// The kind of start in a packet, for a decoder that knows nothing of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// No start: the packet continues something, or depends on earlier pictures.
    None,
    /// A slice of a key picture. The parameter sets that it needs were sent before it.
    Slice,
    /// Parameter sets, which the following key picture needs.
    ParameterSets,
    /// A key picture with everything that it needs.
    Picture,
}
