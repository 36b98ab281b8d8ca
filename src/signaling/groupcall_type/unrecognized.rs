//! Messages that cannot be understood or done.

use serde::Deserialize;
use serde_json::Value;

use crate::signaling::json::{Text, TooLong, fields};
use crate::signaling::reaction::Reaction;
use crate::text::TextLimit;

/// A message that cannot be understood or done: the client gets it back.
#[derive(Default)]
pub(super) struct Unrecognized {
    /// Reason, where the message itself does not show it.
    pub reason: Option<String>,
}

pub(super) type Outcome = Result<Reaction, Unrecognized>;

/// The fields of a message. The message stays whole, so that it can be given back if it makes no sense.
pub(super) fn parse<'a, T: Deserialize<'a>>(message: &'a Value) -> Result<T, Unrecognized> {
    fields(message).ok_or_else(Unrecognized::default)
}

pub(super) fn bounded(Text(text): Text, field: &str, limit: TextLimit) -> Result<String, Unrecognized> {
    if !limit.holds(&text) {
        return Err(because(format!(
            "{field} has more than {} characters",
            limit.characters
        )));
    }
    Ok(text)
}

pub(super) fn because(reason: String) -> Unrecognized {
    Unrecognized { reason: Some(reason) }
}

impl From<TooLong> for Unrecognized {
    fn from(too_long: TooLong) -> Self {
        because(too_long.to_string())
    }
}
