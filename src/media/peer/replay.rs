//! The packets seen of each incoming SSRC, so that none is accepted twice (RFC 3711 §3.3.2).

use smallvec::SmallVec;

/// SSRCs without a track that are remembered all the same: probes, SSRCs under which a client only sends reports, streams of
/// sections that have ended. A client has one or two at a time. The one silent for longest is removed for the next.
const MAX_UNBOUND: usize = 16;

/// The incoming SSRCs of a connection, of RTP or of RTCP.
///
/// SSRCs that are bound to a track are kept as long as that lasts: a stream that comes back after a hold goes on with its
/// roll-over counter (RFC 3711 §3.3.1), and its earlier packets must not be accepted again. The tracks bound their number.
/// All others share a few places, so they can neither grow nor push out the bound ones.
#[derive(Default)]
pub(super) struct Streams {
    streams: SmallVec<[ReplayState; 4]>,
    /// Counter of the streams' events.
    events: u64,
}

struct ReplayState {
    ssrc: u32,
    bound: bool,
    /// Index of the newest authentic packet: extended sequence number, or SRTCP index.
    highest: u64,
    window: ReplayWindow,
    /// [`Streams::events`] when a packet last came, or the stream was bound or lost its track.
    last: u64,
}

impl Streams {
    /// The index of an SSRC's stream in this list, valid until the next call of `note` or `set_bound`.
    pub fn position(&self, ssrc: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ssrc == ssrc)
    }

    /// The index of the newest packet of the stream at `at`.
    pub fn highest(&self, at: usize) -> u64 {
        self.streams[at].highest
    }

    /// Whether a packet with this index is new at `at`: not seen, and not too old for the window.
    pub(crate) fn is_fresh(&self, at: usize, index: u64) -> bool {
        let stream = &self.streams[at];
        stream.window.is_fresh(stream.highest, index)
    }

    /// Records an authentic packet: a further one of the stream at `known`, or the first one of its SSRC.
    pub fn note(&mut self, known: Option<usize>, ssrc: u32, index: u64, bound: &[u32]) {
        self.events += 1;
        if let Some(stream) = known.and_then(|at| self.streams.get_mut(at)) {
            stream.window.mark(&mut stream.highest, index);
            stream.last = self.events;
            return;
        }
        self.streams.push(ReplayState {
            ssrc,
            bound: bound.contains(&ssrc),
            highest: index,
            window: ReplayWindow::first(index),
            last: self.events,
        });
        self.limit();
    }

    /// Sets whether the stream of an SSRC carries a track from now on.
    pub(crate) fn set_bound(&mut self, ssrc: u32, bound: bool) {
        if let Some(at) = self.position(ssrc) {
            // A stream that loses its track is not removed first.
            self.events += 1;
            let stream = &mut self.streams[at];
            (stream.bound, stream.last) = (bound, self.events);
            self.limit();
        }
    }

    fn limit(&mut self) {
        let unbound = || self.streams.iter().enumerate().filter(|(_, stream)| !stream.bound);
        if unbound().count() > MAX_UNBOUND
            && let Some((longest_silent, _)) = unbound().min_by_key(|(_, stream)| stream.last)
        {
            self.streams.swap_remove(longest_silent);
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.streams.len()
    }
}

/// The last [`ReplayWindow::SIZE`] indices up to the highest, as bits by index modulo their count: which ones have been seen.
struct ReplayWindow {
    bits: [u64; 8],
}

impl ReplayWindow {
    /// RFC 3711 §3.3.2 asks for at least 64. A packet sent again over a slow link arrives hundreds of packets late.
    const SIZE: u64 = 512;

    /// A window in which one packet has been seen: the highest itself.
    fn first(highest: u64) -> ReplayWindow {
        let mut window = ReplayWindow { bits: [0; 8] };
        window.set(highest);
        window
    }

    fn is_fresh(&self, highest: u64, index: u64) -> bool {
        match highest.checked_sub(index) {
            None => true,
            Some(age) if age >= Self::SIZE => false,
            Some(_) => self.bits[word(index)] & bit(index) == 0,
        }
    }

