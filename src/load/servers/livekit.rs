//! LiveKit's signaling (`/rtc`, protocol 9): Protocol Buffers in binary frames. The client makes the offer for what it
//! publishes, the server the offer for what the client receives.
//!
//! Source: LiveKit's published protocol (`livekit_rtc.proto`, `livekit_models.proto`); only the fields that are used are
//! declared.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use prost::Message as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::load::connection::Credentials;
use crate::load::error::LoadError;
use crate::load::plan::Participant;
use crate::load::sdp::{self, Description};
use crate::load::socket::{Frame, Socket};
use crate::media::codec::Kind;

/// Time between pings: LiveKit ends the connection of a client that is silent for 15 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// Seconds for which a token is valid, which is used at once.
const TOKEN_SECONDS: u64 = 3_600;

#[derive(Clone, PartialEq, prost::Message)]
struct SignalRequest {
    #[prost(oneof = "Up", tags = "1, 2, 4, 7, 8, 14")]
    message: Option<Up>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Up {
    #[prost(message, tag = "1")]
    Offer(SessionDescription),
    #[prost(message, tag = "2")]
    Answer(SessionDescription),
    #[prost(message, tag = "4")]
    AddTrack(AddTrack),
    #[prost(message, tag = "7")]
    TrackSetting(TrackSetting),
    #[prost(message, tag = "8")]
    Leave(Empty),
    #[prost(int64, tag = "14")]
    Ping(i64),
}

#[derive(Clone, PartialEq, prost::Message)]
struct SignalResponse {
    #[prost(oneof = "Down", tags = "1, 2, 3, 4, 6, 8, 14")]
    message: Option<Down>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Down {
    #[prost(message, tag = "1")]
    Join(Empty),
    #[prost(message, tag = "2")]
    Answer(SessionDescription),
    #[prost(message, tag = "3")]
    Offer(SessionDescription),
    #[prost(message, tag = "4")]
    Trickle(Trickle),
    #[prost(message, tag = "6")]
    TrackPublished(Empty),
    #[prost(message, tag = "8")]
    Leave(Leave),
    #[prost(message, tag = "14")]
    SubscribedQuality(SubscribedQuality),
}

/// What a subscriber wants of some tracks.
#[derive(Clone, PartialEq, prost::Message)]
struct TrackSetting {
    #[prost(string, repeated, tag = "1")]
    track_sids: Vec<String>,
    #[prost(uint32, tag = "5")]
    width: u32,
    #[prost(uint32, tag = "6")]
    height: u32,
}

/// The layers of a publisher's track that are wanted.
#[derive(Clone, PartialEq, prost::Message)]
struct SubscribedQuality {
    #[prost(message, repeated, tag = "3")]
    codecs: Vec<SubscribedCodec>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribedCodec {
    #[prost(message, repeated, tag = "2")]
    qualities: Vec<EnabledQuality>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct EnabledQuality {
    /// As in [`VideoLayer::quality`].
    #[prost(int32, tag = "1")]
    quality: i32,
    #[prost(bool, tag = "2")]
    enabled: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
struct Leave {
    #[prost(int32, tag = "2")]
    reason: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SessionDescription {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    sdp: String,
    #[prost(uint32, tag = "3")]
    id: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Trickle {
    /// An `RTCIceCandidateInit` as JSON.
    #[prost(string, tag = "1")]
    candidate: String,
    /// The connection: 0 the publisher's, 1 the subscriber's.
    #[prost(int32, tag = "2")]
    target: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AddTrack {
    #[prost(string, tag = "1")]
    cid: String,
    #[prost(string, tag = "2")]
    name: String,
    /// The kind of media: 0 audio, 1 video.
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(uint32, tag = "4")]
    width: u32,
    #[prost(uint32, tag = "5")]
    height: u32,
    /// The source of the media: 1 camera, 2 microphone.
    #[prost(int32, tag = "8")]
    source: i32,
    #[prost(message, repeated, tag = "9")]
    layers: Vec<VideoLayer>,
    #[prost(bool, tag = "13")]
    disable_red: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VideoLayer {
    /// The quality of the layer: 0 low, 1 medium, 2 high.
    #[prost(int32, tag = "1")]
    quality: i32,
    #[prost(uint32, tag = "2")]
    width: u32,
    #[prost(uint32, tag = "3")]
    height: u32,
    #[prost(uint32, tag = "4")]
    bitrate: u32,
}

/// The connection that the server offers.
struct Subscriber {
    local: Credentials,
    begun: bool,
    offer: Option<Description>,
    candidates: Vec<String>,
    /// Number of publishers whose tracks the server has offered.
    announced: usize,
}

pub(crate) async fn take_part(
    context: &Context,
    me: &Participant,
    joined: impl Fn(),
    stop: &CancellationToken,
) -> Result<(), LoadError> {
    let watches: Vec<usize> = context
        .plan
        .publishers(me.room)
        .map(|publisher| publisher.index)
        .filter(|publisher| *publisher != me.index)
        .collect();
    let token = token(context, me, !watches.is_empty())?;
    let path = format!("/rtc?access_token={token}&auto_subscribe=1&protocol=9&sdk=go&version=2.0.0");
    let mut socket = Socket::connect(&context.target, "LiveKit", &path, None, &me.name).await?;
    let mut subscriber = Subscriber {
        local: Credentials::random(),
        begun: false,
        offer: None,
        candidates: Vec::new(),
        announced: 0,
    };
    if me.publishes {
        publish(context, me, &mut socket, &mut subscriber).await?;
        context.publisher_is_up(me.room);
        if watches.is_empty() {
            joined();
        }
    }
    let mut ping = tokio::time::interval(PING_INTERVAL);
    let mut up = None;
    loop {
        // The connection must come up soon after the first offer, which has no media yet: otherwise LiveKit ends it.
        if !subscriber.begun
            && let Some(offer) = &subscriber.offer
            && !subscriber.candidates.is_empty()
        {
            subscriber.begun = true;
            let remote = offer.remote(&context.target.hosts, false, &subscriber.candidates)?;
            up = Some(context.connect(me, subscriber.local.clone(), remote, Vec::new(), watches.clone())?);
            context.learn(me, offer)?;
        }
        tokio::select! {
            frame = socket.next() => {
                let Some(message) = read(me, frame?)? else { continue };
                if let Down::SubscribedQuality(wanted) = &message {
                    send_layers(context, me, wanted)?;
                }
                if let Some(answer) = take(context, &mut subscriber, message)? {
                    // Tracks come with later offers than the connection.
                    if let Some(offer) = subscriber.offer.as_ref().filter(|_| subscriber.begun) {
                        context.learn(me, offer)?;
                    }
                    send(&mut socket, Up::Answer(answer)).await?;
                    if let Some(setting) = track_setting(context, &subscriber) {
                        send(&mut socket, Up::TrackSetting(setting)).await?;
                    }
                }
                if up.is_none() && subscriber.begun {
                    announce(context, &mut subscriber);
                }
            }
            outcome = async { up.as_mut().expect("guarded").await }, if up.is_some() => {
                up = None;
                outcome.map_err(|_| LoadError::ThreadEnded)??;
                joined();
                announce(context, &mut subscriber);
            }
            _ = ping.tick() => send(&mut socket, Up::Ping(1)).await?,
            () = stop.cancelled() => break,
        }
    }
    context.leave(me).await;
    // This ends the session; it may be too late for an answer.
    let _ = send(&mut socket, Up::Leave(Empty {})).await;
    socket.close().await;
    Ok(())
}

/// What is wanted of all videos that the server has offered, if that is to be said.
fn track_setting(context: &Context, subscriber: &Subscriber) -> Option<TrackSetting> {
    let height = u32::from(context.options.tile_height?);
    let sections = subscriber.offer.iter().flat_map(|offer| &offer.sections);
    let videos = sections.filter(|section| section.kind == Some(Kind::Video) && section.sends());
    let track_sids: Vec<String> = videos
        .filter_map(|section| section.track().map(str::to_owned))
        .collect();
    (!track_sids.is_empty()).then_some(TrackSetting {
        track_sids,
        width: height / 9 * 16,
        height,
    })
}

/// Sends the layers that the server says somebody wants, and no others, where the run is about that.
fn send_layers(context: &Context, me: &Participant, wanted: &SubscribedQuality) -> Result<(), LoadError> {
    if context.options.tile_height.is_none() {
        return Ok(());
    }
    let qualities = wanted.codecs.iter().flat_map(|codec| &codec.qualities);
    let layers = qualities.filter_map(|one| {
        let (rid, ..) = sdp::SIMULCAST.get(usize::try_from(one.quality).ok()?)?;
        Some(((*rid).to_owned(), one.enabled))
    });
    context.media.send_layers(me.index, layers.collect())
}

/// Counts the publishers whose tracks are new in an offer.
fn announce(context: &Context, subscriber: &mut Subscriber) {
    let kinds = context.watched().len();
    let sections = subscriber.offer.iter().flat_map(|offer| &offer.sections);
    let tracks = sections
        .filter(|section| section.kind.is_some() && section.sends())
        .count();
    for _ in subscriber.announced..tracks / kinds {
        context.pair_is_up();
    }
    subscriber.announced = subscriber.announced.max(tracks / kinds);
}

/// Processes a message about the subscriber's connection. Returns the answer to send, if the message was an offer.
fn take(
    context: &Context,
    subscriber: &mut Subscriber,
    message: Down,
) -> Result<Option<SessionDescription>, LoadError> {
    match message {
        Down::Offer(offered) => {
            let offer = Description::parse(&offered.sdp)?;
            let sdp = sdp::answer(
                &subscriber.local,
                &context.identity.fingerprint,
                &offer,
                context.has_feedback(),
            );
            subscriber.offer = Some(offer);
            Ok(Some(SessionDescription {
                kind: "answer".to_owned(),
                sdp,
                id: offered.id,
            }))
        }
        Down::Trickle(trickle) if trickle.target == 1 => {
            subscriber.candidates.extend(candidate(&trickle));
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn candidate(trickle: &Trickle) -> Option<String> {
    let init: Value = serde_json::from_str(&trickle.candidate).ok()?;
    let line = init["candidate"].as_str()?;
    (!line.is_empty()).then(|| line.to_owned())
}

async fn publish(
    context: &Context,
    me: &Participant,
    socket: &mut Socket,
    subscriber: &mut Subscriber,
) -> Result<(), LoadError> {
    let local = Credentials::random();
    let sections = context.published(me);
    for (mid, section) in sections.iter().enumerate() {
        send(socket, Up::AddTrack(add_track(context, &me.name, mid, section.kind))).await?;
    }
    let sdp = sdp::offer(&local, &context.identity.fingerprint, &sections, &me.name);
    let mut published = 0;
    let mut answer = None;
    let mut candidates = Vec::new();
    while answer.is_none() || candidates.is_empty() {
        let Some(message) = read(me, socket.expect("publishing").await?)? else {
            continue;
        };
        match message {
            Down::TrackPublished(_) => {
                published += 1;
                if published == sections.len() {
                    let offer = SessionDescription {
                        kind: "offer".to_owned(),
                        sdp: sdp.clone(),
                        id: 1,
                    };
                    send(socket, Up::Offer(offer)).await?;
                }
            }
            Down::Answer(answered) => answer = Some(Description::parse(&answered.sdp)?),
            Down::Trickle(trickle) if trickle.target == 0 => candidates.extend(candidate(&trickle)),
            other => {
                if let Some(answer) = take(context, subscriber, other)? {
                    send(socket, Up::Answer(answer)).await?;
                }
            }
        }
    }
    let Some(answer) = answer else { return Ok(()) };
    let remote = answer.remote(&context.target.hosts, true, &candidates)?;
    let encodings = context.encodings(me, &sections, &answer)?;
    let up = context.connect(me, local, remote, encodings, Vec::new())?;
    up.await.map_err(|_| LoadError::ThreadEnded)?
}

fn add_track(context: &Context, stream: &str, mid: usize, kind: Kind) -> AddTrack {
    let is_video = kind == Kind::Video;
    let layer = |quality: i32, width: u32, height: u32, share: f64| VideoLayer {
        quality,
        width,
        height,
        bitrate: (context.options.bitrate_kbps as f64 * 1_000.0 * share) as u32,
    };
    AddTrack {
        // The name of the track in our offer.
        cid: format!("{stream}-{mid}"),
        name: format!("{stream}-{mid}"),
        kind: i32::from(is_video),
        width: if is_video { 1_280 } else { 0 },
        height: if is_video { 720 } else { 0 },
        source: if is_video { 1 } else { 2 },
        layers: match (is_video, context.options.simulcast) {
            (false, _) => Vec::new(),
            (true, false) => vec![layer(2, 1_280, 720, 1.0)],
            (true, true) => vec![
                layer(0, 320, 180, sdp::SIMULCAST[0].1),
                layer(1, 640, 360, sdp::SIMULCAST[1].1),
                layer(2, 1_280, 720, sdp::SIMULCAST[2].1),
            ],
        },
        disable_red: true,
    }
}

fn token(context: &Context, me: &Participant, subscribes: bool) -> Result<String, LoadError> {
    let (key, secret) = context
        .options
        .livekit_key
        .split_once(':')
        .ok_or_else(|| LoadError::Settings("--livekit-key must be KEY:SECRET".to_owned()))?;
    let claims = json!({
        "iss": key,
        "sub": me.name,
        "nbf": 0,
        "exp": super::context::now_seconds() + TOKEN_SECONDS,
        "video": {
            "room": me.room_name, "roomJoin": true, "canSubscribe": subscribes, "canPublish": me.publishes,
        },
    });
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .map_err(|error| LoadError::Settings(format!("the LiveKit token cannot be made: {error}")))
}

async fn send(socket: &mut Socket, message: Up) -> Result<(), LoadError> {
    let request = SignalRequest { message: Some(message) };
    socket.send_binary(request.encode_to_vec()).await
}

/// Reads a frame. `None` for messages that do not matter here.
fn read(me: &Participant, frame: Frame) -> Result<Option<Down>, LoadError> {
    let Frame::Binary(bytes) = frame else { return Ok(None) };
    let message = SignalResponse::decode(bytes.as_slice())
        .ok()
        .and_then(|response| response.message);
    if let Some(Down::Leave(leave)) = &message {
        return Err(LoadError::Closed {
            who: me.name.clone(),
            reason: format!("the server asked it to leave (reason {})", leave.reason),
        });
    }
    Ok(message)
}
