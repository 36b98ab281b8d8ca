//! The bounded queue of events between the hub and one session.
//!
//! The hub never waits for a session: one that does not read until its queue is full is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::domain::{Event, MessageEvent};

/// Unread events. A full room that reconnects at once makes two events for each participant, 1,000 in all; fewer would
/// throw out sessions that are merely waiting for their turn to run.
const EVENTS_MAX: usize = 1_024;

/// What unread events may weigh together: sixty chat texts of the greatest length, or the answers of a page that opens
/// a hundred connections. With 10,000 sessions that read nothing, of which most share the same texts, it is the
/// server's memory that this protects.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// The hub's end.
pub(super) struct Outbox {
    queue: mpsc::Sender<Event>,
    unread_bytes: Arc<AtomicUsize>,
}

/// The session's end.
pub struct Events {
    queue: mpsc::Receiver<Event>,
    unread_bytes: Arc<AtomicUsize>,
}

/// The session does not read, or has gone.
pub(super) struct Lost;

pub(super) fn pair() -> (Outbox, Events) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let unread_bytes = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox {
        queue: sender,
        unread_bytes: Arc::clone(&unread_bytes),
    };
    let events = Events {
        queue: receiver,
        unread_bytes,
    };
    (outbox, events)
}

impl Outbox {
    /// Announcements are left out where the queue is half full: whoever is that far behind is better served with a
    /// list that lacks somebody than with a closed socket, after which he would cause more of them.
    pub fn put(&self, event: Event) -> Result<(), Lost> {
        if is_announcement(&event) && self.queue.capacity() < EVENTS_MAX / 2 {
            return Ok(());
        }
        let weight = weight(&event);
        if self.unread_bytes.fetch_add(weight, Ordering::Relaxed) + weight > BYTES_MAX {
            return Err(Lost);
        }
        self.queue.try_send(event).map_err(|_| Lost)
    }
}

impl Events {
    /// The next event. `None` where the hub has let go of the session. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        let event = self.queue.recv().await?;
        Some(self.taken(event))
    }

    /// The next event if there is one now.
    pub fn try_next(&mut self) -> Option<Event> {
        let event = self.queue.try_recv().ok()?;
        Some(self.taken(event))
    }

    fn taken(&self, event: Event) -> Event {
        self.unread_bytes.fetch_sub(weight(&event), Ordering::Relaxed);
        event
    }
}

fn is_announcement(event: &Event) -> bool {
    matches!(
        event,
        Event::Message(MessageEvent::Online { .. } | MessageEvent::Offline { .. })
    )
}

/// About what an event takes in memory, counting a text that is shared for each who has not read it.
fn weight(event: &Event) -> usize {
    let text = match event {
        Event::Joined { others } => others.len() * size_of::<usize>(),
        Event::Answered { sdp, .. } => sdp.len(),
        Event::Text { text, .. } => text.len(),
        Event::File { file, .. } => file.name.len() + file.url.len(),
        Event::Candidate { candidate, .. } => candidate.line.len(),
        Event::Message(MessageEvent::Received { message }) => message.len(),
        Event::Message(MessageEvent::WhoIsOnline { users }) => users.len() * size_of::<usize>(),
        Event::Message(MessageEvent::Online { .. } | MessageEvent::Offline { .. }) => 0,
        Event::ParticipantArrived { .. } | Event::ParticipantLeft { .. } | Event::Call(_) | Event::Ended(_) => 0,
    };
    size_of::<Event>() + text
}
