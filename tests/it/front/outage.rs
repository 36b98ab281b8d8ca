//! Calls over HTTP while the database is locked or broken, and requests whose client goes away.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::dapi::{now_s, utc};
use super::running::{Running, start};

async fn ask(running: &Running, path: &str, body: &Value) -> Value {
    let request = running.http.post(running.url(path)).body(body.to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.json().await.unwrap()
}

async fn data(running: &Running, path: &str, body: Value) -> Value {
    let answer = ask(running, path, &body).await;
    assert_eq!(answer["success"], true, "{answer}");
    answer["data"].clone()
}

/// Another program that has the database open.
async fn other_program(running: &Running) -> SqliteConnection {
    let url = format!("sqlite:{}", running.data.path().join("records.db").display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// A call of 1 to 2 that rings.
async fn call(running: &Running) -> String {
    let call = data(running, "/dapi/call/user", json!({ "src_uid": "1", "dst_uid": ["2"] })).await;
    call["channel"].as_str().unwrap().to_owned()
}

/// Requests that write, in an order in which each succeeds.
fn changes(channel: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("/dapi/call/user", json!({ "src_uid": "3", "dst_uid": ["4"] })),
        ("/dapi/call/robot", json!({ "src_uid": "3" })),
        ("/dapi/call/heartbeat", json!({ "uid": "1", "channel": channel })),
        ("/dapi/call/token", json!({ "uid": "2", "channel": channel })),
        ("/dapi/invite/robot", json!({ "uid": "1", "channel": channel })),
        (
            "/dapi/call/event",
            json!({ "uid": "1", "channel": channel, "code": 1000 }),
        ),
        (
            "/dapi/calltask/update",
            json!({ "src_uid": "3", "dst_uid": ["4"], "call_time": utc(now_s() + 86_400 * 2), "taskid": "7" }),
        ),
        (
            "/dapi/account/update",
            json!({ "uid": "4", "device": "d", "apns_token": "t" }),
        ),
    ]
}

/// All that the requests would have changed.
async fn state(running: &Running, channel: &str) -> Value {
    let record = data(running, "/dapi/call/record", json!({ "channel": channel })).await;
    let messages = async |uid| data(running, "/dapi/call/msg", json!({ "uid": uid })).await;
    let tasks = data(running, "/dapi/calltask/list", json!({ "uid": "3" })).await;
    json!([
        record,
        messages("2").await,
        messages("3").await,
        messages("4").await,
        tasks
    ])
}

async fn all_fail_and_change_nothing(running: &Running, channel: &str) {
    let asked = changes(channel);
    let answers = join_all(asked.iter().map(|(path, body)| ask(running, path, body))).await;
    for ((path, _), answer) in asked.iter().zip(answers) {
        assert_eq!(answer["success"], false, "{path}: {answer}");
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains("storage failed") && msg.contains("Try again later"),
            "{path}: {answer}"
        );
    }
}

async fn all_succeed(running: &Running, channel: &str) {
    for (path, body) in changes(channel) {
        data(running, path, body).await;
    }
    let record = data(running, "/dapi/call/record", json!({ "channel": channel })).await;
    assert_eq!(
        (&record["events"][0]["code"], record["events"].as_array().unwrap().len()),
        (&json!(1000), 1)
    );
    let tasks = data(running, "/dapi/calltask/list", json!({ "uid": "3" })).await;
    assert_eq!(tasks["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn while_the_database_is_locked_requests_fail_with_a_sentence_and_change_nothing_and_succeed_later() {
    let running = start(|_| {}).await;
    let channel = call(&running).await;
    let before = state(&running, &channel).await;
    let mut locks = other_program(&running).await;
    locks.execute("BEGIN EXCLUSIVE").await.unwrap();
    all_fail_and_change_nothing(&running, &channel).await;
    locks.execute("ROLLBACK").await.unwrap();
    assert_eq!(state(&running, &channel).await, before);
    all_succeed(&running, &channel).await;
}

#[tokio::test]
async fn while_the_records_are_gone_requests_fail_with_a_sentence_and_change_nothing_and_succeed_later() {
    let running = start(|_| {}).await;
    let channel = call(&running).await;
    let before = state(&running, &channel).await;
    let tables = ["channels", "call_tasks", "push_devices"];
    let mut breaks = other_program(&running).await;
    for table in tables {
        let rename = format!("ALTER TABLE {table} RENAME TO gone_{table}");
        breaks.execute(sqlx::AssertSqlSafe(rename)).await.unwrap();
    }
    all_fail_and_change_nothing(&running, &channel).await;
    let messages = ask(&running, "/dapi/call/msg", &json!({ "uid": "2" })).await;
    assert!(
        messages["msg"].as_str().unwrap().contains("storage failed"),
        "{messages}"
    );
    for table in tables {
        let rename = format!("ALTER TABLE gone_{table} RENAME TO {table}");
        breaks.execute(sqlx::AssertSqlSafe(rename)).await.unwrap();
    }
    assert_eq!(state(&running, &channel).await, before);
    all_succeed(&running, &channel).await;
}

/// Sends a request. Its client goes away when this is dropped, without waiting for an answer.
async fn begin_to_ask(running: &Running, path: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        running.address(),
        body.len()
    );
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_done_whole() {
    let running = start(|_| {}).await;
    let channel = call(&running).await;
    let mut locks = other_program(&running).await;
    let cancels = json!({ "uid": "1", "channel": channel, "code": 1000 });
    let calls = json!({ "src_uid": "3", "dst_uid": ["4"] });
    // A client that goes away before its request has come whole has asked for nothing: on a slow machine it takes longer.
    for stays_ms in [200, 1_000, 3_000] {
        locks.execute("BEGIN EXCLUSIVE").await.unwrap();
        let event = begin_to_ask(&running, "/dapi/call/event", &cancels).await;
        let call = begin_to_ask(&running, "/dapi/call/user", &calls).await;
        sleep(Duration::from_millis(stays_ms)).await;
        drop((event, call));
        // The requests wait for the database when the server notices that nobody waits for them.
        sleep(Duration::from_millis(500)).await;
        locks.execute("ROLLBACK").await.unwrap();
        for _ in 0..40 {
            let record = data(&running, "/dapi/call/record", json!({ "channel": channel })).await;
            let rung = data(&running, "/dapi/call/msg", json!({ "uid": "4" })).await;
            if record["ending"] == "cancelled" && rung != json!([]) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("they were left undone");
}
