//! The users who log in, and what their apps are sent of calls by push services, beside what every call has.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::mpsc;

use crate::accounts::Accounts;
use crate::clock::{MonotonicClock, WallClock};
use crate::conferences::{self, Conferences, InvitationToken, Occasion};
use crate::config::Config;
use crate::domain::PushNotice;
use crate::hub::HubHandle;
use crate::ids::PushTarget;
use crate::push::{Inviting, Push, Services};
use crate::signaling::push::{Invitation, InvitationKind};
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
                said_of(&invitation, token, name)
            }
            .boxed(),
        }
    }

    fn stop(&self, notice: &PushNotice, target: &PushTarget) -> bool {
        self.0.withdraw_by_push(notice, target)
    }
}

/// The users who log in, with what they need of the other parts.
pub(super) fn conferences(
    (records, hub, accounts): (&Records, &HubHandle, &Accounts),
    (clock, passed): (&WallClock, MonotonicClock),
    config: &Config,
) -> Conferences {
    let (records, hub, clock) = (records.clone(), hub.clone(), Arc::clone(clock));
    Conferences::new(records, hub, accounts.keys(), clock, passed, config)
}

/// What hands notices on.
pub(super) fn push_notices(
    notices: mpsc::Receiver<PushNotice>,
    services: Services,
    conferences: &Conferences,
    (records, hub): (&Records, &HubHandle),
    (clock, passed): (&WallClock, MonotonicClock),
) -> Push {
    let inviting = Arc::new(ByToken(conferences.clone()));
    let forgetting = (records.clone(), hub.clone());
    Push::new(notices, services, inviting, forgetting, Arc::clone(clock), passed)
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

/// What an app is sent about a call that rings at its user: the token by which it answers or refuses, and what the caller says.
fn said_of(call: &conferences::Invitation, token: InvitationToken, caller_name: String) -> Invitation {
    let details = &call.details;
    Invitation {
        caller: Some(call.caller().to_string()),
        caller_name: Some(caller_name),
        place: Some(call.room.to_string()),
        token: Some(token.text()),
        kind: match details.occasion {
            Occasion::Call => InvitationKind::Call,
            Occasion::Meeting { .. } => InvitationKind::Meeting,
        },
        bss_key: Some(details.bss_key.clone()),
        owner: details.owner.clone(),
    }
}
