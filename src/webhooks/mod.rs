//! Webhooks: messages about what has happened, posted to the URL that the operator has configured.
//!
//! A message is an HTTP `POST` of JSON in the form of Standard Webhooks 1.0.0 (github.com/standard-webhooks):
//!
//! - body: `{"type": …, "timestamp": …, "data": …}`; the time is when it happened (RFC 3339), the data depends on the type;
//! - `webhook-id`: the same in each attempt, so that a receiver knows a message that it has had;
//! - `webhook-timestamp`: seconds since 1970-01-01 UTC, when this attempt was made;
//! - `webhook-signature`: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base 64, with the configured secret. Where several
//!   are configured, one such signature for each, with spaces between.
//!
//! Each message is recorded before it is posted, so it outlives a restart. Any answer 2xx within [`ANSWER_WITHIN`] means that it
//! was taken. 410 means that the receiver wants no such message any more: it is given up. Otherwise it is posted again after growing
//! pauses ([`PAUSES`]), and given up after the last. It may therefore come more than once, and not in order.
//!
//! | `type` | `timestamp` | `data` |
//! |---|---|---|
//! | `call.ended` | when the call was over | the record of the call over HTTP, as `call/record` answers it (`crate::signaling::dapi`): `{channel, src_uid, dst_uid, extra_msg, createtime, answertime, starttime, endtime, ending, members, events}` |
//!
//! The end of a call is posted within a second, and once: `webhook-id` is the same then in each attempt, also after a restart, and
//! whichever process posts it. A call that goes on after its end, because a robot has been invited in place of a callee who has
//! declined, ends once more, and is posted once more, under another `webhook-id`. A call that has ended more than three days ago
//! is not posted any more, as when a URL is configured later. Events that clients report after the end are in the record, and
//! not posted.

mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use self::signature::{BadSecret, Secrets};
use crate::clock::{WallClock, now_s};
use crate::config;
use crate::destination::{BadUrl, Destination, PublicOnly};
use crate::ids::RoomName;
use crate::storage::{Added, NewWebhook, Records, WaitingWebhook};

/// Time for the receiver to answer, from the first byte of the request on. It is to take the message, and work on it later.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Pauses before the further attempts, in seconds: three days in all. A receiver that is begun anew gets everything within
/// seconds, and one that is mended on Monday gets what was sent on Friday.
const PAUSES: [i64; 10] = [2, 15, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400];

/// Longest pause that a receiver can ask for: an hour. One that asks for more is asked again all the same.
const RETRY_AFTER_MAX_S: i64 = 3_600;

/// Messages that may wait: with a few hundred bytes each some MB of the database. One more takes the place of the oldest.
const WAITING_MAX: i64 = 10_000;

/// Messages that are posted at the same time. More would be a burden for a receiver that has just come back.
const AT_ONCE: usize = 8;

/// Time after which another process posts a message that this one has begun to post: longer than an attempt takes.
const TAKEN_FOR_S: i64 = 60;

/// Longest time between two looks into the database: another process may have recorded something, or the clock was changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The messages to the operator's back end. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks(Option<Arc<Posting>>);

struct Posting {
    destination: Destination,
    secrets: Secrets,
    client: Client,
    records: Records,
    clock: WallClock,
    /// A signal that a message was recorded.
    added: Notify,
    /// Time until which the receiver wants to be left alone, in seconds since 1970-01-01 UTC.
    quiet_until_s: AtomicI64,
}

