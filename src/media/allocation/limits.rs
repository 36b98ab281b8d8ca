//! What a connection's path carries, and how much of that its videos may take together.

/// Share of the target that is reserved for packets that are sent again, at most: one part of so many.
const REPAIR_SHARE: u64 = 10;

/// What is known of a connection's path, in bits per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// The rate that may be sent now.
    pub target: u64,
    /// The least target of the last seconds.
    pub smooth: u64,
    /// The highest rate that arrived lately.
    pub proven: u64,
    /// The rate that sound takes. It always goes first.
    pub sound: u64,
    /// The share of packets that are lost, in 1/256.
    pub loss_256: u8,
    /// Whether nothing is heard from the receiver, so that no video is to be sent.
    pub is_silent: bool,
    /// Whether the path is probed. If not, nobody would notice that it carries more again while nothing is sent, so the first
    /// video is never paused.
    pub is_probed: bool,
}

/// Rates that all videos together may take, in bits per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// While each has no more than it had.
    pub keep: u64,
    /// With one that gets more than it had. A tenth of the target is left free, so that it does not fall again at once.
    pub spare: u64,
    /// With one that gets more, where the path has lately carried a tenth more than that.
    pub proof: u64,
}

impl Limits {
    pub fn of(budget: &Budget) -> Limits {
        let usable = |rate: u64| rate.saturating_sub(repairs(rate, budget)).saturating_sub(budget.sound);
        Limits {
            keep: usable(budget.target),
            spare: usable(tenths(budget.target.min(budget.smooth), 9)),
            proof: usable(tenths(budget.target, 9).min(budget.proven / 11 * 10)),
        }
    }
}

/// A rate, and what is sent again of it.
pub(super) fn with_repairs(rate: u64, budget: &Budget) -> u64 {
    rate.saturating_add(repairs(rate, budget))
}

fn repairs(rate: u64, budget: &Budget) -> u64 {
    (rate / 256 * u64::from(budget.loss_256)).min(rate / REPAIR_SHARE)
}

fn tenths(rate: u64, tenths: u64) -> u64 {
    rate / 10 * tenths
}
