//! The load tester against the real server, and against faults.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::support::process::{Process, signal};
use super::support::server::Server;

/// A time longer than any run here should take; a tester that hangs is ended after that.
const PATIENCE: Duration = Duration::from_secs(60);

fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.arg("load").args(arguments.split_whitespace());
    command
}

async fn run(arguments: &str) -> Output {
    let mut command = tokio::process::Command::from(command(arguments));
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await;
    output.expect("the tester hangs").unwrap()
}

/// Runs to its end and reads the figures.
async fn figures(arguments: &str) -> Value {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("figures.json");
    let output = run(&format!("{arguments} --json {}", file.display())).await;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    let figures: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    println!("{arguments}: {}", String::from_utf8_lossy(&output.stdout));
    figures
}

/// Runs, expects a failure, and returns the sentence that it prints.
async fn failure(arguments: &str) -> String {
    let output = run(arguments).await;
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

/// The tester measures from two seconds after the last join on, and sends at least thirty packets a second: so it measures
/// when each subscriber has got four seconds' worth, however slow the machine is.
async fn until_measuring(server: &Server, subscribers: u32) {
    let wanted = f64::from(subscribers) * 4.0 * 30.0;
    let forwarded = || server.metric("patchbay_media_forwarded_packets_total");
    let reached = tokio::time::timeout(PATIENCE, async {
        server
            .until_metric("patchbay_media_subscriptions", f64::from(subscribers), PATIENCE)
            .await;
        let before = forwarded().await.unwrap_or_default();
        while forwarded().await.unwrap_or_default() < before + wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    reached.await.expect("the tester's packets are forwarded");
}

fn number(figures: &Value, path: &str) -> f64 {
    figures
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{path}: {figures:#}"))
}

#[tokio::test]
async fn an_address_without_a_server_is_one_sentence() {
    let message = failure("broadcast --url nonsense").await;
    assert!(
        message.contains("'nonsense' is not the address of a server"),
        "{message}"
    );
    let message = failure("broadcast --url ftp://127.0.0.1/").await;
    assert!(message.contains("is not the address of a server"), "{message}");
    // It is bound, so that nobody else listens there, and does not listen.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = closed.local_addr().unwrap().port();
    let message = failure(&format!("broadcast --url http://127.0.0.1:{port}")).await;
    assert!(message.contains("Is the server running there?"), "{message}");
    let message = failure("broadcast --publishers 0").await;
    assert!(message.contains("at least one publisher"), "{message}");
    let message = failure("meeting --publishers 4 --speakers 5").await;
    assert!(message.contains("--speakers must not be more"), "{message}");
    let message = failure("broadcast --speakers 1").await;
    assert!(message.contains("--speakers needs --sound"), "{message}");
    let message = failure("broadcast --tile-height 180").await;
    assert!(message.contains("--tile-height needs --simulcast"), "{message}");
    let message = failure("broadcast --server-pid 4194304").await;
    assert!(message.contains("no process 4194304"), "{message}");
}

#[tokio::test]
async fn a_link_that_cannot_be_is_refused_with_an_example() {
    for wrong in ["fast", "700,40,1,5", "700,-4", "20"] {
        let output = run(&format!("broadcast --link {wrong}")).await;
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.contains("--link") && message.contains("700,40,1.5"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_something_else_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let web = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = [0; 2_048];
        assert!(socket.read(&mut request).await.unwrap() > 0);
        socket
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    });
    let message = failure(&format!("broadcast --url {url}")).await;
    assert!(message.contains("did not take the WebSocket: HTTP 404"), "{message}");
    web.await.unwrap();
}

#[tokio::test]
async fn a_room_with_a_password_needs_it() {
    let server = Server::start().await;
    server.add_room("board", "swordfish").await;
    let line = |more: &str| {
        let url = server.plain("http", "");
        format!("broadcast --url {url} --room board --subscribers 2 --bitrate-kbps 200 --duration-s 1 {more}")
    };
    for wrong in ["", "--password perch"] {
        let message = failure(&line(wrong)).await;
        assert!(
            message.contains("did not let '") && message.contains("password"),
            "{message}"
        );
        assert!(!message.contains("perch"), "{message}");
    }
    figures(&line("--password swordfish")).await;
}

#[tokio::test]
async fn a_full_room_is_reported() {
    let server = Server::start_with("[limits]\nmax_participants_per_room = 3").await;
    let url = server.plain("http", "");
    let message = failure(&format!("broadcast --url {url} --subscribers 5 --duration-s 1")).await;
    // Which of the late ones reports this first is chance.
    assert!(
        message.contains("did not let 'viewer-") && message.contains("full"),
        "{message}"
    );
}

#[tokio::test]
async fn a_server_that_dies_ends_the_run_with_a_sentence() {
    let server = Server::start().await;
    let url = server.plain("http", "");
    let line = format!("broadcast --url {url} --subscribers 3 --bitrate-kbps 200 --duration-s 50");
    let running = tokio::spawn(async move { run(&line).await });
    until_measuring(&server, 3).await;
    signal(server.pid(), "KILL");
    let ended = tokio::time::timeout(Duration::from_secs(15), running).await;
    let output = ended.expect("it goes on without a server").unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("the server closed the connection of"), "{message}");
    // The figures until then are printed all the same.
    assert!(String::from_utf8_lossy(&output.stdout).contains("delivered"));
}

#[tokio::test]
async fn ctrl_c_gives_the_table_so_far() {
    let server = Server::start().await;
    let url = server.plain("http", "");
    let mut process = Process::start(command(&format!(
        "broadcast --url {url} --subscribers 2 --bitrate-kbps 200 --duration-s 50"
    )));
    until_measuring(&server, 2).await;
    signal(process.pid(), "INT");
    assert_eq!(process.wait().code(), Some(0));
    let message = process.output();
    assert!(message.contains("delivered") && message.contains("lost"), "{message}");
}

/// Whoever waits for a process gets what it printed last, however late it is read.
#[test]
fn the_whole_output_of_a_process_is_there_when_it_has_ended() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "(sleep 0.3; echo the last line) &"]);
    let mut process = Process::start(shell);
    process.wait();
    assert_eq!(process.output(), "the last line");
}

