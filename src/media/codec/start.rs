//! Where decoding can begin.

/// What begins in a packet, for a decoder that knows nothing of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// Nothing: it goes on with something, or stands on pictures before it.
    None,
    /// A slice of a key picture; the parameter sets that it needs were sent before it.
    Slice,
    /// Parameter sets, which the key picture after them needs.
    ParameterSets,
    /// A key picture, with all that it needs.
    Picture,
}
