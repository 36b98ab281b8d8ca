//! A way for TCP between a browser and the server that takes time in each direction.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Pieces on their way in one direction at most.
const ON_THE_WAY: usize = 256;

pub struct SlowTcp {
    pub port: u16,
    /// Ends with the way.
    _task: JoinSet<()>,
}

impl SlowTcp {
    /// The handshake of TCP is made at this end of the way: the first bytes of a connection wait one more round trip for it.
    pub async fn to(server_port: u16, round_trip: Duration) -> SlowTcp {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = SocketAddr::from(([127, 0, 0, 1], server_port));
                let server = TcpStream::connect(server).await.unwrap();
                for one in [&client, &server] {
                    one.set_nodelay(true).unwrap();
                }
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                connections.spawn(pass(from_client, to_server, round_trip / 2, round_trip));
                connections.spawn(pass(from_server, to_client, round_trip / 2, Duration::ZERO));
            }
        });
        SlowTcp { port, _task: task }
    }
}

/// Passes on what comes, in order, each piece after `delay`, and none before `first` is over.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, first: Duration) {
    let opens = Instant::now() + first;
    let (pieces, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async {
        let mut bytes = vec![0; 16_384];
        while let Ok(len @ 1..) = from.read(&mut bytes).await {
            let due = Instant::now().max(opens) + delay;
            if pieces.send((due, bytes[..len].to_vec())).await.is_err() {
                return;
            }
        }
        drop(pieces);
    };
    let write = async {
        while let Some((due, piece)) = arriving.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
