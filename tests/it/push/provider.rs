//! A push service that a test runs: real sockets, TLS with a certificate of its own authority, HTTP/2 or HTTP/1.1. It writes down
//! every byte that it is sent, and plays the answers that it is told to.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Time that a request has to come, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the service does with a request.
#[derive(Clone, Debug)]
pub enum Play {
    Answer(u16, &'static str),
    /// With this header.
    Asks(u16, &'static str, (&'static str, &'static str)),
    /// No answer, ever.
    Silence,
    /// The connection is reset.
    Reset,
    /// A good answer, after this time.
    Slow(Duration),
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub version: Version,
    pub method: String,
    pub path: String,
    /// Names and values, sorted.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Number of the connection, from 1.
    pub connection: usize,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct State {
    plays: VecDeque<Play>,
    /// What is played when there is nothing else to play.
    always: Option<Play>,
    received: Vec<Received>,
    connections: usize,
}

pub struct Provider {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The authority of the test, whose certificate goes into `push.certificates`.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority { params, key }
    }

    pub fn write(&self, path: &Path) {
        let certificate = self.params.self_signed(&self.key).unwrap();
        std::fs::write(path, certificate.pem()).unwrap();
    }

    fn server(&self, protocol: &[u8]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }
}

impl Provider {
    /// A service that speaks one protocol, by its name in TLS: `h2` or `http/1.1`.
    pub async fn start(authority: &Authority, protocol: &'static str) -> Provider {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(authority.server(protocol.as_bytes())));
        let (state, stop) = (Arc::<Mutex<State>>::default(), CancellationToken::new());
        let provider = Provider {
            address,
            state: Arc::clone(&state),
            stop: stop.clone(),
        };
        let serving = async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let number = {
                    let mut state = state.lock().unwrap();
                    state.connections += 1;
                    state.connections
                };
                let serving = serve(socket, acceptor.clone(), protocol, Arc::clone(&state), number);
                tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
            }
        };
        tokio::spawn(provider.stop.clone().run_until_cancelled_owned(serving));
        provider
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub fn plays(&self, plays: impl IntoIterator<Item = Play>) {
        self.lock().plays = plays.into_iter().collect();
    }

    pub fn always_plays(&self, play: Play) {
        self.lock().always = Some(play);
    }

    /// The requests, once so many have come.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let come = async {
            while self.lock().received.len() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = timeout(PATIENCE, come).await;
        assert!(in_time.is_ok(), "{count} requests are awaited: {:?}", self.all());
        self.all()
    }

    pub fn all(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

async fn serve(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    protocol: &'static str,
    state: Arc<Mutex<State>>,
    number: usize,
) {
    let reset = CancellationToken::new();
    // A socket that is closed at once resets its connection.
    socket2::SockRef::from(&socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    let Ok(tls) = acceptor.accept(socket).await else { return };
    let service = service_fn(|request| {
        let (state, reset) = (Arc::clone(&state), reset.clone());
        async move { Ok::<_, Infallible>(answer(request, state, reset, number).await) }
    });
    let io = TokioIo::new(tls);
    let serving = async {
        match protocol {
            "h2" => {
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                http.serve_connection(io, service).await.ok();
            }
            _ => {
                let http = hyper::server::conn::http1::Builder::new();
                http.serve_connection(io, service).await.ok();
            }
        }
    };
    reset.run_until_cancelled(serving).await;
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    reset: CancellationToken,
    connection: usize,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), 1 << 20).await.unwrap();
    let mut headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    let play = {
        let mut state = state.lock().unwrap();
        state.received.push(Received {
            at: Instant::now(),
            version: head.version,
            method: head.method.to_string(),
            path: head.uri.path_and_query().unwrap().to_string(),
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            connection,
        });
        state.plays.pop_front().or(state.always.clone())
    };
    let answer = |status: u16, body: &'static str| {
        let builder = Response::builder()
            .status(status)
            .header("content-type", "application/json");
        builder.body(Body::from(body)).unwrap()
    };
    match play.unwrap_or(Play::Answer(200, r#"{"sendno":"1","msg_id":"2"}"#)) {
        Play::Answer(status, body) => answer(status, body),
        Play::Asks(status, body, (name, value)) => {
            let mut answer = answer(status, body);
            answer.headers_mut().insert(name, value.parse().unwrap());
            answer
        }
        Play::Silence => std::future::pending().await,
        Play::Reset => {
            reset.cancel();
            std::future::pending().await
        }
        Play::Slow(time) => {
            sleep(time).await;
            answer(200, "{}")
        }
    }
}
