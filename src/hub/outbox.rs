//! The bounded queue of events between the hub and one session.
//!
//! The hub never waits for a session. Where a session reads too slowly, first announcements and then texts are left out. A
//! session whose queue is full of events that it needs is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::domain::{CallEvent, Event, MeetingEvent, MessageEvent};

/// Unread events. A full room that reconnects at once makes two events for each participant, 1,000 in all; a smaller number
/// would throw out sessions that are merely waiting for their turn to run.
const EVENTS_MAX: usize = 1_024;

/// Bytes of all unread events together: sixty chat texts of the greatest length, or the answers of a page that opens a hundred
/// connections. With 10,000 sessions that read nothing, of which most share the same texts, this limit protects the server's
/// memory.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// The hub's end of the queue.
pub(super) struct Outbox {
    queue: mpsc::Sender<Event>,
    unread_bytes: Arc<AtomicUsize>,
}

/// The session's end of the queue.
pub struct Events {
    queue: mpsc::Receiver<Event>,
    unread_bytes: Arc<AtomicUsize>,
}

/// Why an event no longer reaches a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The session has not read the events in its queue, and the queue is full.
    Behind,
    /// The session has ended.
    Ended,
}

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
    /// Puts an event into the queue. Announcements and texts are left out where the queue is half full: a client that is that
    /// far behind is better served with a list or a conversation that lacks something than with a closed socket, which would
    /// end a call and cause more announcements. The other half is left to the events that a call needs.
    pub(crate) fn put(&self, event: Event) -> Result<(), Lost> {
        let weight = weight(&event);
        if gives_way(&event) && self.is_half_full(weight) {
            metrics::counter!("patchbay_texts_left_out_total").increment(1);
            return Ok(());
        }
        if self.unread_bytes.fetch_add(weight, Ordering::Relaxed) + weight > BYTES_MAX {
            return Err(if self.queue.is_closed() {
                Lost::Ended
            } else {
                Lost::Behind
            });
        }
        self.queue.try_send(event).map_err(|error| match error {
            TrySendError::Full(_) => Lost::Behind,
            TrySendError::Closed(_) => Lost::Ended,
        })
    }

    fn is_half_full(&self, with: usize) -> bool {
        let unread = self.unread_bytes.load(Ordering::Relaxed);
        self.queue.capacity() < EVENTS_MAX / 2 || unread + with > BYTES_MAX / 2
    }
}

impl Events {
    /// The next event. `None` once the hub has let go of the session. Cancel-safe.
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

/// Whether an event may be left out: what people write to one another, who is online, who speaks, and what cannot be decoded.
/// Every other event is part of a room or a call. Of who speaks, nothing is sent later in the place of what was left out: the
/// next change says all anew.
fn gives_way(event: &Event) -> bool {
    match event {
        Event::Text { .. } | Event::File { .. } | Event::Decoding(_) | Event::Speakers { .. } => true,
        Event::Message(message) => !matches!(message, MessageEvent::WhoIsOnline { .. }),
        _ => false,
    }
}

/// Roughly the bytes that an event takes in memory. A text that is shared is counted for each session that has not read it.
pub(crate) fn weight(event: &Event) -> usize {
    let text = match event {
        Event::Joined { others } => others.len() * size_of::<usize>(),
        Event::Speakers { users } => users.iter().map(|user| user.as_str().len()).sum(),
        Event::Answered { sdp, slots, .. } => sdp.len() + size_of_val(&**slots),
        Event::Layout { slots, .. } => slots
            .iter()
            .map(|(_, feed)| feed.as_ref().map_or(0, |one| one.user.as_str().len()))
            .sum(),
        Event::Text { text, .. } => text.len(),
        Event::File { file, .. } => file.name.len() + file.url.len(),
        Event::Candidate { candidate, .. } => candidate.line.len(),
        Event::LayersWanted(wanted) => wanted.layers.iter().map(|(rid, _)| rid.len()).sum(),
        Event::Decoding(decoding) => decoding.undecodable.as_ref().map_or(0, String::len),
        Event::Message(
            MessageEvent::Received { message }
            | MessageEvent::Unanswered {
                invitation: message, ..
            },
        )
        | Event::Call(CallEvent::Incoming {
            message: Some(message), ..
        }) => message.len(),
        Event::Message(MessageEvent::WhoIsOnline { users }) => users.len() * size_of::<usize>(),
        Event::Message(MessageEvent::Online { .. } | MessageEvent::OneMore { .. } | MessageEvent::Offline { .. }) => 0,
        Event::Meeting(MeetingEvent::Referred(to)) => to.alias.len() + to.pin.as_ref().map_or(0, |pin| pin.0.len()),
        Event::Meeting(
            MeetingEvent::Waiting | MeetingEvent::Changed(_) | MeetingEvent::Participant(_) | MeetingEvent::Own(_),
        )
        | Event::ParticipantArrived { .. }
        | Event::ParticipantLeft { .. }
        | Event::MediaChanged { .. }
        | Event::FurtherFeeds { .. }
        | Event::Quality { .. }
        | Event::ConnectionLost { .. }
        | Event::ConnectionEnded { .. }
        | Event::Call(_)
        | Event::Ended(_) => 0,
    };
    size_of::<Event>() + text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Candidate, EndReason, Subject, UserFeed};

