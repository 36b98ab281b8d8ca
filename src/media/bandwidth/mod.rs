//! Congestion feedback to publishers: transport-wide arrival times, and a receiver's estimate for those without.
//! Towards subscribers: an estimate of what the path carries (`outgoing`).

mod estimate;
pub(crate) mod outgoing;
mod statuses;
mod transport_feedback;

pub(crate) use estimate::{ReceiverEstimate, write_estimate};
pub(crate) use statuses::{Known, ReceiverClock, Statuses};
pub(crate) use transport_feedback::TransportFeedback;
