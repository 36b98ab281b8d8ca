//! Every error that keeps the server from starting is one sentence on standard error, and exit code
//! 1.

use sqlx::{Connection, Executor, SqliteConnection};

use super::program::Program;

/// Flags with which a server starts.
const GOOD: [&str; 4] = [
    "--set",
    "listeners=[{address=\"127.0.0.1:0\",tls=false}]",
    "--set",
    "media.first_port=0",
];

/// The sentence with which a start ends.
async fn failure(program: &Program, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = program.run(&[&GOOD[..], arguments].concat()).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert_eq!(stdout, "", "nothing is announced");
    let sentence = stderr.lines().last().unwrap_or_default();
    assert!(sentence.starts_with("patchbay: "), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    sentence.to_owned()
}

#[tokio::test]
async fn a_used_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listeners = format!("listeners=[{{address=\"{address}\",tls=false}}]");
    let sentence = failure(&Program::new(), &["--set", &listeners]).await;
    assert!(
        sentence.contains(&format!("cannot listen on {address}: the port is in use")),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_used_port_for_metrics_is_not_blamed_on_the_listeners() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sentence = failure(&Program::new(), &["--set", &format!("metrics.address={address}")]).await;
    assert!(
        sentence.contains(&format!("cannot listen on {address}: the port is in use")),
        "{sentence}"
    );
    assert!(
        sentence.contains("change metrics.address in the configuration"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_recording_that_robots_cannot_play() {
    let program = Program::new();
    program.write("hello.opus", "nothing to hear");
    let sentence = failure(&program, &["--set", "robot.file=hello.opus"]).await;
    assert!(
        sentence.contains("robot.file: hello.opus cannot be played: it is no Ogg file"),
        "{sentence}"
    );
    assert!(sentence.contains("ffmpeg -i hello.opus "), "{sentence}");
    let sentence = failure(&program, &["--set", "robot.file=missing.opus"]).await;
    assert!(
        sentence.contains("robot.file: cannot read missing.opus: No such file"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_database_without_a_file() {
    for url in ["sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
        let sentence = failure(&Program::new(), &["--set", &format!("storage.url={url}")]).await;
        assert!(
            sentence.contains(&format!(
                "storage.url `{url}` is not understood: it names no file. Write sqlite:<path"
            )),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn a_value_that_its_setting_does_not_take() {
    let wanted = "media.first_port is 70000; it must be a whole number from 0 to 65535 (a UDP port, or 0 for any)";
    let program = Program::new();
    let sentence = failure(&program, &["--set", "media.first_port=70000"]).await;
    assert_eq!(sentence, format!("patchbay: --set media.first_port=70000: {wanted}"));
    program.write("patchbay.toml", "[media]\n\nfirst_port = 70000\n");
    let sentence = failure(&program, &[]).await;
    assert_eq!(sentence, format!("patchbay: patchbay.toml, line 3: {wanted}"));
    program.write("patchbay.toml", "\nmedia = 5\n");
    let sentence = failure(&program, &[]).await;
    assert_eq!(
        sentence,
        "patchbay: patchbay.toml, line 2: media is a section: write [media], and its keys below that"
    );
}

#[tokio::test]
async fn a_used_media_port() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let sentence = failure(&Program::new(), &["--set", &format!("media.first_port={port}")]).await;
    assert!(
        sentence.contains(&format!("UDP 127.0.0.1:{port}: the port is in use.")),
        "{sentence}"
    );
    assert!(sentence.contains("change media.first_port"), "{sentence}");
}

#[tokio::test]
async fn a_processor_that_is_not_there() {
    let sentence = failure(&Program::new(), &["--set", "media.pin_workers=1023"]).await;
    assert!(
        sentence.contains("media.pin_workers: processor 1023 is not one that this process may use (0"),
        "{sentence}"
    );
}

#[tokio::test]
async fn an_address_of_another_machine() {
    let listeners = "listeners=[{address=\"192.0.2.1:8443\",tls=false}]";
    let sentence = failure(&Program::new(), &["--set", listeners]).await;
    assert!(sentence.contains("cannot listen on 192.0.2.1:8443"), "{sentence}");
}

#[tokio::test]
async fn a_bad_certificate() {
    let program = Program::new();
    program.write("cert.pem", "nonsense");
    program.write("key.pem", "nonsense");
    let tls = "listeners=[{address=\"127.0.0.1:0\",tls=true}]";
    let arguments = [
        "--set",
        tls,
        "--set",
        "tls.certificate=cert.pem",
        "--set",
        "tls.key=key.pem",
    ];
    let sentence = failure(&program, &arguments).await;
    assert!(sentence.contains("cert.pem holds no usable certificate"), "{sentence}");
}

#[tokio::test]
async fn a_locked_database() {
    let program = Program::new();
    let url = format!("sqlite:{}?mode=rwc", program.path("records.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other
        .execute("PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE t (x); BEGIN EXCLUSIVE")
        .await
        .unwrap();
    let sentence = failure(&program, &["--set", "storage.url=sqlite:records.db"]).await;
    assert!(
        sentence.contains(&format!(
            "the database {} is locked by another program",
            program.path("records.db").display()
        )),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_database_that_is_none() {
    let program = Program::new();
    program.write("records.db", &"not a database ".repeat(100));
    let sentence = failure(&program, &["--set", "storage.url=sqlite:records.db"]).await;
    assert!(
        sentence.contains("records.db is damaged, or not a database"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_directory_for_uploads_that_cannot_be_made() {
    let program = Program::new();
    program.write("file", "");
    let sentence = failure(&program, &["--set", "files.directory=file/uploads"]).await;
    assert!(sentence.contains("cannot keep uploads in file/uploads"), "{sentence}");
}

#[tokio::test]
async fn an_unknown_key_in_the_file() {
    let program = Program::new();
    program.write("patchbay.toml", "[media]\n\nfrist_port = 1\n");
    let sentence = failure(&program, &[]).await;
    assert!(
        sentence.contains("patchbay.toml, line 3: unknown key `frist_port`"),
        "{sentence}"
    );
    program.write("other.toml", "[nonsense]\n");
    let sentence = failure(&program, &["--config", "other.toml"]).await;
    assert!(
        sentence.contains("other.toml, line 1: unknown key `nonsense`"),
        "{sentence}"
    );
}

#[tokio::test]
async fn an_unknown_variable_in_the_environment() {
    let program = Program::new();
    let (code, _, stderr) = program
        .run_with(&GOOD, &[("PATCHBAY_MEDIA__FRIST_PORT", "1")], "")
        .await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("PATCHBAY_MEDIA__FRIST_PORT: unknown key `frist_port`"),
        "{stderr}"
    );
}

#[tokio::test]
async fn an_unknown_argument_has_the_usual_exit_code() {
    let (code, _, stderr) = Program::new().run(&["--nonsense"]).await;
    assert_eq!(code, Some(2), "{stderr}");
}
