//! Certificates that the server gets by itself: the real program, and an authority on loopback that comes to look.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::acme::{Mood, Ports, Twin, connect};
use crate::support::server::Server;

/// Time for a certificate: the attempt itself, and the look at the changed file every three seconds.
const PATIENCE: Duration = Duration::from_secs(40);

const NAMES: [&str; 2] = ["calls.example.org", "meet.example.org"];

fn configuration(twin: &Twin, names: &[&str]) -> String {
    format!(
        "[tls.acme]\ndomains = {names:?}\ncontact = \"admin@example.org\"\ndirectory = \"{}\"\ntrusted_certificate = \"{}\"\n",
        twin.directory(),
        twin.root().display()
    )
}

/// A server that wants a certificate for both names, and has none yet: the authority does not find the way to it.
async fn start(twin: &Twin) -> Server {
    Server::start_with(&configuration(twin, &NAMES)).await
}

/// Shows the authority the way.
fn lead(twin: &Twin, server: &Server) {
    twin.state().ports = Some(Ports {
        tls: server.tls_port(),
        http: server.plain_port(),
    });
}

/// A server with a certificate.
async fn certified(twin: &Twin) -> Server {
    let server = start(twin).await;
    lead(twin, &server);
    until_trusted(twin, &server, &NAMES).await;
    server
}

/// What a browser does that trusts the authority alone: a new connection under this name.
async fn visit(twin: &Twin, server: &Server, name: &str) -> Result<reqwest::Response, reqwest::Error> {
    let root = std::fs::read(twin.root()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&root).unwrap()])
        .resolve(name, (Ipv4Addr::LOCALHOST, server.tls_port()).into())
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://{name}:{}/healthz", server.tls_port());
    client.get(url).send().await
}

