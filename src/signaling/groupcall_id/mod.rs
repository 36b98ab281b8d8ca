//! The group call whose messages carry their kind under `id`.
//!
//! JSON objects in text frames. A client has one WebRTC connection to publish, and one for each participant that it watches.
//! The client makes every offer. Clients of this family know no error messages. A message that cannot be carried out is ignored
//! and logged, and the socket stays open. The exceptions are messages whose answer a client would wait for: see below.
//!
//! | client → server | fields | what it does |
//! |---|---|---|
//! | `joinRoom` | `name`, `room`; optional `personName`, `pw`, `notices`, `features`, `token` | enters the room; a session that is in one leaves it first |
//! | `receiveVideoFrom` | `sender`, `sdpOffer`; optional `feed` | own name: publishes; another's: receives what they publish, now or later |
//! | `onIceCandidate` | `name`, `candidate`; optional `feed` | nothing: the server finds clients by their own checks |
//! | `videoWants` | optional `lastN`, `onStage`, `heights`, `screens` | says how each video is shown, see below; the newest replaces the one before |
//! | `leaveRoom` | | leaves; so does closing the socket |
//! | `heart` | | is answered by the same |
//!
//! | server → client | fields | when |
//! |---|---|---|
//! | `iceServers` | `iceServers`: a list of `urls`, `username`, `credential` (RTCIceServer in WebRTC 1.0) | before `existingParticipants`: the relays (TURN) that the client may use, if there are any. Only to clients that joined with `notices` |
//! | `existingParticipants` | `data`: names, or `{name, personName}` objects; `features`: where the join has any, those that the server has | the client has entered; the others have been sent its arrival before |
//! | `newParticipantArrived` | `name`; `personName` where known | somebody enters |
//! | `participantLeft` | `name` | somebody leaves, or enters again with a newer session (then they arrive once more); also to clients that watched over a connection that the server has lost, before a `newParticipantArrived` of the same participant: they are to watch anew |
//! | `participantMedia` | `name`, `media`: `lost` or `back` | somebody's media no longer arrive though they are still in the room, or arrive again; on entering, for each participant whose media are lost, and when such a participant is to be watched anew. Only to clients that joined with `notices` |
//! | `participantFeeds` | `name`, `feeds`: a list with `screen` in it, or nothing | what somebody publishes beside their camera has changed: it can be watched, or no longer; on entering, for each who publishes such a feed, and when such a participant is to be watched anew. Only to clients that joined with `notices` |
//! | `speakers` | `names` | other people speak than before: all who speak now, the client's own user included, the earliest speaker first, at most eight. At most four times a second, on entering if somebody speaks, and when somebody who speaks is to be watched anew. Nobody who leaves is announced to be silent. Left out for a client that reads too slowly: what such a client was sent last may then be out of date, until other people speak. Only to clients that joined with `notices` |
//! | `mediaUndecodable` | `name`, `watcher`, `media` (`audio`, `video`), `codec` | to both of them: what `name` sends is in a format that `watcher` cannot decode, and is not sent to them. Only to clients that joined with `notices` |
//! | `mediaDecodable` | `name`, `watcher`, `media` | `watcher` can decode it again. Only to clients that joined with `notices` |
//! | `videoQuality` | `sender`, `height` (0 where nothing is sent), `state`: `full`, `reduced`, `paused` or `unwanted`; `wanted` where it is known; `reason` unless `full`: `bandwidth`, `sender` or `viewer`; `feed` if it is `screen` | what the client gets of a video is something else than before; about one video once a second at most. Only to clients whose join has the feature |
//! | `ownState` | `role`: `host` or `guest`; `mutedByHost`: a list with `audio`, `video`, both or nothing | what hosts of the room have decided about the client's own user has changed; on entering, unless they are a guest who is not muted. Others hear and see nothing of what is muted, whatever the client sends. Only to clients that joined with `notices` |
//! | `receiveVideoAnswer` | `name`, `sdpAnswer`; `feed` if it is `screen` | at once after the offer, whether or not anything is published yet |
//! | `iceCandidate` | `name`, `candidate` `{candidate, sdpMid, sdpMLineIndex}`; `feed` if it is `screen` | after that answer, which contains it too |
//! | `sendLayers` | `layers`: an object with each encoding's rid, `true` where it is wanted (an encoding without a rid has the key `""`); `maxBitrate` in bit/s of the highest of them, where something bounds it; `feed` if it is `screen` | other encodings of the client's own video are wanted than before: nobody sees the others, so the client stops them (`active`) until it is sent that they are wanted again. For the first time within ten seconds, again after each offer. Only to clients that joined with the feature |
//! | `unrecognizedMessage` | `message`: what the client sent, as an object; `reason` | an offer that cannot be answered, or that has no sender or no text. Clients that do not know this message report it and go on |
//! | `heart` | | |
//!
//! `existingParticipants` has objects for clients that joined with a `personName`, and for all clients if
//! `groupcall.participants_as_objects` is configured: some pages want objects but do not say so. Names may come as numbers; the
//! server sends them back as texts. `pw` is this server's own, for rooms with a password, and for conferences, one of whose
//! PINs it is. So is `feed`: `camera` (where it is missing) or `screen`. Each feed of each participant has a connection of its own. So is `notices`, which is `true` from
//! clients that understand the messages that only this server sends; other clients are not sent them. `features` is a list of
//! the names of further ones that a client understands, at most 16; the client is sent back which of these the server has.
//! `videoQuality` and `sendLayers` are messages that no other client is sent; `videoWants` is one that the server takes.
//! A publisher whose video a
//! watcher cannot decode may offer again, with all formats that it has: the answer begins with one that everybody in the room
//! decodes.
//!
//! `videoWants` is this server's own. `heights` has a height in pixels for each name whose video is shown (`{"anna":720,"*":180}`; `*`
//! stands for everybody else), 0 for one that is not: nothing is sent of it, until it is wanted again. `screens` has the same for
//! screens; one that is not in it is as in `heights`. Whatever is in neither is sent in the best size for which there is
//! bandwidth. `onStage` has those at whom the client looks. Of all videos that the client has asked for, and of those in its slots,
//! the first `lastN` are sent (25 where it is missing, none at 0): those on stage, those in the spotlight, screens, those who spoke last,
//! then the others. One whose height is 0 takes no place.
//! In each list 64 names are read at most, and heights up to 16,384. Names of people who are not there count when they come.
//!
//! `token` is this server's own, too: it proves that `name` is one's own ([`super::identity`]). An access token there
//! lets its holder into its room, whatever password that has; what they may not publish is answered with sections that receive
//! nothing. Until their time is over they may join again with a newer token: they stay as they are, and are sent nothing. A
//! channel (`ch_` and ten letters or digits) is entered with an access token and with nothing else.
//!
//! The socket is closed, and the reason is the only sign that the client gets, where
//! - the user is not admitted, or the client joins without a name or a room, or the room is full;
//! - there is no place for the connection of an offer, or the offer has more than 64 KiB;
//! - a name or room that the client gives or asks for has more than 128 characters;
//! - a token is missing, or a channel is to be entered without an access token (4401), or the token does not prove the name
//!   (4403), or somebody in the room has proven that the name is theirs (4409);
//! - the time for which an access token lets its holder stay is over (4410), or a host of the room removes the user (4411);
//! - the room is locked (4423), or waits for its host (4425);
//! - there were too many wrong passwords for a room from one network (4029): for up to a minute even the right one is not
//!   looked at.
//!
//! An offer about somebody who is not in the room is ignored: it may cross with a departure. Somebody who publishes over a
//! part of the server that fails has the socket closed with 1012, and may come again. Chat and files of people in the same room who
//! speak another family are not sent: this family has no message for them.

