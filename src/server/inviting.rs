//! What apps are sent of calls by push services, beside what every call has: which part says it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::mpsc;

use super::stopwatch;
use crate::clock::WallClock;
use crate::conferences::Conferences;
use crate::domain::PushNotice;
use crate::hub::HubHandle;
use crate::ids::PushTarget;
use crate::push::{Inviting, Push, Services};
use crate::signaling::push::{self as words, Invitation};
use crate::storage::Records;

/// Users who log in are sent the token by which they answer or refuse.
struct ByToken(Conferences);

impl Inviting for ByToken {
    fn invite(&self, notice: &PushNotice, target: &PushTarget) -> BoxFuture<'static, Invitation> {
        let conferences = self.0.clone();
        match conferences.invitation_by_push(notice, target) {
            None => ready(Invitation::default()).boxed(),
            Some((token, invitation)) => async move {
                let name = conferences.caller_name(&invitation).await;
                words::invitation(&invitation, token, name)
            }
            .boxed(),
        }
    }

    fn stop(&self, notice: &PushNotice, target: &PushTarget) -> bool {
        self.0.withdraw_by_push(notice, target)
    }
}

/// What hands notices on.
pub(super) fn push_notices(
    notices: mpsc::Receiver<PushNotice>,
    services: Services,
    conferences: &Conferences,
    (records, hub): (&Records, &HubHandle),
    clock: &WallClock,
) -> Push {
    let inviting = Arc::new(ByToken(conferences.clone()));
    let forgetting = (records.clone(), hub.clone());
    Push::new(notices, services, inviting, forgetting, Arc::clone(clock), stopwatch())
}

/// Lets calls ring at the devices that were recorded before this start.
pub(super) async fn restore_devices(conferences: Conferences) {
    if let Err(cause) = conferences.restore_devices().await {
        metrics::counter!("patchbay_storage_errors_total").increment(1);
        let cause = &cause as &dyn std::error::Error;
        tracing::error!(
            cause,
            "storage failed; some devices ring only after their app has started"
        );
    }
}
