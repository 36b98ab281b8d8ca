//! The reasons for which a handshake fails.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handshake cannot succeed any more.
    Handshake,
    WrongFingerprint,
}
