//! The effect on the program of each signal that a terminal or a service manager may send.

use nix::sys::signal::Signal;

use super::program::{HangingFile, PATIENCE, Program, RunningProgram};

/// A listener with TLS.
const TLS: [&str; 2] = ["--set", "listeners=[{address=\"127.0.0.1:0\"}]"];

async fn answers(running: &RunningProgram) -> bool {
    let http = reqwest::Client::builder()
        .timeout(PATIENCE)
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let page = http.get(running.url("/room")).send().await;
    page.is_ok_and(|page| page.status().is_success())
}

#[tokio::test]
async fn quitting_from_a_terminal_ends_it_in_order() {
    let program = Program::new();
    let running = program.start().await;
    running.signal(Signal::SIGQUIT);
    let (code, _, stderr) = running.ended().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains("stopped"), "{stderr}");
}

#[tokio::test]
async fn a_hang_up_makes_it_read_its_certificate_again_and_go_on() {
    let program = Program::new();
    let mut running = program.start_with(&TLS).await;
    running.signal(Signal::SIGHUP);
    running.wait_for("read the certificate").await;
    assert!(answers(&running).await);
    program.write("certs/localhost.pem", "nonsense");
    running.signal(Signal::SIGHUP);
    running.wait_for("the old one stays in use").await;
    assert!(answers(&running).await);
    let (code, _, _) = running.stop().await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn signals_that_mean_nothing_to_it_do_not_end_it() {
    let program = Program::new();
    let mut running = program.start().await;
    for (signal, word) in [(Signal::SIGUSR1, "SIGUSR1"), (Signal::SIGUSR2, "SIGUSR2")] {
        running.signal(signal);
        running.wait_for(word).await;
    }
    running.signal(Signal::SIGPIPE);
    assert!(answers(&running).await);
    let (code, _, _) = running.stop().await;
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn it_goes_on_when_nobody_reads_its_log_any_more() {
    let program = Program::new();
    let mut running = program.start().await;
    running.stop_reading();
    running.signal(Signal::SIGHUP);
    running.signal(Signal::SIGUSR1);
    assert!(answers(&running).await);
    running.signal(Signal::SIGUSR2);
    assert!(answers(&running).await);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended().await.0, Some(0));
}

/// The log is not read, as in a paused terminal, or when its collector is stuck.
#[tokio::test]
async fn a_log_that_is_not_read_holds_up_nothing_and_its_lost_lines_are_counted() {
    let program = Program::new();
    let chatty = [
        "--set",
        "listeners=[{address=\"127.0.0.1:0\"}]",
        "--set",
        "log.filter=trace",
    ];
    let running = program.start_with(&chatty).await;
    let lost = async {
        // Far more lines than a pipe takes.
        while count(&running, "patchbay_log_lines_lost_total").await == 0 {
            for _ in 0..100 {
                assert!(answers(&running).await);
            }
        }
    };
    tokio::time::timeout(PATIENCE, lost)
        .await
        .expect("lines are lost and counted");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended_unread().await, Some(0));
}

async fn count(running: &RunningProgram, name: &str) -> u64 {
    let http = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let metrics = http.get(running.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let mut values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.next().map_or(0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_neither_signals_nor_the_end() {
    let program = Program::new();
    let mut running = program.start_with(&TLS).await;
    let mut certificate = HangingFile::instead_of(program.path("certs/localhost.pem"));
    running.signal(Signal::SIGHUP);
    certificate.is_read().await;
    running.signal(Signal::SIGUSR1);
    running.wait_for("SIGUSR1").await;
    assert!(answers(&running).await);
    let (code, _, stderr) = running.stop().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("stopped"), "{stderr}");
}

#[tokio::test]
async fn a_disk_that_hangs_while_it_starts_does_not_keep_it_from_ending() {
    let program = Program::new();
    let (code, ..) = program.start_with(&TLS).await.stop().await;
    assert_eq!(code, Some(0));
    let mut certificate = HangingFile::instead_of(program.path("certs/localhost.pem"));
    let running = program.begin(&TLS);
    certificate.is_read().await;
    running.signal(Signal::SIGTERM);
    let (code, _, stderr) = running.ended().await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test]
async fn asked_to_end_while_it_starts_it_ends_at_once() {
    // A database that accepts connections, and never answers.
    let database = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "storage.url=postgres://somebody@{}/somewhere",
        database.local_addr().unwrap()
    );
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let program = Program::new();
        let running = program.begin(&[
            "--set",
            "listeners=[{address=\"127.0.0.1:0\",tls=false}]",
            "--set",
            &url,
        ]);
        let _connection = database.accept().await.unwrap();
        // This signal does not ask for the end.
        running.signal(Signal::SIGHUP);
        running.signal(signal);
        let (code, stdout, stderr) = running.ended().await;
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(stdout, "", "nothing is announced");
        let last = stderr.lines().last().unwrap();
        assert!(last.contains("a signal ended the start"), "{stderr}");
    }
}
