//! The shell of a media worker: one thread with its sockets and its clock. Only this file and the files of its folder touch media
//! sockets.

pub(crate) mod relayed;
mod socket;
pub(crate) mod tcp;

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use quinn_udp::Transmit;
use slotmap::SecondaryMap;
use tokio::sync::mpsc;

use self::relayed::RelayedClients;
use self::socket::Receiver;
pub use self::socket::{Abilities, MediaSocket, abilities, bind};
use self::tcp::TcpConnections;
use super::doorbell::Doorbell;
use super::egress::Egress;
use super::keys::LinkId;
use super::load::Load;
use super::messages::MediaEvent;
use super::peer::ice::Path;
use super::remote::Via;
use super::stats::{Stats, WorkerMeters};
use super::worker::{Worker, WorkerConfig};
use crate::media::messages::DriverCommand;
#[cfg(debug_assertions)]
use crate::media::messages::Fault;
use crate::pinning;

/// The token of the waker, which is used when there is a command.
const WAKE: Token = Token(usize::MAX);
/// Batches read from one socket before timers get their turn: about a thousand packets, a millisecond.
const MAX_BATCHES: usize = 32;
/// Commands handled in one go: opening a connection takes some microseconds for each of its room's tracks, so these take well under
/// a millisecond. With fewer, many joins at once would take long.
const COMMANDS: usize = 32;
/// Datagrams of handshakes handled in one go. Each may be a few tenths of a millisecond of public-key work.
const HANDSHAKES: usize = 4;
/// Bytes of other workers' packets handled in one go: some two hundred packets, which stay in the second-level cache.
const MIRRORED_BYTES: usize = 256 * 1024;
/// Reads from TCP connections in one go, as for [`MAX_BATCHES`]: a client sends some packets at a time.
const TCP_READS: usize = 64;
/// Time between two copies of the counters to the rest of the server.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// Everything that a worker thread owns.
pub struct Driver {
    pub index: usize,
    pub sockets: Vec<MediaSocket>,
    pub(crate) tcp: TcpConnections,
    pub(crate) relayed: RelayedClients,
    pub poll: Poll,
    pub commands: mpsc::Receiver<DriverCommand>,
    pub events: mpsc::Sender<MediaEvent>,
    pub config: WorkerConfig,
    pub load: Arc<Load>,
    pub doorbell: Arc<Doorbell>,
    /// The doorbells of the other ends of links.
    pub(crate) doorbells: SecondaryMap<LinkId, Arc<Doorbell>>,
    /// The processor that the thread is pinned to, if any.
    pub cpu: Option<usize>,
}

/// Whether the thread goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LoopState {
    GoesOn,
    /// The worker has to close all connections and end.
    Ends,
}

/// A poll for the thread, and the waker that wakes it.
pub fn poll() -> io::Result<(Poll, Waker)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    Ok((poll, waker))
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the shell that owns the media workers' clock"
)]
fn clock() -> Instant {
    Instant::now()
}

