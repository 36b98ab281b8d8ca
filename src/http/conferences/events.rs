//! The events of a registration, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::Event as Sent;
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::domain::{CallEvent, Event};
use crate::http::desk::Token;
use crate::http::state::AppState;
use crate::ids::UserId;
use crate::signaling::conferences::{self as wire, INCOMING, INCOMING_CANCELLED};

/// Time between two comments when nothing else is sent: proxies cut connections that are silent for half a minute.
pub(super) const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Time for which the desk is asked for events at once. It says earlier when the registration has ended.
const ASK_FOR: Duration = Duration::from_secs(60);

/// A stream of events that a client reads.
pub(super) struct Following {
    pub state: AppState,
    pub token: Token,
    pub account: UserId,
    /// The server, as the client names it.
    pub host: String,
    pub end: CancellationToken,
    waiting: VecDeque<Event>,
}

impl Following {
    pub fn new(state: AppState, token: Token, (account, end): (UserId, CancellationToken), host: String) -> Self {
        Self {
            state,
            token,
            account,
            host,
            end,
            waiting: VecDeque::new(),
        }
    }

    /// All that the client is sent, until its registration ends, or it begins another stream.
    pub fn stream(self) -> impl Stream<Item = Result<Sent, Infallible>> {
        unfold(self, |mut following| async move {
            let sent = following.next().await?;
            Some((Ok(sent), following))
        })
    }

    async fn next(&mut self) -> Option<Sent> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                if let Event::Ended(_) = event {
                    return None;
                }
                if let Some(sent) = self.in_words(event).await {
                    return Some(sent);
                }
            }
            let asked = self.state.desk.events(self.token, ASK_FOR);
            let events = self.end.run_until_cancelled(asked).await?.ok()?;
            self.waiting.extend(events);
        }
    }

    async fn in_words(&self, event: Event) -> Option<Sent> {
        match event {
            Event::Call(CallEvent::Incoming {
                call,
                from,
                room: Some(room),
                ..
            }) => {
                let conferences = &self.state.conferences;
                let at = self.state.registrations.rings_at(self.token)?;
                let (token, invitation) = conferences.invite(&self.account, call, (from, room), at);
                self.state.registrations.rings(self.token, call, token);
                let name = conferences.caller_name(&invitation).await;
                sent(INCOMING, &wire::incoming(&invitation, token, name, &self.host))
            }
            Event::Call(CallEvent::Over(over)) => {
                let token = self.state.registrations.rings_no_longer(self.token, over.call)?;
                let at = self.state.registrations.rings_at(self.token)?;
                if !self.state.conferences.withdraw(&self.account, over.call, &at) {
                    return None;
                }
                sent(INCOMING_CANCELLED, &wire::incoming_cancelled(token))
            }
            _ => None,
        }
    }
}

fn sent(kind: &str, data: &impl Serialize) -> Option<Sent> {
    Sent::default().event(kind).json_data(data).ok()
}
