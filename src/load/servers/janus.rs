//! Janus's VideoRoom plugin over its WebSocket: one handle publishes, another one receives all feeds of a room.
//!
//! Requests are JSON with a transaction; later results of the plugin come as events with the same transaction.
//! Source: Janus's documentation of its WebSocket interface and of the VideoRoom plugin (1.x, multistream).

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::load::connection::Credentials;
use crate::load::error::LoadError;
use crate::load::plan::Participant;
use crate::load::sdp::{self, Description};
use crate::load::socket::{Frame, Socket};
use crate::media::codec::Kind;

const PLUGIN: &str = "janus.plugin.videoroom";
/// Error code for a room that somebody else has made.
const ROOM_EXISTS: u64 = 427;
/// Error code for a publisher who cannot be watched yet: a feed begins only when Janus has finished its own part of the
/// handshake, a moment after the publisher has.
const NO_SUCH_FEED: u64 = 428;
const FEED_RETRY: Duration = Duration::from_millis(50);
const FEED_RETRIES: usize = 100;

struct Session<'a> {
    socket: Socket,
    me: &'a Participant,
    id: u64,
    transaction: u64,
}

pub(crate) async fn take_part(
    context: &Context,
    me: &Participant,
    joined: impl Fn(),
    stop: &CancellationToken,
) -> Result<(), LoadError> {
    let socket = Socket::connect(&context.target, "Janus", "", Some("janus-protocol"), &me.name).await?;
    let mut session = Session {
        socket,
        me,
        id: 0,
        transaction: 0,
    };
    session.id = session.transact(json!({"janus": "create"})).await?["data"]["id"]
        .as_u64()
        .unwrap_or_default();
    // Room numbers depend on the process, so that runs do not meet.
    let room = u64::from(std::process::id()) * 1_000 + me.room as u64 + 1;
    if me.publishes {
        publish(context, &mut session, room).await?;
        context.publisher_is_up(me.room);
    }
    context.publishers_are_up(me.room).await;
    let feeds: Vec<usize> = context
        .plan
        .publishers(me.room)
        .map(|publisher| publisher.index)
        .filter(|publisher| *publisher != me.index)
        .collect();
    // A viewer begins when the publishers are there already. A publisher has joined when all its connections are up.
    if !feeds.is_empty() {
        watch(context, &mut session, room, &feeds).await?;
    }
    joined();
    loop {
        tokio::select! {
            frame = session.socket.next() => drop(frame?),
            () = stop.cancelled() => break,
        }
    }
    context.leave(me).await;
    // This ends the session; the answer does not matter.
    let _ = session
        .socket
        .send(json!({"janus": "destroy", "session_id": session.id, "transaction": "end"}).to_string())
        .await;
    session.socket.close().await;
    Ok(())
}

async fn publish(context: &Context, session: &mut Session<'_>, room: u64) -> Result<(), LoadError> {
    let handle = session.attach().await?;
    let create = json!({
        "request": "create", "room": room, "permanent": false, "is_private": true, "publishers": 1_000, "bitrate": 0,
        "audiocodec": "opus", "videocodec": "vp8", "fir_freq": 0, "audiolevel_event": false, "playoutdelay_ext": false,
        "videoorient_ext": false, "transport_wide_cc_ext": context.has_feedback(), "notify_joining": false, "record": false,
    });
    let made = session.request(handle, create, None).await?;
    if let Some(code) = made.data["error_code"].as_u64().filter(|code| *code != ROOM_EXISTS) {
        return Err(session.refused(format!("error {code}: {}", made.data["error"])));
    }
    let feed = session.me.index as u64 + 1;
    let join = json!({"request": "join", "ptype": "publisher", "room": room, "id": feed, "display": session.me.name});
    session.request(handle, join, None).await?.check(session)?;
    let local = Credentials::random();
    let sections = context.published(session.me);
    let offer = sdp::offer(&local, &context.identity.fingerprint, &sections, &session.me.name);
    let publish = json!({"request": "publish", "bitrate": 0});
    let answered = session
        .request(handle, publish, Some(("offer", offer)))
        .await?
        .check(session)?;
    let answer = Description::parse(&answered.sdp)?;
    let remote = answer.remote(&context.target.hosts, true, &[])?;
    let encodings = context.encodings(session.me, &sections, &answer)?;
    let up = context.connect(session.me, local, remote, encodings, Vec::new())?;
    up.await.map_err(|_| LoadError::ThreadEnded)?
}

