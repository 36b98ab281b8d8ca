//! Somebody on the message socket calls a registered account, whose app answers as apps do: over HTTP, with a one-time token.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::super::across::{ANNA, BEN, Line, Phone};
use super::super::pushed::{self, House};
use super::super::ringing::Stream;
use super::super::{ben, post};
use super::{Events, Participant, new_session, start};
use crate::clients::signaling::{Family, Signaling};
use crate::front::running::{PATIENCE, Running};
use crate::transcripts::Model;

/// Time in which a message of Anna reaches Ben; the ringing is over by itself later.
const AT_ONCE: std::time::Duration = std::time::Duration::from_secs(8);

/// Anna's client of `/ws`.
pub struct MessageSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl MessageSocket {
    pub async fn bind(running: &Running) -> MessageSocket {
        let (socket, _) = connect_async(format!("ws://{}/ws", running.address())).await.unwrap();
        let mut anna = MessageSocket(socket);
        anna.sends(json!({ "cmd": 1, "msgtype": 1, "sender": "anna@example.org" }))
            .await;
        anna
    }

    async fn sends(&mut self, message: Value) {
        let bytes = Model::read(&message.to_string()).bytes();
        self.0.send(Message::Binary(bytes)).await.unwrap();
    }

    /// Invites Ben. Without a room, to a call of two.
    pub async fn invites(&mut self, room: &str) {
        let way = if room.is_empty() { "ptop" } else { "group" };
        let invitation = json!({ "cmd": 5, "msgtype": 4, "receiver": "ben", "groupId": "video", "reqType": way,
            "vagroupId": room });
        self.sends(invitation).await;
    }

    pub async fn takes_back(&mut self) {
        self.sends(json!({ "cmd": 5, "msgtype": 4, "receiver": "ben", "resSign": "cancel" }))
            .await;
    }

    /// The next answer: whose it is, and what it says.
    async fn hears(&mut self) -> (String, String) {
        let next = async {
            loop {
                let message = self.0.next().await.expect("the socket is open").unwrap();
                let Message::Binary(bytes) = message else { continue };
                let message = Model::of(&bytes).written();
                if message["cmd"] == 5 {
                    let text = |field: &str| message[field].as_str().unwrap_or_default().to_owned();
                    return (text("sender"), text("resSign"));
                }
            }
        };
        timeout(PATIENCE, next).await.expect("an answer")
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Ben's app answers the call that rings.
async fn answer<'a>(running: &'a Running, incoming: &Value) -> Participant<'a> {
    assert_eq!(incoming["remote_alias"], "anna@example.org");
    let alias = text(&incoming["conference_alias"]);
    let body = json!({ "token": incoming["token"], "display_name": "Ben" });
    let (status, answer) = new_session(running, &alias, None, body).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["result"]["current_service_type"], "gateway");
    Participant {
        running,
        alias,
        token: text(&answer["result"]["token"]),
        uuid: text(&answer["result"]["participant_uuid"]),
    }
}

/// The app's connection, which publishes and receives.
async fn connect(app: &Participant<'_>, line: &mut Line) {
    let calls = app.about(app, "calls");
    let called = app
        .ask(&calls, json!({ "call_type": "WEBRTC", "sdp": line.offer }))
        .await;
    line.begin(called["sdp"].as_str().unwrap()).await;
}

const AGREES: (&str, &str) = ("ben", "agree");
const REFUSES: (&str, &str) = ("ben", "refuse");

