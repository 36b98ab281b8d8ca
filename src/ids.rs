//! Identifiers of the things the server knows, as newtypes so that one cannot be passed for another.
//!
//! Ids on the wire are whatever a family uses. Inside, ids are numbers made by the server ([`ParticipantId`]
//! and the like) or opaque strings chosen by clients ([`UserId`], [`RoomName`]).

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
    /// One live room. A room that becomes empty and is entered again is a new one.
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
    /// The position of a message among those of all sessions, in the order in which they were received.
    Turn
);
number_id!(
    /// One offer among those of its session. Whoever makes the offer numbers it.
    OfferTag
);
text_id!(
    /// The id of a user, as a client or the user table has it: opaque.
    UserId
);
text_id!(
    /// The name by which people enter a room: opaque.
    RoomName
);
text_id!(
    /// The address of one device at a push service, with the name of the service ([`PushService::target`]): opaque elsewhere.
    PushTarget
);
text_id!(
    /// The id of one device of an account, chosen by the device: opaque.
    DeviceId
);

/// A push service, and which of its ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushService {
    /// Apple's, for notifications that its system shows.
    ApnsAlert,
    /// Apple's, for calls, which its system hands to the app.
    ApnsVoip,
    /// JPush, for messages to the app.
    JPush,
}

impl PushService {
    const ALL: [PushService; 3] = [PushService::ApnsAlert, PushService::ApnsVoip, PushService::JPush];

    pub fn name(self) -> &'static str {
        match self {
            PushService::ApnsAlert => "apns",
            PushService::ApnsVoip => "voip",
            PushService::JPush => "jpush",
        }
    }

    pub fn named(name: &str) -> Option<PushService> {
        PushService::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The push target of the device that has this token at the service.
    pub fn target(self, token: &str) -> PushTarget {
        PushTarget(format!("{}:{token}", self.name()).into())
    }
}

impl PushTarget {
    /// The service, and the token that it gave the device. `None` if the service is not known.
    pub fn parts(&self) -> Option<(PushService, &str)> {
        let (name, token) = self.as_str().split_once(':')?;
        let service = PushService::named(name)?;
        Some((service, token))
    }
}

/// What the name of a channel begins with, and the number of letters and digits that follow.
pub(crate) const CHANNEL_PREFIX: &str = "ch_";
pub(crate) const CHANNEL_LENGTH: usize = 10;

impl RoomName {
    /// Whether it has the form of the names of channels. Nothing else is known of them where rooms are entered: the channel may
    /// have been opened by another server with the same app.
    pub(crate) fn is_channel(&self) -> bool {
        let rest = self.as_str().strip_prefix(CHANNEL_PREFIX);
        rest.is_some_and(|rest| rest.len() == CHANNEL_LENGTH && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    }
}

/// One of the things that a participant publishes. Each may come over a connection of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Camera and microphone; also the only feed of a participant who publishes one thing.
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

/// Messages of this server's own that a client understands. A client is not sent the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// What the client gets of each video, and why not more.
    pub video_quality: bool,
    /// Which layers of its own videos are wanted.
    pub send_layers: bool,
}

impl Features {
    pub const NONE: Features = Features {
        video_quality: false,
        send_layers: false,
    };
}

/// A slot among those of its connection: a sending section whose source changes while the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u8);

/// One media worker: an index below the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub usize);
