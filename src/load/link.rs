//! Simulated links, one in front of each subscriber: a bottleneck with a queue, a delay, random loss. Pure: given the
//! time, it says what arrives when.
//!
//! ```text
//! server ─► bottleneck (KBIT, queue of 200 ms) ─► random loss ─► delay ─► subscriber
//! server ◄─ delay ◄──────────────────────────────────────────────────────── subscriber
//! ```
//!
//! Whatever a subscriber receives goes through its link, STUN and DTLS too, also if several connections bring it: they
//! share the bottleneck. But random loss takes RTP and RTCP only: a lost handshake would tell nothing about media, and a
//! run with many subscribers could hardly begin. What the subscriber sends is delayed and never lost.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::media::demux::{Class, classify};

/// The longest wait in a link's queue: what is common in routers of homes, and what the server's own tests use. What
/// would wait longer is dropped.
pub(crate) const QUEUE: Duration = Duration::from_millis(200);
/// Bytes of the headers of IPv4 and UDP, which take up a link as well.
const HEADER_BYTES: usize = 28;

/// Below this a single packet fills the queue; above it a run would keep hundreds of megabytes on their way.
const KBIT: std::ops::RangeInclusive<u64> = 50..=1_000_000;
/// Four times the way around the earth. A longer delay would end handshakes.
const DELAY_MS_MAX: u64 = 1_000;
/// With more than this no repair comes through, and no call is worth a measurement.
const LOSS_PERCENT_MAX: f64 = 50.0;

/// A link's properties, written KBIT, KBIT,DELAY_MS or KBIT,DELAY_MS,LOSS_PERCENT.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct LinkSettings {
    pub(crate) kbit: u64,
    /// The delay in each direction.
    pub(crate) delay_ms: u64,
    pub(crate) loss_percent: f64,
}

impl LinkSettings {
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// The time that the last packet sent needs to arrive, and to be sent again if it is lost.
    pub(crate) fn longest_way(&self) -> Duration {
        QUEUE + 3 * self.delay()
    }
}

impl FromStr for LinkSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<LinkSettings, String> {
        let mut parts = text.split(',').map(str::trim);
        let mut number = |name: &str, default: f64, range: std::ops::RangeInclusive<f64>| match parts.next() {
            None => Ok(default),
            Some(part) => part
                .parse::<f64>()
                .ok()
                .filter(|number| range.contains(number))
                .ok_or_else(|| {
                    format!(
                        "{name} is '{part}', and must be a number from {} to {}; write for example 700, or 700,40 for \
                         40 ms each way, or 700,40,1.5 for 1.5 % loss besides",
                        range.start(),
                        range.end()
                    )
                }),
        };
        let kbit = number("KBIT", 0.0, *KBIT.start() as f64..=*KBIT.end() as f64)? as u64;
        let delay_ms = number("DELAY_MS", 0.0, 0.0..=DELAY_MS_MAX as f64)? as u64;
        let loss_percent = number("LOSS_PERCENT", 0.0, 0.0..=LOSS_PERCENT_MAX)?;
        match parts.next() {
            None => Ok(LinkSettings {
                kbit,
                delay_ms,
                loss_percent,
            }),
            Some(more) => Err(format!(
                "'{more}' comes after KBIT,DELAY_MS,LOSS_PERCENT; write three numbers at most, with a point for fractions: \
                 700,40,1.5"
            )),
        }
    }
}

/// The packets and bytes of a link since the measurement began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkCounts {
    pub(crate) arrived: u64,
    /// The bytes that arrived, with the headers of IP and UDP.
    pub(crate) bytes: u64,
    pub(crate) queue_dropped: u64,
    pub(crate) randomly_lost: u64,
}

/// The fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Arrives(Instant),
    QueueFull,
    Lost,
}

/// One subscriber's link, towards it.
struct Link {
    settings: LinkSettings,
    random: StdRng,
    /// The time at which the bottleneck has sent all that waits.
    free_at: Instant,
    counts: LinkCounts,
}

