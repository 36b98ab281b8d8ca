//! Apple's push service: requests byte for byte, provider tokens, and what becomes of its answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use axum::http::Version;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use patchbay::ids::PushService::{ApnsAlert, ApnsVoip};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::provider::{Play, Received};
use super::{CALLER, DEVICE, House, ROOM};

const A_MINUTE: Duration = Duration::from_secs(60);

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Checks the token of a request as Apple does, and returns it.
fn provider_token(house: &House, request: &Received) -> String {
    let token = request.header("authorization").strip_prefix("bearer ").unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("{token}")
    };
    let signed = &token[..header.len() + 1 + claims.len()];
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, house.key.public_key_raw())
        .verify(signed.as_bytes(), &bytes(signature))
        .expect("the signature is one of the key");
    let json = |part: &str| serde_json::from_slice::<Value>(&bytes(part)).unwrap();
    assert_eq!(json(header), json!({ "alg": "ES256", "kid": "ABC1234567" }));
    let claims = json(claims);
    let made_s = claims["iat"].as_i64().unwrap();
    assert_eq!(claims, json!({ "iss": "DEF1234567", "iat": made_s }));
    let ahead_s = house.ahead_s.load(std::sync::atomic::Ordering::Relaxed) as i64;
    assert!((0..3_600).contains(&(now_s() + ahead_s - made_s)), "{made_s}");
    token.to_owned()
}

/// Checks everything of a request but its body.
fn check_head(house: &House, request: &Received, (kind, topic): (&str, &str)) {
    provider_token(house, request);
    assert_eq!(request.version, Version::HTTP_2);
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", &*format!("/3/device/{DEVICE}"))
    );
    let length = request.body.len().to_string();
    let others: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !matches!(*name, "apns-id" | "authorization"))
        .collect();
    let expected = [
        ("accept", "*/*"),
        ("apns-expiration", "0"),
        ("apns-priority", "10"),
        ("apns-push-type", kind),
        ("apns-topic", topic),
        ("content-length", &length),
        ("content-type", "application/json"),
        ("user-agent", concat!("patchbay/", env!("CARGO_PKG_VERSION"))),
    ];
    assert_eq!(others, expected);
    let id = request.header("apns-id");
    let shape: String = id
        .chars()
        .map(|c| {
            if c.is_ascii_digit() || ('a'..='f').contains(&c) {
                'x'
            } else {
                c
            }
        })
        .collect();
    assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "{id}");
}

