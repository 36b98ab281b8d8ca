//! The inbox: assembles handshake messages from their fragments, within a bound.
//!
//! Fragments do not prove who sent them. So the newest wins: a fragment that contradicts a message replaces it, if the message is
//! not complete, or not used yet. The client's next repetition then repairs what a stranger broke. If neither were believed, one
//! forged fragment before each repetition would keep a client out for ever.

use super::records::{Fragment, message_header};

/// Bytes of one message. A certificate of a few kilobytes is the longest that clients send.
const MESSAGE_BYTES: usize = 16 * 1024;
/// Bytes of all waiting messages.
const TOTAL_BYTES: usize = 32 * 1024;
/// Messages that may wait: a flight has at most five.
const MESSAGES: u16 = 8;
/// Separate stretches of one message. Clients send fragments in order, so one or two are missing at most.
const STRETCHES: usize = 16;

/// The messages of one side that have begun to arrive.
#[derive(Default)]
pub(crate) struct Inbox {
    messages: Vec<HandshakeMessage>,
}

struct HandshakeMessage {
    number: u16,
    kind: u8,
    body: Vec<u8>,
    /// The stretches that have arrived, without overlaps.
    stretches: Vec<(usize, usize)>,
}

impl Inbox {
    /// Stores a fragment of message `first` or of one soon after it; drops any other.
    pub(crate) fn put(&mut self, first: u16, fragment: &Fragment<'_>) {
        let ahead = fragment.message.wrapping_sub(first);
        if ahead >= MESSAGES || fragment.length > MESSAGE_BYTES {
            return;
        }
        let same = |message: &HandshakeMessage| message.number == fragment.message;
        let agreeing = self
            .messages
            .iter_mut()
            .find(|message| same(message) && message.agrees_with(fragment));
        if let Some(message) = agreeing {
            message.add(fragment);
            return;
        }
        self.messages.retain(|message| !same(message));
        let held: usize = self.messages.iter().map(|message| message.body.len()).sum();
        if held + fragment.length > TOTAL_BYTES {
            self.messages.clear();
        }
        let mut message = HandshakeMessage {
            number: fragment.message,
            kind: fragment.kind,
            body: vec![0; fragment.length],
            stretches: Vec::new(),
        };
        message.add(fragment);
        self.messages.push(message);
    }

    /// Takes a whole flight: messages of these kinds, in this order, from number `first` on, once all are complete. Each has its
    /// header.
    pub fn take(&mut self, first: u16, kinds: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut taken = Vec::new();
        for (number, &kind) in (first..).zip(kinds) {
            let wanted =
                |message: &&HandshakeMessage| message.number == number && message.kind == kind && message.is_complete();
            taken.push(self.messages.iter().find(wanted)?.whole());
        }
        let end = first.saturating_add(kinds.len() as u16);
        self.messages.retain(|message| !(first..end).contains(&message.number));
        Some(taken)
    }
}

impl HandshakeMessage {
    fn agrees_with(&self, fragment: &Fragment<'_>) -> bool {
        if self.kind != fragment.kind || self.body.len() != fragment.length || self.stretches.len() >= STRETCHES {
            return false;
        }
        let (from, to) = (fragment.offset, fragment.offset + fragment.body.len());
        self.stretches.iter().all(|&(start, end)| {
            let (start, end) = (start.max(from), end.min(to));
            start >= end || self.body[start..end] == fragment.body[start - from..end - from]
        })
    }

    fn add(&mut self, fragment: &Fragment<'_>) {
        let (mut from, mut to) = (fragment.offset, fragment.offset + fragment.body.len());
        self.body[from..to].copy_from_slice(fragment.body);
        self.stretches.retain(|&(start, end)| {
            let touches = start <= to && from <= end;
            if touches {
                (from, to) = (from.min(start), to.max(end));
            }
            !touches
        });
        self.stretches.push((from, to));
    }

    fn is_complete(&self) -> bool {
        self.stretches == [(0, self.body.len())]
    }

    fn whole(&self) -> Vec<u8> {
        [&message_header(self.kind, self.number, self.body.len())[..], &self.body].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(message: u16, length: usize, offset: usize, body: &[u8]) -> Fragment<'_> {
        Fragment {
            kind: 1,
            message,
            length,
            offset,
            body,
        }
    }

    fn bodies(taken: Option<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
        let messages = taken.unwrap_or_default();
        messages.into_iter().map(|message| message[12..].to_vec()).collect()
    }

    #[test]
    fn fragments_in_any_order_and_twice_make_one_message() {
        let mut inbox = Inbox::default();
        for (offset, body) in [(4, &[4, 5][..]), (0, &[0, 1]), (1, &[1, 2]), (3, &[3, 4])] {
            assert_eq!(inbox.take(0, &[1]), None);
            inbox.put(0, &fragment(0, 6, offset, body));
        }
        assert_eq!(bodies(inbox.take(0, &[1])), [[0, 1, 2, 3, 4, 5]]);
        assert_eq!(inbox.take(0, &[1]), None);
    }

    #[test]
    fn the_newest_claim_wins_until_a_message_is_taken() {
        let mut inbox = Inbox::default();
        inbox.put(0, &fragment(0, 9_999, 0, &[7]));
        inbox.put(0, &fragment(0, 2, 0, &[7, 7]));
        inbox.put(0, &fragment(0, 2, 0, &[8, 8]));
        assert_eq!(bodies(inbox.take(0, &[1])), [[8, 8]]);
    }

    #[test]
    fn a_flight_is_taken_as_a_whole() {
        let mut inbox = Inbox::default();
        let last = Fragment {
            kind: 15,
            ..fragment(4, 1, 0, &[4])
        };
        inbox.put(2, &last);
        inbox.put(2, &fragment(2, 0, 0, &[]));
        assert_eq!(inbox.take(2, &[1, 1, 15]), None);
        inbox.put(2, &fragment(3, 1, 0, &[3]));
        assert_eq!(inbox.take(2, &[1, 15, 1]), None);
        assert_eq!(bodies(inbox.take(2, &[1, 1, 15])), [vec![], vec![3], vec![4]]);
        assert_eq!(inbox.take(2, &[1]), None);
    }

    #[test]
    fn what_is_claimed_takes_no_more_memory_than_the_bound() {
        let mut inbox = Inbox::default();
        for number in 0..2_000 {
            inbox.put(0, &fragment(number, MESSAGE_BYTES, usize::from(number), &[1]));
            inbox.put(0, &fragment(number, MESSAGE_BYTES + 1, 0, &[1]));
        }
        for offset in 0..1_000 {
            inbox.put(0, &fragment(0, MESSAGE_BYTES, offset * 2, &[1]));
        }
        let bytes: usize = inbox.messages.iter().map(|message| message.body.len()).sum();
        let stretches: usize = inbox.messages.iter().map(|message| message.stretches.len()).sum();
        assert!(bytes <= TOTAL_BYTES, "{bytes}");
        assert!(stretches <= STRETCHES * usize::from(MESSAGES), "{stretches} stretches");
    }
}
