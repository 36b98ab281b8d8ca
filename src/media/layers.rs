//! The choice of a simulcast layer for a subscription: the highest active one of those that it may have. A [`LayerSet`] holds these:
//! today the layers that its client decodes (each may have a codec of its own), and later, where bandwidth is divided, only those of
//! them that fit.

use std::time::{Duration, Instant};

/// Simulcast layers of one track, and of the section that it comes up in, at most. Browsers send three.
pub(crate) const MAX_LAYERS: usize = 4;

/// The state of one layer of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerState {
    /// Received bits per second, smoothed: the order of quality where nothing else shows it.
    pub(crate) bitrate_bps: u64,
    pub(crate) last_packet: Option<Instant>,
}

/// Some of a track's layers, as bits by their index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSet(u8);

impl LayerSet {
    pub(crate) const ALL: LayerSet = LayerSet(u8::MAX);

    pub fn contains(self, layer: usize) -> bool {
        layer < 8 && self.0 & (1 << layer) != 0
    }
}

/// The set from one flag for each layer, the first layer first.
impl FromIterator<bool> for LayerSet {
    fn from_iter<I: IntoIterator<Item = bool>>(layers: I) -> LayerSet {
        let bits = layers.into_iter().take(8).enumerate();
        LayerSet(bits.fold(0, |set, (layer, is_in)| set | u8::from(is_in) << layer))
    }
}

impl LayerState {
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        self.last_packet
            .is_some_and(|last| now.saturating_duration_since(last) < INACTIVE_AFTER)
    }
}

/// Time without a packet after which a layer counts as off. A sender's slowest screen share still sends more often, and a viewer
/// waits for a picture no longer than this plus a key frame.
pub(crate) const INACTIVE_AFTER: Duration = Duration::from_millis(800);

/// The length of a window: several frames of a slow stream, so that one large frame does not make the rate jump; and short enough
/// that a new layer is seen within a second.
const RATE_WINDOW: Duration = Duration::from_millis(500);

/// Windows without a packet after which a stream has no rate.
const RATE_WINDOWS_KEPT: u32 = 4;

/// Windows whose rates are remembered: those of three seconds. So a rate counts until the next one of its kind is likely to have
/// come, as that of a key frame or of a page that is scrolled.
const RECENT_WINDOWS: usize = 6;

/// Measures a stream's bit rate in windows.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    window: Option<Window>,
    /// The average of the ended windows, each counting half as much as the next.
    smoothed_bps: Option<u64>,
    /// Rates of the windows that ended last, the newest first.
    ended: [u64; RECENT_WINDOWS],
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    /// A window after the start: the time with which each packet's is compared.
    ends: Instant,
    bytes: u64,
}

impl Window {
    fn starting(now: Instant) -> Window {
        Window {
            start: now,
            ends: now + RATE_WINDOW,
            bytes: 0,
        }
    }

    /// The rate of this window. A window that has not ended counts as a whole one: the first packets of a stream would give any rate.
    fn bps(&self, now: Instant) -> u64 {
        let lasted = now.saturating_duration_since(self.start).max(RATE_WINDOW);
        // No stream overflows this: at most 2^64 / 8,000 bytes in half a second.
        self.bytes * 8_000 / lasted.as_millis() as u64
    }
}

impl RateMeter {
    /// The meter of a stream that was measured elsewhere until `now`.
    pub(crate) fn going_on(now: Instant, bps: u64) -> RateMeter {
        RateMeter {
            window: Some(Window::starting(now)),
            smoothed_bps: Some(bps),
            ended: [bps; RECENT_WINDOWS],
        }
    }

