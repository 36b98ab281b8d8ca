//! As whom a program enters a room: by token, by name, or by a name that is made up.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use patchbay::accounts::Accounts;
use patchbay::auth::TokenKeys;
use patchbay::auth::access_token::App;
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
    let request = studio.post(path).body(offer("sendonly", 1, false));
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
        config.whip.without_token = false;
    })
    .await;
    for path in ["/whip/ch_1?userId=anna", "/whip/ch_1"] {
        assert_eq!(publish(&closed, path, "").await.status().as_u16(), 401, "{path}");
    }
    let response = publish(&closed, "/whip/ch_1?userId=anna", &access("anna", 60)).await;
    assert_eq!(response.status().as_u16(), 201);
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
