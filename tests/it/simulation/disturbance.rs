//! Disturbances of a client's connections: packets of those may be missing.

use std::net::SocketAddr;

use super::connection::Connection;
use super::person::Person;
use super::surroundings::Surroundings;

impl Person {
    /// Something has happened to this client's way to the server.
    pub fn disturb(&mut self, at: &mut Surroundings) {
        for connection in self.connections.values_mut() {
            soil(at, connection);
        }
    }

    /// Something has happened at this address.
    pub fn disturb_at(&mut self, at: &mut Surroundings, server: SocketAddr) {
        for connection in self.connections.values_mut() {
            if connection.server().is_none_or(|known| known == server) {
                soil(at, connection);
            }
        }
    }
}

pub fn soil(at: &mut Surroundings, connection: &mut Connection) {
    connection.is_clean = false;
    if let Some(facts) = stream_of(connection).and_then(|stream| at.streams.get_mut(&stream)) {
        facts.is_clean = false;
    }
}

pub fn stream_of(connection: &Connection) -> Option<u32> {
    connection.source.as_ref().map(|source| source.stream)
}