impl Driver {
    /// Runs until a command ends it, or until the rest of the server has ended.
    pub fn run(mut self) -> io::Result<()> {
        if let Some(cpu) = self.cpu {
            pinning::pin_this_thread(cpu)?;
        }
        for (index, socket) in self.sockets.iter().enumerate() {
            let fd = socket.socket.as_raw_fd();
            self.poll
                .registry()
                .register(&mut SourceFd(&fd), Token(index), Interest::READABLE)?;
        }
        let segments = self.sockets.iter().map(|socket| socket.state.max_gso_segments());
        self.config.max_segments = segments.min().unwrap_or(1);
        let mut worker = Worker::new(clock(), self.config.clone());
        let mut events = Events::with_capacity(64);
        let mut receiver = Receiver::new();
        let mut mirrored = vec![0; MIRRORED_BYTES];
        let mut readable = vec![true; self.sockets.len()];
        let mut held_event = None;
        let mut next_stats = clock();
        let mut meters = WorkerMeters::new(self.index);
        loop {
            let now = clock();
            self.load.beat(now);
            if now >= next_stats {
                self.sweep(now, &mut worker);
                self.show(now, &worker, &mut meters);
                next_stats = now + STATS_INTERVAL;
            }
            let wake_at = worker.poll_timeout().map_or(next_stats, |due| due.min(next_stats));
            let is_busy =
                readable.contains(&true) || worker.has_waiting() || self.has_mail(&worker) || !self.commands.is_empty();
            let timeout = if !is_busy && self.doorbell.may_sleep(|| self.has_mail(&worker)) {
                wake_at.saturating_duration_since(now)
            } else {
                Duration::ZERO
            };
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.doorbell.awake();
            for token in events.iter().map(Event::token) {
                match readable.get_mut(token.0) {
                    Some(flag) => *flag = true,
                    // The waker's is none of a connection.
                    None => self.tcp.ready(token),
                }
            }
            let mut turn = self.take_commands(&mut worker)?;
            for (index, flag) in readable.iter_mut().enumerate() {
                if *flag && turn == LoopState::GoesOn {
                    (turn, *flag) = self.receive(&mut worker, &mut receiver, index)?;
                }
            }
            if turn == LoopState::Ends {
                worker.handle_shutdown(clock());
                self.send(&mut worker);
                return Ok(());
            }
            self.take_tcp(&mut worker, &mut receiver.buffer);
            self.take_relayed(&mut worker, &mut receiver.buffer);
            self.take_mirrored(&mut worker, &mut mirrored);
            self.take_waiting(&mut worker, &mut mirrored);
            worker.handle_timeout(clock());
            self.send(&mut worker);
            self.ring(&mut worker);
            self.report(&mut worker, &mut held_event);
        }
    }

    /// Ends the paths that no client uses any more.
    fn sweep(&mut self, now: Instant, worker: &mut Worker) {
        self.tcp.sweep(now, |remote| worker.knows(remote));
        for ended in self.relayed.sweep(|remote| worker.knows(remote)) {
            worker.forget_remote(now, ended);
        }
    }

    /// Handles some commands. The others wait until the packets that have arrived meanwhile have been sent on.
    fn take_commands(&mut self, worker: &mut Worker) -> io::Result<LoopState> {
        for _ in 0..COMMANDS {
            if self.is_given_up() {
                return Ok(LoopState::Ends);
            }
            let now = clock();
            self.load.beat(now);
            match self.commands.try_recv() {
                Ok(DriverCommand::Media(command)) => worker.handle_command(now, command),
                Ok(DriverCommand::Link { far, end, doorbell }) => {
                    let link = worker.link(now, far, *end);
                    // The doorbell of a link that has ended stays until another link has its place.
                    if let (Some(link), Some(doorbell)) = (link, doorbell) {
                        self.doorbells.insert(link, doorbell);
                    }
                }
                Ok(DriverCommand::Unlink { other }) => worker.unlink(now, other),
                // Whoever asked may have stopped waiting.
                Ok(DriverCommand::Report { rooms, reply }) => drop(reply.send(worker.report(now, &rooms))),
                #[cfg(debug_assertions)]
                Ok(DriverCommand::Fault(fault)) => fail(fault)?,
                Ok(DriverCommand::Shutdown) | Err(mpsc::error::TryRecvError::Disconnected) => {
                    return Ok(LoopState::Ends);
                }
                Err(mpsc::error::TryRecvError::Empty) => return Ok(LoopState::GoesOn),
            }
            self.send(worker);
        }
        Ok(LoopState::GoesOn)
    }

    /// Whether the hub has ended, or has replaced this worker while it hung. The commands in the queue are then for nobody, and
    /// arriving packets are for the new worker.
    fn is_given_up(&self) -> bool {
        self.commands.is_closed()
    }

