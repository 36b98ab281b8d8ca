//! The TCP connections of one worker: its thread owns them, as it owns its UDP socket, and nobody else touches them.
//!
//! Nothing here waits. What a socket does not take at once waits in the connection's own queue ([`Outgoing`]), so a client that reads
//! slowly holds up nobody.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slotmap::{Key, KeyData, SlotMap};
use tokio::sync::mpsc;

use crate::media::egress::Run;
use crate::media::keys::TcpKey;
use crate::media::remote::{Remote, Via};
use crate::media::stats::Stats;
use crate::media::tcp::ending::TcpEnd;
use crate::media::tcp::entrance::{Arrival, TcpPlace};
use crate::media::tcp::framing::{self, HEADER};
use crate::media::tcp::outgoing::{Dropped, KEY_FRAME_BYTES, MAX_BYTES, Outgoing};

/// Connections that wait for the worker to take them. In a join storm each client brings one or two; what finds no room comes again.
pub(crate) const ARRIVALS: usize = 512;

/// Connections of one worker. A connection of a client has a few addresses, and whoever opens more of them than it may use loses them.
const MAX_CONNECTIONS: usize = 16_384;

/// Bytes read from one connection before the others get their turn: what a client sends in 50 ms at 2.5 Mb/s. The driver's buffer has
/// room for them, and for what was left of earlier ones.
const READ_BYTES: usize = 16 * 1024;

/// Packets of one connection handled before the others get their turn: more than fit into [`READ_BYTES`], unless they are small.
const PACKETS: usize = 64;

/// Bytes that wait in all connections of one worker. Each may have a [`SHARE`]th of what is left of them, and what a key frame needs in any
/// case: so whoever reads nothing takes little from the others, and those who read do not count.
const TOTAL_BYTES: usize = 64 * 1024 * 1024;
const SHARE: usize = 8;

/// Time for which a connection may belong to no client of the worker: longer than the goodbye of one takes to leave.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// Bytes that the kernel holds of what has not been sent. What waits there cannot be dropped any more, so little may: 16 KiB are a
/// quarter of a second at 500 kb/s.
const UNSENT_BYTES: u32 = 16 * 1024;

/// Time for which sent data may stay unacknowledged: longer than the consent of a client lasts (`peer/ice.rs`).
const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(30);

/// Silence after which the system asks whether the client is still there, and the time between two such questions. A connection that
/// carries nothing, because its client uses another path, ends after [`UNACKNOWLEDGED_FOR`] of no answers.
const ASKED_AFTER: Duration = Duration::from_secs(15);
const ASKED_EVERY: Duration = Duration::from_secs(5);
const ASKED_TIMES: u32 = 6;

/// Pieces given to the system in one write: sound and video follow one another a few times in what it takes.
const PIECES: usize = 16;

/// Bytes of a buffer that is kept while a connection has nothing unread.
const KEPT_BYTES: usize = 4 * 1024;

/// What [`TcpConnections::take`] and [`TcpConnections::receive`] have found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub remote: Remote,
    /// The reason why nothing more will come.
    pub end: Option<TcpEnd>,
}

pub(crate) struct TcpConnections {
    arrivals: mpsc::Receiver<Arrival>,
    /// The next arrival, and the number of commands that are to be handled before it.
    next: Option<(Arrival, u64)>,
    registry: Registry,
    open: SlotMap<TcpKey, Connection>,
    /// Connections from which more may be read, each once.
    readable: VecDeque<TcpKey>,
    /// Connections to which something may be written, each once.
    unsent: Vec<TcpKey>,
    /// The places of the packets that were received last.
    packets: Vec<Range<usize>>,
    /// Bytes that wait in all connections.
    queued: usize,
    /// Totals so far: connections that were opened, those that were closed by the reason, and what clients were too slow for.
    opened: u64,
    closed: [u64; TcpEnd::ALL.len()],
    dropped: Dropped,
}

struct Connection {
    stream: TcpStream,
    remote: Remote,
    /// What was read and not handled: the beginning of a packet of which the rest has not come.
    unread: Vec<u8>,
    /// Whether there may be whole packets among that.
    has_packets: bool,
    outgoing: Outgoing,
    is_readable: bool,
    is_unsent: bool,
    /// Whether the socket took all that was written last.
    is_writable: bool,
    /// When a client of the worker was last known to use it.
    known_at: Instant,
    place: Box<dyn TcpPlace>,
}

impl TcpConnections {
    pub fn new(arrivals: mpsc::Receiver<Arrival>, registry: Registry) -> TcpConnections {
        TcpConnections {
            arrivals,
            next: None,
            registry,
            open: SlotMap::with_key(),
            readable: VecDeque::new(),
            unsent: Vec::new(),
            packets: Vec::new(),
            queued: 0,
            opened: 0,
            closed: [0; TcpEnd::ALL.len()],
            dropped: Dropped::default(),
        }
    }

