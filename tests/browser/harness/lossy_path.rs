//! A path between a browser and the server on which packets are lost at random, and which takes time. It is a
//! relay in the test's own process. In each run it loses the same packets of a stream, whatever is sent beside them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Datagrams on their way in one direction at most: more than a second of video.
const ON_THE_WAY: usize = 4_096;

pub struct LossyPath {
    /// The address to which the browser sends.
    pub address: SocketAddr,
    conditions: Arc<Conditions>,
    /// Ends with the path.
    _task: JoinSet<()>,
}

#[derive(Default)]
struct Conditions {
    /// The share of media packets towards the browser that are lost, in thousandths.
    loss: AtomicU32,
    /// The same of those towards the server.
    loss_up: AtomicU32,
    /// The time in one direction, in milliseconds.
    delay: AtomicU64,
}

impl Conditions {
    fn due(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.delay.load(Ordering::Relaxed))
    }
}

impl LossyPath {
    pub async fn to(server: SocketAddr) -> LossyPath {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let conditions = Arc::new(Conditions::default());
        let mut task = JoinSet::new();
        task.spawn(run(Arc::new(socket), server, conditions.clone()));
        LossyPath {
            address,
            conditions,
            _task: task,
        }
    }

    /// Loses so many of a thousand packets towards the server from now on.
    pub fn loses_up(&self, loss: u32) {
        self.conditions.loss_up.store(loss, Ordering::Relaxed);
    }

    /// Loses so many of a thousand packets towards the browser from now on, and takes so long there and back.
    pub fn becomes(&self, loss: u32, round_trip: Duration) {
        self.conditions.loss.store(loss, Ordering::Relaxed);
        let delay = round_trip.as_millis() as u64 / 2;
        self.conditions.delay.store(delay, Ordering::Relaxed);
    }
}

/// A datagram, when it arrives, and where.
type OnTheWay = (Instant, Vec<u8>, SocketAddr);

/// Sends what comes out of the path at its time, in order.
async fn arrive(socket: Arc<UdpSocket>, mut path: mpsc::Receiver<OnTheWay>) {
    while let Some((due, datagram, to)) = path.recv().await {
        tokio::time::sleep_until(due).await;
        let _ = socket.send_to(&datagram, to).await;
    }
}

/// For each port from which the browser sends there is another one towards the server.
async fn run(near: Arc<UdpSocket>, server: SocketAddr, conditions: Arc<Conditions>) {
    let mut ways: HashMap<SocketAddr, mpsc::Sender<OnTheWay>> = HashMap::new();
    let mut tasks = JoinSet::new();
    let (down, arriving) = mpsc::channel(ON_THE_WAY);
    tasks.spawn(arrive(near.clone(), arriving));
    let mut losses = Losses::new(2);
    let mut datagram = vec![0; 2_048];
    while let Ok((len, client)) = near.recv_from(&mut datagram).await {
        if losses.takes(&datagram[..len], &conditions.loss_up) {
            continue;
        }
        let way = match ways.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let far = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                let (up, arriving) = mpsc::channel(ON_THE_WAY);
                tasks.spawn(arrive(far.clone(), arriving));
                tasks.spawn(back(far, client, down.clone(), conditions.clone()));
                new.insert(up)
            }
        };
        let _ = way.try_send((conditions.due(), datagram[..len].to_vec(), server));
    }
}

async fn back(far: Arc<UdpSocket>, client: SocketAddr, down: mpsc::Sender<OnTheWay>, conditions: Arc<Conditions>) {
    let mut losses = Losses::new(1);
    let mut datagram = vec![0; 2_048];
    while let Ok((len, _)) = far.recv_from(&mut datagram).await {
        if !losses.takes(&datagram[..len], &conditions.loss) {
            let _ = down.try_send((conditions.due(), datagram[..len].to_vec(), client));
        }
    }
}

/// Which packets are lost. Each stream has a sequence of its own that begins in the same way.
struct Losses {
    seed: u64,
    /// By SSRC, and whether it is RTCP.
    streams: HashMap<([u8; 4], bool), SmallRng>,
}

impl Losses {
    fn new(seed: u64) -> Losses {
        Losses {
            seed,
            streams: HashMap::new(),
        }
    }

    fn takes(&mut self, datagram: &[u8], loss: &AtomicU32) -> bool {
        // RFC 7983 §7: these are RTP and RTCP. A handshake that loses packets would only take longer.
        let is_media = datagram.len() >= 12 && (128..=191).contains(&datagram[0]);
        let loss = loss.load(Ordering::Relaxed);
        if !is_media || loss == 0 {
            return false;
        }
        // RFC 5761 §4: these types are RTCP's, whose SSRC stands four bytes earlier.
        let is_rtcp = (192..=223).contains(&datagram[1]);
        let at = if is_rtcp { 4 } else { 8 };
        let ssrc = datagram[at..at + 4].try_into().expect("four bytes");
        let seed = self.seed;
        let random = self
            .streams
            .entry((ssrc, is_rtcp))
            .or_insert_with(|| SmallRng::seed_from_u64(seed));
        random.random_ratio(loss, 1_000)
    }
}
