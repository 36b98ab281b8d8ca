//! The recorder of the process's metrics.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::descriptions;

/// Upper bounds in seconds: from a page out of memory to a hashed password on a busy machine.
const REQUEST_BUCKETS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0];

/// Upper bounds of rates in bits per second: from sound alone, by those of the layers that a browser sends, to many videos.
const RATE_BUCKETS: [f64; 14] = [
    50e3, 100e3, 200e3, 300e3, 500e3, 800e3, 1.2e6, 2e6, 3e6, 5e6, 8e6, 12e6, 20e6, 50e6,
];

/// Upper bounds in seconds: from a path without a queue to one that nobody can talk over.
const QUEUE_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];

/// Upper bounds of shares of lost packets. Half of the packets lost is no path for media.
const LOSS_BUCKETS: [f64; 8] = [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The bounds of the histograms that are not of requests.
const BUCKETS: [(&str, &[f64]); 4] = [
    ("patchbay_media_target_bits_per_second", &RATE_BUCKETS),
    ("patchbay_media_acked_bits_per_second", &RATE_BUCKETS),
    ("patchbay_media_queue_delay_seconds", &QUEUE_BUCKETS),
    ("patchbay_media_loss_ratio", &LOSS_BUCKETS),
];

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
        let mut builder = PrometheusBuilder::new().set_buckets(&REQUEST_BUCKETS)?;
        for (name, bounds) in BUCKETS {
            builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)?;
        }
        let handle = builder.install_recorder()?;
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
