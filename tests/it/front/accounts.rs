//! Login and contacts, over HTTP.

use serde_json::{Value, json};

use super::running::{Running, header, start};

const ANNA: &str = "13800000001";
const BEN: &str = "13800000002";

async fn ask(running: &Running, path: &str, body: impl Into<String>) -> Value {
    let request = running.http.post(running.url(path)).body(body.into());
    let response = request.send().await.unwrap();
    assert_eq!(
        response.status().as_u16(),
        200,
        "every answer is an answer of the family"
    );
    assert_eq!(header(&response, "cache-control"), "no-store");
    response.json().await.unwrap()
}

async fn log_in(running: &Running, phone: &str, device: &str) -> String {
    let answer = ask(
        running,
        "/account/login",
        json!({ "phone": phone, "device_id": device }).to_string(),
    )
    .await;
    assert_eq!(answer["errorCode"], 0, "{answer}");
    answer["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_answers_with_a_token() {
    let running = start(|_| {}).await;
    let body = json!({ "phone": ANNA, "device_id": "d1", "more": [1] });
    let answer = ask(&running, "/account/login", body.to_string()).await;
    let token = answer["token"].as_str().unwrap();
    assert_eq!(token.split('.').count(), 3);
    assert_eq!(
        answer,
        json!({ "errorCode": 0, "errorCodeName": "ERROR_CODE_NONE", "message": "login sucess", "token": token })
    );
}

#[tokio::test]
async fn the_code_says_what_is_wrong_with_a_login() {
    let running = start(|_| {}).await;
    let huge = format!(r#"{{"phone":"{ANNA}","device_id":"{}"}}"#, "x".repeat(70_000));
    let deep = "[".repeat(10_000);
    for (body, code, name) in [
        ("", 2, "ERROR_CODE_DATA_INVALID"),
        ("{", 2, "ERROR_CODE_DATA_INVALID"),
        ("[]", 2, "ERROR_CODE_DATA_INVALID"),
        (r#"["13800000001","d1"]"#, 2, "ERROR_CODE_DATA_INVALID"),
        (
            r#"{"phone":["13800000001"],"device_id":"d1"}"#,
            2,
            "ERROR_CODE_DATA_INVALID",
        ),
        (&deep, 2, "ERROR_CODE_DATA_INVALID"),
        (&huge, 2, "ERROR_CODE_DATA_INVALID"),
        (r#"{"phone":"13800000001"}"#, 2, "ERROR_CODE_DATA_INVALID"),
        (r#"{"device_id":"d1"}"#, 2, "ERROR_CODE_DATA_INVALID"),
        (
            r#"{"phone":13800000001,"device_id":"d1"}"#,
            2,
            "ERROR_CODE_DATA_INVALID",
        ),
        (
            r#"{"phone":"13800000001","device_id":null}"#,
            2,
            "ERROR_CODE_DATA_INVALID",
        ),
        (r#"{"phone":"","device_id":"d1"}"#, 3, "ERROR_CODE_PHONE_INVALID"),
        (
            r#"{"phone":"1380000000","device_id":"d1"}"#,
            3,
            "ERROR_CODE_PHONE_INVALID",
        ),
        (
            r#"{"phone":"1380000000x","device_id":"d1"}"#,
            3,
            "ERROR_CODE_PHONE_INVALID",
        ),
        (
            r#"{"phone":"13800000001","device_id":""}"#,
            5,
            "ERROR_CODE_DEVICE_INVALID",
        ),
        (
            r#"{"phone":"13800000001","device_id":"a\u0000"}"#,
            5,
            "ERROR_CODE_DEVICE_INVALID",
        ),
    ] {
        let answer = ask(&running, "/account/login", body).await;
        let fields = (&answer["errorCode"], &answer["errorCodeName"], &answer["token"]);
        assert_eq!(fields, (&json!(code), &json!(name), &json!("")), "{:.60}", body);
        assert!(!answer["message"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn contacts_are_added_listed_and_removed() {
    let running = start(|_| {}).await;
    let token = log_in(&running, ANNA, "d1").await;
    log_in(&running, BEN, "phone").await;
    let of_ben = log_in(&running, BEN, "tablet").await;
    let mutual = json!({ "phone": BEN, "token": of_ben, "contact": ANNA });
    ask(&running, "/account/contacts/add", mutual.to_string()).await;
    let own = json!({ "phone": ANNA, "token": token });
    let answer = ask(&running, "/getContactPersons", own.to_string()).await;
    let message = "get contact persons sucess";
    let found = |contacts: Value| json!({ "errorCode": 0, "errorCodeName": "ERROR_CODE_NONE", "message": message, "contacts": contacts });
    assert_eq!(answer, found(json!([])));
    let change = json!({ "phone": ANNA, "token": token, "contact": BEN });
    let rows = json!([{ "phone": BEN, "device_id": "phone" }, { "phone": BEN, "device_id": "tablet" }]);
    let answer = ask(&running, "/account/contacts/add", change.to_string()).await;
    assert_eq!((&answer["errorCode"], &answer["contacts"]), (&json!(0), &rows));
    assert_eq!(ask(&running, "/getContactPersons", own.to_string()).await, found(rows));
    let answer = ask(&running, "/account/contacts/remove", change.to_string()).await;
    assert_eq!((&answer["errorCode"], &answer["contacts"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn contacts_are_for_their_owner_only() {
    let running = start(|_| {}).await;
    let token = log_in(&running, ANNA, "d1").await;
    let other = log_in(&running, BEN, "d2").await;
    // {"userName":"13651884967tv888","ip":"","exp":…}, as another server made it.
    let older = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ1c2VyTmFtZSI6IjEzNjUxODg0OTY3dHY4ODgiLCJpcCI6IiIsImV4cCI6MTYxNDU2OTg3Nn0.QOfS6GUFFl8aQaam75tLwBbvKz88Wp5KY1jCGka96Cg";
    for path in [
        "/getContactPersons",
        "/account/contacts/add",
        "/account/contacts/remove",
    ] {
        for (phone, token, contact, code) in [
            (ANNA, other.as_str(), BEN, 4),
            (ANNA, older, BEN, 4),
            (ANNA, "", BEN, 4),
            (ANNA, "a.b.c", BEN, 4),
            ("", token.as_str(), BEN, 4),
            ("138", token.as_str(), BEN, 4),
        ] {
            let body = json!({ "phone": phone, "token": token, "contact": contact });
            let answer = ask(&running, path, body.to_string()).await;
            assert_eq!(
                (&answer["errorCode"], &answer["contacts"]),
                (&json!(code), &Value::Null),
                "{path}: {body}"
            );
        }
        let answer = ask(&running, path, json!({ "phone": ANNA }).to_string()).await;
        assert_eq!(
            (&answer["errorCode"], &answer["contacts"]),
            (&json!(2), &Value::Null),
            "{path}"
        );
    }
    for (contact, code) in [("138", 3), (ANNA, 2)] {
        let body = json!({ "phone": ANNA, "token": token, "contact": contact });
        let answer = ask(&running, "/account/contacts/add", body.to_string()).await;
        assert_eq!(answer["errorCode"], code, "{contact}");
    }
}

#[tokio::test]
async fn only_pages_of_the_server_and_configured_ones_may_ask() {
    let running = start(|config| config.http.allowed_origins = vec!["https://app.example".to_owned()]).await;
    let url = running.url("/account/login");
    let body = json!({ "phone": ANNA, "device_id": "d1" }).to_string();
    let from = |origin: &str| running.http.post(&url).header("origin", origin).body(body.clone());
    let response = from("https://evil.example").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 403);
    let response = from("https://app.example").send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "https://app.example");
    for (origin, allowed) in [("https://app.example", "POST"), ("https://evil.example", "")] {
        let request = running
            .http
            .request(reqwest::Method::OPTIONS, &url)
            .header("origin", origin);
        let response = request.send().await.unwrap();
        assert_eq!(header(&response, "access-control-allow-methods"), allowed, "{origin}");
    }
    assert_eq!(running.get("/account/login").await.status().as_u16(), 405);
}

/// If the answers differed, somebody could find out who has an account, number by number.
#[tokio::test]
async fn adding_a_contact_is_answered_alike_whether_or_not_there_is_an_account() {
    let running = start(|_| {}).await;
    let token = log_in(&running, ANNA, "d1").await;
    log_in(&running, BEN, "phone").await;
    let mut answers = Vec::new();
    for contact in [BEN, "13899999999"] {
        let body = json!({ "phone": ANNA, "token": token, "contact": contact });
        answers.push(ask(&running, "/account/contacts/add", body.to_string()).await);
        let own = json!({ "phone": ANNA, "token": token });
        answers.push(ask(&running, "/getContactPersons", own.to_string()).await);
    }
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[1], answers[3]);
    assert_eq!(
        (&answers[0]["errorCode"], &answers[0]["contacts"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn where_contacts_need_not_be_mutual_whoever_adds_one_sees_the_devices() {
    let running = start(|config| config.accounts.mutual_contacts = false).await;
    let token = log_in(&running, ANNA, "d1").await;
    log_in(&running, BEN, "phone").await;
    let body = json!({ "phone": ANNA, "token": token, "contact": BEN });
    let answer = ask(&running, "/account/contacts/add", body.to_string()).await;
    assert_eq!(answer["contacts"], json!([{ "phone": BEN, "device_id": "phone" }]));
}
