//! Webhooks and a receiver that checks every byte, by real sockets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tempfile::TempDir;
use tokio::time::sleep;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// 2026-01-02 03:04:05 UTC.
const BEGINNING_S: i64 = 1_767_323_045;

/// A receiver. It refuses as often as it is asked to, and keeps what it has taken.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    /// Answers for the next messages; 200 when there are no more.
    answers: VecDeque<StatusCode>,
    /// What every answer says in `Retry-After`.
    retry_after: Option<String>,
    /// Ids, times and bodies of all messages.
    messages: Vec<(String, i64, String)>,
}

impl Receiver {
    async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/hook", post(receive))
            .route("/elsewhere", post(|| async { StatusCode::OK }))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn refuses(&self, answers: &[u16]) {
        let answers = answers.iter().map(|code| StatusCode::from_u16(*code).unwrap());
        self.lock().answers = answers.collect();
    }

    fn messages(&self) -> Vec<(String, i64, String)> {
        self.lock().messages.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    let timestamp_s: i64 = timestamp.parse().unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let expected = Secrets::read(SECRET).unwrap().sign(&id, timestamp_s, &body);
    if text("webhook-signature") != expected || text("content-type") != "application/json" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut received = receiver.lock();
    received.messages.push((id, timestamp_s, body));
    let mut answer = match received.answers.pop_front() {
        Some(StatusCode::FOUND) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]).into_response(),
        Some(code) => code.into_response(),
        None => StatusCode::OK.into_response(),
    };
    if let Some(retry_after) = &received.retry_after {
        let value = retry_after.parse().unwrap();
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

/// A server's webhooks, its database, and a wall clock that the test moves.
struct Sender {
    webhooks: Webhooks,
    now_s: Arc<AtomicI64>,
    database: TempDir,
}

impl Sender {
    async fn new(receiver: SocketAddr) -> Sender {
        let database = TempDir::new().unwrap();
        Sender::with(database, receiver.to_string(), true).await
    }

    async fn with(database: TempDir, host: String, allow_private_addresses: bool) -> Sender {
        let storage = config::Storage {
            url: format!("sqlite:{}", database.path().join("test.db").display()),
            ..config::Storage::default()
        };
        let records = Records::open(&storage).await.unwrap();
        let now_s = Arc::new(AtomicI64::new(BEGINNING_S));
        let clock: WallClock = {
            let now_s = Arc::clone(&now_s);
            Arc::new(move || UNIX_EPOCH + Duration::from_secs(now_s.load(Ordering::Relaxed).unsigned_abs()))
        };
        let config = config::Webhooks {
            url: format!("http://{host}/hook"),
            secret: SECRET.to_owned(),
            allow_private_addresses,
        };
        let webhooks = Webhooks::new(&config, records, clock).unwrap();
        Sender {
            webhooks,
            now_s,
            database,
        }
    }

    /// The same after a restart of the server.
    async fn restarted(self, receiver: SocketAddr) -> Sender {
        let Sender { now_s, database, .. } = self;
        let sender = Sender::with(database, receiver.to_string(), true).await;
        sender.now_s.store(now_s.load(Ordering::Relaxed), Ordering::Relaxed);
        sender
    }

    /// Lets time pass, and posts all that is due then.
    async fn after(&self, seconds: i64) {
        self.now_s.fetch_add(seconds, Ordering::Relaxed);
        let posting = self.webhooks.0.as_ref().unwrap();
        while posting.turn().await.unwrap() == Duration::ZERO {}
    }
}

fn about(data: Value) -> Message<'static> {
    Message {
        kind: "something.happened",
        data,
        end_of: None,
    }
}

