//! What packets say of temporal layers, in words of no codec.

/// The temporal layer of a packet's picture. Pictures of higher layers can be left out: those of lower ones never depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Temporal {
    /// 0 for the lowest.
    pub layer: u8,
    /// Layers, as bits, of which a decoder that had none of them before can decode all pictures from this one on.
    pub opens: u8,
}
