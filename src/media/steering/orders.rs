//! The orders that a client was sent, which name its encodings.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::INTERVAL;
use crate::ids::Feed;
use crate::media::layers::MAX_LAYERS;

/// Time within which a client is sent its first order, also where everything is wanted.
const FIRST_WITHIN: Duration = Duration::from_secs(9);

/// The encodings of one feed of a client, and whether each is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    /// Encodings by their names (rids); an encoding without a name has the empty one.
    pub layers: SmallVec<[(String, bool); MAX_LAYERS]>,
    /// Most bits per second of the highest of them. `None` if nothing bounds it, or the client reads estimates.
    pub bound: Option<u64>,
}

impl Order {
    /// Adds an encoding. One that several videos have is wanted if one of them is.
    pub(crate) fn add(&mut self, rid: &[u8], is_wanted: bool) {
        let rid = String::from_utf8_lossy(rid);
        if let Some((_, known)) = self.layers.iter_mut().find(|(known, _)| *known == rid) {
            *known |= is_wanted;
        } else if self.layers.len() < MAX_LAYERS {
            self.layers.push((rid.into_owned(), is_wanted));
        }
    }

    fn is_everything(&self) -> bool {
        self.bound.is_none() && self.layers.iter().all(|(_, is_wanted)| *is_wanted)
    }

    /// Whether it is the same but for small steps of the bound.
    fn resembles(&self, other: &Order) -> bool {
        let is_close = match (self.bound, other.bound) {
            (Some(bound), Some(other)) => bound.abs_diff(other) <= other / 10,
            (bound, other) => bound == other,
        };
        is_close && self.layers == other.layers
    }

    fn asks_for_more_than(&self, other: &Order) -> bool {
        self.layers.iter().any(|layer| layer.1 && !other.layers.contains(layer))
    }
}

/// The orders that a client was sent last.
#[derive(Debug)]
pub(crate) struct SentOrders {
    /// Time by which it is sent the first one.
    first_by: Instant,
    feeds: SmallVec<[(Feed, Instant, Order); 1]>,
}

impl SentOrders {
    pub(crate) fn new(now: Instant) -> SentOrders {
        SentOrders {
            first_by: now + FIRST_WITHIN,
            feeds: SmallVec::new(),
        }
    }

    /// Those of a client that is to be sent its orders again, because its encodings may be others.
    pub(crate) fn anew(now: Instant) -> SentOrders {
        SentOrders {
            first_by: now,
            feeds: SmallVec::new(),
        }
    }

    /// Whether to send this now. More is asked for at once, less once a second at most.
    pub(crate) fn is_news(&mut self, now: Instant, feed: Feed, order: &Order) -> bool {
        if order.layers.is_empty() {
            return false;
        }
        let Some((_, at, known)) = self.feeds.iter_mut().find(|(known, ..)| *known == feed) else {
            let is_due = now >= self.first_by || !order.is_everything();
            if is_due {
                self.feeds.push((feed, now, order.clone()));
            }
            return is_due;
        };
        let is_due = order.asks_for_more_than(known) || now.saturating_duration_since(*at) >= INTERVAL;
        if !is_due || order.resembles(known) {
            return false;
        }
        (*at, *known) = (now, order.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn order(layers: &[(&str, bool)], bound: Option<u64>) -> Order {
        let mut order = Order::default();
        layers
            .iter()
            .for_each(|(rid, is_wanted)| order.add(rid.as_bytes(), *is_wanted));
        order.bound = bound;
        order
    }

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    #[test]
    fn the_first_word_comes_within_ten_seconds_and_at_once_if_something_is_not_wanted() {
        let all = order(&[("q", true), ("f", true)], None);
        let mut sent = SentOrders::new(at(0));
        let first = (0..20_000)
            .step_by(1_000)
            .find(|&millis| sent.is_news(at(millis), Feed::Camera, &all));
        assert_eq!(first, Some(9_000));
        assert!(!sent.is_news(at(60_000), Feed::Camera, &all), "nothing is new");
        let less = order(&[("q", true), ("f", false)], None);
        assert!(SentOrders::new(at(0)).is_news(at(0), Feed::Camera, &less));
        assert!(SentOrders::anew(at(0)).is_news(at(0), Feed::Camera, &all));
        assert!(
            !SentOrders::anew(at(0)).is_news(at(0), Feed::Camera, &Order::default()),
            "no encodings"
        );
    }

    #[test]
    fn more_is_asked_for_at_once_and_less_once_a_second_for_each_feed() {
        let (low, high) = (
            order(&[("q", true), ("f", false)], None),
            order(&[("q", true), ("f", true)], None),
        );
        let mut sent = SentOrders::new(at(0));
        assert!(sent.is_news(at(0), Feed::Camera, &low));
        assert!(sent.is_news(at(10), Feed::Camera, &high));
        assert!(!sent.is_news(at(500), Feed::Camera, &low));
        assert!(sent.is_news(at(500), Feed::Screen, &low), "another feed");
        assert!(sent.is_news(at(1_010), Feed::Camera, &low));
        let flapping = (2_000..12_000)
            .step_by(100)
            .filter(|&millis| sent.is_news(at(millis), Feed::Camera, if millis % 200 == 0 { &low } else { &high }));
        assert!(flapping.count() <= 21);
    }

    #[test]
    fn small_steps_of_a_bound_are_no_news() {
        let bound = |bps| order(&[("", true)], bps);
        let mut sent = SentOrders::new(at(0));
        assert!(sent.is_news(at(0), Feed::Camera, &bound(Some(1_000))));
        assert!(!sent.is_news(at(2_000), Feed::Camera, &bound(Some(1_100))));
        assert!(sent.is_news(at(2_000), Feed::Camera, &bound(Some(1_101))));
        assert!(sent.is_news(at(4_000), Feed::Camera, &bound(None)));
    }

    #[test]
    fn a_name_that_two_videos_have_is_wanted_if_one_of_them_is() {
        let mut order = order(&[("q", false), ("q", true), ("f", false)], None);
        assert_eq!(
            order.layers.as_slice(),
            [("q".to_owned(), true), ("f".to_owned(), false)]
        );
        (0..100).for_each(|at: u32| order.add(at.to_string().as_bytes(), true));
        assert_eq!(order.layers.len(), MAX_LAYERS);
    }
}
