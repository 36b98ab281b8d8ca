//! The hub's handle for one signaling connection.

use tokio::sync::{mpsc, oneshot};

use super::task::Input;
use crate::domain::{Command, Refusal};
use crate::ids::SessionId;
use crate::shares::Place;

/// One signaling connection. Dropped, it leaves whatever it is in.
pub struct Session {
    id: SessionId,
    inputs: mpsc::Sender<Input>,
    _place: Place,
}

impl Session {
    pub(super) fn new(id: SessionId, inputs: mpsc::Sender<Input>, place: Place) -> Self {
        Self {
            id,
            inputs,
            _place: place,
        }
    }

    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Asks, and waits until it has been done: what it makes the hub tell this session is in its queue by then.
    pub async fn request(&self, command: Command) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        let session = self.id;
        let input = Input::Request {
            session,
            command,
            reply,
        };
        self.inputs.send(input).await.map_err(|_| Refusal::SessionEnded)?;
        answer.await.unwrap_or(Err(Refusal::SessionEnded))
    }
}

impl Drop for Session {
    /// A session whose task is cancelled must leave too, so this is not left to a call at the end.
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