impl Link {
    fn new(now: Instant, settings: LinkSettings, seed: u64) -> Link {
        Link {
            settings,
            random: StdRng::seed_from_u64(seed),
            free_at: now,
            counts: LinkCounts::default(),
        }
    }

    /// Sends a packet into the link at `now`.
    fn pass(&mut self, now: Instant, bytes: usize, may_be_lost: bool) -> Passage {
        let begins = self.free_at.max(now);
        if begins.saturating_duration_since(now) > QUEUE {
            self.counts.queue_dropped += 1;
            return Passage::QueueFull;
        }
        let bytes = (bytes + HEADER_BYTES) as u64;
        // Bits divided by kbit/s are milliseconds.
        self.free_at = begins + Duration::from_nanos(bytes * 8 * 1_000_000 / self.settings.kbit);
        // A packet that is lost on the air has taken its time of it.
        if may_be_lost && self.random.random_bool(self.settings.loss_percent / 100.0) {
            self.counts.randomly_lost += 1;
            return Passage::Lost;
        }
        self.counts.arrived += 1;
        self.counts.bytes += bytes;
        Passage::Arrives(self.free_at + self.settings.delay())
    }
}

/// A datagram's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToSubscriber,
    ToServer,
}

/// A datagram that has come to the end of its link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Crossed {
    pub(crate) at: Instant,
    pub(crate) way: Way,
    /// The connection's number in the tester.
    pub(crate) connection: usize,
    pub(crate) datagram: Vec<u8>,
}

/// All links of a run, and the datagrams on their way. Their memory is bounded by what fits a link: the queue of 200 ms
/// and the delay, at its rate.
pub(crate) struct Links {
    settings: LinkSettings,
    seed: u64,
    /// The links by subscriber.
    links: HashMap<usize, Link>,
    on_their_way: BinaryHeap<Reverse<Crossing>>,
    entered: u64,
    /// The counts of links that have ended.
    ended: LinkCounts,
    measured: Measured,
    /// The bytes of each link that was there from the beginning of the measurement.
    whole: HashMap<usize, u64>,
}

/// The measurement.
enum Measured {
    NotYet,
    Runs,
    Ended(LinkTotals),
}

/// A datagram on its way. Ordered by its end, and then by its beginning.
struct Crossing {
    nth: u64,
    crossed: Crossed,
}

impl Crossing {
    fn order(&self) -> (Instant, u64) {
        (self.crossed.at, self.nth)
    }
}

impl PartialEq for Crossing {
    fn eq(&self, other: &Crossing) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Crossing {}

impl PartialOrd for Crossing {
    fn partial_cmp(&self, other: &Crossing) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Crossing {
    fn cmp(&self, other: &Crossing) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// The links' figures over all subscribers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkTotals {
    pub(crate) counts: LinkCounts,
    /// The bytes that arrived at each subscriber who was there all the time.
    pub(crate) bytes: Vec<u64>,
}

impl Links {
    pub(crate) fn new(settings: LinkSettings, seed: u64) -> Links {
        Links {
            settings,
            seed,
            links: HashMap::new(),
            on_their_way: BinaryHeap::new(),
            entered: 0,
            ended: LinkCounts::default(),
            measured: Measured::NotYet,
            whole: HashMap::new(),
        }
    }

    /// Takes in a datagram that the server has sent to a subscriber, and that came to the link at `now`.
    pub(crate) fn receive(&mut self, now: Instant, subscriber: usize, connection: usize, datagram: &[u8]) {
        let seed = self.seed ^ ((subscriber as u64 + 1) << 32);
        let link = self
            .links
            .entry(subscriber)
            .or_insert_with(|| Link::new(now, self.settings, seed));
        let may_be_lost = matches!(classify(datagram), Class::Rtp | Class::Rtcp);
        if let Passage::Arrives(at) = link.pass(now, datagram.len(), may_be_lost) {
            self.enter(at, Way::ToSubscriber, connection, datagram);
        }
    }

