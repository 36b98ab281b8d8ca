//! The video that a subscriber could show: frames that are complete and follow one another, and the times when the
//! picture stood still. Pure. It knows no jitter buffer and no decoder: a frame is shown when its last packet has come.

use std::time::{Duration, Instant};

/// Packets that are remembered: three seconds of video at 2.5 Mb/s, in 8 KiB. A frame that is still incomplete after so
/// many newer packets is not completed any more, only replaced by a key frame.
const WINDOW: usize = 1_024;

/// The longest time between two frames that is no freeze. Browsers count a time as frozen that is 150 ms longer than the
/// mean, which is here 33 ms.
const FREEZE: Duration = Duration::from_millis(200);

/// A packet's place in its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Whether a key frame begins with it.
    pub(crate) begins_key_frame: bool,
    /// Whether a frame ends with it.
    pub(crate) ends_frame: bool,
}

/// The times in which a picture stood still, since the measurement began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Freezes {
    pub(crate) count: u64,
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

impl Freezes {
    /// Counts the time between two frames.
    fn passed(&mut self, between: Duration) {
        if between > FREEZE {
            self.count += 1;
            self.total += between;
            self.longest = self.longest.max(between);
        }
    }
}

pub(crate) struct Playback {
    /// The newest packets, by number modulo [`WINDOW`]: the number plus one, and the piece's two bits below. 0 for none.
    pieces: Box<[u64; WINDOW]>,
    /// The first packet that was not shown yet. `None` before the first key frame.
    next: Option<u64>,
    /// The first packet of the newest key frame.
    key_frame: Option<u64>,
    shown_at: Instant,
    freezes: Freezes,
    ended: bool,
}

impl Playback {
    pub(crate) fn new(now: Instant) -> Playback {
        Playback {
            pieces: Box::new([0; WINDOW]),
            next: None,
            key_frame: None,
            shown_at: now,
            freezes: Freezes::default(),
            ended: false,
        }
    }

    /// Takes in a packet by its extended sequence number, in whatever order.
    pub(crate) fn arrived(&mut self, now: Instant, number: u64, piece: Piece) {
        self.pieces[number as usize % WINDOW] =
            (number + 1) << 2 | u64::from(piece.begins_key_frame) << 1 | u64::from(piece.ends_frame);
        if piece.begins_key_frame && self.key_frame.is_none_or(|newest| newest < number) {
            self.key_frame = Some(number);
        }
        self.go_on(now);
        // A whole key frame makes up for all that is missing before it.
        let key_frame = self
            .key_frame
            .filter(|begin| self.next.is_none_or(|next| next < *begin));
        if let Some(end) = key_frame.and_then(|begin| self.end_of_frame(begin)) {
            self.next = Some(end + 1);
            self.shown(now);
            self.go_on(now);
        }
    }

    /// The number of the first packet that was not shown yet. `None` before the first key frame.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }

