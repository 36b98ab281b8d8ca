//! The keys under which one worker finds what it has. They mean nothing to another worker.

use slotmap::new_key_type;

new_key_type! {
    pub struct TransportKey;
    pub struct TrackKey;
    pub struct SubscriptionKey;
    /// Key of a TCP connection. After the connection has ended it finds nothing, though another one may be in its place.
    pub struct TcpKey;
    /// Key of a link. After the link has ended it finds nothing, though another link may be in its place.
    pub struct LinkId;
}
