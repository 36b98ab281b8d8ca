//! What is needed to hand on a notice.

use std::sync::Arc;

use super::services::Services;
use crate::clock::{MonotonicClock, WallClock};
use crate::domain::PushNotice;
use crate::hub::HubHandle;
use crate::signaling::push::Invitation;
use crate::storage::Records;

/// What a family says about a call, beside what every call has: the name that is shown, a token that lets the callee in.
pub type Inviting = Arc<dyn Fn(&PushNotice) -> Invitation + Send + Sync>;

/// What is needed to hand on a notice. Cheap to clone.
#[derive(Clone)]
pub(super) struct Means {
    pub services: Arc<Services>,
    pub inviting: Inviting,
    /// Where devices are forgotten that are gone.
    pub records: Records,
    pub hub: HubHandle,
    pub clock: WallClock,
    pub passed: MonotonicClock,
}
