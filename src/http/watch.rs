//! The watch over one connection, which ends it when it has held its place for too long. The client has to send something within
//! some time, which is shorter the fewer places are free, and to read at a least speed.

mod activity;

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub(super) use activity::{Activity, InProgress, Watched, WatchedRequest};
use tokio::time::MissedTickBehavior;

use super::door::Door;
use crate::shares::Pace;

/// Time between two looks at a connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time that a silent connection has in any case: three round trips of a slow mobile network, for TCP, TLS and the request.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(2);

/// The longest pause of a transfer, also at its beginning. Shorter would cut off phones that change networks.
pub(super) const TRANSFER_PATIENCE: Duration = Duration::from_secs(15);

/// Time that a client has for the next piece of a request's body while half of the places are free. It is longer than the body's
/// reader waits, so that the client gets the reader's answer.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// Answers that a client may leave untaken beside a WebSocket: as many as a browser has connections by HTTP/1.1. It stops reading what
/// somebody pauses, and must not lose its call for that.
const RESTING_BESIDE_SOCKET: u64 = 6;

/// Answers of which each has to move on at the least speed. A browser that fetches many pictures at once by a slow network needs no
/// more for them together than it did by as many connections.
const SLOW_MAX: u64 = 6;

/// Returns when the connection must be ended.
pub(super) async fn until_given_up(activity: &Activity, door: &Door, limits: WatchLimits) -> GivenUp {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(limits, ticks.tick().await.into_std());
    loop {
        let now = ticks.tick().await.into_std();
        let look = Look {
            received: activity.received.load(Relaxed),
            is_waiting: activity.in_progress.load(Relaxed) == 0,
            expects_body: activity.expected.load(Relaxed) > 0,
            untaken: activity.untaken.load(Relaxed),
            has_socket: activity.open_sockets.load(Relaxed) > 0,
            written: activity.written.load(Relaxed),
            is_stuck: activity.is_stuck.load(Relaxed),
            free: door.free(),
        };
        if let Some(given_up) = watch.look(look, now) {
            return given_up;
        }
    }
}

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// The longest silence before a request.
    pub silence: Duration,
    /// The least speed of an answer.
    pub(crate) bytes_per_s: u64,
}

/// The reason why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    Silent,
    TooSlow,
}

/// The state of a connection at one time.
#[derive(Clone, Copy)]
struct Look {
    /// Number of requests, and of pieces of their bodies, that the client has sent.
    received: u64,
    /// Whether the server waits for the next request.
    is_waiting: bool,
    /// Whether one of the requests in progress lacks the rest of its body.
    expects_body: bool,
    /// Number of answers of which the client has not taken the last piece.
    untaken: u64,
    /// Whether a WebSocket is open.
    has_socket: bool,
    written: u64,
    is_stuck: bool,
    /// The free part of all places.
    free: f64,
}

/// The state between two looks. Pure.
struct Watch {
    limits: WatchLimits,
    received: u64,
    written: u64,
    silent_since: Instant,
    pace: Pace,
}

impl Watch {
    fn new(limits: WatchLimits, now: Instant) -> Self {
        Self {
            limits,
            received: 0,
            written: 0,
            silent_since: now,
            pace: Pace::new(limits.bytes_per_s, TRANSFER_PATIENCE, now),
        }
    }

    fn look(&mut self, look: Look, now: Instant) -> Option<GivenUp> {
        let written = look.written.saturating_sub(self.written);
        self.written = look.written;
        let resting = if look.has_socket { RESTING_BESIDE_SOCKET } else { 0 };
        // A socket that nobody reads ends by its own rules; a network that is away for some seconds must not end a call.
        let is_stuck = look.is_stuck && !look.has_socket;
        let slow = look
            .untaken
            .saturating_sub(resting)
            .min(SLOW_MAX)
            .max(u64::from(is_stuck));
        if let Some(each) = written.checked_div(slow) {
            self.pace.moved(each, now);
        } else {
            self.pace.excuse(now);
        }
        // Who has a socket holds no place for which others wait.
        let is_its_turn = (look.is_waiting || look.expects_body) && !look.has_socket;
        if !is_its_turn || slow > 0 || look.received != self.received {
            self.received = look.received;
            self.silent_since = now;
        }
        let silent = now.saturating_duration_since(self.silent_since);
        let longest = match look.expects_body {
            true => BODY_PATIENCE.max(self.limits.silence),
            false => self.limits.silence,
        };
        if silent >= patience(look.free, longest) {
            return Some(GivenUp::Silent);
        }
        self.pace.is_too_slow(now).then_some(GivenUp::TooSlow)
    }
}

