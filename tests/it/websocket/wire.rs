//! A WebSocket made of two bounded queues, for the loop to serve.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::ws::Message;
use futures_util::{Sink, SinkExt, Stream};
use patchbay::config::Config;
use patchbay::http::websocket::{Found, Line, Resumptions, converse};
use patchbay::hub::HubHandle;
use patchbay::shares::ClientAddress;
use patchbay::signaling::{Conversation, Entrance};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, timeout};
use tokio_util::sync::{PollSendError, PollSender};

use crate::transcripts::{House, clock};

/// The number of frames that fit into the connection to a client that does not read, as into a real
/// one's buffers.
const FRAMES_ON_THE_WAY: usize = 8;

/// The server's end.
pub struct Wire {
    incoming: mpsc::Receiver<Message>,
    outgoing: PollSender<Message>,
}

/// The client's end.
pub struct WireClient {
    pub incoming: mpsc::Sender<Message>,
    pub outgoing: mpsc::Receiver<Message>,
}

/// Both ends of one.
pub fn wire() -> (Wire, WireClient) {
    let (incoming, server_incoming) = mpsc::channel(FRAMES_ON_THE_WAY);
    let (server_outgoing, outgoing) = mpsc::channel(FRAMES_ON_THE_WAY);
    let wire = Wire {
        incoming: server_incoming,
        outgoing: PollSender::new(server_outgoing),
    };
    (wire, WireClient { incoming, outgoing })
}

/// A client of `hub`, served like any other.
pub async fn connect(hub: &HubHandle) -> WireClient {
    connect_at(Entrance::Groupcall, hub).await
}

pub async fn connect_at(entrance: Entrance, hub: &HubHandle) -> WireClient {
    let (wire, client) = wire();
    serve(Line::new(wire), entrance, hub).await;
    client
}

/// A client of `hub` that may come with another socket.
pub async fn connect_resumable(hub: &HubHandle, resumptions: &Resumptions<Wire>) -> WireClient {
    let (wire, client) = wire();
    serve(
        Line::resumable(wire, resumptions, "/groupcall"),
        Entrance::Groupcall,
        hub,
    )
    .await;
    client
}

/// Another socket of a client that says that it has received so many messages.
pub fn come_again(resumptions: &Resumptions<Wire>, token: &str, received: u64) -> WireClient {
    let (wire, client) = wire();
    if let Some(Found::Conversation(waiting)) = resumptions.find(token, "/groupcall") {
        tokio::spawn(waiting.hand_over(wire, received));
    }
    client
}

async fn serve(line: Line<Wire>, entrance: Entrance, hub: &HubHandle) {
    let (session, events) = hub.connect(ClientAddress::THIS_MACHINE).await.expect("a place");
    let conversation = Conversation::new(entrance, session, House::default(), Config::default().into(), clock());
    tokio::spawn(converse(line, events, conversation));
}

impl WireClient {
    pub async fn sends(&self, text: &str) {
        self.incoming.send(Message::text(text)).await.expect("the server reads");
    }

    /// The next text; pings before it are answered.
    pub async fn hears(&mut self) -> Value {
        loop {
            match self.next().await.expect("the socket is open") {
                Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
                Message::Ping(data) => self.incoming.send(Message::Pong(data)).await.unwrap(),
                other => panic!("not a text: {other:?}"),
            }
        }
    }

    pub async fn next(&mut self) -> Option<Message> {
        timeout(Duration::from_secs(600), self.outgoing.recv())
            .await
            .expect("something comes")
    }

    /// Reads, without answering, until the server closes. Returns the code, and how long it took.
    pub async fn closed(&mut self) -> (Option<u16>, Duration) {
        let since = Instant::now();
        loop {
            match self.next().await {
                Some(Message::Close(frame)) => return (frame.map(|frame| frame.code), since.elapsed()),
                Some(_) => {}
                None => return (None, since.elapsed()),
            }
        }
    }
}

impl Stream for Wire {
    type Item = Result<Message, PollSendError<Message>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.poll_recv(context).map(|message| message.map(Ok))
    }
}

impl Sink<Message> for Wire {
    type Error = PollSendError<Message>;

    fn poll_ready(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_ready_unpin(context)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        self.outgoing.start_send_unpin(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_flush_unpin(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.outgoing.poll_close_unpin(context)
    }
}
