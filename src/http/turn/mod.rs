//! Our relay (TURN, `crate::turn`): its sockets, and the way between them and the media workers. What comes from a client is given to
//! the pure core, and what follows from that is done here.

mod prefixed;
mod stream;
mod udp;
mod waiting;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::mpsc;

pub(super) use self::prefixed::Prefixed;
pub(crate) use self::stream::RelayDoor;
pub(crate) use self::udp::{BoundUdp, bind_udp};
use crate::clock::{MonotonicClock, WallClock, since_1970};
use crate::media::relay::{FromRelay, RelayEntrance, RelayKey, ToRelay};
use crate::turn::client::Client;
use crate::turn::credentials::Secret;
use crate::turn::nonce::Nonces;
use crate::turn::quotas::Quotas;
use crate::turn::{Answer, Dropped, Now, Peers, Step, Terms};

/// The media workers, as the only peers.
struct Workers(RelayEntrance);

impl Peers for Workers {
    fn contains(&self, peer: SocketAddr) -> bool {
        self.0.is_candidate(peer)
    }

    fn address(&self, is_ipv4: bool) -> Option<IpAddr> {
        self.0.address(is_ipv4)
    }
}

/// What all sockets of the relay share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Relay {
    terms: Arc<Terms<Workers>>,
    passed: MonotonicClock,
    clock: WallClock,
}

impl Relay {
    /// `secret` signs credentials; `share_percent` is what one address may have of all allocations.
    pub fn new(
        secret: Secret,
        share_percent: u8,
        workers: RelayEntrance,
        (clock, passed): (WallClock, MonotonicClock),
    ) -> Relay {
        let terms = Terms {
            secret,
            nonces: Nonces::new(&rand::random::<[u8; 32]>()),
            quotas: Quotas::new(share_percent),
            peers: Workers(workers),
        };
        Relay {
            terms: Arc::new(terms),
            passed,
            clock,
        }
    }

    fn now(&self) -> Now {
        Now {
            at: (self.passed)(),
            unix_s: since_1970(&self.clock).as_secs(),
        }
    }

    /// Shows how many allocations there are.
    fn count(&self) {
        metrics::gauge!("patchbay_turn_allocations").set(self.terms.quotas.allocations() as f64);
    }

    /// Gives a message of a client to the core, and its packet to the worker that it is for. Returns the answer, if there is one.
    fn take(&self, now: Now, client: &mut Client, message: &[u8], back: &mpsc::Sender<ToRelay>) -> Option<Answer> {
        match client.receive(now, &self.terms, message) {
            Step::Reply(answer) => {
                if let Some(code) = answer.error {
                    metrics::counter!("patchbay_turn_refused_requests_total", "code" => code.to_string()).increment(1);
                    // 401 and 438 are the usual way to a nonce.
                    if !matches!(code, 401 | 438) {
                        tracing::info!(client = %client.address(), code, "request to the relay refused");
                    }
                }
                return Some(answer);
            }
            Step::Forward { peer, packet } => {
                let relayed = client.relayed()?;
                let packet = FromRelay {
                    key: RelayKey(relayed.number),
                    from: relayed.address,
                    to: peer,
                    packet,
                    back: back.clone(),
                };
                if self.terms.peers.0.send(packet).is_err() {
                    dropped("worker_busy");
                }
            }
            Step::Drop(why) => dropped(Dropped::name(why)),
        }
        None
    }
}

fn dropped(why: &'static str) {
    metrics::counter!("patchbay_turn_dropped_packets_total", "why" => why).increment(1);
}
