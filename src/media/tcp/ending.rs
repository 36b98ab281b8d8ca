//! The ends of TCP connections that a worker had, for counting.

/// The reason why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpEnd {
    /// Its client has closed it.
    ByClient,
    /// The network, or the system, has ended it.
    Failed,
    /// Its first check was for no client of the worker, or not authentic.
    NotAuthentic,
    /// It announced too large a packet.
    BadFrame,
    /// No client has used it for some seconds.
    Unused,
    /// Its client has read nothing for some seconds.
    Stuck,
    /// The worker has as many connections as it may.
    Full,
}

impl TcpEnd {
    pub const ALL: [TcpEnd; 7] = [
        TcpEnd::ByClient,
        TcpEnd::Failed,
        TcpEnd::NotAuthentic,
        TcpEnd::BadFrame,
        TcpEnd::Unused,
        TcpEnd::Stuck,
        TcpEnd::Full,
    ];

    /// A word for it, as the metrics have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TcpEnd::ByClient => "client",
            TcpEnd::Failed => "failed",
            TcpEnd::NotAuthentic => "not_authentic",
            TcpEnd::BadFrame => "bad_frame",
            TcpEnd::Unused => "unused",
            TcpEnd::Stuck => "stuck",
            TcpEnd::Full => "full",
        }
    }
}
