//! Login, registration, and calls that ring at a registered account, over HTTP: what an app of the enterprise SDK sends, and what it
//! is sent.

mod across;
mod devices;
mod joining;
mod meeting;
mod outgoing;
mod pushed;
mod ringing;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use patchbay::config::{self, Config};
use patchbay::domain::Person;
use patchbay::storage::Records;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::dapi::start_with;
use super::running::{Running, header};

const LOGIN: &str = "/api/v3/app/user/login/verify_user.shtml";

/// A server with two accounts.
async fn start() -> Running {
    start_adjusted(|_| {}).await
}

async fn start_adjusted(adjust: impl FnOnce(&mut Config)) -> Running {
    let running = start_with(|config| {
        config.dapi.time_zone = "UTC".to_owned();
        adjust(config);
    })
    .await;
    let records = records(&running).await;
    for (id, name) in [("anna@example.org", "安娜"), ("ben", "Ben")] {
        let person = Person {
            name: name.to_owned(),
            ..Person::unnamed(id.into())
        };
        records.add_user_account(&person, "123456").await.unwrap();
    }
    records.close().await;
    running
}

async fn records(running: &Running) -> Records {
    let storage = config::Storage {
        url: format!("sqlite:{}", running.data.path().join("records.db").display()),
        ..config::Storage::default()
    };
    Records::open(&storage).await.unwrap()
}

async fn json_of(response: Response) -> Value {
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "content-type"), "application/json");
    response.json().await.unwrap()
}

async fn log_in(running: &Running, account: &str, password: &str) -> Value {
    let body =
        json!({ "account": account, "pwd": password, "plat_type": "webrtcios", "host": "x", "more": { "a": [1] } });
    let response = running
        .http
        .post(running.url(LOGIN))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    json_of(response).await
}

