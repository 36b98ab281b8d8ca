//! The sending half of a connection: it seals the packets, and estimates what the path to the client carries.
//!
//! If a client has negotiated transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01), each RTP
//! packet of the connection, of any stream that negotiated them, has the next number. The client's feedback then says which
//! numbers came, and when. Other clients may send their own estimate (REMB). Where there is neither, everything is sent until the
//! client's reports (RFC 3550 §6.4) show that too much of it is lost.

mod waiting;

use std::time::{Duration, Instant};

use super::ice::Path;
use super::pacing::Pacer;
use super::probe::Probing;
use super::round_trip::RoundTrip;
use super::sent::Sent;
use super::srtp::Outbound;
use crate::media::bandwidth::outgoing::{Estimator, Micros, Outcome, Report, State};
use crate::media::egress::{Egress, MAX_PACKET};
use crate::media::remote::{Remote, Via};
use crate::media::report::{ArrivalReport, PathReport};
use crate::media::tcp::outgoing::Importance;

/// Bytes that a path carries around each packet: the header of UDP, or that of TCP with its timestamps and the length of the packet; and that of
/// IPv4 or IPv6.
const UDP_HEADER: usize = 8;
const TCP_HEADERS: usize = 32 + 2;
/// Bytes around each packet of our relay: a channel's header, in TCP, which is more than in UDP.
const RELAY_HEADERS: usize = 32 + 4;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// Time after the first packet within which a client has told of some, if it ever does: it does so each 100 ms.
const UNHEARD: Micros = 2_000_000;
/// Bit rate that no connection needs.
const UNLIMITED: u64 = 100_000_000;
/// The least demand that the estimator is told. A video that has just begun is measured low, and the target may not fall for that.
const DEMAND_MIN: u64 = 150_000;
/// Time after a probe's last packet in which feedback of it comes, beside a round trip.
const CONCLUDES_AFTER: Micros = 1_500_000;
/// Time between packets that are sent into a silence.
const CALL_INTERVAL: Micros = 1_000_000;

/// Times begin here, so that the estimator may look back from the first.
const BEGINNING: Micros = 60_000_000;

pub struct Sender {
    pub outbound: Outbound,
    /// `None` while nothing is estimated.
    outgoing: Option<Box<Outgoing>>,
}

/// What is known of the packets on their way to a client.
struct Outgoing {
    since: Instant,
    /// The last time that was converted, and what it was: packets of a batch have the same.
    converted: (Instant, Micros),
    estimator: Estimator,
    /// The packets that have numbers. `None` where the client sends its own estimate, or only reports loss.
    sent: Option<Box<Sent>>,
    /// Whether the loss in the client's reports is all that it will tell.
    is_by_loss: bool,
    demand: u64,
    /// Time of the first packet of which the client was to tell something.
    first_sent: Option<Micros>,
    /// Whether the client has told of any.
    is_heard: bool,
    /// Time from which on another packet may be sent into a silence, so that there is something to tell of.
    next_call: Micros,
    round_trip: RoundTrip,
    /// The share of packets that the client has reported lost in its last receiver report, in 1/256.
    lost_256: u8,
    probing: Option<Probing>,
    /// Time at which a probe of which not all was reported is given up, if no feedback comes meanwhile.
    concludes: Option<Micros>,
    /// The probe to which the packets belong that are being written.
    cluster: Option<u8>,
    /// The bytes of the padding that is being written.
    padding: Option<usize>,
    /// Whether a visit is planned for the estimator's sake.
    is_watched: bool,
    pacer: Pacer,
}

impl Sender {
    pub fn new(outbound: Outbound) -> Sender {
        Sender {
            outbound,
            outgoing: None,
        }
    }

    /// Numbers packets from now on, in streams whose clients read the numbers.
    pub(crate) fn number_packets(&mut self, now: Instant) {
        let outgoing = self.outgoing.get_or_insert_with(|| Box::new(Outgoing::new(now)));
        outgoing.sent.get_or_insert_with(|| Box::new(Sent::new()));
        outgoing.is_by_loss = false;
    }

    /// Follows the client's own estimates from now on. If packets are numbered, these tell more.
    pub(crate) fn expect_estimates(&mut self, now: Instant) {
        let outgoing = self.outgoing.get_or_insert_with(|| Box::new(Outgoing::new(now)));
        outgoing.is_by_loss = false;
    }

