//! The pictures that were left out lately, so that what comes of them late is left out, too.

/// Pictures that are remembered: those of a second, where three of four are left out. A packet that comes later than that has been
/// given up by its subscriber.
const REMEMBERED: usize = 32;

/// The newest pictures of which packets were left out, by the timestamps of their sources. Layers begin their timestamps at random
/// numbers, so those of several sources do not meet.
#[derive(Debug, Default)]
pub(super) struct LeftPictures {
    timestamps: [u32; REMEMBERED],
    /// Number of pictures so far: the newest is at this place less one, modulo the table.
    count: usize,
    /// Newest place that was left out.
    newest_place: u64,
}

impl LeftPictures {
    fn newest(&self) -> Option<u32> {
        let newest = self.count.checked_sub(1)?;
        Some(self.timestamps[newest % REMEMBERED])
    }

    /// Whether a packet with this timestamp goes on with the picture that was left out last, if `newest` is the newest place of the
    /// copy: then nothing else has come meanwhile.
    pub(super) fn goes_on(&self, timestamp: u32, newest: u64) -> bool {
        self.newest() == Some(timestamp) && self.newest_place == newest
    }

    /// Notes that a packet was left out, which is newer than all before.
    pub(super) fn push(&mut self, timestamp: u32, place: u64) {
        if self.newest() != Some(timestamp) {
            self.timestamps[self.count % REMEMBERED] = timestamp;
            self.count += 1;
        }
        self.newest_place = place;
    }

    pub(super) fn contains(&self, timestamp: u32) -> bool {
        self.timestamps[..self.count.min(REMEMBERED)].contains(&timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_pictures_are_known_and_a_picture_goes_on_only_where_nothing_else_came() {
        let mut pictures = LeftPictures::default();
        assert!(!pictures.contains(0) && !pictures.goes_on(0, 0));
        for at in 0..40 {
            pictures.push(at * 3_000, 100 + u64::from(at) * 2);
            pictures.push(at * 3_000, 101 + u64::from(at) * 2);
        }
        let known = (0..40).filter(|at| pictures.contains(at * 3_000));
        assert_eq!(known.collect::<Vec<u32>>(), (8..40).collect::<Vec<u32>>());
        assert!(pictures.goes_on(39 * 3_000, 179));
        assert!(!pictures.goes_on(39 * 3_000, 180), "another packet has come");
        assert!(!pictures.goes_on(38 * 3_000, 179), "another picture");
    }
}