/// The reason why webhooks cannot be posted: a sentence that names the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    #[error("webhooks.url: {0}")]
    Url(#[from] BadUrl),
    #[error("webhooks.secret: {0}")]
    Secret(#[from] BadSecret),
    #[error("webhooks: no request can be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// Something that has happened.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// What has happened, in words with dots between them.
    pub kind: &'a str,
    pub data: Value,
    /// The call of which the message says that it is over, and when it ended. Such a message is recorded once for each end of a
    /// call, whichever process records it: the record of the call says in the same transaction that this is done.
    pub end_of: Option<(&'a RoomName, i64)>,
}

impl Webhooks {
    /// Posts nothing where no URL is configured.
    pub fn new(config: &config::Webhooks, records: Records, clock: WallClock) -> Result<Webhooks, WebhooksError> {
        if config.url.is_empty() {
            return Ok(Webhooks(None));
        }
        let destination = Destination::read(&config.url, config.allow_private_addresses)?;
        let secrets = Secrets::read(&config.secret)?;
        let client = Client::builder()
            .user_agent(concat!("patchbay/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER_WITHIN)
            // A redirect could lead to an address that is not allowed, and the receiver's URL is known.
            .redirect(redirect::Policy::none())
            .no_proxy();
        let client = match config.allow_private_addresses {
            true => client,
            false => client.dns_resolver(Arc::new(PublicOnly)),
        };
        Ok(Webhooks(Some(Arc::new(Posting {
            destination,
            secrets,
            client: client.build()?,
            records,
            clock,
            added: Notify::new(),
            quiet_until_s: AtomicI64::new(0),
        }))))
    }

    /// Whether messages are posted. If not, [`Webhooks::post`] does nothing.
    pub fn is_configured(&self) -> bool {
        self.0.is_some()
    }

    /// Records a message, which is then posted.
    pub async fn post(&self, message: Message<'_>) -> Result<(), sqlx::Error> {
        let Some(posting) = &self.0 else { return Ok(()) };
        let made_s = now_s(&posting.clock);
        let happened_s = message.end_of.map_or(made_s, |(_, ended_s)| ended_s);
        let happened =
            time::OffsetDateTime::from_unix_timestamp(happened_s).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let format = &time::format_description::well_known::Rfc3339;
        // No time that a clock shows is out of the format's range.
        let timestamp = happened.format(format).unwrap_or_default();
        let body = json!({ "type": message.kind, "timestamp": timestamp, "data": message.data }).to_string();
        let new = NewWebhook {
            id: &format!("msg_{:032x}", rand::random::<u128>()),
            body: &body,
            made_s,
            end_of: message.end_of,
        };
        match posting.records.add_webhook(&new, WAITING_MAX).await? {
            Added::Done => {}
            Added::InPlaceOfAnother => {
                count("given_up");
                tracing::warn!("too many webhooks wait: the oldest is given up");
            }
            Added::Known => return Ok(()),
        }
        posting.added.notify_one();
        Ok(())
    }

    /// Posts what is due. Never ends.
    pub async fn deliver(self) {
        let Some(posting) = self.0 else {
            return std::future::pending().await;
        };
        loop {
            // When storage fails, it is asked again in a moment.
            let pause = posting.turn().await.unwrap_or_else(|cause| {
                metrics::counter!("patchbay_storage_errors_total").increment(1);
                tracing::error!(
                    cause = &cause as &dyn std::error::Error,
                    "storage failed; webhooks wait"
                );
                LOOK_INTERVAL
            });
            // Whichever comes first: the time is over, or a message was recorded.
            timeout(pause, posting.added.notified()).await.ok();
        }
    }
}

/// Why a message was not taken.
struct NotTaken {
    /// Sentence for the log, without the URL, which may hold a secret.
    problem: String,
    /// Whether the receiver wants no such message any more.
    is_final: bool,
    /// Time for which the receiver wants to be left alone, in seconds.
    retry_after_s: Option<i64>,
}

impl Posting {
    /// Posts what is due now, and returns the time until something else may be.
    async fn turn(&self) -> Result<Duration, sqlx::Error> {
        let now_s = now_s(&self.clock);
        // A longer time is that of a clock which was put back since.
        let quiet_s = self.quiet_until_s.load(Ordering::Relaxed).saturating_sub(now_s);
        if (1..=RETRY_AFTER_MAX_S).contains(&quiet_s) {
            return Ok(Duration::from_secs(quiet_s.unsigned_abs()).min(LOOK_INTERVAL));
        }
        let due = self.records.take_webhooks(now_s, now_s + TAKEN_FOR_S, AT_ONCE as i64);
        let due = due.await?;
        if due.is_empty() {
            let next_s = self.records.next_webhook_s().await?;
            let pause_s = next_s.map_or(u64::MAX, |next_s| u64::try_from(next_s - now_s).unwrap_or(0));
            return Ok(Duration::from_secs(pause_s).clamp(Duration::from_millis(100), LOOK_INTERVAL));
        }
        let outcomes = join_all(due.into_iter().map(|webhook| self.attempt(webhook))).await;
        outcomes.into_iter().collect::<Result<(), _>>()?;
        Ok(Duration::ZERO)
    }

    async fn attempt(&self, webhook: WaitingWebhook) -> Result<(), sqlx::Error> {
        let Err(NotTaken {
            problem,
            is_final,
            retry_after_s,
        }) = self.send(&webhook).await
        else {
            count("taken");
            return self.records.remove_webhook(&webhook.id).await;
        };
        let made = usize::try_from(webhook.attempts)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        match PAUSES.get(made).filter(|_| !is_final) {
            Some(pause_s) => {
                let asked_s = retry_after_s.unwrap_or(0).min(RETRY_AFTER_MAX_S);
                self.quiet_until_s
                    .fetch_max(now_s(&self.clock) + asked_s, Ordering::Relaxed);
                let pause_s = asked_s.max(*pause_s);
                count("failed");
                tracing::info!(
                    id = webhook.id,
                    problem,
                    pause_s,
                    "a webhook was not taken; it is posted again"
                );
                let until_s = now_s(&self.clock) + pause_s;
                self.records.postpone_webhook(&webhook.id, until_s).await
            }
            None => {
                count("given_up");
                tracing::error!(
                    id = webhook.id,
                    problem,
                    attempts = webhook.attempts,
                    "a webhook is given up"
                );
                self.records.remove_webhook(&webhook.id).await
            }
        }
    }

    async fn send(&self, webhook: &WaitingWebhook) -> Result<(), NotTaken> {
        let timestamp_s = now_s(&self.clock);
        let request = self
            .client
            .post(self.destination.url())
            .header("content-type", "application/json")
            .header("webhook-id", &webhook.id)
            .header("webhook-timestamp", timestamp_s)
            .header(
                "webhook-signature",
                self.secrets.sign(&webhook.id, timestamp_s, &webhook.body),
            )
            .body(webhook.body.clone());
        let response = request.send().await.map_err(|error| NotTaken {
            problem: causes(&error.without_url()),
            is_final: false,
            retry_after_s: None,
        })?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(NotTaken {
                problem: format!("the answer was {status}"),
                is_final: status == StatusCode::GONE,
                retry_after_s: retry_after_s(&response, timestamp_s),
            }),
        }
    }
}

/// Seconds for which a receiver that has too much to do (429), or is not ready (503), says that it wants to be left alone
/// (RFC 9110 §10.2.3): a number of them, or a date.
fn retry_after_s(response: &Response, now_s: i64) -> Option<i64> {
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !busy.contains(&response.status()) {
        return None;
    }
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(seconds.into());
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.as_second().saturating_sub(now_s))
}

/// An error with what has caused it, as one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
}

fn count(outcome: &'static str) {
    metrics::counter!("patchbay_webhooks_total", "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests;