    /// Follows the loss in the client's reports from now on, where it tells of nothing else and gets so many bits per second.
    pub(crate) fn follow_losses(&mut self, now: Instant, sent: u64) {
        self.outgoing.get_or_insert_with(|| {
            let mut outgoing = Outgoing::new(now);
            (outgoing.is_by_loss, outgoing.is_heard) = (true, true);
            outgoing.estimator = Estimator::of_rate(BEGINNING, sent);
            Box::new(outgoing)
        });
    }

    /// Whether anything is told of the path but the loss in reports.
    pub(crate) fn is_estimated(&self) -> bool {
        self.outgoing.is_some()
    }

    /// Whether the loss in the client's reports is all that it tells. Then it gets the lowest layers at least.
    pub(crate) fn is_by_loss(&self) -> bool {
        self.outgoing.as_ref().is_some_and(|outgoing| outgoing.is_by_loss)
    }

    /// The transport-wide number of the next packet. `None` while packets are not numbered.
    pub fn next_number(&self) -> Option<u16> {
        let sent = self.outgoing.as_ref()?.sent.as_ref()?;
        Some(sent.count() as u16)
    }

    /// What is known of the path. `None` where nothing is.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let outgoing = self.outgoing.as_ref()?;
        let outcome = outgoing.estimator.outcome();
        Some(match outgoing.is_deaf() {
            true => Outcome {
                target: UNLIMITED,
                smooth: UNLIMITED,
                proven: UNLIMITED,
                state: State::Growing,
                ..outcome
            },
            false => outcome,
        })
    }

    /// What is known of the path now, for operators. `None` where nothing is.
    pub(crate) fn report(&self, now: Instant) -> Option<PathReport> {
        let outgoing = self.outgoing.as_ref()?;
        let arrivals = outgoing.estimator.arrivals(outgoing.micros_at(now));
        let target = outgoing.estimator.outcome().target;
        Some(PathReport {
            target_bps: (!outgoing.is_deaf()).then_some(target),
            arrivals: arrivals.map(|arrivals| ArrivalReport {
                acked_bps: arrivals.rate,
                queue_delay_micros: arrivals.queue_delay,
                lost_256: arrivals.loss_256,
            }),
        })
    }

    /// The time that a packet takes to the client and its feedback back. `None` while nothing was told.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let least = self.outgoing.as_ref()?.round_trip.get()?;
        Some(Duration::from_micros(least))
    }

    /// Is told what all subscriptions of the connection would take if the path carried everything.
    pub(crate) fn demand(&mut self, now: Instant, bits_per_second: u64) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.demand = bits_per_second;
            // While nothing is there to be sent, what is known of the path stays.
            if bits_per_second > 0 {
                let now = outgoing.micros(now);
                outgoing.estimator.demand(now, bits_per_second.max(DEMAND_MIN));
            }
        }
    }

    /// Takes transport-wide feedback, from its base number on. `reports` gets what it says of packets that were sent.
    pub(crate) fn take_feedback(&mut self, now: Instant, body: &[u8], reports: &mut Vec<Report>) {
        reports.clear();
        let Some(outgoing) = &mut self.outgoing else { return };
        let now = outgoing.micros(now);
        let Some(sent) = &mut outgoing.sent else { return };
        sent.take(now, body, reports);
        let newest = reports.iter().rev().find(|report| report.arrived.is_some());
        if let Some(newest) = newest {
            outgoing.round_trip.note(now, now.saturating_sub(newest.sent));
        }
        if !reports.is_empty() {
            outgoing.is_heard = true;
            outgoing.estimator.feedback(now, outgoing.round_trip.get(), reports);
            if outgoing.probing.is_some() && outgoing.estimator.ends_probe() {
                self.end_probe();
            }
        }
    }

    /// Takes the client's own estimate. False where the packets have numbers, which tell more, or nothing is estimated.
    pub(crate) fn take_estimate(&mut self, now: Instant, bits_per_second: u64) -> bool {
        let is_all = |outgoing: &&mut Box<Outgoing>| outgoing.sent.is_none() && !outgoing.is_by_loss;
        let Some(outgoing) = self.outgoing.as_mut().filter(is_all) else {
            return false;
        };
        let now = outgoing.micros(now);
        outgoing.is_heard = true;
        outgoing.estimator.remb(now, bits_per_second, outgoing.lost_256);
        true
    }

    /// Takes the share of packets that the client reports lost, of the stream that loses most.
    pub(crate) fn take_loss(&mut self, lost_256: u8) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.lost_256 = lost_256;
        }
    }

    /// Takes the share of all videos that was lost. False if more is known of the path.
    pub(crate) fn take_video_loss(&mut self, now: Instant, lost_256: u8) -> bool {
        let Some(outgoing) = self.outgoing.as_mut().filter(|outgoing| outgoing.is_by_loss) else {
            return false;
        };
        let now = outgoing.micros(now);
        outgoing.estimator.lost(now, lost_256);
        true
    }

    /// Time at which [`Sender::handle_timeout`] has something to do, if that is news: no visit is planned, because before the last
    /// packets there was nothing to wait for.
    pub(crate) fn begin_watch(&mut self) -> Option<Instant> {
        let outgoing = self.outgoing.as_mut().filter(|outgoing| !outgoing.is_watched)?;
        let due = outgoing.estimator.next_timeout()?;
        outgoing.is_watched = true;
        Some(outgoing.instant(due))
    }

    /// Does what is due by the clock. True if something was.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        let Some(outgoing) = &mut self.outgoing else {
            return false;
        };
        let now = outgoing.micros(now);
        let is_due = outgoing.estimator.next_timeout().is_some_and(|due| due <= now);
        if is_due {
            outgoing.estimator.timeout(now);
        }
        let concludes = outgoing.concludes.is_some_and(|due| due <= now);
        if concludes {
            outgoing.concludes = None;
            outgoing.estimator.feedback(now, outgoing.round_trip.get(), &[]);
        }
        outgoing.is_watched = outgoing.estimator.next_timeout().is_some();
        is_due || concludes
    }

    /// Time at which [`Sender::handle_timeout`] or [`Sender::call_into_silence`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let outgoing = self.outgoing.as_ref()?;
        let call = outgoing.is_silent().then_some(outgoing.next_call);
        let others = call.into_iter().chain(outgoing.concludes);
        let due = outgoing.estimator.next_timeout().into_iter().chain(others).min()?;
        Some(outgoing.instant(due))
    }

    /// Whether a packet is to be sent now so that the client may be heard again: it has told of nothing for so long that no video is
    /// sent to it any more.
    pub(crate) fn call_into_silence(&mut self, now: Instant) -> bool {
        let Some(outgoing) = &mut self.outgoing else {
            return false;
        };
        let now = outgoing.micros(now);
        if !outgoing.is_silent() || now < outgoing.next_call {
            return false;
        }
        outgoing.next_call = now + CALL_INTERVAL;
        true
    }

    /// Forgets what is known of the path: it may be another one now.
    pub(crate) fn forget_path(&mut self, now: Instant) {
        if let Some(outgoing) = &mut self.outgoing {
            let now = outgoing.micros(now);
            // Who tells of nothing but losses got all that is sent until they did.
            let sent = outgoing.estimator.outcome().target;
            outgoing.estimator = match outgoing.is_by_loss {
                true => Estimator::of_rate(now, sent),
                false => Estimator::new(now),
            };
            if let Some(sent) = &mut outgoing.sent {
                sent.forget();
            }
            (outgoing.probing, outgoing.concludes) = (None, None);
            outgoing.round_trip = RoundTrip::default();
            (outgoing.first_sent, outgoing.is_heard) = (None, outgoing.is_by_loss);
            outgoing.pacer.follow(None);
        }
    }

    /// Begins the probe that the estimator wants, if more is wanted than the path is known to carry. True if there is one to send.
    pub(crate) fn begin_probe(&mut self, now: Instant) -> bool {
        let Some(outgoing) = &mut self.outgoing else {
            return false;
        };
        let at = outgoing.micros(now);
        let wants_more = outgoing.demand > outgoing.estimator.outcome().target || outgoing.estimator.asks_for_probe();
        // Who tells of no packets says by an estimate what a probe has shown.
        let can_tell = outgoing.sent.is_some() || (outgoing.is_heard && !outgoing.is_by_loss);
        if outgoing.probing.is_some() || !can_tell || !wants_more {
            return false;
        }
        outgoing.probing = outgoing.estimator.next_probe(at).map(|probe| Probing::new(now, probe));
        outgoing.probing.is_some()
    }

    /// The probe that is being sent.
    pub(crate) fn probing(&mut self) -> Option<&mut Probing> {
        self.outgoing.as_mut()?.probing.as_mut()
    }

    pub(crate) fn end_probe(&mut self) {
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.probing = None;
            if outgoing.sent.is_none() {
                return;
            }
            let round_trip = outgoing.round_trip.get().unwrap_or(0);
            outgoing.concludes = Some(outgoing.converted.1 + CONCLUDES_AFTER + round_trip);
        }
    }

    /// The packets from now on only load the path. They may belong to a probe.
    pub(crate) fn begin_padding(&mut self, cluster: Option<u8>) {
        if let Some(outgoing) = &mut self.outgoing {
            (outgoing.cluster, outgoing.padding) = (cluster, Some(0));
        }
    }

    /// The packets from now on are no padding. Returns the bytes of those that were.
    pub(crate) fn end_padding(&mut self) -> usize {
        let Some(outgoing) = &mut self.outgoing else { return 0 };
        outgoing.cluster = None;
        outgoing.padding.take().unwrap_or(0)
    }
}

