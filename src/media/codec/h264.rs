//! H.264 (RFC 6184): profiles as SDP tells them, and where a decoder can start.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    PredictiveHigh444,
}

impl Profile {
    /// From the first two bytes of `profile-level-id` (RFC 6184 §8.1). `None` for a profile we do not know.
    pub fn from_profile_level_id(_profile_idc: u8, _profile_iop: u8) -> Option<Profile> {
        todo!()
    }

    /// Whether a decoder of `self` decodes `published`: 0 when equal, 1 when merely contained.
    pub fn decodes(self, _published: Profile) -> Option<u8> {
        todo!()
    }
}

pub fn starts_key_frame(_payload: &[u8]) -> bool {
    todo!()
}
