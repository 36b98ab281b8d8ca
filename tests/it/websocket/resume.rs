//! Clients whose socket is cut, and that go on over another one. All time is virtual.

use axum::extract::ws::{CloseFrame, Message};
use patchbay::http::websocket::{Found, RESUMED_WITHIN, Resumptions};
use patchbay::hub::HubHandle;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep, timeout};

use super::pace::start;
use super::wire::{Wire, WireClient, come_again, connect, connect_resumable};

const ANNA: &str = r#"{"type":"join","userId":1}"#;
const BEN: &str = r#"{"type":"join","userId":2}"#;
const CARL: &str = r#"{"type":"join","userId":3}"#;

impl WireClient {
    /// Answers the pings that have come.
    async fn answers_pings(&mut self) {
        while let Ok(message) = self.outgoing.try_recv() {
            if let Message::Ping(data) = message {
                self.incoming.send(Message::Pong(data)).await.unwrap();
            }
        }
    }

    /// Answers a ping. Nothing else has come.
    async fn answers(&self, message: Option<Message>) {
        let Some(Message::Ping(data)) = message else {
            panic!("no ping, but {message:?}")
        };
        self.incoming.send(Message::Pong(data)).await.unwrap();
    }
}

/// A room in which Anna may resume, and Ben looks on.
struct Room {
    hub: HubHandle,
    resumptions: Resumptions<Wire>,
    token: String,
    anna: WireClient,
    ben: WireClient,
}

impl Room {
    async fn new() -> Room {
        let hub = start();
        let resumptions = Resumptions::default();
        let mut ben = connect(&hub).await;
        ben.sends(BEN).await;
        assert_eq!(ben.hears().await["type"], "existingParticipants");
        let mut anna = connect_resumable(&hub, &resumptions).await;
        let greeting = anna.hears().await;
        let token = greeting["resume"]["token"].as_str().expect("a token").to_owned();
        assert_eq!(greeting, json!({ "resume": { "token": token, "withinMs": 15_000 } }));
        anna.sends(ANNA).await;
        assert_eq!(anna.hears().await["type"], "existingParticipants");
        assert_eq!(ben.hears().await["type"], "newParticipantArrived");
        Room {
            hub,
            resumptions,
            token,
            anna,
            ben,
        }
    }

    /// Cuts Anna's socket, without a word.
    fn cut(&mut self) {
        let (_, gone) = super::wire::wire();
        self.anna = gone;
    }

    /// Anna comes with another socket, after so many messages.
    fn anna_comes_again(&mut self, received: u64) {
        self.anna = come_again(&self.resumptions, &self.token, received);
    }

    /// Anna's socket goes on, after the server has received so many messages of hers.
    async fn anna_goes_on(&mut self, received: u64) {
        let greeting = self.anna.hears().await;
        let token = greeting["resume"]["token"].as_str().expect("a token").to_owned();
        assert_ne!(token, self.token, "each socket has another token");
        self.token = token;
        let resume = json!({ "token": self.token, "withinMs": 15_000, "received": received });
        assert_eq!(greeting, json!({ "resume": resume }));
    }

    fn knows(&self, token: &str) -> bool {
        self.resumptions.find(token, "/groupcall").is_some()
    }

    async fn ben_says(&self, text: &str) {
        self.ben
            .sends(&json!({ "type": "sendMessage", "message": text }).to_string())
            .await;
    }

    /// Ben hears nothing but his own texts for some time.
    async fn ben_misses_nobody(&mut self, time: Duration) {
        let left = async {
            loop {
                let heard = self.ben.hears().await;
                if heard["type"] == "participantLeft" {
                    return heard;
                }
            }
        };
        assert_eq!(timeout(time, left).await.ok(), None);
    }

    /// The time until Ben hears that Anna has left.
    async fn anna_leaves_after(&mut self) -> Duration {
        let since = Instant::now();
        assert_eq!(
            self.ben.hears().await,
            json!({ "type": "participantLeft", "userId": 1 })
        );
        since.elapsed()
    }
}

