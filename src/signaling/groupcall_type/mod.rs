//! The group call whose messages carry their kind under `type`, with passwords, chat and file notices.
//!
//! JSON objects in text frames. A client has one WebRTC connection to publish, and one for each participant that it watches.
//! The client makes every offer.
//!
//! | client → server | fields | what it does |
//! |---|---|---|
//! | `join` | `userId`; `room`, 0 where absent; optional `pw` (the room's password, or a PIN of the conference), `personName`, `notices`, `features`, `token` | enters the room; a session that is in one leaves it first |
//! | `sendMessage` | `message` | is sent to everybody in the room, the sender too |
//! | `uploadSuccess` | `fileName`, `fileUrl`; optional `fileType` | announces a file to everybody in the room, the sender too |
//! | `onIceCandidate` | `userId`, `candidate` (or `candicate`); optional `feed` | nothing: the server finds clients by their own checks |
//! | `receiveVideoFrom` | `userId`, `sdpOffer`; optional `feed` | own id: publishes; another's: receives what they publish, now or later |
//! | `videoWants` | optional `lastN`, `onStage`, `heights`, `screens` | says how each video is shown, see below; the newest replaces the one before |
//! | `leave` | | leaves, the socket stays open; closing the socket leaves too |
//!
//! | server → client | fields | when |
//! |---|---|---|
//! | `userNotFound` | `userId` | the `userId` of a `join` is not in the user table; then the socket is closed |
//! | `permisionDeny` (so spelled) | `userId`, `roomId` | the room's password is missing or wrong, or the room is full, or locked (the socket is closed with 4423), or waits for its host (4425); or there were too many wrong passwords for it from the client's network, and for up to a minute even the right one is not looked at (the socket is closed with 4029); then the socket is closed |
//! | `iceServers` | `iceServers`: a list of `urls`, `username`, `credential` (RTCIceServer in WebRTC 1.0) | before `existingParticipants`: the relays (TURN) that the client may use, if there are any. Only to clients that joined with `notices` |
//! | `existingParticipants` | `participants`; `features`: where the join has any, those that the server has | the client has entered; the others have been sent its arrival before |
//! | `newParticipantArrived` | `participant` | somebody enters |
//! | `participantLeft` | `userId` | somebody leaves, or enters again with a newer session (then they arrive once more); also to clients that watched over a connection that the server has lost, before a `newParticipantArrived` of the same participant: they are to watch anew |
//! | `participantMedia` | `userId`, `media`: `lost` or `back` | somebody's media no longer arrive though they are still in the room, or arrive again; on entering, for each participant whose media are lost, and when such a participant is to be watched anew. Only to clients that joined with `notices` |
//! | `participantFeeds` | `userId`, `feeds`: a list with `screen` in it, or nothing | what somebody publishes beside their camera has changed: it can be watched, or no longer; on entering, for each who publishes such a feed, and when such a participant is to be watched anew. Only to clients that joined with `notices` |
//! | `speakers` | `userIds` | other people speak than before: all who speak now, the client's own user included, the earliest speaker first, at most eight. At most four times a second, on entering if somebody speaks, and when somebody who speaks is to be watched anew. Nobody who leaves is announced to be silent. Left out for a client that reads too slowly: what such a client was sent last may then be out of date, until other people speak. Only to clients that joined with `notices` |
//! | `receiveVideoAnswer` | `userId`, `sdpAnswer`; `feed` if it is `screen` | at once after the offer, whether or not anything is published yet |
//! | `iceCandidate` | `userId`, `candidate` and `candicate`, the same `{candidate, sdpMid, sdpMLineIndex}`; `feed` if it is `screen` | after that answer, which contains it too |
//! | `reciveTextMessage` (so spelled) | `userId`, `message` | a chat text; once for each kind in `groupcall.text_message_types` |
//! | `fileUploaded` | `userId`, `fileName`, `fileUrl`; `fileType` if it is known | a file is announced |
//! | `mediaUndecodable` | `userId`, `watcherId`, `media` (`audio`, `video`), `codec` | to both of them: what `userId` sends is in a format that `watcherId` cannot decode, and is not sent to them. Only to clients that joined with `notices` |
//! | `mediaDecodable` | `userId`, `watcherId`, `media` | `watcherId` can decode it again. Only to clients that joined with `notices` |
//! | `videoQuality` | `sender`, `height` (0 where nothing is sent), `state`: `full`, `reduced`, `paused` or `unwanted`; `wanted` where it is known; `reason` unless `full`: `bandwidth`, `sender` or `viewer`; `feed` if it is `screen` | what the client gets of a video is something else than before; about one video once a second at most. Only to clients whose join has the feature |
//! | `ownState` | `role`: `host` or `guest`; `mutedByHost`: a list with `audio`, `video`, both or nothing | what hosts of the room have decided about the client's own user has changed; on entering, unless they are a guest who is not muted. Others hear and see nothing of what is muted, whatever the client sends. Only to clients that joined with `notices` |
//! | `sendLayers` | `layers`: an object with each encoding's rid, `true` where it is wanted (an encoding without a rid has the key `""`); `maxBitrate` in bit/s of the highest of them, where something bounds it; `feed` if it is `screen` | other encodings of the client's own video are wanted than before: nobody sees the others, so the client stops them (`active`) until it is sent that they are wanted again. For the first time within ten seconds, again after each offer. Only to clients that joined with the feature |
//! | `unrecognizedMessage` | `message`: what the client sent, as an object; `reason` where something is too long | an unknown kind, a field that is missing or too long, a chat or file outside of a room, an offer that concerns nobody there, cannot be answered, or for which there is no place. Where it was no JSON: its text |
//!
//! A participant is `{id, userId, name, prefix, postfix, suffix}`: `id` is `userId` and `postfix` is `suffix`, because clients
//! read either.
//!
//! **Ids** are numbers on the wire, and 0 is one. They may come as texts. An id that is no whole number, or too great for
//! JavaScript to hold exactly, or written unusually (`007`), is sent as the text that it is: people in the same room who speak
//! another family can have any name, and a client that gives the id back as it got it reaches them. `feed` is this server's
//! own: `camera` (where it is missing) or `screen`. Each feed of each participant has a connection of its own. `personName` is
//! this server's own, too: it is the name of somebody whom the user table does not know. So is `notices`, which is `true` from
//! clients that understand the messages that only this server sends; other clients are not sent them. `features` is a list of
//! the names of further ones that a client understands, at most 16; the client is sent back which of these the server has.
//! `videoQuality` and `sendLayers` are messages that no other client is sent; `videoWants` is one that the server takes.
//! A publisher whose video a
//! watcher cannot decode may offer again, with all formats that it has: the answer begins with one that everybody in the room
//! decodes.
//!
//! `videoWants` is this server's own. `heights` has a height in pixels for each id whose video is shown (`{"anna":720,"*":180}`; `*`
//! stands for everybody else), 0 for one that is not: nothing is sent of it, until it is wanted again. `screens` has the same for
//! screens; one that is not in it is as in `heights`. Whatever is in neither is sent in the best size for which there is
//! bandwidth. `onStage` has those at whom the client looks. Of all videos that the client has asked for, and of those in its slots,
//! the first `lastN` are sent (25 where it is missing, none at 0): those on stage, those in the spotlight, screens, those who spoke last,
//! then the others. One whose height is 0 takes no place.
//! In each list 64 names are read at most, and heights up to 16,384. Names of people who are not there count when they come.
//!
//! `token` proves that `userId` is one's own ([`super::identity`]): `permisionDeny` is followed by the close code 4401
//! if it is missing, 4403 if it does not prove the id, and 4409 if somebody in the room has proven that the id is theirs. An access
//! token there lets its holder into its room, whatever password that has; what they may not publish is answered with sections that
//! receive nothing, and when their time is over the socket is closed with 4410. Until then they may join again with a newer token:
//! they stay as they are, and are sent nothing. A channel (`ch_` and ten letters or digits) is entered with an access token and
//! with nothing else: 4401 without one. Somebody whom a host of the room removes has the socket closed with 4411.
//! Somebody who publishes over a part of the server that fails has the socket closed with 1012, and may come again. Candidates
//! that concern no connection of the session are ignored: a candidate may cross with a departure.