fn is(heard: &(String, String), expected: (&str, &str)) {
    assert_eq!((heard.0.as_str(), heard.1.as_str()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_answers_a_call_of_two_and_both_hear_and_see_one_another() {
    let running = start().await;
    let mut stream = Stream::of(&running, "ben", &ben(&running).await).await;
    let mut anna = MessageSocket::bind(&running).await;
    anna.invites("").await;
    let (kind, incoming) = stream.event().await;
    assert_eq!(
        (kind.as_str(), &incoming["service_type"]),
        ("incoming", &json!("gateway"))
    );
    let app = answer(&running, &incoming).await;
    is(&anna.hears().await, AGREES);
    let mut his = Line::of(BEN).await;
    connect(&app, &mut his).await;
    // As a page does that was sent `agree`.
    let mut page = Phone::register(&running, "anna@example.org").await;
    let mut hers = Line::of(ANNA).await;
    let call = json!({ "id": "call", "from": "anna@example.org", "to": "ben", "sdpOffer": hers.offer });
    page.sends(call).await;
    let accepted = page.hears("callResponse").await;
    hers.begin(accepted["sdpAnswer"].as_str().expect("an answer")).await;
    his.hears_and_sees(ANNA).await;
    hers.hears_and_sees(BEN).await;
    let mut events = Events::of(&running, &app.alias, &app.token).await;
    page.sends(json!({ "id": "stop" })).await;
    events.until("disconnect").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_comes_into_the_room_of_a_group_and_is_seen_there() {
    let running = start().await;
    let mut stream = Stream::of(&running, "ben", &ben(&running).await).await;
    let mut anna = MessageSocket::bind(&running).await;
    anna.invites("our-room").await;
    let (_, incoming) = stream.event().await;
    assert_eq!(incoming["conference_alias"], "our-room");
    let app = answer(&running, &incoming).await;
    is(&anna.hears().await, AGREES);
    let url = format!("ws://{}/groupcall", running.address());
    let mut page = Signaling::connect(&url, Family::Type).await;
    page.send(json!({ "type": "join", "room": "our-room", "userId": "anna@example.org" }))
        .await;
    let there = page.receive("existingParticipants").await;
    assert_eq!(there["participants"][0]["userId"], "ben", "{there}");
    let mut events = Events::of(&running, &app.alias, &app.token).await;
    anna.takes_back().await;
    timeout(AT_ONCE, events.until("disconnect")).await.expect("the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_the_caller_and_an_invitation_that_is_taken_back_stops_ringing() {
    let running = start().await;
    let mut stream = Stream::of(&running, "ben", &ben(&running).await).await;
    let mut anna = MessageSocket::bind(&running).await;
    anna.invites("").await;
    let (_, incoming) = stream.event().await;
    let place = text(&incoming["conference_alias"]);
    let refuse = format!("/api/services/{place}/end_session?token={}", text(&incoming["token"]));
    assert_eq!(post(&running, &refuse).await.0, 200);
    is(&anna.hears().await, REFUSES);
    assert_eq!(stream.event().await.0, "incoming_cancelled");
    anna.invites("").await;
    let (_, incoming) = stream.event().await;
    anna.takes_back().await;
    let cancelled = ("incoming_cancelled".to_owned(), json!({ "token": incoming["token"] }));
    let event = timeout(AT_ONCE, stream.event()).await;
    assert_eq!(event.expect("before the ringing is over by itself"), cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_invited_past_a_pin() {
    let running = start().await;
    let mut stream = Stream::of(&running, "ben", &ben(&running).await).await;
    let mut anna = MessageSocket::bind(&running).await;
    anna.invites("closed").await;
    anna.invites("").await;
    let (_, incoming) = stream.event().await;
    assert_ne!(incoming["conference_alias"], "closed", "it rings only as a message");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_whose_app_is_closed_is_woken_and_sent_that_it_is_over() {
    let house = House::open().await;
    house.ben(pushed::IPHONE, "ios").await;
    let mut anna = MessageSocket::bind(&house.running).await;
    anna.invites("our-room").await;
    let notice: Value = serde_json::from_str(&house.to_iphone(1).await).unwrap();
    assert_eq!(
        (&notice["conference_alias"], &notice["remote_alias"]),
        (&json!("our-room"), &json!("anna@example.org"))
    );
    anna.takes_back().await;
    let notice = timeout(AT_ONCE, house.to_iphone(2)).await;
    assert_eq!(
        notice.expect("before the ringing is over by itself"),
        pushed::CANCELLED_BY_APPLE
    );
}
