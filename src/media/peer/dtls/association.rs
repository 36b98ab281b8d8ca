//! The state that is kept of a finished handshake. The library's state has some ten kilobytes for each connection, most of it for the
//! messages of the handshake. Afterwards it is needed for one thing alone: the goodbye of either side. So what both sides have
//! agreed on is written down, a tenth of that, and the library reads it when the first goodbye, or what may be one, is due.

use std::time::Instant;

use bytes::BytesMut;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;

use super::attempt::Attempt;
use super::identity::{DtlsIdentity, PEER};

pub(super) struct Association {
    library: Library,
    /// The last flight of the handshake, if it was ours.
    pub last_flight: Vec<BytesMut>,
}

enum Library {
    /// The keys and numbers with which the library can go on.
    Written(Box<[u8]>),
    /// The library again. It stays, because it remembers which records it has seen: a stranger's records then cost no more
    /// than a look at each.
    Awake(Box<Endpoint>),
}

impl Association {
    /// The association of a handshake that is done. `None` if it is not.
    pub fn of(attempt: &Attempt) -> Option<Association> {
        let state = attempt.state()?;
        let written = state.marshal_binary().ok()?;
        let is_ours = !state.is_client();
        let flight = attempt.last_flight.iter().filter(|_| is_ours);
        Some(Association {
            library: Library::Written(written.into_boxed_slice()),
            last_flight: flight.map(|datagram| BytesMut::from(&datagram[..])).collect(),
        })
    }

    fn library(&mut self, now: Instant, identity: &DtlsIdentity) -> Option<&mut Endpoint> {
        if let Library::Written(written) = &self.library {
            let mut state = State::new(identity.provider.clone(), true);
            state.unmarshal_binary(written).ok()?;
            let mut endpoint = Endpoint::new(PEER, TransportProtocol::UDP, None);
            // With a state, this sends nothing. The settings are those of a client, but the state says which side it is, and
            // the settings are for handshakes.
            endpoint.connect(now, PEER, identity.client.clone(), Some(state)).ok()?;
            self.library = Library::Awake(Box::new(endpoint));
        }
        match &mut self.library {
            Library::Awake(endpoint) => Some(endpoint),
            Library::Written(_) => None,
        }
    }

    /// Reads an encrypted record. One that is not authentic changes nothing.
    pub fn read(&mut self, now: Instant, identity: &DtlsIdentity, record: &[u8]) -> Vec<EndpointEvent> {
        let library = self.library(now, identity);
        // An error means an alert that is not authentic, or a warning: the connection goes on.
        let events = library.and_then(|library| library.read(now, PEER, None, BytesMut::from(record)).ok());
        events.unwrap_or_default()
    }

    /// Queues a close_notify.
    pub fn close(&mut self, now: Instant, identity: &DtlsIdentity) {
        if let Some(library) = self.library(now, identity) {
            let _ = library.close(now);
        }
    }

    pub fn poll_transmit(&mut self) -> Option<BytesMut> {
        match &mut self.library {
            Library::Awake(endpoint) => endpoint.poll_transmit().map(|transmit| transmit.message),
            Library::Written(_) => None,
        }
    }
}