    pub fn received(&mut self, now: Instant, bytes: usize) {
        let window = self.window.get_or_insert_with(|| Window::starting(now));
        if now >= window.ends {
            let lasted = now.saturating_duration_since(window.start);
            let ended = window.bps(now);
            if lasted >= RATE_WINDOW * RATE_WINDOWS_KEPT {
                self.ended = [0; RECENT_WINDOWS];
            } else {
                self.ended.rotate_right(1);
                self.ended[0] = ended;
            }
            self.smoothed_bps = match self.smoothed_bps {
                Some(before) if lasted < RATE_WINDOW * RATE_WINDOWS_KEPT => Some((before + ended) / 2),
                // After a pause the measurement starts anew.
                _ => (lasted < RATE_WINDOW * RATE_WINDOWS_KEPT).then_some(ended),
            };
            *window = Window::starting(now);
        }
        window.bytes += bytes as u64;
    }

    pub(crate) fn bps(&self, now: Instant) -> u64 {
        let Some(window) = self.window else {
            return 0;
        };
        let lasted = now.saturating_duration_since(window.start);
        match self.smoothed_bps {
            _ if lasted >= RATE_WINDOW * RATE_WINDOWS_KEPT => 0,
            Some(smoothed) if lasted < RATE_WINDOW => smoothed,
            // The window should have ended, so the stream slows down, or has stopped.
            Some(smoothed) => smoothed.min(window.bps(now)),
            None => window.bps(now),
        }
    }
}

impl RateMeter {
    /// The most that came within a second of the last three: what the stream will need sooner or later.
    pub(crate) fn peak_bps(&self, now: Instant) -> u64 {
        let smoothed = self.bps(now);
        let seconds = self.ended.windows(2).map(|pair| (pair[0] + pair[1]) / 2);
        match smoothed {
            0 => 0,
            _ => seconds.max().unwrap_or(0).max(smoothed),
        }
    }
}

/// A bit rate by which another active layer must be higher before a subscription changes to it; it must also be higher by a quarter.
/// The layers of a still picture come close to one another; those of a moving one differ by twice and more.
const BETTER_BY_BPS: u64 = 30_000;

/// The index of the layer to aim for, of those that the subscription may have. `current` is the one now forwarded. `None` when none
/// of them is active. A small difference in bit rate causes no change (no flapping).
pub fn target(layers: &[LayerState], may_have: LayerSet, current: Option<usize>, now: Instant) -> Option<usize> {
    let is_active = |(index, layer): &(usize, &LayerState)| may_have.contains(*index) && layer.is_active(now);
    let active = layers.iter().enumerate().filter(is_active);
    // Of equal layers the first is taken, so that the choice does not depend on who asks.
    let (best, highest) = active.clone().rev().max_by_key(|(_, layer)| layer.bitrate_bps)?;
    let mut active = active;
    let Some((present, layer)) = active.find(|(index, _)| Some(*index) == current) else {
        return Some(best);
    };
    let needed =
        (layer.bitrate_bps.saturating_add(layer.bitrate_bps / 4)).max(layer.bitrate_bps.saturating_add(BETTER_BY_BPS));
    Some(if highest.bitrate_bps > needed { best } else { present })
}

