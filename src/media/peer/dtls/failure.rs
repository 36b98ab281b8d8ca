//! The reasons for which a handshake fails.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsFailure {
    /// The handshake cannot succeed any more.
    Handshake,
    WrongFingerprint,
}
