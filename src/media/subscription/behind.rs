//! A copy that is behind its track: its newest packets have their numbers, and wait until the path has room for them. Nothing is
//! stored for that but the first number that waits. The packets are those that the track keeps for whoever misses some.

use std::time::Instant;

use super::Subscription;
use super::sending::How;
use crate::media::codec::Kind;
use crate::media::packet::BatchPacket;
use crate::media::padding;
use crate::media::peer::sender::Sink;
use crate::media::retransmit::PacketCache;
use crate::media::track::Track;

/// Packets that wait for longer than until the next slice. What is beyond leaves then, however much that is: the track does not
/// keep its packets for ever.
const MOST: u64 = 768;

impl Subscription {
    /// Puts off a packet that has its number, if it has to wait: its frame is larger than the path carries at once, or packets
    /// before it wait.
    #[inline]
    pub(super) fn puts_off(
        &mut self,
        now: Instant,
        sequence: u64,
        arrival: &BatchPacket,
        len: usize,
        sink: &mut Sink<'_>,
    ) -> bool {
        if self.kind == Kind::Audio {
            return false;
        }
        let bytes = self.behind.measure(arrival.header.timestamp, len);
        if self.behind.first.is_none() && sink.sender.may_send(now, bytes) {
            return false;
        }
        self.waits(now, sequence, arrival, len, sink)
    }

    fn waits(&mut self, now: Instant, sequence: u64, arrival: &BatchPacket, len: usize, sink: &mut Sink<'_>) -> bool {
        // A late packet has its place before those that wait, or among them.
        let begins = self.behind.first.is_none() && !arrival.late;
        if len > PacketCache::PACKET_BYTES || !(begins || self.behind.holds(sequence)) {
            return false;
        }
        self.behind.first.get_or_insert(sequence);
        sink.sender.put_off(now, len);
        true
    }

    /// Gives up what waits: the copy goes on with the next key frame.
    pub(crate) fn give_up_waiting(&mut self) {
        self.given_up = self.rewriter.highest_sequence();
        self.begin_anew();
    }

    /// Whether a number was given up, or came before one that was: nobody needs it.
    pub(super) fn is_given_up(&self, sequence: u64) -> bool {
        self.given_up.wrapping_sub(sequence) <= u64::MAX / 2
    }

    /// Forgets what waits: nobody is to get it.
    pub(crate) fn forget_behind(&mut self) {
        self.behind.forget();
    }

    /// The newest number that does not wait.
    pub(super) fn newest_sent(&self) -> u64 {
        let before = self.behind.first.map(|first| first.wrapping_sub(1));
        before.unwrap_or(self.rewriter.highest_sequence())
    }

    /// Lets the packets wait that get their numbers from now on.
    pub(super) fn wait_from_here(&mut self) {
        self.behind.first = Some(self.rewriter.highest_sequence().wrapping_add(1));
    }

    /// Whether packets wait.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.first.is_some()
    }

    /// Sends what waits, as much as may be sent now. Returns the number of packets.
    pub(crate) fn catch_up(&mut self, now: Instant, track: &Track, sink: &mut Sink<'_>) -> u64 {
        let mut sent = 0;
        while let Some(first) = self.behind.first.filter(|first| self.may_go_on(now, *first, sink)) {
            let sizes = (first..=self.rewriter.highest_sequence()).map(|sequence| self.size(sequence, track));
            let (packets, longest) = padding::run(sizes);
            for sequence in first..first + packets {
                if !self.may_go_on(now, sequence, sink) {
                    return sent;
                }
                let is_last = sequence + 1 == first + packets;
                let size = self.size(sequence, track).unwrap_or(0);
                let padding = if is_last || !self.may_pad { 0 } else { longest - size };
                let is_newest = sequence >= self.rewriter.highest_sequence();
                self.behind.first = Some(sequence + 1).filter(|_| !is_newest);
                if is_newest {
                    self.replayed = self.replayed.map(|_| now);
                }
                sink.sender.left(size);
                let how = How::First { padding: padding as u8 };
                if let Some(payload_len) = self.send_kept(now, sequence as u16, track, sink, how) {
                    self.count(payload_len);
                    sent += 1;
                }
            }
        }
        sent
    }

    fn may_go_on(&self, now: Instant, first: u64, sink: &mut Sink<'_>) -> bool {
        let is_too_far = self.rewriter.highest_sequence().saturating_sub(first) >= MOST;
        !sink.egress.is_full() && (is_too_far || sink.sender.may_catch_up(now))
    }

    /// Bytes of a packet that waits. `None` if it is not there: it has not come, or is not kept any more.
    fn size(&self, sequence: u64, track: &Track) -> Option<usize> {
        let origin = self.rewriter.origin(sequence as u16)?;
        let layer = track.layers.iter().find(|layer| layer.source == origin.source)?;
        layer.kept(origin.sequence).map(<[u8]>::len)
    }
}
