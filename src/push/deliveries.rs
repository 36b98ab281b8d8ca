//! Notices in hand: for each device at which a call rings one task, which makes attempts until the service has the notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::errand::{Device, Errand, Job, count_failure};
use super::means::Means;
use super::services::{self, Message};
use crate::alias::alias;
use crate::clock::now_s;
use crate::domain::{Address, CallEvent, PushNotice};
use crate::ids::{CallId, PushService, PushTarget, RoomName};
use crate::signaling::push::{Invitation, Ringing};

/// Devices with notices in hand. With a device's notices a task has some 10 KB.
const DEVICES_MAX: usize = 2_048;

/// Attempts at the same time. JPush takes ten requests a second from a small app; one connection to APNs carries hundreds.
const ATTEMPTS_MAX: usize = 64;

/// Time for the notice that a call is over. Later the app has stopped by itself.
const OVER_WITHIN: Duration = Duration::from_secs(30);

/// Notices of one call for one device: that it rings, and that it is over.
const OF_ONE_CALL: usize = 2;

type Place = (CallId, PushTarget);

/// The notices in hand.
pub(super) struct Deliveries {
    means: Means,
    places: HashMap<Place, mpsc::Sender<Job>>,
    tasks: JoinSet<Place>,
    attempts: Arc<Semaphore>,
}

impl Deliveries {
    pub fn new(means: &Means) -> Self {
        Self {
            means: means.clone(),
            places: HashMap::new(),
            tasks: JoinSet::new(),
            attempts: Arc::new(Semaphore::new(ATTEMPTS_MAX)),
        }
    }

    /// Hands a notice to the tasks of its devices.
    pub fn take(&mut self, notice: PushNotice) {
        let (call, room, kind, caller) = match &notice.event {
            CallEvent::Incoming { call, room, from, .. } => (*call, room.as_ref(), "incoming", Some(from)),
            CallEvent::Over(over) => (over.call, over.room.as_ref(), "over", None),
            CallEvent::Accepted { .. } | CallEvent::CalleeOut { .. } => return,
        };
        metrics::counter!("patchbay_push_notices_total", "kind" => kind).increment(1);
        let ringing = caller.map(|caller| Ringing {
            caller: name_of(caller).to_owned(),
            room: room.map_or("", RoomName::as_str).to_owned(),
            began_s: now_s(&self.means.clock),
            invitation: Invitation::default(),
        });
        let known = notice
            .targets
            .iter()
            .filter_map(|target| Some((target, target.parts()?)));
        let (served, unserved): (Vec<_>, Vec<_>) =
            known.partition(|(_, (service, _))| self.means.services.has(*service));
        if !unserved.is_empty() {
            let (room, devices) = (alias(room.map_or("", RoomName::as_str)), unserved.len());
            info!(
                kind,
                %room, devices, "a push notice: no push service is there, so no device is woken"
            );
        }
        for (target, (service, token)) in served {
            let rings_in = room.filter(|_| ringing.is_some());
            let is_sent = match ringing {
                Some(_) => services::knows(service, rings_in),
                None => self.means.inviting.stop(&notice, target) && services::knows(service, None),
            };
            if !is_sent {
                // The attempts for the call end all the same.
                self.places.remove(&(call, target.clone()));
                continue;
            }
            let job = Job {
                message: self.message(&notice, (target, service), ringing.clone()),
                until: self.until(&notice, service),
                rings_until: notice.until.map(Instant::from_std),
            };
            let device = Device {
                owner: notice.to.clone(),
                target: target.clone(),
                service,
                token: token.to_owned(),
            };
            self.hand_over(call, device, job);
        }
    }

    /// What a device is sent, as soon as the family has said what it says about the call. Its token is made now: when the call is over,
    /// it is taken back.
    fn message(
        &self,
        notice: &PushNotice,
        (target, service): (&PushTarget, PushService),
        ringing: Option<Ringing>,
    ) -> BoxFuture<'static, Option<Message>> {
        let Some(ringing) = ringing else {
            return ready(services::message(service, None)).boxed();
        };
        let inviting = self.means.inviting.invite(notice, target);
        let message = async move {
            let invitation = inviting.await;
            services::message(service, Some(&Ringing { invitation, ..ringing }))
        };
        message.boxed()
    }

    fn until(&self, notice: &PushNotice, service: PushService) -> Instant {
        let now = (self.means.passed)();
        match notice.until {
            None => now + OVER_WITHIN,
            Some(until) => {
                let until = Instant::from_std(until);
                services::fresh_for(service).map_or(until, |fresh| until.min(now + fresh))
            }
        }
    }

    fn hand_over(&mut self, call: CallId, device: Device, job: Job) {
        let place = (call, device.target.clone());
        let left = match self.places.get(&place) {
            Some(jobs) => match jobs.try_send(job) {
                Ok(()) | Err(TrySendError::Full(_)) => return,
                // Its task is about to end.
                Err(TrySendError::Closed(job)) => job,
            },
            None => job,
        };
        if self.tasks.len() >= DEVICES_MAX {
            warn!("too many devices are being notified: one is left out");
            return count_failure(device.service, "queue_full");
        }
        let (jobs, queue) = mpsc::channel(OF_ONE_CALL);
        // It has space for it.
        jobs.try_send(left).ok();
        self.places.insert(place.clone(), jobs);
        let errand = Errand {
            means: self.means.clone(),
            attempts: Arc::clone(&self.attempts),
            device,
        };
        self.tasks.spawn(async move {
            errand.run(queue).await;
            place
        });
    }

    /// Forgets the next task that has ended.
    pub async fn tidy(&mut self) {
        match self.tasks.join_next().await {
            None => std::future::pending().await,
            Some(Ok(place)) => {
                // Another task may have taken its place.
                if self.places.get(&place).is_some_and(mpsc::Sender::is_closed) {
                    self.places.remove(&place);
                }
            }
            Some(Err(error)) => {
                error!(%error, "a push notice is lost");
                self.places.retain(|_, jobs| !jobs.is_closed());
            }
        }
    }
}

fn name_of(address: &Address) -> &str {
    match address {
        Address::Name(user) => user.as_str(),
        Address::Device { account, .. } => account.as_str(),
    }
}