mod wire;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use tracing::debug;

use self::wire::{Id, Outgoing, ParticipantOut, TextOut};
use super::client::{Admission, Client};
use super::dialogue::Dialogue;
use super::join::{Join, enter};
use super::json::{self, Name, Text, TooLong, fields};
use super::reaction::{Close, Frame, Reaction};
use super::wants::{SendLayers, VideoQuality, video_wants};
use super::words::{FeatureWords, FeedWord, ice_servers, kind_word, media_word, muted_words, role_word, takes_notices};
use super::{limits, offer};
use crate::domain::{Command, DecodingNotice, Event, FileNotice, MeetingEvent, Person, Refusal, Subject, UserFeed};
use crate::ids::{Features, RoomName, UserId};
use crate::text::{self, TextLimit};

/// What clients send under `type`.
pub(crate) const KINDS: &[&str] = &[
    "join",
    "sendMessage",
    "uploadSuccess",
    "onIceCandidate",
    "receiveVideoFrom",
    "videoWants",
    "leave",
];

/// One client's conversation in this family.
#[derive(Default)]
pub(crate) struct GroupcallTypeDialogue {
    /// Whether the client understands the messages that only this server sends.
    takes_notices: bool,
    /// What the client's join says of features. `None` if it says nothing.
    features: Option<FeatureWords>,
}