mod wire;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tracing::debug;

use self::wire::{Outgoing, ParticipantOut, Participants};
use super::client::{Admission, Client};
use super::dialogue::Dialogue;
use super::join::{Join, enter};
use super::json::Text;
use super::reaction::{Close, Frame, Reaction};
use super::wants::{SendLayers, VideoQuality, video_wants};
use super::words::{FeatureWords, FeedWord, ice_servers, kind_word, media_word, muted_words, role_word, takes_notices};
use super::{json, offer};
use crate::domain::{Command, DecodingNotice, Event, MeetingEvent, Person, Refusal, Subject, UserFeed};
use crate::ids::{Features, UserId};
use crate::text;

/// What clients send under `id`.
pub(crate) const KINDS: &[&str] = &[
    "joinRoom",
    "receiveVideoFrom",
    "onIceCandidate",
    "videoWants",
    "leaveRoom",
    "heart",
];

/// One client's conversation in this family.
#[derive(Default)]
pub(crate) struct GroupcallIdDialogue {
    /// Whether the client gave a `personName`, so it knows of them.
    knows_person_names: bool,
    /// Whether the client understands the messages that only this server sends.
    takes_notices: bool,
    /// What the client's join says of features. `None` if it says nothing.
    features: Option<FeatureWords>,
}

