//! The real program on free ports of loopback, with its data in a directory that is deleted with it.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::Process;

/// The time from start to ready, on a machine that is busy with other tests.
const START_PATIENCE: Duration = Duration::from_secs(30);

pub struct Server {
    process: Process,
    directory: TempDir,
    tls_port: u16,
    plain_port: u16,
    metrics_port: u16,
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with("").await
    }

    /// Starts it with more lines of configuration, beginning with a section.
    pub async fn start_with(configuration: &str) -> Server {
        let directory = TempDir::new().unwrap();
        // The system chooses the ports: one that was free a moment ago could be somebody else's by
        // now.
        configure(&directory, [0; 3], configuration);
        let (process, ports) = launch(&directory);
        // The ports for the next start.
        configure(&directory, ports, configuration);
        let [tls_port, plain_port, metrics_port] = ports;
        let server = Server {
            process,
            directory,
            tls_port,
            plain_port,
            metrics_port,
        };
        server.until_ready().await;
        server
    }

    /// The address of a page, as `https://…`.
    pub fn page(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.tls_port)
    }

    /// The port of the listener with TLS.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// An address of the listener without TLS, for programs.
    pub fn plain(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.plain_port)
    }

    pub async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        let response = http()
            .get(&url)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        response.text().await.unwrap()
    }

    /// The answer of `/healthz`.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn health(&self) -> (u16, String) {
        let url = format!("http://127.0.0.1:{}/healthz", self.metrics_port);
        let response = http().get(&url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Makes a part of it fail: `part=hub&how=panic`, `part=worker&worker=0&how=hang&ms=1000`, …
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn fail(&self, what: &str) {
        let url = format!("http://127.0.0.1:{}/debug/fault?{what}", self.metrics_port);
        let response = http().post(&url).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 204);
    }

    /// The sum of a metric over its labels; `None` if it does not exist.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics().await;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
        let values: Vec<f64> = text.lines().filter(of_name).filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Waits until a metric has a value; fails with all of them if that does not happen.
    pub async fn until_metric(&self, name: &str, wanted: f64, within: Duration) {
        let reached = tokio::time::timeout(within, async {
            while self.metric(name).await != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        if reached.await.is_err() {
            panic!(
                "{name} is not {wanted} within {within:?}:\n{}\n{}",
                self.metrics().await,
                self.log()
            );
        }
    }

    /// The memory that it holds now, in KiB.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }

    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Makes a room with a password, as an administrator would.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn add_room(&self, name: &str, password: &str) {
        self.command(&["room", "add", name], password).await;
    }

    /// Makes a conference with a PIN for hosts and one for guests, as an administrator would.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn add_conference(&self, alias: &str, host_pin: &str, guest_pin: &str) {
        let command = ["conference", "add", alias, "--guest-pin"];
        self.command(&command, &format!("{host_pin}\n{guest_pin}")).await;
    }

    /// Lets a user log in with a password, as an administrator would.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn add_account(&self, id: &str, name: &str, password: &str) {
        self.command(&["account", "add", id, "--name", name], password).await;
    }

    /// Runs a command of an administrator, and gives it these lines.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn command(&self, arguments: &[&str], lines: &str) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_patchbay"));
        command.args(arguments).current_dir(self.directory.path());
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut input, format!("{lines}\n").as_bytes())
            .await
            .unwrap();
        drop(input);
        assert!(child.wait().await.unwrap().success(), "{arguments:?}");
    }

    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Ends it as an administrator would, and starts it again on the same ports with the same data.
    pub async fn restart(&mut self) {
        self.process.terminate();
        (self.process, _) = launch(&self.directory);
        self.until_ready().await;
    }

    /// Ends it, and starts it again on the same ports with the same data and other lines of configuration.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub async fn restart_with(&mut self, configuration: &str) {
        let ports = [self.tls_port, self.plain_port, self.metrics_port];
        configure(&self.directory, ports, configuration);
        self.restart().await;
    }

    /// A file or folder of its data.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// The port of the listener without TLS.
    #[allow(dead_code, reason = "each binary uses its own part of the common support")]
    pub fn plain_port(&self) -> u16 {
        self.plain_port
    }

    async fn until_ready(&self) {
        let url = format!("http://127.0.0.1:{}/readyz", self.metrics_port);
        let ready = tokio::time::timeout(START_PATIENCE, async {
            while !http()
                .get(&url)
                .send()
                .await
                .is_ok_and(|response| response.status().is_success())
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if ready.await.is_err() {
            panic!(
                "the server is not ready after {START_PATIENCE:?}; it said:\n{}",
                self.log()
            );
        }
    }
}

fn configure(directory: &TempDir, [tls, plain, metrics]: [u16; 3], configuration: &str) {
    let written = format!(
        "[[listeners]]\naddress = \"127.0.0.1:{tls}\"\ntls = true\n\
         [[listeners]]\naddress = \"127.0.0.1:{plain}\"\ntls = false\n\
         [metrics]\naddress = \"127.0.0.1:{metrics}\"\n\
         [media]\nfirst_port = 0\nworkers = 2\n{configuration}\n"
    );
    std::fs::write(directory.path().join("patchbay.toml"), written).unwrap();
}

/// Starts it, and reads the ports that it prints: with TLS, without, for metrics.
fn launch(directory: &TempDir) -> (Process, [u16; 3]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.current_dir(directory.path()).env("RUST_BACKTRACE", "1");
    let process = Process::start(command);
    let addresses = [
        "Open https://localhost:",
        "Open http://localhost:",
        "Metrics at http://127.0.0.1:",
    ];
    let ports = addresses.map(|address| {
        process.wait_for_line(address, |line| {
            let (_, rest) = line.split_once(address)?;
            rest.split('/').next()?.parse().ok()
        })
    });
    (process, ports)
}

pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
