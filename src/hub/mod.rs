//! The one loop that owns the domain's state, on a thread of its own.
//!
//! Sessions ask through a bounded queue and wait for each answer, so a session has at most one request here and the order of
//! its messages holds. Only [`effects`] carries out what the rules decide.

mod audience;
mod budget;
mod capacity;
mod effects;
mod input;
mod layouts;
mod log;
mod mailbox;
mod meters;
mod outbox;
mod overview;
mod placement;
mod players;
mod session;
mod slots;
mod task;

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

pub use capacity::Capacity;
use effects::Errands;
#[cfg(debug_assertions)]
pub(crate) use input::HubFault;
use input::Input;
use mailbox::MailboxHandle;
pub use outbox::Events;
pub(crate) use outbox::weight;
pub use overview::Overview;
pub use session::Session;
use task::Hub;
pub use task::HubEnd;

use crate::domain::{Address, MailboxStore, PushNotice};
use crate::ids::{PushTarget, RoomId, RoomName, SessionId, UserId};
use crate::media::engine::MediaEngine;
use crate::media::messages::MediaEvent;
use crate::pulse::Pulse;
use crate::shares::{ClientAddress, Denied, Places, Pot};

/// Inputs that wait for the hub. A session has one request at a time, so this only smooths bursts. A full queue makes sessions
/// wait, which makes their clients wait.
const INPUTS_MAX: usize = 1_024;

/// The way into the hub. Cheap to clone.
#[derive(Clone)]
pub struct HubHandle {
    inputs: mpsc::Sender<Input>,
    places: Places,
    is_ending: Arc<AtomicBool>,
    last_session: Arc<AtomicU64>,
    last_turn: Arc<AtomicU64>,
    pulse: Pulse,
    end: watch::Receiver<Option<HubEnd>>,
}

/// Why there is no place for one more signaling connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    #[error("the server is full")]
    Full,
    #[error("clients of your address have as many connections as one address may have")]
    ShareUsedUp,
    #[error("the server is going down")]
    GoingDown,
}

impl From<Denied> for NoPlace {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::UsedUp => NoPlace::Full,
            Denied::ShareUsedUp => NoPlace::ShareUsedUp,
        }
    }
}

/// Makes the hub, and starts the task that keeps messages in `store`. That task and those of the players run on the runtime of
/// this call. The hub lives while the returned future runs: the server runs it by [`on_its_own_thread`], tests as a task on
/// their clock. `random` gives the numbers and passwords in answers. Notices for push targets go into `pushes`; what does not fit
/// there is lost.
pub fn start(
    media: MediaEngine,
    media_events: mpsc::Receiver<MediaEvent>,
    capacity: Capacity,
    store: impl MailboxStore,
    random: StdRng,
    pushes: mpsc::Sender<PushNotice>,
) -> (HubHandle, impl Future<Output = ()> + Send + 'static) {
    let (inputs, input_queue) = mpsc::channel(INPUTS_MAX);
    let mailbox = MailboxHandle::start(store, capacity.errand_share, inputs.downgrade());
    let pulse = Pulse::new(task::now());
    let (ended, end) = watch::channel(None);
    let errands = Errands { mailbox, pushes };
    let hub = Hub::new(media, errands, &capacity, random, Handle::current(), pulse.clone());
    let running = async move {
        let running = AssertUnwindSafe(hub.run(input_queue, media_events)).catch_unwind();
        ended.send_replace(Some(running.await.unwrap_or(HubEnd::Panicked)));
    };
    let handle = HubHandle {
        inputs,
        places: Places::new(Pot::new(capacity.sessions as u64, capacity.session_share)),
        is_ending: Arc::default(),
        last_session: Arc::default(),
        last_turn: Arc::default(),
        pulse,
        end,
    };
    (handle, running)
}

/// Runs the hub on a thread without other tasks. A hub that is blocked blocks only its own thread; as a task of the common
/// runtime it would hold up other tasks, even those that report that it is blocked. The thread ends with the hub; nobody waits
/// for it.
pub(crate) fn on_its_own_thread(hub: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = std::thread::Builder::new().name("hub".to_owned());
    thread.spawn(move || runtime.block_on(hub))?;
    Ok(())
}

