//! Calls that wake devices: what their push services are sent, byte for byte, and who is sent that a call no longer rings.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use patchbay::conferences::{Destination, Invitation};
use patchbay::config::Config;
use patchbay::hub::{Events, Session};
use patchbay::server::Server;
use patchbay::shares::ClientAddress;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::ringing::{Stream, call_ben};
use super::{basic, json_of, post, register, start_adjusted};
use crate::front::dapi::{ask, data};
use crate::front::running::Running;
use crate::push::provider::{Authority, Provider};

const CANCELLED: &str = r#"{"command":"call_cancelled"}"#;
pub const CANCELLED_BY_APPLE: &str = r#"{"command":"call_cancelled","aps":{}}"#;

/// A server with both push services, and the configuration to start it again.
pub struct House {
    pub running: Running,
    config: Config,
    apns: Provider,
    jpush: Provider,
    _folder: TempDir,
}

impl House {
    pub async fn open() -> House {
        let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
        let apns = Provider::start(&authority, "h2").await;
        let jpush = Provider::start(&authority, "http/1.1").await;
        let file = |name: &str| folder.path().join(name);
        authority.write(&file("authority.pem"));
        std::fs::write(file("key.p8"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        std::fs::write(file("secret"), "secret").unwrap();
        let mut saved = None;
        let running = start_adjusted(|config| {
            let push = &mut config.push;
            push.certificates = file("authority.pem");
            push.allow_private_addresses = true;
            push.apns.key_file = file("key.p8");
            push.apns.key_id = "ABC1234567".to_owned();
            push.apns.team_id = "DEF1234567".to_owned();
            push.apns.topic = "com.example.app".to_owned();
            push.apns.url = apns.url();
            push.jpush.app_key = "key".to_owned();
            push.jpush.secret_file = file("secret");
            push.jpush.url = format!("{}/v3/push", jpush.url());
            saved = Some(config.clone());
        })
        .await;
        let config = saved.unwrap();
        House {
            running,
            config,
            apns,
            jpush,
            _folder: folder,
        }
    }

    /// Registers Ben with a device. Returns the token.
    pub async fn ben(&self, device: &str, kind: &str) -> String {
        let request = register(&self.running, "ben").header("Authorization", basic("ben", "123456"));
        let body = json!({ "device_id": device, "device_type": kind }).to_string();
        let answer = json_of(request.body(body).send().await.unwrap()).await;
        answer["result"]["token"].as_str().unwrap().to_owned()
    }

    /// The nth notice that Ben's iPhone gets.
    pub async fn to_iphone(&self, number: usize) -> String {
        let received = self.apns.received(number).await;
        let request = &received[number - 1];
        assert_eq!(request.path, "/3/device/0a1b");
        assert_eq!(request.header("apns-push-type"), "voip");
        assert_eq!(request.header("apns-topic"), "com.example.app.voip");
        request.body.clone()
    }

    /// The nth notice that Ben's other phone gets.
    async fn to_android(&self, number: usize) -> String {
        let received = self.jpush.received(number).await;
        let body: Value = serde_json::from_str(&received[number - 1].body).unwrap();
        assert_eq!(body["audience"], json!({ "registration_id": ["170976fa8a"] }));
        let content = body["message"]["msg_content"].as_str().unwrap();
        String::from_utf8(BASE64_STANDARD.decode(content).unwrap()).unwrap()
    }

    /// Ben answers by a token, as somebody who enters a conference does.
    async fn answer(&self, place: &str, token: &str) -> (Session, Events, Invitation) {
        let conferences = self.running.server.conferences();
        let entered = conferences.destination(place, Some(token), None).await.unwrap();
        let Destination::Call(invitation) = entered else {
            panic!("no call: {entered:?}");
        };
        let hub = self.running.server.hub();
        let (session, events) = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
        for command in invitation.answer().commands {
            session.request(command).await.unwrap();
        }
        (session, events, invitation)
    }
}

fn token_in(notice: &str) -> String {
    let notice: Value = serde_json::from_str(notice).unwrap();
    notice["token"].as_str().unwrap().to_owned()
}

/// What an app gets about a call of Anna in this channel.
fn expected(notice: &str, channel: &str, end: &str) -> String {
    let token = token_in(notice);
    assert_eq!(token.len(), 32);
    let read: Value = serde_json::from_str(notice).unwrap();
    let time = read["time"].as_str().unwrap();
    format!(
        concat!(
            r#"{{"remote_alias":"anna@example.org","remote_display_name":"安娜","conference_alias":"{channel}","#,
            r#""token":"{token}","time":"{time}","service_type":"gateway","bsskey":""{end}}}"#
        ),
        channel = channel,
        token = token,
        time = time,
        end = end
    )
}

pub const IPHONE: &str = "0a1b__0123456789abcdef0123456789abcdef";
const ANDROID: &str = "170976fa8a__appkey";

#[tokio::test]
async fn a_call_wakes_both_phones_with_a_token_each_and_its_end_reaches_them() {
    let house = House::open().await;
    let token = house.ben(IPHONE, "ios").await;
    house.ben(ANDROID, "android").await;
    let channel = call_ben(&house.running).await;
    let (iphone, android) = (house.to_iphone(1).await, house.to_android(1).await);
    assert_eq!(iphone, expected(&iphone, &channel, r#","aps":{}"#));
    assert_eq!(android, expected(&android, &channel, ""));
    assert_ne!(token_in(&iphone), token_in(&android));
    let (_, incoming) = Stream::of(&house.running, "ben", &token).await.event().await;
    assert_eq!(
        incoming["token"],
        token_in(&iphone),
        "the registration is of that phone"
    );
    let cancel = json!({ "uid": "anna@example.org", "channel": channel, "code": 1000 });
    data(ask(&house.running, "/dapi/call/event", cancel).await);
    assert_eq!(house.to_iphone(2).await, CANCELLED_BY_APPLE);
    assert_eq!(house.to_android(2).await, CANCELLED);
    let late = format!("/api/services/{channel}/end_session?token={}", token_in(&android));
    assert_eq!(post(&house.running, &late).await.0, 403, "it is over");
}

#[tokio::test]
async fn who_answers_is_not_sent_that_the_call_no_longer_rings_and_all_others_are() {
    let house = House::open().await;
    let iphone = house.ben(IPHONE, "ios").await;
    let android = house.ben(ANDROID, "android").await;
    let mut at_iphone = Stream::of(&house.running, "ben", &iphone).await;
    let mut at_android = Stream::of(&house.running, "ben", &android).await;
    let channel = call_ben(&house.running).await;
    let (to_iphone, to_android) = (house.to_iphone(1).await, house.to_android(1).await);
    assert_eq!(at_iphone.event().await.0, "incoming");
    assert_eq!(at_android.event().await.0, "incoming");
    let (answered, other) = (token_in(&to_iphone), token_in(&to_android));
    let (_session, _events, invitation) = house.answer("anna@example.org@meet", &answered).await;
    assert_eq!(invitation.room.as_str(), channel);
    let cancelled = ("incoming_cancelled".to_owned(), json!({ "token": other }));
    assert_eq!(at_android.event().await, cancelled);
    assert_eq!(house.to_android(2).await, CANCELLED);
    let surprise = timeout(Duration::from_millis(500), at_iphone.event()).await;
    assert!(surprise.is_err(), "{surprise:?}");
    assert_eq!(house.apns.all().len(), 1, "the phone that has answered is left alone");
    for used in [answered, other] {
        let late = format!("/api/services/{channel}/end_session?token={used}");
        assert_eq!(post(&house.running, &late).await.0, 403);
    }
}

#[tokio::test]
async fn phones_ring_after_a_new_start_though_their_apps_have_not_come() {
    let mut house = House::open().await;
    house.ben(IPHONE, "ios").await;
    house.running.server.stop().await;
    house.running.server = Server::start(house.config.clone()).await.unwrap();
    // The devices are read while the server begins to serve.
    sleep(Duration::from_secs(1)).await;
    let hub = house.running.server.hub();
    let (session, _events) = hub.connect(ClientAddress::THIS_MACHINE).await.unwrap();
    let caller = patchbay::conferences::Caller {
        user: "anna@example.org".into(),
        claim: patchbay::domain::Claim::Proven,
    };
    let conferences = house.running.server.conferences();
    let entered = conferences.destination("ben@meet", None, Some(&caller.user)).await;
    let Destination::People(to) = entered.unwrap() else {
        panic!("Ben is no conference");
    };
    let details = patchbay::conferences::Details {
        bss_key: "key".to_owned(),
        owner: Some("meet.example".to_owned()),
        caller_name: Some("Anna at work".to_owned()),
        ..Default::default()
    };
    let calling = conferences.ring(caller, to, details);
    for command in calling.commands {
        session.request(command).await.unwrap();
    }
    let notice = house.to_iphone(1).await;
    let read: Value = serde_json::from_str(&notice).unwrap();
    let (token, time) = (token_in(&notice), read["time"].as_str().unwrap());
    let room = calling.room.as_str();
    let expected = format!(
        concat!(
            r#"{{"remote_alias":"anna@example.org","remote_display_name":"Anna at work","conference_alias":"{room}","#,
            r#""token":"{token}","time":"{time}","service_type":"gateway","bsskey":"key","owner":"meet.example","aps":{{}}}}"#
        ),
        room = room,
        token = token,
        time = time
    );
    assert_eq!(notice, expected);
}
