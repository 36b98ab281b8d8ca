//! What the estimator tells.

use super::burst::{BURST, BURST_SMALL};
use super::estimator::Estimator;
use super::{Micros, Outcome, State};

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