async fn watch(context: &Context, session: &mut Session<'_>, room: u64, feeds: &[usize]) -> Result<(), LoadError> {
    let handle = session.attach().await?;
    let streams: Vec<Value> = feeds.iter().map(|feed| json!({"feed": feed + 1})).collect();
    let join = json!({"request": "join", "ptype": "subscriber", "room": room, "streams": streams});
    let mut offered = session.request(handle, join.clone(), None).await?;
    for _ in 0..FEED_RETRIES {
        if offered.data["error_code"] != NO_SUCH_FEED {
            break;
        }
        tokio::time::sleep(FEED_RETRY).await;
        offered = session.request(handle, join.clone(), None).await?;
    }
    let offered = offered.check(session)?;
    let offer = Description::parse(&offered.sdp)?;
    let remote = offer.remote(&context.target.hosts, false, &[])?;
    let local = Credentials::random();
    let answer = sdp::answer(&local, &context.identity.fingerprint, &offer, context.has_feedback());
    let start = json!({"request": "start"});
    session
        .request(handle, start, Some(("answer", answer)))
        .await?
        .check(session)?;
    if let Some(height) = context.options.tile_height {
        let layer = sdp::SIMULCAST.iter().position(|(.., lines)| *lines >= height);
        let layer = layer.unwrap_or(sdp::SIMULCAST.len() - 1);
        let videos = offer
            .sections
            .iter()
            .filter(|section| section.kind == Some(Kind::Video));
        let streams: Vec<Value> = videos.map(|one| json!({"mid": one.mid, "substream": layer})).collect();
        let configure = json!({"request": "configure", "streams": streams});
        session.request(handle, configure, None).await?.check(session)?;
    }
    let up = context.connect(session.me, local, remote, Vec::new(), feeds.to_vec())?;
    context.learn(session.me, &offer)?;
    up.await.map_err(|_| LoadError::ThreadEnded)??;
    for _ in feeds {
        context.pair_is_up();
    }
    Ok(())
}

/// A plugin's answer.
struct PluginAnswer {
    data: Value,
    sdp: String,
}

impl PluginAnswer {
    fn check(self, session: &Session<'_>) -> Result<PluginAnswer, LoadError> {
        match self.data.get("error_code") {
            None => Ok(self),
            Some(code) => Err(session.refused(format!("error {code}: {}", self.data["error"]))),
        }
    }
}

impl Session<'_> {
    fn refused(&self, reason: String) -> LoadError {
        LoadError::Refused {
            who: self.me.name.clone(),
            reason,
        }
    }

    async fn attach(&mut self) -> Result<u64, LoadError> {
        let attached = self
            .transact(json!({"janus": "attach", "session_id": self.id, "plugin": PLUGIN}))
            .await?;
        Ok(attached["data"]["id"].as_u64().unwrap_or_default())
    }

    async fn request(
        &mut self,
        handle: u64,
        body: Value,
        description: Option<(&str, String)>,
    ) -> Result<PluginAnswer, LoadError> {
        let mut message = json!({"janus": "message", "session_id": self.id, "handle_id": handle, "body": body});
        if let Some((kind, sdp)) = description {
            message["jsep"] = json!({"type": kind, "sdp": sdp});
        }
        let answer = self.transact(message).await?;
        Ok(PluginAnswer {
            data: answer["plugindata"]["data"].clone(),
            sdp: answer["jsep"]["sdp"].as_str().unwrap_or_default().to_owned(),
        })
    }

    /// Sends a request, and waits for an answer that is more than an acknowledgement.
    async fn transact(&mut self, mut request: Value) -> Result<Value, LoadError> {
        self.transaction += 1;
        let transaction = self.transaction.to_string();
        request["transaction"] = json!(transaction);
        self.socket.send(request.to_string()).await?;
        loop {
            let Frame::Text(text) = self.socket.expect("a request").await? else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            if message["transaction"] != transaction.as_str() || message["janus"] == "ack" {
                continue;
            }
            if message["janus"] == "error" {
                return Err(self.refused(message["error"]["reason"].to_string()));
            }
            return Ok(message);
        }
    }
}