/// Time for which a connection may be silent: as configured while half of the places are free, and less the fewer are free.
fn patience(free: f64, longest: Duration) -> Duration {
    let shortest = SHORTEST_PATIENCE.min(longest);
    shortest + (longest - shortest).mul_f64((2.0 * free).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::virtual_time::epoch;

    const LIMITS: WatchLimits = WatchLimits {
        silence: Duration::from_secs(15),
        bytes_per_s: 8_000,
    };

    /// Looks once a second until the connection is ended. Returns the seconds, and the reason.
    fn lasts(mut what: impl FnMut(u64) -> Look) -> Option<(u64, GivenUp)> {
        let start = epoch();
        let mut watch = Watch::new(LIMITS, start);
        (1..1_000).find_map(|second| {
            let given_up = watch.look(what(second), start + Duration::from_secs(second))?;
            Some((second, given_up))
        })
    }

    fn silent(free: f64) -> Look {
        Look {
            received: 0,
            is_waiting: true,
            expects_body: false,
            untaken: 0,
            has_socket: false,
            written: 0,
            is_stuck: false,
            free,
        }
    }

    #[test]
    fn the_fewer_places_are_free_the_less_time_a_silent_connection_has() {
        let seconds = |free| lasts(|_| silent(free));
        assert_eq!(seconds(0.9), Some((15, GivenUp::Silent)));
        assert_eq!(seconds(0.5), Some((15, GivenUp::Silent)));
        assert_eq!(seconds(0.25), Some((9, GivenUp::Silent)));
        assert_eq!(seconds(0.0), Some((2, GivenUp::Silent)));
        let becomes_scarce = lasts(|second| silent(if second < 5 { 1.0 } else { 0.0 }));
        assert_eq!(becomes_scarce, Some((5, GivenUp::Silent)), "also one that came before");
    }

    #[test]
    fn a_connection_that_asks_again_and_again_stays() {
        let send_requests = |second: u64| Look {
            received: second / 10,
            ..silent(1.0)
        };
        assert_eq!(lasts(send_requests), None);
    }

    #[test]
    fn a_request_in_progress_is_not_silence_however_long_it_takes() {
        let waits = |_| Look {
            is_waiting: false,
            ..silent(0.0)
        };
        assert_eq!(lasts(waits), None);
    }

    #[test]
    fn a_request_of_which_the_rest_does_not_come_gives_way_where_places_are_scarce() {
        let stalls = |free| Look {
            is_waiting: false,
            expects_body: true,
            ..silent(free)
        };
        assert_eq!(lasts(|_| stalls(1.0)), Some((30, GivenUp::Silent)));
        assert_eq!(lasts(|_| stalls(0.0)), Some((2, GivenUp::Silent)));
        let comes = |second: u64| Look {
            received: second,
            ..stalls(0.0)
        };
        assert_eq!(lasts(comes), None);
    }

    #[test]
    fn each_answer_of_a_connection_has_to_be_taken_at_the_least_speed() {
        let untaken = |untaken: u64, has_socket: bool, bytes_per_s: u64| {
            move |second: u64| Look {
                is_waiting: false,
                untaken,
                has_socket,
                written: second * bytes_per_s,
                ..silent(1.0)
            }
        };
        assert_eq!(lasts(untaken(1, false, 8_000)), None);
        assert_eq!(lasts(untaken(5, false, 40_000)), None);
        assert!(
            lasts(untaken(5, false, 8_000)).is_some(),
            "the speed of one is not enough for five"
        );
        assert_eq!(lasts(untaken(1, false, 0)), Some((15, GivenUp::TooSlow)));
        assert_eq!(lasts(untaken(6, true, 0)), None, "paused beside a socket");
        assert_eq!(lasts(untaken(7, true, 0)), Some((15, GivenUp::TooSlow)));
        assert_eq!(
            lasts(untaken(40, false, 48_000)),
            None,
            "many at once by a slow network"
        );
    }

    #[test]
    fn beside_a_socket_neither_silence_nor_a_network_that_is_away_ends_a_connection() {
        let look = |expects_body, is_stuck| {
            move |_| Look {
                expects_body,
                is_stuck,
                has_socket: true,
                ..silent(0.0)
            }
        };
        assert_eq!(lasts(look(false, false)), None);
        assert_eq!(lasts(look(true, false)), None, "an upload that pauses");
        assert_eq!(lasts(look(false, true)), None);
    }

    #[test]
    fn an_answer_has_to_be_taken_at_the_least_speed() {
        let taken_at = |bytes_per_s: u64| {
            move |second: u64| Look {
                is_waiting: false,
                is_stuck: true,
                written: second * bytes_per_s,
                ..silent(1.0)
            }
        };
        assert_eq!(lasts(taken_at(8_000)), None);
        assert_eq!(lasts(taken_at(0)), Some((15, GivenUp::TooSlow)));
        assert!(matches!(lasts(taken_at(100)), Some((15..=17, GivenUp::TooSlow))));
    }
}
