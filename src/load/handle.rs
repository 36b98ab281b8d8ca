//! The handle of the tester's media thread: the commands that it takes, and the sockets that it is given.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, mpsc};

use mio::{Poll, Waker};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::oneshot;

use super::commands::{Command, Setup, WAKE};
use super::driver::Thread;
use super::error::LoadError;
use super::figures::{Progress, Totals};
use super::link::Links;
use super::sdp::Terms;

/// Bytes of a socket's buffer: 200 ms of a 10 Mb/s track in kernel memory, which counts a packet as two to four times
/// its size.
const SOCKET_BUFFER_BYTES: usize = 1024 * 1024;

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
    /// Starts the thread. With `links`, whatever subscribers receive goes through them.
    pub(crate) fn start(seed: u64, verify_every: u64, links: Option<Links>) -> Result<MediaHandle, LoadError> {
        let poll = Poll::new().map_err(LoadError::Socket)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE).map_err(LoadError::Socket)?);
        let (commands, receiver) = mpsc::channel();
        let thread = Thread::new(poll, receiver, seed, verify_every, links);
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

    /// Tells what a description says about the packets that a participant receives.
    pub(crate) fn learn(&self, participant: usize, terms: Terms) -> Result<(), LoadError> {
        self.send(Command::Learn(participant, terms))
    }

    /// Lets a participant send these layers of its video, by their rids, and no others.
    pub(crate) fn send_layers(&self, participant: usize, layers: Vec<(String, bool)>) -> Result<(), LoadError> {
        self.send(Command::SendLayers(participant, layers))
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