    /// Begins the measurement.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.freezes = Freezes::default();
        self.shown_at = now;
    }

    /// Ends the measurement: a picture that stands still has stood still until now.
    pub(crate) fn end(&mut self, now: Instant) {
        if !self.ended {
            self.freezes.passed(now.saturating_duration_since(self.shown_at));
            self.ended = true;
        }
    }

    pub(crate) fn freezes(&self) -> Freezes {
        self.freezes
    }

    /// Shows the frames that are complete and follow what was shown.
    fn go_on(&mut self, now: Instant) {
        while let Some(next) = self.next
            && let Some(piece) = self.piece(next)
        {
            self.next = Some(next + 1);
            if piece.ends_frame {
                self.shown(now);
            }
        }
    }

    fn shown(&mut self, now: Instant) {
        if !self.ended {
            self.freezes.passed(now.saturating_duration_since(self.shown_at));
            self.shown_at = self.shown_at.max(now);
        }
    }

    /// The last packet of a frame of which nothing is missing.
    fn end_of_frame(&self, begin: u64) -> Option<u64> {
        (begin..begin + WINDOW as u64)
            .map_while(|number| Some((number, self.piece(number)?)))
            .find(|(_, piece)| piece.ends_frame)
            .map(|(number, _)| number)
    }

    fn piece(&self, number: u64) -> Option<Piece> {
        let packed = self.pieces[number as usize % WINDOW];
        (packed >> 2 == number + 1).then_some(Piece {
            begins_key_frame: packed & 2 != 0,
            ends_frame: packed & 1 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    const MIDDLE: Piece = Piece {
        begins_key_frame: false,
        ends_frame: false,
    };
    const END: Piece = Piece {
        ends_frame: true,
        ..MIDDLE
    };
    const KEY: Piece = Piece {
        begins_key_frame: true,
        ..MIDDLE
    };

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    /// Frames of two packets, one each 33 ms, the first of them a key frame, from number 100 on. `arrival` says when a
    /// packet comes, in milliseconds, given its number from 0 and the time at which it is sent.
    fn play(frames: u64, arrival: impl Fn(u64, u64) -> Option<u64>) -> Playback {
        let mut packets = Vec::new();
        for number in 0..frames * 2 {
            let piece = match number {
                0 => KEY,
                odd if odd % 2 == 1 => END,
                _ => MIDDLE,
            };
            packets.extend(arrival(number, number / 2 * 33).map(|arrives| (arrives, number, piece)));
        }
        packets.sort_by_key(|(arrives, number, _)| (*arrives, *number));
        let mut playback = Playback::new(at(0));
        for (arrives, number, piece) in packets {
            playback.arrived(at(arrives), 100 + number, piece);
        }
        playback
    }

    fn freezes(playback: &Playback) -> (u64, u128) {
        (playback.freezes().count, playback.freezes().total.as_millis())
    }

    #[test]
    fn video_that_arrives_in_time_is_never_frozen() {
        let mut playback = play(100, |_, sent| Some(sent));
        playback.end(at(3_400));
        assert_eq!(playback.freezes(), Freezes::default());
        assert_eq!(playback.next(), Some(300));
    }

    #[test]
    fn a_repair_within_200_ms_is_no_freeze_and_a_later_one_is() {
        let late = |by: u64| move |number, sent| Some(if number == 21 { sent + by } else { sent });
        assert_eq!(freezes(&play(100, late(150))), (0, 0));
        // The picture stands still from the frame before, at 297 ms, to the repair.
        let playback = play(100, late(400));
        assert_eq!(freezes(&playback), (1, 433));
        assert_eq!(playback.freezes().longest, Duration::from_millis(433));
    }

    #[test]
    fn what_is_never_repaired_freezes_the_picture_until_a_key_frame_is_whole() {
        let mut playback = play(50, |number, sent| (number != 21).then_some(sent));
        assert_eq!(playback.next(), Some(121));
        playback.arrived(at(1_650), 200, KEY);
        playback.arrived(at(1_660), 202, END);
        assert_eq!(freezes(&playback), (0, 0), "its middle is missing");
        playback.arrived(at(1_670), 201, MIDDLE);
        assert_eq!(freezes(&playback), (1, 1_670 - 297));
        assert_eq!(playback.next(), Some(203));
        playback.arrived(at(1_703), 203, END);
        assert_eq!(freezes(&playback), (1, 1_670 - 297));
    }

    #[test]
    fn nothing_is_shown_before_the_first_key_frame() {
        let mut playback = Playback::new(at(0));
        playback.arrived(at(10), 100, END);
        assert_eq!(playback.next(), None);
        playback.arrived(
            at(500),
            101,
            Piece {
                ends_frame: true,
                ..KEY
            },
        );
        assert_eq!(playback.next(), Some(102));
        assert_eq!(freezes(&playback), (1, 500));
    }

    #[test]
    fn the_measurement_cuts_freezes_at_both_ends() {
        let mut playback = play(10, |_, sent| Some(sent));
        playback.begin(at(1_000));
        playback.arrived(at(1_400), 120, END);
        assert_eq!(freezes(&playback), (1, 400));
        playback.end(at(2_000));
        assert_eq!(freezes(&playback), (2, 1_000));
        playback.arrived(at(9_000), 121, END);
        playback.end(at(9_000));
        assert_eq!(freezes(&playback), (2, 1_000));
    }

    #[test]
    fn what_is_older_than_the_window_is_not_taken_for_what_came_later() {
        let mut playback = play(10, |number, sent| (number != 5).then_some(sent));
        let far = 105 + WINDOW as u64;
        playback.arrived(at(400), far, END);
        assert_eq!(playback.next(), Some(105));
        playback.arrived(
            at(401),
            far + 1,
            Piece {
                ends_frame: true,
                ..KEY
            },
        );
        assert_eq!(playback.next(), Some(far + 2));
    }
}
