//! The rules: who is in which room, who watches whom, who calls whom, who can be reached by message, and which events each
//! session is sent.
//!
//! A [`Command`] comes from one session. [`Rules`] change their state and return [`Effect`]s, in the order in which they are to
//! be carried out, or a [`Refusal`]. Nothing here waits, reads, writes or looks at a clock: the time is an argument. The rules
//! know no wire format: ids and session descriptions are opaque to them.

mod call;
mod calls;
mod connection;
mod ended;
mod invitations;
mod limits;
mod lobby;
mod mailbox;
mod meeting;
mod messages;
mod moderation;
mod muted;
mod notices;
mod outline;
mod playing;
mod quotas;
mod register;
mod room;
mod rooms;
mod rules;
mod speakers;
mod stage;
mod stay;
mod wants;

use std::sync::Arc;

pub use call::{
    Address, CallAnswer, CallCommand, CallEnd, CallEvent, CallMedia, CallOver, Decline, Newcomer, PushNotice, Side,
    WhenAbsent, WhenBusy,
};
pub(crate) use connection::Purpose;
pub use connection::Use;
pub use limits::{Limits, SESSIONS_PER_ADDRESS};
pub(crate) use mailbox::MailboxCommand;
pub use mailbox::{MailboxStore, MessageSender, StoreError, WaitingMessage};
pub use meeting::{
    MeetingCommand, MeetingEvent, MeetingState, Muted, OwnState, ParticipantState, Pin, Referral, Reported, Role,
    WithoutHost,
};
pub use messages::{MessageCommand, Recipient, Waits};
pub(crate) use messages::{MessageEvent, announces_somebody};
pub use notices::{DecodingNotice, FileNotice, LayersWanted, MediaKind, MediaState};
pub use outline::{ParticipantOutline, RoomOutline};
pub use playing::Play;
pub(crate) use playing::Playback;
pub use register::{Abilities, Registration};
pub use rules::Rules;
pub use stage::{SlotStream, StagePart, StageSlot};
pub use stay::{PublishRights, Stay};
pub use wants::{Heights, LAST_N, VideoWants};

use crate::ids::{
    CallId, Features, Feed, FeedRef, OfferTag, ParticipantId, PeerId, PushTarget, RoomId, RoomName, SessionId, SlotId,
    Turn, UserId,
};
use crate::media::description::{ConnectionIdentity, Description, OfferError};
use crate::video::{Quality, Want};

/// A user, and how they are shown to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub user: UserId,
    /// The user's name; their id again where no name is known.
    pub name: String,
    pub prefix: String,
    pub postfix: String,
}

impl Person {
    /// A person whose id alone is known.
    pub fn unnamed(user: UserId) -> Self {
        Self {
            name: user.as_str().to_owned(),
            user,
            prefix: String::new(),
            postfix: String::new(),
        }
    }
}

/// How somebody comes to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// They have proven that the name is theirs. Nobody takes it from them without the same proof.
    Proven,
    /// They only say that the name is theirs.
    Unproven,
    /// The server itself gives them the name, as it does to its robots. They take it from nobody, and nobody takes it from them,
    /// whatever they prove. Only for rooms.
    Reserved,
}

/// Kinds of rooms. Two rooms of different kinds are two rooms, even under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoomKind {
    Group,
    /// A room for two.
    Pair,
}

/// What one session asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Enter a room. A session is in one room at a time: it leaves the room where it is. Of two joins under one name the one
    /// that was received later counts, even if storage answered that one first. A session that enters the room where it is, under
    /// the same name, for a stay that ends later than its present one, stays as it is until then, and is sent nothing.
    Join {
        turn: Turn,
        kind: RoomKind,
        room: RoomName,
        person: Person,
        claim: Claim,
        stay: Stay,
        /// Whether the session is there for one connection, and offers it next. The join is refused where there is no place for a
        /// connection, so that whoever would get none replaces nobody.
        connects: bool,
    },
    Leave,
    /// Offer a connection for one feed: to publish it if it is the session's own, otherwise to receive it.
    Offer {
        subject: UserFeed,
        offer: Offer,
    },
    /// Offer one connection for several feeds, in one or both directions.
    OfferConference {
        conference: Conference,
        offer: Offer,
    },
    /// End a connection of the session in its room. Does nothing if there is none.
    EndConnection {
        subject: Subject,
    },
    /// Wants so much of the videos in the room, in the place of what was wanted before.
    Want(Box<VideoWants>),
    Play(Play),
    /// A chat text to everybody in the room, the sender included.
    SendText {
        text: Arc<str>,
    },
    /// A file to be announced to everybody in the room, the sender included.
    AnnounceFile {
        file: Arc<FileNotice>,
    },
    /// Be reachable at an address. A session is at one address, and moves when it registers again. Calls that ring at the
    /// address ring at the new session too, and messages that waited for its user arrive.
    Register(Registration),
    /// Let calls to the session's address ring at these push targets as well, also when no session is there. An empty list ends
    /// that.
    Push(Vec<PushTarget>),
    /// A command about messages between users, who need not be in a room.
    Message(MessageCommand),
    Call(CallCommand),
    /// A command about the meeting in the session's room.
    Meeting(MeetingCommand),
}

