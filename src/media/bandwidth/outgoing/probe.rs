//! Bursts that are sent to learn whether the path carries more than is sent: when, at which rate, and what came of them.

use super::flight::{Aim, Flight, Lost, PACKETS_MIN, Shown};
use super::{Micros, Probe, Report};

const LASTS: Micros = 15_000;
/// The same of a long probe, and its bytes, unless they take longer than a quarter of a second. A shaper lets some bytes pass at
/// once, mostly up to 5 kB, and twice as many until a probe at twice its rate is held back.
const LASTS_LONG: Micros = 40_000;
const BYTES_LONG: u64 = 20_000;
const LASTS_LONG_MOST: Micros = 250_000;
/// A receiver's own estimate follows what comes in a second: so padding for it fills the target for longer. The waits between begin so,
/// and double while the estimate does not grow by this much.
const LASTS_REMOTE: Micros = 2_000_000;
const INTERVAL_REMOTE: Micros = 2_500_000;
const INTERVAL_REMOTE_MAX: Micros = 40_000_000;
const GROWN_PERCENT: u64 = 104;
/// The bytes of a probe that asks whether more is lost if more is sent, and its longest time.
const BYTES_FOR_LOSS: u64 = 36_000;
const LASTS_FOR_LOSS: Micros = 300_000;
/// Bytes of one packet of a probe, about.
const PACKET_BYTES: u64 = 1_200;
/// Media that are wanted may be sent with some waste: probes go this much above, in percent.
const ABOVE_DEMAND: u64 = 120;
const INTERVAL: Micros = 5_000_000;
const INTERVAL_MAX: Micros = 10_000_000;
/// The longest interval while media do not fill the target: then nothing else would show that the path carries more, and a probe
/// finds room.
const INTERVAL_UNFILLED: Micros = 2_500_000;
/// The longest interval on a path slower than this, in bits per second: only a probe shows that it has become faster, because
/// frames are single packets there.
const INTERVAL_SLOW: Micros = 3_000_000;
const SLOW: u64 = 400_000;
/// The wait before a rate that was much higher, but not the one that was asked for, is measured again; and before the usual probe
/// where one that was planned has become needless.
const AGAIN: Micros = 500_000;
/// Probes in a row of which too little came, before the usual interval counts again.
const LOST_MAX: u8 = 3;
/// The least wait between probes that are due to a hint. It doubles with each one, until a probe shows much more.
const HINT_INTERVAL: Micros = 1_000_000;
const HINT_INTERVAL_MAX: Micros = 16_000_000;

pub(super) struct Probes {
    next_cluster: u8,
    flight: Option<Flight>,
    due: Micros,
    not_before: Micros,
    /// The rate of the next probe, if it was decided when it became due.
    rate: Option<u64>,
    /// Whether the next one is long: at the beginning, when few media suffer from it, and to confirm what a short one has shown.
    is_long: bool,
    is_beginning: bool,
    interval: Micros,
    /// The rate of a probe that asks whether more is lost if more is sent. It is sent before all others.
    rate_for_loss: Option<u64>,
    /// Whether media are less than the target.
    is_unfilled: bool,
    /// The time of the last probe, and whether the next one waits for nothing but the interval.
    last_at: Micros,
    is_regular: bool,
    hinted_at: Micros,
    hint_interval: Micros,
    /// Probes in a row of which too little came.
    lost: u8,
    /// The target at the last padding for a receiver's own estimate, and the wait after it.
    remote: (u64, Micros),
    /// Probes that raised the target, and those that did not, since the beginning.
    pub(super) won: u32,
    pub(super) without_gain: u32,
}

impl Probes {
    pub(super) fn new(now: Micros, rate: u64) -> Probes {
        Probes {
            next_cluster: 1,
            flight: None,
            due: now,
            not_before: now,
            rate: Some(rate),
            is_long: false,
            is_beginning: true,
            interval: INTERVAL,
            rate_for_loss: None,
            is_unfilled: false,
            last_at: now,
            is_regular: false,
            hinted_at: now,
            hint_interval: HINT_INTERVAL,
            lost: 0,
            remote: (0, INTERVAL_REMOTE),
            won: 0,
            without_gain: 0,
        }
    }

