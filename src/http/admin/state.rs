//! The state behind the operators' requests.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::recorder::Metrics;
use super::trial::WriteTrial;
use crate::hub::HubHandle;
use crate::media::engine::MediaWatch;

/// The sources of health and metrics.
#[derive(Clone)]
pub struct Admin {
    pub(crate) trial: WriteTrial,
    pub hub: HubHandle,
    pub media: MediaWatch,
    pub metrics: Metrics,
    pub access: MetricsAccess,
    /// The turn of whoever asks for the rooms.
    pub(crate) overviews: Arc<Mutex<()>>,
    /// The signal that is cancelled when the server begins to stop.
    pub stopping: CancellationToken,
    pub clock: fn() -> Instant,
}

/// The clients that may read `/metrics` and `/admin/v1/rooms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Everybody who reaches the listener.
    Anyone,
    /// Clients on this machine that do not come through a proxy.
    ThisMachine,
    /// Nobody: another listener serves them.
    Nobody,
}
