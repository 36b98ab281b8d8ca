//! The push service for people without a session. There is none yet: each notice is one line in the log, so that an operator sees
//! when a phone would have been woken.

use tracing::info;

use crate::alias::alias;
use crate::domain::{CallEvent, PushNotice};

/// Carries a notice. The targets are secrets, which allow to wake the devices, so their number alone is written.
pub(super) fn carry(notice: &PushNotice) {
    let (kind, room) = match &notice.event {
        CallEvent::Over(over) => ("over", over.room.as_ref()),
        CallEvent::Incoming { room, .. } => ("incoming", room.as_ref()),
        CallEvent::Accepted { .. } | CallEvent::CalleeOut { .. } => return,
    };
    metrics::counter!("patchbay_push_notices_total", "kind" => kind).increment(1);
    let room = alias(room.map_or("", |room| room.as_str()));
    let devices = notice.targets.len();
    info!(
        kind,
        %room, devices, "a push notice: no push service is there, so no device is woken"
    );
}
