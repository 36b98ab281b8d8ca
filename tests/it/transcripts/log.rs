//! The lines of the log about clients' messages.

use std::sync::Mutex;

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::{Stage, offers};

/// The log of everything on this thread, as long as it lives.
struct Log {
    written: &'static Mutex<Vec<u8>>,
    _guard: DefaultGuard,
}

impl Log {
    fn of(filter: &str) -> Log {
        // The log's writer needs it for ever.
        let written: &Mutex<Vec<u8>> = Box::leak(Box::default());
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(|| written.make_writer())
            .with_ansi(false)
            .finish();
        Log {
            written,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }

    /// The lines whose message is, or begins with, these words.
    fn lines(&self, words: &str) -> Vec<String> {
        let message = format!(": {words} ");
        let text = self.text();
        let found = text.lines().filter(|line| line.contains(&message));
        found.map(str::to_owned).collect()
    }
}

async fn sends_text(stage: &mut Stage, who: &str, what: &str) {
    stage.sends_text(who, &offers::fill_in(what)).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_can_carry_nothing_is_one_line() {
    let log = Log::of("info");
    let mut stage = Stage::new();
    sends_text(&mut stage, "anna", r#"{"type":"join","userId":1}"#).await;
    sends_text(&mut stage, "ben", r#"{"type":"join","userId":2}"#).await;
    let watches = r#"{"type":"receiveVideoFrom","userId":1,"sdpOffer":"@recvonly 1"}"#;
    sends_text(&mut stage, "ben", watches).await;
    for who in ["anna", "ben"] {
        stage.heard(who);
    }
    stage.play("media open 1 watch\nmedia cannot 1").await;
    let lines = log.lines("cannot decode what it is to be sent, and gets nothing");
    assert_eq!(lines.len(), 1, "{}", log.text());
    for part in ["peer=", "Video", "codec=AV1 profile 0, tier 0"] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
}

const ANNA: &str = "13800000001/secret-phone@device";
const BEN: &str = "13800000002/secret-tablet@device";
const NAMES: [&str; 5] = [
    "13800000001",
    "13800000002",
    "secret-phone",
    "secret-tablet",
    "secret-number",
];

/// Sends one message of each kind that names a person, a device or a room.
async fn name_everybody(stage: &mut Stage) {
    for (who, what) in [
        (
            "a@direct",
            r#"{"type":"join","userId":"13800000001","room":"secret-number"}"#,
        ),
        (
            "b",
            r#"{"id":"joinRoom","name":"13800000002","room":"secret-number","pw":"x"}"#,
        ),
        (
            "b",
            r#"{"id":"receiveVideoFrom","sender":"13800000002","sdpOffer":"@sendonly 1"}"#,
        ),
        ("b", r#"{"id":"onIceCandidate","name":"13800000002","candidate":{}}"#),
        ("a@ws", r#"{"cmd":1,"msgtype":1,"sender":"13800000001"}"#),
        (
            "a@ws",
            r#"{"cmd":5,"msgtype":1,"sender":"13800000001","receiver":"13800000002"}"#,
        ),
    ] {
        sends_text(stage, who, what).await;
    }
    stage.connect(BEN).await;
    let to_ben = r#"{"type":"call","to_phone":"13800000002","to_device_id":"secret-tablet"}"#;
    let answer = |kind: &str| {
        format!(r#"{{"type":"{kind}","from_phone":"13800000001","from_device_id":"secret-phone","room_id":"room 1"}}"#)
    };
    for kind in ["called_refuse", "called_success"] {
        sends_text(stage, ANNA, to_ben).await;
        sends_text(stage, BEN, &answer(kind)).await;
    }
    let hangs_up = r#"{"type":"calling_hangup","notified_phone":"13800000002","notified_device_id":"secret-tablet","room_id":"room 1"}"#;
    sends_text(stage, ANNA, hangs_up).await;
}

#[tokio::test(start_paused = true)]
async fn no_line_names_a_person_a_device_or_a_room_unless_the_log_is_to_have_all() {
    let names_in = |text: &str| NAMES.into_iter().filter(|name| text.contains(name)).count();
    let log = Log::of("debug,patchbay::names=info");
    name_everybody(&mut Stage::new()).await;
    assert_eq!(names_in(&log.text()), 0, "{}", log.text());
    drop(log);
    let log = Log::of("info,patchbay::names=debug");
    name_everybody(&mut Stage::new()).await;
    for message in [
        "joins",
        "can be reached",
        "registers",
        "calls",
        "accepts",
        "declines",
        "hangs up",
    ] {
        let lines = log.lines(message);
        assert!(!lines.is_empty(), "{message}: {}", log.text());
        assert!(lines.iter().all(|line| names_in(line) > 0), "{lines:?}");
    }
    assert_eq!(names_in(&log.text()), NAMES.len());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_died_is_not_said_to_read_too_slowly_and_one_that_does_is() {
    const SLOW: &str = "its queue is full, because it reads too slowly: closed";
    let log = Log::of("info");
    let mut stage = Stage::new();
    for (who, number) in [("anna", 1), ("ben", 2)] {
        sends_text(&mut stage, who, &format!(r#"{{"type":"join","userId":{number}}}"#)).await;
    }
    // Its task has ended before this reaches the hub.
    let (conversation, events) = stage.clients.get_mut("ben").unwrap().line.take().unwrap();
    drop(events);
    sends_text(&mut stage, "carl", r#"{"type":"join","userId":3}"#).await;
    drop(conversation);
    stage.hear().await;
    let heard = stage.heard("anna");
    assert_eq!(heard.last().unwrap()["type"], "participantLeft", "{heard:?}");
    assert_eq!(log.lines(SLOW), Vec::<String>::new());

    stage.stop_reading("anna");
    for _ in 0..600 {
        sends_text(&mut stage, "carl", r#"{"type":"leave"}"#).await;
        sends_text(&mut stage, "carl", r#"{"type":"join","userId":3}"#).await;
    }
    assert_eq!(log.lines(SLOW).len(), 1, "{}", log.text());
}