#[tokio::test]
async fn too_few_descriptors_are_reported_before_anything_is_sent() {
    let program = env!("CARGO_BIN_EXE_patchbay");
    let line = format!("ulimit -n 100; exec {program} load broadcast --url http://127.0.0.1:9 --subscribers 500");
    let output = tokio::process::Command::new("sh")
        .args(["-c", &line])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("file descriptors are needed") && message.contains("ulimit -n"),
        "{message}"
    );
}

#[tokio::test]
async fn media_is_sent_nowhere_but_to_the_given_server() {
    let server = Server::start_with("bind_addresses = [\"127.0.0.1\"]\nannounced_addresses = [\"127.0.0.2\"]").await;
    let message = failure(&format!("broadcast --url {} --subscribers 1", server.plain("http", ""))).await;
    assert!(message.contains("which is not the machine of the URL"), "{message}");
}

/// Not a packet may be lost, so `tests/run` runs these alone.
mod alone {
    use super::*;

    /// A client sends its first check as soon as it has its answer, while the worker is busy with other people's handshakes
    /// and packets. A check that is not answered is repeated only after a while, and the first picture comes later by that
    /// time.
    #[tokio::test]
    async fn no_first_check_of_a_joiner_reaches_the_worker_before_its_connection() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        for _ in 0..3 {
            figures(&format!(
                "meeting --url {url} --publishers 8 --bitrate-kbps 600 --duration-s 1 --joins-per-s 100"
            ))
            .await;
        }
        server.until_metric("patchbay_media_peers", 0.0, PATIENCE).await;
        let unknown = server.metric("patchbay_media_rejected_checks_total").await;
        assert_eq!(unknown, Some(0.0));
    }

    #[tokio::test]
    async fn a_join_storm_counts_its_joins() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let storm = figures(&format!(
            "join-storm --url {url} --subscribers 2 --joins-per-s 10 --bitrate-kbps 200 --duration-s 4"
        ))
        .await;
        let joins = number(&storm, "/joins");
        assert!((30.0..=42.0).contains(&joins), "{joins}");
        assert_eq!(number(&storm, "/lost_packets"), 0.0, "{storm:#}");
        assert_eq!(storm["errors"], serde_json::json!([]));
    }

    #[tokio::test]
    async fn a_broadcast_arrives_whole_and_the_figures_say_so() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let pid = server.pid();
        let seen = figures(&format!(
            "broadcast --url {url} --subscribers 5 --sound --bitrate-kbps 800 --duration-s 3 --verify-percent 50 --server-pid {pid}"
        ))
        .await;
        let sent = number(&seen, "/sent_packets");
        // Thirty frames of three or four packets and fifty of sound a second.
        assert!((300.0..900.0).contains(&sent), "{sent}");
        assert_eq!(number(&seen, "/delivered_packets"), 5.0 * sent);
        for nothing in [
            "/lost_packets",
            "/reordered_packets",
            "/duplicate_packets",
            "/corrupt_packets",
        ] {
            assert_eq!(number(&seen, nothing), 0.0, "{nothing}");
        }
        let compared = number(&seen, "/compared_packets") / number(&seen, "/delivered_packets");
        assert!((0.4..0.6).contains(&compared), "{compared}");
        assert_eq!(number(&seen, "/tracks_delivered"), 10.0);
        let (p50, p99) = (number(&seen, "/delay_us/p50"), number(&seen, "/delay_us/p99"));
        assert!(0.0 < p50 && p50 <= p99 && p99 <= number(&seen, "/delay_us/max"));
        assert!(number(&seen, "/delay_us/p95") <= p99);
        assert!(number(&seen, "/delivered_kbps_per_track") > 300.0);
        assert!(number(&seen, "/join_ms/p50") > 0.0 && number(&seen, "/join_ms/p99") > 0.0);
        assert!(number(&seen, "/server/cpu_ns_per_delivered_packet") > 100.0);
        assert!(number(&seen, "/server/rss_bytes") > 1e6);
        assert!(number(&seen, "/server/rss_bytes_per_participant") >= 0.0);
        assert_eq!(seen["errors"], serde_json::json!([]));
        assert_eq!(seen["settings"]["scenario"], "broadcast");
        assert_eq!(seen["link"], Value::Null);
    }

    #[tokio::test]
    async fn a_wide_link_changes_nothing() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let seen = figures(&format!(
            "meeting --url {url} --publishers 3 --bitrate-kbps 500 --duration-s 2 --link 1000000"
        ))
        .await;
        let sent = number(&seen, "/sent_packets");
        assert_eq!(number(&seen, "/delivered_packets"), 2.0 * sent);
        for nothing in [
            "/lost_packets",
            "/reordered_packets",
            "/duplicate_packets",
            "/corrupt_packets",
            "/link/queue_dropped_packets",
            "/link/randomly_lost_packets",
            "/link/asked_packets",
            "/link/frozen_percent",
        ] {
            assert_eq!(number(&seen, nothing), 0.0, "{nothing}");
        }
        // Behind a link all are opened, also those from just before the measurement.
        assert!(number(&seen, "/compared_packets") >= 2.0 * sent);
        // Two pictures and two voices.
        let kbps = number(&seen, "/link/arrived_kbps_per_subscriber");
        assert!((1_000.0..1_500.0).contains(&kbps), "{kbps}");
    }

    #[tokio::test]
    async fn a_link_that_loses_one_packet_in_twenty_is_repaired() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let seen = figures(&format!(
            "broadcast --url {url} --subscribers 4 --bitrate-kbps 800 --duration-s 4 --link 20000,20,5"
        ))
        .await;
        let lost = number(&seen, "/link/randomly_lost_packets");
        let copies = number(&seen, "/delivered_packets") + number(&seen, "/lost_packets");
        assert!((0.02..0.09).contains(&(lost / copies)), "{lost} of {copies}");
        assert_eq!(number(&seen, "/link/queue_dropped_packets"), 0.0);
        let asked = number(&seen, "/link/asked_packets");
        let repaired = number(&seen, "/link/repaired_packets");
        assert!(asked >= 0.8 * lost && repaired >= 0.97 * asked, "{asked}, {repaired}");
        assert_eq!(number(&seen, "/link/unrepaired_packets"), asked - repaired);
        assert!(number(&seen, "/link/packet_requests") >= asked);
        assert!(number(&seen, "/lost_packets") <= 0.05 * lost);
        for nothing in ["/reordered_packets", "/duplicate_packets", "/corrupt_packets"] {
            assert_eq!(number(&seen, nothing), 0.0, "{nothing}");
        }
        // A packet arrives 20 ms after it was sent, and a repaired one when it was asked for and sent again.
        let (p50, p99) = (number(&seen, "/delay_us/p50"), number(&seen, "/delay_us/p99"));
        assert!((20_000.0..60_000.0).contains(&p50), "{p50}");
        assert!(p99 >= 60_000.0, "{p99}");
        assert!(number(&seen, "/link/frozen_percent") < 5.0);
    }

    #[tokio::test]
    async fn a_narrow_link_carries_its_rate() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let seen = figures(&format!(
            "broadcast --url {url} --subscribers 2 --simulcast --bitrate-kbps 2500 --duration-s 4 --link 400,30"
        ))
        .await;
        let kbps = number(&seen, "/link/arrived_kbps_of_slowest_subscriber");
        assert!(kbps > 0.0 && kbps <= 410.0, "{kbps}");
        assert!(number(&seen, "/link/arrived_kbps_per_subscriber") >= kbps);
        assert!(number(&seen, "/link/feedback_packets") > 0.0);
        assert!(number(&seen, "/delay_us/p50") >= 30_000.0);
    }

    #[tokio::test]
    async fn a_video_that_does_not_fit_stands_still() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let seen = figures(&format!(
            "broadcast --url {url} --subscribers 2 --bitrate-kbps 2500 --duration-s 4 --link 400,30"
        ))
        .await;
        assert!(number(&seen, "/link/arrived_kbps_of_slowest_subscriber") <= 410.0);
        let worst = number(&seen, "/link/frozen_percent_of_worst_picture");
        assert!(worst > 50.0 && worst <= 100.0, "{worst}");
        assert!(number(&seen, "/link/freezes") >= 1.0 && number(&seen, "/link/longest_freeze_ms") > 200.0);
    }

    #[tokio::test]
    async fn meetings_rooms_and_simulcast_arrive_whole() {
        let server = Server::start().await;
        let url = server.plain("ws", "");
        let meeting = figures(&format!(
            "meeting --url {url} --publishers 4 --bitrate-kbps 300 --duration-s 2"
        ))
        .await;
        assert_eq!(number(&meeting, "/tracks_delivered"), 24.0);
        assert_eq!(number(&meeting, "/lost_packets"), 0.0);
        let rooms = figures(&format!(
            "rooms --url {url} --rooms 3 --publishers 2 --bitrate-kbps 300 --duration-s 2"
        ))
        .await;
        assert_eq!(number(&rooms, "/tracks_delivered"), 12.0);
        assert_eq!(number(&rooms, "/delivered_packets"), number(&rooms, "/sent_packets"));
        let audio = figures(&format!("audio --url {url} --publishers 3 --duration-s 2")).await;
        assert_eq!(
            number(&audio, "/delivered_packets"),
            2.0 * number(&audio, "/sent_packets")
        );
        let layers = figures(&format!(
            "broadcast --url {url} --subscribers 3 --simulcast --bitrate-kbps 1000 --duration-s 3"
        ))
        .await;
        // The best layer has two thirds of the bits.
        let kbps = number(&layers, "/delivered_kbps_of_slowest_track");
        assert!((500.0..800.0).contains(&kbps), "{kbps}");
        assert_eq!(
            number(&layers, "/lost_packets") + number(&layers, "/corrupt_packets"),
            0.0
        );
    }

    /// Of eight voices two speak, and more than them nobody hears. Nobody wants more than the lowest of three layers, so the other
    /// two are not sent.
    #[tokio::test]
    async fn what_nobody_hears_or_sees_is_not_sent_and_is_no_loss() {
        let server = Server::start().await;
        let url = server.plain("http", "");
        let line = format!("meeting --url {url} --publishers 8 --bitrate-kbps 400 --simulcast --duration-s 4");
        let whole = figures(&line).await;
        let seen = figures(&format!("{line} --speakers 2 --tile-height 180")).await;
        for nothing in ["/lost_packets", "/duplicate_packets", "/corrupt_packets"] {
            assert_eq!(number(&seen, nothing), 0.0, "{nothing}");
        }
        assert_eq!(seen["errors"], serde_json::json!([]));
        // Eight voices of 50 packets a second, and of each video 30 of the lowest layer.
        let sent = number(&seen, "/sent_packets") / number(&seen, "/measured_s");
        assert!((600.0..700.0).contains(&sent), "{sent}");
        // Two voices, or some more while they take turns: each is heard by seven.
        let videos = 8.0 * 7.0 * 30.0;
        let delivered = number(&seen, "/delivered_packets") / number(&seen, "/measured_s");
        let voices = (delivered - videos) / 7.0 / 50.0;
        assert!((1.8..4.5).contains(&voices), "{voices}");
        assert!(number(&whole, "/delivered_packets") / number(&whole, "/measured_s") > 2.0 * delivered);
    }
}
