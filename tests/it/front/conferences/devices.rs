//! Devices of accounts, which are woken by their push services.

use patchbay::ids::{PushService, UserId};
use patchbay::storage::PushDevice;
use serde_json::json;

use super::{basic, json_of, log_in, post, records, register, start};
use crate::front::running::Running;

const DEVICE: &str = "/api/v3/app/registrations/jpush_token";
const NO_DEVICE: &str = "/api/v3/app/registrations/del_jpush_token";
const VOIP: &str = "0a1b__0123456789abcdef0123456789abcdef";

async fn devices(running: &Running, user: &str) -> Vec<PushDevice> {
    let records = records(running).await;
    let devices = records.push_devices(&UserId::from(user)).await.unwrap();
    records.close().await;
    devices
}

#[tokio::test]
async fn a_device_rings_from_its_registration_until_the_end_of_it() {
    let running = start().await;
    let request = register(&running, "ben").header("Authorization", basic("ben", "123456"));
    let form = format!("device_id={VOIP}&device_type=ios");
    let answer = json_of(request.body(form).send().await.unwrap()).await;
    let device = PushDevice {
        service: PushService::ApnsVoip,
        device: VOIP.to_owned(),
        token: "0a1b".to_owned(),
    };
    assert_eq!(devices(&running, "ben").await, [device]);
    let token = answer["result"]["token"].as_str().unwrap();
    post(&running, &format!("/api/registrations/ben/end_session?token={token}")).await;
    assert_eq!(devices(&running, "ben").await, []);
}

#[tokio::test]
async fn a_device_is_set_by_the_session_of_a_login_and_removed_at_logout() {
    let running = start().await;
    let session = log_in(&running, "anna@example.org", "123456").await["results"]["session_id"].clone();
    let session = session.as_str().unwrap();
    let device = json!({ "device_id": "170976fa8a__appkey", "device_type": "android" }).to_string();
    let send = |path: &str, session: Option<&str>, credentials: Option<String>| {
        let mut request = running.http.post(running.url(path)).body(device.clone());
        if let Some(session) = session {
            request = request.header("sessionId", session);
        }
        if let Some(credentials) = credentials {
            request = request.header("X-Cloud-Authorization", credentials);
        }
        async move {
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let answer = json_of(response).await;
            (
                status,
                answer["code"].as_str().unwrap().to_owned(),
                answer["results"].clone(),
            )
        }
    };
    let done = (200, "200".to_owned(), json!({}));
    assert_eq!(send(DEVICE, Some(session), Some(basic("anna", "123456"))).await, done);
    let known = devices(&running, "anna@example.org").await;
    assert_eq!(known.len(), 1);
    assert_eq!(
        (known[0].service, known[0].token.as_str()),
        (PushService::JPush, "170976fa8a")
    );
    for (session, credentials) in [
        (None, None),
        (None, Some(basic("anna", "123456"))),
        (Some("x"), None),
        (Some(session), Some(basic("anna", "wrong"))),
        (Some(session), Some(basic("ben", "123456"))),
    ] {
        let (status, code, _) = send(DEVICE, session, credentials).await;
        assert_eq!((status, code.as_str()), (401, "401"));
    }
    assert_eq!(send(NO_DEVICE, Some("expired"), None).await.0, 401);
    let by_password = send(NO_DEVICE, Some("expired"), Some(basic("anna@example.org", "123456")));
    assert_eq!(by_password.await, done);
    assert_eq!(devices(&running, "anna@example.org").await, []);
}

#[tokio::test]
async fn a_session_is_refused_once_its_user_cannot_log_in() {
    let running = start().await;
    let session = log_in(&running, "ben", "123456").await["results"]["session_id"].clone();
    let records = records(&running).await;
    records.set_user_password(&"ben".into(), None).await.unwrap();
    records.close().await;
    let request = running
        .http
        .post(running.url(DEVICE))
        .header("sessionId", session.as_str().unwrap());
    let response = request.body("device_id=x&device_type=ios").send().await.unwrap();
    assert_eq!(response.status().as_u16(), 401);
}