    /// Handles the packets that have arrived at one socket. Returns whether the thread goes on, and whether there may be more.
    fn receive(&mut self, worker: &mut Worker, receiver: &mut Receiver, index: usize) -> io::Result<(LoopState, bool)> {
        for _ in 0..MAX_BATCHES {
            if self.is_given_up() {
                return Ok((LoopState::Ends, true));
            }
            match receiver.receive(&self.sockets[index]) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((LoopState::GoesOn, false)),
                // This is an ICMP answer to something sent earlier; the next call returns data again.
                Err(_) => continue,
            }
            // A connection is opened before its client gets the answer. So if the client's first check is in this batch, the command
            // to open its connection is in the queue by now. If more commands wait than are handled in one go, the client sends its
            // check again.
            if self.take_commands(worker)? == LoopState::Ends {
                return Ok((LoopState::Ends, true));
            }
            let now = clock();
            self.load.beat(now);
            worker.handle_datagrams(now, &mut receiver.buffer, &receiver.datagrams);
            // Others are woken before our own copies are made and sent, so that they work meanwhile.
            self.ring(worker);
            while !worker.forward(now, &receiver.buffer) {
                self.send(worker);
            }
            self.send(worker);
        }
        Ok((LoopState::GoesOn, true))
    }

    /// Handles what has come over TCP connections, as [`Driver::receive`] handles what a socket has. If anything is left, the thread wakes
    /// again at once.
    fn take_tcp(&mut self, worker: &mut Worker, buffer: &mut [u8]) {
        for _ in 0..TCP_READS {
            let now = clock();
            self.load.beat(now);
            let Some(received) = self.tcp.receive(now, buffer) else {
                return;
            };
            let path = Path {
                remote: received.remote,
                local: None,
            };
            worker.handle_packets(now, path, buffer, self.tcp.packets());
            self.ring(worker);
            while !worker.forward(now, buffer) {
                self.send(worker);
            }
            self.send(worker);
            if received.has_ended {
                worker.forget_remote(now, received.remote);
                self.tcp.close(received.remote);
            } else if received.is_new && !worker.knows(received.remote) {
                self.tcp.refuse(received.remote);
            }
        }
    }

    /// Whether somebody has put something into a queue of this thread.
    fn has_mail(&self, worker: &Worker) -> bool {
        worker.has_mail() || self.tcp.has_mail() || self.relayed.has_mail()
    }

    /// Handles what has come by our relay, as [`Driver::receive`] handles what a socket has.
    fn take_relayed(&mut self, worker: &mut Worker, buffer: &mut [u8]) {
        for _ in 0..MAX_BATCHES {
            if !self.relayed.has_mail() {
                return;
            }
            let now = clock();
            self.load.beat(now);
            self.relayed.receive(buffer, |path, buffer, place| {
                worker.handle_packets(now, path, buffer, std::slice::from_ref(&place));
            });
            self.ring(worker);
            while !worker.forward(now, buffer) {
                self.send(worker);
            }
            self.send(worker);
            self.relayed.keep(|remote| worker.knows(remote));
        }
    }

    /// Handles packets that came over links, as [`Driver::receive`] handles those from a socket. If packets are left, the
    /// thread wakes again at once.
    fn take_mirrored(&mut self, worker: &mut Worker, buffer: &mut [u8]) {
        for _ in 0..MAX_BATCHES {
            if !worker.has_mail() {
                return;
            }
            let now = clock();
            self.load.beat(now);
            worker.take_mirrored(now, buffer);
            while !worker.forward(now, buffer) {
                self.send(worker);
            }
            self.send(worker);
        }
    }

    /// Continues a few handshakes. The others follow in later turns.
    fn take_waiting(&mut self, worker: &mut Worker, buffer: &mut [u8]) {
        for _ in 0..HANDSHAKES {
            if !worker.has_waiting() {
                return;
            }
            let now = clock();
            self.load.beat(now);
            worker.take_waiting(now, buffer);
            while !worker.forward(now, buffer) {
                self.send(worker);
            }
            self.send(worker);
        }
    }

    /// Sends what the worker has for its clients.
    fn send(&mut self, worker: &mut Worker) {
        if !worker.egress().is_empty() {
            send(
                clock(),
                &self.sockets,
                (&mut self.tcp, &mut self.relayed),
                worker.egress(),
            );
        }
    }

    /// Shows the rest of the server what the worker counts, and what only its thread knows.
    fn show(&self, now: Instant, worker: &Worker, meters: &mut WorkerMeters) {
        let stats = Stats {
            tcp_connections: self.tcp.len() as u64,
            tcp_dropped_packets: self.tcp.dropped(),
            relay_dropped_packets: self.relayed.dropped(),
            tcp_refused_connections: self.tcp.refused(),
            ..worker.stats()
        };
        self.load.publish(&stats);
        meters.show(&stats);
        for path in worker.paths(now) {
            meters.paths.sample(&path);
        }
    }

    /// Wakes the threads at the other ends of the links that have something new.
    fn ring(&self, worker: &mut Worker) {
        while let Some(link) = worker.poll_wake() {
            if let Some(doorbell) = self.doorbells.get(link) {
                doorbell.ring();
            }
        }
    }

    /// Sends events to the hub. While its queue is full, one event is held here and the others wait in the worker, which has few for
    /// each connection and track (`worker/events.rs`).
    fn report(&self, worker: &mut Worker, held: &mut Option<MediaEvent>) {
        while let Some(event) = held.take().or_else(|| worker.poll_event()) {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                *held = Some(event);
                return;
            }
        }
    }
}