impl<A: Admission> Dialogue<A> for GroupcallIdDialogue {
    fn family(&self) -> &'static str {
        "groupcall_id"
    }

    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction> {
        let message = json::parse(frame.text()).unwrap_or_default();
        self.take(client, message).boxed()
    }

    fn send(&mut self, client: &Client<A>, event: Event) -> Reaction {
        let frame = match &event {
            Event::Joined { others } => Outgoing::ExistingParticipants {
                features: self.features.as_ref().map(FeatureWords::words),
                data: if self.knows_person_names || client.config.groupcall.participants_as_objects {
                    Participants::Objects(others.iter().map(|person| participant(person)).collect())
                } else {
                    Participants::Names(others.iter().map(|person| person.user.as_str()).collect())
                },
            },
            Event::ParticipantArrived { person } => self.arrived(person),
            Event::ParticipantLeft { user } => Outgoing::ParticipantLeft { name: user.as_str() },
            Event::MediaChanged { user, media } if self.takes_notices => Outgoing::ParticipantMedia {
                name: user.as_str(),
                media: media_word(*media),
            },
            Event::FurtherFeeds { user, feeds } if self.takes_notices => Outgoing::ParticipantFeeds {
                name: user.as_str(),
                feeds: feeds.iter().copied().map(FeedWord::from).collect(),
            },
            Event::Speakers { users } if self.takes_notices => Outgoing::Speakers {
                names: users.iter().map(UserId::as_str).collect(),
            },
            Event::Decoding(decoding) if self.takes_notices => media_notice(decoding),
            Event::Meeting(MeetingEvent::Own(state)) if self.takes_notices => Outgoing::OwnState {
                role: role_word(state.role),
                muted_by_host: muted_words(state.muted_by_host),
            },
            Event::ConnectionLost { person } => return self.connection_lost(person),
            Event::Answered {
                subject: Subject::Feed(subject),
                sdp,
                ..
            } => Outgoing::ReceiveVideoAnswer {
                name: subject.user.as_str(),
                feed: subject.feed.into(),
                sdp_answer: sdp,
            },
            Event::Candidate {
                subject: Subject::Feed(subject),
                candidate,
            } => Outgoing::IceCandidate {
                name: subject.user.as_str(),
                feed: subject.feed.into(),
                candidate: candidate.into(),
            },
            Event::Quality { feed, quality } => {
                Outgoing::VideoQuality(VideoQuality::new(feed.user.as_str(), feed.feed, *quality))
            }
            Event::LayersWanted(wanted) => Outgoing::SendLayers(SendLayers::from(&**wanted)),
            Event::MediaChanged { .. }
            | Event::FurtherFeeds { .. }
            | Event::Speakers { .. }
            | Event::Answered { .. }
            | Event::Layout { .. }
            | Event::Candidate { .. }
            | Event::Text { .. }
            | Event::File { .. }
            | Event::ConnectionEnded { .. }
            | Event::Decoding(_)
            | Event::Message(_)
            | Event::Call(_)
            | Event::Meeting(_)
            | Event::Ended(_) => return Reaction::none(),
        };
        Reaction::frame(&frame)
    }
}

impl GroupcallIdDialogue {
    async fn take<A: Admission>(&mut self, client: &Client<A>, message: Value) -> Reaction {
        match message.get("id").and_then(Value::as_str).unwrap_or_default() {
            "joinRoom" => self.join_room(client, &message).await,
            "receiveVideoFrom" => receive_video_from(client, &message).await,
            "onIceCandidate" => on_ice_candidate(client, &message),
            "videoWants" => {
                let outcome = client
                    .request(Command::Want(video_wants(|name| message.get(name))))
                    .await;
                client.silent(outcome)
            }
            "leaveRoom" => leave_room(client).await,
            "heart" => Reaction::frame(&Outgoing::Heart {}),
            _ => client.ignore("a message of an unknown kind"),
        }
    }

