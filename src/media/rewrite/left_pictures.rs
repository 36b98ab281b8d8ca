//! The pictures that were left out lately, wholly or in part, so that what comes of them late is left out, too.

/// Pictures that are remembered: those of a second, where each is left out in part, or three of four are wholly. A packet that comes
/// later than that has been given up by its subscriber.
const REMEMBERED: usize = 32;

/// The newest pictures of which packets were left out, by the timestamps of their sources. Layers begin their timestamps at random
/// numbers, so those of several sources do not meet.
#[derive(Debug, Default)]
pub(super) struct LeftPictures {
    timestamps: [u32; REMEMBERED],
    /// Spatial layers of each that were not left out: those below this one.
    kept: [u8; REMEMBERED],
    /// Number of pictures so far: the newest is at this place less one, modulo the table.
    count: usize,
    /// Newest place that was left out of the newest picture. 0 if there is none: no place is.
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

    /// Notes that a packet was left out, which is newer than all before: with its whole picture, unless that is known to be kept in
    /// part.
    pub(super) fn push(&mut self, timestamp: u32, place: u64) {
        if self.newest() != Some(timestamp) {
            self.begin(timestamp);
        }
        self.newest_place = place;
    }

    /// Notes that of a picture, which is the newest, so many spatial layers are kept.
    #[inline]
    pub(super) fn keep(&mut self, timestamp: u32, layers: u8) {
        if self.newest() != Some(timestamp) {
            self.begin(timestamp);
        }
        self.kept[(self.count - 1) % REMEMBERED] = layers;
    }

    fn begin(&mut self, timestamp: u32) {
        self.timestamps[self.count % REMEMBERED] = timestamp;
        self.kept[self.count % REMEMBERED] = 0;
        self.newest_place = 0;
        self.count += 1;
    }

    /// Number of spatial layers that were kept of a picture. `None` if nothing is known to have been left out of it.
    pub(super) fn kept(&self, timestamp: u32) -> Option<u8> {
        let known = &self.timestamps[..self.count.min(REMEMBERED)];
        let at = known.iter().position(|&known| known == timestamp)?;
        Some(self.kept[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_pictures_are_known_and_a_picture_goes_on_only_where_nothing_else_came() {
        let mut pictures = LeftPictures::default();
        assert!(pictures.kept(0).is_none() && !pictures.goes_on(0, 0));
        for at in 0..40 {
            pictures.push(at * 3_000, 100 + u64::from(at) * 2);
            pictures.push(at * 3_000, 101 + u64::from(at) * 2);
        }
        let known = (0..40).filter(|at| pictures.kept(at * 3_000) == Some(0));
        assert_eq!(known.collect::<Vec<u32>>(), (8..40).collect::<Vec<u32>>());
        assert!(pictures.goes_on(39 * 3_000, 179));
        assert!(!pictures.goes_on(39 * 3_000, 180), "another packet has come");
        assert!(!pictures.goes_on(38 * 3_000, 179), "another picture");
    }

    #[test]
    fn a_picture_that_is_kept_in_part_stays_so_whatever_is_left_out_of_it() {
        let mut pictures = LeftPictures::default();
        pictures.keep(7, 1);
        pictures.keep(7, 2);
        pictures.push(7, 100);
        assert_eq!(pictures.kept(7), Some(2));
        pictures.push(8, 101);
        assert_eq!((pictures.kept(7), pictures.kept(8)), (Some(2), Some(0)));
        pictures.keep(9, 1);
        assert!(
            !pictures.goes_on(9, 101),
            "what is missing since then may be of its lower layers"
        );
    }
}
