//! The events of a conference, as server-sent events or in a WebSocket.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::response::sse::Event as Sent;
use futures_util::stream::{Stream, unfold};
use tokio::time::{Instant, interval_at, sleep_until, timeout};

use super::participants::Reader;
use crate::clock::MonotonicClock;
use crate::http::websocket::{GOODBYE_MAX, PING_INTERVAL, SILENCE_MAX, WRITE_MAX};
use crate::shares::TokenBucket;
use crate::signaling::conferences::meeting::{Notice, bye_frame, event_frame};

/// Bytes of a frame that a client sends. None is needed; apps say that they are there.
pub(super) const FRAME_BYTES_MAX: usize = 4 * 1024;

/// Frames of a client at first, and each second.
const FRAMES_AT_FIRST: u32 = 100;
const FRAMES_PER_S: f64 = 2.0;

/// All that the client is sent, until its session ends, or it begins another stream.
pub(super) fn server_sent(reader: Reader) -> impl Stream<Item = Result<Sent, Infallible>> {
    let waiting = VecDeque::<(u64, Notice)>::new();
    unfold((reader, waiting), |(mut reader, mut waiting)| async move {
        if waiting.is_empty() {
            waiting.extend(reader.next().await?);
        }
        let (number, notice) = waiting.pop_front()?;
        let sent = Sent::default().event(notice.kind()).id(number.to_string());
        let sent = sent.json_data(&notice).ok()?;
        Some((Ok(sent), (reader, waiting)))
    })
}

/// Sends the client its events until its session ends, it begins another stream, or it is gone.
pub(super) async fn converse(mut socket: WebSocket, mut reader: Reader, clock: MonotonicClock) {
    let is_over = serve(&mut socket, &mut reader, &clock).await && !reader.is_behind();
    drop(reader);
    if is_over {
        let goodbye = async {
            socket.send(Message::text(bye_frame())).await.ok();
            socket.send(Message::Close(None)).await.ok();
            while let Some(Ok(_)) = socket.recv().await {}
        };
        timeout(GOODBYE_MAX, goodbye).await.ok();
    }
}

/// Returns whether there is nothing more to send. Otherwise the client is gone.
async fn serve(socket: &mut WebSocket, reader: &mut Reader, clock: &MonotonicClock) -> bool {
    let mut last_heard = clock();
    let mut frames = TokenBucket::new(FRAMES_AT_FIRST, FRAMES_PER_S, last_heard);
    let mut pings = interval_at(last_heard + PING_INTERVAL, PING_INTERVAL);
    loop {
        let sent = tokio::select! {
            heard = socket.recv() => match heard {
                None | Some(Err(_) | Ok(Message::Close(_))) => return false,
                Some(Ok(_)) => {
                    last_heard = clock();
                    if !frames.take(1, last_heard) {
                        return false;
                    }
                    continue;
                }
            },
            notices = reader.next() => match notices {
                None => return true,
                Some(notices) => {
                    let frame = |(number, notice): (u64, Notice)| Message::text(event_frame(number, &notice));
                    let frames: Vec<Message> = notices.into_iter().map(frame).collect();
                    send(socket, frames, last_heard, clock).await
                }
            },
            _ = pings.tick() => send(socket, vec![Message::Ping(Default::default())], last_heard, clock).await,
            () = sleep_until(last_heard + SILENCE_MAX) => return false,
        };
        if sent.is_err() {
            return false;
        }
    }
}

/// Sends messages to a client that accepts them soon.
async fn send(
    socket: &mut WebSocket,
    messages: Vec<Message>,
    last_heard: Instant,
    clock: &MonotonicClock,
) -> Result<(), Gone> {
    let within: Duration = WRITE_MAX.min((last_heard + SILENCE_MAX).saturating_duration_since(clock()));
    let write = async {
        for message in messages {
            socket.send(message).await.map_err(|_| Gone)?;
        }
        Ok(())
    };
    timeout(within, write).await.unwrap_or(Err(Gone))
}

/// The client does not accept what it is sent.
struct Gone;
