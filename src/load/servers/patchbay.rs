//! This server's group call (the family whose messages have their kind under `id`): one connection to publish, and one
//! for each watched publisher.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::load::connection::Credentials;
use crate::load::error::LoadError;
use crate::load::plan::Participant;
use crate::load::sdp::{self, Description, Offered};
use crate::load::socket::{Frame, Socket};
use crate::media::loudest::FORWARD_ALL_UP_TO;

/// An offer that has no answer yet.
struct Pending {
    local: Credentials,
    sections: Vec<Offered>,
}

pub(crate) async fn take_part(
    context: &Context,
    me: &Participant,
    joined: impl Fn(),
    stop: &CancellationToken,
) -> Result<(), LoadError> {
    let mut socket = Socket::connect(&context.target, "patchbay", "/groupcall", None, &me.name).await?;
    let others = enter(context, me, &mut socket).await?;
    let mut pending = HashMap::new();
    let mut wanted: Vec<String> = others.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    wanted.retain(|name| name != &me.name && context.plan.publisher(me.room, name).is_some());
    if me.publishes {
        wanted.push(me.name.clone());
    }
    let mut still_to_come = wanted.len();
    for name in wanted {
        offer(context, me, &mut socket, &mut pending, name).await?;
    }
    if still_to_come == 0 {
        joined();
    }
    let mut connecting = FuturesUnordered::new();
    loop {
        tokio::select! {
            frame = socket.next() => {
                let message = message(frame?);
                let name = message["name"].as_str().unwrap_or_default();
                match message["id"].as_str() {
                    Some("newParticipantArrived") if context.plan.publisher(me.room, name).is_some() => {
                        offer(context, me, &mut socket, &mut pending, name.to_owned()).await?;
                    }
                    Some("receiveVideoAnswer") => {
                        let Some(offered) = pending.remove(name) else { continue };
                        let answer = Description::parse(message["sdpAnswer"].as_str().unwrap_or_default())?;
                        let outcome = answered(context, me, name, offered, &answer)?;
                        let is_pair = name != me.name;
                        connecting.push(async move { outcome.await.map(|up| (up, is_pair)) });
                    }
                    Some("sendLayers") => {
                        let layers = message["layers"].as_object().into_iter().flatten();
                        let layers = layers.map(|(rid, wanted)| (rid.clone(), wanted.as_bool().unwrap_or(true)));
                        context.media.send_layers(me.index, layers.collect())?;
                    }
                    _ => {}
                }
            }
            Some(outcome) = connecting.next() => {
                let (up, is_pair) = outcome.map_err(|_| LoadError::ThreadEnded)?;
                up?;
                if is_pair {
                    context.pair_is_up();
                }
                if still_to_come > 0 {
                    still_to_come -= 1;
                    if still_to_come == 0 {
                        joined();
                    }
                }
            }
            () = stop.cancelled() => break,
        }
    }
    context.leave(me).await;
    socket.close().await;
    Ok(())
}

/// Enters the room, and says what is wanted of its videos. Returns who is there already.
async fn enter(context: &Context, me: &Participant, socket: &mut Socket) -> Result<Vec<Value>, LoadError> {
    let mut join = json!({"id": "joinRoom", "name": me.name, "room": me.room_name});
    if let Some(password) = &context.options.password {
        join["pw"] = json!(password);
    }
    if context.options.tile_height.is_some() {
        join["features"] = json!(["sendLayers"]);
    }
    socket.send(join.to_string()).await?;
    let others = loop {
        let message = message(socket.expect("joinRoom").await?);
        if message["id"] == "existingParticipants" {
            break message["data"].as_array().cloned().unwrap_or_default();
        }
    };
    if let Some(height) = context.options.tile_height {
        let wants = json!({"id": "videoWants", "heights": {"*": height}});
        socket.send(wants.to_string()).await?;
    }
    Ok(others)
}

/// Offers to publish, or to watch `name`.
async fn offer(
    context: &Context,
    me: &Participant,
    socket: &mut Socket,
    pending: &mut HashMap<String, Pending>,
    name: String,
) -> Result<(), LoadError> {
    let local = Credentials::random();
    let sections = match name == me.name {
        true => context.published(me),
        false => context.watched(),
    };
    let mut sdp = sdp::offer(&local, &context.identity.fingerprint, &sections, &me.name);
    // From large rooms the loudest alone are forwarded; without levels, all that was sent can be counted.
    if context.options.speakers.is_none() && context.plan.publishers(me.room).count() > FORWARD_ALL_UP_TO {
        sdp = sdp::without_levels(&sdp);
    }
    pending.insert(name.clone(), Pending { local, sections });
    let message = json!({"id": "receiveVideoFrom", "sender": name, "sdpOffer": sdp});
    socket.send(message.to_string()).await
}

fn answered(
    context: &Context,
    me: &Participant,
    name: &str,
    offered: Pending,
    answer: &Description,
) -> Result<tokio::sync::oneshot::Receiver<Result<(), LoadError>>, LoadError> {
    let remote = answer.remote(&context.target.hosts, true, &[])?;
    let (publishes, watches) = match context.plan.publisher(me.room, name) {
        Some(publisher) if name != me.name => (Vec::new(), vec![publisher]),
        _ => (context.encodings(me, &offered.sections, answer)?, Vec::new()),
    };
    let outcome = context.connect(me, offered.local, remote, publishes, watches)?;
    context.learn(me, answer)?;
    Ok(outcome)
}

fn message(frame: Frame) -> Value {
    match frame {
        Frame::Text(text) => serde_json::from_str(&text).unwrap_or_default(),
        Frame::Binary(_) => Value::Null,
    }
}
