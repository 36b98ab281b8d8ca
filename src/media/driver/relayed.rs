//! The clients of one worker that are reached by our relay (TURN). Their packets come and go by queues, so nothing here waits.

use std::net::SocketAddr;
use std::ops::Range;

use ahash::AHashMap;
use tokio::sync::mpsc;

use crate::media::egress::Run;
use crate::media::peer::ice::Path;
use crate::media::relay::{FromRelay, RelayKey, ToRelay};
use crate::media::remote::{Remote, Via};

/// Packets taken in one go: the driver's buffer has room for them.
const BATCH: usize = 64;

/// The relayed clients of a worker, each by its allocation.
pub(crate) struct RelayedClients {
    packets: mpsc::Receiver<FromRelay>,
    known: AHashMap<RelayKey, Client>,
    /// Clients whose first packet was among those taken last.
    newcomers: Vec<Remote>,
    /// Packets so far for which there was no room on the way back.
    dropped: u64,
}

struct Client {
    remote: Remote,
    /// The port of ours to which it sends. It is the same at all our addresses.
    port: u16,
    back: mpsc::Sender<ToRelay>,
}

impl RelayedClients {
    pub fn new(packets: mpsc::Receiver<FromRelay>) -> RelayedClients {
        RelayedClients {
            packets,
            known: AHashMap::new(),
            newcomers: Vec::new(),
            dropped: 0,
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether there is something to receive.
    pub fn has_mail(&self) -> bool {
        !self.packets.is_empty()
    }

    /// Puts some packets into `buffer`, and calls `take` with the path of each and its place there. Call
    /// [`RelayedClients::keep`] after that.
    pub fn receive(&mut self, buffer: &mut [u8], mut take: impl FnMut(Path, &mut [u8], Range<usize>)) {
        let mut end = 0;
        for _ in 0..BATCH {
            let Ok(arrived) = self.packets.try_recv() else { return };
            let place = end..end + arrived.packet.len();
            let Some(room) = buffer.get_mut(place.clone()) else {
                return;
            };
            room.copy_from_slice(&arrived.packet);
            end = place.end;
            let remote = Remote {
                address: arrived.from,
                via: Via::Relay(arrived.key),
            };
            let client = Client {
                remote,
                port: arrived.to.port(),
                back: arrived.back,
            };
            if self.known.insert(arrived.key, client).is_none() {
                self.newcomers.push(remote);
            }
            let local = Some(arrived.to.ip());
            take(Path { remote, local }, buffer, place);
        }
    }

    /// Forgets the newcomers that are no clients of the worker.
    pub fn keep(&mut self, is_known: impl Fn(Remote) -> bool) {
        for newcomer in self.newcomers.drain(..) {
            if !is_known(newcomer)
                && let Via::Relay(key) = newcomer.via
            {
                self.known.remove(&key);
            }
        }
    }

    /// Forgets those who are no clients any more. Returns those whose relay has ended, which the worker has to forget.
    pub fn sweep(&mut self, is_known: impl Fn(Remote) -> bool) -> Vec<Remote> {
        let mut ended = Vec::new();
        self.known.retain(|_, client| {
            let has_ended = client.back.is_closed();
            if has_ended {
                ended.push(client.remote);
            }
            !has_ended && is_known(client.remote)
        });
        ended
    }

    /// Sends a run of packets back. False if its client is not known.
    pub fn send(&mut self, key: RelayKey, run: &Run, bytes: &[u8]) -> bool {
        let client = self.known.get(&key).zip(run.path.local);
        let Some((client, local)) = client else {
            return false;
        };
        let packets = ToRelay {
            key,
            from: SocketAddr::new(local, client.port),
            bytes: bytes.to_vec(),
            segment: run.segment,
            importance: run.importance,
        };
        if client.back.try_send(packets).is_err() {
            self.dropped += run.datagrams();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::egress::Egress;

    fn arrived(key: u32, packet: &[u8], back: &mpsc::Sender<ToRelay>) -> FromRelay {
        FromRelay {
            key: RelayKey(key),
            from: SocketAddr::from(([203, 0, 113, 7], 49_152 + key as u16)),
            to: SocketAddr::from(([203, 0, 113, 7], 8_800)),
            packet: packet.to_vec(),
            back: back.clone(),
        }
    }

    /// Takes what has arrived, and returns it with its paths.
    fn taken(clients: &mut RelayedClients) -> Vec<(Path, Vec<u8>)> {
        let (mut buffer, mut found) = (vec![0; 4_096], Vec::new());
        clients.receive(&mut buffer, |path, buffer, place| {
            found.push((path, buffer[place].to_vec()))
        });
        found
    }

    #[test]
    fn packets_keep_their_paths_and_answers_go_back_until_the_queue_is_full() {
        let (sender, packets) = mpsc::channel(8);
        let (back, mut returned) = mpsc::channel(1);
        let mut clients = RelayedClients::new(packets);
        for key in [1, 2, 1] {
            assert!(sender.try_send(arrived(key, &[key as u8; 5], &back)).is_ok());
        }
        assert!(clients.has_mail());
        let found = taken(&mut clients);
        assert!(!clients.has_mail());
        let seen = found.iter().map(|(path, packet)| (path.remote.via, packet.clone()));
        let expected = [1, 2, 1].map(|key| (Via::Relay(RelayKey(key)), vec![key as u8; 5]));
        assert!(seen.eq(expected));
        clients.keep(|_| true);

        let mut egress = Egress::new(8);
        for len in [100, 100, 60] {
            egress.push(found[0].0, &vec![7; len]);
        }
        let (run, bytes) = egress.sends().next().unwrap();
        assert!(clients.send(RelayKey(1), run, bytes));
        let run_back = returned.try_recv().unwrap();
        assert_eq!(
            (run_back.key, run_back.segment, run_back.bytes.len()),
            (RelayKey(1), 100, 260)
        );
        assert_eq!(run_back.from, SocketAddr::from(([203, 0, 113, 7], 8_800)));
        assert!(clients.send(RelayKey(1), run, bytes));
        assert_eq!(clients.dropped(), 0);
        assert!(clients.send(RelayKey(1), run, bytes), "lost, as on any network");
        assert_eq!(clients.dropped(), 3);
        assert!(!clients.send(RelayKey(9), run, bytes), "nobody");
    }

    #[test]
    fn who_is_no_client_of_the_worker_is_forgotten_and_who_has_left_the_relay_is_reported() {
        let (sender, packets) = mpsc::channel(8);
        let (back, returned) = mpsc::channel(1);
        let (other_back, _other_returned) = mpsc::channel(1);
        let mut clients = RelayedClients::new(packets);
        let is_client = |remote: Remote| remote.via != Via::Relay(RelayKey(3));
        for (key, back) in [(1, &back), (2, &other_back), (3, &other_back)] {
            assert!(sender.try_send(arrived(key, b"check", back)).is_ok());
        }
        assert_eq!(taken(&mut clients).len(), 3);
        clients.keep(is_client);
        assert_eq!(clients.known.len(), 2);
        assert_eq!(clients.sweep(is_client), []);
        drop(returned);
        let ended = clients.sweep(is_client);
        assert!(ended.iter().map(|remote| remote.via).eq([Via::Relay(RelayKey(1))]));
        assert!(clients.sweep(|_| false).is_empty() && clients.known.is_empty());
    }
}
