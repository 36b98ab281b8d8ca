//! The server's metrics for one run. Each run has a recorder of its own, on its thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

#[derive(Default)]
pub struct Gauges(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Gauges {
    /// The value of a gauge without labels. 0 if nothing was reported.
    pub fn value(&self, name: &str) -> u64 {
        let all = self.0.lock().expect("one thread");
        all.get(&format!("{name}{{}}")).map_or(0, |value| number(value))
    }

    /// The gauges that are not zero.
    pub fn above_zero(&self) -> Vec<String> {
        let all = self.0.lock().expect("one thread");
        let above = all.iter().filter(|(_, value)| number(value) != 0);
        above
            .map(|(key, value)| format!("{key} is {}", number(value)))
            .collect()
    }
}

fn number(value: &AtomicU64) -> u64 {
    f64::from_bits(value.load(Ordering::Relaxed)) as u64
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let key = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut all = self.0.lock().expect("one thread");
        Gauge::from_arc(all.entry(key).or_default().clone())
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