    /// Asks for a probe at `rate` at a time, unless one is due before. Just after a fall it comes later: the path is full.
    pub(super) fn plan(&mut self, at: Micros, rate: u64) {
        let at = at.max(self.not_before);
        if self.due >= at || self.rate.is_none() {
            self.due = at;
            self.rate = Some(rate);
            self.is_long = false;
            self.is_regular = false;
        }
    }

    /// The target has fallen: nothing is probed before that time.
    pub(super) fn fallen(&mut self, until: Micros) {
        self.not_before = until;
        self.put_off(until);
    }

    /// Puts off what is planned.
    pub(super) fn put_off(&mut self, until: Micros) {
        if until > self.due {
            self.due = until;
            self.is_regular = false;
        }
    }

    /// Something hints at this rate: it is probed soon, unless such a hint has just proved to be wrong.
    pub(super) fn hint(&mut self, now: Micros, rate: u64) {
        if now >= self.hinted_at && self.flight.is_none() && self.due > now {
            self.hinted_at = now.saturating_add(self.hint_interval);
            self.hint_interval = (self.hint_interval * 2).min(HINT_INTERVAL_MAX);
            self.plan(now, rate);
        }
    }

    pub(super) fn is_unfilled(&self) -> bool {
        self.is_unfilled
    }

    /// Is told whether media fill the target. While they do not, probes come sooner.
    pub(super) fn filled(&mut self, is_filled: bool) {
        self.is_unfilled = !is_filled;
        if self.is_unfilled && self.is_regular {
            self.due = self.due.min(self.last_at.saturating_add(INTERVAL_UNFILLED));
        }
    }

    fn interval(&self, target: u64) -> Micros {
        let most = match target {
            _ if self.is_unfilled => INTERVAL_UNFILLED,
            ..SLOW => INTERVAL_SLOW,
            _ => INTERVAL_MAX,
        };
        self.interval.min(most)
    }

    pub(super) fn due(&self) -> Micros {
        self.due
    }

    /// The padding that is to be sent now to a receiver that measures what comes itself.
    pub(super) fn next_remote(&mut self, now: Micros, target: u64, demand: u64) -> Option<Probe> {
        if self.flight.is_some() || now < self.due {
            return None;
        }
        let (before, interval) = self.remote;
        let interval = match target.saturating_mul(100) >= before.saturating_mul(GROWN_PERCENT) {
            true => INTERVAL_REMOTE,
            false => (interval * 2).min(INTERVAL_REMOTE_MAX),
        };
        self.remote = (target, interval);
        self.rate = None;
        self.due = now.saturating_add(interval);
        let rate = target.min(demand.saturating_mul(ABOVE_DEMAND) / 100);
        Some(self.begin(now, rate, rate.saturating_mul(LASTS_REMOTE) / 8_000_000, Aim::Rate))
    }

    /// The probe that is to be sent now.
    pub(super) fn next(&mut self, now: Micros, target: u64, demand: u64) -> Option<Probe> {
        if self.flight.is_some() || now < self.due {
            return None;
        }
        let most = demand.saturating_mul(ABOVE_DEMAND) / 100;
        let rate = self.rate.take().unwrap_or(target.saturating_mul(2)).min(most);
        self.due = now.saturating_add(self.interval(target));
        (self.last_at, self.is_regular) = (now, true);
        if rate < target.saturating_mul(11) / 10 {
            self.due = now.saturating_add(AGAIN);
            return None;
        }
        let least = u64::from(PACKETS_MIN) * PACKET_BYTES;
        let in_time = |time| rate.saturating_mul(time) / 8_000_000;
        let is_long = std::mem::take(&mut self.is_long) || self.is_beginning;
        let aim = if is_long { Aim::Rate } else { Aim::Hint };
        let bytes = match is_long {
            true => in_time(LASTS_LONG).max(BYTES_LONG.min(in_time(LASTS_LONG_MOST))),
            false => in_time(LASTS),
        };
        Some(self.begin(now, rate, bytes.max(least), aim))
    }

    fn begin(&mut self, now: Micros, rate: u64, bytes: u64, aim: Aim) -> Probe {
        let probe = Probe {
            cluster: self.next_cluster,
            bits_per_second: rate,
            bytes: bytes.min(u64::from(u32::MAX)) as u32,
            packets_min: PACKETS_MIN,
        };
        self.next_cluster = self.next_cluster.checked_add(1).unwrap_or(1);
        self.flight = Some(Flight::new(now, probe, aim));
        probe
    }

