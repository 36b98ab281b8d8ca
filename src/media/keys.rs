//! The names that one worker has for what it holds. They mean nothing to another worker.

use slotmap::new_key_type;

new_key_type! {
    pub struct PeerKey;
    pub struct TrackKey;
    pub struct SubscriptionKey;
    /// A link that has ended is found no more, though another may be in its place.
    pub struct LinkId;
}
