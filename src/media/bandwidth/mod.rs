//! Congestion feedback to publishers: transport-wide arrival times, and a receiver's estimate for those without.

mod estimate;
mod transport_feedback;

pub(crate) use estimate::ReceiverEstimate;
pub(crate) use transport_feedback::TransportFeedback;
