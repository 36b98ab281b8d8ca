//! A client that is reached by nothing but TCP, made of one that speaks UDP: its datagrams go to the server over a TCP connection,
//! framed (RFC 4571), and come back the same way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Bytes that wait in the relay's own kernel: few, so that a relay that does not read is noticed.
const RECEIVE_BUFFER: u32 = 4_096;

pub struct TcpRelay {
    /// The address to which the client sends.
    pub address: SocketAddr,
    reads: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl TcpRelay {
    pub async fn to(server: SocketAddr) -> TcpRelay {
        let client_side = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = client_side.local_addr().unwrap();
        let (reads, reading) = watch::channel(true);
        let task = tokio::spawn(run(Arc::new(client_side), server, reading));
        TcpRelay { address, reads, task }
    }

    /// Whether what the server sends is read.
    pub fn read(&self, reads: bool) {
        self.reads.send_replace(reads);
    }
}

impl Drop for TcpRelay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn connect(server: SocketAddr) -> TcpStream {
    let socket = match server {
        SocketAddr::V4(_) => TcpSocket::new_v4().unwrap(),
        SocketAddr::V6(_) => TcpSocket::new_v6().unwrap(),
    };
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    socket.connect(server).await.unwrap()
}

/// The bytes of a packet as they are sent.
pub fn framed(packet: &[u8]) -> Vec<u8> {
    [&u16::try_from(packet.len()).unwrap().to_be_bytes()[..], packet].concat()
}

/// Opens a TCP connection for each port from which the client sends.
async fn run(client_side: Arc<UdpSocket>, server: SocketAddr, reading: watch::Receiver<bool>) {
    let mut ways: HashMap<SocketAddr, OwnedWriteHalf> = HashMap::new();
    let mut ways_back = JoinSet::new();
    let mut up = vec![0; 2_048];
    while let Ok((len, client)) = client_side.recv_from(&mut up).await {
        let way = match ways.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let (back, way) = connect(server).await.into_split();
                ways_back.spawn(carry_back(back, client_side.clone(), client, reading.clone()));
                new.insert(way)
            }
        };
        // The server may have closed it: then nothing gets through.
        let _ = way.write_all(&framed(&up[..len])).await;
    }
}

async fn carry_back(
    mut back: OwnedReadHalf,
    client_side: Arc<UdpSocket>,
    client: SocketAddr,
    mut reading: watch::Receiver<bool>,
) {
    let mut packet = [0; 65_536];
    while reading.wait_for(|reads| *reads).await.is_ok() {
        let Ok(len) = back.read_u16().await else { return };
        let packet = &mut packet[..usize::from(len)];
        if back.read_exact(packet).await.is_err() {
            return;
        }
        let _ = client_side.send_to(packet, client).await;
        // All that has waited at once would be more than the client's kernel takes.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
