//! What a connection does: recorded by its socket, the bodies of its requests and answers, and its WebSockets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The activity of a connection, recorded by the code that serves it.
#[derive(Default)]
pub(in crate::http) struct Activity {
    /// Number of requests' heads, and of pieces of their bodies.
    pub(super) received: AtomicU64,
    /// Number of requests whose answer is not complete.
    pub(super) in_progress: AtomicU64,
    /// Number of requests whose body's next piece somebody waits for.
    pub(super) expected: AtomicU64,
    /// Number of answers of which the client has not taken the last piece.
    pub(super) untaken: AtomicU64,
    /// Number of WebSockets that are open, beside requests.
    pub(super) open_sockets: AtomicU64,
    pub(super) written: AtomicU64,
    /// Whether the client does not read what it is sent.
    pub(super) is_stuck: AtomicBool,
}

impl Activity {
    pub(in crate::http) fn socket_opened(&self) {
        self.open_sockets.fetch_add(1, Relaxed);
    }

    pub(in crate::http) fn has_requests(&self) -> bool {
        self.in_progress.load(Relaxed) > 0
    }

    pub(in crate::http) fn socket_ended(&self) {
        self.open_sockets.fetch_sub(1, Relaxed);
    }
}

/// Something that is counted, or not, and no more than once.
#[derive(Default)]
struct Counted(bool);

impl Counted {
    fn set(&mut self, counts: bool, number: &AtomicU64) {
        match (std::mem::replace(&mut self.0, counts), counts) {
            (false, true) => number.fetch_add(1, Relaxed),
            (true, false) => number.fetch_sub(1, Relaxed),
            _ => return,
        };
    }
}

/// A request that counts until its answer is complete.
pub(in crate::http) struct InProgress(Arc<Activity>);

impl InProgress {
    pub(in crate::http) fn begin(activity: &Arc<Activity>) -> InProgress {
        activity.received.fetch_add(1, Relaxed);
        activity.in_progress.fetch_add(1, Relaxed);
        InProgress(Arc::clone(activity))
    }

    /// Keeps the request counted as long as the body of its answer lasts.
    pub(in crate::http) fn until_sent(self, body: Body) -> Body {
        Body::new(WatchedResponse {
            body,
            rest: Bytes::new(),
            untaken: Counted::default(),
            request: self,
        })
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Relaxed);
    }
}

/// A request's body that records what arrives, and whether somebody waits for more.
pub(in crate::http) struct WatchedRequest {
    body: Body,
    expected: Counted,
    activity: Arc<Activity>,
}

impl WatchedRequest {
    pub(in crate::http) fn noted(body: Body, activity: &Arc<Activity>) -> Body {
        let activity = Arc::clone(activity);
        Body::new(WatchedRequest {
            body,
            expected: Counted::default(),
            activity,
        })
    }
}

impl hyper::body::Body for WatchedRequest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.body).poll_frame(context);
        this.expected.set(frame.is_pending(), &this.activity.expected);
        let came = matches!(frame, Poll::Ready(Some(Ok(_))));
        this.activity.received.fetch_add(u64::from(came), Relaxed);
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
        self.expected.set(false, &self.activity.expected);
    }
}

/// Bytes of the largest piece of an answer that HTTP/2 gets at once. It takes a piece as soon as the client's window has room for
/// one byte, and keeps the rest where nobody sees whether the client takes it.
const PIECE_BYTES: usize = 16 * 1024;

/// The body of an answer, in pieces. A client takes a piece of it by asking for the next one: over HTTP/2 a client that grants no
/// window for it does not, while the socket itself is not stuck (RFC 9113 §5.2).
struct WatchedResponse {
    body: Body,
    /// The part of a frame that has not been asked for yet.
    rest: Bytes,
    untaken: Counted,
    request: InProgress,
}

impl Drop for WatchedResponse {
    fn drop(&mut self) {
        self.untaken.set(false, &self.request.0.untaken);
    }
}

impl hyper::body::Body for WatchedResponse {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = match this.rest.is_empty() {
            true => Pin::new(&mut this.body).poll_frame(context),
            false => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.rest))))),
        };
        let frame = frame.map_ok(|frame| match frame.into_data() {
            Ok(mut data) => {
                this.rest = data.split_off(data.len().min(PIECE_BYTES));
                Frame::data(data)
            }
            Err(trailers) => trailers,
        });
        let is_given = matches!(frame, Poll::Ready(Some(Ok(_))));
        this.untaken.set(is_given, &this.request.0.untaken);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

/// A socket whose progress is recorded.
pub(in crate::http) struct Watched<S> {
    pub(in crate::http) socket: S,
    pub(in crate::http) activity: Arc<Activity>,
}

impl<S> Watched<S> {
    fn note(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.activity.written.fetch_add(*bytes as u64, Relaxed);
        }
        self.activity.is_stuck.store(written.is_pending(), Relaxed);
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

    #[tokio::test]
    async fn of_a_requests_body_is_noted_what_comes_and_that_more_is_waited_for() {
        use futures_util::{FutureExt, StreamExt};

        let activity = Arc::new(Activity::default());
        let pieces = futures_util::stream::iter([Ok::<_, io::Error>("piece")]).chain(futures_util::stream::pending());
        let mut body = WatchedRequest::noted(Body::from_stream(pieces), &activity).into_data_stream();
        let noted = || {
            let received = activity.received.load(Relaxed);
            (received, activity.expected.load(Relaxed) > 0)
        };
        assert_eq!(noted(), (0, false));
        assert!(body.next().now_or_never().is_some());
        assert_eq!(noted(), (1, false), "nobody has asked for more");
        assert!(body.next().now_or_never().is_none());
        assert_eq!(noted(), (1, true));
        drop(body);
        assert_eq!(noted(), (1, false));
    }

    #[tokio::test]
    async fn an_answer_is_untaken_until_its_next_piece_is_asked_for() {
        use futures_util::{FutureExt, StreamExt};

        let activity = Arc::new(Activity::default());
        let untaken = || activity.untaken.load(Relaxed);
        let pieces = futures_util::stream::iter([Ok::<_, io::Error>("piece")]).chain(futures_util::stream::pending());
        let body = InProgress::begin(&activity).until_sent(Body::from_stream(pieces));
        let mut body = body.into_data_stream();
        assert_eq!(untaken(), 0);
        assert!(body.next().now_or_never().is_some());
        assert_eq!(untaken(), 1);
        assert!(body.next().now_or_never().is_none());
        assert_eq!(untaken(), 0, "it waits for us");
        drop(body);
        let body = InProgress::begin(&activity).until_sent(Body::from("whole"));
        let mut body = body.into_data_stream();
        assert!(body.next().now_or_never().is_some());
        drop(body);
        assert_eq!((untaken(), activity.in_progress.load(Relaxed)), (0, 0));
    }
}
