//! As whom a program enters a room: by token, by name, or by a name that is made up.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay::accounts::Accounts;
use patchbay::auth::TokenKeys;
use patchbay::auth::access_token::{App, Message};
use patchbay::config::{self, Config, Storage};
use patchbay::storage::Records;

use super::{Studio, refusal};
use crate::front::running::header;
use crate::transcripts::offers::offer;

const ID: &str = "970CA35de60c44645bbae8a215061b33";
const CERTIFICATE: &str = "5CFd2fd1755d40ecb72977518be15d3b";

fn with_app(config: &mut Config) {
    config.channels.app_id = ID.to_owned();
    config.channels.app_certificate = CERTIFICATE.to_owned();
    // The back end signs the tokens itself. Those that everybody gets over HTTP would prove no name.
    config.dapi.enabled = false;
}

#[allow(clippy::disallowed_methods, reason = "the server under test has this clock")]
fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A token for the channel `ch_1`.
fn access(user: &str, lasts_s: i64) -> String {
    let app = App::new(ID, CERTIFICATE).unwrap();
    app.issue("ch_1", user, now_s() + lasts_s, 7)
}

/// The records of the server.
async fn records(studio: &Studio) -> Records {
    let url = format!("sqlite:{}", studio.running.data.path().join("records.db").display());
    let storage = Storage {
        url,
        ..Storage::default()
    };
    Records::open(&storage).await.unwrap()
}

/// The keys that sign the tokens of its users.
#[allow(clippy::disallowed_methods, reason = "the server under test has these clocks")]
async fn keys(studio: &Studio) -> TokenKeys {
    let settings = config::Accounts::default();
    let (clock, passed) = (Arc::new(SystemTime::now), Arc::new(tokio::time::Instant::now));
    let accounts = Accounts::open(records(studio).await, settings, 25, clock, passed).await;
    accounts.unwrap().keys()
}

async fn publish(studio: &Studio, path: &str, token: &str) -> reqwest::Response {
    send(studio.post(path).body(offer("sendonly", 1, false)), token).await
}

async fn watch(studio: &Studio, path: &str, token: &str) -> reqwest::Response {
    send(studio.post(path).body(offer("recvonly", 2, false)), token).await
}

