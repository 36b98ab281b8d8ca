//! What the operators' requests are answered from.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::recorder::Metrics;
use super::trial::WriteTrial;
use crate::hub::HubHandle;
use crate::media::engine::MediaWatch;

/// What health and metrics are read from.
#[derive(Clone)]
pub struct Admin {
    pub trial: WriteTrial,
    pub hub: HubHandle,
    pub media: MediaWatch,
    pub metrics: Metrics,
    pub access: MetricsAccess,
    /// Cancelled when the server begins to stop.
    pub stopping: CancellationToken,
    pub clock: fn() -> Instant,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever reaches the listener.
    Anyone,
    /// Clients on this machine that do not come through a proxy.
    ThisMachine,
    /// They are served elsewhere.
    Nobody,
}
