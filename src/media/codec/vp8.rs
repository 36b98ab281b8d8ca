//! VP8 payload descriptor (RFC 7741 §4.2).

/// Where the fields that must stay continuous across layers stand in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Offset of the PictureID and whether it has 15 bits (otherwise 7).
    pub picture_id: Option<PictureId>,
    /// Offset of TL0PICIDX and its value.
    pub tl0_pic_idx: Option<(usize, u8)>,
    pub temporal_layer: Option<u8>,
    /// Bytes of the descriptor; the VP8 payload header follows.
    pub len: usize,
    pub starts_partition_zero: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    pub offset: usize,
    pub long: bool,
    pub value: u16,
}

/// `None` if the payload ends within its descriptor.
pub fn parse(_payload: &[u8]) -> Option<Descriptor> {
    todo!()
}

pub fn starts_key_frame(_payload: &[u8]) -> bool {
    todo!()
}

/// Writes new values over the fields that `descriptor` found. A 7-bit picture id takes the low 7 bits.
pub fn rewrite(_payload: &mut [u8], _descriptor: &Descriptor, _picture_id: u16, _tl0_pic_idx: u8) {
    todo!()
}
