//! What was heard of each incoming SSRC, so that nothing is heard twice (RFC 3711 §3.3.2).

use smallvec::SmallVec;

/// A connection has at most this many incoming SSRCs of each of RTP and RTCP: three simulcast layers with RTX are six a
/// section, and a client has few sections. The one that has been silent longest makes room for the next. None goes
/// earlier: a stream that comes back after a hold goes on with its roll-over counter (RFC 3711 §3.3.1), and what was
/// heard before must not be heard again.
pub(super) const MAX_STREAMS: usize = 64;

pub(super) struct Stream {
    pub ssrc: u32,
    /// Index of the newest authentic packet: extended sequence number, or SRTCP index.
    pub highest: u64,
    pub window: ReplayWindow,
    /// How many authentic packets there had been with its last one.
    last: u64,
}

/// Takes note of an authentic packet, the first or another of its SSRC.
pub(super) fn note(streams: &mut SmallVec<[Stream; 4]>, known: Option<usize>, ssrc: u32, index: u64, opened: u64) {
    if let Some(stream) = known.and_then(|at| streams.get_mut(at)) {
        stream.window.mark(&mut stream.highest, index);
        stream.last = opened;
        return;
    }
    if streams.len() >= MAX_STREAMS
        && let Some((longest_silent, _)) = streams.iter().enumerate().min_by_key(|(_, stream)| stream.last)
    {
        streams.swap_remove(longest_silent);
    }
    streams.push(Stream {
        ssrc,
        highest: index,
        window: ReplayWindow::first(),
        last: opened,
    });
}

/// Which of the last [`ReplayWindow::SIZE`] indices have been seen, relative to the highest.
pub(super) struct ReplayWindow {
    bits: [u64; 8],
}

impl ReplayWindow {
    /// RFC 3711 §3.3.2 asks for at least 64; a packet sent again over a slow link arrives hundreds of packets late.
    const SIZE: u64 = 512;

    /// One packet has been seen: the highest itself.
    pub fn first() -> ReplayWindow {
        let mut bits = [0; 8];
        bits[0] = 1;
        ReplayWindow { bits }
    }

    pub fn is_fresh(&self, highest: u64, index: u64) -> bool {
        match highest.checked_sub(index) {
            None => true,
            Some(age) if age >= Self::SIZE => false,
            Some(age) => self.bits[(age / 64) as usize] & (1 << (age % 64)) == 0,
        }
    }

    pub fn mark(&mut self, highest: &mut u64, index: u64) {
        if index > *highest {
            self.shift(index - *highest);
            *highest = index;
        }
        let age = *highest - index;
        self.bits[(age / 64) as usize] |= 1 << (age % 64);
    }

    fn shift(&mut self, by: u64) {
        if by >= Self::SIZE {
            self.bits = [0; 8];
            return;
        }
        let (words, bits) = ((by / 64) as usize, by % 64);
        for at in (0..8_usize).rev() {
            let high = at.checked_sub(words).map_or(0, |from| self.bits[from] << bits);
            let low = match at.checked_sub(words + 1) {
                Some(from) if bits > 0 => self.bits[from] >> (64 - bits),
                _ => 0,
            };
            self.bits[at] = high | low;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replay_window_shifts_across_words() {
        let mut window = ReplayWindow::first();
        let mut highest = 1_000;
        for step in [1, 63, 64, 65, 130, 200] {
            let before = highest;
            window.mark(&mut highest, before + step);
            assert!(!window.is_fresh(highest, before), "step {step}");
            assert!(window.is_fresh(highest, before + step - 1) || step == 1);
        }
    }
}
