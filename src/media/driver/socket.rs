//! The UDP sockets of a worker: how they are opened, and a batch of what they receive.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use crate::media::egress::Run;
use crate::media::launch::MediaStartError;
use crate::media::worker::Datagram;
use crate::ports::PortError;

/// Bytes of one receive buffer: the kernel may deliver a whole run of packets at once (GRO).
const SLOT_BYTES: usize = 65_536;
/// Bytes of the kernel's buffers: two hundred subscribers' copies of a key frame, and all that arrives while they are sent.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// One bound socket.
pub struct MediaSocket {
    pub(super) socket: UdpSocket,
    pub(super) state: UdpSocketState,
    ip: IpAddr,
}

/// Binds one port on every address. With port 0 the system chooses one that is free on all of them.
pub fn bind(addresses: &[IpAddr], port: u16) -> Result<(Vec<MediaSocket>, u16), MediaStartError> {
    // A port that is free on the first address may be taken on the next, so a few are tried.
    let attempts = if port == 0 { 16 } else { 1 };
    let mut failure = None;
    for _ in 0..attempts {
        match bind_once(addresses, port) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or(MediaStartError::NoAddress))
}

fn bind_once(addresses: &[IpAddr], mut port: u16) -> Result<(Vec<MediaSocket>, u16), MediaStartError> {
    let mut sockets = Vec::new();
    for &ip in addresses {
        let address = SocketAddr::new(ip, port);
        match open(address) {
            Ok((socket, state)) => {
                port = socket.local_addr().map_or(port, |local| local.port());
                sockets.push(MediaSocket { socket, state, ip });
            }
            Err(error) => {
                let why = PortError::of(error, port, "media.first_port or media.bind_addresses");
                // If a machine has no IPv6, only IPv4 is served.
                if !(ip.is_ipv6() && why.is_missing_address()) {
                    return Err(MediaStartError::Bind { address, why });
                }
            }
        }
    }
    if sockets.is_empty() {
        Err(MediaStartError::NoAddress)
    } else {
        Ok((sockets, port))
    }
}

fn open(address: SocketAddr) -> io::Result<(UdpSocket, UdpSocketState)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may allow less. Then packets are lost earlier under load.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into())?;
    let socket: UdpSocket = socket.into();
    let state = UdpSocketState::new((&socket).into())?;
    Ok((socket, state))
}

/// What the system gives media sockets.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// Bytes of packets that wait, as the system counts them: with its own structures.
    pub receive_buffer: usize,
    pub send_buffer: usize,
    /// Packets that leave, and that come, by one call at most.
    pub segments_sent: usize,
    pub segments_received: usize,
}

/// Opens a media socket on a port of its own to see what the system gives it.
pub fn abilities() -> io::Result<Abilities> {
    let (socket, state) = open(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let reference = socket2::SockRef::from(&socket);
    Ok(Abilities {
        receive_buffer: reference.recv_buffer_size()?,
        send_buffer: reference.send_buffer_size()?,
        segments_sent: state.max_gso_segments(),
        segments_received: state.gro_segments(),
    })
}

impl MediaSocket {
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The same socket for another thread.
    pub(crate) fn try_clone(&self) -> io::Result<MediaSocket> {
        let socket = self.socket.try_clone()?;
        let state = UdpSocketState::new((&socket).into())?;
        let ip = self.ip;
        Ok(MediaSocket { socket, state, ip })
    }

    pub(super) fn carries(&self, run: &Run) -> bool {
        self.ip.is_ipv4() == run.path.remote.address.is_ipv4()
            && run
                .path
                .local
                .is_none_or(|local| self.ip.is_unspecified() || self.ip == local)
    }
}

/// The receive buffers of a worker.
pub(super) struct Receiver {
    pub buffer: Vec<u8>,
    meta: [RecvMeta; BATCH_SIZE],
    pub datagrams: Vec<Datagram>,
}

impl Receiver {
    pub fn new() -> Receiver {
        Receiver {
            buffer: vec![0; SLOT_BYTES * BATCH_SIZE],
            meta: [RecvMeta::default(); BATCH_SIZE],
            datagrams: Vec::with_capacity(BATCH_SIZE * 64),
        }
    }

    /// Makes one system call and fills `datagrams`.
    pub fn receive(&mut self, socket: &MediaSocket) -> io::Result<()> {
        self.datagrams.clear();
        let mut chunks = self.buffer.chunks_exact_mut(SLOT_BYTES);
        let mut slots: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let count = socket.state.recv((&socket.socket).into(), &mut slots, &mut self.meta)?;
        for (slot, meta) in self.meta[..count].iter().enumerate() {
            let stride = meta.stride.max(1);
            for offset in (0..meta.len).step_by(stride) {
                self.datagrams.push(Datagram {
                    from: meta.addr,
                    to: meta.dst_ip,
                    start: slot * SLOT_BYTES + offset,
                    len: stride.min(meta.len - offset),
                });
            }
        }
        Ok(())
    }
}
