//! The one task that owns the domain's state.

use tokio::sync::mpsc;

use crate::media::engine::{Media, MediaEvent};

/// The way into the hub. Cheap to clone.
#[derive(Clone)]
pub struct HubHandle {
    _private: (),
}

/// Starts the hub's task.
pub fn start(_media: Media, _media_events: mpsc::Receiver<MediaEvent>) -> HubHandle {
    todo!()
}

impl HubHandle {
    /// Tells every client, ends every room, and returns when that is done.
    pub async fn shutdown(&self) {
        todo!()
    }
}
