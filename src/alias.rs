//! Names of people, devices and rooms in the log: each is a short hash, because a telephone number identifies a person,
//! and anybody who has read the number of a room can enter it.
//!
//! The hash of a name stays the same until the program ends, so lines about one person can be found together. It is
//! keyed with a random number drawn at start, because telephone numbers are so few that all could be tried. Where the
//! log's filter lets [`TARGET`] through at `debug`, names are written in full.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The target in `log.filter` that switches full names on.
const TARGET: &str = "patchbay::names";

/// Digits of a hash: 40 bits, so that ten thousand names hardly ever share one.
const DIGITS: usize = 10;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A name in the form in which the log may contain it.
pub(crate) struct Alias<'a> {
    name: &'a str,
    is_whole: bool,
}

/// The form of `name` for the log. Everything that names a person, a device or a room goes through here.
pub(crate) fn alias(name: &str) -> Alias<'_> {
    Alias {
        name,
        is_whole: tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
    }
}

impl fmt::Display for Alias<'_> {
    /// Full names are quoted, so that a name from a client cannot look like another line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole {
            return write!(f, "{:?}", self.name);
        }
        let hash = format!("{:016x}", KEY.hash_one(self.name));
        write!(f, "#{}", &hash[..DIGITS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_tells_names_apart_and_tells_none() {
        let shown = |name: &'static str| Alias { name, is_whole: false }.to_string();
        assert_eq!(shown("13800000001"), shown("13800000001"));
        assert_ne!(shown("13800000001"), shown("13800000002"));
        assert_eq!(shown("13800000001").len(), 1 + DIGITS);
        let whole = Alias {
            name: "a\nb",
            is_whole: true,
        };
        assert_eq!(whole.to_string(), "\"a\\nb\"");
    }
}
