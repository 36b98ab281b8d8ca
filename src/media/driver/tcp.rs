//! The TCP connections of one worker: its thread owns them, as it owns its UDP socket, and nobody else touches them.
//!
//! Nothing here waits. What a socket does not take at once waits in the connection's own queue ([`Outgoing`]), so a client that reads
//! slowly holds up nobody.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slotmap::{Key, KeyData, SlotMap};
use tokio::sync::mpsc;

use crate::media::egress::Run;
use crate::media::keys::TcpKey;
use crate::media::remote::{Remote, Via};
use crate::media::tcp::entrance::Arrival;
use crate::media::tcp::framing;
use crate::media::tcp::outgoing::{MAX_BYTES, Outgoing};

/// Connections that wait for the worker to take them. In a join storm each client brings one or two; what finds no room comes again.
pub(crate) const ARRIVALS: usize = 512;

/// Connections of one worker. A connection of a client has a few addresses, and whoever opens more of them than it may use loses them.
const MAX_CONNECTIONS: usize = 16_384;

/// Bytes read from one connection before the others get their turn. The driver's buffer has room for them, and for what was left of a
/// packet.
const READ_BYTES: usize = 65_536;

/// Bytes that wait in all connections of one worker at most. Each may have its part of them: whoever opens many and reads none fills
/// no more than this. With a thousand clients by TCP each has room for an eighth of a second of 4 Mb/s.
const TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// Time for which a connection may belong to no client of the worker: longer than the goodbye of one takes to leave.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// Bytes that the kernel holds of what has not been sent. What waits there cannot be dropped any more, so little may: 16 KiB are a
/// quarter of a second at 500 kb/s.
const UNSENT_BYTES: u32 = 16 * 1024;

/// Time for which sent data may stay unacknowledged: longer than the consent of a client lasts (`peer/ice.rs`).
const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(30);

/// What [`TcpConnections::receive`] has found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub remote: Remote,
    /// Whether these are the first packets of the connection.
    pub is_new: bool,
    /// Whether nothing more will come.
    pub has_ended: bool,
}

pub(crate) struct TcpConnections {
    arrivals: mpsc::Receiver<Arrival>,
    registry: Registry,
    open: SlotMap<TcpKey, Connection>,
    /// Connections from which more may be read, each once.
    readable: VecDeque<TcpKey>,
    /// Connections to which something may be written, each once.
    unsent: Vec<TcpKey>,
    /// The places of the packets that were received last.
    packets: Vec<Range<usize>>,
    /// Packets so far that clients were too slow for.
    dropped: u64,
    /// Connections so far that were closed because of what they sent.
    refused: u64,
}

struct Connection {
    stream: TcpStream,
    remote: Remote,
    /// The beginning of a packet of which the rest has not come.
    partial: Vec<u8>,
    outgoing: Outgoing,
    is_readable: bool,
    is_unsent: bool,
    /// Whether the socket took all that was written last.
    is_writable: bool,
    /// When a client of the worker was last known to use it.
    known_at: Instant,
    _place: Box<dyn Any + Send>,
}

