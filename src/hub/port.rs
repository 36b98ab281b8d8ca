//! What the hub needs of the media engine, so that tests can stand in for it.

use std::future::Future;

use crate::media::engine::{Media, MediaCommand, WorkerId};
use crate::media::session::LocalEnd;

/// The media workers as the hub sees them; see [`Media`] for the meaning of each.
pub trait MediaPort: Send + 'static {
    fn place_room(&self) -> WorkerId;
    fn local_end(&self, worker: WorkerId) -> &LocalEnd;
    fn send(&self, worker: WorkerId, command: MediaCommand) -> impl Future<Output = ()> + Send;
}

impl MediaPort for Media {
    fn place_room(&self) -> WorkerId {
        Media::place_room(self)
    }

    fn local_end(&self, worker: WorkerId) -> &LocalEnd {
        Media::local_end(self, worker)
    }

    fn send(&self, worker: WorkerId, command: MediaCommand) -> impl Future<Output = ()> + Send {
        Media::send(self, worker, command)
    }
}