impl Outgoing {
    /// Whether the client has negotiated to tell of packets, and tells of none. Nothing limits what it gets.
    fn is_deaf(&self) -> bool {
        let waited = self
            .first_sent
            .map_or(0, |first| self.converted.1.saturating_sub(first));
        !self.is_heard && waited > UNHEARD
    }

    fn is_silent(&self) -> bool {
        self.is_heard && self.estimator.outcome().state == State::Silent
    }

    fn new(now: Instant) -> Outgoing {
        Outgoing {
            since: now,
            converted: (now, BEGINNING),
            estimator: Estimator::new(BEGINNING),
            sent: None,
            is_by_loss: false,
            demand: 0,
            first_sent: None,
            is_heard: false,
            next_call: 0,
            round_trip: RoundTrip::default(),
            lost_256: 0,
            probing: None,
            concludes: None,
            cluster: None,
            padding: None,
            is_watched: false,
            pacer: Pacer::new(),
        }
    }

    fn micros(&mut self, now: Instant) -> Micros {
        if self.converted.0 != now {
            self.converted = (now, self.micros_at(now));
        }
        self.converted.1
    }

    fn micros_at(&self, now: Instant) -> Micros {
        let since = now.saturating_duration_since(self.since);
        // All microseconds together would need a division of 128 bits for each packet.
        BEGINNING + since.as_secs() * 1_000_000 + u64::from(since.subsec_micros())
    }

