//! How people, devices and rooms are called in the log: by a short hash, because a telephone number identifies somebody
//! and the number of a room lets in whoever has read it.
//!
//! The hash of one name is the same until the program ends, so that lines can be told to belong together. It is keyed
//! with a number drawn at start: telephone numbers are few enough to try them all. Where the filter of the log lets
//! [`TARGET`] through at `debug`, names are written as they are.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// What `log.filter` calls this choice.
const TARGET: &str = "patchbay::names";

/// Digits of a hash: 40 bits, so that ten thousand names hardly ever share one.
const DIGITS: usize = 10;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A name as a line of the log has it.
pub struct Alias<'a> {
    name: &'a str,
    is_whole: bool,
}

/// `name` as the log may have it. Everything that names a person, a device or a room goes through here.
pub fn alias(name: &str) -> Alias<'_> {
    Alias {
        name,
        is_whole: tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
    }
}

impl fmt::Display for Alias<'_> {
    /// Names come from clients: they are quoted, so that none can look like another line.
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
