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

use tokio::sync::{Mutex, MutexGuard};

/// One scenario at a time, also when the test runner starts several.
pub async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
