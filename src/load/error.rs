//! The reasons why a run could not begin, or ended early: one sentence each for the person who
//! typed the command.

use std::io;
use std::net::SocketAddr;

use crate::media::peer::dtls::DtlsFailure;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("'{0}' is not the address of a server; give one such as https://localhost:8443 or wss://calls.example.com")]
    Url(String),
    #[error("cannot reach {url}: {reason}. Is the server running there?")]
    Unreachable { url: String, reason: String },
    #[error("{url} did not take the WebSocket: {reason}. Is it a {server} server?")]
    NotTaken {
        url: String,
        server: &'static str,
        reason: String,
    },
    #[error("the server did not let '{who}' in: {reason}")]
    Refused { who: String, reason: String },
    #[error("the server closed the connection of '{who}': {reason}")]
    Closed { who: String, reason: String },
    #[error("the server did not answer '{who}' within {seconds} s ({what})")]
    NoAnswer {
        who: String,
        what: &'static str,
        seconds: u64,
    },
    #[error("the server's description cannot be used: {0}")]
    Description(String),
    #[error(
        "the server wants its media at {offered}, which is not the machine of the URL; the tester sends to none but that. Use that address in --url"
    )]
    ElsewhereMedia { offered: String },
    #[error("no connection to the server's media address {address} within {seconds} s. Is that UDP port open?")]
    NoMedia { address: SocketAddr, seconds: u64 },
    #[error("the server's media address {0} has been silent for 20 s")]
    Silent(SocketAddr),
    #[error("the DTLS handshake failed: {0}")]
    Handshake(&'static str),
    #[error("the server ended the media connection to {0}")]
    MediaEnded(SocketAddr),
    #[error(
        "{needed} file descriptors are needed for so many connections, and the limit is {limit}; raise it with 'ulimit -n {needed}', or ask for fewer"
    )]
    Descriptors { needed: u64, limit: u64 },
    #[error("cannot open a UDP socket: {0}")]
    Socket(io::Error),
    #[error("{0}")]
    Settings(String),
    #[error("there is no process {pid} to watch (--server-pid)")]
    NoProcess { pid: u32 },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("only {up} of {pairs} subscriptions came up; the server may be too slow for --joins-per-s")]
    Unjoined { up: usize, pairs: usize },
    #[error("nothing arrived at any subscriber")]
    NothingArrived,
    #[error("nothing of a track came to participant {who}")]
    NothingOf { who: usize },
    #[error("the tester's media thread ended")]
    ThreadEnded,
}

impl LoadError {
    pub(crate) fn handshake(failure: DtlsFailure) -> LoadError {
        LoadError::Handshake(match failure {
            DtlsFailure::Handshake => "it cannot succeed any more",
            DtlsFailure::WrongFingerprint => "the server's certificate is not the one that it announced",
        })
    }
}