    fn mark(&mut self, highest: &mut u64, index: u64) {
        if index > *highest {
            self.advance(*highest, index);
            *highest = index;
        }
        self.set(index);
    }

    fn set(&mut self, index: u64) {
        self.bits[word(index)] |= bit(index);
    }

    /// Of the indices that come in between nothing has been seen yet.
    fn advance(&mut self, highest: u64, index: u64) {
        if index - highest >= Self::SIZE {
            self.bits = [0; 8];
            return;
        }
        for skipped in highest + 1..=index {
            self.bits[word(skipped)] &= !bit(skipped);
        }
    }
}

fn word(index: u64) -> usize {
    (index % ReplayWindow::SIZE / 64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a packet of `ssrc` to [`super::super::srtp::Inbound`]. Returns whether it is accepted.
    fn hear(streams: &mut Streams, ssrc: u32, index: u64, bound: &[u32]) -> bool {
        let known = streams.position(ssrc);
        if known.is_some_and(|at| !streams.is_fresh(at, index)) {
            return false;
        }
        streams.note(known, ssrc, index, bound);
        true
    }

    #[test]
    fn streams_without_a_track_push_out_none_that_has_one() {
        let mut streams = Streams::default();
        let bound: Vec<u32> = (0..100).collect();
        for ssrc in 0..100 {
            assert!(hear(&mut streams, ssrc, 7, &bound));
        }
        for ssrc in 1_000..3_000 {
            assert!(hear(&mut streams, ssrc, 7, &bound));
            assert!(!hear(&mut streams, ssrc, 7, &bound), "the newest is remembered");
        }
        for ssrc in 0..100 {
            assert!(!hear(&mut streams, ssrc, 7, &bound), "a replay of {ssrc}");
        }
        assert_eq!(streams.len(), 100 + MAX_UNBOUND);
    }

    #[test]
    fn among_streams_without_a_track_the_longest_silent_makes_room() {
        let mut streams = Streams::default();
        assert!(hear(&mut streams, 1, 1, &[]));
        for at in 0..1_000 {
            assert!(hear(&mut streams, 1_000 + at, 1, &[]));
            assert!(hear(&mut streams, 1, 2 + u64::from(at), &[]), "one that goes on stays");
        }
        assert!(!hear(&mut streams, 1, 900, &[]));
        assert_eq!(streams.len(), MAX_UNBOUND);
    }

    #[test]
    fn a_stream_that_loses_its_track_is_one_of_those_without() {
        let mut streams = Streams::default();
        for ssrc in 0..100 {
            hear(&mut streams, ssrc, 7, &[]);
            streams.set_bound(ssrc, true);
        }
        assert_eq!(streams.len(), 100);
        (0..100).for_each(|ssrc| streams.set_bound(ssrc, false));
        assert_eq!(streams.len(), MAX_UNBOUND);
        assert!(!hear(&mut streams, 99, 7, &[]), "not forgotten at once");
    }

    proptest::proptest! {
        #[test]
        fn the_window_says_what_a_list_of_all_that_was_heard_says(
            first in 0u64..2_000,
            steps in proptest::collection::vec((-600i64..600, 0u64..4), 1..400),
        ) {
            let (mut window, mut highest) = (ReplayWindow::first(first), first);
            let mut heard = std::collections::BTreeSet::from([first]);
            for (step, scale) in steps {
                let index = highest.saturating_add_signed(step >> (scale * 3));
                let is_known = heard.contains(&index) || highest.saturating_sub(index) >= ReplayWindow::SIZE;
                proptest::prop_assert_eq!(window.is_fresh(highest, index), !is_known);
                if !is_known {
                    window.mark(&mut highest, index);
                    heard.insert(index);
                }
            }
        }
    }

    #[test]
    fn the_replay_window_shifts_across_words() {
        let mut window = ReplayWindow::first(1_000);
        let mut highest = 1_000;
        for step in [1, 63, 64, 65, 130, 200] {
            let before = highest;
            window.mark(&mut highest, before + step);
            assert!(!window.is_fresh(highest, before), "step {step}");
            assert!(window.is_fresh(highest, before + step - 1) || step == 1);
        }
    }
}
