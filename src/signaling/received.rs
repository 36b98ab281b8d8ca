//! Counts messages of clients.

use metrics::Counter;

/// The counter of one conversation's messages. It is looked up when the family is known, and again where another one turns out
/// to be spoken.
#[derive(Default)]
pub struct Received(Option<(&'static str, Counter)>);

impl Received {
    pub fn count(&mut self, family: &'static str) {
        let known = self.0.take().filter(|(known, _)| *known == family);
        let (_, counter) = self.0.insert(known.unwrap_or_else(|| {
            let counter = metrics::counter!("patchbay_messages_received_total", "family" => family);
            (family, counter)
        }));
        counter.increment(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use metrics::{Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    /// Counts how often counters are looked up. All are one.
    #[derive(Default)]
    struct Registry {
        lookups: AtomicU64,
        value: Arc<AtomicU64>,
    }

    impl Recorder for Registry {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            self.lookups.fetch_add(1, Ordering::Relaxed);
            Counter::from_arc(Arc::clone(&self.value))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn a_counter_is_looked_up_once_for_each_family_that_is_spoken() {
        let registry = Registry::default();
        metrics::with_local_recorder(&registry, || {
            let mut received = Received::default();
            for family in ["groupcall", "groupcall_id", "groupcall_id", "groupcall_id"] {
                received.count(family);
            }
        });
        assert_eq!(registry.lookups.into_inner(), 2);
        assert_eq!(registry.value.load(Ordering::Relaxed), 4);
    }
}
