//! The events that wait for the client of a session. Pure.
//!
//! A client reads them by one stream at a time. What says how something is now is only kept while somebody reads: whoever begins to
//! read is sent the whole state first. Everything else waits for a reader.
//!
//! A client that reads too slowly, or not at all, keeps its session: texts are left out, and its stream ends, so that it begins
//! another one with the whole state.

use std::collections::VecDeque;

use super::wire::Notice;

/// Events that wait: everybody in a room of 300 arrives, and changes something at once. The stream of a client that is further behind
/// ends.
const NOTICES_MAX: usize = 1_024;

/// Bytes of these together: as many as the desk keeps for one client.
const BYTES_MAX: usize = 256 * 1024;

/// The client reads too slowly, or does not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Whoever read does so no longer. What was the state is forgotten.
    Reader,
    /// There is no place even for what cannot be said later.
    Client,
}

#[derive(Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Notice>,
    bytes: usize,
    /// Number of the present reader. `None`: nobody reads.
    reader: Option<u64>,
    last_reader: u64,
    last_event: u64,
}

impl Outbox {
    pub fn put(&mut self, notice: Notice) -> Result<(), Behind> {
        if self.reader.is_none() && notice.is_state() {
            return Ok(());
        }
        if notice.gives_way() && self.is_half_full(notice.weight()) {
            metrics::counter!("patchbay_texts_left_out_total").increment(1);
            return Ok(());
        }
        self.bytes += notice.weight();
        self.waiting.push_back(notice);
        if !self.is_full() {
            return Ok(());
        }
        let was_read = self.reader.take().is_some();
        self.forget_state();
        match was_read && !self.is_full() {
            true => Err(Behind::Reader),
            false => Err(Behind::Client),
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() > NOTICES_MAX || self.bytes > BYTES_MAX
    }

    /// The other half is left to what a client needs.
    fn is_half_full(&self, with: usize) -> bool {
        self.waiting.len() >= NOTICES_MAX / 2 || self.bytes + with > BYTES_MAX / 2
    }

    /// Somebody begins to read, in the place of whoever read before. They are sent the state, and then what has waited. Returns
    /// the number of the reader.
    pub fn begin(&mut self, state: Vec<Notice>) -> u64 {
        self.forget_state();
        for notice in state.into_iter().rev() {
            self.bytes += notice.weight();
            self.waiting.push_front(notice);
        }
        self.last_reader += 1;
        self.reader = Some(self.last_reader);
        self.last_reader
    }

    /// A reader no longer reads.
    pub fn end(&mut self, reader: u64) {
        if self.reader == Some(reader) {
            self.reader = None;
            self.forget_state();
        }
    }

    /// What this reader has not read, with the number of each event. Nothing if somebody else reads.
    pub fn take(&mut self, reader: u64) -> Vec<(u64, Notice)> {
        if self.reader != Some(reader) {
            return Vec::new();
        }
        self.bytes = 0;
        let first = self.last_event + 1;
        let taken: Vec<(u64, Notice)> = (first..).zip(self.waiting.drain(..)).collect();
        self.last_event += taken.len() as u64;
        taken
    }

    /// Whether somebody reads.
    pub fn is_read(&self) -> bool {
        self.reader.is_some()
    }

    /// Whether anything waits but the state.
    pub fn has_news(&self) -> bool {
        self.waiting.iter().any(|notice| !notice.is_state())
    }

    fn forget_state(&mut self) {
        self.waiting.retain(|notice| !notice.is_state());
        self.bytes = self.waiting.iter().map(Notice::weight).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &str) -> Notice {
        Notice::Message {
            origin: "Anna".to_owned(),
            kind: "text/plain",
            payload: payload.to_owned(),
            uuid: String::new(),
        }
    }

    fn gone(uuid: &str) -> Notice {
        let uuid = uuid.to_owned();
        Notice::Deleted { uuid }
    }

    #[test]
    fn whoever_begins_to_read_is_sent_the_state_and_then_what_has_waited() {
        let mut outbox = Outbox::default();
        outbox.put(text("early")).unwrap();
        outbox.put(gone("x")).unwrap();
        let first = outbox.begin(vec![Notice::SyncBegin {}, Notice::SyncEnd {}]);
        let expected = vec![(1, Notice::SyncBegin {}), (2, Notice::SyncEnd {}), (3, text("early"))];
        assert_eq!(outbox.take(first), expected);
        outbox.put(gone("y")).unwrap();
        outbox.put(text("later")).unwrap();
        let second = outbox.begin(vec![Notice::SyncEnd {}]);
        assert_eq!(outbox.take(first), [], "somebody else reads");
        outbox.end(first);
        outbox.put(gone("z")).unwrap();
        let expected = vec![(4, Notice::SyncEnd {}), (5, text("later")), (6, gone("z"))];
        assert_eq!(outbox.take(second), expected);
        outbox.put(gone("unread")).unwrap();
        outbox.end(second);
        let third = outbox.begin(Vec::new());
        assert_eq!(outbox.take(third), []);
    }

    fn referred() -> Notice {
        Notice::Referred {
            alias: "other".to_owned(),
            token: String::new(),
        }
    }

    #[test]
    fn texts_that_nobody_reads_are_left_out_before_there_is_no_place_for_anything_else() {
        let mut outbox = Outbox::default();
        let long = "x".repeat(BYTES_MAX / 8);
        for _ in 0..100 {
            outbox.put(text(&long)).unwrap();
        }
        assert_eq!(outbox.waiting.len(), 3, "of half the bytes");
        let mut outbox = Outbox::default();
        for _ in 0..2 * NOTICES_MAX {
            outbox.put(text("")).unwrap();
        }
        for _ in 0..NOTICES_MAX / 2 {
            outbox.put(referred()).unwrap();
        }
        assert_eq!(outbox.put(referred()), Err(Behind::Client));
    }

    #[test]
    fn of_whoever_reads_too_slowly_the_stream_ends_and_another_one_begins_with_the_state() {
        let mut outbox = Outbox::default();
        let slow = outbox.begin(Vec::new());
        outbox.put(text("early")).unwrap();
        for _ in 1..NOTICES_MAX {
            outbox.put(gone("x")).unwrap();
        }
        assert_eq!(outbox.put(gone("x")), Err(Behind::Reader));
        assert_eq!((outbox.is_read(), outbox.take(slow)), (false, Vec::new()));
        outbox.put(gone("x")).unwrap();
        let next = outbox.begin(vec![Notice::SyncEnd {}]);
        assert_eq!(outbox.take(next), [(1, Notice::SyncEnd {}), (2, text("early"))]);
    }

    #[test]
    fn what_was_read_does_not_count() {
        let mut outbox = Outbox::default();
        let reader = outbox.begin(Vec::new());
        let long = "x".repeat(BYTES_MAX / 4);
        for _ in 0..10 {
            outbox.put(text(&long)).unwrap();
            assert_eq!(outbox.take(reader).len(), 1);
        }
    }
}
