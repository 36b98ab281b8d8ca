//! The ends of calls, as messages to the operator's back end.

use std::time::Duration;

use serde_json::Value;

use super::Channels;
use super::watch::report_failure;
use crate::storage::{CallRecord, Report};
use crate::webhooks::{Message, Webhooks};

/// Time between two looks for calls that are over. Every process of a database looks, so that a call whose process has ended is
/// posted, too.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Calls that are looked up at once.
const AT_ONCE: i64 = 100;

/// Time after its end for which a call is still posted: as long as a message is tried. Where a URL is configured later, the back
/// end is not sent the calls of months.
const POSTED_WITHIN_S: i64 = 3 * 24 * 3_600;

/// What such a message says happened.
const ENDED: &str = "call.ended";

impl Channels {
    /// Has the records posted of calls that are over. `words` puts a record into the words of the interface. Never ends.
    pub(crate) async fn post_ends(self, webhooks: Webhooks, words: impl Fn((CallRecord, Vec<Report>)) -> Value) {
        if !webhooks.is_configured() {
            return std::future::pending().await;
        }
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = self.post_ended(&webhooks, &words).await {
                report_failure("the end of a call could not be handed on to be posted", &error);
            }
        }
    }

    /// Hands on the calls that are over and have not been handed on.
    pub async fn post_ended(
        &self,
        webhooks: &Webhooks,
        words: impl Fn((CallRecord, Vec<Report>)) -> Value,
    ) -> Result<(), sqlx::Error> {
        let since_s = self.now_s().saturating_sub(POSTED_WITHIN_S);
        loop {
            let channels = self.records.channels_to_post(since_s, AT_ONCE).await?;
            let mut done = Ok(());
            for channel in &channels {
                let Some(call) = self.records.call(channel).await? else {
                    continue;
                };
                let Some(ended_s) = call.ended_s else { continue };
                let data = words((call, self.records.reports(channel).await?));
                let message = Message {
                    kind: ENDED,
                    data,
                    end_of: Some((channel, ended_s)),
                };
                // One that cannot be recorded does not hold up the others.
                done = done.and(webhooks.post(message).await);
            }
            done?;
            if channels.len() < AT_ONCE as usize {
                return Ok(());
            }
        }
    }
}