    /// Takes in a datagram that a subscriber sends.
    pub(crate) fn send(&mut self, now: Instant, connection: usize, datagram: &[u8]) {
        self.enter(now + self.settings.delay(), Way::ToServer, connection, datagram);
    }

    fn enter(&mut self, at: Instant, way: Way, connection: usize, datagram: &[u8]) {
        self.entered += 1;
        let crossed = Crossed {
            at,
            way,
            connection,
            datagram: datagram.to_vec(),
        };
        let nth = self.entered;
        self.on_their_way.push(Reverse(Crossing { nth, crossed }));
    }

    /// The time at which the next datagram has crossed.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.on_their_way.peek().map(|Reverse(crossing)| crossing.crossed.at)
    }

    /// The next datagram that has crossed by `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Crossed> {
        self.next().filter(|at| *at <= now)?;
        self.on_their_way.pop().map(|Reverse(crossing)| crossing.crossed)
    }

    /// Ends a subscriber's link.
    pub(crate) fn remove(&mut self, subscriber: usize) {
        if let Some(link) = self.links.remove(&subscriber) {
            self.ended.add(link.counts);
            if let Some(bytes) = self.whole.get_mut(&subscriber) {
                *bytes = link.counts.bytes;
            }
        }
    }

    /// Begins the measurement.
    pub(crate) fn begin(&mut self) {
        self.ended = LinkCounts::default();
        for link in self.links.values_mut() {
            link.counts = LinkCounts::default();
        }
        self.whole = self.links.keys().map(|subscriber| (*subscriber, 0)).collect();
        self.measured = Measured::Runs;
    }

    /// Ends the measurement: what comes later does not count.
    pub(crate) fn end(&mut self) {
        self.measured = Measured::Ended(self.totals());
    }

    /// The figures of the measurement.
    pub(crate) fn totals(&self) -> LinkTotals {
        match &self.measured {
            Measured::NotYet => return LinkTotals::default(),
            Measured::Ended(totals) => return totals.clone(),
            Measured::Runs => {}
        }
        let mut counts = self.ended;
        self.links.values().for_each(|link| counts.add(link.counts));
        let bytes = |(subscriber, ended): (&usize, &u64)| self.links.get(subscriber).map_or(*ended, |l| l.counts.bytes);
        LinkTotals {
            counts,
            bytes: self.whole.iter().map(bytes).collect(),
        }
    }
}