fn with_code(code: u16) -> CloseFrame {
    let reason = "".into();
    CloseFrame { code, reason }
}

fn text(text: &str) -> Value {
    json!({ "type": "reciveTextMessage", "userId": 2, "message": text })
}

async fn hears_text(client: &mut WireClient, expected: &str) {
    let heard = client.hears().await;
    assert_eq!(heard["message"], text(expected)["message"], "{heard}");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_missed_is_sent_again_and_nobody_sees_it_leave() {
    let mut room = Room::new().await;
    room.ben_says("before").await;
    hears_text(&mut room.anna, "before").await;
    // On its way when the socket is cut.
    room.ben_says("lost").await;
    sleep(Duration::from_secs(1)).await;
    room.cut();
    sleep(Duration::from_secs(1)).await;
    room.ben_says("while it was cut").await;
    let carl = connect(&room.hub).await;
    carl.sends(CARL).await;
    room.ben_misses_nobody(Duration::from_secs(8)).await;

    // The roster, and the first text.
    room.anna_comes_again(2);

    room.anna_goes_on(1).await;
    hears_text(&mut room.anna, "lost").await;
    hears_text(&mut room.anna, "while it was cut").await;
    assert_eq!(room.anna.hears().await["type"], "newParticipantArrived");
    room.anna.sends(r#"{"type":"sendMessage","message":"I am back"}"#).await;
    assert_eq!(room.anna.hears().await["message"], "I am back");
    assert_eq!(room.ben.hears().await["message"], "I am back");
    // It may happen again, and is counted on.
    room.cut();
    sleep(Duration::from_secs(14)).await;
    room.anna_comes_again(6);
    room.anna_goes_on(2).await;
    room.ben_says("again").await;
    hears_text(&mut room.anna, "again").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_come_back_leaves_after_fifteen_seconds() {
    let mut room = Room::new().await;
    room.cut();
    let after = room.anna_leaves_after().await;
    assert!(
        after >= RESUMED_WITHIN && after < RESUMED_WITHIN + Duration::from_secs(1),
        "{after:?}"
    );
    assert!(!room.knows(&room.token));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_goodbye_leaves_at_once() {
    for close in [Some(with_code(1000)), None] {
        let mut room = Room::new().await;
        room.anna.incoming.send(Message::Close(close)).await.unwrap();
        assert_eq!(room.anna_leaves_after().await, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_socket_for_dead_and_one_whose_proxy_closes_it_may_come_again() {
    for code in [4008, 1001, 1012] {
        let mut room = Room::new().await;
        room.anna
            .incoming
            .send(Message::Close(Some(with_code(code))))
            .await
            .unwrap();
        room.ben_misses_nobody(Duration::from_secs(10)).await;
        room.anna_comes_again(1);
        room.anna_goes_on(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_asking_for_it_a_cut_socket_means_leaving() {
    let hub = start();
    let mut ben = connect(&hub).await;
    ben.sends(BEN).await;
    assert_eq!(ben.hears().await["type"], "existingParticipants");
    let mut anna = connect(&hub).await;
    anna.sends(ANNA).await;
    assert_eq!(anna.hears().await["type"], "existingParticipants");
    assert_eq!(ben.hears().await["type"], "newParticipantArrived");
    let since = Instant::now();
    drop(anna);
    assert_eq!(ben.hears().await["type"], "participantLeft");
    assert_eq!(since.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_new_socket_takes_the_place_of_one_that_looks_alive() {
    let mut room = Room::new().await;
    let new = come_again(&room.resumptions, &room.token, 1);
    let mut old = std::mem::replace(&mut room.anna, new);
    room.anna_goes_on(1).await;
    assert_eq!(old.next().await, None, "the old socket is dropped");
    room.ben_says("hello").await;
    hears_text(&mut room.anna, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_leaves_within_half_a_minute() {
    let mut room = Room::new().await;
    let after = room.anna_leaves_after().await;
    assert!(
        after > Duration::from_secs(25) && after <= Duration::from_secs(30),
        "{after:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_socket_has_swallowed_everything_comes_again() {
    let mut room = Room::new().await;
    // The socket stands; nothing passes. The server notices after 15 s.
    for _ in 0..12 {
        room.ben_says("swallowed").await;
        room.ben_misses_nobody(Duration::from_secs(2)).await;
    }
    room.anna_comes_again(1);
    room.anna_goes_on(1).await;
    for _ in 0..12 {
        hears_text(&mut room.anna, "swallowed").await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_socket_is_taken_while_the_server_writes_into_a_dead_one() {
    let mut room = Room::new().await;
    // More than fits on the way.
    for _ in 0..12 {
        room.ben_says("swallowed").await;
        room.ben.hears().await;
    }
    sleep(Duration::from_millis(10)).await;
    let since = Instant::now();
    let old = come_again(&room.resumptions, &room.token, 1);
    let mut dead = std::mem::replace(&mut room.anna, old);
    room.anna_goes_on(1).await;
    for _ in 0..12 {
        hears_text(&mut room.anna, "swallowed").await;
    }
    assert_eq!(since.elapsed(), Duration::ZERO);
    while dead.outgoing.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn the_newest_of_several_sockets_counts() {
    let mut room = Room::new().await;
    room.cut();
    // Both come before the server looks.
    let mut given_up = come_again(&room.resumptions, &room.token, 1);
    room.anna_comes_again(1);
    room.anna_goes_on(1).await;
    assert_eq!(given_up.next().await, None);
    room.ben_says("hello").await;
    hears_text(&mut room.anna, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_comes_late_does_not_end_the_one_that_works() {
    let mut room = Room::new().await;
    let first_token = room.token.clone();
    for text in ["one", "two"] {
        room.ben_says(text).await;
        hears_text(&mut room.anna, text).await;
    }
    room.cut();
    room.anna_comes_again(3);
    room.anna_goes_on(1).await;
    // The same client, but an earlier request.
    let mut late = come_again(&room.resumptions, &first_token, 1);
    assert_eq!(late.closed().await.0, Some(4412));
    room.ben_says("hello").await;
    hears_text(&mut room.anna, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn a_token_is_spent_once_its_follower_is_known() {
    let mut room = Room::new().await;
    let first_token = room.token.clone();
    room.cut();
    room.anna_comes_again(1);
    // Its client has not received this greeting.
    room.cut();
    assert!(room.knows(&first_token));
    room.anna_comes_again(1);
    room.anna_goes_on(1).await;
    room.anna.sends(r#"{"type":"sendMessage","message":"here"}"#).await;
    assert_eq!(room.anna.hears().await["message"], "here");
    assert!(!room.knows(&first_token));
    assert!(room.knows(&room.token));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_at_its_path_alone() {
    let room = Room::new().await;
    for path in ["/call", "/direct", "/ws", ""] {
        assert!(room.resumptions.find(&room.token, path).is_none(), "{path}");
    }
    assert!(room.knows(&room.token));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_said_nothing_has_nothing_to_go_on_with() {
    let hub = start();
    let resumptions = Resumptions::default();
    let mut anna = connect_resumable(&hub, &resumptions).await;
    let token = anna.hears().await["resume"]["token"].as_str().unwrap().to_owned();
    drop(anna);
    sleep(Duration::from_millis(1)).await;
    assert!(resumptions.find(&token, "/groupcall").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_is_not_taken_for_cut() {
    let mut room = Room::new().await;
    let until = Instant::now() + Duration::from_secs(120);
    while Instant::now() < until {
        tokio::select! {
            message = room.anna.next() => room.anna.answers(message).await,
            message = room.ben.next() => room.ben.answers(message).await,
        }
    }
    room.ben_says("hello").await;
    hears_text(&mut room.anna, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_counts_wrongly_joins_again() {
    for received in [2, u64::MAX] {
        let mut room = Room::new().await;
        room.cut();
        room.anna_comes_again(received);
        assert_eq!(room.anna.closed().await.0, Some(4412));
        assert!(room.anna_leaves_after().await < Duration::from_secs(3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_answer_before_the_last_one_has_confirmed_is_not_kept() {
    for answers in [1, 2] {
        let mut room = Room::new().await;
        for _ in 0..answers {
            let Message::Ping(data) = room.anna.next().await.unwrap() else {
                panic!("a ping comes")
            };
            assert_eq!(data.as_ref(), 1_u64.to_be_bytes());
            room.anna.incoming.send(Message::Pong(data)).await.unwrap();
        }
        sleep(Duration::from_millis(10)).await;
        room.anna_comes_again(0);
        if answers == 1 {
            // The page may not have seen it yet.
            room.anna_goes_on(1).await;
            assert_eq!(room.anna.hears().await["type"], "existingParticipants");
        } else {
            assert_eq!(room.anna.closed().await.0, Some(4412));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_misses_more_than_is_kept_joins_again() {
    let mut room = Room::new().await;
    room.cut();
    for number in 0..20 {
        room.ben_says(&format!("{number:016000}")).await;
        room.ben.hears().await;
        sleep(Duration::from_millis(500)).await;
    }
    room.anna_comes_again(1);
    assert_eq!(room.anna.closed().await.0, Some(4412));
}

#[tokio::test(start_paused = true)]
async fn coming_again_and_again_for_the_same_is_too_much() {
    let mut room = Room::new().await;
    for _ in 0..14 {
        room.ben_says(&"x".repeat(16_000)).await;
        room.ben.hears().await;
        room.anna.hears().await;
    }
    let mut times = 0;
    let code = loop {
        room.anna_comes_again(1);
        match room.anna.next().await.unwrap() {
            Message::Text(greeting) => {
                let greeting: Value = serde_json::from_str(greeting.as_str()).unwrap();
                room.token = greeting["resume"]["token"].as_str().unwrap().to_owned();
            }
            Message::Close(frame) => break frame.map(|frame| frame.code),
            other => panic!("{other:?}"),
        }
        for _ in 0..14 {
            room.anna.hears().await;
        }
        times += 1;
        assert!(times < 100, "nobody minds");
    };
    assert_eq!(code, Some(1008));
    assert!((20..60).contains(&times), "{times} times");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_token_is_nobodys() {
    let mut room = Room::new().await;
    for token in ["", "new", "0", "zz", &"f".repeat(32), &"f".repeat(33)] {
        assert!(!room.knows(token), "{token}");
    }
    room.ben_says("hello").await;
    hears_text(&mut room.anna, "hello").await;
}

#[tokio::test(start_paused = true)]
async fn whoever_was_closed_while_cut_off_is_sent_why() {
    let mut room = Room::new().await;
    room.cut();
    let mut again = connect(&room.hub).await;
    again.sends(ANNA).await;
    assert_eq!(again.hears().await["type"], "existingParticipants");
    sleep(Duration::from_millis(10)).await;
    let found = room.resumptions.find(&room.token, "/groupcall");
    let Some(Found::Ended(close)) = found else {
        panic!("not known to have ended")
    };
    assert_eq!(close.code, 4001);
    // It is forgotten after some time, when others end.
    sleep(Duration::from_secs(16)).await;
    let mut third = connect_resumable(&room.hub, &room.resumptions).await;
    third.hears().await;
    third.sends(ANNA).await;
    third.hears().await;
    room.ben.answers_pings().await;
    let fourth = connect(&room.hub).await;
    fourth.sends(ANNA).await;
    assert_eq!(third.closed().await.0, Some(4001));
    assert!(!room.knows(&room.token));
}