async fn send(request: reqwest::RequestBuilder, token: &str) -> reqwest::Response {
    let request = match token {
        "" => request,
        token => request.header("authorization", format!("Bearer {token}")),
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn where_tokens_are_asked_for_a_program_shows_one() {
    let studio = Studio::open_with(|config| {
        with_app(config);
        config.auth.required = true;
    })
    .await;
    for (path, token, status) in [
        ("/whip/ch_1?userId=anna", String::new(), 401),
        ("/whip/ch_1", String::new(), 401),
        ("/whip/ch_1?userId=anna", "nonsense".to_owned(), 401),
        ("/whip/ch_1?userId=anna", access("anna", -1), 401),
        ("/whip/ch_1?userId=ben", access("anna", 60), 401),
        ("/whip/ch_2?userId=anna", access("anna", 60), 401),
        ("/whip/ch_1", access("anna", 60), 401),
        ("/whip/ch_1?userId=anna", access("anna", 60), 201),
    ] {
        let response = publish(&studio, path, &token).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        let asked = if status == 401 { "Bearer" } else { "" };
        assert_eq!(header(&response, "www-authenticate"), asked, "{path}");
        if path == "/whip/ch_1" && !token.is_empty() {
            let (_, sentence) = refusal(response).await;
            assert!(sentence.contains("userId"), "{sentence}");
        }
    }
    let watching = studio.post("/whep/ch_1/anna").body(offer("recvonly", 2, false));
    assert_eq!(
        watching.try_clone().unwrap().send().await.unwrap().status().as_u16(),
        401
    );
    let token = access("viewer", 60);
    let request = studio
        .post("/whep/ch_1/anna?userId=viewer")
        .body(offer("recvonly", 2, false));
    let watching = request.header("authorization", format!("bearer {token}"));
    assert_eq!(watching.send().await.unwrap().status().as_u16(), 201);
}

#[tokio::test]
async fn without_asking_for_tokens_names_are_believed_unless_the_configuration_says_no() {
    let open = Studio::open().await;
    assert_eq!(
        publish(&open, "/whip/studio?userId=anna", "").await.status().as_u16(),
        201
    );
    assert_eq!(
        publish(&open, "/whip/studio", "").await.status().as_u16(),
        201,
        "a name is made up"
    );
    assert_eq!(open.offer("/whep/studio/anna", 2).await.status().as_u16(), 201);
    let closed = Studio::open_with(|config| {
        with_app(config);
        config.whip.publish_without_token = false;
    })
    .await;
    for path in ["/whip/ch_1?userId=anna", "/whip/ch_1"] {
        assert_eq!(publish(&closed, path, "").await.status().as_u16(), 401, "{path}");
    }
    let response = publish(&closed, "/whip/ch_1?userId=anna", &access("anna", 60)).await;
    assert_eq!(response.status().as_u16(), 201);
}

#[tokio::test]
async fn nobody_watches_unseen_without_a_token_unless_the_configuration_says_so() {
    let studio = Studio::open_with(|config| {
        with_app(config);
        config.whip = Config::default().whip;
    })
    .await;
    assert_eq!(
        publish(&studio, "/whip/ch_1?userId=anna", "").await.status().as_u16(),
        201
    );
    for path in ["/whep/ch_1", "/whep/ch_1/anna", "/whep/ch_1/anna?userId=ben"] {
        let (status, sentence) = refusal(watch(&studio, path, "").await).await;
        assert!(
            status == 401 && sentence.contains("Authorization"),
            "{path}: {status} {sentence}"
        );
    }
    let token = keys(&studio).await.issue(&"viewer".into(), now_s() + 60).unwrap();
    assert_eq!(watch(&studio, "/whep/ch_1/anna", &token).await.status().as_u16(), 201);
    let response = watch(&studio, "/whep/ch_1/anna?userId=ben", &access("ben", 60)).await;
    assert_eq!(response.status().as_u16(), 201);
    let rooms: serde_json::Value = studio.running.get("/admin/v1/rooms").await.json().await.unwrap();
    let participants = rooms["rooms"][0]["participants"].as_array().unwrap();
    let visible: Vec<bool> = participants
        .iter()
        .map(|one| one["visible"].as_bool().unwrap())
        .collect();
    assert_eq!(visible, [true, false, false], "operators see who watches");
}

#[tokio::test]
async fn each_bad_access_token_is_refused_with_the_same_words() {
    let app = App::new(ID, CERTIFICATE).unwrap();
    let forger = App::new(ID, "5CFd2fd1755d40ecb72977518be15d3c").unwrap();
    let foreign = App::new("303156d224e44881a00af9cabc9e10d8", CERTIFICATE).unwrap();
    let until_s = now_s() + 60;
    let good = access("anna", 60);
    let bad = [
        good[..good.len() - 4].to_owned(),
        good[..20].to_owned(),
        format!("{good}AAAA"),
        forger.issue("ch_1", "anna", until_s, 7),
        app.issue("ch_2", "anna", until_s, 7),
        app.issue("ch_1", "ben", until_s, 7),
        access("anna", -1),
        foreign.issue("ch_1", "anna", until_s, 7),
    ];
    for required in [false, true] {
        let studio = Studio::open_with(|config| {
            with_app(config);
            config.auth.required = required;
        })
        .await;
        for (path, words) in [
            (
                "/whip/ch_1?userId=anna",
                "the access token is not valid for this room and this name",
            ),
            (
                "/whip/ch_1",
                "the access token is not valid for anybody known in this room",
            ),
            (
                "/whep/ch_1?userId=anna",
                "the access token is not valid for this room and this name",
            ),
            (
                "/whep/ch_1",
                "the access token is not valid for anybody known in this room",
            ),
        ] {
            for token in &bad {
                let response = match path.starts_with("/whip") {
                    true => publish(&studio, path, token).await,
                    false => watch(&studio, path, token).await,
                };
                assert_eq!(header(&response, "www-authenticate"), "Bearer", "{path} {token}");
                let (status, sentence) = refusal(response).await;
                assert!(
                    status == 401 && sentence.starts_with(words),
                    "{path} {token}: {status} {sentence}"
                );
            }
        }
        assert_eq!(
            publish(&studio, "/whip/ch_1?userId=anna", &good)
                .await
                .status()
                .as_u16(),
            201
        );
    }
}

#[tokio::test]
async fn who_may_publish_nothing_of_what_is_offered_is_refused_and_the_rest_receives_nothing() {
    let studio = Studio::open_with(with_app).await;
    let token = |privileges: &[u16]| {
        let message = Message {
            salt: 7,
            expires_s: now_s() as u32 + 60,
            privileges: privileges.iter().map(|privilege| (*privilege, 0)).collect(),
        };
        App::new(ID, CERTIFICATE).unwrap().sign("ch_1", "anna", &message)
    };
    let path = "/whip/ch_1?userId=anna";
    let running = publish(&studio, path, &token(&[1])).await;
    assert_eq!(running.status().as_u16(), 201);
    let session = header(&running, "location").to_owned();
    assert_eq!(running.text().await.unwrap().matches("a=recvonly").count(), 2);
    let (status, sentence) = refusal(publish(&studio, path, &token(&[1, 4])).await).await;
    assert!(
        status == 403 && sentence.contains("does not let you publish"),
        "{status} {sentence}"
    );
    let video = without_sound(&offer("sendonly", 2, false));
    let request = studio
        .post(path)
        .body(video)
        .header("authorization", format!("Bearer {}", token(&[1, 2])));
    assert_eq!(
        refusal(request.send().await.unwrap()).await.0,
        403,
        "pictures, with a token for sound"
    );
    assert_eq!(
        studio.running.get(&session).await.status().as_u16(),
        204,
        "nobody was replaced"
    );
    let sound = publish(&studio, path, &token(&[1, 2])).await;
    assert_eq!(sound.status().as_u16(), 201);
    let answer = sound.text().await.unwrap();
    let direction = |kind: &str| {
        let section = answer.split("m=").find(|section| section.starts_with(kind)).unwrap();
        section
            .lines()
            .find(|line| ["a=recvonly", "a=inactive"].contains(line))
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (direction("audio"), direction("video")),
        ("a=recvonly".to_owned(), "a=inactive".to_owned())
    );
    // Who may publish nothing may watch.
    let response = watch(&studio, "/whep/ch_1/anna?userId=anna", &token(&[1, 4])).await;
    assert_eq!(response.status().as_u16(), 201);
}

/// An offer whose section of sound is off.
fn without_sound(offer: &str) -> String {
    offer.replacen("m=audio 9", "m=audio 0", 1)
}

#[tokio::test]
async fn who_is_known_in_a_channel_needs_no_name_with_their_access_token() {
    let studio = Studio::open().await;
    let ask = async |path: &str, body: serde_json::Value| {
        let request = studio
            .running
            .http
            .post(studio.running.url(path))
            .body(body.to_string());
        let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
        let text = |name: &str| answer["data"][name].as_str().unwrap().to_owned();
        (text("channel"), text("token"))
    };
    let call = serde_json::json!({ "src_uid": "anna", "dst_uid": ["ben"] });
    let (channel, of_anna) = ask("/dapi/call/user", call).await;
    let asks = serde_json::json!({ "uid": "ben", "channel": channel });
    let (_, of_ben) = ask("/dapi/call/token", asks).await;
    let response = publish(&studio, &format!("/whip/{channel}"), &of_anna).await;
    assert_eq!(response.status().as_u16(), 201);
    // She is there under her own name.
    let response = watch(&studio, &format!("/whep/{channel}/anna"), &of_ben).await;
    assert_eq!(response.status().as_u16(), 201);
    let elsewhere = publish(&studio, "/whip/ch_0000000000", &of_anna).await;
    assert_eq!(elsewhere.status().as_u16(), 401);
}

#[tokio::test]
async fn a_channel_is_entered_with_an_access_token_alone() {
    let studio = Studio::open_with(with_app).await;
    let channel = "ch_4aY875LP4o";
    let app = App::new(ID, CERTIFICATE).unwrap();
    let access = app.issue(channel, "anna", now_s() + 60, 7);
    let of_user = keys(&studio).await.issue(&"anna".into(), now_s() + 60).unwrap();
    let (publishing, watching) = (
        format!("/whip/{channel}?userId=anna"),
        format!("/whep/{channel}?userId=anna"),
    );
    for token in ["", of_user.as_str()] {
        for response in [
            publish(&studio, &publishing, token).await,
            watch(&studio, &watching, token).await,
        ] {
            let (status, sentence) = refusal(response).await;
            assert!(
                status == 401 && sentence.contains("access token"),
                "{status} {sentence}"
            );
        }
    }
    assert_eq!(publish(&studio, &publishing, &access).await.status().as_u16(), 201);
    assert_eq!(watch(&studio, &watching, &access).await.status().as_u16(), 201);
}

#[tokio::test]
async fn the_owner_of_a_users_token_needs_no_name() {
    let studio = Studio::open_with(|config| config.auth.required = true).await;
    let keys = keys(&studio).await;
    let token = |user: &str| keys.issue(&user.into(), now_s() + 60).unwrap();
    let anna = token("anna");
    assert_eq!(publish(&studio, "/whip/studio", &anna).await.status().as_u16(), 201);
    assert_eq!(
        publish(&studio, "/whip/studio?userId=ben", &anna)
            .await
            .status()
            .as_u16(),
        403
    );
    // Anna is there under her own name.
    let request = studio.post("/whep/studio/anna").body(offer("recvonly", 2, false));
    let request = request.header("authorization", format!("Bearer {}", token("viewer")));
    assert_eq!(request.send().await.unwrap().status().as_u16(), 201);
}

#[tokio::test]
async fn a_name_that_somebody_has_proven_is_not_taken_and_a_rooms_password_is_asked_for() {
    let studio = Studio::open_with(with_app).await;
    let anna = "/whip/ch_1?userId=anna";
    let proven = publish(&studio, anna, &access("anna", 60)).await;
    assert_eq!(proven.status().as_u16(), 201);
    assert_eq!(refusal(publish(&studio, anna, "").await).await.0, 409);
    let newer = publish(&studio, anna, &access("anna", 60)).await;
    assert_eq!(newer.status().as_u16(), 201, "the same user, again");
    let older = header(&proven, "location");
    assert_eq!(
        studio.running.get(older).await.status().as_u16(),
        404,
        "which ends the older session"
    );
    let records = records(&studio).await;
    records.add_room(&"vault".into(), Some("secret")).await.unwrap();
    assert_eq!(refusal(publish(&studio, "/whip/vault", "").await).await.0, 403);
    assert_eq!(refusal(publish(&studio, "/whip/vault?pw=wrong", "").await).await.0, 403);
    assert_eq!(
        publish(&studio, "/whip/vault?pw=secret", "").await.status().as_u16(),
        201
    );
    assert_eq!(studio.offer("/whep/vault", 3).await.status().as_u16(), 403);
    assert_eq!(studio.offer("/whep/vault?pw=secret", 3).await.status().as_u16(), 201);
}