#[tokio::test]
async fn a_call_and_its_end_are_notices_for_the_app_byte_for_byte() {
    let house = House::open().await;
    let before_s = now_s();
    house.ring(1, ApnsVoip, A_MINUTE).await;
    let received = house.apns.received(1).await;
    check_head(&house, &received[0], ("voip", "com.example.app.voip"));
    let time = (before_s..=now_s()).map(|time_s| {
        format!(
            concat!(
                r#"{{"remote_alias":"{caller}","remote_display_name":"{caller}","conference_alias":"{room}","token":"","#,
                r#""time":"{time}","service_type":"gateway","bsskey":"","aps":{{}}}}"#
            ),
            caller = CALLER,
            room = ROOM,
            time = time_s
        )
    });
    assert!(
        time.clone().any(|body| body == received[0].body),
        "{}",
        received[0].body
    );
    house.stop_ringing(1, ApnsVoip).await;
    let received = house.apns.received(2).await;
    check_head(&house, &received[1], ("voip", "com.example.app.voip"));
    assert_eq!(received[1].body, r#"{"command":"call_cancelled","aps":{}}"#);
    assert_ne!(received[0].header("apns-id"), received[1].header("apns-id"));
}

#[tokio::test]
async fn a_device_of_calls_over_http_gets_an_alert_and_nothing_when_the_call_is_over() {
    let house = House::open().await;
    house.ring(1, ApnsAlert, A_MINUTE).await;
    let received = house.apns.received(1).await;
    check_head(&house, &received[0], ("alert", "com.example.app"));
    let expected = concat!(
        r#"{"aps":{"content-available":1,"acm":1,"alert":{"title":"语音通话","body":"用户12356邀请你语音通话"},"#,
        r#""badge":9,"sound":"ring.caf","userInfo":"{\"title\":\"audiocall\",\"accountCaller\":\"12356\","#,
        r#"\"channel\":\"ch_4aY875LP4o\"}"}}"#
    );
    assert_eq!(received[0].body, expected);
    house.stop_ringing(1, ApnsAlert).await;
    house.ring(2, ApnsAlert, A_MINUTE).await;
    let received = house.apns.received(2).await;
    assert_eq!(received[1].body, expected, "the next call, and nothing between");
}

#[tokio::test]
async fn all_notices_go_over_one_connection_and_show_one_token_for_fifty_minutes() {
    let house = House::open().await;
    for call in 0..40 {
        house.ring(call, ApnsVoip, A_MINUTE).await;
    }
    let received = house.apns.received(40).await;
    let first = provider_token(&house, &received[0]);
    assert!(received.iter().all(|request| provider_token(&house, request) == first));
    assert_eq!(house.apns.connections(), 1);
    house.pass(49 * 60);
    house.ring(40, ApnsVoip, A_MINUTE).await;
    assert_eq!(provider_token(&house, &house.apns.received(41).await[40]), first);
    house.pass(60);
    house.ring(41, ApnsVoip, A_MINUTE).await;
    let received = house.apns.received(42).await;
    assert_ne!(provider_token(&house, &received[41]), first);
    assert_eq!(house.apns.connections(), 1);
}

#[tokio::test]
async fn a_provider_token_that_is_refused_is_made_anew_once_and_then_it_is_the_operators_problem() {
    let house = House::open().await;
    house.ring(1, ApnsVoip, A_MINUTE).await;
    let first = provider_token(&house, &house.apns.received(1).await[0]);
    // A new one would be refused as too many.
    house
        .apns
        .plays([Play::Answer(403, r#"{"reason":"ExpiredProviderToken"}"#)]);
    house.ring(2, ApnsVoip, A_MINUTE).await;
    house.apns.received(2).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(house.apns.all().len(), 2, "it is not tried again");
    house.pass(21 * 60);
    house
        .apns
        .plays([Play::Answer(403, r#"{"reason":"ExpiredProviderToken"}"#)]);
    house.ring(3, ApnsVoip, A_MINUTE).await;
    let received = house.apns.received(4).await;
    assert_eq!(provider_token(&house, &received[2]), first);
    assert_ne!(provider_token(&house, &received[3]), first);
    assert_eq!(received[2].header("apns-id"), received[3].header("apns-id"));
    house.pass(21 * 60);
    house
        .apns
        .always_plays(Play::Answer(403, r#"{"reason":"InvalidProviderToken"}"#));
    house.ring(4, ApnsVoip, A_MINUTE).await;
    house.apns.received(6).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(house.apns.all().len(), 6, "one more token was tried, and no other");
}

#[tokio::test]
async fn a_device_that_is_gone_is_forgotten_in_storage_and_at_the_hub() {
    for (status, body) in [
        (400, r#"{"reason":"BadDeviceToken"}"#),
        (410, r#"{"reason":"Unregistered","timestamp":1767323045678}"#),
    ] {
        let house = House::open().await;
        house.record_device(ApnsAlert, 1_767_323_045).await;
        house.apns.plays([Play::Answer(status, body)]);
        let call = house.call().await;
        house.apns.received(1).await;
        house.until_forgotten().await;
        drop(call);
        // The hub is told after storage.
        sleep(Duration::from_millis(200)).await;
        let _call = house.call().await;
        sleep(Duration::from_millis(500)).await;
        assert_eq!(house.apns.all().len(), 1, "{status}: the next call does not ring there");
    }
}

#[tokio::test]
async fn a_device_that_has_set_its_token_anew_since_it_was_gone_is_kept() {
    let house = House::open().await;
    house.record_device(ApnsAlert, 1_767_323_046).await;
    let gone = r#"{"reason":"Unregistered","timestamp":1767323045678}"#;
    house.apns.plays([Play::Answer(410, gone)]);
    let call = house.call().await;
    house.apns.received(1).await;
    drop(call);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(house.devices().await.len(), 1);
    let _call = house.call().await;
    house.apns.received(2).await;
}

#[tokio::test]
async fn a_token_that_is_not_hexadecimal_is_never_part_of_a_path() {
    let house = House::open().await;
    let notice = |token: &str| patchbay::domain::PushNotice {
        to: patchbay::domain::Address::Name("ben".into()),
        targets: vec![ApnsVoip.target(token)],
        until: Some((tokio::time::Instant::now() + A_MINUTE).into_std()),
        event: patchbay::domain::CallEvent::Incoming {
            call: patchbay::ids::CallId(1),
            from: patchbay::domain::Address::Name("anna".into()),
            to: patchbay::domain::Address::Name("ben".into()),
            room: None,
            message: None,
        },
    };
    for token in ["../../secret", "", "abc?d", "%2e%2e", &"ab".repeat(201)] {
        house.notices.send(notice(token)).await.unwrap();
    }
    house.notices.send(notice("<0123 abCD>")).await.unwrap();
    assert_eq!(house.apns.received(1).await[0].path, "/3/device/0123abCD");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(house.apns.all().len(), 1);
}

#[tokio::test]
async fn an_address_of_this_machine_is_refused_at_the_start_unless_that_is_allowed() {
    let refusal = async |without_apns: bool| {
        let refused = House::try_with(|config| {
            config.allow_private_addresses = false;
            if without_apns {
                config.apns = Default::default();
            }
        });
        refused.await.err().expect("a refusal").to_string()
    };
    for (without_apns, setting) in [(false, "push.apns.url: "), (true, "push.jpush.url: ")] {
        let sentence = refusal(without_apns).await;
        assert!(sentence.starts_with(setting), "{sentence}");
        assert!(sentence.contains("allow_private_addresses"), "{sentence}");
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_that_nobody_vouches_for_is_told_nothing() {
    let house = House::with(|config| config.certificates = Default::default()).await;
    house.ring(1, ApnsVoip, Duration::from_secs(2)).await;
    sleep(Duration::from_secs(3)).await;
    assert!(house.apns.connections() > 0, "it was connected to");
    assert!(house.apns.all().is_empty());
}
