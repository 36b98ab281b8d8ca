//! The tester's media: one thread with a socket for each connection, as real clients have. The thread sends due
//! packets, receives, and counts. One thread is enough: with GRO it receives packets faster than any server on one
//! core sends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use quinn_udp::{RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use super::client::{Client, Heard};
use super::connection::Connection;
use super::error::LoadError;
use super::figures::{Progress, Totals};
use super::source::{Encoding, Source};

const WAKE: Token = Token(usize::MAX);
/// Bytes of one receive buffer, which holds a whole run of packets (GRO).
const SLOT_BYTES: usize = 65_536;
const SLOTS: usize = 4;
/// Bytes of a socket's buffer: 200 ms of a 10 Mb/s track in kernel memory, which counts a packet as two to four times
/// its size.
const SOCKET_BUFFER_BYTES: usize = 1024 * 1024;
/// Time between two checks of each connection's timers.
const TICK: Duration = Duration::from_millis(20);
/// Time after which a connection that is not up has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection to be begun.
pub(crate) struct Setup {
    pub participant: usize,
    pub connection: Connection,
    pub socket: UdpSocket,
    pub publishes: Vec<Encoding>,
    /// The publishers whose tracks arrive on this connection.
    pub watches: Vec<usize>,
    /// The channel for the result, which is sent once.
    pub connected: oneshot::Sender<Result<(), LoadError>>,
}

enum Command {
    Add(Box<Setup>),
    Leave(usize, oneshot::Sender<()>),
    Measure,
    StopSending,
    Progress(oneshot::Sender<Progress>),
    Finish(oneshot::Sender<Totals>),
}

/// The handle: cheap to clone. The thread ends with [`MediaHandle::finish`], or when all handles are dropped.
#[derive(Clone)]
pub struct MediaHandle {
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
}

/// A socket for one connection. It is connected, so that it neither sends to others nor receives from them.
pub fn socket(to: SocketAddr) -> Result<UdpSocket, LoadError> {
    let open = || -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
        // The system may allow less.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        socket.connect(&to.into())?;
        Ok(socket.into())
    };
    open().map_err(LoadError::Socket)
}

impl MediaHandle {
    pub fn start(seed: u64, verify_every: u64) -> Result<MediaHandle, LoadError> {
        let poll = Poll::new().map_err(LoadError::Socket)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(LoadError::Socket)?);
        let (commands, receiver) = mpsc::channel();
        let thread = Thread::new(poll, receiver, seed, verify_every);
        std::thread::Builder::new()
            .name("load-media".to_owned())
            .spawn(move || thread.run())
            .map_err(LoadError::Socket)?;
        Ok(MediaHandle { commands, waker })
    }

    pub fn add(&self, setup: Setup) -> Result<(), LoadError> {
        self.send(Command::Add(Box::new(setup)))
    }

    /// Ends a participant's connections. Returns when that is done.
    pub async fn leave(&self, participant: usize) -> Result<(), LoadError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Leave(participant, sender))?;
        receiver.await.map_err(|_| LoadError::ThreadEnded)
    }

    pub(crate) fn measure(&self) -> Result<(), LoadError> {
        self.send(Command::Measure)
    }

    pub(crate) fn stop_sending(&self) -> Result<(), LoadError> {
        self.send(Command::StopSending)
    }

    pub(crate) async fn progress(&self) -> Result<Progress, LoadError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Progress(sender))?;
        receiver.await.map_err(|_| LoadError::ThreadEnded)
    }

    /// Ends every connection, with a message to the server; then ends the thread.
    pub async fn finish(&self) -> Result<Totals, LoadError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Finish(sender))?;
        receiver.await.map_err(|_| LoadError::ThreadEnded)
    }

    fn send(&self, command: Command) -> Result<(), LoadError> {
        self.commands.send(command).map_err(|_| LoadError::ThreadEnded)?;
        self.waker.wake().map_err(LoadError::Socket)
    }
}

struct ClientSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    client: Client,
    deadline: Instant,
    connected: Option<oneshot::Sender<Result<(), LoadError>>>,
}

