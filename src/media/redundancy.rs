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

/// What a client's reports say about one copy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Redundancy {
    /// The share of packets that are lost, in 1/256.
    loss: f32,
    distance: u8,
}

impl Redundancy {
    /// Takes the loss in one report, in 1/256.
    pub fn reported(&mut self, lost_256: u8) {
        let lost = f32::from(lost_256);
        let weight = if lost > self.loss { WORSE } else { BETTER };
        self.loss += (lost - self.loss) * weight;
        let distance_from = |factor: f32| FROM_256.iter().filter(|&&from| self.loss >= from * factor).count();
        let (up, stays) = (distance_from(1.0), distance_from(DOWN_TO));
        self.distance = usize::from(self.distance).clamp(up, stays) as u8;
    }

    /// The share of packets that are lost, in 1/256.
    pub fn loss_256(&self) -> u8 {
        // The cast saturates; the value is in range anyway.
        self.loss as u8
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
        reports.into_iter().for_each(|lost| redundancy.reported(lost));
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
        assert_eq!(after(lossy.into_iter().chain([5, 26, 10])).distance(), 2);
        assert_eq!(after(lossy.into_iter().chain([0; 40])).distance(), 0);
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
