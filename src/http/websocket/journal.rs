//! The frames that a client may not have received yet, because its socket may have been cut with them on the way. Pure.

use std::collections::VecDeque;

use crate::signaling::Frame;

/// Bytes kept at most: what a large room sends one client in half a minute.
const BYTES_MAX: usize = 256 * 1024;

/// Frames kept at most.
const FRAMES_MAX: usize = 1_024;

/// What was sent last, so that it can be sent again. Frames are counted from one on, over all sockets of a conversation.
#[derive(Default)]
pub(super) struct Journal {
    kept: VecDeque<Frame>,
    bytes: usize,
    /// Number of frames that came before those that are kept.
    before: u64,
}

impl Journal {
    /// Number of frames sent so far.
    pub fn sent(&self) -> u64 {
        self.before + self.kept.len() as u64
    }

    pub fn push(&mut self, frame: Frame) {
        self.bytes += size(&frame);
        self.kept.push_back(frame);
        while self.kept.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// The client has received so many frames. It can count wrongly to its own harm only.
    pub fn received(&mut self, number: u64) {
        while self.before < number && !self.kept.is_empty() {
            self.forget_oldest();
        }
    }

    /// The frames after the first `number`; nothing where some of them are not kept any more, or so many were never sent.
    pub fn after(&self, number: u64) -> Option<impl Iterator<Item = &Frame>> {
        let known = number.checked_sub(self.before)?;
        let known = usize::try_from(known).ok().filter(|known| *known <= self.kept.len())?;
        Some(self.kept.range(known..))
    }

    fn forget_oldest(&mut self) {
        if let Some(frame) = self.kept.pop_front() {
            self.bytes -= size(&frame);
            self.before += 1;
        }
    }
}

fn size(frame: &Frame) -> usize {
    match frame {
        Frame::Text(text) => text.len(),
        Frame::Binary(bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(texts: &[&str]) -> Journal {
        let mut journal = Journal::default();
        for text in texts {
            journal.push(Frame::Text((*text).into()));
        }
        journal
    }

    fn after(journal: &Journal, number: u64) -> Option<Vec<&str>> {
        Some(journal.after(number)?.map(Frame::text).collect())
    }

    #[test]
    fn returns_what_came_after_a_number() {
        let journal = journal(&["a", "b", "c"]);
        assert_eq!(journal.sent(), 3);
        assert_eq!(after(&journal, 0), Some(vec!["a", "b", "c"]));
        assert_eq!(after(&journal, 2), Some(vec!["c"]));
        assert_eq!(after(&journal, 3), Some(vec![]));
    }

    #[test]
    fn knows_nothing_of_frames_that_were_never_sent() {
        assert_eq!(after(&journal(&["a"]), 2), None);
        assert_eq!(after(&journal(&["a"]), u64::MAX), None);
    }

    #[test]
    fn forgets_what_was_received() {
        let mut journal = journal(&["a", "b", "c"]);
        journal.received(2);
        journal.received(1);
        assert_eq!(journal.sent(), 3);
        assert_eq!(after(&journal, 1), None);
        assert_eq!(after(&journal, 2), Some(vec!["c"]));
        // Numbers of frames that were never sent are no reason to count on from there.
        journal.received(u64::MAX);
        assert_eq!((journal.sent(), journal.bytes), (3, 0));
    }

    #[test]
    fn keeps_no_more_than_its_bounds() {
        let mut journal = Journal::default();
        for _ in 0..=FRAMES_MAX {
            journal.push(Frame::Text("a".into()));
        }
        assert_eq!(after(&journal, 0), None);
        assert_eq!(after(&journal, 1).map(|frames| frames.len()), Some(FRAMES_MAX));

        journal.push(Frame::Text("b".repeat(BYTES_MAX - 1)));
        journal.push(Frame::Binary(vec![0; 2].into()));
        assert_eq!((journal.kept.len(), journal.bytes), (1, 2));
        journal.push(Frame::Text("c".repeat(BYTES_MAX + 1)));
        assert_eq!((journal.kept.len(), journal.bytes), (0, 0));
    }
}