/// A message that cannot be understood or done: the client gets it back.
#[derive(Default)]
struct Unrecognized {
    /// Reason, where the message itself does not show it.
    reason: Option<String>,
}

type Outcome = Result<Reaction, Unrecognized>;

impl<A: Admission> Dialogue<A> for GroupcallTypeDialogue {
    fn family(&self) -> &'static str {
        "groupcall_type"
    }

    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction> {
        // A text that is no JSON is given back as it is.
        let message = json::parse(frame.text()).unwrap_or_else(|| Value::from(frame.text()));
        self.take(client, message).boxed()
    }

    fn send(&mut self, client: &Client<A>, event: Event) -> Reaction {
        let frame = match &event {
            Event::Joined { others } => Outgoing::ExistingParticipants {
                participants: others.iter().map(|person| participant(person)).collect(),
                features: self.features.as_ref().map(FeatureWords::words),
            },
            Event::ParticipantArrived { person } => Outgoing::NewParticipantArrived {
                participant: participant(person),
            },
            Event::ParticipantLeft { user } => Outgoing::ParticipantLeft { user_id: Id(user) },
            Event::MediaChanged { user, media } if self.takes_notices => Outgoing::ParticipantMedia {
                user_id: Id(user),
                media: media_word(*media),
            },
            Event::FurtherFeeds { user, feeds } if self.takes_notices => Outgoing::ParticipantFeeds {
                user_id: Id(user),
                feeds: feeds.iter().copied().map(FeedWord::from).collect(),
            },
            Event::Speakers { users } if self.takes_notices => Outgoing::Speakers {
                user_ids: users.iter().map(Id).collect(),
            },
            Event::Meeting(MeetingEvent::Own(state)) if self.takes_notices => Outgoing::OwnState {
                role: role_word(state.role),
                muted_by_host: muted_words(state.muted_by_host),
            },
            Event::ConnectionLost { person } => return connection_lost(person),
            Event::Answered {
                subject: Subject::Feed(subject),
                sdp,
                ..
            } => Outgoing::ReceiveVideoAnswer {
                user_id: Id(&subject.user),
                feed: subject.feed.into(),
                sdp_answer: sdp,
            },
            Event::Candidate {
                subject: Subject::Feed(subject),
                candidate,
            } => Outgoing::IceCandidate {
                user_id: Id(&subject.user),
                feed: subject.feed.into(),
                candidate: candidate.into(),
                candicate: candidate.into(),
            },
            Event::Text { from, text } => return receive_text_messages(client, from, text),
            Event::File { from, file } => Outgoing::FileUploaded {
                user_id: Id(from),
                file_name: &file.name,
                file_url: &file.url,
                file_type: file.kind.as_deref(),
            },
            Event::Decoding(decoding) if self.takes_notices => media_notice(decoding),
            Event::Quality { feed, quality } => {
                Outgoing::VideoQuality(VideoQuality::new(Id(&feed.user), feed.feed, *quality))
            }
            Event::LayersWanted(wanted) => Outgoing::SendLayers(SendLayers::from(&**wanted)),
            Event::MediaChanged { .. }
            | Event::FurtherFeeds { .. }
            | Event::Speakers { .. }
            | Event::Answered { .. }
            | Event::Layout { .. }
            | Event::Candidate { .. }
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

impl GroupcallTypeDialogue {
    async fn take<A: Admission>(&mut self, client: &Client<A>, message: Value) -> Reaction {
        let outcome = match message.get("type").and_then(Value::as_str).unwrap_or_default() {
            "join" => self.join(client, &message).await,
            "sendMessage" => send_message(client, &message).await,
            "uploadSuccess" => upload_success(client, &message).await,
            "onIceCandidate" => on_ice_candidate(&message),
            "receiveVideoFrom" => receive_video_from(client, &message).await,
            "videoWants" => {
                let outcome = client
                    .request(Command::Want(video_wants(|name| message.get(name))))
                    .await;
                Ok(client.silent(outcome))
            }
            "leave" => leave(client).await,
            _ => Err(Unrecognized::default()),
        };
        outcome.unwrap_or_else(|Unrecognized { reason }| {
            debug!(session = %client.session.id(), reason, "unrecognized");
            let (message, reason) = (&message, reason.as_deref());
            Reaction::frame(&Outgoing::UnrecognizedMessage { message, reason })
        })
    }

    async fn join<A: Admission>(&mut self, client: &Client<A>, message: &Value) -> Outcome {
        let join: wire::Join = parse(message)?;
        let own_name = join
            .person_name
            .map(|name| bounded(name, "personName", text::NAME))
            .transpose()?;
        let room = join.room.unwrap_or_else(|| Name::from(0));
        let (user, room) = (join.user_id.user()?, room.room()?);
        self.takes_notices = takes_notices(message);
        self.features = FeatureWords::of(message.get("features"));
        let join = Join {
            user: user.clone(),
            room: room.clone(),
            own_name,
            password: join.pw,
            token: join.token,
            visible: true,
            connects: false,
            features: self.features.as_ref().map_or(Features::NONE, FeatureWords::understood),
        };
        Ok(match enter(client, join).await {
            Ok(()) if self.takes_notices => relays(client),
            Ok(()) => Reaction::none(),
            Err(close @ Close::STORAGE_FAILED) => Reaction::close(close),
            Err(Close::UNKNOWN_USER) => user_not_found(&user),
            Err(close) => permission_denied(&user, &room, close),
        })
    }
}

/// What a client that has entered is sent first: the relays that it may use.
fn relays<A>(client: &Client<A>) -> Reaction {
    let ice_servers = ice_servers(client).map(|ice_servers| Outgoing::IceServers { ice_servers });
    ice_servers.map_or_else(Reaction::none, |message| Reaction::frame(&message))
}

/// This family has no message of its own for this. The other leaves and arrives, which makes clients watch anew.
fn connection_lost(person: &Person) -> Reaction {
    let left = Outgoing::ParticipantLeft {
        user_id: Id(&person.user),
    };
    let arrived = Outgoing::NewParticipantArrived {
        participant: participant(person),
    };
    Reaction::frame(&left).and_frame(&arrived)
}

fn user_not_found(user: &UserId) -> Reaction {
    Reaction::frame(&Outgoing::UserNotFound { user_id: Id(user) }).and_close(Close::UNKNOWN_USER)
}

fn permission_denied(user: &UserId, room: &RoomName, close: Close) -> Reaction {
    let room = UserId(Arc::clone(&room.0));
    let denied = Outgoing::PermisionDeny {
        user_id: Id(user),
        room_id: Id(&room),
    };
    Reaction::frame(&denied).and_close(close)
}

async fn send_message<A>(client: &Client<A>, message: &Value) -> Outcome {
    let sent: wire::SendMessage = parse(message)?;
    let text = bounded(sent.message, "message", limits::TEXT)?.into();
    request(client, Command::SendText { text }).await
}

async fn upload_success<A>(client: &Client<A>, message: &Value) -> Outcome {
    let upload: wire::UploadSuccess = parse(message)?;
    if upload.file_url.len() > limits::FILE_URL_BYTES_MAX {
        return Err(because(format!(
            "fileUrl has more than {} bytes",
            limits::FILE_URL_BYTES_MAX
        )));
    }
    let kind = upload.file_type.map(|kind| bounded(kind, "fileType", text::NAME));
    let file = Arc::new(FileNotice {
        name: bounded(upload.file_name, "fileName", limits::FILE_NAME)?,
        url: upload.file_url,
        kind: kind.transpose()?,
    });
    request(client, Command::AnnounceFile { file }).await
}

/// Checks a candidate, which is of no further use: the server finds clients by their own checks (RFC 8445 §2.5, ICE-lite).
fn on_ice_candidate(message: &Value) -> Outcome {
    let candidate: wire::OnIceCandidate = parse(message)?;
    if message.get("candidate").or_else(|| message.get("candicate")).is_none() {
        return Err(Unrecognized::default());
    }
    candidate.user_id.user()?;
    Ok(Reaction::none())
}

async fn receive_video_from<A>(client: &Client<A>, message: &Value) -> Outcome {
    let offered: wire::ReceiveVideoFrom = parse(message)?;
    let too_long = || because(format!("sdpOffer has more than {} bytes", limits::SDP_BYTES_MAX));
    let offer = offer::offer(offered.sdp_offer).ok_or_else(too_long)?;
    let (user, feed) = (offered.user_id.user()?, offered.feed.into());
    let subject = UserFeed { user, feed };
    request(client, Command::Offer { subject, offer }).await
}

async fn leave<A>(client: &Client<A>) -> Outcome {
    request(client, Command::Leave).await
}

async fn request<A>(client: &Client<A>, command: Command) -> Outcome {
    match client.request(command).await {
        // The socket is about to be closed, which says enough.
        Ok(()) | Err(Refusal::SessionEnded) => Ok(Reaction::none()),
        Err(_) => Err(Unrecognized::default()),
    }
}

/// The fields of a message. The message stays whole, so that it can be given back if it makes no sense.
fn parse<'a, T: Deserialize<'a>>(message: &'a Value) -> Result<T, Unrecognized> {
    fields(message).ok_or_else(Unrecognized::default)
}

fn bounded(Text(text): Text, field: &str, limit: TextLimit) -> Result<String, Unrecognized> {
    if !limit.holds(&text) {
        return Err(because(format!(
            "{field} has more than {} characters",
            limit.characters
        )));
    }
    Ok(text)
}

fn because(reason: String) -> Unrecognized {
    Unrecognized { reason: Some(reason) }
}

impl From<TooLong> for Unrecognized {
    fn from(too_long: TooLong) -> Self {
        because(too_long.to_string())
    }
}

fn media_notice(decoding: &DecodingNotice) -> Outgoing<'_> {
    let (user_id, watcher_id) = (Id(&decoding.publisher), Id(&decoding.watcher));
    let media = kind_word(decoding.media);
    match &decoding.undecodable {
        Some(codec) => Outgoing::MediaUndecodable {
            user_id,
            watcher_id,
            media,
            codec,
        },
        None => Outgoing::MediaDecodable {
            user_id,
            watcher_id,
            media,
        },
    }
}

fn participant(person: &Person) -> ParticipantOut<'_> {
    ParticipantOut {
        id: Id(&person.user),
        user_id: Id(&person.user),
        name: &person.name,
        prefix: &person.prefix,
        postfix: &person.postfix,
        suffix: &person.postfix,
    }
}

/// Sends a chat text under each configured kind: real clients listen to one spelling or the other.
fn receive_text_messages<A>(client: &Client<A>, from: &UserId, text: &str) -> Reaction {
    let mut reaction = Reaction::none();
    for kind in &client.config.groupcall.text_message_types {
        reaction = reaction.and_frame(&TextOut {
            kind,
            user_id: Id(from),
            message: text,
        });
    }
    reaction
}
