//! The signaling WebSocket of one participant, and the server's address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::error::LoadError;

/// Time after which an answer that is still missing will not come.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The server of the run.
#[derive(Clone, Debug)]
pub struct Target {
    /// "ws://host:port" or "wss://host:port", and the path of the URL, without a slash at the end.
    pub base: String,
    /// The only addresses that media is sent to.
    pub(crate) hosts: Vec<IpAddr>,
    insecure: bool,
}

impl Target {
    pub async fn resolve(url: &str, insecure: bool) -> Result<Target, LoadError> {
        let bad = || LoadError::Url(url.to_owned());
        let uri: axum::http::Uri = url.parse().map_err(|_| bad())?;
        let (scheme, port) = match uri.scheme_str() {
            Some("http" | "ws") => ("ws", 80),
            Some("https" | "wss") => ("wss", 443),
            _ => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        let port = authority.port_u16().unwrap_or(port);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let addresses = tokio::net::lookup_host((host, port)).await;
        let hosts: Vec<IpAddr> = addresses
            .map_err(|error| LoadError::Unreachable {
                url: url.to_owned(),
                reason: error.to_string(),
            })?
            .map(|address| address.ip())
            .collect();
        Ok(Target {
            base: format!(
                "{scheme}://{}:{port}{}",
                authority.host(),
                uri.path().trim_end_matches('/')
            ),
            // A server on this machine usually has a certificate that it made itself.
            insecure: insecure || hosts.iter().all(IpAddr::is_loopback),
            hosts,
        })
    }
}

/// One WebSocket. Errors have the name of its participant.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    who: String,
    /// Whether a frame has arrived: if the socket ends later, that is a loss; before, it is a refusal.
    heard: bool,
}

/// One frame.
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

impl Socket {
    /// Connects to `path` (with its query) below the target.
    pub async fn connect(
        target: &Target,
        server: &'static str,
        path: &str,
        protocol: Option<&'static str>,
        who: &str,
    ) -> Result<Socket, LoadError> {
        // The query may have a token, so errors do not show it.
        let url = format!("{}{}", target.base, path.split('?').next().unwrap_or_default());
        let unreachable = |reason: String| LoadError::Unreachable {
            url: url.clone(),
            reason,
        };
        let mut request = format!("{}{path}", target.base)
            .into_client_request()
            .map_err(|_| LoadError::Url(url.clone()))?;
        if let Some(protocol) = protocol {
            let value = HeaderValue::from_static(protocol);
            request.headers_mut().insert("Sec-WebSocket-Protocol", value);
        }
        let connector = target.insecure.then(|| Connector::Rustls(Arc::new(trusting())));
        let connecting = connect_async_tls_with_config(request, None, true, connector);
        let connected = tokio::time::timeout(ANSWER_TIMEOUT, connecting).await;
        let (stream, _) = connected
            .map_err(|_| unreachable("no answer".to_owned()))?
            .map_err(|error| match error {
                WebSocketError::Http(response) => LoadError::NotTaken {
                    url: url.clone(),
                    server,
                    reason: format!("HTTP {}", response.status()),
                },
                WebSocketError::Protocol(error) => LoadError::NotTaken {
                    url: url.clone(),
                    server,
                    reason: error.to_string(),
                },
                error => unreachable(error.to_string()),
            })?;
        Ok(Socket {
            stream,
            who: who.to_owned(),
            heard: false,
        })
    }

    pub async fn send(&mut self, text: String) -> Result<(), LoadError> {
        let sent = self.stream.send(Message::text(text)).await;
        sent.map_err(|error| self.ended(error.to_string()))
    }

    pub(crate) async fn send_binary(&mut self, bytes: Vec<u8>) -> Result<(), LoadError> {
        let sent = self.stream.send(Message::binary(bytes)).await;
        sent.map_err(|error| self.ended(error.to_string()))
    }

    /// The next frame, whenever it comes. Cancel-safe.
    pub async fn next(&mut self) -> Result<Frame, LoadError> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    self.heard = true;
                    return Ok(Frame::Text(text.to_string()));
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.heard = true;
                    return Ok(Frame::Binary(bytes.to_vec()));
                }
                Some(Ok(Message::Close(frame))) => {
                    let reason = frame.map_or_else(String::new, |frame| frame.reason.to_string());
                    let reason = if reason.is_empty() {
                        "it gave no reason".to_owned()
                    } else {
                        reason
                    };
                    return Err(self.ended(reason));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.ended(error.to_string())),
                None => return Err(self.ended("the connection has ended".to_owned())),
            }
        }
    }

    /// Waits for the next frame, for a limited time: the server must send one now.
    pub async fn expect(&mut self, what: &'static str) -> Result<Frame, LoadError> {
        let next = tokio::time::timeout(ANSWER_TIMEOUT, self.next()).await;
        next.unwrap_or_else(|_| {
            Err(LoadError::NoAnswer {
                who: self.who.clone(),
                what,
                seconds: ANSWER_TIMEOUT.as_secs(),
            })
        })
    }

    pub async fn close(mut self) {
        // The connection may have ended already.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.close(None)).await;
    }

    fn ended(&self, reason: String) -> LoadError {
        let who = self.who.clone();
        if self.heard {
            LoadError::Closed { who, reason }
        } else {
            LoadError::Refused { who, reason }
        }
    }
}

fn trusting() -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Trusting(provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider);
    builder
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth()
}

/// Accepts any certificate, for a server that the user has started themselves (`--insecure`).
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
