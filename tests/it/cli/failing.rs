//! The server as a program, when a part of it fails without which it cannot go on.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::program::{Program, RunningProgram};

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
async fn a_hub_that_hangs_is_not_alive_and_says_so() {
    let program = Program::new();
    let running = program.start().await;
    assert_eq!(health(&running).await, (200, "alive\n".to_owned()));
    fail(&running, "part=hub&how=hang&ms=5000").await;
    let hung = async {
        loop {
            let health = health(&running).await;
            if health.0 != 200 {
                break health;
            }
        }
    };
    let hung = timeout(Duration::from_secs(30), hung).await;
    assert_eq!(
        hung.expect("it is noticed"),
        (503, "signaling stands still\n".to_owned())
    );
    let alive = async { while health(&running).await.0 != 200 {} };
    timeout(Duration::from_secs(30), alive)
        .await
        .expect("it is alive again");
    let (code, _, _) = running.stop().await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_worker_that_dies_of_everything_does_not_eat_the_machine() {
    let program = Program::new();
    let mut running = program.start().await;
    for _ in 0..3 {
        fail(&running, "part=worker&worker=0&how=panic").await;
        running.wait_for("media worker replaced").await;
    }
    // The only one: without it there is nothing to go on for.
    fail(&running, "part=worker&worker=0&how=panic").await;
    let (code, _, stderr) = running.ended().await;
    assert_eq!(code, Some(70), "{stderr}");
    assert!(!stderr.contains("media worker replaced"), "{stderr}");
    assert!(stderr.contains("all media workers are lost"), "{stderr}");
}