/// Sends the batch: datagrams by the sockets, the others by their TCP connections or by our relay. Datagrams that the kernel does not take are lost, as on any network, and counted.
fn send(
    now: Instant,
    sockets: &[MediaSocket],
    (tcp, relayed): (&mut TcpConnections, &mut RelayedClients),
    egress: &mut Egress,
) {
    let mut segments = usize::MAX;
    let mut refused = 0;
    for (send, bytes) in egress.sends() {
        let is_taken = match send.path.remote.via {
            Via::Udp => None,
            Via::Tcp(key) => Some(tcp.queue(now, key, send, bytes)),
            Via::Relay(key) => Some(relayed.send(key, send, bytes)),
        };
        if let Some(is_taken) = is_taken {
            refused += if is_taken { 0 } else { send.datagrams() };
            continue;
        }
        let Some(socket) = sockets.iter().find(|socket| socket.carries(send)) else {
            refused += send.datagrams();
            continue;
        };
        let transmit = Transmit {
            destination: send.path.remote.address,
            ecn: None,
            contents: bytes,
            segment_size: (bytes.len() > send.segment).then_some(send.segment),
            src_ip: send.path.local,
        };
        if socket.state.try_send((&socket.socket).into(), &transmit).is_err() {
            refused += send.datagrams();
        }
        // The library switches GSO off when a device refuses it.
        segments = segments.min(socket.state.max_gso_segments());
    }
    tcp.flush_queued();
    egress.count_refused(refused);
    egress.clear();
    egress.limit_segments(segments);
}