    async fn join_room<A: Admission>(&mut self, client: &Client<A>, message: &Value) -> Reaction {
        let Some(join) = json::fields::<wire::JoinRoom>(message) else {
            debug!(session = %client.session.id(), "joins without a name or a room");
            return Reaction::close(Close::NO_NAME);
        };
        let own_name = join.person_name.map(|Text(name)| name);
        if own_name.as_ref().is_some_and(|name| !text::NAME.holds(name)) {
            return Reaction::close(Close::LONG_NAME);
        }
        let (Ok(user), Ok(room)) = (join.name.user(), join.room.room()) else {
            return Reaction::close(Close::LONG_NAME);
        };
        self.knows_person_names = own_name.is_some();
        self.takes_notices = takes_notices(message);
        self.features = FeatureWords::of(message.get("features"));
        let join = Join {
            user,
            room,
            own_name,
            password: join.pw,
            token: join.token,
            visible: true,
            connects: false,
            features: self.features.as_ref().map_or(Features::NONE, FeatureWords::understood),
        };
        match enter(client, join).await {
            Ok(()) if self.takes_notices => relays(client),
            Ok(()) => Reaction::none(),
            Err(close) => Reaction::close(close),
        }
    }

    /// This family has no message of its own for this. The other leaves and arrives, which makes clients watch anew.
    fn connection_lost(&self, person: &Person) -> Reaction {
        let name = person.user.as_str();
        Reaction::frame(&Outgoing::ParticipantLeft { name }).and_frame(&self.arrived(person))
    }

    fn arrived<'a>(&self, person: &'a Person) -> Outgoing<'a> {
        Outgoing::NewParticipantArrived {
            name: person.user.as_str(),
            person_name: (self.knows_person_names || has_name(person)).then_some(&person.name),
        }
    }
}

/// What a client that has entered is sent first: the relays that it may use.
fn relays<A>(client: &Client<A>) -> Reaction {
    let ice_servers = ice_servers(client).map(|ice_servers| Outgoing::IceServers { ice_servers });
    ice_servers.map_or_else(Reaction::none, |message| Reaction::frame(&message))
}

async fn receive_video_from<A>(client: &Client<A>, message: &Value) -> Reaction {
    let Some(request) = json::fields::<wire::ReceiveVideoFrom>(message) else {
        return unrecognized(
            client,
            message,
            "an offer has a sender and an sdpOffer, which is a text; its feed is camera or screen",
        );
    };
    let Some(offer) = offer::offer(request.sdp_offer) else {
        return Reaction::close(Close::LONG_OFFER);
    };
    let Ok(user) = request.sender.user() else {
        return Reaction::close(Close::LONG_NAME);
    };
    let feed = request.feed.into();
    let subject = UserFeed { user, feed };
    match client.request(Command::Offer { subject, offer }).await {
        // The client would wait for an answer, and this family has no message that refuses one.
        Err(Refusal::TooManyPeers) => Reaction::close(Close::TOO_MANY_PEERS),
        Err(refusal @ Refusal::BadOffer(_)) => unrecognized(client, message, &refusal.to_string()),
        outcome => client.silent(outcome),
    }
}

/// Checks a candidate, which is of no further use: the server finds clients by their own checks (RFC 8445 §2.5, ICE-lite).
fn on_ice_candidate<A>(client: &Client<A>, message: &Value) -> Reaction {
    let Some(candidate) = json::fields::<wire::OnIceCandidate>(message) else {
        return client.ignore("a candidate without a name");
    };
    match candidate.name.user() {
        Ok(_) => Reaction::none(),
        Err(_) => Reaction::close(Close::LONG_NAME),
    }
}

async fn leave_room<A>(client: &Client<A>) -> Reaction {
    let outcome = client.request(Command::Leave).await;
    client.silent(outcome)
}

/// Refuses an offer whose sender would wait for an answer. The message is the other family's. A client that does not know it
/// reports it and goes on, where a closed socket would cost it the room.
fn unrecognized<A>(client: &Client<A>, message: &Value, reason: &str) -> Reaction {
    debug!(session = %client.session.id(), reason, "unrecognized");
    Reaction::frame(&Outgoing::UnrecognizedMessage { message, reason })
}

fn media_notice(decoding: &DecodingNotice) -> Outgoing<'_> {
    let (name, watcher) = (decoding.publisher.as_str(), decoding.watcher.as_str());
    let media = kind_word(decoding.media);
    match &decoding.undecodable {
        Some(codec) => Outgoing::MediaUndecodable {
            name,
            watcher,
            media,
            codec,
        },
        None => Outgoing::MediaDecodable { name, watcher, media },
    }
}

fn participant(person: &Person) -> ParticipantOut<'_> {
    ParticipantOut {
        name: person.user.as_str(),
        person_name: &person.name,
    }
}

/// Whether a person has a name. Without one they are shown under their id.
fn has_name(person: &Person) -> bool {
    person.name != person.user.as_str()
}
