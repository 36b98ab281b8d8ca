//! What packets say of the layers of their frames, in words of no codec.
//!
//! A picture has a frame for each spatial layer of its stream, from the smallest to the largest; most streams have one. All frames
//! of a picture have one timestamp.

/// Spatial layers of a stream that are told apart. VP9 can say eight; browsers send three at most.
pub(crate) const SPATIAL_LAYERS: usize = 4;

/// A spatial and a temporal layer, both from 0: those of a frame, or the highest ones that a decode target has, or that a
/// viewer is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Layers {
    pub spatial: u8,
    pub temporal: u8,
}

impl Layers {
    /// The highest layers that there are.
    pub const ALL: Layers = Layers {
        spatial: u8::MAX,
        temporal: u8::MAX,
    };

    /// Whether neither layer is higher than that of `limit`.
    pub fn is_within(self, limit: Layers) -> bool {
        self.spatial <= limit.spatial && self.temporal <= limit.temporal
    }
}

/// The layers of a packet's frame, and what the frame depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FrameMark {
    /// Temporal layer of the picture, 0 for the lowest. Pictures of higher layers can be left out: those of lower ones never depend
    /// on them.
    pub temporal: u8,
    /// Temporal layers, as bits, of which a decoder that had none of them before can decode all pictures from this one on.
    pub opens: u8,
    /// Spatial layer of the frame, 0 for the smallest. Frames of higher layers can be left out, too.
    pub spatial: u8,
    /// Whether the frame depends on earlier pictures of its spatial layer.
    pub is_predicted: bool,
    /// Whether it depends on the frame of the next lower spatial layer in its picture.
    pub uses_lower: bool,
    /// Whether this is the frame's last packet.
    pub ends: bool,
}

impl FrameMark {
    /// That of a frame of which no more is said than its layers.
    pub(crate) fn of_layers(layers: Layers) -> FrameMark {
        FrameMark {
            temporal: layers.temporal,
            spatial: layers.spatial,
            ..FrameMark::default()
        }
    }

    /// The spatial layer as a bit.
    pub(crate) fn spatial_bit(self) -> u8 {
        1 << (self.spatial & 7)
    }
}