struct Thread {
    poll: Poll,
    commands: mpsc::Receiver<Command>,
    seed: u64,
    verify_every: u64,
    places: Vec<Option<ClientSocket>>,
    sources: Vec<Source>,
    /// The place from which each source sends.
    senders: Vec<usize>,
    /// The sources, by the time of their next frame.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    sending: bool,
    totals: Totals,
    buffer: Vec<u8>,
    packet: Box<[u8; 2_048]>,
    publishers: HashMap<usize, Vec<u32>>,
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the shell that owns the tester's clock"
)]
fn clock() -> Instant {
    Instant::now()
}

/// The clock of send and arrival times, in microseconds: the kernel stamps arrivals with it.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the shell that owns the tester's clock"
)]
fn wall_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

impl Thread {
    fn new(poll: Poll, commands: mpsc::Receiver<Command>, seed: u64, verify_every: u64) -> Thread {
        Thread {
            poll,
            commands,
            seed,
            verify_every,
            places: Vec::new(),
            sources: Vec::new(),
            senders: Vec::new(),
            due: BinaryHeap::new(),
            sending: true,
            totals: Totals::default(),
            buffer: vec![0; SLOT_BYTES * SLOTS],
            packet: Box::new([0; 2_048]),
            publishers: HashMap::new(),
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut next_tick = clock();
        loop {
            let now = clock();
            let due = self
                .due
                .peek()
                .map_or(next_tick, |Reverse((due, _))| (*due).min(next_tick));
            let polled = self.poll.poll(&mut events, Some(due.saturating_duration_since(now)));
            if polled.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                return;
            }
            for event in &events {
                if event.token() != WAKE {
                    self.receive(event.token().0);
                }
            }
            self.send_due();
            loop {
                match self.commands.try_recv() {
                    Ok(Command::Finish(reply)) => {
                        let _ = reply.send(self.finish());
                        return;
                    }
                    Ok(command) => self.handle(command),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            let now = clock();
            if now >= next_tick {
                self.look_after(now);
                next_tick = now + TICK;
            }
        }
    }

    fn handle(&mut self, command: Command) {
        let now = clock();
        match command {
            Command::Add(setup) => self.add(now, *setup),
            Command::Leave(participant, done) => {
                for index in 0..self.places.len() {
                    let mine = self.places[index]
                        .as_ref()
                        .is_some_and(|place| place.client.participant == participant);
                    if mine && let Some(mut place) = self.places[index].take() {
                        self.totals.take_in(&mut place.client, &self.sources, &self.publishers);
                        place.client.close(now);
                        flush(&mut place);
                        let fd = place.socket.as_raw_fd();
                        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
                    }
                }
                let _ = done.send(());
            }
            Command::Measure => {
                self.totals.begin(&self.sources);
                for place in self.places.iter_mut().flatten() {
                    place.client.begin(&self.sources);
                }
            }
            Command::StopSending => {
                self.sending = false;
                self.totals.end(&self.sources);
            }
            Command::Progress(reply) => {
                let counts = self.places.iter().flatten().map(|place| place.client.received());
                let _ = reply.send(self.totals.progress(counts.sum(), &self.sources));
            }
            Command::Finish(_) => {}
        }
    }

    fn add(&mut self, now: Instant, setup: Setup) {
        let index = self.places.len();
        let fd = setup.socket.as_raw_fd();
        let registered = self
            .poll
            .registry()
            .register(&mut SourceFd(&fd), Token(index), Interest::READABLE);
        let state = registered.and_then(|()| UdpSocketState::new((&setup.socket).into()));
        let state = match state {
            Ok(state) => state,
            Err(error) => {
                let _ = setup.connected.send(Err(LoadError::Socket(error)));
                return;
            }
        };
        let first = self.sources.len();
        for encoding in setup.publishes {
            let id = self.sources.len() as u32;
            self.sources.push(Source::new(now, id, encoding, self.seed));
            self.senders.push(index);
            self.publishers.entry(setup.participant).or_default().push(id);
        }
        let own = first..self.sources.len();
        let mut place = ClientSocket {
            socket: setup.socket,
            state,
            client: Client::new(
                setup.participant,
                setup.connection,
                setup.watches,
                own,
                self.totals.is_measuring(),
            ),
            deadline: now + CONNECT_TIMEOUT,
            connected: Some(setup.connected),
        };
        place.client.handle_timeout(now).ok();
        flush(&mut place);
        self.places.push(Some(place));
    }

    fn receive(&mut self, index: usize) {
        let Some(Some(place)) = self.places.get_mut(index) else {
            return;
        };
        let mut meta = [RecvMeta::default(); SLOTS];
        loop {
            let mut chunks = self.buffer.chunks_exact_mut(SLOT_BYTES);
            let mut slots: [IoSliceMut<'_>; SLOTS] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let count = match place.state.recv((&place.socket).into(), &mut slots, &mut meta) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The port is closed: the server may have ended. Then its silence is reported.
                Err(_) => break,
            };
            let now = clock();
            for (slot, meta) in meta[..count].iter().enumerate() {
                let arrived_us = meta.timestamp.map_or_else(wall_us, |stamp| stamp.as_micros() as u64);
                let bytes = &mut self.buffer[slot * SLOT_BYTES..slot * SLOT_BYTES + meta.len];
                for datagram in bytes.chunks_mut(meta.stride.max(1)) {
                    let heard = place.client.receive(
                        now,
                        arrived_us,
                        datagram,
                        &mut self.sources,
                        &mut self.totals,
                        self.verify_every,
                    );
                    match heard {
                        Ok(Heard::Nothing) => {}
                        Ok(Heard::Connected) => {
                            for source in place.client.sources.clone() {
                                self.sources[source].due = now;
                                self.due.push(Reverse((now, source)));
                            }
                            if let Some(connected) = place.connected.take() {
                                let _ = connected.send(Ok(()));
                            }
                        }
                        Err(error) => fail(place, &mut self.totals, error),
                    }
                }
            }
            flush(place);
            if count < SLOTS {
                // Events are edge-triggered: the socket is read once more, and later packets make an event.
                continue;
            }
        }
    }

    /// Sends each frame that is due, all its packets in one burst.
    fn send_due(&mut self) {
        loop {
            let now = clock();
            match self.due.peek() {
                Some(Reverse((due, _))) if *due <= now => {}
                _ => return,
            }
            let Some(Reverse((_, index))) = self.due.pop() else {
                return;
            };
            let Some(Some(place)) = self.places.get_mut(self.senders[index]) else {
                continue;
            };
            if !self.sending {
                continue;
            }
            let source = &mut self.sources[index];
            place
                .client
                .send_frame(now, source, &mut self.packet[..], wall_us, |packet| {
                    // Packets that find no place in the kernel are lost, as on any network.
                    let _ = place.socket.send(packet);
                });
            self.due.push(Reverse((source.due, index)));
        }
    }

    fn look_after(&mut self, now: Instant) {
        for place in self.places.iter_mut().flatten() {
            let late = !place.client.is_connected() && now >= place.deadline;
            let looked_after = match late {
                true => Err(LoadError::NoMedia {
                    address: place.client.address(),
                    seconds: CONNECT_TIMEOUT.as_secs(),
                }),
                false => place.client.handle_timeout(now),
            };
            if let Err(error) = looked_after {
                fail(place, &mut self.totals, error);
                place.deadline = now + Duration::from_secs(3_600);
            }
            if let Some(reports) = place.client.reports(now, wall_us(), &self.sources) {
                let _ = place.socket.send(reports);
            }
            flush(place);
        }
    }

    fn finish(&mut self) -> Totals {
        let now = clock();
        self.totals.end(&self.sources);
        for mut place in std::mem::take(&mut self.places).into_iter().flatten() {
            self.totals.take_in(&mut place.client, &self.sources, &self.publishers);
            place.client.close(now);
            flush(&mut place);
        }
        std::mem::take(&mut self.totals)
    }
}

fn fail(place: &mut ClientSocket, totals: &mut Totals, error: LoadError) {
    match place.connected.take() {
        Some(connected) => {
            let _ = connected.send(Err(error));
        }
        None => totals.failed(error),
    }
}

fn flush(place: &mut ClientSocket) {
    for datagram in place.client.take_outgoing() {
        let _ = place.socket.send(&datagram);
    }
}