    /// Fills in what is counted here.
    pub fn count(&self, stats: &mut Stats) {
        stats.tcp_connections = self.open.len() as u64;
        stats.tcp_queued_bytes = self.queued as u64;
        stats.tcp_opened_connections = self.opened;
        stats.tcp_closed_connections = self.closed;
        stats.tcp_dropped_packets = self.dropped.packets;
        stats.tcp_dropped_bytes = self.dropped.bytes;
    }

    /// Whether there is something to receive.
    pub fn has_mail(&self) -> bool {
        !self.readable.is_empty() || self.next.is_some() || !self.arrivals.is_empty()
    }

    /// Takes note of an event of the poll. It may be about a connection that has ended.
    pub fn ready(&mut self, now: Instant, token: Token) {
        let key = TcpKey::from(KeyData::from_ffi(token.0 as u64));
        let Some(connection) = self.open.get_mut(key) else {
            return;
        };
        connection.is_writable = true;
        self.to_be_read(key);
        self.flush(now, key);
    }

    fn to_be_read(&mut self, key: TcpKey) {
        if let Some(connection) = self.open.get_mut(key)
            && !std::mem::replace(&mut connection.is_readable, true)
        {
            self.readable.push_back(key);
        }
    }

    /// The number of the last command that is to be handled before the next arrival is taken, where `queued` is that of the last one in
    /// the queue. `None` if there is no arrival.
    pub fn next_arrival(&mut self, queued: u64) -> Option<u64> {
        if self.next.is_none() {
            self.next = self.arrivals.try_recv().ok().map(|arrival| (arrival, queued));
        }
        self.next.as_ref().map(|&(_, after)| after)
    }