    fn instant(&self, at: Micros) -> Instant {
        // A time that is further away is set again before it comes.
        let ahead = Duration::from_micros(at.saturating_sub(self.converted.1).min(3_600_000_000));
        self.converted.0 + ahead
    }
}

/// The way for the packets of one connection.
pub struct Sink<'a> {
    pub sender: &'a mut Sender,
    pub path: Path,
    pub egress: &'a mut Egress,
}

impl Sink<'_> {
    /// Room for one packet. `None` if the buffer is full: the packet is lost, as if the network had dropped it, and counted.
    pub fn room(&mut self) -> Option<(&mut [u8; MAX_PACKET], &Sender)> {
        Some((self.egress.room()?, &*self.sender))
    }

    /// Adds the first `len` bytes of the room as a packet. If it is `numbered`, it has the sender's next number.
    pub(crate) fn commit(&mut self, now: Instant, len: usize, numbered: bool, importance: Importance) {
        self.egress.commit(self.path, len, importance);
        let Some(outgoing) = &mut self.sender.outgoing else {
            return;
        };
        let (now, bytes) = (outgoing.micros(now), len + headers(self.path.remote));
        outgoing.pacer.sent(now, bytes);
        match &mut outgoing.sent {
            Some(sent) if numbered => sent.push(now, bytes, outgoing.cluster),
            // Nothing will be told of it.
            Some(_) => return,
            None => {}
        }
        if let Some(padding) = &mut outgoing.padding {
            *padding += bytes;
        } else if let Some(probing) = &mut outgoing.probing {
            probing.sent_media(bytes);
        }
        outgoing.first_sent.get_or_insert(now);
        if outgoing.is_by_loss {
            return;
        }
        outgoing.estimator.sent(now, bytes as u32, outgoing.cluster);
    }
}

/// Bytes that the path to `remote` carries around each packet.
fn headers(remote: Remote) -> usize {
    let transport = match remote.via {
        Via::Udp => UDP_HEADER,
        Via::Tcp(_) => TCP_HEADERS,
        Via::Relay(_) => RELAY_HEADERS,
    };
    let network = if remote.address.is_ipv4() {
        IPV4_HEADER
    } else {
        IPV6_HEADER
    };
    transport + network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_without_an_estimate_stays_small() {
        assert!(size_of::<Sender>() <= size_of::<Outbound>() + 8);
        assert!(size_of::<Outgoing>() + size_of::<Sent>() <= 48 * 1_024);
    }
}
