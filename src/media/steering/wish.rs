//! What the viewers of a video want of it.

/// What the viewers of one video want of it together. It does not depend on what their paths carry: a layer that nobody was ever
/// sent could never prove that it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Height of the largest picture in which it is shown: 0 where nobody sees it, [`Wish::ANY`] where somebody wants the best.
    pub(crate) height: u16,
    /// Number of those who watch it.
    pub(crate) viewers: u32,
    /// Rate in bits per second that the path of every viewer leaves for pictures but the slowest quarter. [`Wish::UNKNOWN`] where nothing is
    /// known of so many paths.
    pub(crate) path: u64,
}

impl Wish {
    /// A height that no picture reaches.
    pub(crate) const ANY: u16 = u16::MAX;
    /// A rate that no path carries.
    pub(crate) const UNKNOWN: u64 = u64::MAX;
    /// Nobody watches.
    pub(crate) const NOTHING: Wish = Wish {
        height: 0,
        viewers: 0,
        path: Wish::UNKNOWN,
    };
    /// The wish of somebody who says nothing of it.
    pub(crate) const EVERYTHING: Wish = Wish {
        height: Wish::ANY,
        viewers: 1,
        path: Wish::UNKNOWN,
    };

    /// What several want together: viewers, or all viewers of a worker. Whoever comes together counts as often as there are
    /// viewers, each with the same path. `paths` is room for the paths of all, which is used again and again.
    pub(crate) fn of(wishes: impl Iterator<Item = Wish>, paths: &mut Vec<(u64, u32)>) -> Wish {
        paths.clear();
        let mut all = Wish::NOTHING;
        for wish in wishes.filter(|wish| wish.viewers > 0 && wish.height > 0) {
            all.height = all.height.max(wish.height);
            all.viewers = all.viewers.saturating_add(wish.viewers);
            paths.push((wish.path, wish.viewers));
        }
        paths.sort_unstable();
        let mut slower = Wish::left_behind(all.viewers);
        for &(path, viewers) in paths.iter() {
            if slower < viewers {
                all.path = path;
                break;
            }
            slower -= viewers;
        }
        all
    }

    /// Number of so many viewers whose paths do not count, because they are the slowest.
    pub(crate) fn left_behind(viewers: u32) -> u32 {
        viewers.saturating_sub(1) / 4
    }

    /// Whether the difference is worth a message: not what a target does from one report to the next.
    pub(crate) fn differs_from(&self, other: &Wish) -> bool {
        let is_far = self.path.abs_diff(other.path) > other.path / 20;
        (self.height, self.viewers) != (other.height, other.viewers) || is_far
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wishes: impl Iterator<Item = Wish>) -> Wish {
        Wish::of(wishes, &mut Vec::new())
    }

    fn viewer(height: u16, path: u64) -> Wish {
        Wish {
            height,
            viewers: 1,
            path,
        }
    }

    #[test]
    fn the_largest_picture_counts_and_all_viewers() {
        assert_eq!(of([].into_iter()), Wish::NOTHING);
        let wishes = [viewer(180, 900), viewer(720, 800), viewer(360, 700)];
        let all = of(wishes.into_iter());
        assert_eq!((all.height, all.viewers, all.path), (720, 3, 700));
        let all = of([all, Wish::EVERYTHING].into_iter());
        assert_eq!((all.height, all.viewers), (Wish::ANY, 4));
    }

    #[test]
    fn who_is_shown_nothing_is_no_viewer() {
        let all = of([viewer(0, 10), viewer(180, 500), Wish::NOTHING].into_iter());
        assert_eq!((all.height, all.viewers, all.path), (180, 1, 500));
    }

    #[test]
    fn the_slowest_quarter_does_not_hold_back_the_others() {
        let path = |paths: &[u64]| of(paths.iter().map(|&path| viewer(1, path))).path;
        assert_eq!(path(&[5]), 5);
        assert_eq!(path(&[9, 1]), 1, "of two, both count");
        assert_eq!(path(&[4, 3, 2, 1]), 1);
        assert_eq!(path(&[5, 4, 3, 2, 1]), 2);
        assert_eq!(
            path(&[Wish::UNKNOWN, Wish::UNKNOWN, 3, Wish::UNKNOWN, Wish::UNKNOWN]),
            Wish::UNKNOWN
        );
        let there = Wish {
            viewers: 10,
            ..viewer(1, 2_000)
        };
        assert_eq!(of([viewer(1, 300), there].into_iter()).path, 2_000);
        assert_eq!(
            of([viewer(1, 300), viewer(1, 310), viewer(1, 290), there].into_iter()).path,
            2_000
        );
        assert_eq!(of([viewer(1, 3_000), there].into_iter()).path, 2_000);
    }

    #[test]
    fn small_steps_of_a_target_are_no_news() {
        let before = viewer(180, 1_000);
        assert!(!viewer(180, 1_050).differs_from(&before));
        assert!(viewer(180, 1_051).differs_from(&before) && viewer(180, 949).differs_from(&before));
        assert!(viewer(181, 1_000).differs_from(&before));
        assert!(viewer(180, Wish::UNKNOWN).differs_from(&before) && before.differs_from(&viewer(180, Wish::UNKNOWN)));
        assert!(!viewer(180, Wish::UNKNOWN).differs_from(&viewer(180, Wish::UNKNOWN)));
    }
}
