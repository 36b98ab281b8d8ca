//! The way between our relay (TURN) and the workers: packets of its clients go to the worker whose address they name, and what a
//! worker has for such a client comes back. Both are bounded queues in memory, and what finds no room is dropped, as by a network.
//!
//! To a worker an allocation is one more address of its client ([`Remote`](super::remote::Remote)), as a TCP connection is.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ahash::AHashMap;
use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::doorbell::Doorbell;
use super::tcp::outgoing::Importance;

/// Packets that wait for one worker: some 50 ms of a hundred publishers. At 2 KiB each they take 4 MiB.
pub(crate) const PACKETS: usize = 2_048;

/// An allocation, by a number that no other one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayKey(pub u32);

/// A packet of a client that comes by the relay.
pub struct FromRelay {
    pub key: RelayKey,
    /// The relayed address: where the packet comes from, as the worker sees it.
    pub from: SocketAddr,
    /// The address of ours that the client has named.
    pub to: SocketAddr,
    pub packet: Vec<u8>,
    /// The way back to the client.
    pub back: mpsc::Sender<ToRelay>,
}

/// Packets of a worker for a client of the relay: `bytes`, cut into segments of `segment` bytes.
pub struct ToRelay {
    pub key: RelayKey,
    /// The address of ours from which they come.
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
    pub segment: usize,
    pub(crate) importance: Importance,
}

/// The way to one worker.
pub(crate) struct Way {
    pub packets: mpsc::Sender<FromRelay>,
    pub doorbell: Arc<Doorbell>,
    /// The addresses at which clients reach it by UDP.
    pub candidates: Vec<SocketAddr>,
}

/// The way to all workers. Cheap to clone.
#[derive(Clone, Default)]
pub struct RelayEntrance {
    ways: Arc<ArcSwap<Ways>>,
}

#[derive(Default)]
struct Ways {
    ways: Vec<Way>,
    /// Which worker is reached at an address.
    by_address: AHashMap<SocketAddr, usize>,
}

/// A packet for which there was no room, or no worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl RelayEntrance {
    /// Whether a worker is announced to clients at this very address, by UDP.
    pub fn is_candidate(&self, address: SocketAddr) -> bool {
        self.ways.load().by_address.contains_key(&address)
    }

    /// The first address of this family at which workers are reached.
    pub fn address(&self, is_ipv4: bool) -> Option<IpAddr> {
        let ways = self.ways.load();
        let mut all = ways.ways.iter().flat_map(|way| &way.candidates);
        all.find(|address| address.is_ipv4() == is_ipv4).map(SocketAddr::ip)
    }

    /// Gives a packet to the worker at the address that it is for.
    pub fn send(&self, packet: FromRelay) -> Result<(), Lost> {
        let ways = self.ways.load();
        let way = ways
            .by_address
            .get(&packet.to)
            .and_then(|&index| ways.ways.get(index))
            .ok_or(Lost)?;
        way.packets.try_send(packet).map_err(|_| Lost)?;
        way.doorbell.ring();
        Ok(())
    }

    /// Takes over which workers there are.
    pub(crate) fn show(&self, ways: Vec<Way>) {
        let of = |(index, way): (usize, &Way)| {
            way.candidates
                .iter()
                .map(move |&address| (address, index))
                .collect::<Vec<_>>()
        };
        let by_address = ways.iter().enumerate().flat_map(of).collect();
        self.ways.store(Arc::new(Ways { ways, by_address }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(candidates: &[&str], packets: mpsc::Sender<FromRelay>) -> Way {
        Way {
            packets,
            doorbell: Arc::new(Doorbell::new(None)),
            candidates: candidates.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    fn packet(to: &str) -> FromRelay {
        FromRelay {
            key: RelayKey(1),
            from: SocketAddr::from(([203, 0, 113, 7], 49_152)),
            to: to.parse().unwrap(),
            packet: vec![1],
            back: mpsc::channel(1).0,
        }
    }

    #[test]
    fn a_packet_goes_to_the_worker_at_its_address_and_is_lost_where_there_is_none_or_no_room() {
        let entrance = RelayEntrance::default();
        assert_eq!(entrance.send(packet("192.0.2.1:1")), Err(Lost));
        let ((first, mut first_packets), (second, mut second_packets)) = (mpsc::channel(1), mpsc::channel(1));
        entrance.show(vec![
            way(&["192.0.2.1:1", "[2001:db8::1]:1"], first),
            way(&["192.0.2.1:2"], second),
        ]);
        assert_eq!(entrance.send(packet("192.0.2.1:2")), Ok(()));
        assert_eq!(entrance.send(packet("[2001:db8::1]:1")), Ok(()));
        assert_eq!(entrance.send(packet("192.0.2.1:1")), Err(Lost), "its queue is full");
        assert_eq!(entrance.send(packet("192.0.2.1:3")), Err(Lost));
        assert!(first_packets.try_recv().is_ok() && second_packets.try_recv().is_ok());
        assert!(entrance.is_candidate("192.0.2.1:2".parse().unwrap()));
        assert!(!entrance.is_candidate("[::ffff:192.0.2.1]:2".parse().unwrap()));
        assert_eq!(entrance.address(true), Some("192.0.2.1".parse().unwrap()));
        entrance.show(Vec::new());
        assert_eq!(
            (
                entrance.address(true),
                entrance.is_candidate("192.0.2.1:2".parse().unwrap())
            ),
            (None, false)
        );
    }
}
