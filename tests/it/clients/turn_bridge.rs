//! A bridge for clients that speak to a relay by UDP alone: it carries their messages by TCP or TLS, as RFC 8656 §12.5 has them there.

use std::net::SocketAddr;
use std::sync::Arc;

use patchbay::turn::framing;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// A connection to the relay's port, or by TLS to that of the pages, with the certificate that the server has made.
pub enum To<'a> {
    Tcp(SocketAddr),
    Tls(u16, &'a std::path::Path),
}

/// Ends when it is dropped.
pub struct Bridge {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bridge {
    pub async fn to(to: To<'_>) -> Bridge {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = match to {
            To::Tcp(relay) => tokio::spawn(carry(socket, TcpStream::connect(relay).await.unwrap())),
            To::Tls(port, certificate) => tokio::spawn(carry(socket, tls(port, certificate).await)),
        };
        Bridge { address, task }
    }
}

/// A TLS connection to a port of 127.0.0.1 that wants no HTTP in particular.
pub async fn tls(port: u16, certificate: &std::path::Path) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .unwrap()
}

/// Carries messages of one client both ways, until one side has ended.
async fn carry(socket: UdpSocket, stream: impl AsyncRead + AsyncWrite) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut datagram, mut chunk) = (vec![0; 4_096], vec![0; 4_096]);
    let (mut held, mut client) = (Vec::new(), None);
    loop {
        tokio::select! {
            received = socket.recv_from(&mut datagram) => {
                let Ok((len, from)) = received else { return };
                client = Some(from);
                let padded = len.next_multiple_of(4);
                datagram[len..padded].fill(0);
                if writer.write_all(&datagram[..padded]).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
            }
            read = reader.read(&mut chunk) => {
                let Ok(bytes @ 1..) = read else { return };
                held.extend_from_slice(&chunk[..bytes]);
                let mut places = Vec::new();
                let end = framing::split(&held, &mut places).expect("the relay sends messages of TURN");
                for place in places {
                    socket.send_to(&held[place], client.unwrap()).await.unwrap();
                }
                held.drain(..end);
            }
        }
    }
}
