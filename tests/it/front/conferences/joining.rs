//! What apps ask before they join, and the same conferences entered by a socket.

use futures_util::{SinkExt, StreamExt};
use patchbay::storage::{NewConference, NewGuests};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{json_of, records, start};
use crate::front::running::Running;

const CHECK: &str = "/api/v3/meet/checkJoin.shtml";
const HOST: &str = "4711";
const GUEST: &str = "0815";

/// A server with a conference of each kind.
async fn with_conferences() -> Running {
    let running = start().await;
    let records = records(&running).await;
    for (alias, guests) in [
        ("board", NewGuests::WithPin(GUEST.to_owned())),
        ("hosts", NewGuests::Nobody),
        ("open", NewGuests::Anybody),
    ] {
        let new = NewConference {
            alias: alias.into(),
            name: format!("The {alias} 会议"),
            host_pin: Some(HOST.to_owned()),
            guests,
            waits_for_host: false,
        };
        records.add_conference(new).await.unwrap();
    }
    records.close().await;
    running
}

async fn check(running: &Running, body: String) -> Value {
    let response = running.http.post(running.url(CHECK)).body(body).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let mut answer = json_of(response).await;
    let time = answer["timeStamp"].take();
    assert_eq!(time.as_str().map(str::len), Some("2018-02-09 15:25:17".len()));
    answer
}

async fn ask(running: &Running, alias: &str, pin: &str) -> Value {
    check(
        running,
        json!({ "joinAccount": alias, "joinPwd": pin, "participantName": "Zoë", "hideme": "" }).to_string(),
    )
    .await
}

#[tokio::test]
async fn a_conference_is_joined_as_host_or_guest_and_the_answer_has_every_key() {
    let running = with_conferences().await;
    let server = running.address().to_string();
    let expected = |alias: &str, pin: &str, role: &str, allows: &str| {
        json!({ "code": "200", "timeStamp": null, "results": {
            "isDot": false, "sipkey": alias, "alias": alias, "password": pin, "participantName": "Zoë",
            "roleType": role, "mcuHost": server, "companyId": 1, "isRecord": false, "isLive": false,
            "conferenceName": format!("The {alias} 会议"), "allowGuest": allows,
        } })
    };
    assert_eq!(
        ask(&running, "board", HOST).await,
        expected("board", HOST, "host", "yes")
    );
    assert_eq!(
        ask(&running, "board", GUEST).await,
        expected("board", GUEST, "guest", "yes")
    );
    assert_eq!(
        ask(&running, "hosts", HOST).await,
        expected("hosts", HOST, "host", "no")
    );
    for pin in ["", "none"] {
        assert_eq!(ask(&running, "open", pin).await, expected("open", "", "guest", "yes"));
    }
    assert_eq!(ask(&running, "open", HOST).await, expected("open", HOST, "host", "yes"));
    for body in [
        format!("joinAccount=board%40127.0.0.1&joinPwd={HOST}&participantName=Zo%C3%AB"),
        json!({ "joinAccount": "board%%40127.0.0.1", "joinPwd": 4711, "participantName": "Zoë" }).to_string(),
    ] {
        assert_eq!(check(&running, body).await, expected("board", HOST, "host", "yes"));
    }
}

#[tokio::test]
async fn who_may_not_join_is_told_why() {
    let running = with_conferences().await;
    for (alias, pin, code, sentence) in [
        ("board", "", "403", "the conference asks for a PIN"),
        ("hosts", "none", "403", "the conference asks for a PIN"),
        ("board", "0816", "403", "the PIN is wrong"),
        ("hosts", GUEST, "403", "the PIN is wrong"),
        ("open", "x", "403", "the PIN is wrong"),
        ("nowhere", HOST, "404", "there is no such conference"),
        ("", HOST, "404", "there is no such conference"),
    ] {
        let expected = json!({ "code": code, "timeStamp": null, "results": sentence });
        assert_eq!(ask(&running, alias, pin).await, expected, "{alias} {pin}");
    }
    assert_eq!(check(&running, "hello".to_owned()).await["code"], "400");
}

#[tokio::test]
async fn a_user_can_be_called() {
    let running = with_conferences().await;
    let answer = ask(&running, "anna@example.org", "ignored").await;
    let expected = json!({ "code": "200", "timeStamp": null, "results": {
        "isDot": true, "sipkey": "1", "alias": "anna@example.org", "password": "", "participantName": "Zoë",
        "roleType": "", "mcuHost": running.address().to_string(), "companyId": 1, "isRecord": false, "isLive": false,
        "conferenceName": "安娜", "allowGuest": "yes",
    } });
    assert_eq!(answer, expected);
}

/// What Ben is sent who joins with a password from this address: the kind of a message, or why the socket is closed.
async fn join(running: &Running, client: &str, password: &str) -> String {
    let url = running.url("/groupcall").replacen("http", "ws", 1);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("X-Forwarded-For", client.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let join = json!({ "id": "joinRoom", "room": "board", "name": "ben", "pw": password });
    socket.send(Message::text(join.to_string())).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                return message["id"].as_str().unwrap().to_owned();
            }
            Message::Close(frame) => return frame.unwrap().reason.to_string(),
            _ => {}
        }
    }
}

/// Whichever way they are tried: a PIN is as safe as the weakest of them.
#[tokio::test]
async fn ten_wrong_pins_a_minute_are_answered_over_all_families_together() {
    let running = with_conferences().await;
    for guess in 0..5 {
        let refused = join(&running, "192.0.2.1", &(1_000 + guess).to_string()).await;
        assert_eq!(refused, "the room's password is missing or wrong");
        let body = json!({ "joinAccount": "board", "joinPwd": (2_000 + guess).to_string() }).to_string();
        let request = running.http.post(running.url(CHECK)).body(body);
        let request = request.header("X-Forwarded-For", "192.0.2.1");
        assert_eq!(json_of(request.send().await.unwrap()).await["code"], "403");
    }
    let refused = join(&running, "192.0.2.1", HOST).await;
    assert!(refused.starts_with("too many wrong passwords"), "{refused}");
    let body = json!({ "joinAccount": "board", "joinPwd": HOST }).to_string();
    let request = running.http.post(running.url(CHECK)).body(body);
    let answer = request.header("X-Forwarded-For", "192.0.2.1").send().await.unwrap();
    let answer = json_of(answer).await;
    assert_eq!(answer["code"], "429");
    let sentence = answer["results"].as_str().unwrap();
    assert!(sentence.starts_with("there were too many wrong PINs"), "{sentence}");
    assert_eq!(join(&running, "192.0.2.2", GUEST).await, "existingParticipants");
    assert_eq!(join(&running, "192.0.2.2", HOST).await, "existingParticipants");
}
