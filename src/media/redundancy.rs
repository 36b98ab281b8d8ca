//! How much of the sound before it each packet of a copy repeats (RED, RFC 2198), by the loss that its client reports. Pure.
//!
//! With a distance of *d*, a piece of sound is missing only if *d* + 1 packets in a row are lost: at 10 % loss one piece in a
//! hundred with a distance of 1, and one in a thousand with 2. Each step costs the rate of the sound once more.

/// Packets before it that a packet repeats at most.
pub(crate) const DISTANCE_MAX: usize = 3;

/// The shares of lost packets, in 1/256, from which on a packet repeats one, two and three before it. At each, the distance
/// before lets through about half a percent.
const FROM_256: [f32; DISTANCE_MAX] = [2.5, 12.0, 36.0];
/// The part of its threshold down to which a distance stays. Reports are about some fifty packets, so they differ by a few
/// percent from one to the next.
const DOWN_TO: f32 = 0.5;
/// The weights of a report that is worse than those before it, and of one that is better.
const WORSE: f32 = 0.5;
const BETTER: f32 = 0.125;

/// What is known of the losses of one copy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Redundancy {
    /// The share of its packets that are lost, in 1/256, as the client reports it. Of sound it does so every five seconds or so.
    reported: f32,
    /// What all packets of its path lose, in 1/256. That is known sooner, and in rooms where there is video.
    path_256: u8,
    distance: u8,
}

impl Redundancy {
    /// Takes the loss in one report, in 1/256, where each packet was sent `times` times: one is missed if all of them are lost.
    pub fn reported(&mut self, lost_256: u8, times: usize) {
        let missed = f32::from(lost_256) / 256.0;
        let lost = missed.powf(1.0 / times.max(1) as f32) * 256.0;
        let weight = if lost > self.reported { WORSE } else { BETTER };
        self.reported += (lost - self.reported) * weight;
        self.settle();
    }

    /// Takes what the path loses, in 1/256: 0 where that is not known.
    pub fn path(&mut self, lost_256: u8) {
        self.path_256 = lost_256;
        self.settle();
    }

    fn settle(&mut self) {
        let lost = self.loss();
        let distance_from = |factor: f32| FROM_256.iter().filter(|&&from| lost >= from * factor).count();
        let (up, stays) = (distance_from(1.0), distance_from(DOWN_TO));
        self.distance = usize::from(self.distance).clamp(up, stays) as u8;
    }

    fn loss(&self) -> f32 {
        self.reported.max(f32::from(self.path_256))
    }

    /// The share of packets that are lost, in 1/256.
    pub fn loss_256(&self) -> u8 {
        // The cast saturates; the value is in range anyway.
        self.loss() as u8
    }

    /// The number of packets that each packet should repeat.
    pub fn distance(&self) -> usize {
        usize::from(self.distance)
    }
}

/// The distance up to `wanted` with which sound that takes `sound` once is no more than the `target`.
pub(crate) fn affordable(wanted: usize, sound: u64, target: u64) -> usize {
    let takes = |distance: usize| sound.saturating_mul(1 + distance as u64);
    (1..=wanted)
        .rev()
        .find(|&distance| takes(distance) <= target)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: impl IntoIterator<Item = u8>) -> Redundancy {
        let mut redundancy = Redundancy::default();
        reports.into_iter().for_each(|lost| redundancy.reported(lost, 1));
        redundancy
    }

    #[test]
    fn nothing_is_repeated_while_nothing_is_lost() {
        assert_eq!(after([]).distance(), 0);
        assert_eq!(after([0; 50]).distance(), 0);
        assert_eq!(after([1; 50]).distance(), 0, "0.4 %");
    }

    #[test]
    fn the_more_is_lost_the_more_is_repeated() {
        let distances = [5, 13, 26, 51, 255].map(|lost| after([lost; 10]).distance());
        assert_eq!(distances, [1, 2, 2, 3, 3], "2, 5, 10, 20 and 100 %");
    }

    #[test]
    fn the_first_report_of_loss_counts() {
        assert_eq!(after([26]).distance(), 2);
    }

    #[test]
    fn a_report_that_is_better_by_chance_changes_nothing_and_many_do() {
        let lossy = [26, 26, 26, 26];
        assert_eq!(after(lossy.into_iter().chain([0, 0, 0])).distance(), 2);
        assert_eq!(after(lossy.into_iter().chain([0; 40])).distance(), 0);
    }

    #[test]
    fn what_the_path_loses_counts_before_any_report_and_until_it_is_better() {
        let mut redundancy = Redundancy::default();
        redundancy.path(26);
        assert_eq!((redundancy.distance(), redundancy.loss_256()), (2, 26));
        redundancy.reported(0, 1);
        assert_eq!(redundancy.distance(), 2);
        redundancy.path(7);
        assert_eq!(redundancy.distance(), 2, "not yet half as much");
        redundancy.path(0);
        assert_eq!(redundancy.distance(), 0);
    }

    #[test]
    fn a_packet_that_was_sent_several_times_is_seldom_missed_where_many_are_lost() {
        for (times, missed) in [(2, 3), (3, 1), (4, 1)] {
            let mut redundancy = Redundancy::default();
            (0..20).for_each(|_| redundancy.reported(missed, times));
            assert!((20..=64).contains(&redundancy.loss_256()), "{times}: {redundancy:?}");
        }
    }

    #[test]
    fn sound_takes_no_more_than_what_the_path_carries() {
        assert_eq!(affordable(3, 60_000, 240_000), 3);
        assert_eq!(affordable(3, 60_000, 239_000), 2);
        assert_eq!(affordable(3, 60_000, 119_000), 0);
        assert_eq!(affordable(0, 60_000, u64::MAX), 0);
        assert_eq!(affordable(3, u64::MAX, 1 << 40), 0);
    }
}
