//! Tokens of users: issued by a command, required by the server, and written down nowhere.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::program::{Program, RunningProgram, is_written_down};

const PATIENCE: Duration = Duration::from_secs(30);

async fn issue(program: &Program, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = program.run(&[&["token", "issue"], arguments].concat()).await;
    assert_eq!(code, Some(0), "{stderr}");
    stdout.strip_suffix('\n').expect("one line").to_owned()
}

/// The first answer to a message on a fresh connection: its `type` or `id`, or the code of the close.
async fn answer(running: &RunningProgram, path: &str, bearer: Option<&str>, message: Value) -> String {
    let mut request = running
        .url(path)
        .replace("http://", "ws://")
        .into_client_request()
        .unwrap();
    if let Some(token) = bearer {
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
    }
    let (mut socket, _) = connect_async(request).await.unwrap();
    socket.send(Message::text(message.to_string())).await.unwrap();
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("an answer comes") {
            Some(Ok(Message::Text(text))) => {
                let answer: Value = serde_json::from_str(&text).unwrap();
                let kind = answer.get("type").or(answer.get("response"));
                return kind.and_then(Value::as_str).unwrap().to_owned();
            }
            Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code).to_string(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_that_was_issued_opens_every_path_in_the_message_the_address_or_a_header() {
    let program = Program::new();
    let running = program
        .start_with(&[
            "--set",
            "listeners=[{address=\"127.0.0.1:0\",tls=false}]",
            "--set",
            "auth.required=true",
            "--set",
            "log.filter=patchbay=trace",
        ])
        .await;
    let token = issue(&program, &["anna"]).await;
    let later = issue(&program, &["ben", "--days", "365"]).await;
    let join = |user: &str| json!({ "type": "join", "userId": user });
    let with = |user: &str, token: &str| json!({ "type": "join", "userId": user, "token": token });
    let good = "existingParticipants";
    assert_eq!(answer(&running, "/groupcall", None, with("anna", &token)).await, good);
    assert_eq!(answer(&running, "/groupcall", None, with("ben", &later)).await, good);
    let address = format!("/groupcall?token={token}");
    assert_eq!(answer(&running, &address, None, join("anna")).await, good);
    assert_eq!(answer(&running, "/groupcall", Some(&token), join("anna")).await, good);
    assert_eq!(answer(&running, "/direct", Some(&token), join("anna")).await, good);
    let register = json!({ "id": "register", "name": "anna" });
    assert_eq!(
        answer(&running, "/call", Some(&token), register.clone()).await,
        "accepted"
    );
    let refused = "permisionDeny";
    assert_eq!(answer(&running, "/groupcall", None, join("anna")).await, refused);
    assert_eq!(answer(&running, &address, None, join("ben")).await, refused);
    let forged = format!("{token}x");
    assert_eq!(
        answer(&running, "/groupcall", Some(&forged), join("anna")).await,
        refused
    );
    assert_eq!(
        answer(&running, "/groupcall?token=", Some(&token), join("anna")).await,
        good
    );
    assert_eq!(answer(&running, "/call", Some(&later), register).await, "rejected");
    let by_name = json!({ "id": "joinRoom", "name": "anna", "room": "r" });
    assert_eq!(answer(&running, "/groupcall", None, by_name).await, "4401");
    let (_, stdout, stderr) = running.stop().await;
    for secret in [&token, &later, &forged] {
        let signature = secret.rsplit_once('.').unwrap().1;
        assert!(
            !stdout.contains(signature) && !stderr.contains(signature),
            "the log tells a token"
        );
        assert!(!is_written_down(program.folder.path(), signature));
    }
}

#[tokio::test]
async fn tokens_are_issued_to_users_only_and_not_for_ever() {
    let program = Program::new();
    program.start().await.stop().await;
    for (arguments, code, what) in [
        (&["token", "issue", ""][..], 1, "1 to 128 characters"),
        (&["token", "issue", "anna", "--days", "0"], 2, "--days"),
        (&["token", "issue", "anna", "--days", "366"], 2, "--days"),
    ] {
        let (found, stdout, stderr) = program.run(arguments).await;
        assert_eq!((found, stdout.as_str()), (Some(code), ""));
        assert!(stderr.contains(what), "{stderr}");
    }
    program.run(&["user", "add", "ben"]).await;
    let (code, _, stderr) = program.run(&["token", "issue", "anna"]).await;
    assert_eq!(code, Some(1));
    let last = stderr.lines().last();
    let expected = "patchbay: there is no user `anna`; add them with `patchbay user add`";
    assert_eq!(last, Some(expected));
    issue(&program, &["ben"]).await;
}
