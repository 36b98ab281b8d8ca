//! The interface of a family: its dialogue with one client.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::client::Client;
use super::reaction::{Frame, Heartbeat, Reaction};
use crate::domain::Event;

/// One client's conversation in one family. It keeps what the client has said and later messages depend on.
pub(crate) trait Dialogue<A>: Send {
    /// The family's name in the metrics.
    fn family(&self) -> &'static str;

    /// Called once, before the first message.
    fn begin<'a>(&'a mut self, _: &'a Client<A>) -> BoxFuture<'a, Reaction> {
        ready(Reaction::none()).boxed()
    }

    /// Takes one message of the client. Returns when all that follows from it has been decided.
    fn receive<'a>(&'a mut self, client: &'a Client<A>, frame: Frame) -> BoxFuture<'a, Reaction>;

    /// What the client is sent about an event. [`Event::Ended`] never comes here: it is the same for all families.
    fn send(&mut self, client: &Client<A>, event: Event) -> Reaction;

    /// What the client is sent when it has been sent nothing else for some time.
    fn heartbeat(&self) -> Option<Heartbeat> {
        None
    }
}
