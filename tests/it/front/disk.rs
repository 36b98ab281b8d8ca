//! A full disk: a small file system in a mount namespace of its own.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::cli::program::{Program, RunningProgram};

use super::running::PATIENCE;

#[tokio::test]
async fn a_full_disk_is_a_sentence_and_leaves_no_half_file() {
    let Some(program) = Program::on_small_disk("files", 256) else {
        return;
    };
    let running = program.start().await;
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let upload = |bytes: usize| {
        let part = reqwest::multipart::Part::bytes(vec![0; bytes])
            .file_name("a.txt")
            .mime_str("text/plain")
            .unwrap();
        let form = reqwest::multipart::Form::new().part("file", part);
        http.post(running.url("/files")).multipart(form).send()
    };
    assert_eq!(upload(10_000).await.unwrap().status().as_u16(), 200);
    let full = upload(1_000_000).await.unwrap();
    assert_eq!(full.status().as_u16(), 507);
    assert!(full.text().await.unwrap().contains("the server's disk is full"));
    assert_eq!(
        upload(100_000).await.unwrap().status().as_u16(),
        200,
        "the half file made room again"
    );
    let (code, _, stderr) = running.stop().await;
    assert_eq!(code, Some(0));
    assert!(stderr.contains("an upload failed: the disk is full"), "{stderr}");
}

/// A file in the program's own view of the file systems.
fn filler(program: &Program, running: &RunningProgram, folder: &str) -> PathBuf {
    let folder = program.path(folder);
    let seen_by_it = folder.strip_prefix("/").unwrap();
    PathBuf::from(format!("/proc/{}/root", running.id()))
        .join(seen_by_it)
        .join("filler")
}

/// Fills all the space that there is.
fn fill(file: &PathBuf) {
    use std::io::Write;
    let mut file = std::fs::File::create(file).unwrap();
    for size in [65_536, 4_096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn ready(running: &RunningProgram) -> (u16, Value) {
    let answer = reqwest::get(running.url("/readyz")).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn until_ready_is(running: &RunningProgram, status: u16) -> Value {
    let becomes = async {
        loop {
            let (now, body) = ready(running).await;
            if now == status {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, becomes).await;
    waited.unwrap_or_else(|_| panic!("readiness does not become {status}"))
}

async fn logs_in(running: &RunningProgram, device: &str) -> bool {
    let body = serde_json::json!({ "phone": "13800000001", "device_id": device }).to_string();
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let answer = http
        .post(running.url("/account/login"))
        .body(body)
        .send()
        .await
        .unwrap();
    answer.json::<Value>().await.unwrap()["errorCode"] == 0
}

#[tokio::test]
async fn a_server_that_cannot_write_its_records_is_not_ready_until_it_can() {
    let Some(program) = Program::on_small_disk("data", 4_096) else {
        return;
    };
    let running = program.start().await;
    assert_eq!(ready(&running).await.0, 200);
    assert!(logs_in(&running, "first").await);
    let filler = filler(&program, &running, "data");
    fill(&filler);
    assert!(!logs_in(&running, "second").await, "nothing is left for it");
    let body = until_ready_is(&running, 503).await;
    assert_eq!(body["reasons"], serde_json::json!(["storage cannot be written"]));
    let alive = reqwest::get(running.url("/healthz")).await.unwrap();
    assert_eq!(alive.status().as_u16(), 200, "no reason to start it again");
    std::fs::remove_file(filler).unwrap();
    until_ready_is(&running, 200).await;
    assert!(logs_in(&running, "second").await);
    assert_eq!(running.stop().await.0, Some(0));
}

#[tokio::test]
async fn a_server_that_cannot_take_uploads_is_not_ready_until_it_can() {
    let Some(program) = Program::on_small_disk("files", 256) else {
        return;
    };
    let running = program.start().await;
    assert_eq!(ready(&running).await.0, 200);
    let filler = filler(&program, &running, "files");
    fill(&filler);
    let body = until_ready_is(&running, 503).await;
    assert_eq!(body["reasons"], serde_json::json!(["uploads cannot be written"]));
    std::fs::remove_file(&filler).unwrap();
    until_ready_is(&running, 200).await;
    let left: Vec<_> = std::fs::read_dir(filler.parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "what is tried leaves nothing behind: {left:?}");
    assert_eq!(running.stop().await.0, Some(0));
}
