//! The estimate of a receiver that reports no single packets: its REMB (draft-alvestrand-rmcat-remb-03), and the loss of its reports;
//! or that loss alone.

use super::Micros;
use super::control::TARGET_MAX;

/// Loss in 1/256. Above 10 % the target falls by half of the loss, below 2 % it rises (draft-ietf-rmcat-gcc-02 §6).
pub(crate) const LOSS_HIGH: u8 = 26;
const LOSS_LOW: u8 = 5;
const FALL_INTERVAL: Micros = 300_000;
/// Packets that are reported one by one tell more: then the receiver's estimate is left aside for so long.
const REPORTS_BELIEVED: Micros = 10_000_000;

pub(super) struct Remote {
    limit: u64,
    updated_at: Micros,
    fallen_at: Micros,
    reports_until: Micros,
    active: bool,
}

impl Remote {
    pub(super) fn new(now: Micros) -> Remote {
        Remote {
            limit: TARGET_MAX,
            updated_at: now,
            fallen_at: 0,
            reports_until: 0,
            active: false,
        }
    }

    /// Packets were reported one by one.
    pub(super) fn packets_reported(&mut self, now: Micros) {
        self.reports_until = now.saturating_add(REPORTS_BELIEVED);
        self.active = false;
    }

    /// The time at which packets were last reported one by one. `None` while they never were.
    pub(super) fn reported_at(&self) -> Option<Micros> {
        self.reports_until.checked_sub(REPORTS_BELIEVED)
    }

    /// Whether the receiver's own estimate is all that is known.
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    /// The new target, if the receiver's estimate counts.
    pub(super) fn target(&mut self, now: Micros, target: u64, estimate: u64, lost_256: u8) -> Option<u64> {
        if now < self.reports_until {
            return None;
        }
        self.active = true;
        self.limit = self.by_loss(now, target, self.limit, lost_256);
        Some((estimate / 100 * 95).min(self.limit))
    }

    /// The new target of a receiver that tells of nothing but loss.
    pub(super) fn target_by_loss(&mut self, now: Micros, target: u64, lost_256: u8) -> u64 {
        self.by_loss(now, target, target, lost_256)
    }

    /// What is left of a limit after a report, or what it has grown to.
    fn by_loss(&mut self, now: Micros, target: u64, limit: u64, lost_256: u8) -> u64 {
        let passed = now.saturating_sub(self.updated_at).min(1_000_000);
        self.updated_at = now;
        match lost_256 {
            _ if lost_256 > LOSS_HIGH && now.saturating_sub(self.fallen_at) >= FALL_INTERVAL => {
                self.fallen_at = now;
                target * (512 - u64::from(lost_256)) / 512
            }
            ..LOSS_LOW => (limit + limit / 100 * 8 * passed / 1_000_000).min(TARGET_MAX),
            _ => limit,
        }
    }
}