#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "a test asks for it, to see what the others do")]
fn fail(fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Panic => panic!("a test has asked for this"),
        Fault::Error => Err(io::Error::other("a test has asked for this")),
        Fault::Hang(time) => {
            std::thread::sleep(time);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

    use super::*;
    use crate::ids::PeerId;
    use crate::media::messages::MediaCommand;
    use crate::media::peer::dtls::DtlsIdentity;
    use crate::media::worker::WORKER_CACHE_BYTES;

    #[test]
    fn what_the_kernel_does_not_take_is_counted_and_what_it_takes_arrives() {
        let (sockets, _) = bind(&["127.0.0.1".parse().unwrap()], 0).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let to = |remote: SocketAddr| Path {
            remote: remote.into(),
            local: None,
        };
        let (mut tcp, mut relayed) = (no_tcp(&Poll::new().unwrap()), nothing_relayed());
        // Three datagrams of one run, the last one shorter, to a port that is closed; and one to a family that no socket has.
        let nowhere = to("127.0.0.1:0".parse().unwrap());
        let mut egress = Egress::new(8);
        for len in [100, 100, 60] {
            egress.push(nowhere, &vec![1; len]);
        }
        egress.push(to("[::1]:9".parse().unwrap()), &[2; 10]);
        egress.push(to(receiver.local_addr().unwrap()), &[3; 10]);
        send(clock(), &sockets, (&mut tcp, &mut relayed), &mut egress);
        assert_eq!(egress.refused(), 4);
        assert!(egress.is_empty());
        let mut received = [0; 64];
        assert_eq!(receiver.recv(&mut received).unwrap(), 10);
        assert_eq!(received[..10], [3; 10]);
        egress.push(nowhere, &[4; 10]);
        send(clock(), &sockets, (&mut tcp, &mut relayed), &mut egress);
        assert_eq!(egress.refused(), 5, "since the start");
        assert_eq!(egress.dropped(), 0);
    }

    fn nothing_relayed() -> RelayedClients {
        RelayedClients::new(mpsc::channel(1).1)
    }

    fn no_tcp(poll: &Poll) -> TcpConnections {
        TcpConnections::new(mpsc::channel(1).1, poll.registry().try_clone().unwrap())
    }

    fn driver(
        sockets: Vec<MediaSocket>,
        commands: mpsc::Receiver<DriverCommand>,
        events: mpsc::Sender<MediaEvent>,
    ) -> (Driver, Worker) {
        let config = WorkerConfig {
            identity: DtlsIdentity::generate().unwrap(),
            spare_identity: DtlsIdentity::generate().unwrap(),
            max_publish_bps: 1_000_000,
            max_segments: 1,
            cache_bytes: WORKER_CACHE_BYTES,
            index: 0,
            generation: 0,
        };
        let (poll, _) = poll().unwrap();
        let driver = Driver {
            index: 0,
            sockets,
            tcp: no_tcp(&poll),
            relayed: nothing_relayed(),
            poll,
            commands,
            events,
            config: config.clone(),
            load: Arc::new(Load::new(None)),
            doorbell: Arc::new(Doorbell::new(None)),
            doorbells: SecondaryMap::new(),
            cpu: None,
        };
        (driver, Worker::new(clock(), config))
    }

    #[test]
    fn a_worker_that_was_given_up_while_it_hung_leaves_its_commands_undone_and_datagrams_to_the_next_one() {
        let (sockets, port) = bind(&[Ipv4Addr::LOCALHOST.into()], 0).unwrap();
        let (commands, receiver) = mpsc::channel(1);
        let (events, _events) = mpsc::channel(1);
        let (mut driver, mut worker) = driver(sockets, receiver, events);
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client
            .send_to(b"for the next one", (Ipv4Addr::LOCALHOST, port))
            .unwrap();
        assert!(commands.try_send(DriverCommand::Unlink { other: 1 }).is_ok());
        drop(commands);

        let turn = driver.receive(&mut worker, &mut Receiver::new(), 0).unwrap().0;
        assert!(turn == LoopState::Ends);
        let mut arrived = [0; 16];
        assert_eq!(driver.sockets[0].socket.recv(&mut arrived).unwrap(), arrived.len());
        assert!(driver.take_commands(&mut worker).unwrap() == LoopState::Ends);
        assert_eq!(driver.commands.len(), 1);
    }

    #[test]
    fn a_storm_of_commands_is_taken_a_few_at_a_time() {
        let (sent, commands) = mpsc::channel(10 * COMMANDS);
        let (events, _events) = mpsc::channel(1);
        let (mut driver, mut worker) = driver(Vec::new(), commands, events);
        for number in 0..2 * COMMANDS as u64 + 1 {
            let command = MediaCommand::Close(PeerId(number));
            assert!(sent.try_send(DriverCommand::Media(command)).is_ok());
        }
        for left in [COMMANDS + 1, 1, 0, 0] {
            assert!(driver.take_commands(&mut worker).unwrap() == LoopState::GoesOn);
            assert_eq!(driver.commands.len(), left);
        }
        assert!(sent.try_send(DriverCommand::Shutdown).is_ok());
        assert!(driver.take_commands(&mut worker).unwrap() == LoopState::Ends);
    }
}