/// The index of the layer to wait at when [`target`] finds none, as for a screen share of a still picture, which sends nothing for a
/// long time. It is the present layer if the subscription may have it; otherwise that layer of those it may have that sent last. If
/// the subscription may have none, it is the present layer, or else the one that sent last of all. `None` without layers.
pub(crate) fn waiting_place(layers: &[LayerState], may_have: LayerSet, current: Option<usize>) -> Option<usize> {
    let last = |wanted: bool| {
        let sent = layers
            .iter()
            .enumerate()
            .filter(move |(index, _)| may_have.contains(*index) == wanted);
        sent.max_by_key(|(_, layer)| layer.last_packet).map(|(index, _)| index)
    };
    let present = current.filter(|&index| index < layers.len() && may_have.contains(index));
    present.or_else(|| last(true)).or(current).or_else(|| last(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    fn at(millis: u64) -> Instant {
        epoch() + Duration::from_millis(millis)
    }

    /// Sends packets of one size, some milliseconds apart.
    fn send(meter: &mut RateMeter, millis: std::ops::Range<u64>, every: usize, bytes: usize) {
        millis
            .step_by(every)
            .for_each(|millis| meter.received(at(millis), bytes));
    }

    #[test]
    fn a_steady_stream_is_measured_within_a_few_percent() {
        let mut meter = RateMeter::default();
        assert_eq!(meter.bps(at(0)), 0);
        send(&mut meter, 0..3_000, 10, 1_250);
        for millis in (3_000..4_000).step_by(10) {
            meter.received(at(millis), 1_250);
            let bps = meter.bps(at(millis + 9));
            assert!((970_000..1_030_000).contains(&bps), "{bps} after {millis} ms");
        }
    }

    #[test]
    fn a_stream_has_a_rate_before_its_first_window_ends_but_never_too_much() {
        let mut meter = RateMeter::default();
        meter.received(at(0), 1_250);
        assert_eq!(meter.bps(at(0)), 20_000);
        send(&mut meter, 10..250, 10, 1_250);
        assert_eq!(meter.bps(at(250)), 500_000);
    }

    #[test]
    fn the_rate_follows_a_change_within_two_seconds() {
        let mut meter = RateMeter::default();
        send(&mut meter, 0..2_000, 10, 1_250);
        send(&mut meter, 2_000..4_000, 10, 125);
        let bps = meter.bps(at(4_000));
        assert!((90_000..200_000).contains(&bps), "{bps}");
    }

    #[test]
    fn a_stream_that_stops_loses_its_rate() {
        let mut meter = RateMeter::default();
        send(&mut meter, 0..2_000, 10, 1_250);
        assert!(meter.bps(at(3_000)) < 600_000);
        assert_eq!(meter.bps(at(4_100)), 0);
        send(&mut meter, 20_000..20_600, 10, 125);
        let bps = meter.bps(at(20_600));
        assert!(
            (90_000..110_000).contains(&bps),
            "{bps} has something of the time before the pause"
        );
    }

    #[test]
    fn the_most_of_a_second_is_remembered_for_three() {
        let mut meter = RateMeter::default();
        assert_eq!(meter.peak_bps(at(0)), 0);
        send(&mut meter, 0..4_000, 10, 125);
        assert!((90_000..110_000).contains(&meter.peak_bps(at(4_000))));
        // A key frame of 50 kB: 500 kb/s in its second.
        meter.received(at(4_005), 50_000);
        let mut seen = Vec::new();
        for half in 8..18 {
            send(&mut meter, half * 500..half * 500 + 500, 10, 125);
            seen.push(meter.peak_bps(at(half * 500 + 499)) / 1_000);
        }
        assert!(seen[1..6].iter().all(|kbps| (440..=560).contains(kbps)), "{seen:?}");
        assert!(seen[8..].iter().all(|kbps| *kbps < 140), "{seen:?}");
        assert_eq!(meter.peak_bps(at(11_001)), 0, "it has stopped");
        meter.received(at(12_000), 125);
        assert!(
            meter.peak_bps(at(12_001)) < 10_000,
            "nothing is left of the time before"
        );
    }

    fn layer(bitrate_bps: u64, last_packet_millis: u64) -> LayerState {
        LayerState {
            bitrate_bps,
            last_packet: Some(at(last_packet_millis)),
        }
    }

    const NEVER: LayerState = LayerState {
        bitrate_bps: 0,
        last_packet: None,
    };

    const ALL: LayerSet = LayerSet::ALL;

    /// All layers but these.
    fn without(undecodable: &[usize]) -> LayerSet {
        (0..8).map(|layer| !undecodable.contains(&layer)).collect()
    }

    #[test]
    fn the_highest_active_layer_is_aimed_for() {
        let layers = [layer(150_000, 0), layer(2_000_000, 0), layer(500_000, 0)];
        assert_eq!(target(&layers, ALL, None, at(10)), Some(1));
        assert_eq!(target(&layers, ALL, Some(0), at(10)), Some(1));
        assert_eq!(target(&layers, ALL, Some(1), at(10)), Some(1));
        assert_eq!(target(&[NEVER, layer(100, 0), NEVER], ALL, None, at(10)), Some(1));
    }

    #[test]
    fn a_layer_that_went_silent_is_left() {
        let layers = [layer(150_000, 1_000), layer(2_000_000, 200), layer(500_000, 1_000)];
        assert_eq!(target(&layers, ALL, Some(1), at(999)), Some(1));
        assert_eq!(target(&layers, ALL, Some(1), at(1_000)), Some(2));
    }

    #[test]
    fn without_active_layers_there_is_no_target() {
        assert_eq!(target(&[], ALL, None, at(0)), None);
        assert_eq!(target(&[NEVER, NEVER], ALL, Some(0), at(0)), None);
        assert_eq!(target(&[layer(1_000_000, 0)], ALL, Some(0), at(800)), None);
    }

    #[test]
    fn a_small_difference_does_not_change_the_layer() {
        let layers = [layer(1_000_000, 0), layer(1_200_000, 0)];
        assert_eq!(target(&layers, ALL, Some(0), at(10)), Some(0));
        assert_eq!(target(&layers, ALL, Some(1), at(10)), Some(1));
        assert_eq!(target(&layers, ALL, None, at(10)), Some(1));
        let still_picture = [layer(20_000, 0), layer(45_000, 0)];
        assert_eq!(target(&still_picture, ALL, Some(0), at(10)), Some(0));
        assert_eq!(target(&still_picture, ALL, Some(1), at(10)), Some(1));
    }

    #[test]
    fn of_equal_layers_the_first_is_taken() {
        assert_eq!(target(&[layer(0, 0), layer(0, 0)], ALL, None, at(10)), Some(0));
    }

    #[test]
    fn a_present_layer_that_no_longer_exists_is_left() {
        assert_eq!(target(&[layer(100, 0)], ALL, Some(7), at(10)), Some(0));
    }

    #[test]
    fn a_layer_that_a_subscription_may_not_have_is_never_aimed_for() {
        let layers = [layer(150_000, 0), layer(500_000, 0), layer(2_000_000, 0)];
        let lower = without(&[2]);
        assert_eq!(target(&layers, lower, None, at(10)), Some(1));
        assert_eq!(target(&layers, lower, Some(1), at(10)), Some(1));
        assert_eq!(
            target(&layers, lower, Some(2), at(10)),
            Some(1),
            "not even where it is the present one"
        );
        let close = [layer(1_000_000, 0), layer(1_100_000, 0)];
        assert_eq!(
            target(&close, without(&[1]), Some(1), at(10)),
            Some(0),
            "however close the other one is"
        );
        let paused = [layer(150_000, 0), layer(500_000, 1_000)];
        assert_eq!(target(&paused, without(&[1]), Some(0), at(1_000)), None);
    }

    #[test]
    fn who_waits_does_so_at_the_present_layer_or_else_at_the_last_that_they_may_have() {
        let layers = [layer(1, 5), layer(1, 7), layer(1, 9)];
        let lower = without(&[2]);
        assert_eq!(waiting_place(&layers, lower, Some(0)), Some(0));
        assert_eq!(waiting_place(&layers, lower, None), Some(1));
        assert_eq!(waiting_place(&layers, lower, Some(2)), Some(1));
        assert_eq!(waiting_place(&layers, lower, Some(7)), Some(1));
    }

    #[test]
    fn where_they_may_have_none_who_waits_stays_where_they_are() {
        let layers = [layer(1, 9), layer(1, 5)];
        let none = LayerSet::default();
        assert_eq!(waiting_place(&layers, none, Some(1)), Some(1));
        assert_eq!(waiting_place(&layers, none, None), Some(0));
        assert_eq!(waiting_place(&[], none, None), None);
    }
}
