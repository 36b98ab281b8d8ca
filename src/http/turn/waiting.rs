//! Messages that wait until a slow connection takes them. Pure.
//!
//! There is a bound in bytes. Beyond it video goes, all that waits but the newest half; everything else stays in order, and only what
//! finds no room beside others of its kind is lost. A message of which the first bytes have left stays whole. (Media by TCP has a
//! queue of its own, `media/tcp/outgoing.rs`, whose frames are others.)

use std::collections::VecDeque;

/// The messages that wait.
#[derive(Default)]
pub(super) struct Waiting {
    messages: VecDeque<Message>,
    /// Bytes of the first of these that have been sent.
    begun: usize,
    /// Bytes of all of them, with those that have been sent.
    bytes: usize,
}

struct Message {
    bytes: Vec<u8>,
    is_video: bool,
}

impl Waiting {
    /// Adds a message, where no more than `bound` bytes may wait. Returns how many messages were dropped, with this one.
    pub fn push(&mut self, bytes: Vec<u8>, is_video: bool, bound: usize) -> usize {
        let mut dropped = 0;
        if self.bytes + bytes.len() > bound {
            dropped = self.cut(bound / 2);
        }
        if self.bytes + bytes.len() > bound {
            return dropped + 1;
        }
        self.bytes += bytes.len();
        self.messages.push_back(Message { bytes, is_video });
        dropped
    }

    /// Drops the oldest video until no more than `left` bytes wait, or there is none that may go.
    fn cut(&mut self, left: usize) -> usize {
        let before = self.messages.len();
        let (mut bytes, mut has_begun) = (self.bytes, self.begun > 0);
        self.messages.retain(|message| {
            let goes = message.is_video && !std::mem::take(&mut has_begun) && bytes > left;
            bytes -= if goes { message.bytes.len() } else { 0 };
            !goes
        });
        self.bytes = bytes;
        before - self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The bytes to send next.
    pub fn next(&self) -> &[u8] {
        let first = self
            .messages
            .front()
            .and_then(|message| message.bytes.get(self.begun..));
        first.unwrap_or_default()
    }

    /// Forgets the next bytes, which have been sent.
    pub fn sent(&mut self, bytes: usize) {
        self.begun += bytes;
        while let Some(first) = self.messages.front().filter(|first| first.bytes.len() <= self.begun) {
            self.begun -= first.bytes.len();
            self.bytes -= first.bytes.len();
            self.messages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages in their order, each of ten bytes that are its number.
    fn drained(waiting: &mut Waiting, piece: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !waiting.is_empty() {
            let next = waiting.next();
            bytes.extend_from_slice(&next[..piece.min(next.len())]);
            waiting.sent(piece.min(waiting.next().len()));
        }
        assert_eq!((bytes.len() % 10, waiting.bytes, waiting.begun), (0, 0, 0));
        let whole = bytes
            .chunks(10)
            .inspect(|one| assert!(one.iter().all(|byte| *byte == one[0])));
        whole.map(|one| one[0]).collect()
    }

    #[test]
    fn everything_is_sent_in_order_while_there_is_room() {
        for piece in [1, 3, 10, 100] {
            let mut waiting = Waiting::default();
            for number in 0..20 {
                assert_eq!(waiting.push(vec![number; 10], number % 2 == 0, 200), 0);
            }
            assert!(drained(&mut waiting, piece).into_iter().eq(0..20));
        }
    }

    #[test]
    fn video_goes_from_the_oldest_on_and_the_rest_stays_in_order() {
        let mut waiting = Waiting::default();
        for number in 0..20 {
            waiting.push(vec![number; 10], number % 2 == 0, 200);
        }
        // The first one has begun to leave, so it stays whole.
        let first = waiting.next()[..3].to_vec();
        waiting.sent(3);
        assert_eq!(waiting.push(vec![20; 10], false, 200), 9);
        assert!(waiting.bytes <= 200);
        waiting.begun -= first.len();
        let left = drained(&mut waiting, 10);
        assert!(
            left.iter().eq([0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 20].iter()),
            "{left:?}"
        );
        assert_eq!(waiting.push(vec![1; 201], true, 200), 1, "larger than all room");
    }

    #[test]
    fn what_is_no_video_has_a_bound_too_and_loses_the_newest() {
        let mut waiting = Waiting::default();
        let dropped: usize = (0..30).map(|number| waiting.push(vec![number; 10], false, 200)).sum();
        assert_eq!(dropped, 10);
        assert!(drained(&mut waiting, 10).into_iter().eq(0..20));
    }
}
