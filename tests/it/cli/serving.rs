//! The server as a program: what it prints, and how it ends.

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::program::Program;

#[tokio::test]
async fn with_nothing_configured_it_makes_what_it_needs_and_prints_where_to_go() {
    let program = Program::new();
    let running = program
        .start_with(&["--set", "listeners=[{address=\"127.0.0.1:0\"}]"])
        .await;
    assert!(
        running.welcome.starts_with("Open https://localhost:"),
        "{}",
        running.welcome
    );
    assert!(
        running.welcome.contains("certs/localhost.pem is self-made"),
        "{}",
        running.welcome
    );
    assert!(
        running.welcome.contains("Media by UDP on 127.0.0.1:"),
        "{}",
        running.welcome
    );
    assert!(!running.welcome.contains("WARNING"), "{}", running.welcome);
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let page = http.get(running.url("/room")).send().await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    for made in ["certs/localhost.pem", "certs/localhost-key.pem", "data/patchbay.db"] {
        assert!(program.path(made).exists(), "{made}");
    }
    let (code, _, stderr) = running.stop().await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test]
async fn both_signals_end_it_in_order_and_a_second_one_at_once() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let program = Program::new();
        let running = program.start().await;
        running.signal(signal);
        let (code, _, stderr) = running.ended().await;
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.lines().last().unwrap().contains("stopped"), "{stderr}");
    }
    let program = Program::new();
    let running = program.start().await;
    // A request that is being answered keeps the server for some seconds.
    let address = running.url("").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let upload = "POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\
        Content-Type: multipart/form-data; boundary=b\r\n\r\n";
    stream.write_all(upload.as_bytes()).await.unwrap();
    // "100 Continue" says that the upload has begun.
    stream.read_exact(&mut [0; 12]).await.unwrap();
    running.signal(Signal::SIGTERM);
    let mut log = running;
    log.wait_for("stopping").await;
    log.signal(Signal::SIGTERM);
    let (code, _, _) = log.ended().await;
    assert_eq!(code, Some(130));
}

#[tokio::test]
async fn logs_can_be_lines_of_json_and_have_no_query() {
    let program = Program::new();
    let plain = "listeners=[{address=\"127.0.0.1:0\",tls=false}]";
    let running = program
        .start_with(&["--set", plain, "--set", "log.format=json", "--set", "log.filter=debug"])
        .await;
    reqwest::get(running.url("/room?userId=secret-id")).await.unwrap();
    let (_, _, stderr) = running.stop().await;
    for line in stderr.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line is an object");
        assert!(value["level"].is_string(), "{line}");
    }
    let answered: Vec<&str> = stderr.lines().filter(|line| line.contains("\"answered\"")).collect();
    assert!(answered.iter().any(|line| line.contains("/room")), "{stderr}");
    assert!(!stderr.contains("secret-id"), "{stderr}");
}

#[tokio::test]
async fn an_operator_who_opens_it_to_other_machines_without_users_is_warned() {
    let Some(program) = Program::on_lonely_network() else {
        return;
    };
    let wide = [
        "--set",
        "listeners=[{address=\"0.0.0.0:0\",tls=false}]",
        "--set",
        "media.announced_addresses=203.0.113.7",
    ];
    let (code, stdout, _) = program.start_with(&wide).await.stop().await;
    assert_eq!(code, Some(0));
    assert!(
        stdout.contains("WARNING: other machines can reach this server, and there are no users"),
        "{stdout}"
    );
    assert!(stdout.contains("Media by UDP on 203.0.113.7:"), "{stdout}");
    program.run(&["user", "add", "1"]).await;
    let (_, stdout, _) = program.start_with(&wide).await.stop().await;
    assert!(!stdout.contains("WARNING"), "{stdout}");
}

#[tokio::test]
async fn the_log_has_no_names_unless_it_is_to_have_everything() {
    let plain = "listeners=[{address=\"127.0.0.1:0\",tls=false}]";
    for (filter, is_whole) in [("info", false), ("debug", true), ("info,patchbay::names=debug", true)] {
        let program = Program::new();
        let filter = format!("log.filter={filter}");
        let running = program.start_with(&["--set", plain, "--set", &filter]).await;
        for (path, text) in [
            (
                "/direct",
                r#"{"type":"join","userId":13800000001,"room":"secret-number"}"#,
            ),
            (
                "/groupcall",
                r#"{"id":"joinRoom","name":"13800000001","room":"secret-number"}"#,
            ),
            ("/call", r#"{"id":"register","name":"13800000001"}"#),
        ] {
            let url = running.url(path).replace("http", "ws");
            let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
            socket.send(Message::text(text)).await.unwrap();
            socket.next().await.expect("it is answered").unwrap();
        }
        let (_, _, stderr) = running.stop().await;
        assert!(stderr.contains("joins") && stderr.contains("registers"), "{stderr}");
        for name in ["13800000001", "secret-number"] {
            assert_eq!(stderr.contains(name), is_whole, "{filter}: {name} in\n{stderr}");
        }
    }
}

#[tokio::test]
async fn lines_that_a_client_causes_again_and_again_are_left_out_and_counted() {
    let program = Program::new();
    let listeners = "listeners=[{address=\"127.0.0.1:0\",tls=false}]";
    let running = program
        .start_with(&["--set", listeners, "--set", "log.max_lines_per_kind=5"])
        .await;
    let address = running.url("/groupcall").replacen("http", "ws", 1);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    for _ in 0..100 {
        let join = Message::text(r#"{"type":"join","room":1,"userId":1}"#);
        socket.send(join).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert!(answer.to_text().unwrap().contains("existingParticipants"), "{answer}");
        let leave = Message::text(r#"{"type":"leave"}"#);
        socket.send(leave).await.unwrap();
    }
    let (code, _, stderr) = running.stop().await;
    assert_eq!(code, Some(0));
    let joins = stderr.lines().filter(|line| line.contains("joins")).count();
    // One period may end, and the next begin, in between.
    assert!((5..=15).contains(&joins), "{joins} lines of the same kind: {stderr}");
    assert!(stderr.contains("left_out="), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains("stopped"), "{stderr}");
}
