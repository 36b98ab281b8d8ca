//! The commands that the tester's media thread takes.

use std::net::UdpSocket;

use mio::Token;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::LoadError;
use super::figures::{Progress, Totals};
use super::sdp::Terms;
use super::source::Encoding;

pub(super) const WAKE: Token = Token(usize::MAX);

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

pub(super) enum Command {
    Add(Box<Setup>),
    Leave(usize, oneshot::Sender<()>),
    Learn(usize, Terms),
    /// The layers of a participant's video that the server wants, by their rids, and those that it does not want.
    SendLayers(usize, Vec<(String, bool)>),
    Measure,
    StopSending,
    Progress(oneshot::Sender<Progress>),
    Finish(oneshot::Sender<Totals>),
}
