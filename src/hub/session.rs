//! The handle of one session, by which its client's task asks the hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::input::{Input, Reply};
use crate::domain::{Command, Refusal};
use crate::ids::{SessionId, Turn};
use crate::shares::Place;

/// One signaling session. A session that is dropped leaves all that it is in.
pub struct Session {
    id: SessionId,
    inputs: mpsc::Sender<Input>,
    /// Turn that was taken last, by any session.
    last_turn: Arc<AtomicU64>,
    /// Pause after the last request, in milliseconds.
    pause: AtomicU64,
    _place: Place,
}

impl Session {
    pub(super) fn new(id: SessionId, inputs: mpsc::Sender<Input>, last_turn: Arc<AtomicU64>, place: Place) -> Self {
        Self {
            id,
            inputs,
            last_turn,
            pause: AtomicU64::new(0),
            _place: place,
        }
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The turn of a message that has just been received. It is higher than those of all messages before it, whichever session
    /// they came to.
    pub fn take_turn(&self) -> Turn {
        Turn(self.last_turn.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Whether the hub lives.
    pub(crate) fn has_hub(&self) -> bool {
        !self.inputs.is_closed()
    }

    /// Sends a command, and waits until it has been carried out. By then the events that it causes for this session are in its
    /// queue.
    pub async fn request(&self, command: Command) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        let session = self.id;
        let input = Input::Request {
            session,
            command,
            reply,
        };
        self.inputs.send(input).await.map_err(|_| Refusal::SessionEnded)?;
        let Reply { outcome, pause } = answer.await.map_err(|_| Refusal::SessionEnded)?;
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.pause.store(pause, Ordering::Relaxed);
        outcome
    }

    /// Time for which the client is not to be read from after its last request. A second call returns zero.
    pub(crate) fn take_pause(&self) -> Duration {
        Duration::from_millis(self.pause.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Session {
    /// The session leaves here, and not by a call at the end of its task, because a task that is cancelled must leave too.
    fn drop(&mut self) {
        let input = Input::Disconnect { session: self.id };
        if let Err(mpsc::error::TrySendError::Full(input)) = self.inputs.try_send(input)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let inputs = self.inputs.clone();
            runtime.spawn(async move { inputs.send(input).await });
        }
    }
}
