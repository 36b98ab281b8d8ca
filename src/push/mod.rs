//! Push services: what wakes an app that is closed, so that a call rings there.
//!
//! The rules say which push targets a call rings at, and when it no longer does ([`PushNotice`]). Each target names its service
//! ([`PushService`]), and gets a notice in the words of its app ([`signaling::push`]). Where the service is not configured, a notice
//! is one line in the log.
//!
//! A notice is handed to its service until that has taken it: again after growing pauses, or after the pause that the service asks
//! for, but never longer than the call rings. When the call is over, that ends the attempts, and the app is sent that, unless it
//! certainly has heard of no call. A device that its service no longer knows is forgotten, in storage and in the register.
//!
//! Nothing here outlives the process: the records of calls do, and a call that still rings when the server starts anew is a new
//! notice.

mod apns;
mod deliveries;
mod errand;
mod errors;
mod jpush;
pub(crate) mod keys;
mod means;
mod outcome;
mod provider_token;
mod request;
mod services;

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use self::deliveries::Deliveries;
pub use self::errors::PushError;
pub use self::keys::KeyFileError;
pub use self::means::Inviting;
use self::means::Means;
pub use self::outcome::{Attempt, Fault, Outcome};
pub use self::services::Services;
use crate::clock::{MonotonicClock, WallClock};
use crate::domain::PushNotice;
use crate::hub::HubHandle;
use crate::storage::Records;

/// Notices that wait to be looked at, which takes no time: this smooths bursts. One has a few KB at most.
const NOTICES_MAX: usize = 1_024;

/// The two ends of the queue of notices: for the hub, and for [`Push::new`].
pub fn queue() -> (mpsc::Sender<PushNotice>, mpsc::Receiver<PushNotice>) {
    mpsc::channel(NOTICES_MAX)
}

/// What hands notices to push services. Cheap to clone.
#[derive(Clone)]
pub struct Push {
    notices: Arc<Mutex<mpsc::Receiver<PushNotice>>>,
    means: Means,
}

impl Push {
    pub fn new(
        notices: mpsc::Receiver<PushNotice>,
        services: Services,
        inviting: Arc<dyn Inviting>,
        (records, hub): (Records, HubHandle),
        clock: WallClock,
        passed: MonotonicClock,
    ) -> Push {
        let notices = Arc::new(Mutex::new(notices));
        let means = Means {
            services: Arc::new(services),
            inviting,
            records,
            hub,
            clock,
            passed,
        };
        Push { notices, means }
    }

    /// Hands on what is put into the queue. Never ends.
    pub async fn deliver(self) {
        let mut notices = self.notices.lock().await;
        let mut deliveries = Deliveries::new(&self.means);
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => deliveries.take(notice),
                    // The hub has ended, and the server is about to.
                    None => std::future::pending().await,
                },
                () = deliveries.tidy() => {}
            }
        }
    }
}
