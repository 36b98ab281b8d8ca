//! Identifiers of the things the server knows, as newtypes so that one cannot be passed for another.
//!
//! Ids on the wire are whatever a family says; inside, numbers made by the server ([`ParticipantId`] and the
//! like) or opaque strings that clients chose ([`UserId`], [`RoomName`]).

use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub struct $name(pub std::sync::Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

number_id!(
    /// One live room. A room that empties and is entered again is a new one.
    RoomId
);
number_id!(
    /// One stay of a person, robot or stream in a room.
    ParticipantId
);
number_id!(
    /// One signaling connection.
    SessionId
);
number_id!(
    /// One WebRTC connection.
    PeerId
);
number_id!(
    /// One call from one to another.
    CallId
);
number_id!(
    /// One published track.
    TrackId
);
number_id!(
    /// The place of a message among those of all sessions, in the order in which they were received.
    Turn
);
number_id!(
    /// One offer among those of its session, as whoever makes it numbers them.
    OfferTag
);
text_id!(
    /// Who somebody is, as a client or the user table names them: opaque.
    UserId
);
text_id!(
    /// What a room is called by those who enter it: opaque.
    RoomName
);
text_id!(
    /// By which a push service reaches one device, with what tells the services apart: opaque.
    PushTarget
);
text_id!(
    /// One device of an account, as it names itself: opaque.
    DeviceId
);

/// One of the things that a participant publishes. Each may come over a connection of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Camera and microphone: what a participant publishes who publishes one thing.
    #[default]
    Camera,
    /// A screen or a window, and its sound.
    Screen,
}

/// One feed of one participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedRef {
    pub participant: ParticipantId,
    pub feed: Feed,
}

impl FeedRef {
    pub const fn camera(participant: ParticipantId) -> Self {
        let feed = Feed::Camera;
        Self { participant, feed }
    }
}

/// A slot among those of its connection: a sending section whose source changes while the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u8);

/// One media worker: an index below the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub usize);
