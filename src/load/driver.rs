//! The tester's media: one thread with a socket for each connection, as real clients have. The thread sends due
//! packets, receives, and counts. One thread is enough: with GRO it receives packets faster than any server on one
//! core sends.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{RecvMeta, UdpSocketState};
use tokio::sync::oneshot;

use super::client::{Client, Heard};
use super::commands::{Command, Setup, WAKE};
use super::error::LoadError;
use super::figures::Totals;
use super::link::{Links, Way};
use super::shared::{Arrival, Shared};
use super::source::Source;

/// Bytes of one receive buffer, which holds a whole run of packets (GRO).
const SLOT_BYTES: usize = 65_536;
const SLOTS: usize = 4;
/// Time between two checks of each connection's timers.
const TICK: Duration = Duration::from_millis(20);
/// The greatest age of a datagram when it is read. An older stamp is one from before a step of the system's clock.
const READ_AGE_MAX: Duration = Duration::from_secs(1);
/// Time after which a connection that is not up has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

struct ClientSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    client: Client,
    /// Whether what is received comes through a link.
    is_linked: bool,
    deadline: Instant,
    connected: Option<oneshot::Sender<Result<(), LoadError>>>,
}

pub(super) struct Thread {
    poll: Poll,
    commands: mpsc::Receiver<Command>,
    seed: u64,
    places: Vec<Option<ClientSocket>>,
    shared: Shared,
    links: Option<Links>,
    /// The place from which each source sends.
    senders: Vec<usize>,
    due: Due,
    sending: bool,
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
    pub(super) fn new(
        poll: Poll,
        commands: mpsc::Receiver<Command>,
        seed: u64,
        verify_every: u64,
        links: Option<Links>,
    ) -> Thread {
        Thread {
            poll,
            commands,
            seed,
            places: Vec::new(),
            shared: Shared {
                sources: Vec::new(),
                totals: Totals::default(),
                verify_every,
            },
            links,
            senders: Vec::new(),
            due: BinaryHeap::new(),
            sending: true,
            buffer: vec![0; SLOT_BYTES * SLOTS],
            packet: Box::new([0; 2_048]),
            publishers: HashMap::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut next_tick = clock();
        loop {
            let now = clock();
            let due = self
                .due
                .peek()
                .map_or(next_tick, |Reverse((due, _))| (*due).min(next_tick));
            let crosses = self.links.as_ref().and_then(Links::next);
            let due = crosses.map_or(due, |crosses| crosses.min(due));
            let polled = self.poll.poll(&mut events, Some(due.saturating_duration_since(now)));
            if polled.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                return;
            }
            for event in &events {
                if event.token() != WAKE {
                    self.receive(event.token().0);
                }
            }
            self.let_cross();
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
                self.leave(now, participant);
                let _ = done.send(());
            }
            Command::Learn(participant, terms) => {
                let clients = self.places.iter_mut().flatten().map(|place| &mut place.client);
                for client in clients.filter(|client| client.participant == participant) {
                    client.learn(&terms);
                }
            }
            Command::SendLayers(participant, layers) => {
                for source in self.publishers.get(&participant).into_iter().flatten() {
                    let source = &mut self.shared.sources[*source as usize];
                    let wanted = layers
                        .iter()
                        .find(|(rid, _)| source.is_layer() && rid == source.encoding.rid);
                    if let Some((_, is_wanted)) = wanted {
                        source.set_wanted(*is_wanted);
                    }
                }
            }
            Command::Measure => {
                self.shared.totals.begin(&self.shared.sources);
                for place in self.places.iter_mut().flatten() {
                    place.client.begin(now, &self.shared.sources);
                }
                if let Some(links) = &mut self.links {
                    links.begin();
                }
            }
            Command::StopSending => {
                self.sending = false;
                self.end_measurement(now);
            }
            Command::Progress(reply) => {
                let counts = self.places.iter().flatten().map(|place| place.client.received());
                let _ = reply.send(self.shared.totals.progress(counts.sum(), &self.shared.sources));
            }
            Command::Finish(_) => {}
        }
    }

    fn leave(&mut self, now: Instant, participant: usize) {
        for index in 0..self.places.len() {
            let mine = self.places[index]
                .as_ref()
                .is_some_and(|place| place.client.participant == participant);
            if mine && let Some(mut place) = self.places[index].take() {
                self.take_in(now, &mut place);
                let fd = place.socket.as_raw_fd();
                let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
            }
        }
        if let Some(links) = &mut self.links {
            links.remove(participant);
        }
    }

    /// Adds up the counts of a connection, and ends it.
    fn take_in(&mut self, now: Instant, place: &mut ClientSocket) {
        place.client.end(now);
        let shared = &mut self.shared;
        shared
            .totals
            .take_in(&mut place.client, &shared.sources, &self.publishers);
        place.client.close(now);
        // Nobody waits for what would still be on its way.
        for datagram in place.client.take_outgoing() {
            let _ = place.socket.send(&datagram);
        }
    }

    fn end_measurement(&mut self, now: Instant) {
        self.shared.totals.end(&self.shared.sources);
        for place in self.places.iter_mut().flatten() {
            place.client.end(now);
        }
        if let Some(links) = &mut self.links {
            links.end();
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
        let first = self.shared.sources.len();
        for encoding in setup.publishes {
            let id = self.shared.sources.len() as u32;
            self.shared.sources.push(Source::new(now, id, encoding, self.seed));
            self.senders.push(index);
            self.publishers.entry(setup.participant).or_default().push(id);
        }
        let own = first..self.shared.sources.len();
        let mut client = Client::new(
            setup.participant,
            setup.connection,
            setup.watches,
            own.clone(),
            self.shared.totals.is_measuring(),
        );
        let is_linked = self.links.is_some() && own.is_empty();
        if is_linked {
            client.watch_through_link(now);
        }
        let mut place = ClientSocket {
            socket: setup.socket,
            state,
            client,
            is_linked,
            deadline: now + CONNECT_TIMEOUT,
            connected: Some(setup.connected),
        };
        place.client.handle_timeout(now).ok();
        flush(now, index, &mut place, &mut self.links);
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
                match self.links.as_mut().filter(|_| place.is_linked) {
                    Some(links) => {
                        let age = Duration::from_micros(wall_us().saturating_sub(arrived_us));
                        let came = now.checked_sub(age.min(READ_AGE_MAX)).unwrap_or(now);
                        for datagram in bytes.chunks(meta.stride.max(1)) {
                            links.receive(came, place.client.participant, index, datagram);
                        }
                    }
                    None => {
                        let arrival = Arrival {
                            at: now,
                            wall_us: arrived_us,
                        };
                        for datagram in bytes.chunks_mut(meta.stride.max(1)) {
                            hear(now, arrival, datagram, place, (&mut self.shared, &mut self.due));
                        }
                    }
                }
            }
            flush(now, index, place, &mut self.links);
            if count < SLOTS {
                // Events are edge-triggered: the socket is read once more, and later packets make an event.
                continue;
            }
        }
    }

    /// Delivers the datagrams that have come to the end of a link.
    fn let_cross(&mut self) {
        let now = clock();
        while let Some(mut crossed) = self.links.as_mut().and_then(|links| links.pop(now)) {
            let Some(Some(place)) = self.places.get_mut(crossed.connection) else {
                continue;
            };
            if crossed.way == Way::ToServer {
                let _ = place.socket.send(&crossed.datagram);
                continue;
            }
            // The link says when it arrived, whenever this thread comes to it.
            let late = now.saturating_duration_since(crossed.at).as_micros() as u64;
            let arrival = Arrival {
                at: crossed.at,
                wall_us: wall_us().saturating_sub(late),
            };
            let datagram = &mut crossed.datagram;
            hear(now, arrival, datagram, place, (&mut self.shared, &mut self.due));
            place.client.answer(now);
            flush(now, crossed.connection, place, &mut self.links);
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
            let source = &mut self.shared.sources[index];
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
        for (index, place) in self.places.iter_mut().enumerate() {
            let Some(place) = place else { continue };
            let late = !place.client.is_connected() && now >= place.deadline;
            let looked_after = match late {
                true => Err(LoadError::NoMedia {
                    address: place.client.address(),
                    seconds: CONNECT_TIMEOUT.as_secs(),
                }),
                false => place.client.handle_timeout(now),
            };
            if let Err(error) = looked_after {
                fail(place, &mut self.shared.totals, error);
                place.deadline = now + Duration::from_secs(3_600);
            }
            if let Some(reports) = place.client.reports(now, wall_us(), &self.shared.sources) {
                match self.links.as_mut().filter(|_| place.is_linked) {
                    Some(links) => links.send(now, index, reports),
                    None => drop(place.socket.send(reports)),
                }
            }
            place.client.answer(now);
            flush(now, index, place, &mut self.links);
        }
    }

    fn finish(&mut self) -> Totals {
        let now = clock();
        self.end_measurement(now);
        for mut place in std::mem::take(&mut self.places).into_iter().flatten() {
            self.take_in(now, &mut place);
        }
        let mut totals = std::mem::take(&mut self.shared.totals);
        totals.links = self.links.as_ref().map(Links::totals);
        totals
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

/// The sources by the time of their next frame.
type Due = BinaryHeap<Reverse<(Instant, usize)>>;

/// Lets a connection process a datagram.
fn hear(
    now: Instant,
    arrival: Arrival,
    datagram: &mut [u8],
    place: &mut ClientSocket,
    (shared, due): (&mut Shared, &mut Due),
) {
    match place.client.receive(now, arrival, datagram, shared) {
        Ok(Heard::Nothing) => {}
        Ok(Heard::Connected) => {
            for source in place.client.sources.clone() {
                shared.sources[source].due = now;
                due.push(Reverse((now, source)));
            }
            if let Some(connected) = place.connected.take() {
                let _ = connected.send(Ok(()));
            }
        }
        Err(error) => fail(place, &mut shared.totals, error),
    }
}

/// Sends what a connection has ready, through its link if it has one.
fn flush(now: Instant, index: usize, place: &mut ClientSocket, links: &mut Option<Links>) {
    for datagram in place.client.take_outgoing() {
        match links.as_mut().filter(|_| place.is_linked) {
            Some(links) => links.send(now, index, &datagram),
            None => drop(place.socket.send(&datagram)),
        }
    }
}