impl LinkCounts {
    fn add(&mut self, other: LinkCounts) {
        self.arrived += other.arrived;
        self.bytes += other.bytes;
        self.queue_dropped += other.queue_dropped;
        self.randomly_lost += other.randomly_lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    /// A packet that takes 10 ms at 1,000 kb/s.
    const PACKET: usize = 1_250 - HEADER_BYTES;

    fn at(micros: u64) -> Instant {
        epoch() + Duration::from_micros(micros)
    }

    fn settings(kbit: u64, delay_ms: u64, loss_percent: f64) -> LinkSettings {
        LinkSettings {
            kbit,
            delay_ms,
            loss_percent,
        }
    }

    /// A datagram of this length that looks like RTP, with a number in it.
    fn rtp(number: u32, len: usize) -> Vec<u8> {
        let mut datagram = vec![0; len];
        datagram[0] = 0x80;
        datagram[1] = 96;
        datagram[4..8].copy_from_slice(&number.to_be_bytes());
        datagram
    }

    fn all(links: &mut Links) -> Vec<Crossed> {
        std::iter::from_fn(|| links.pop(at(1_000_000_000))).collect()
    }

    #[test]
    fn what_comes_faster_than_the_rate_leaves_at_the_rate_and_after_the_delay() {
        let mut links = Links::new(settings(1_000, 30, 0.0), 1);
        for number in 0..10 {
            links.receive(at(u64::from(number) * 1_000), 7, 3, &rtp(number, PACKET));
        }
        assert_eq!(links.next(), Some(at(40_000)));
        assert_eq!(links.pop(at(39_999)), None);
        let crossed = all(&mut links);
        for (number, crossed) in (0..).zip(&crossed) {
            assert_eq!(crossed.at, at(40_000 + number * 10_000));
            assert_eq!(crossed.datagram, rtp(number as u32, PACKET));
            assert_eq!((crossed.connection, crossed.way), (3, Way::ToSubscriber));
        }
        assert_eq!(crossed.len(), 10);
    }

    #[test]
    fn an_idle_link_saves_nothing_up() {
        let mut links = Links::new(settings(1_000, 0, 0.0), 1);
        links.receive(at(0), 1, 0, &rtp(0, PACKET));
        links.receive(at(500_000), 1, 0, &rtp(1, PACKET));
        links.receive(at(500_000), 1, 0, &rtp(2, PACKET));
        let times: Vec<Instant> = all(&mut links).iter().map(|crossed| crossed.at).collect();
        assert_eq!(times, [at(10_000), at(510_000), at(520_000)]);
    }

    #[test]
    fn the_queue_holds_200_ms_and_drops_what_comes_then() {
        let mut links = Links::new(settings(1_000, 0, 0.0), 1);
        // Five times what the link carries, for two seconds: one packet each 2 ms.
        for number in 0..1_000 {
            links.receive(at(u64::from(number) * 2_000), 1, 0, &rtp(number, PACKET));
        }
        let crossed = all(&mut links);
        // 200 in two seconds, and what waits at the end.
        assert!((219..=222).contains(&crossed.len()), "{}", crossed.len());
        let waited = |crossed: &Crossed| {
            let number = u32::from_be_bytes(crossed.datagram[4..8].try_into().unwrap());
            crossed.at - at(u64::from(number) * 2_000)
        };
        let longest = crossed.iter().map(waited).max().unwrap().as_millis();
        assert!((200..=210).contains(&longest), "{longest}");
    }

    #[test]
    fn the_datagrams_on_their_way_are_bounded_by_queue_and_delay() {
        let mut links = Links::new(settings(1_000, 100, 0.0), 1);
        for number in 0..10_000 {
            let now = at(u64::from(number) * 500);
            while links.pop(now).is_some() {}
            links.receive(now, 1, 0, &rtp(number, PACKET));
            // 20 packets wait, one is being sent, 10 are delayed.
            assert!(links.on_their_way.len() <= 32, "{}", links.on_their_way.len());
        }
    }

    #[test]
    fn losses_of_the_queue_and_random_ones_are_counted_apart() {
        let mut links = Links::new(settings(1_000, 0, 10.0), 1);
        links.receive(at(0), 1, 0, &rtp(0, PACKET));
        links.begin();
        let mut sent = 1;
        // At the link's rate for 100 s, then a burst of a second.
        for number in 1..10_000 {
            links.receive(at(u64::from(number) * 10_000), 1, 0, &rtp(number, PACKET));
            sent += 1;
        }
        let before = links.totals().counts;
        assert_eq!(before.queue_dropped, 0);
        assert!((850..1_150).contains(&before.randomly_lost), "{before:?}");
        assert_eq!(before.arrived + before.randomly_lost, sent - 1);
        assert_eq!(before.bytes, before.arrived * 1_250);
        for number in 0..100 {
            links.receive(at(100_000_000), 1, 0, &rtp(number, PACKET));
        }
        let counts = links.totals().counts;
        assert!((78..=80).contains(&counts.queue_dropped), "{counts:?}");
    }

    #[test]
    fn the_same_seed_loses_the_same_and_subscribers_lose_different_packets() {
        let arrived = |seed, subscriber| -> Vec<Vec<u8>> {
            let mut links = Links::new(settings(10_000, 0, 20.0), seed);
            for number in 0..100 {
                links.receive(at(u64::from(number) * 10_000), subscriber, 0, &rtp(number, PACKET));
            }
            all(&mut links).into_iter().map(|crossed| crossed.datagram).collect()
        };
        assert_eq!(arrived(1, 5), arrived(1, 5));
        assert_ne!(arrived(1, 5), arrived(2, 5));
        assert_ne!(arrived(1, 5), arrived(1, 6));
    }

    #[test]
    fn handshakes_wait_in_the_queue_but_are_never_lost_by_chance() {
        let mut links = Links::new(settings(10_000, 5, 50.0), 1);
        for number in 0..200 {
            let now = at(number * 10_000);
            links.receive(now, 1, 0, &[22; 500]);
            links.receive(now, 1, 0, &[0; 100]);
        }
        let crossed = all(&mut links);
        assert_eq!(crossed.len(), 400);
        assert_eq!(crossed[0].at, at(5_000) + Duration::from_nanos(528 * 800));
        assert_eq!(crossed[1].at, crossed[0].at + Duration::from_nanos(128 * 800));
    }

    #[test]
    fn the_connections_of_a_subscriber_share_its_link_and_others_have_their_own() {
        let mut links = Links::new(settings(1_000, 0, 0.0), 1);
        links.receive(at(0), 1, 10, &rtp(0, PACKET));
        links.receive(at(0), 1, 11, &rtp(1, PACKET));
        links.receive(at(0), 2, 20, &rtp(2, PACKET));
        let ends: Vec<(usize, Instant)> = all(&mut links).iter().map(|end| (end.connection, end.at)).collect();
        assert_eq!(ends, [(10, at(10_000)), (20, at(10_000)), (11, at(20_000))]);
    }

    #[test]
    fn what_a_subscriber_sends_is_only_delayed() {
        let mut links = Links::new(settings(50, 25, 50.0), 1);
        for number in 0..100 {
            links.send(at(0), 4, &rtp(number, PACKET));
        }
        let crossed = all(&mut links);
        assert_eq!(crossed.len(), 100);
        for (number, crossed) in (0..).zip(crossed) {
            assert_eq!(crossed.at, at(25_000));
            assert_eq!((crossed.way, crossed.connection), (Way::ToServer, 4));
            assert_eq!(crossed.datagram, rtp(number, PACKET), "in order");
        }
    }

    #[test]
    fn links_that_end_leave_their_counts_and_later_ones_are_no_whole_subscriber() {
        let mut links = Links::new(settings(1_000, 0, 0.0), 1);
        links.receive(at(0), 1, 0, &rtp(0, PACKET));
        links.receive(at(0), 2, 0, &rtp(0, PACKET));
        assert_eq!(links.totals(), LinkTotals::default());
        links.begin();
        links.receive(at(50_000), 1, 0, &rtp(0, PACKET));
        links.receive(at(50_000), 3, 0, &rtp(0, PACKET));
        links.remove(1);
        links.remove(3);
        links.end();
        links.receive(at(90_000), 2, 0, &rtp(0, PACKET));
        let mut totals = links.totals();
        totals.bytes.sort_unstable();
        assert_eq!(totals.counts.arrived, 2);
        assert_eq!(totals.bytes, [0, 1_250]);
    }

    #[test]
    fn the_option_is_read_and_a_wrong_one_says_what_to_write() {
        let read = |text: &str| text.parse::<LinkSettings>();
        assert_eq!(read("700"), Ok(settings(700, 0, 0.0)));
        assert_eq!(read("700,40"), Ok(settings(700, 40, 0.0)));
        assert_eq!(read("700, 40, 1.5"), Ok(settings(700, 40, 1.5)));
        for (wrong, part) in [
            ("", "KBIT is ''"),
            ("fast", "KBIT is 'fast'"),
            ("0", "from 50 to 1000000"),
            ("NaN", "KBIT is 'NaN'"),
            ("700,-1", "DELAY_MS is '-1'"),
            ("700,5000", "from 0 to 1000"),
            ("700,40,51", "from 0 to 50"),
            ("700,40,1,5", "with a point for fractions"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(part) && error.contains("700,40,1.5"), "{wrong}: {error}");
        }
    }
}