    fn text(bytes: usize) -> Event {
        Event::Text {
            from: "anna".into(),
            text: "x".repeat(bytes).into(),
        }
    }

    fn answer(bytes: usize) -> Event {
        Event::Answered {
            subject: Subject::Feed(UserFeed::camera("anna".into())),
            tag: None,
            sdp: "x".repeat(bytes),
            slots: Vec::new(),
        }
    }

    fn left(events: &mut Events) -> (usize, usize) {
        let (mut texts, mut others) = (0, 0);
        while let Some(event) = events.try_next() {
            match event {
                Event::Text { .. } => texts += 1,
                _ => others += 1,
            }
        }
        (texts, others)
    }

    #[test]
    fn texts_give_way_before_the_session_does() {
        let (outbox, mut events) = pair();
        for _ in 0..1_000 {
            assert!(outbox.put(text(16 * 1024)).is_ok());
        }
        for _ in 0..7 {
            assert!(outbox.put(answer(64 * 1024)).is_ok(), "there is room for answers");
        }
        let (texts, answers) = left(&mut events);
        assert_eq!(answers, 7);
        assert!((20..=32).contains(&texts), "{texts}");
        assert!(outbox.put(text(16 * 1024)).is_ok());
        assert_eq!(left(&mut events), (1, 0), "whoever reads again is sent texts again");
    }

    #[test]
    fn many_short_texts_leave_half_the_queue_to_a_call() {
        let (outbox, mut events) = pair();
        for _ in 0..10_000 {
            assert!(outbox.put(text(1)).is_ok());
        }
        let candidate = || Event::Candidate {
            subject: Subject::Feed(UserFeed::camera("anna".into())),
            candidate: Candidate {
                line: String::new(),
                mid: String::new(),
                section: 0,
            },
        };
        for _ in 0..EVENTS_MAX / 2 - 1 {
            assert!(outbox.put(candidate()).is_ok());
        }
        let (texts, candidates) = left(&mut events);
        assert_eq!((texts, candidates), (EVENTS_MAX / 2 + 1, EVENTS_MAX / 2 - 1));
    }

    #[test]
    fn a_session_that_does_not_read_what_it_needs_is_let_go() {
        let (outbox, _events) = pair();
        let taken = (0..100).take_while(|_| outbox.put(answer(64 * 1024)).is_ok()).count();
        assert!((10..16).contains(&taken), "{taken}");
    }

    #[test]
    fn a_session_that_has_ended_is_not_taken_for_one_that_reads_too_slowly() {
        let event = || Event::Ended(EndReason::Replaced);
        let (outbox, events) = pair();
        for _ in 0..EVENTS_MAX {
            assert_eq!(outbox.put(event()), Ok(()));
        }
        assert_eq!(outbox.put(event()), Err(Lost::Behind));
        drop(events);
        assert_eq!(outbox.put(event()), Err(Lost::Ended));
    }

    #[test]
    fn a_session_whose_texts_weigh_too_much_is_behind_until_it_has_ended() {
        let event = || Event::Joined { others: Vec::new() };
        let (outbox, events) = pair();
        outbox.unread_bytes.store(BYTES_MAX, Ordering::Relaxed);
        assert_eq!(outbox.put(event()), Err(Lost::Behind));
        drop(events);
        assert_eq!(outbox.put(event()), Err(Lost::Ended));
    }
}
