//! The delay of requests of the call API while media are forwarded: 500 requests a second, half of them `call/msg` and half
//! `call/heartbeat`, with records on SQLite, while twenty participants of one room send 50 packets of sound a second to all
//! others. Server, load tester and this program share the machine.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its results, and panics if there are none"
)]

#[allow(dead_code, reason = "each binary uses its own part of the common support")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use support::process::Process;
use support::server::{Server, http};
use tokio::task::JoinSet;

const CALLS: u64 = 100;
const REQUESTS_A_SECOND: u64 = 500;
const MEASURED_S: u64 = 20;
const PARTICIPANTS: &str = "20";
/// Time for the participants to join: the load tester lets 50 join each second, and waits two seconds after the last one.
const JOIN: Duration = Duration::from_secs(4);
const KEY: &str = "a-key-of-the-bench-alone";

#[allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
fn clock() -> Instant {
    Instant::now()
}

#[tokio::main]
async fn main() {
    let server = Server::start_with(&format!("[dapi]\nkey = \"{KEY}\"\nmessage_window_s = 600\n")).await;
    let api = Api {
        http: http(),
        root: server.plain("http", "/dapi/"),
    };
    let mut channels = Vec::new();
    for call in 0..CALLS {
        channels.push(api.call(call).await);
    }
    let without_media = requests(&api, &channels).await;
    let figures = tempfile::NamedTempFile::new().unwrap();
    let mut load = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    load.args(["load", "audio", "--publishers", PARTICIPANTS, "--url"]);
    load.arg(server.plain("http", "")).arg("--json").arg(figures.path());
    load.args(["--duration-s", &MEASURED_S.to_string()]);
    let mut load = Process::start(load);
    tokio::time::sleep(JOIN).await;
    let with_media = requests(&api, &channels).await;
    let ended = tokio::task::spawn_blocking(move || (load.wait(), load.output()));
    let (status, output) = ended.await.unwrap();
    assert!(status.success(), "the load tester failed:\n{output}");
    let report: Value = serde_json::from_slice(&std::fs::read(figures.path()).unwrap()).unwrap();
    println!(
        "{REQUESTS_A_SECOND} requests a second for {MEASURED_S} s; the goal is a p99 under 20 ms, and no packet lost"
    );
    print("without media", &without_media);
    print("with media", &with_media);
    println!(
        "media: {} packets delivered, {} lost, p99 {} µs",
        report["delivered_packets"], report["lost_packets"], report["delay_us"]["p99"]
    );
}

fn print(what: &str, delays_us: &Histogram<u64>) {
    let at = |quantile| delays_us.value_at_quantile(quantile) as f64 / 1_000.0;
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

#[derive(Clone)]
struct Api {
    http: reqwest::Client,
    root: String,
}

impl Api {
    async fn ask(&self, path: &str, body: Value) -> Value {
        let request = self
            .http
            .post(format!("{}{path}", self.root))
            .bearer_auth(KEY)
            .body(body.to_string());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true, "{path}: {answer}");
        answer["data"].clone()
    }

    /// Lets two people talk. Returns their channel.
    async fn call(&self, call: u64) -> Value {
        let (caller, callee) = (format!("a{call}"), format!("b{call}"));
        let entry = self
            .ask("call/user", json!({ "src_uid": caller, "dst_uid": [callee] }))
            .await;
        let channel = entry["channel"].clone();
        self.ask("call/token", json!({ "uid": callee, "channel": channel }))
            .await;
        for user in [caller, callee] {
            self.ask("call/event", json!({ "uid": user, "channel": channel, "code": 1 }))
                .await;
        }
        channel
    }
}

/// Sends each request at its time, whether or not those before it have been answered. Returns their delays in microseconds,
/// from the time at which each was to be sent.
async fn requests(api: &Api, channels: &[Value]) -> Histogram<u64> {
    let start = clock();
    let mut sent = JoinSet::new();
    for count in 0..REQUESTS_A_SECOND * MEASURED_S {
        let due = start + Duration::from_micros(1_000_000 / REQUESTS_A_SECOND * count);
        tokio::time::sleep_until(due.into()).await;
        let call = count / 4 % CALLS;
        let user = format!("{}{call}", if count / 2 % 2 == 0 { "a" } else { "b" });
        let (path, body) = match count % 2 {
            0 => ("call/msg", json!({ "uid": user })),
            _ => (
                "call/heartbeat",
                json!({ "uid": user, "channel": channels[call as usize] }),
            ),
        };
        let api = api.clone();
        sent.spawn(async move {
            api.ask(path, body).await;
            due.elapsed().as_micros() as u64
        });
    }
    let mut delays = Histogram::new(3).unwrap();
    for delay in sent.join_all().await {
        delays.record(delay).unwrap();
    }
    delays
}