#[tokio::test]
async fn a_message_is_posted_once_signed_and_with_its_time() {
    let receiver = Receiver::default();
    let sender = Sender::new(receiver.start().await).await;
    sender
        .webhooks
        .post(about(json!({ "channel": "ch_通话" })))
        .await
        .unwrap();
    sender.after(3).await;
    sender.after(1_000).await;
    let [(id, timestamp_s, body)] = &receiver.messages()[..] else {
        panic!("{:?}", receiver.messages());
    };
    assert!(id.starts_with("msg_") && id.len() == 36, "{id}");
    assert_eq!(*timestamp_s, BEGINNING_S + 3, "the time of the attempt");
    let body: Value = serde_json::from_str(body).unwrap();
    let expected =
        json!({ "type": "something.happened", "timestamp": "2026-01-02T03:04:05Z", "data": { "channel": "ch_通话" } });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_posted_again_after_growing_pauses() {
    let receiver = Receiver::default();
    let sender = Sender::new(receiver.start().await).await;
    receiver.refuses(&[500, 302, 404]);
    sender.webhooks.post(about(Value::Null)).await.unwrap();
    for (seconds, messages) in [(0, 1), (1, 1), (1, 2), (14, 2), (1, 3), (59, 3), (1, 4), (100_000, 4)] {
        sender.after(seconds).await;
        assert_eq!(receiver.messages().len(), messages);
    }
    let ids: Vec<String> = receiver.messages().into_iter().map(|(id, ..)| id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_message_that_the_receiver_wants_no_more_is_given_up_at_once() {
    let receiver = Receiver::default();
    let sender = Sender::new(receiver.start().await).await;
    receiver.refuses(&[410]);
    sender.webhooks.post(about(json!(1))).await.unwrap();
    sender.after(0).await;
    sender.after(1_000_000).await;
    assert_eq!(receiver.messages().len(), 1);
}

#[tokio::test]
async fn a_message_outlives_a_restart_and_a_receiver_that_is_away() {
    let receiver = Receiver::default();
    // Nothing listens there any more.
    let away = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let sender = Sender::new(away).await;
    sender.webhooks.post(about(json!(1))).await.unwrap();
    sender.after(0).await;
    let sender = sender.restarted(receiver.start().await).await;
    sender.after(1).await;
    assert_eq!(receiver.messages().len(), 0, "its pause is not over");
    sender.after(1).await;
    assert_eq!(receiver.messages().len(), 1);
}

#[tokio::test]
async fn a_message_that_a_lost_process_had_begun_to_post_is_posted_again() {
    let receiver = Receiver::default();
    let sender = Sender::new(receiver.start().await).await;
    sender.webhooks.post(about(json!(1))).await.unwrap();
    let records = &sender.webhooks.0.as_ref().unwrap().records;
    let taken = records
        .take_webhooks(BEGINNING_S, BEGINNING_S + TAKEN_FOR_S, 8)
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    sender.after(TAKEN_FOR_S - 1).await;
    assert_eq!(receiver.messages().len(), 0);
    sender.after(1).await;
    assert_eq!(receiver.messages().len(), 1);
}

#[tokio::test]
async fn a_message_that_nobody_takes_is_given_up_after_days() {
    let receiver = Receiver::default();
    let sender = Sender::new(receiver.start().await).await;
    receiver.refuses(&[503; 100]);
    sender.webhooks.post(about(json!(1))).await.unwrap();
    sender.after(0).await;
    for pause in PAUSES {
        sender.after(pause).await;
    }
    assert_eq!(receiver.messages().len(), PAUSES.len() + 1);
    sender.after(1_000_000).await;
    assert_eq!(receiver.messages().len(), PAUSES.len() + 1);
    let records = &sender.webhooks.0.as_ref().unwrap().records;
    assert_eq!(records.next_webhook_s().await.unwrap(), None);
}

#[tokio::test]
async fn a_receiver_that_wants_to_be_left_alone_is_for_as_long_and_an_hour_at_most() {
    // Half a minute after the beginning.
    let date = "Fri, 02 Jan 2026 03:04:35 GMT";
    for (status, says, pause) in [
        (429, Some("30"), 30),
        (503, Some(date), 30),
        (429, Some("1"), 2),
        (429, None, 2),
        (429, Some("-5"), 2),
        (429, Some("soon"), 2),
        (500, Some("30"), 2),
        (429, Some("1000000"), RETRY_AFTER_MAX_S),
    ] {
        let receiver = Receiver::default();
        let sender = Sender::new(receiver.start().await).await;
        receiver.refuses(&[status]);
        receiver.lock().retry_after = says.map(str::to_owned);
        sender.webhooks.post(about(json!(1))).await.unwrap();
        sender.after(0).await;
        sender.after(1).await;
        // Another message waits, too.
        sender.webhooks.post(about(json!(2))).await.unwrap();
        sender.after(0).await;
        let others = usize::from(pause == 2);
        assert_eq!(receiver.messages().len(), 1 + others, "{status} {says:?}");
        sender.after(pause - 2).await;
        assert_eq!(receiver.messages().len(), 1 + others, "{status} {says:?}");
        sender.after(1).await;
        assert_eq!(receiver.messages().len(), 3, "{status} {says:?}");
    }
}

/// An empty database, and the folder that it is in.
async fn records() -> (TempDir, Records) {
    let database = TempDir::new().unwrap();
    let storage = config::Storage {
        url: format!("sqlite:{}", database.path().join("test.db").display()),
        ..config::Storage::default()
    };
    let records = Records::open(&storage).await.unwrap();
    (database, records)
}

#[tokio::test]
async fn a_url_that_names_this_machine_is_refused_at_the_start() {
    let (_database, records) = records().await;
    let clock: WallClock = Arc::new(|| UNIX_EPOCH);
    let mut config = config::Webhooks {
        url: "http://localhost:8080/hook".to_owned(),
        secret: SECRET.to_owned(),
        allow_private_addresses: false,
    };
    let refused = Webhooks::new(&config, records.clone(), Arc::clone(&clock))
        .err()
        .unwrap();
    let sentence = refused.to_string();
    assert!(
        sentence.contains("webhooks.url") && sentence.contains("allow_private_addresses"),
        "{sentence}"
    );
    config.allow_private_addresses = true;
    assert!(Webhooks::new(&config, records, clock).is_ok());
}

#[tokio::test]
async fn a_task_delivers_what_is_recorded_meanwhile() {
    let receiver = Receiver::default();
    let sender = Sender::new(receiver.start().await).await;
    let delivering = tokio::spawn(sender.webhooks.clone().deliver());
    let wait = async |messages| {
        let arrived = async {
            while receiver.messages().len() < messages {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), arrived).await.unwrap();
    };
    sender.webhooks.post(about(json!(1))).await.unwrap();
    wait(1).await;
    for number in 2..20 {
        sender.webhooks.post(about(json!(number))).await.unwrap();
    }
    wait(19).await;
    delivering.abort();
}

#[tokio::test]
async fn nothing_is_recorded_where_no_url_is_configured() {
    let (_database, records) = records().await;
    let clock: WallClock = Arc::new(|| UNIX_EPOCH);
    let webhooks = Webhooks::new(&config::Webhooks::default(), records.clone(), clock).unwrap();
    assert!(!webhooks.is_configured());
    webhooks.post(about(json!(1))).await.unwrap();
    assert_eq!(records.next_webhook_s().await.unwrap(), None);
}