impl TcpConnections {
    pub fn new(arrivals: mpsc::Receiver<Arrival>, registry: Registry) -> TcpConnections {
        TcpConnections {
            arrivals,
            registry,
            open: SlotMap::with_key(),
            readable: VecDeque::new(),
            unsent: Vec::new(),
            packets: Vec::new(),
            dropped: 0,
            refused: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether there is something to receive.
    pub fn has_mail(&self) -> bool {
        !self.readable.is_empty() || !self.arrivals.is_empty()
    }

    /// Takes note of an event of the poll. It may be about a connection that has ended.
    pub fn ready(&mut self, token: Token) {
        let key = TcpKey::from(KeyData::from_ffi(token.0 as u64));
        let Some(connection) = self.open.get_mut(key) else {
            return;
        };
        connection.is_writable = true;
        if !std::mem::replace(&mut connection.is_readable, true) {
            self.readable.push_back(key);
        }
        self.flush(key);
    }

    /// Takes a new connection, or reads from one, into `buffer`, and finds the packets there. `None` if there is nothing to read now.
    pub fn receive(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Received> {
        self.packets.clear();
        while let Ok(arrival) = self.arrivals.try_recv() {
            let taken = self.take(now, arrival, buffer);
            if taken.is_some() {
                return taken;
            }
            self.refused += 1;
        }
        while let Some(key) = self.readable.pop_front() {
            let Some(connection) = self.open.get_mut(key) else {
                continue;
            };
            connection.is_readable = false;
            let held = connection.partial.len();
            let Some(room) = buffer.get_mut(..held + READ_BYTES) else {
                continue;
            };
            room[..held].copy_from_slice(&connection.partial);
            let read = connection.stream.read(&mut room[held..]);
            match read {
                Ok(bytes @ 1..) => {
                    connection.is_readable = true;
                    self.readable.push_back(key);
                    return Some(self.split(key, &buffer[..held + bytes], false));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    connection.is_readable = true;
                    self.readable.push_back(key);
                }
                Ok(0) | Err(_) => {
                    let remote = connection.remote;
                    return Some(Received {
                        remote,
                        is_new: false,
                        has_ended: true,
                    });
                }
            }
        }
        None
    }

    /// The places of the packets that were received last.
    pub fn packets(&self) -> &[Range<usize>] {
        &self.packets
    }

    fn take(&mut self, now: Instant, arrival: Arrival, buffer: &mut [u8]) -> Option<Received> {
        let Arrival {
            stream,
            client,
            bytes,
            place,
        } = arrival;
        if self.open.len() >= MAX_CONNECTIONS {
            return None;
        }
        let socket = socket2::SockRef::from(&stream);
        // Best effort: the connection works without these options, too.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
        let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR));
        let stream = TcpStream::from_std(std::net::TcpStream::from(stream));
        let key = self.open.insert_with_key(|key| Connection {
            stream,
            remote: Remote {
                address: client,
                via: Via::Tcp(key),
            },
            partial: Vec::new(),
            outgoing: Outgoing::default(),
            is_readable: true,
            is_unsent: false,
            is_writable: true,
            known_at: now,
            _place: place,
        });
        let token = Token(key.data().as_ffi() as usize);
        let stream = &mut self.open[key].stream;
        let both = Interest::READABLE | Interest::WRITABLE;
        let room = buffer.get_mut(..bytes.len());
        let (Ok(()), Some(room)) = (self.registry.register(stream, token, both), room) else {
            self.open.remove(key);
            return None;
        };
        room.copy_from_slice(&bytes);
        self.readable.push_back(key);
        Some(self.split(key, &buffer[..bytes.len()], true))
    }

    /// Finds the packets in `bytes`, and keeps what is left.
    fn split(&mut self, key: TcpKey, bytes: &[u8], is_new: bool) -> Received {
        let connection = &mut self.open[key];
        let split = framing::split(bytes, &mut self.packets);
        connection.partial.clear();
        if let Ok(read) = split {
            connection.partial.extend_from_slice(&bytes[read..]);
        }
        if let Err(error) = split {
            self.refused += 1;
            tracing::debug!(client = %connection.remote.address, %error, "TCP connection closed");
        }
        Received {
            remote: connection.remote,
            is_new,
            has_ended: split.is_err(),
        }
    }

    /// Ends a connection.
    pub fn close(&mut self, remote: Remote) {
        if let Via::Tcp(key) = remote.via
            && let Some(mut connection) = self.open.remove(key)
        {
            // This fails only if the system has forgotten it already.
            let _ = self.registry.deregister(&mut connection.stream);
        }
    }

    /// Ends a connection whose first check was not for a client of the worker.
    pub fn refuse(&mut self, remote: Remote) {
        self.refused += 1;
        tracing::debug!(client = %remote.address, "TCP connection closed: its first check is not authentic");
        self.close(remote);
    }

    /// Ends the connections that no client has used for too long.
    pub fn sweep(&mut self, now: Instant, is_known: impl Fn(Remote) -> bool) {
        let mut unknown = Vec::new();
        for connection in self.open.values_mut() {
            if is_known(connection.remote) {
                connection.known_at = now;
            } else if now.saturating_duration_since(connection.known_at) >= UNKNOWN_FOR {
                unknown.push(connection.remote);
            }
        }
        unknown.into_iter().for_each(|remote| self.close(remote));
    }

    /// Queues the packets of a run. Returns false if its connection has ended.
    pub fn queue(&mut self, now: Instant, key: TcpKey, run: &Run, bytes: &[u8]) -> bool {
        let bound = (TOTAL_BYTES / self.open.len().max(1)).min(MAX_BYTES);
        let Some(connection) = self.open.get_mut(key) else {
            return false;
        };
        for packet in bytes.chunks(run.segment) {
            self.dropped += connection.outgoing.push(now, packet, run.importance, bound);
        }
        if !std::mem::replace(&mut connection.is_unsent, true) {
            self.unsent.push(key);
        }
        true
    }

    /// Writes what was queued since the last call, as far as the sockets take it.
    pub fn flush_queued(&mut self) {
        while let Some(key) = self.unsent.pop() {
            if let Some(connection) = self.open.get_mut(key) {
                connection.is_unsent = false;
            }
            self.flush(key);
        }
    }

    fn flush(&mut self, key: TcpKey) {
        let Some(connection) = self.open.get_mut(key) else {
            return;
        };
        if let Err(error) = connection.flush() {
            tracing::debug!(client = %connection.remote.address, %error, "TCP connection failed");
            // Reading finds the same, and ends it.
            if !std::mem::replace(&mut connection.is_readable, true) {
                self.readable.push_back(key);
            }
        }
    }
}

impl Connection {
    fn flush(&mut self) -> io::Result<()> {
        while self.is_writable && !self.outgoing.is_empty() {
            match self.stream.write(self.outgoing.waiting()) {
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
}
