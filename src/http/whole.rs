//! Requests that run to their end, also where their client goes away in the middle.
//!
//! A server ends a request whose connection is closed at whatever point it has come to. Of a request that records something first,
//! and does something at the hub after that, it would leave one half.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::sync::Semaphore;

/// Requests that run at once, with or without their client. Each takes some milliseconds; where storage hangs, some seconds. More
/// would let somebody who asks and goes away collect requests here, each with its body.
const RUNNING_MAX: usize = 1_024;

/// The requests of a group of routes.
#[derive(Clone)]
pub(super) struct Whole {
    places: Arc<Semaphore>,
    /// Bytes of the longest body.
    body_max: usize,
    /// The answer where too many run.
    full: fn() -> Response,
}

impl Whole {
    pub fn new(body_max: usize, full: fn() -> Response) -> Self {
        Self {
            places: Arc::new(Semaphore::new(RUNNING_MAX)),
            body_max,
            full,
        }
    }
}

/// Runs a request to its end.
pub(super) async fn run(State(whole): State<Whole>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // A client that goes away while it still sends has asked for nothing, and one that sends slowly takes no place.
    let body = match to_bytes(body, whole.body_max).await {
        Ok(bytes) => Body::from(bytes),
        // The handler answers that.
        Err(error) => Body::from_stream(futures_util::stream::once(async { Err::<Bytes, _>(error) })),
    };
    let Ok(place) = whole.places.try_acquire_owned() else {
        return (whole.full)();
    };
    let running = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, body)).await;
        drop(place);
        response
    });
    // An error: the handler has panicked.
    let failed = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
    running.await.unwrap_or_else(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;

    fn busy() -> Response {
        StatusCode::TOO_MANY_REQUESTS.into_response()
    }

    fn request(body: Body) -> Request {
        Request::post("/").body(body).unwrap()
    }

    /// A service whose requests wait until they may go on, and count those that have ended.
    fn service(whole: &Whole, go_on: &Arc<Notify>, ended: &Arc<AtomicUsize>) -> Router {
        let (go_on, ended) = (Arc::clone(go_on), Arc::clone(ended));
        let handler = move |body: Result<Bytes, axum::extract::rejection::BytesRejection>| async move {
            go_on.notified().await;
            ended.fetch_add(1, Ordering::Relaxed);
            body.map(|body| body.len().to_string())
                .map_err(|_| "too long".to_owned())
        };
        let router = Router::new().route("/", post(handler));
        router.layer(from_fn_with_state(whole.clone(), run))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_goes_on_without_its_client_and_takes_its_place_until_it_has_ended() {
        let (whole, go_on, ended) = (Whole::new(10, busy), Arc::default(), Arc::default());
        let service = service(&whole, &go_on, &ended);
        let cut = service.clone().oneshot(request(Body::from("12345")));
        let cut = tokio::time::timeout(std::time::Duration::from_secs(1), cut).await;
        assert!(cut.is_err(), "it waits");
        assert_eq!(whole.places.available_permits(), RUNNING_MAX - 1);
        go_on.notify_one();
        while ended.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        let answer = service.oneshot(request(Body::from("12345"))).await.unwrap();
        assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "5");
        assert_eq!(whole.places.available_permits(), RUNNING_MAX);
    }

    #[tokio::test]
    async fn where_too_many_run_the_next_is_refused_and_a_body_that_is_too_long_is_the_handler_s_to_refuse() {
        let (whole, go_on, ended) = (Whole::new(10, busy), Arc::default(), Arc::default());
        let service = service(&whole, &go_on, &ended);
        go_on.notify_one();
        let answer = service
            .clone()
            .oneshot(request(Body::from("1234567890x")))
            .await
            .unwrap();
        assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), "too long");
        let all = Arc::clone(&whole.places)
            .acquire_many_owned(RUNNING_MAX as u32)
            .await
            .unwrap();
        let refused = service.oneshot(request(Body::empty())).await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        drop(all);
        assert_eq!(ended.load(Ordering::Relaxed), 1);
    }
}
