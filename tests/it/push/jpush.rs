//! JPush: requests byte for byte, and what becomes of its answers.

use std::time::Duration;

use axum::http::Version;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchbay::ids::PushService::JPush;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::provider::{Play, Received};
use super::{APP_KEY, CALLER, House, REGISTRATION, ROOM, SECRET};

const A_MINUTE: Duration = Duration::from_secs(60);

/// Checks everything of a request, and returns what the app gets, with the seconds for which it is kept and the number.
fn read(request: &Received) -> (String, u64, u64) {
    assert_eq!(request.version, Version::HTTP_11);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v3/push"));
    let basic = format!("Basic {}", STANDARD.encode(format!("{APP_KEY}:{SECRET}")));
    let length = request.body.len().to_string();
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "host")
        .collect();
    let expected = [
        ("accept", "*/*"),
        ("authorization", &*basic),
        ("content-length", &*length),
        ("content-type", "application/json"),
        ("user-agent", concat!("patchbay/", env!("CARGO_PKG_VERSION"))),
    ];
    assert_eq!(headers, expected);
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let content = body["message"]["msg_content"].as_str().unwrap();
    let (number, kept_s) = (&body["options"]["sendno"], &body["options"]["time_to_live"]);
    let whole = json!({
        "platform": ["android"],
        "audience": { "registration_id": [REGISTRATION] },
        "message": { "msg_content": content },
        "options": { "sendno": number, "time_to_live": kept_s },
    });
    assert_eq!(request.body, whole.to_string(), "nothing else is in it");
    let text = String::from_utf8(STANDARD.decode(content).unwrap()).unwrap();
    let number = number.as_u64().unwrap();
    assert!((1..=i32::MAX as u64).contains(&number), "{number}");
    (text, kept_s.as_u64().unwrap(), number)
}

#[tokio::test]
async fn a_call_and_its_end_are_messages_to_the_app_byte_for_byte() {
    let house = House::open().await;
    house.ring(1, JPush, A_MINUTE).await;
    let (text, kept_s, _) = read(&house.jpush.received(1).await[0]);
    let time = serde_json::from_str::<Value>(&text).unwrap()["time"]
        .as_str()
        .unwrap()
        .to_owned();
    let expected = format!(
        concat!(
            r#"{{"remote_alias":"{caller}","remote_display_name":"{caller}","conference_alias":"{room}","token":"","#,
            r#""time":"{time}","service_type":"gateway","bsskey":""}}"#
        ),
        caller = CALLER,
        room = ROOM,
        time = time
    );
    assert_eq!(text, expected);
    assert!(
        (28..=30).contains(&kept_s),
        "the app takes it for half a minute: {kept_s}"
    );
    house.stop_ringing(1, JPush).await;
    let (text, kept_s, _) = read(&house.jpush.received(2).await[1]);
    assert_eq!(text, r#"{"command":"call_cancelled"}"#);
    assert!((28..=30).contains(&kept_s), "{kept_s}");
    assert_eq!(house.jpush.connections(), 1, "the connection is kept");
}

#[tokio::test]
async fn a_call_that_rings_for_less_time_is_kept_for_less() {
    let house = House::open().await;
    house.ring(1, JPush, Duration::from_secs(9)).await;
    let (_, kept_s, _) = read(&house.jpush.received(1).await[0]);
    assert!((7..=9).contains(&kept_s), "{kept_s}");
}

#[tokio::test]
async fn a_device_that_the_service_does_not_know_is_forgotten() {
    let house = House::open().await;
    house.record_device(JPush, 1).await;
    let unknown = r#"{"error":{"code":1011,"message":"cannot find user by this audience"}}"#;
    house.jpush.plays([Play::Answer(400, unknown)]);
    let call = house.call().await;
    house.jpush.received(1).await;
    house.until_forgotten().await;
    drop(call);
    sleep(Duration::from_millis(200)).await;
    let _call = house.call().await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(house.jpush.all().len(), 1, "the next call does not ring there");
}

#[tokio::test]
async fn the_service_is_left_alone_until_its_next_minute_begins() {
    let house = House::open().await;
    let limit = r#"{"error":{"code":2002,"message":"Rate limit exceeded"}}"#;
    house.jpush.plays([Play::Asks(429, limit, ("X-Rate-Limit-Reset", "2"))]);
    house.ring(1, JPush, A_MINUTE).await;
    let received = house.jpush.received(2).await;
    let pause = received[1].at - received[0].at;
    assert!(pause >= Duration::from_secs(2), "{pause:?}");
    assert_eq!(read(&received[0]).2, read(&received[1]).2, "the number is the same");
}

#[tokio::test]
async fn what_the_service_will_never_take_is_not_sent_again() {
    for (status, body) in [
        (
            400,
            r#"{"error":{"code":1003,"message":"Audience value must be JSON Array format!"}}"#,
        ),
        (401, r#"{"error":{"code":1004,"message":"Authen failed"}}"#),
        (
            403,
            r#"{"error":{"code":2003,"message":"The appKey is in black list."}}"#,
        ),
    ] {
        let house = House::open().await;
        house.record_device(JPush, 1).await;
        house.jpush.always_plays(Play::Answer(status, body));
        let _call = house.call().await;
        house.jpush.received(1).await;
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(house.jpush.all().len(), 1, "{body}");
        assert_eq!(house.devices().await.len(), 1, "{body}: the device is not at fault");
    }
}
