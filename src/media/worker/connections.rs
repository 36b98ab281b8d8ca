//! The transports of each connection.

use smallvec::SmallVec;

use crate::ids::FeedRef;
use crate::media::keys::TransportKey;
use crate::media::names::Muted;
use crate::video::Want;

/// The transports of one connection, and the state that was last reported of it.
#[derive(Clone, Default)]
pub(super) struct Connection {
    /// Transports, each with its number; at most as many as a negotiation settles.
    transports: SmallVec<[(u8, TransportKey); 1]>,
    pub connected: bool,
    pub suspended: bool,
    /// The part of what the client publishes that is forwarded to nobody.
    pub muted: Muted,
    /// What its client wants of videos that it watches, in the order of the feeds. Of others it wants what there is.
    pub wants: Vec<(FeedRef, Want)>,
    /// Whether its videos are divided even where nothing is known of its path, because its client has said what it wants or is
    /// sent what it gets.
    pub is_divided: bool,
    /// Whether its client is sent what it gets of each video.
    pub is_sent_quality: bool,
}

impl Connection {
    pub fn transport(&self, number: u8) -> Option<TransportKey> {
        let mut transports = self.transports.iter();
        transports.find(|(known, _)| *known == number).map(|(_, key)| *key)
    }

    pub fn transports(&self) -> impl Iterator<Item = (u8, TransportKey)> {
        self.transports.iter().copied()
    }

    pub fn add(&mut self, number: u8, key: TransportKey) {
        self.transports.push((number, key));
    }

    /// Removes a transport. True if it was the last one.
    pub fn remove(&mut self, key: TransportKey) -> bool {
        self.transports.retain(|(_, other)| *other != key);
        self.transports.is_empty()
    }
}
