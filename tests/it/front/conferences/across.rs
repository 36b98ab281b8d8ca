//! A user of `/call` and a registered account call one another, over real sockets, with media on both sides.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use futures_util::{SinkExt, StreamExt};
use patchbay::conferences::{Caller, Calling, Destination, Details};
use patchbay::domain::{CallEvent, Claim, Command, Conference, Event, MediaKind, Offer, Person, RoomKind, Stay};
use patchbay::hub::{Events, Session};
use patchbay::ids::Feed;
use patchbay::media::description::Description;
use patchbay::shares::ClientAddress;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::ringing::Stream;
use super::{ben, start};
use crate::clients::peer::{OPUS_PAYLOAD_TYPE, Peer, VP8_PAYLOAD_TYPE};
use crate::conference::{SPEECH, level_extension, send};
use crate::front::running::{PATIENCE, Running};

pub const ANNA: u8 = 1;
pub const BEN: u8 = 2;

/// A client of `/call`.
pub struct Phone(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Phone {
    pub async fn register(running: &Running, name: &str) -> Phone {
        let (socket, _) = connect_async(format!("ws://{}/call", running.address())).await.unwrap();
        let mut phone = Phone(socket);
        phone.sends(json!({ "id": "register", "name": name })).await;
        assert_eq!(phone.hears("registerResponse").await["response"], "accepted");
        phone
    }

    pub async fn sends(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Receives the next message that is not a candidate; it has to be of this kind.
    pub async fn hears(&mut self, id: &str) -> Value {
        let next = async {
            loop {
                let message = self.0.next().await.expect("the socket is open").unwrap();
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                if message["id"] != "iceCandidate" {
                    return message;
                }
            }
        };
        let message = timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("no {id}"));
        assert_eq!(message["id"], id, "{message}");
        message
    }
}

/// A connection that publishes sound and pictures which say whose they are.
pub struct Line {
    peer: Peer,
    pub offer: String,
    tracks: Option<(crate::clients::peer::Track, crate::clients::peer::Track)>,
    number: u8,
    sending: Option<JoinHandle<()>>,
}

impl Line {
    pub async fn of(number: u8) -> Line {
        let mut peer = Peer::new().await;
        let ssrc = u32::from(number) << 16;
        let tracks = Some((peer.add_audio(ssrc).await, peer.add_video(ssrc + 1).await));
        let offer = peer.offer().await;
        Line {
            peer,
            offer,
            tracks,
            number,
            sending: None,
        }
    }

    pub async fn begin(&mut self, answer: &str) {
        self.peer.accept(answer).await;
        self.peer.connected().await;
        let (audio, video) = self.tracks.take().expect("it begins once");
        let (extension, level) = (level_extension(&self.offer), Arc::new(AtomicU8::new(SPEECH)));
        self.sending = Some(tokio::spawn(send(audio, video, extension, self.number, level)));
    }

    pub async fn hears_and_sees(&mut self, other: u8) {
        let sees = async { while self.peer.packet(VP8_PAYLOAD_TYPE).await.payload.last() != Some(&other) {} };
        assert!(
            timeout(PATIENCE, sees).await.is_ok(),
            "{} does not see {other}",
            self.number
        );
        let hears = timeout(PATIENCE, self.peer.packet(OPUS_PAYLOAD_TYPE));
        assert!(hears.await.is_ok(), "{} does not hear {other}", self.number);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(sending) = &self.sending {
            sending.abort();
        }
    }
}

/// Ben's session, as of somebody who enters a conference.
struct Entered {
    session: Session,
    events: Events,
}

impl Entered {
    async fn by(running: &Running, calling: Calling) -> Entered {
        let hub = running.server.hub();
        let (session, events) = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        for command in calling.commands {
            session.request(command).await.unwrap();
        }
        let join = Command::Join {
            turn: session.take_turn(),
            kind: RoomKind::Group,
            room: calling.room,
            person: Person::unnamed("ben".into()),
            claim: Claim::Proven,
            stay: Stay::default(),
            connects: false,
        };
        session.request(join).await.unwrap();
        Entered { session, events }
    }

    async fn connect(&mut self, line: &mut Line) {
        let conference = Conference {
            publish: Some(Feed::Camera),
            speaker_slots: vec![MediaKind::Audio, MediaKind::Video],
            ..Conference::default()
        };
        let offer = Offer {
            description: Description::read(&line.offer),
            ..Offer::default()
        };
        let offered = Command::OfferConference { conference, offer };
        self.session.request(offered).await.unwrap();
        let answer = self
            .hears(|event| match event {
                Event::Answered { sdp, .. } => Some(sdp),
                _ => None,
            })
            .await;
        line.begin(&answer).await;
    }

    async fn hears<T>(&mut self, what: impl Fn(Event) -> Option<T>) -> T {
        let heard = async {
            loop {
                let event = self.events.next().await.expect("the session is there");
                if let Some(found) = what(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, heard).await.expect("an event")
    }

    async fn is_over(&mut self) {
        self.hears(|event| matches!(event, Event::Call(CallEvent::Over(_))).then_some(()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_on_the_call_page_calls_an_account_and_both_hear_and_see_one_another() {
    let running = start().await;
    let mut stream = Stream::of(&running, "ben", &ben(&running).await).await;
    let mut anna = Phone::register(&running, "anna@example.org").await;
    let mut hers = Line::of(ANNA).await;
    let call = json!({ "id": "call", "from": "anna@example.org", "to": "ben", "sdpOffer": hers.offer });
    anna.sends(call).await;
    let (_, incoming) = stream.event().await;
    assert_eq!(
        (&incoming["remote_alias"], &incoming["service_type"]),
        (&json!("anna@example.org"), &json!("gateway"))
    );
    let (place, token) = (incoming["conference_alias"].as_str(), incoming["token"].as_str());
    let conferences = running.server.conferences();
    let entered = conferences.destination(place.unwrap(), token, None).await.unwrap();
    let Destination::Call(invitation) = entered else {
        panic!("no call: {entered:?}");
    };
    let mut ben = Entered::by(&running, invitation.answer()).await;
    let accepted = anna.hears("callResponse").await;
    assert_eq!(accepted["response"], "accepted");
    hers.begin(accepted["sdpAnswer"].as_str().unwrap()).await;
    let mut his = Line::of(BEN).await;
    ben.connect(&mut his).await;
    his.hears_and_sees(ANNA).await;
    hers.hears_and_sees(BEN).await;
    anna.sends(json!({ "id": "stop" })).await;
    ben.is_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_calls_somebody_on_the_call_page_and_both_hear_and_see_one_another() {
    let running = start().await;
    let mut anna = Phone::register(&running, "anna@example.org").await;
    let conferences = running.server.conferences();
    let caller = Caller {
        user: "ben".into(),
        claim: Claim::Proven,
    };
    let entered = conferences
        .destination("anna@example.org", None, Some(&caller.user))
        .await
        .unwrap();
    let Destination::People(to) = entered else {
        panic!("no people: {entered:?}");
    };
    let mut ben = Entered::by(&running, conferences.ring(caller, to, Details::default())).await;
    let mut his = Line::of(BEN).await;
    ben.connect(&mut his).await;
    assert_eq!(anna.hears("incomingCall").await["from"], "ben");
    let mut hers = Line::of(ANNA).await;
    let accept = json!({
        "id": "incomingCallResponse", "from": "ben", "callResponse": "accept", "sdpOffer": hers.offer,
    });
    anna.sends(accept).await;
    let begins = anna.hears("startCommunication").await;
    hers.begin(begins["sdpAnswer"].as_str().unwrap()).await;
    his.hears_and_sees(ANNA).await;
    hers.hears_and_sees(BEN).await;
    drop(ben);
    anna.hears("stopCommunication").await;
}