    /// Asks for a probe at `rate` that shows whether more is lost if more is sent.
    pub(super) fn ask_for_loss(&mut self, rate: u64) {
        self.rate_for_loss = Some(rate);
    }

    /// Whether such a probe is to be sent now.
    pub(super) fn asks_for_loss(&self) -> bool {
        self.rate_for_loss.is_some() && self.flight.is_none()
    }

    /// That probe.
    pub(super) fn next_for_loss(&mut self, now: Micros) -> Option<Probe> {
        let rate = self.rate_for_loss.take()?;
        let bytes = BYTES_FOR_LOSS.min(rate.saturating_mul(LASTS_FOR_LOSS) / 8_000_000);
        let least = u64::from(PACKETS_MIN) * PACKET_BYTES;
        Some(self.begin(now, rate, bytes.max(least), Aim::Loss))
    }

    /// Ends such a probe once all of it is reported, or should be, and says what it showed. One of which nothing came shows nothing.
    pub(super) fn shown_of_loss(&mut self, now: Micros, round_trip: Micros) -> Option<Option<Lost>> {
        let is_over = |flight: &mut Flight| flight.aim == Aim::Loss && flight.is_over(now, round_trip);
        Some(self.flight.take_if(is_over)?.lost())
    }

    pub(super) fn sent(&mut self, now: Micros, bytes: u32, cluster: Option<u8>) {
        if let Some(flight) = &mut self.flight {
            flight.sent(now, bytes, cluster == Some(flight.probe.cluster));
        }
    }

    /// Is told the queue. A probe that has made one is ended.
    pub(super) fn queue(&mut self, queue: Micros) {
        if let Some(flight) = &mut self.flight {
            flight.cut(queue);
        }
    }

    /// Whether the rest of the probe that is being sent is not to be sent.
    pub(super) fn is_cut(&self) -> bool {
        self.flight.as_ref().is_none_or(Flight::is_cut)
    }

    pub(super) fn report(&mut self, report: &Report) {
        if let Some(flight) = &mut self.flight {
            flight.report(report);
        }
    }

    /// Ends a probe once all of it is reported, or should be, and says what it showed. One of which too little came shows nothing.
    pub(super) fn shown(&mut self, now: Micros, round_trip: Micros, inherent_loss: f64) -> Option<Option<Shown>> {
        let flight = self.flight.as_ref()?;
        if !flight.is_over(now, round_trip) {
            return None;
        }
        Some(self.flight.take()?.shown(inherent_loss))
    }

    /// Forgets a probe that nothing will be reported of.
    pub(super) fn give_up(&mut self, now: Micros, round_trip: Micros) {
        self.flight.take_if(|flight| flight.is_over(now, round_trip));
    }

    /// Draws the conclusion for the next probe.
    pub(super) fn conclude(&mut self, now: Micros, shown: Option<Shown>, target: u64) {
        if shown.is_some() {
            self.lost = 0;
        }
        let count = match shown {
            Some(shown) if !shown.sure && shown.rate > target / 10 * 11 => &mut 0,
            Some(shown) if shown.rate > target => &mut self.won,
            _ => &mut self.without_gain,
        };
        *count = count.saturating_add(1);
        if shown.is_some_and(|shown| shown.sure && shown.rate > target.saturating_mul(5) / 4) {
            self.hint_interval = HINT_INTERVAL;
        }
        self.is_beginning &= shown.is_some_and(|shown| !shown.saturated);
        match shown {
            Some(shown) if !shown.sure && shown.rate > target / 10 * 11 => {
                self.plan(now, shown.rate);
                self.is_long = true;
            }
            Some(shown) if shown.more => {
                self.interval = INTERVAL;
                self.plan(now, shown.rate.saturating_mul(2));
            }
            Some(shown) if shown.saturated && shown.rate < target.saturating_mul(11) / 10 => {
                self.interval = (self.interval * 3 / 2).min(INTERVAL_MAX);
                self.due = self.due.max(now.saturating_add(self.interval(target)));
            }
            // Media that are sent in between may make the measure too low, so it is taken once more.
            Some(shown) if shown.saturated => self.plan(now.saturating_add(AGAIN), shown.rate / 2 * 3),
            Some(_) => self.interval = INTERVAL,
            None if self.lost < LOST_MAX => {
                self.lost += 1;
                self.plan(now, target.saturating_mul(2));
            }
            None => {}
        }
    }
}