    /// Takes the next arrival, with its check in `buffer`. The check says whether it is a client's: then [`TcpConnections::keep`] it.
    pub fn take(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Received> {
        self.packets.clear();
        let (arrival, _) = self.next.take()?;
        let Arrival {
            stream,
            client,
            bytes,
            place,
        } = arrival;
        self.opened += 1;
        if self.open.len() >= MAX_CONNECTIONS {
            self.note(client, TcpEnd::Full);
            return None;
        }
        prepare(&socket2::SockRef::from(&stream));
        let stream = TcpStream::from_std(std::net::TcpStream::from(stream));
        let key = self.open.insert_with_key(|key| Connection {
            stream,
            remote: Remote {
                address: client,
                via: Via::Tcp(key),
            },
            unread: Vec::new(),
            has_packets: false,
            outgoing: Outgoing::default(),
            is_readable: true,
            is_unsent: false,
            is_writable: true,
            known_at: now,
            place,
        });
        let token = Token(key.data().as_ffi() as usize);
        let stream = &mut self.open[key].stream;
        let both = Interest::READABLE | Interest::WRITABLE;
        let room = buffer.get_mut(..bytes.len());
        let (Ok(()), Some(room)) = (self.registry.register(stream, token, both), room) else {
            self.open.remove(key);
            self.note(client, TcpEnd::Failed);
            return None;
        };
        room.copy_from_slice(&bytes);
        self.readable.push_back(key);
        Some(self.split(key, &buffer[..bytes.len()]))
    }

    /// Keeps a connection whose first check was authentic.
    pub fn keep(&mut self, remote: Remote) {
        if let Via::Tcp(key) = remote.via
            && let Some(connection) = self.open.get(key)
        {
            connection.place.client_is_known();
        }
    }

    /// Reads from one connection into `buffer`, and finds the packets there. `None` if there is nothing to read now.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<Received> {
        self.packets.clear();
        while let Some(key) = self.readable.pop_front() {
            let Some(connection) = self.open.get_mut(key) else {
                continue;
            };
            connection.is_readable = false;
            let held = connection.unread.len();
            let Some(room) = buffer.get_mut(..held + READ_BYTES) else {
                continue;
            };
            room[..held].copy_from_slice(&connection.unread);
            let read = match connection.has_packets {
                true => Ok(0),
                false => connection.stream.read(&mut room[held..]),
            };
            let remote = connection.remote;
            let ends = |end| Some(Received { remote, end: Some(end) });
            match read {
                Ok(0) if !connection.has_packets => return ends(TcpEnd::ByClient),
                Ok(bytes) => {
                    self.to_be_read(key);
                    return Some(self.split(key, &buffer[..held + bytes]));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => self.to_be_read(key),
                Err(_) => return ends(TcpEnd::Failed),
            }
        }
        None
    }

    /// The places of the packets that were received last.
    pub fn packets(&self) -> &[Range<usize>] {
        &self.packets
    }

    /// Finds packets in `bytes`, and keeps what is left.
    fn split(&mut self, key: TcpKey, bytes: &[u8]) -> Received {
        let connection = &mut self.open[key];
        let split = framing::split(bytes, &mut self.packets, PACKETS);
        let read = split.unwrap_or(bytes.len());
        connection.has_packets = self.packets.len() >= PACKETS;
        connection.unread.clear();
        if read == bytes.len() && connection.unread.capacity() > KEPT_BYTES {
            connection.unread = Vec::new();
        }
        connection.unread.extend_from_slice(&bytes[read..]);
        Received {
            remote: connection.remote,
            end: split.is_err().then_some(TcpEnd::BadFrame),
        }
    }

    /// Ends a connection.
    pub fn close(&mut self, remote: Remote, why: TcpEnd) {
        if let Via::Tcp(key) = remote.via
            && let Some(mut connection) = self.open.remove(key)
        {
            self.queued -= connection.outgoing.len();
            // This fails only if the system has forgotten it already.
            let _ = self.registry.deregister(&mut connection.stream);
            self.note(remote.address, why);
        }
    }

    fn note(&mut self, client: std::net::SocketAddr, why: TcpEnd) {
        if let Some(closed) = self.closed.get_mut(why as usize) {
            *closed += 1;
        }
        tracing::debug!(%client, why = why.name(), "TCP connection for media closed");
    }

    /// Ends the connections that no client has used for too long, and those of clients that have read nothing for too long. Returns the
    /// latter, which the worker has to forget.
    pub fn sweep(&mut self, now: Instant, is_known: impl Fn(Remote) -> bool) -> Vec<Remote> {
        let (mut unknown, mut stuck) = (Vec::new(), Vec::new());
        for connection in self.open.values_mut() {
            let before = connection.outgoing.len();
            self.dropped += connection.outgoing.forget_late(now);
            self.queued -= before - connection.outgoing.len();
            if is_known(connection.remote) {
                connection.known_at = now;
            } else if now.saturating_duration_since(connection.known_at) >= UNKNOWN_FOR {
                unknown.push(connection.remote);
                continue;
            }
            if connection.outgoing.is_stuck(now) {
                stuck.push(connection.remote);
            }
        }
        unknown
            .into_iter()
            .for_each(|remote| self.close(remote, TcpEnd::Unused));
        stuck.iter().for_each(|&remote| self.close(remote, TcpEnd::Stuck));
        stuck
    }

    /// Queues the packets of a run. Returns false if its connection has ended.
    pub fn queue(&mut self, now: Instant, key: TcpKey, run: &Run, bytes: &[u8]) -> bool {
        if !self.open.contains_key(key) {
            return false;
        }
        for packet in bytes.chunks(run.segment) {
            let left = TOTAL_BYTES.saturating_sub(self.queued);
            let bound = (left / SHARE).clamp(KEY_FRAME_BYTES, MAX_BYTES);
            let is_full = |connection: &Connection| connection.outgoing.len() + HEADER + packet.len() > bound;
            // What the socket takes at once waits for nobody, and needs no room.
            if self.open.get(key).is_some_and(is_full) {
                self.flush(now, key);
            }
            let Some(connection) = self.open.get_mut(key) else {
                return false;
            };
            let before = connection.outgoing.len();
            self.dropped += connection.outgoing.push(now, packet, run.importance, bound);
            self.queued = self.queued + connection.outgoing.len() - before;
            if !std::mem::replace(&mut connection.is_unsent, true) {
                self.unsent.push(key);
            }
        }
        true
    }

    /// Writes what was queued since the last call, as far as the sockets take it.
    pub fn flush_queued(&mut self, now: Instant) {
        while let Some(key) = self.unsent.pop() {
            if let Some(connection) = self.open.get_mut(key) {
                connection.is_unsent = false;
            }
            self.flush(now, key);
        }
    }

    /// Writes what waits and is not late, as far as the socket takes it.
    fn flush(&mut self, now: Instant, key: TcpKey) {
        let Some(connection) = self.open.get_mut(key) else {
            return;
        };
        let before = connection.outgoing.len();
        self.dropped += connection.outgoing.forget_late(now);
        let written = connection.write();
        self.queued -= before - connection.outgoing.len();
        if let Err(error) = written {
            tracing::debug!(client = %connection.remote.address, %error, "TCP connection failed");
            // Reading finds the same, and ends it.
            self.to_be_read(key);
        }
    }

    /// Goes on ending all connections: sends their last words, tells the clients that nothing follows, and reads on until they have
    /// closed them, because closing a socket with unread data would make the system drop what it has not sent. Returns whether there
    /// is nothing left to do.
    pub fn finish(&mut self, buffer: &mut [u8]) -> bool {
        self.open.retain(|_, connection| connection.finish(buffer).is_ok());
        self.open.is_empty()
    }
}

/// Sets up the socket of a new connection. Best effort: the connection works without these options, too.
fn prepare(socket: &socket2::SockRef<'_>) {
    let asked = socket2::TcpKeepalive::new().with_time(ASKED_AFTER);
    let asked = asked.with_interval(ASKED_EVERY).with_retries(ASKED_TIMES);
    let _ = socket.set_tcp_keepalive(&asked);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR));
}

impl Connection {
    fn write(&mut self) -> io::Result<()> {
        while self.is_writable && !self.outgoing.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = self.outgoing.pieces(&mut pieces);
            match self.stream.write_vectored(pieces.get(..count).unwrap_or_default()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.outgoing.sent(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_writable = false;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// One step of [`TcpConnections::finish`]. Fails when the connection has ended.
    fn finish(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.outgoing.forget_media();
        self.is_writable = true;
        self.write()?;
        if self.outgoing.is_empty() {
            self.stream.shutdown(Shutdown::Write)?;
        }
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
