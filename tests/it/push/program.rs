//! The whole program with a push service: a call over HTTP rings at a phone, and `patchbay push test` asks the service.

use std::path::Path;
use std::time::Duration;

use patchbay::config;
use patchbay::ids::PushService;
use patchbay::shares::{ClientAddress, Share};
use patchbay::storage::{PushDevice, PushRecorded, Quota, Records};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::provider::{Authority, Play, Provider};
use super::{CALLEE, CALLER, DEVICE};
use crate::cli::program::Program;
use crate::support::server::{Server, http};

/// The settings of Apple's service, as keys below `push`. Their files are in the folder.
fn settings(folder: &Path, authority: &Authority, apns: &Provider) -> Vec<(&'static str, String)> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        format!("{:?}", path.display().to_string())
    };
    authority.write(&folder.join("authority.pem"));
    let certificates = format!("{:?}", folder.join("authority.pem").display().to_string());
    vec![
        ("push.certificates", certificates),
        ("push.allow_private_addresses", "true".to_owned()),
        (
            "push.apns.key_file",
            file("key.p8", &KeyPair::generate().unwrap().serialize_pem()),
        ),
        ("push.apns.key_id", "\"ABC1234567\"".to_owned()),
        ("push.apns.team_id", "\"DEF1234567\"".to_owned()),
        ("push.apns.topic", "\"com.example.app\"".to_owned()),
        ("push.apns.url", format!("{:?}", apns.url())),
    ]
}

async fn ask(server: &Server, path: &str, body: Value) -> Value {
    let url = server.plain("http", &format!("/dapi/{path}"));
    let response = http().post(&url).body(body.to_string()).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["success"], true, "{path}: {answer}");
    answer["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_http_rings_at_a_phone_until_its_service_says_that_it_is_gone() {
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new());
    let apns = Provider::start(&authority, "h2").await;
    let lines = settings(folder.path(), &authority, &apns).into_iter();
    // The keys without the name of their section.
    let lines: Vec<String> = lines.map(|(key, value)| format!("{} = {value}", &key[5..])).collect();
    let server = Server::start_with(&format!("[log]\nfilter = \"debug\"\n[push]\n{}", lines.join("\n"))).await;
    let device = json!({ "uid": CALLEE, "device": "phone", "apns_token": DEVICE });
    ask(&server, "account/update", device).await;
    let call = json!({ "src_uid": CALLER, "dst_uid": [CALLEE] });
    let channel = ask(&server, "call/user", call.clone()).await["channel"].clone();
    let received = apns.received(1).await;
    let alert: Value = serde_json::from_str(&received[0].body).unwrap();
    let info: Value = serde_json::from_str(alert["aps"]["userInfo"].as_str().unwrap()).unwrap();
    assert_eq!(
        info,
        json!({ "title": "audiocall", "accountCaller": CALLER, "channel": channel })
    );
    let within = Duration::from_secs(10);
    server.until_metric("patchbay_push_sent_total", 1.0, within).await;

    apns.always_plays(Play::Answer(410, r#"{"reason":"Unregistered"}"#));
    ask(&server, "call/user", call.clone()).await;
    server
        .until_metric("patchbay_push_removed_tokens_total", 1.0, within)
        .await;
    server.until_metric("patchbay_push_failed_total", 1.0, within).await;
    ask(&server, "call/user", call).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(apns.all().len(), 2, "the third call rings at no phone");
    let log = server.log();
    let token = received[0].header("authorization").trim_start_matches("bearer ");
    for secret in [DEVICE, token] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(log.contains("410 Unregistered"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn push_test_prints_what_the_service_says_of_each_device() {
    let (program, authority) = (Program::new(), Authority::new());
    let apns = Provider::start(&authority, "h2").await;
    let storage = config::Storage {
        url: format!("sqlite:{}", program.path("records.db").display()),
        ..config::Storage::default()
    };
    let records = Records::open(&storage).await.unwrap();
    let quota = Quota {
        in_all: 10,
        share: Share {
            percent: 100,
            at_least: 1,
        },
    };
    for (device, token, seen_s) in [("phone", DEVICE, 2), ("tablet", "0011", 1)] {
        let (device, token) = (device.to_owned(), token.to_owned());
        let service = PushService::ApnsAlert;
        let recorded = records
            .set_push_device(
                &CALLEE.into(),
                &PushDevice { service, device, token },
                (ClientAddress::THIS_MACHINE, seen_s),
                16,
                quota,
            )
            .await;
        assert_eq!(recorded.unwrap(), PushRecorded::Done);
    }
    records.close().await;
    let mut arguments: Vec<String> = ["push", "test", CALLEE].map(str::to_owned).to_vec();
    let place = ("storage.url", format!("{:?}", storage.url));
    for (key, value) in settings(program.folder.path(), &authority, &apns)
        .into_iter()
        .chain([place])
    {
        arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = program.run(&arguments).await;
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(
        lines[1].starts_with("phone") && lines[1].contains("taken") && lines[1].contains("200"),
        "{stdout}"
    );
    assert!(lines[2].starts_with("tablet"), "{stdout}");

    apns.plays([
        Play::Answer(403, r#"{"reason":"InvalidProviderToken"}"#),
        Play::Answer(410, "{}"),
    ]);
    let (code, stdout, stderr) = program.run(&arguments).await;
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(
        stdout.contains("403 InvalidProviderToken") && stdout.contains("gone"),
        "{stdout}"
    );
    assert!(!stdout.contains(DEVICE) && !stdout.contains("bearer"), "{stdout}");

    let mut others = arguments.clone();
    others[2] = "99";
    let (code, _, stderr) = program.run(&others).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("99 has no device that is reached by push"), "{stderr}");
}
