//! What is to be done when nothing is reported of what is sent: first less, and at last nothing.

use super::Micros;

/// The target is halved each time that so long nothing was reported.
const STEP: Micros = 2_000_000;
/// After so many halvings video is better paused: nobody may be there.
const STEPS_UNTIL_SILENT: u32 = 4;

pub(super) struct Silence {
    /// The time of the first packet since the last report.
    since: Option<Micros>,
    halved: u32,
    /// The target before the first halving.
    before: u64,
}

impl Silence {
    pub(super) fn new() -> Silence {
        Silence {
            since: None,
            halved: 0,
            before: 0,
        }
    }

    pub(super) fn sent(&mut self, now: Micros) {
        if self.since.is_none() {
            self.since = Some(now);
        }
    }

    /// Whether nothing was sent since the last report.
    pub(super) fn is_answered(&self) -> bool {
        self.since.is_none()
    }

    /// Something was reported. It returns the target before the silence, if there was one.
    pub(super) fn heard(&mut self) -> Option<u64> {
        self.since = None;
        let was_silent = self.halved > 0;
        self.halved = 0;
        was_silent.then_some(self.before)
    }

    /// The time at which the target is halved next, unless something is reported.
    pub(super) fn due(&self) -> Option<Micros> {
        let since = self.since.filter(|_| !self.is_total())?;
        Some(since.saturating_add(STEP * u64::from(self.halved + 1)))
    }

    /// Whether the target is to be halved now.
    pub(super) fn is_due(&mut self, now: Micros, target: u64) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            if self.halved == 0 {
                self.before = target;
            }
            self.halved += 1;
        }
        is_due
    }

    pub(super) fn is_total(&self) -> bool {
        self.halved >= STEPS_UNTIL_SILENT
    }
}
