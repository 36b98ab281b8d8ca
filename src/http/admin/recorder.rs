//! The recorder of the process's metrics.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use super::descriptions;

/// Upper bounds in seconds: from a page out of memory to a hashed password on a busy machine.
const REQUEST_BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0];

/// Time between two foldings of samples into buckets while nobody reads them, which bounds their
/// memory.
pub(crate) const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

impl Metrics {
    /// Installs the recorder once for the process: several servers in one process, as in tests,
    /// share it.
    pub(crate) fn install() -> Result<Metrics, BuildError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = installed.as_ref() {
            return Ok(Metrics(handle.clone()));
        }
        let handle = PrometheusBuilder::new()
            .set_buckets(&REQUEST_BUCKETS)?
            .install_recorder()?;
        descriptions::describe();
        gauge!("patchbay_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Metrics(installed.insert(handle).clone()))
    }

    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }

    pub(crate) fn render(&self) -> String {
        self.0.render()
    }
}
