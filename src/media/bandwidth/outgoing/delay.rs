//! Whether the delay grows: the slope of a line through the delays of groups of packets, against a threshold that follows it
//! (draft-ietf-rmcat-gcc-02 §5.2, §5.4; the line instead of a Kalman filter, and the constants, are libwebrtc's).

use super::Micros;

/// Packets that are sent within this time are one group (§5.2): what a frame's burst does to itself says nothing of the path.
const GROUP: Micros = 5_000;
const POINTS: usize = 20;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
/// The slope counts fully from so many groups on.
const DELTAS_MAX: f64 = 60.0;
const THRESHOLD_MS: f64 = 12.5;
const THRESHOLD_MIN_MS: f64 = 6.0;
const THRESHOLD_MAX_MS: f64 = 600.0;
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;
/// A slope that lies above the threshold by more than this moves it not at all.
const OUTLIER_MS: f64 = 15.0;
/// The slope must stay above the threshold for so long, and for more than one group.
const OVERUSE_MS: f64 = 10.0;
/// Groups that arrive further apart are not compared: the receiver has slept, or its clock was set.
const GAP: i64 = 3_000_000;

#[derive(Clone, Copy)]
struct Group {
    first_sent: Micros,
    sent: Micros,
    arrived: Micros,
}

#[derive(Clone, Copy, Default)]
struct Point {
    at_ms: f64,
    delay_ms: f64,
}

pub(super) struct Trend {
    group: Option<Group>,
    last: Option<Group>,
    points: [Point; POINTS],
    /// Points that were ever written, up to where it matters.
    count: usize,
    next: usize,
    delay_ms: f64,
    smoothed_ms: f64,
    at_ms: f64,
    threshold_ms: f64,
    over_ms: f64,
    groups_over: u32,
    slope_ms: f64,
    overused: bool,
}

impl Trend {
    pub(super) fn new() -> Trend {
        Trend {
            group: None,
            last: None,
            points: [Point::default(); POINTS],
            count: 0,
            next: 0,
            delay_ms: 0.0,
            smoothed_ms: 0.0,
            at_ms: 0.0,
            threshold_ms: THRESHOLD_MS,
            over_ms: 0.0,
            groups_over: 0,
            slope_ms: 0.0,
            overused: false,
        }
    }

    /// Whether the delay has been growing for too long.
    pub(super) fn is_growing(&self) -> bool {
        self.overused
    }

    pub(super) fn packet(&mut self, sent: Micros, arrived: Micros) {
        match &mut self.group {
            Some(group) if sent < group.first_sent => {}
            Some(group) if sent - group.first_sent <= GROUP => {
                group.sent = group.sent.max(sent);
                group.arrived = group.arrived.max(arrived);
            }
            group => {
                let new = Group {
                    first_sent: sent,
                    sent,
                    arrived,
                };
                let complete = group.replace(new);
                if let (Some(last), Some(complete)) = (self.last, complete) {
                    self.compare(last, complete);
                }
                self.last = complete;
            }
        }
    }

    fn compare(&mut self, last: Group, group: Group) {
        let arrived = (group.arrived as i64).saturating_sub(last.arrived as i64);
        let sent = (group.sent as i64).saturating_sub(last.sent as i64);
        if !(0..GAP).contains(&sent) || !(-GAP..GAP).contains(&arrived) {
            let threshold_ms = self.threshold_ms;
            *self = Trend {
                group: self.group,
                threshold_ms,
                ..Trend::new()
            };
            return;
        }
        let (sent_ms, arrived_ms) = (sent as f64 / 1_000.0, arrived as f64 / 1_000.0);
        self.delay_ms += arrived_ms - sent_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.delay_ms;
        self.at_ms += arrived_ms;
        let point = Point {
            at_ms: self.at_ms,
            delay_ms: self.smoothed_ms,
        };
        if let Some(slot) = self.points.get_mut(self.next) {
            *slot = point;
        }
        self.next = (self.next + 1) % POINTS;
        self.count = (self.count + 1).min(1_000);
        let slope = if self.count < POINTS { 0.0 } else { self.slope() };
        self.judge(slope * (self.count as f64).min(DELTAS_MAX) * GAIN, sent_ms);
    }

    /// The slope of the line with the least squares.
    fn slope(&self) -> f64 {
        let count = POINTS as f64;
        let mean_at = self.points.iter().map(|point| point.at_ms).sum::<f64>() / count;
        let mean_delay = self.points.iter().map(|point| point.delay_ms).sum::<f64>() / count;
        let (mut above, mut below) = (0.0, 0.0);
        for point in &self.points {
            let at = point.at_ms - mean_at;
            above += at * (point.delay_ms - mean_delay);
            below += at * at;
        }
        if below > 0.0 { above / below } else { 0.0 }
    }

    fn judge(&mut self, slope_ms: f64, sent_ms: f64) {
        if slope_ms > self.threshold_ms {
            self.over_ms += sent_ms;
            self.groups_over = self.groups_over.saturating_add(1);
            self.overused = self.over_ms > OVERUSE_MS && self.groups_over > 1 && slope_ms >= self.slope_ms;
        } else {
            (self.over_ms, self.groups_over, self.overused) = (0.0, 0, false);
        }
        self.slope_ms = slope_ms;
        let distance = slope_ms.abs() - self.threshold_ms;
        if distance <= OUTLIER_MS {
            let pace = if distance < 0.0 { FALL } else { RISE };
            let moved = self.threshold_ms + pace * distance * sent_ms.min(100.0);
            self.threshold_ms = moved.clamp(THRESHOLD_MIN_MS, THRESHOLD_MAX_MS);
        }
    }
}