impl From<CallCommand> for Command {
    fn from(command: CallCommand) -> Self {
        Command::Call(command)
    }
}

impl From<MeetingCommand> for Command {
    fn from(command: MeetingCommand) -> Self {
        Command::Meeting(command)
    }
}

impl From<MessageCommand> for Command {
    fn from(command: MessageCommand) -> Self {
        Command::Message(command)
    }
}

impl Command {
    /// Whether the command only passes something on, and changes nothing.
    pub(crate) fn only_passes_on(&self) -> bool {
        matches!(
            self,
            Command::SendText { .. } | Command::AnnounceFile { .. } | Command::Message(MessageCommand::Send { .. })
        )
    }
}

/// A feed, named by the user who publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserFeed {
    pub user: UserId,
    pub feed: Feed,
}

impl UserFeed {
    pub fn camera(user: UserId) -> Self {
        let feed = Feed::Camera;
        Self { user, feed }
    }
}

/// What goes over a connection for several feeds. The sections of the offer are dealt in the order of these fields: each feed
/// and each slot gets one section of each kind that it has, and the sections that are left go to the feeds in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conference {
    pub publish: Option<Feed>,
    pub watch: Vec<UserFeed>,
    /// Kinds of the sections that follow the speaker. The client is not sent who is in them.
    pub speaker_slots: Vec<MediaKind>,
    /// Slots of one audio section: whoever speaks is heard in one of them, and everybody while there are few. Whoever spoke last is
    /// in the first of them, which is the only one that today's browsers play.
    pub sound_slots: u8,
    /// Slots of one video section: whoever is spotlit is shown, then who spoke last, then others. With one slot, that is the
    /// speaker.
    pub picture_slots: u8,
    /// Whether one more slot shows the screen of whoever presents. It is in the section of the pictures; where there are none, in
    /// one of its own. A connection for this alone does not take the place of the participant's connection for other feeds.
    pub presentation: bool,
}

/// An offer of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// What the offer says. Only its [`ConnectionIdentity`] is looked at here.
    pub description: Description,
    /// Tag that comes back with the answer. `None` from families whose answers name their subject.
    pub tag: Option<OfferTag>,
}

/// What one session is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session has entered a room. The others were there before, in the order of their arrival.
    Joined {
        others: Vec<Arc<Person>>,
    },
    ParticipantArrived {
        person: Arc<Person>,
    },
    ParticipantLeft {
        user: UserId,
    },
    /// The media of somebody in the room no longer arrive, or arrive again. Nobody has left or come.
    MediaChanged {
        user: UserId,
        media: MediaState,
    },
    /// The feeds that somebody in the room publishes beside their camera.
    FurtherFeeds {
        user: UserId,
        feeds: Vec<Feed>,
    },
    /// The users in the room who speak now, the earliest speaker first: at most eight, and at most four times a second.
    Speakers {
        users: Arc<[UserId]>,
    },
    /// The answer to an offer of this session.
    Answered {
        subject: Subject,
        tag: Option<OfferTag>,
        sdp: String,
        /// The streams of all slots, of which the answer names the first of each section. Empty where there are no slots.
        slots: Vec<SlotStream>,
    },
    /// Who is in the slots of sounds, pictures and the presentation of one of the session's connections, after its answer and
    /// whenever that changes. All of these slots, in their order.
    Layout {
        subject: Subject,
        slots: Vec<(SlotId, Option<UserFeed>)>,
    },
    /// One of the server's candidates for a connection; it follows the connection's [`Event::Answered`].
    Candidate {
        subject: Subject,
        candidate: Candidate,
    },
    Text {
        from: UserId,
        text: Arc<str>,
    },
    File {
        from: UserId,
        file: Arc<FileNotice>,
    },
    /// The connection over which the session watched this person was lost with a part of the server. The session may offer a
    /// new one.
    ConnectionLost {
        person: Arc<Person>,
    },
    /// A connection of this session has ended, and was not ended by a command: the client has closed it, or nothing came from it
    /// for too long, or it gave way to another, or it was lost with a part of the server.
    ConnectionEnded {
        subject: Subject,
    },
    /// A notice about decoding. The publisher and the watcher are both sent it.
    Decoding(Arc<DecodingNotice>),
    /// What the session gets of a video. Only sessions that understand it are sent it.
    Quality {
        feed: UserFeed,
        quality: Quality,
    },
    /// Which encodings of the session's own video are wanted. Only sessions that understand it are sent it.
    LayersWanted(Arc<LayersWanted>),
    Message(MessageEvent),
    Call(CallEvent),
    Meeting(MeetingEvent),
    /// The last event: the session is to be closed.
    Ended(EndReason),
}

