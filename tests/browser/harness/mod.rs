//! The basis of the scenarios: a driven Chromium or Firefox, pages that can be asked and waited for, and turns.

mod bidi;
pub mod chromium;
pub mod firefox;
pub mod firewall;
pub mod form;
pub mod lossy_path;
pub mod page;
pub mod room;
pub mod slow_link;
mod webdriver;

use tokio::sync::{Semaphore, SemaphorePermit};

/// As many scenarios run at once as a machine of two cores carries.
const PLACES: u32 = 2;
static TURNS: Semaphore = Semaphore::const_new(PLACES as usize);

/// One scenario at a time, also when the test runner starts several: for all that look at the quality of media, at times, or at the
/// network.
pub async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire_many(PLACES).await.expect("it stays open")
}

/// Two scenarios at a time: for those that only look at what pages show and that something is seen or heard at all.
pub async fn shared_turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("it stays open")
}
