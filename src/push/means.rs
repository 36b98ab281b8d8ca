//! What is needed to hand on a notice.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::services::Services;
use crate::clock::{MonotonicClock, WallClock};
use crate::domain::PushNotice;
use crate::hub::HubHandle;
use crate::ids::PushTarget;
use crate::signaling::push::Invitation;
use crate::storage::Records;

/// What a family says about calls, beside what every call has.
pub trait Inviting: Send + Sync {
    /// What the app of a device gets about a call that rings there: the name that is shown, a token that lets the callee in. What
    /// has to be waited for is bounded in time.
    fn invite(&self, notice: &PushNotice, target: &PushTarget) -> BoxFuture<'static, Invitation>;

    /// A call no longer rings at a device: what lets its callee in is worth nothing any more. Returns whether the app is to be sent
    /// that: not if it has answered.
    fn stop(&self, notice: &PushNotice, target: &PushTarget) -> bool;
}

/// What is needed to hand on a notice. Cheap to clone.
#[derive(Clone)]
pub(super) struct Means {
    pub services: Arc<Services>,
    pub inviting: Arc<dyn Inviting>,
    /// Where devices are forgotten that are gone.
    pub records: Records,
    pub hub: HubHandle,
    pub clock: WallClock,
    pub passed: MonotonicClock,
}