/// What a connection is for, as its session knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A feed of a room: to publish it if it is the session's own, otherwise to receive it.
    Feed(UserFeed),
    /// Several feeds of a room.
    Conference,
    /// The screen of whoever presents in a room, and nothing else.
    Presentation,
    /// Both directions of a call. The answer says that the call has been accepted.
    Call { call: CallId, side: Side },
}

/// An ICE candidate as text (RFC 8839 §5.1), and the media section to which it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub line: String,
    pub mid: String,
    pub section: u16,
}

/// The reason why the server ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The same user has come with a newer session, to the same room or the same address.
    Replaced,
    /// The server is going down.
    Shutdown,
    /// The part of the server was lost that carried what the session published, or its call. People can enter the room again.
    MediaLost,
    /// The time for which the session might be in the room is over.
    StayOver,
    /// A host has removed the session from the room.
    Removed,
}

/// An expected no. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the session is not in a room")]
    NotInRoom,
    #[error("nobody of that name is in the room")]
    UnknownParticipant,
    #[error("the connection is for more feeds or slots than one may have")]
    TooManyUses,
    #[error("the meeting is locked")]
    Locked,
    #[error("the meeting waits for a host")]
    HostAbsent,
    #[error("the room holds as many participants as it may")]
    RoomFull,
    #[error("the server holds as many rooms as it may, or the client's address its share of them")]
    TooManyRooms,
    #[error(
        "the participant or the server holds as many connections as it may, or the client's address its share of them"
    )]
    TooManyPeers,
    #[error("the participant may not do that in this room")]
    NotAllowed,
    /// With the reason why it cannot be answered; `None` if it is missing.
    #[error("the offer is missing or cannot be answered")]
    BadOffer(Option<OfferError>),
    #[error("the session is bound to a user already")]
    AlreadyBound,
    #[error("the session is not bound to a user")]
    NotBound,
    #[error("the name is held by somebody who has proven that it is theirs")]
    NameTaken,
    #[error("a token is missing")]
    NotProven,
    #[error("the user or address has as many sessions as it may")]
    TooManySessions,
    #[error(
        "the address has as many push targets as it may, or a longer one, or the server has, or the client's address its share"
    )]
    TooManyPushTargets,
    #[error("the call has more callees than a call may have")]
    TooManyCallees,
    #[error("the session is registered at no address")]
    NotRegistered,
    #[error("nobody is registered at that address")]
    NotReachable,
    #[error("nobody can call his own address")]
    CallsItself,
    #[error("the callee is in a call, or rings")]
    Busy,
    #[error("the session is in a call")]
    InCall,
    #[error("the server holds as many calls as it may, or the client's address its share of them")]
    TooManyCalls,
    #[error("the session has no such call")]
    NoSuchCall,
    #[error("the message is too long for so many people")]
    TooMuchForSoMany,
    #[error("the session has ended")]
    SessionEnded,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    OpenRoom(RoomId),
    CloseRoom(RoomId),
    ClosePeer {
        room: RoomId,
        peer: PeerId,
    },
    /// Changes what a slot of a connection carries.
    FillSlot {
        peer: PeerId,
        slot: SlotId,
        source: Option<FeedRef>,
    },
    /// Forwards nothing of this that a connection publishes, now and later, and everything else.
    Mute {
        peer: PeerId,
        muted: Muted,
    },
    /// What the client of a connection wants of videos that it watches; of others it wants what there is.
    Want {
        peer: PeerId,
        wants: Vec<(FeedRef, Want)>,
    },
    /// Offers of which either all are answered, in this order, or none.
    Negotiate(Vec<Negotiation>),
    Play(Playback),
    Send {
        session: SessionId,
        event: Event,
    },
    /// The same event for several sessions.
    SendEach {
        sessions: Vec<SessionId>,
        event: Event,
    },
    Mailbox(MailboxCommand),
    Push(PushNotice),
    /// Send the session the reason, then let go of the session.
    Dismiss {
        session: SessionId,
        reason: EndReason,
    },
}

/// An offer that is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    pub session: SessionId,
    pub room: RoomId,
    pub participant: ParticipantId,
    /// Connection that the offer is for: a new id opens a connection, a known one changes that connection.
    pub peer: PeerId,
    /// Purposes of the connection. The sections of the offer are dealt to these in their order.
    pub uses: Vec<Use>,
    /// Kinds of media that the client may publish. Sections of other kinds are answered as sections that receive nothing.
    pub publishes: PublishRights,
    /// The part of what the client publishes that is forwarded to nobody.
    pub muted: Muted,
    /// What the client understands beside the messages that all clients do.
    pub understands: Features,
    pub subject: Subject,
    /// Tag of the offer.
    pub tag: Option<OfferTag>,
    pub description: Description,
    /// Number of DTLS associations that the client's connection has had before, whose keys nobody has any longer.
    pub association: u32,
}

#[cfg(test)]
mod tests;

/// The instant at which tests begin to count.
#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
fn some_instant() -> std::time::Instant {
    std::time::Instant::now()
}
