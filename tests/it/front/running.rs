//! A whole server on ports of its own, and an HTTP client that speaks to it.

use std::net::SocketAddr;
use std::time::Duration;

use patchbay::config::{Config, Listener};
use patchbay::server::Server;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A time longer than any step over loopback takes, on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Running {
    pub server: Server,
    pub data: TempDir,
    pub http: reqwest::Client,
}

/// A server without TLS, unless `adjust` gives other listeners.
pub async fn start(adjust: impl FnOnce(&mut Config)) -> Running {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config {
        listeners: vec![listener("127.0.0.1:0", false)],
        ..Config::default()
    };
    config.storage.url = format!("sqlite:{}", data.path().join("records.db").display());
    config.files.directory = data.path().join("files");
    config.tls.directory = data.path().join("certs");
    config.media.first_port = 0;
    config.media.workers = 1;
    adjust(&mut config);
    Running {
        server: Server::start(config).await.unwrap(),
        data,
        http: reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .timeout(PATIENCE)
            .build()
            .unwrap(),
    }
}

pub fn listener(address: &str, tls: bool) -> Listener {
    Listener {
        address: address.parse().unwrap(),
        tls,
    }
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.server.listeners()[0].address
    }

    pub fn url(&self, path: &str) -> String {
        let first = self.server.listeners()[0];
        let scheme = if first.tls { "https" } else { "http" };
        format!("{scheme}://{}{path}", first.address)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    /// Sends bytes as they are, and returns all that comes back until the server closes: for requests that no
    /// client library would send.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        // The server may have answered and closed before it has read everything.
        let _ = stream.write_all(request).await;
        until_closed(stream).await
    }
}

pub async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _ = read.await.expect("the server closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The value of a header, from a response as text.
pub fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
