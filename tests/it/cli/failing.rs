//! The server as a program, when a part fails without which it cannot go on.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::program::{HangingFile, Program, RunningProgram};

async fn fail(running: &RunningProgram, what: &str) {
    let url = running.url(&format!("/debug/fault?{what}"));
    let answer = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
}

async fn health(running: &RunningProgram) -> (u16, String) {
    let answer = reqwest::get(running.url("/healthz")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_panic_where_rooms_are_decided_ends_it_with_a_sentence_and_a_code_for_its_supervisor() {
    let program = Program::new();
    let running = program.start().await;
    let socket = running.url("/groupcall").replace("http://", "ws://");
    let (mut socket, _) = connect_async(socket).await.unwrap();
    let join = r#"{"type":"join","userId":1}"#;
    socket.send(Message::text(join)).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_text());
    fail(&running, "part=hub&how=panic").await;
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else {
        panic!("its client is told");
    };
    assert_eq!(u16::from(frame.code), 1011);
    assert_eq!(frame.reason, "the server has failed, and ends");
    drop(socket);
    let (code, _, stderr) = running.ended().await;
    assert_eq!(code, Some(70), "{stderr}");
    let sentence = "patchbay: the server has failed, and ends: the task that decides about rooms and calls panicked. \
        Start it again, or let a supervisor do so";
    assert_eq!(stderr.lines().last(), Some(sentence), "{stderr}");
    assert!(
        stderr.contains("a test has asked for this"),
        "the log says where: {stderr}"
    );
}

#[tokio::test]
async fn it_ends_so_also_while_a_disk_hangs_and_nobody_reads_its_log() {
    let program = Program::new();
    let (tls, plain) = ("{address=\"127.0.0.1:0\"}", "{address=\"127.0.0.1:0\",tls=false}");
    let listeners = format!("listeners=[{plain},{tls}]");
    let running = program
        .start_with(&["--set", &listeners, "--set", "log.filter=trace"])
        .await;
    let mut certificate = HangingFile::instead_of(program.path("certs/localhost.pem"));
    running.signal(Signal::SIGHUP);
    certificate.is_read().await;
    // More lines than a pipe takes.
    for _ in 0..200 {
        assert_eq!(health(&running).await.0, 200);
    }
    fail(&running, "part=hub&how=panic").await;
    assert_eq!(running.ended_unread().await, Some(70));
}

/// A time far longer than the server needs to notice it.
const BLOCKED_FOR: Duration = Duration::from_secs(12);

#[tokio::test]
async fn a_hub_that_is_blocked_is_said_not_to_be_alive_while_it_is() {
    let program = Program::new();
    let running = program.start().await;
    assert_eq!(health(&running).await, (200, "alive\n".to_owned()));
    // Two clients that wait for the hub meanwhile do not keep others waiting.
    let groupcall = running.url("/groupcall").replace("http://", "ws://");
    let (mut waiting, _) = connect_async(&groupcall).await.unwrap();
    let since = Instant::now();
    fail(&running, &format!("part=hub&how=hang&ms={}", BLOCKED_FOR.as_millis())).await;
    waiting
        .send(Message::text(r#"{"type":"join","userId":1}"#))
        .await
        .unwrap();
    let _connecting = tokio::spawn(async move { drop(connect_async(&groupcall).await) });
    let mut answers = 0;
    let (status, text) = loop {
        let (status, text) = health(&running).await;
        answers += 1;
        if status != 200 {
            break (status, text);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let noticed = since.elapsed();
    assert_eq!((status, text.as_str()), (503, "signaling stands still\n"));
    assert!(noticed < BLOCKED_FOR / 2, "{noticed:?}, after {answers} answers");
    let (status, text) = health(&running).await;
    assert_eq!((status, text.as_str()), (503, "signaling stands still\n"));
    assert!(since.elapsed() < BLOCKED_FOR, "it answers while the hub is blocked");
    let alive = async { while health(&running).await.0 != 200 {} };
    timeout(Duration::from_secs(30), alive)
        .await
        .expect("it is alive again");
    // The server's pings may come first: the next is due after ten seconds.
    let served = loop {
        match waiting.next().await {
            Some(Ok(Message::Ping(_))) => {}
            other => break other,
        }
    };
    assert!(
        matches!(&served, Some(Ok(Message::Text(_)))),
        "who waited is served: {served:?}"
    );
    drop(waiting);
    let (code, _, _) = running.stop().await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_hub_that_is_blocked_does_not_keep_the_server_from_ending() {
    let program = Program::new();
    let running = program.start().await;
    fail(&running, "part=hub&how=hang&ms=60000").await;
    let since = Instant::now();
    let (code, _, stderr) = running.stop().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("ending rooms took longer than"), "{stderr}");
    assert!(since.elapsed() < Duration::from_secs(50), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_worker_that_dies_of_everything_does_not_eat_the_machine() {
    let program = Program::new();
    let mut running = program.start().await;
    for _ in 0..3 {
        fail(&running, "part=worker&worker=0&how=panic").await;
        running.wait_for("media worker replaced").await;
    }
    // It is the only worker: without it the server has no reason to go on.
    fail(&running, "part=worker&worker=0&how=panic").await;
    let (code, _, stderr) = running.ended().await;
    assert_eq!(code, Some(70), "{stderr}");
    assert!(!stderr.contains("media worker replaced"), "{stderr}");
    assert!(stderr.contains("all media workers are lost"), "{stderr}");
}
