//! The watch over one connection, which ends it when it has held its place for too long. The client has to send something within
//! some time, which is shorter the fewer places are free, and to read at a least speed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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

/// The activity of a connection, recorded by the code that serves it.
#[derive(Default)]
pub(super) struct Activity {
    /// Number of requests' heads, and of pieces of their bodies.
    received: AtomicU64,
    /// Number of requests whose answer is not complete.
    in_progress: AtomicU64,
    /// Whether somebody waits for the next piece of a request's body.
    expects_body: AtomicBool,
    written: AtomicU64,
    /// Whether the client does not read what it is sent.
    is_stuck: AtomicBool,
}

/// A request that counts until its answer is complete.
pub(super) struct InProgress(Arc<Activity>);

impl InProgress {
    pub(super) fn begin(activity: &Arc<Activity>) -> InProgress {
        activity.received.fetch_add(1, Ordering::Relaxed);
        activity.in_progress.fetch_add(1, Ordering::Relaxed);
        InProgress(Arc::clone(activity))
    }

    /// Keeps the request counted as long as the body of its answer lasts.
    pub(super) fn until_sent(self, body: Body) -> Body {
        Body::new(WatchedResponse { body, _request: self })
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request's body that records what arrives, and whether somebody waits for more.
pub(super) struct WatchedRequest {
    body: Body,
    activity: Arc<Activity>,
}

impl WatchedRequest {
    pub(super) fn noted(body: Body, activity: &Arc<Activity>) -> Body {
        let activity = Arc::clone(activity);
        Body::new(WatchedRequest { body, activity })
    }
}

impl hyper::body::Body for WatchedRequest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.activity.expects_body.store(frame.is_pending(), Ordering::Relaxed);
        let came = matches!(frame, Poll::Ready(Some(Ok(_))));
        self.activity.received.fetch_add(u64::from(came), Ordering::Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for WatchedRequest {
    fn drop(&mut self) {
        self.activity.expects_body.store(false, Ordering::Relaxed);
    }
}

struct WatchedResponse {
    body: Body,
    _request: InProgress,
}

impl hyper::body::Body for WatchedResponse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns when the connection must be ended.
pub(super) async fn until_given_up(activity: &Activity, door: &Door, limits: WatchLimits) -> GivenUp {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::new(limits, ticks.tick().await.into_std());
    loop {
        let now = ticks.tick().await.into_std();
        let look = Look {
            received: activity.received.load(Ordering::Relaxed),
            is_waiting: activity.in_progress.load(Ordering::Relaxed) == 0,
            expects_body: activity.expects_body.load(Ordering::Relaxed),
            written: activity.written.load(Ordering::Relaxed),
            is_stuck: activity.is_stuck.load(Ordering::Relaxed),
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
    /// Whether the request in progress lacks the rest of its body.
    expects_body: bool,
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
        if look.is_stuck {
            self.pace.moved(written, now);
        } else {
            self.pace.excuse(now);
        }
        let is_its_turn = look.is_waiting || look.expects_body;
        if !is_its_turn || look.is_stuck || look.received != self.received {
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

/// A socket whose progress is recorded.
pub(super) struct Watched<S> {
    pub socket: S,
    pub(crate) activity: Arc<Activity>,
}

impl<S> Watched<S> {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.activity.written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        self.activity.is_stuck.store(written.is_pending(), Ordering::Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, buffers);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
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

    #[tokio::test]
    async fn of_a_requests_body_is_noted_what_comes_and_that_more_is_waited_for() {
        use futures_util::{FutureExt, StreamExt};

        let activity = Arc::new(Activity::default());
        let pieces = futures_util::stream::iter([Ok::<_, io::Error>("piece")]).chain(futures_util::stream::pending());
        let mut body = WatchedRequest::noted(Body::from_stream(pieces), &activity).into_data_stream();
        let noted = || {
            let received = activity.received.load(Ordering::Relaxed);
            (received, activity.expects_body.load(Ordering::Relaxed))
        };
        assert_eq!(noted(), (0, false));
        assert!(body.next().now_or_never().is_some());
        assert_eq!(noted(), (1, false), "nobody has asked for more");
        assert!(body.next().now_or_never().is_none());
        assert_eq!(noted(), (1, true));
        drop(body);
        assert_eq!(noted(), (1, false));
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
