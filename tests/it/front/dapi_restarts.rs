//! Calls over HTTP and a server that does not run when something is due.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::dapi::{ask, channel_of, data, messages, now_s, start_with, utc};
use super::running::{PATIENCE, Running};

/// A server whose records outlive it.
async fn start_on(folder: &TempDir) -> Running {
    start_with(|config| {
        config.storage.url = format!("sqlite:{}", folder.path().join("kept.db").display());
        config.dapi.time_zone = "UTC".to_owned();
        config.dapi.heartbeat_s = 3;
    })
    .await
}

async fn until_s(at_s: i64) {
    while now_s() < at_s {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn called(running: &Running) -> String {
    let call = json!({ "src_uid": "1", "dst_uid": ["2"] });
    let channel = channel_of(&data(ask(running, "/dapi/call/user", call).await), "1");
    for uid in ["1", "2"] {
        beat(running, uid, &channel).await;
    }
    channel
}

async fn beat(running: &Running, uid: &str, channel: &str) {
    let beat = json!({ "uid": uid, "channel": channel });
    data(ask(running, "/dapi/call/heartbeat", beat).await);
}

async fn record(running: &Running, channel: &str) -> Value {
    data(ask(running, "/dapi/call/record", json!({ "channel": channel })).await)
}

#[tokio::test]
async fn a_task_whose_time_comes_while_no_server_runs_is_made_once_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let running = start_on(&folder).await;
    let due_s = now_s() + 2;
    let task = json!({ "src_uid": "1", "dst_uid": "2", "call_time": utc(due_s), "taskid": "7" });
    data(ask(&running, "/dapi/calltask/update", task).await);
    running.server.stop().await;
    until_s(due_s + 2).await;
    for start in 0..2 {
        let running = start_on(&folder).await;
        let begun_s = now_s();
        while messages(&running, "2").await == json!([]) {
            assert!(
                now_s() < begun_s + PATIENCE.as_secs() as i64,
                "it never rings: start {start}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Time for another one, if there were one.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(messages(&running, "2").await.as_array().unwrap().len(), 1);
        let tasks = data(ask(&running, "/dapi/calltask/list", json!({ "uid": "1" })).await);
        let row = &tasks["rows"][0];
        assert_eq!(row["status"], 2, "{row}");
        assert!(row["fire_time"].as_str() > Some(utc(due_s).as_str()), "{row}");
        running.server.stop().await;
    }
}

#[tokio::test]
async fn who_was_silent_while_no_server_ran_has_their_whole_time_again_and_is_then_missed() {
    let folder = tempfile::tempdir().unwrap();
    let running = start_on(&folder).await;
    let (silent, alive) = (called(&running).await, called(&running).await);
    running.server.stop().await;
    until_s(now_s() + 5).await;
    let running = start_on(&folder).await;
    let begun_s = now_s();
    for channel in [&silent, &alive] {
        assert_eq!(record(&running, channel).await["endtime"], Value::Null);
    }
    loop {
        for uid in ["1", "2"] {
            beat(&running, uid, &alive).await;
        }
        let kept = record(&running, &silent).await;
        if kept["endtime"].is_string() {
            assert!(now_s() >= begun_s + 3, "{kept}");
            assert_eq!(kept["ending"], "lost");
            let codes: Vec<_> = kept["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|event| &event["code"])
                .collect();
            assert_eq!(codes, [3, 3], "{kept}");
            break;
        }
        assert!(
            now_s() < begun_s + PATIENCE.as_secs() as i64,
            "nobody is missed: {kept}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(record(&running, &alive).await["endtime"], Value::Null);
}

/// Calls that were over long ago: removing them takes about twenty seconds.
const OLD: i64 = 4_000;

#[tokio::test]
async fn old_records_are_removed_beside_everything_else_and_hold_up_no_deadline() {
    use sqlx::{Connection, Executor, SqliteConnection};
    let folder = tempfile::tempdir().unwrap();
    start_on(&folder).await.server.stop().await;
    let url = format!("sqlite:{}", folder.path().join("kept.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    database
        .execute(
            "WITH RECURSIVE old (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM old WHERE number < 4000) \
             INSERT INTO channels (channel, caller, extra_msg, created_at, answered_at, started_at, ended_at, ending, posted, client) \
             SELECT 'old_' || number, '3', '', 1, 0, 0, 1, 'ended', 1, '' FROM old",
        )
        .await
        .unwrap();
    let running = start_on(&folder).await;
    let begun_s = now_s();
    let channel = called(&running).await;
    while record(&running, &channel).await["endtime"] == Value::Null {
        assert!(now_s() < begun_s + PATIENCE.as_secs() as i64, "nobody is missed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (left,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM channels WHERE channel LIKE 'old_%'")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert!(left > 0 && left < OLD, "they are being removed at that moment: {left}");
}