async fn until_trusted(twin: &Twin, server: &Server, names: &[&str]) {
    let trusted = async {
        for name in names {
            while !visit(twin, server, name)
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, trusted).await;
    assert!(in_time.is_ok(), "{:?}\n{}", twin.state().faults, server.log());
}

/// Waits until the log has a text so many times.
async fn until_logged(server: &Server, text: &str, times: usize) {
    let logged = async {
        while server.log().matches(text).count() < times {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, logged).await;
    assert!(in_time.is_ok(), "no {text:?} in\n{}", server.log());
}

/// Asks the server to try at once.
fn ask_again(server: &Server) {
    kill(Pid::from_raw(server.pid().try_into().unwrap()), Signal::SIGHUP).unwrap();
}

/// The certificate that a new connection is shown.
async fn shown(server: &Server) -> Vec<u8> {
    let stream = connect(server.tls_port(), NAMES[0], &[b"http/1.1"]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// A request over an open connection, which stays open.
async fn ask_over(stream: &mut TlsStream<TcpStream>) -> String {
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", NAMES[0]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = [0; 4_096];
    let read = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[tokio::test]
async fn two_names_get_a_certificate_and_connections_from_before_live_on() {
    let twin = Twin::start().await;
    let server = start(&twin).await;
    assert!(
        visit(&twin, &server, NAMES[0]).await.is_err(),
        "a self-made one stands in"
    );
    let mut old = connect(server.tls_port(), NAMES[1], &[b"http/1.1"]).await.unwrap();
    assert!(ask_over(&mut old).await.starts_with("HTTP/1.1 200"));
    lead(&twin, &server);
    until_trusted(&twin, &server, &NAMES).await;
    assert!(ask_over(&mut old).await.starts_with("HTTP/1.1 200"));

    let answer = visit(&twin, &server, NAMES[0]).await.unwrap();
    let hsts = super::running::header(&answer, "strict-transport-security");
    assert_eq!(hsts, "max-age=2592000", "the certificate is a real one");
    {
        let mut state = twin.state();
        state.found.sort();
        assert_eq!(state.found, NAMES.map(|name| format!("tls-alpn-01 {name}")));
        assert_eq!(state.faults, [""; 0]);
        assert_eq!(state.contacts, [serde_json::json!(["mailto:admin@example.org"])]);
    }
    let refused = connect(server.tls_port(), NAMES[0], &[b"acme-tls/1"]).await;
    assert!(refused.is_err(), "nobody is validated now");
    assert_eq!(server.metric("patchbay_acme_certificates_total").await, Some(1.0));
    let expiry = server.metric("patchbay_certificate_expiry_seconds").await.unwrap();
    assert!(expiry > 1.7e9, "{expiry}");
}

#[tokio::test]
async fn files_are_private_and_the_log_has_no_secret() {
    let twin = Twin::start().await;
    let server = certified(&twin).await;
    let mut secrets = Vec::new();
    for file in ["account.json", "certificate.pem", "progress.json"] {
        let path = server.path("certs/acme").join(file);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
        secrets.push(std::fs::read_to_string(path).unwrap());
    }
    let files = std::fs::read_dir(server.path("certs/acme")).unwrap();
    assert_eq!(files.count(), 3, "nothing is left beside them");
    let account: serde_json::Value = serde_json::from_str(&secrets[0]).unwrap();
    let account_key = account["credentials"]["key_pkcs8"].as_str().unwrap().to_owned();
    let key = secrets[1].split("PRIVATE KEY-----\n").nth(1).unwrap();
    let log = server.log();
    for secret in [account_key.as_str(), key.lines().next().unwrap()] {
        assert!(secret.len() > 40 && !log.contains(secret));
    }
}

#[tokio::test]
async fn a_restart_uses_what_is_kept_and_other_names_are_asked_for_at_once() {
    let twin = Twin::start().await;
    let mut server = certified(&twin).await;
    let first = shown(&server).await;
    server.restart().await;
    assert_eq!(shown(&server).await, first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(twin.counts(), (1, 1));

    server.restart_with(&configuration(&twin, &["new.example.org"])).await;
    until_trusted(&twin, &server, &["new.example.org"]).await;
    assert_eq!(twin.counts(), (1, 2), "one order more, by the same account");
    assert_eq!(twin.state().faults, [""; 0]);
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_expires() {
    let twin = Twin::start().await;
    twin.state().lifetime = Duration::from_secs(21);
    let server = certified(&twin).await;
    let first = shown(&server).await;
    until_logged(&server, "got a certificate", 2).await;
    until_trusted(&twin, &server, &NAMES).await;
    assert_ne!(shown(&server).await, first);
    assert_eq!(twin.counts(), (1, 2));
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the window is over now")]
async fn an_authority_that_wants_it_renewed_is_heard_and_told_what_is_replaced() {
    let twin = Twin::start().await;
    let mut server = certified(&twin).await;
    let now = SystemTime::now();
    twin.state().window = Some((now - Duration::from_secs(7_200), now - Duration::from_secs(3_600)));
    server.restart().await;
    until_logged(&server, "got a certificate", 1).await;
    assert_eq!(twin.counts(), (1, 2));
    assert_eq!(twin.state().replaced.len(), 1);
    assert_eq!(twin.state().faults, [""; 0]);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test]
async fn an_authority_that_is_down_stops_nothing_at_the_start_and_later() {
    let twin = Twin::start().await;
    twin.state().mood = Mood::Down;
    let server = start(&twin).await;
    lead(&twin, &server);
    until_logged(&server, "getting a certificate failed; trying again", 1).await;
    assert!(
        server.log().contains("the authority cannot be reached"),
        "{}",
        server.log()
    );
    assert_eq!(server.health().await.0, 200);
    server.until_metric("patchbay_acme_failures_total", 1.0, PATIENCE).await;
    {
        let mut state = twin.state();
        state.mood = Mood::Well;
        state.lifetime = Duration::from_secs(27);
    }
    ask_again(&server);
    until_trusted(&twin, &server, &NAMES).await;

    twin.state().mood = Mood::Down;
    until_logged(&server, "renewing the certificate failed; trying again", 1).await;
    assert!(server.log().contains("days_left=0"), "{}", server.log());
    assert!(visit(&twin, &server, NAMES[0]).await.is_ok(), "the old one is in use");
    twin.state().mood = Mood::Well;
    ask_again(&server);
    until_logged(&server, "got a certificate", 2).await;
    until_trusted(&twin, &server, &NAMES).await;
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_reason_and_the_doctor_shows_it() {
    let twin = Twin::start().await;
    twin.state().mood = Mood::Refuses("rejectedIdentifier", "the policy forbids this name");
    let server = start(&twin).await;
    until_logged(&server, "the policy forbids this name", 1).await;
    assert!(server.log().contains("rejectedIdentifier"), "{}", server.log());
    assert_eq!(server.log().matches("getting a certificate failed").count(), 1);
    let metrics = server.metrics().await;
    assert!(
        metrics.contains("patchbay_acme_failures_total{kind=\"refused\"} 1"),
        "{metrics}"
    );

    let mut doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_patchbay"));
    doctor.arg("doctor").current_dir(server.path(""));
    let said = String::from_utf8(doctor.output().await.unwrap().stdout).unwrap();
    let line = said.lines().find(|line| line.contains("acme")).unwrap_or_default();
    assert!(
        line.contains("WARNING") && line.contains("the policy forbids this name"),
        "{said}"
    );
}

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "the window is over now")]
async fn what_cannot_be_used_is_refused_and_the_old_certificate_stays() {
    let twin = Twin::start().await;
    let mut server = certified(&twin).await;
    let first = shown(&server).await;
    {
        let mut state = twin.state();
        let now = SystemTime::now();
        state.window = Some((now - Duration::from_secs(2), now - Duration::from_secs(1)));
        state.mood = Mood::Garbage;
    }
    server.restart().await;
    until_logged(
        &server,
        "the certificate is not used: it is no chain of certificates",
        1,
    )
    .await;
    twin.state().mood = Mood::OtherKey;
    ask_again(&server);
    until_logged(&server, "the certificate is not used: it was made for another key", 1).await;
    // Longer than the time between two looks at the file.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(shown(&server).await, first);
    assert!(visit(&twin, &server, NAMES[0]).await.is_ok());
}

#[tokio::test]
async fn where_the_authority_cannot_come_by_tls_it_comes_by_http() {
    let twin = Twin::start().await;
    let server = start(&twin).await;
    // Nobody listens where the names lead by TLS.
    let nowhere = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let tls = nowhere.local_addr().unwrap().port();
    drop(nowhere);
    twin.state().ports = Some(Ports {
        tls,
        http: server.plain_port(),
    });
    until_logged(&server, "getting a certificate failed", 1).await;
    assert!(
        server.log().contains("Connection refused"),
        "the reason: {}",
        server.log()
    );
    ask_again(&server);
    until_trusted(&twin, &server, &NAMES).await;
    let mut found = twin.state().found.clone();
    found.sort();
    assert_eq!(found, NAMES.map(|name| format!("http-01 {name}")));

    let elsewhere = server.plain("http", "/.well-known/acme-challenge/token-1");
    let answer = crate::support::server::http().get(elsewhere).send().await.unwrap();
    assert_eq!(answer.status(), 404, "it is shown no longer");
}

#[tokio::test]
async fn an_authority_that_sends_without_end_or_never_ends_does_no_harm() {
    let twin = Twin::start().await;
    twin.state().mood = Mood::Endless;
    let server = start(&twin).await;
    lead(&twin, &server);
    until_logged(&server, "more than 256 KiB", 1).await;
    twin.state().mood = Mood::Never;
    ask_again(&server);
    until_logged(&server, "does not finish in time", 1).await;
    twin.state().mood = Mood::Well;
    ask_again(&server);
    until_trusted(&twin, &server, &NAMES).await;
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