impl HubHandle {
    /// The way to a hub that does nothing, as long as what is returned with it lives.
    #[cfg(test)]
    pub(crate) fn idle() -> (HubHandle, impl Sized) {
        use crate::shares::Share;
        let (inputs, queue) = mpsc::channel(INPUTS_MAX);
        let (ended, end) = watch::channel(None);
        let share = Share {
            percent: 100,
            at_least: 1,
        };
        let handle = HubHandle {
            inputs,
            places: Places::new(Pot::new(1, share)),
            is_ending: Arc::default(),
            last_session: Arc::default(),
            last_turn: Arc::default(),
            pulse: Pulse::new(task::now()),
            end,
        };
        (handle, (queue, ended))
    }

    /// Whether the hub lives.
    pub fn is_running(&self) -> bool {
        !self.inputs.is_closed()
    }

    /// Whether the hub's loop has stood still for too long.
    pub fn stands_still(&self, now: Instant) -> bool {
        self.pulse.stands_still(now)
    }

    /// Returns when the hub has ended, in whatever way.
    pub async fn ended(&self) -> HubEnd {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        // The hub reports its end before it drops the sender.
        ended.ok().and_then(|end| *end).unwrap_or(HubEnd::Panicked)
    }

    /// Makes the hub, or a media worker, fail.
    #[cfg(debug_assertions)]
    pub(crate) async fn fault(&self, fault: HubFault) {
        self.inputs.send(Input::Fault(fault)).await.ok();
    }

    /// Takes a place for one more signaling connection, or for another client that sends commands and is to get events: a
    /// request over HTTP, a schedule, a test. No socket is needed here: the session sends commands, and its events wait in a
    /// bounded queue until their reader takes them. A session that is dropped leaves all that it is in.
    pub async fn connect(&self, client: ClientAddress) -> Result<(Session, Events), NoPlace> {
        if self.is_ending.load(Ordering::Relaxed) {
            return Err(NoPlace::GoingDown);
        }
        let place = self.places.take(client, 1)?;
        let id = SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1);
        let (outbox, events) = outbox::pair();
        let input = Input::Connect { id, client, outbox };
        self.inputs.send(input).await.map_err(|_| NoPlace::GoingDown)?;
        Ok((
            Session::new(id, self.inputs.clone(), self.last_turn.clone(), place),
            events,
        ))
    }

    /// Whether somebody who is there has proven that this name is theirs. Cheaper than a session that asks in that name.
    pub async fn is_name_held(&self, name: &UserId) -> Result<bool, NoPlace> {
        let (reply, answer) = oneshot::channel();
        let name = name.clone();
        let asked = self.inputs.send(Input::IsHeld { name, reply }).await;
        asked.map_err(|_| NoPlace::GoingDown)?;
        answer.await.map_err(|_| NoPlace::GoingDown)
    }

    /// The rooms that were opened after `after`, as many as have some hundred participants together, and what is published
    /// there. `None` if the hub has ended.
    pub async fn overview(&self, after: Option<RoomId>) -> Option<Overview> {
        let (reply, beginning) = oneshot::channel();
        self.inputs.send(Input::Overview { after, reply }).await.ok()?;
        Some(beginning.await.ok()?.complete().await)
    }

    /// The people in each of these group rooms: participants whom others see, without robots. Nobody where the hub has ended.
    pub async fn people_in(&self, rooms: Vec<RoomName>) -> Vec<Vec<UserId>> {
        let (reply, people) = oneshot::channel();
        match self.inputs.send(Input::People { rooms, reply }).await {
            Ok(()) => people.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Forgets a push target that its service no longer knows.
    pub(crate) async fn forget_push_target(&self, address: Address, target: PushTarget) {
        self.inputs.send(Input::ForgetPushTarget { address, target }).await.ok();
    }

    /// Ends the stay of a user in a group room, wherever they are there from, and returns when they have been sent that. Their
    /// sessions end.
    pub async fn end_stay(&self, room: RoomName, user: UserId) {
        let (reply, done) = oneshot::channel();
        let input = Input::EndStay { room, user, reply };
        if self.inputs.send(input).await.is_ok() {
            // An error means the same: the hub has ended.
            done.await.ok();
        }
    }

    /// Sends every client a goodbye, ends every room, and returns when the sessions have closed or their time for it is over.
    pub async fn shutdown(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        let (done, wait) = oneshot::channel();
        if self.inputs.send(Input::ShutDown { done }).await.is_ok() {
            // An error means the same: the hub has ended.
            wait.await.ok();
        }
    }
}
