//! What the estimator tells.

use super::burst::{BURST, BURST_SMALL};
use super::estimator::Estimator;
use super::rate::USUAL;
use super::{Arrivals, Micros, Outcome, State};

/// Reports of single packets come each 100 ms at least. What older ones said of the path is not what it is now.
const REPORTED_WITHIN: Micros = 2_000_000;

impl Estimator {
    /// Makes the outcome anew, after something has changed.
    pub(super) fn publish(&mut self, now: Micros) {
        let target = self.control.target();
        self.summary.target(now, target);
        self.outcome = Outcome {
            target,
            smooth: self.summary.smooth(),
            proven: self.summary.proven(),
            queue_delay: self.queue.usual(),
            loss_256: self.loss.in_256(),
            state: self.state(now),
            burst: if self.ceiling.is_known() { BURST_SMALL } else { BURST },
            narrow: self.narrow,
            probes_won: self.probes.won,
            probes_lost: self.probes.without_gain,
        };
    }

    /// What the receiver's reports of single packets show. `None` where none has come lately.
    pub(crate) fn arrivals(&self, now: Micros) -> Option<Arrivals> {
        let reported_at = self.remote.reported_at()?;
        (now.saturating_sub(reported_at) <= REPORTED_WITHIN).then(|| Arrivals {
            rate: self.rate.over(USUAL).unwrap_or(0),
            queue_delay: self.outcome.queue_delay,
            loss_256: self.outcome.loss_256,
        })
    }

    fn state(&self, now: Micros) -> State {
        if self.silence.is_total() {
            State::Silent
        } else if self.competing.is_active() {
            State::Competing
        } else if self.loss.is_busy() {
            State::Verifying
        } else if self.control.is_held(now) {
            State::Holding
        } else {
            State::Growing
        }
    }
}
