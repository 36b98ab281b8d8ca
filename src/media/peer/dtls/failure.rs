//! Why a handshake has failed.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The handshake cannot succeed any more.
    Handshake,
    WrongFingerprint,
}
