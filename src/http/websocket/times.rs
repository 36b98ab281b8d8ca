//! How long clients of WebSockets may take.

use std::time::Duration;

/// Time between pings: often enough that a vanished client is noticed within [`SILENCE_MAX`], and that proxies, which
/// cut idle connections after 30 to 60 s, see traffic.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Silence after which a client counts as gone: two pings lost, and some time for the third. It has to be noticed
/// within 30 s; shorter would throw out phones that change networks.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(25);

/// Time that a client has to accept what it is sent, and no longer than until it counts as silent. Socket buffers hide
/// shorter stalls of a network; longer fills the server's memory with waiting messages.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(10);

/// Time that a client has to accept our close frame, and again to answer it, so that a reset does not cut off the last
/// messages. Meanwhile it holds no place in a room or among the sessions.
pub(crate) const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// Time that a client has to come with another socket. The others see it leave when this is over.
pub const RESUMED_WITHIN: Duration = Duration::from_secs(15);
