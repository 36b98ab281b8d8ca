//! The rate that a connection's path carries towards its receiver, estimated from what is reported of each packet.
//!
//! It is pure: it is told the time, what was sent, and what became of it. It sends nothing itself.

mod burst;
mod busy;
mod ceiling;
mod competing;
mod control;
mod coverage;
mod delay;
mod estimator;
mod flight;
mod loss;
mod narrow;
mod outcome;
mod probe;
mod queue;
mod rate;
mod remote;
mod rules;
mod silence;
mod spread;
mod standstill;
mod summary;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use estimator::Estimator;
pub(crate) use narrow::Narrow;
pub(crate) use remote::LOSS_HIGH;

/// A time in microseconds since any epoch.
pub(crate) type Micros = u64;

/// What became of one packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The time at which it was sent.
    pub sent: Micros,
    /// Its size, with all headers that the path sees.
    pub bytes: u32,
    /// The time at which it arrived, on the receiver's clock. `None` means that it was lost.
    pub arrived: Option<Micros>,
    /// The probe that it was part of.
    pub probe: Option<u8>,
}

/// A burst of packets, sent to learn whether the path carries more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    /// The number under which its packets are reported.
    pub cluster: u8,
    /// The rate at which they are sent.
    pub bits_per_second: u64,
    /// The bytes that are sent at least.
    pub bytes: u32,
    /// The packets that are sent at least.
    pub packets_min: u8,
}

/// What the estimator is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The target grows as far as what is sent shows that more may arrive.
    Growing,
    /// The target was lowered a moment ago, and waits for the queue to empty.
    Holding,
    /// Packets are lost more than before; a probe, or less that is sent, shows whether the path is full.
    Verifying,
    /// Somebody else keeps the queue full, so only loss is looked at.
    Competing,
    /// Nothing was reported for so long that video is better paused.
    Silent,
}

/// What the receiver's newest reports show of the packets that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrivals {
    /// The rate at which they arrive, in bits per second, over a third of a second.
    pub rate: u64,
    /// The time that they wait in queues.
    pub queue_delay: Micros,
    /// The share that was lost in the last second, in 1/256.
    pub loss_256: u8,
}

/// What is known of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The rate that may be sent now, in bits per second.
    pub target: u64,
    /// The least target of the last three seconds, for decisions that are not to be undone soon. It ignores changes of 5 %.
    pub smooth: u64,
    /// The highest rate that arrived in the last minute.
    pub proven: u64,
    /// The time that packets wait in queues.
    pub queue_delay: Micros,
    /// The share of packets that were lost in the last second, in 1/256.
    pub loss_256: u8,
    pub state: State,
    /// The time whose share of the target may be sent at once. It is short where the path has no queue for a whole frame.
    pub burst: Micros,
    /// Whether the path has just become so slow that what was sent before fills its queue.
    pub narrow: Option<Narrow>,
    /// Probes that raised the target since the beginning.
    pub probes_won: u32,
    /// Probes that showed no more than was known, or were lost.
    pub probes_lost: u32,
}
