//! Our part as a client, until the server has proven who it is. Messages before that may be forged, and the server answers only one of
//! our hellos. So the library gets no answer before it is known to be the server's.
//!
//! - A HelloVerifyRequest proves nothing, and a hello with a cookie that the server has not asked for ends a handshake. So a cookie is
//!   brought back once it has been asked for twice; after the first time, our hello is sent again unchanged. A server that wants a
//!   cookie asks again; one that wants none has mostly answered meanwhile. (Two forged requests within a round trip can still mislead
//!   us.)
//! - A server's first messages are its answer if its certificate's key has signed our random with its own. Whether the certificate is
//!   the right one is checked when the handshake is done.

use std::time::Instant;

use bytes::BytesMut;

use super::pace::is_time;
use super::records::{self, ClientHello, Introduction, MESSAGE_HEADER};
use super::signature::Signatures;

pub(crate) struct Opening {
    /// Our first hello, made by the library.
    hello: Vec<u8>,
    /// The cookie that somebody has asked for last.
    requested: Option<Vec<u8>>,
    /// The cookie to bring back.
    cookie: Option<Vec<u8>>,
    /// The time when the hello was last repeated because of a cookie.
    repeated: Option<Instant>,
}

impl Opening {
    /// Keeps the library's first flight. `None` if that is not a hello.
    pub fn new(flight: &[BytesMut]) -> Option<Opening> {
        let record = records::records(flight.first()?).next()?;
        let opening = Opening {
            hello: record.body.to_vec(),
            requested: None,
            cookie: None,
            repeated: None,
        };
        opening.first().is_some().then_some(opening)
    }

    fn first(&self) -> Option<ClientHello<'_>> {
        ClientHello::parse(self.hello.get(MESSAGE_HEADER..)?)
    }

    pub(crate) fn cookie(&self) -> Option<&[u8]> {
        self.cookie.as_deref()
    }

    /// The hello to send now.
    pub(crate) fn hello(&self) -> Vec<u8> {
        match (self.first(), &self.cookie) {
            (Some(first), Some(cookie)) => first.second(cookie),
            _ => self.hello.clone(),
        }
    }

    /// Records that somebody has asked for a cookie. Returns whether our hello must be sent again, with the cookie or still without.
    pub(crate) fn is_asked(&mut self, now: Instant, cookie: &[u8]) -> bool {
        if self.requested.as_deref() == Some(cookie) && self.cookie() != Some(cookie) {
            self.cookie = self.requested.clone();
            return true;
        }
        self.requested = Some(cookie.to_vec());
        is_time(now, &mut self.repeated)
    }

    /// Whether these first messages of a server answer our hello.
    pub fn is_answered_by(&self, now: Instant, flight: &[Vec<u8>], signatures: &mut Signatures) -> bool {
        let bodies = flight.iter().filter_map(|message| message.get(MESSAGE_HEADER..));
        let [hello, certificates, key_exchange] = match bodies.take(3).collect::<Vec<_>>().try_into() {
            Ok(bodies) => bodies,
            Err(_) => return false,
        };
        let (Some(ours), Some(server)) = (self.first(), Introduction::parse(hello, certificates, key_exchange)) else {
            return false;
        };
        let text = [&ours.random, server.random, server.parameters].concat();
        signatures.has_signed(now, &server.signed, &text)
    }
}
