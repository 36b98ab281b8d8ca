//! The clock that the processes of a database have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use patchbay::clock::{MonotonicClock, WallClock};
use patchbay::storage::CommonClock;
use tokio::time::Instant;

use super::{Place, on_both};

on_both!(processes_whose_clocks_differ_have_the_database_s_time_in_common);

/// A time longer than a query takes on the slowest machine.
const NEAR: Duration = Duration::from_secs(5);

#[allow(clippy::disallowed_methods, reason = "the database reads the clock of this machine")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[allow(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
fn some_instant() -> Instant {
    Instant::now()
}

async fn processes_whose_clocks_differ_have_the_database_s_time_in_common(place: &Place) {
    let minute = Duration::from_secs(60);
    let (begun, passed_s) = (some_instant(), Arc::new(AtomicU64::new(0)));
    for machine in [now() + minute, now() - minute, SystemTime::UNIX_EPOCH + minute] {
        let records = place.open().await;
        let passed: MonotonicClock = {
            let passed_s = Arc::clone(&passed_s);
            Arc::new(move || begun + Duration::from_secs(passed_s.load(Ordering::Relaxed)))
        };
        let machine: WallClock = Arc::new(move || machine);
        let common = CommonClock::new(&machine, passed);
        let shown = common.wall_clock();
        let from_now = || match shown().duration_since(now()) {
            Ok(ahead) => ahead,
            Err(behind) => behind.duration(),
        };
        assert!(from_now() > minute - NEAR);
        common.adjust(&records).await.unwrap();
        assert!(from_now() < NEAR, "{:?}", from_now());
        // The time that passes moves it, and a look at the database puts it right.
        passed_s.fetch_add(60, Ordering::Relaxed);
        assert!(from_now() > minute - NEAR && from_now() < minute + NEAR);
        common.adjust(&records).await.unwrap();
        assert!(from_now() < NEAR);
        records.close().await;
        assert!(common.adjust(&records).await.is_err());
        assert!(from_now() < NEAR, "without the database it goes on");
    }
}