fn basic(user: &str, password: &str) -> String {
    format!("x-cloud-basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

fn register(running: &Running, account: &str) -> RequestBuilder {
    let path = format!("/api/registrations/{account}/new_session");
    running.http.post(running.url(&path))
}

/// Registers Ben. Returns the token.
async fn ben(running: &Running) -> String {
    let response = register(running, "ben").header("Authorization", basic("ben", "123456"));
    let answer = json_of(response.body("{}").send().await.unwrap()).await;
    assert_eq!(answer["status"], "success", "{answer}");
    answer["result"]["token"].as_str().unwrap().to_owned()
}

async fn post(running: &Running, path: &str) -> (u16, Value) {
    let response = running.http.post(running.url(path)).send().await.unwrap();
    (response.status().as_u16(), json_of(response).await)
}

#[tokio::test]
async fn a_login_answers_with_every_key_however_it_is_sent() {
    let running = start().await;
    let answer = log_in(&running, "anna@example.org", "123456").await;
    let session = answer["results"]["session_id"].as_str().unwrap();
    let time = answer["timeStamp"].as_str().unwrap();
    assert_eq!(time.len(), "2018-02-09 15:25:17".len(), "{time}");
    let expected = json!({
        "code": "200",
        "timeStamp": time,
        "results": {
            "id": 1, "account": "anna@example.org", "trueName": "安娜", "userName": "anna@example.org", "sipkey": "1",
            "session_id": session, "companyId": 1,
        },
    });
    assert_eq!(answer, expected);
    let form = running.http.post(running.url(LOGIN)).body("account=ben&pwd=123456");
    let query = running
        .http
        .get(running.url(&format!("{LOGIN}?account=ben%40127.0.0.1&pwd=123456")));
    for request in [form, query] {
        let answer = json_of(request.send().await.unwrap()).await;
        let results = &answer["results"];
        assert_eq!(answer["code"], "200", "{answer}");
        assert_eq!((&results["id"], &results["account"]), (&json!(2), &json!("ben")));
        assert_eq!(results["userName"], "ben@127.0.0.1");
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "times are compared")]
async fn a_wrong_password_and_an_unknown_account_have_the_same_answer_after_the_same_time() {
    let running = start().await;
    let mut times = Vec::new();
    let mut answers = Vec::new();
    for account in ["ben", "nobody", "ben@example.org", "nobody@example.org"] {
        let mut shortest = Duration::MAX;
        for _ in 0..3 {
            let began = std::time::Instant::now();
            let mut answer = log_in(&running, account, "wrong").await;
            shortest = shortest.min(began.elapsed());
            answer["timeStamp"].take();
            answers.push(answer);
        }
        times.push(shortest);
    }
    let wrong = json!({ "code": "401", "timeStamp": null, "results": "the account or the password is wrong" });
    assert!(answers.iter().all(|answer| *answer == wrong), "{answers:?}");
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*most < *least * 3, "{times:?}");
    for (body, code) in [
        ("{", "400"),
        ("hello", "400"),
        ("{}", "401"),
        (r#"{"account":"ben"}"#, "401"),
    ] {
        let response = running.http.post(running.url(LOGIN)).body(body).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let answer = json_of(response).await;
        assert_eq!(answer["code"], code, "{body}");
        assert!(answer["results"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn guesses_are_slowed_down_whether_or_not_there_is_such_an_account() {
    let running = start().await;
    for account in ["ben", "nobody"] {
        let mut codes = Vec::new();
        for _ in 0..12 {
            let body = json!({ "account": account, "pwd": "wrong" }).to_string();
            let request = running
                .http
                .post(running.url(LOGIN))
                .header("X-Forwarded-For", "192.0.2.1");
            let answer = json_of(request.body(body).send().await.unwrap()).await;
            codes.push(answer["code"].as_str().unwrap().to_owned());
        }
        assert_eq!(codes[..11], ["401"; 11], "{account}");
        assert_eq!(codes[11], "429", "{account}");
    }
}

#[tokio::test]
async fn a_registration_is_made_however_account_and_credentials_are_written_and_lasts_when_refreshed() {
    let running = start().await;
    let anna = BASE64_STANDARD.encode("anna:123456");
    for (account, name, value) in [
        ("anna%40example.org", "Authorization", format!("x-cloud-basic {anna}=")),
        (
            "anna%%40example.org",
            "X-Cloud-Authorization",
            format!("x-cloud-basic {}", anna.trim_end_matches('=')),
        ),
        (
            "anna@example.org",
            "X-Cloud-Authorization",
            basic("anna@example.org", "123456"),
        ),
    ] {
        // A client library would escape the path once more.
        let request = format!(
            "POST /api/registrations/{account}/new_session HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{name}: {value}\r\n\
             sessionId: x\r\nContent-Length: 2\r\n\r\n{{}}",
            running.address()
        );
        let answer = running.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{account}: {answer}");
    }
    let request = register(&running, "ben").header("Authorization", "Bearer other");
    let request = request.header("X-Cloud-Authorization", basic("ben", "123456"));
    let answer = json_of(request.body("{}").send().await.unwrap()).await;
    let token = answer["result"]["token"].as_str().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = json!({ "status": "success", "result": {
        "token": token, "expires": "120", "registration_uuid": answer["result"]["registration_uuid"],
        "directory_enabled": false, "route_via_registrar": true,
        "version": { "pseudo_version": version, "version_id": version },
    } });
    assert_eq!(answer, expected);

    let refresh = running.http.post(running.url("/api/registrations/ben/refresh_session"));
    let refreshed = json_of(
        refresh
            .body(json!({ "token": token }).to_string())
            .send()
            .await
            .unwrap(),
    )
    .await;
    let expected = json!({ "status": "success", "result": { "token": token, "expires": "120" } });
    assert_eq!(refreshed, expected);
    let by_header = running
        .http
        .post(running.url("/api/registrations/ben@host/refresh_session"));
    assert_eq!(
        by_header.header("token", token).send().await.unwrap().status().as_u16(),
        200
    );
    let others = format!("/api/registrations/anna@example.org/refresh_session?token={token}");
    assert_eq!(post(&running, &others).await.0, 401, "another account's");
    let (status, answer) = post(&running, "/api/registrations/ben/refresh_session").await;
    assert_eq!((status, &answer["status"]), (401, &json!("failed")));
    assert!(answer["result"].is_string());

    let end = format!("/api/registrations/ben/end_session?token={token}");
    assert_eq!(
        post(&running, &end).await,
        (200, json!({ "status": "success", "result": true }))
    );
    assert_eq!(post(&running, &end).await.0, 401, "it is over");
}

#[tokio::test]
async fn who_cannot_prove_who_they_are_is_not_registered() {
    let running = start().await;
    let right = basic("ben", "123456");
    let cases = [
        ("ben", None),
        ("ben", Some(basic("ben", "wrong"))),
        ("nobody", Some(basic("nobody", "123456"))),
        ("anna@example.org", Some(right.clone())),
        ("ben", Some("x-cloud-basic !!!".to_owned())),
        ("ben", Some(right.replace("x-cloud-basic", "Basic"))),
    ];
    for (account, credentials) in cases {
        let mut request = register(&running, account);
        if let Some(credentials) = &credentials {
            request = request.header("Authorization", credentials);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{account} {credentials:?}");
        let expected = json!({ "status": "failed", "result": "the account or the password is wrong" });
        assert_eq!(json_of(response).await, expected);
    }
    let request = register(&running, "ben").header("Authorization", right).body("hello");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn of_nine_registrations_the_oldest_gives_way() {
    let running = start().await;
    let mut tokens = Vec::new();
    for _ in 0..9 {
        tokens.push(ben(&running).await);
    }
    for (place, token) in tokens.iter().enumerate() {
        let refresh = format!("/api/registrations/ben/refresh_session?token={token}");
        let expected = if place == 0 { 401 } else { 200 };
        assert_eq!(post(&running, &refresh).await.0, expected, "{place}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_that_are_let_in_may_send_the_headers_of_the_sdk() {
    let running = start_adjusted(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()]).await;
    let asked = "token,pin,role,rtc-user-agent,authorization,x-cloud-authorization,content-type";
    for path in [
        "/api/registrations/ben/new_session",
        "/api/services/x/end_session",
        LOGIN,
    ] {
        let preflight = |origin: &str| {
            let request = running.http.request(reqwest::Method::OPTIONS, running.url(path));
            let request = request
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "POST");
            request.header("Access-Control-Request-Headers", asked).send()
        };
        let response = preflight("https://app.example").await.unwrap();
        assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
        let allowed: Vec<&str> = header(&response, "access-control-allow-headers").split(',').collect();
        for name in asked.split(',') {
            assert!(allowed.contains(&name), "{path}: {name} is not in {allowed:?}");
        }
        assert_eq!(preflight("https://evil.example").await.unwrap().status().as_u16(), 403);
    }
}
