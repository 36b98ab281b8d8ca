//! The authority comes to look for a challenge, at the ports to which the names lead.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::extensions::GeneralName;

/// Time for one look.
const WITHIN: Duration = Duration::from_secs(20);

/// The object identifier of acmeIdentifier (RFC 8737 §3).
const ACME_IDENTIFIER: &str = "1.3.6.1.5.5.7.1.31";

/// Where names lead: what is 443 and 80 in the world.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub tls: u16,
    pub http: u16,
}

/// Looks for a certificate with the digest of the key authorization (RFC 8737 §3).
pub async fn by_tls(port: u16, name: &str, key_authorization: &str) -> Result<(), String> {
    let stream = connect(port, name, &[b"acme-tls/1"]).await?;
    let (_, connection) = stream.get_ref();
    if connection.alpn_protocol() != Some(b"acme-tls/1") {
        return Err("it does not speak acme-tls/1".to_owned());
    }
    let [certificate] = connection.peer_certificates().unwrap_or_default() else {
        return Err("it does not show one certificate".to_owned());
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let names = parsed.subject_alternative_name().unwrap().ok_or("it has no name")?;
    if names.value.general_names != [GeneralName::DNSName(name)] {
        return Err(format!("it has the names {:?}", names.value.general_names));
    }
    let mut extensions = parsed.extensions().iter();
    let identifier = extensions
        .find(|extension| extension.oid.to_id_string() == ACME_IDENTIFIER)
        .ok_or("it has no acmeIdentifier")?;
    // An OCTET STRING of 32 bytes.
    let wanted = [&[4, 32], digest(&SHA256, key_authorization.as_bytes()).as_ref()].concat();
    match identifier.critical && identifier.value == wanted {
        true => Ok(()),
        false => Err("its acmeIdentifier is another one, or not critical".to_owned()),
    }
}

/// Looks for the key authorization (RFC 8555 §8.3).
pub async fn by_http(port: u16, name: &str, token: &str, key_authorization: &str) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(WITHIN)
        .resolve(name, (Ipv4Addr::LOCALHOST, port).into())
        .build()
        .unwrap();
    let url = format!("http://{name}:{port}/.well-known/acme-challenge/{token}");
    let answer = client.get(url).send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    match status.as_u16() == 200 && text.trim_end() == key_authorization {
        true => Ok(()),
        false => Err(format!("it answers {status}: {text}")),
    }
}

/// A connection by TLS, whatever certificate is shown.
pub async fn connect(port: u16, name: &str, protocols: &[&[u8]]) -> Result<TlsStream<TcpStream>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = async {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    };
    match timeout(WITHIN, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

/// Believes every certificate, and checks that its key is there.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
