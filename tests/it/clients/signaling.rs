//! A client's WebSocket to `/groupcall`, in either family: JSON lines out, JSON lines in.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use super::peer::PATIENCE;
use crate::support::server::Server;

/// The two families that share the path; the key that names a message tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Id,
    Type,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Signaling {
    family: Family,
    socket: Socket,
}

impl Signaling {
    /// Connects and enters a room. Returns also those who were there.
    pub async fn join(server: &Server, family: Family, room: u64, user: u64) -> (Signaling, Vec<Value>) {
        let (socket, _) = connect_async(server.plain("ws", "/groupcall")).await.unwrap();
        Signaling::enter(socket, family, room, user).await
    }

    /// Does the same from another address of this machine.
    pub async fn join_from(
        from: Ipv4Addr,
        server: &Server,
        family: Family,
        room: u64,
        user: u64,
    ) -> (Signaling, Vec<Value>) {
        let url = server.plain("ws", "/groupcall").into_client_request().unwrap();
        let tcp = TcpSocket::new_v4().unwrap();
        tcp.bind((from, 0).into()).unwrap();
        let address = url.uri().authority().unwrap().as_str().parse().unwrap();
        let stream = MaybeTlsStream::Plain(tcp.connect(address).await.unwrap());
        let (socket, _) = client_async(url, stream).await.unwrap();
        Signaling::enter(socket, family, room, user).await
    }

    /// Connects, and enters nothing yet.
    pub async fn connect(url: &str, family: Family) -> Signaling {
        let (socket, _) = connect_async(url).await.unwrap();
        Signaling { family, socket }
    }

    /// Does the same with a token in the request.
    pub async fn connect_as(url: &str, token: &str, family: Family) -> Signaling {
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = connect_async(request).await.unwrap();
        Signaling { family, socket }
    }

    async fn enter(socket: Socket, family: Family, room: u64, user: u64) -> (Signaling, Vec<Value>) {
        let mut signaling = Signaling { family, socket };
        signaling
            .send(match family {
                Family::Id => json!({ "id": "joinRoom", "name": user.to_string(), "room": room.to_string() }),
                Family::Type => json!({ "type": "join", "room": room, "userId": user }),
            })
            .await;
        let existing = signaling.receive("existingParticipants").await;
        let key = if family == Family::Id { "data" } else { "participants" };
        let participants = existing[key]
            .as_array()
            .cloned()
            .unwrap_or_else(|| panic!("no {key}: {existing}"));
        (signaling, participants)
    }

    pub async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Sends an offer for the media of `sender` (oneself: to publish), and returns the answer.
    pub async fn negotiate(&mut self, sender: u64, offer: &str) -> String {
        self.send(match self.family {
            Family::Id => json!({ "id": "receiveVideoFrom", "sender": sender.to_string(), "sdpOffer": offer }),
            Family::Type => json!({ "type": "receiveVideoFrom", "userId": sender, "sdpOffer": offer }),
        })
        .await;
        let answer = self.receive("receiveVideoAnswer").await;
        let whose = if self.family == Family::Id {
            json!(sender.to_string())
        } else {
            json!(sender)
        };
        let key = if self.family == Family::Id { "name" } else { "userId" };
        assert_eq!(answer[key], whose, "{answer}");
        answer["sdpAnswer"]
            .as_str()
            .unwrap_or_else(|| panic!("no sdpAnswer: {answer}"))
            .to_owned()
    }

    /// The code with which the server closes the socket. Messages before it are skipped.
    pub async fn closed_within(&mut self, within: Duration) -> u16 {
        self.farewell_within(within).await.0
    }

    /// The code and the sentence with which the server closes the socket. Messages before it are skipped.
    pub async fn farewell_within(&mut self, within: Duration) -> (u16, String) {
        let closed = tokio::time::timeout(within, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
                    Some(Ok(_)) => {}
                    other => panic!("no close frame, but {other:?}"),
                }
            }
        });
        closed
            .await
            .unwrap_or_else(|_| panic!("the socket is not closed within {within:?}"))
    }

    /// Whether nothing but candidates comes for so long.
    #[cfg(debug_assertions)]
    pub async fn is_silent(&mut self, time: Duration) -> bool {
        let heard = tokio::time::timeout(time, async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) if !text.contains("iceCandidate") => return,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
        });
        heard.await.is_err()
    }

    /// The next message of a name. Others before it are skipped.
    pub async fn receive(&mut self, name: &str) -> Value {
        self.receive_within(name, PATIENCE).await
    }

    pub async fn receive_within(&mut self, name: &str, within: Duration) -> Value {
        let key = if self.family == Family::Id { "id" } else { "type" };
        let mut others = Vec::new();
        let wanted = tokio::time::timeout(within, async {
            while let Some(Ok(message)) = self.socket.next().await {
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).expect("the server sends JSON");
                if message[key] == name {
                    return Some(message);
                }
                others.push(message[key].clone());
            }
            None
        });
        match wanted.await {
            Ok(Some(message)) => message,
            Ok(None) => panic!("the server closed the socket instead of {name}; before: {others:?}"),
            Err(_) => panic!("no {name} within {within:?}; came: {others:?}"),
        }
    }
}
