//! A UDP relay between clients and the server, which can lose packets: the bad network of real sockets.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

pub struct Relay {
    /// The address to which the client sends.
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    /// One in so many media packets towards the client is lost; 0 loses none.
    lose_one_in: AtomicU64,
    cut: AtomicBool,
    rebind: Notify,
    passed: AtomicU64,
    media_packets: AtomicU64,
    lost: AtomicU64,
}

impl Relay {
    pub async fn to(server: SocketAddr) -> Relay {
        let client_side = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = client_side.local_addr().unwrap();
        let state = Arc::new(State::default());
        let task = tokio::spawn(run(Arc::new(client_side), server, state.clone()));
        Relay { address, state, task }
    }

    /// Loses one in so many of the media packets that the server sends.
    #[allow(dead_code, reason = "each binary uses its own part of the relay")]
    pub fn lose_one_in(&self, packets: u64) {
        self.state.lose_one_in.store(packets, Ordering::Relaxed);
    }

    /// Acts like a NAT that forgets its bindings: from now on the server sees each client at another port, and packets that
    /// it sends to the old ones are lost.
    #[allow(dead_code, reason = "each binary uses its own part of it")]
    pub fn rebind(&self) {
        self.state.rebind.notify_one();
    }

    /// The number of clients' datagrams that were passed on.
    #[allow(dead_code, reason = "each binary uses its own part of the relay")]
    pub fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::Relaxed)
    }

    /// Nothing gets through any more, in either direction.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::Relaxed);
    }

    /// Everything gets through again.
    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::Relaxed);
    }

    #[allow(dead_code, reason = "each binary uses its own part of the relay")]
    pub fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn passes_to_client(&self, datagram: &[u8]) -> bool {
        if self.cut.load(Ordering::Relaxed) {
            return false;
        }
        let one_in = self.lose_one_in.load(Ordering::Relaxed);
        // RFC 7983 §7: 128 to 191 is RTP or RTCP; RFC 5761 §4: of which 192 to 223 in the second byte is RTCP.
        let is_media = matches!(datagram, [128..=191, second, ..] if !(192..=223).contains(second));
        if one_in == 0 || !is_media {
            return true;
        }
        let lost = self
            .media_packets
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(one_in);
        self.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
        !lost
    }
}

/// Acts like a NAT: for each port from which a client sends, it sends to the server from another port of its own. A client
/// may have several, and takes others when it restarts ICE.
async fn run(client_side: Arc<UdpSocket>, server: SocketAddr, state: Arc<State>) {
    let mut bindings: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut ways_back = JoinSet::new();
    let mut up = vec![0; 2_048];
    loop {
        tokio::select! {
            () = state.rebind.notified() => {
                bindings.clear();
                ways_back.shutdown().await;
            }
            Ok((len, client)) = client_side.recv_from(&mut up) => {
                let binding = match bindings.entry(client) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let binding = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                        ways_back.spawn(back(binding.clone(), client_side.clone(), client, state.clone()));
                        new.insert(binding)
                    }
                };
                if !state.cut.load(Ordering::Relaxed) {
                    state.passed.fetch_add(1, Ordering::Relaxed);
                    let _ = binding.send_to(&up[..len], server).await;
                }
            }
        }
    }
}

/// Carries datagrams from the server to one client, by the port that is bound to it.
async fn back(binding: Arc<UdpSocket>, client_side: Arc<UdpSocket>, client: SocketAddr, state: Arc<State>) {
    let mut down = vec![0; 2_048];
    loop {
        if let Ok((len, _)) = binding.recv_from(&mut down).await
            && state.passes_to_client(&down[..len])
        {
            let _ = client_side.send_to(&down[..len], client).await;
        }
    }
}
