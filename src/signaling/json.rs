//! JSON as real clients send it: numbers where texts are expected, and the other way round.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::limits::{JSON_DEPTH_MAX, NAME_BYTES_MAX};

/// `None` for what is no JSON or nested too deep.
pub fn parse(text: &str) -> Option<Value> {
    if deeper_than(JSON_DEPTH_MAX, text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The fields of one message; `None` where a needed one is missing or is not what it should be.
pub fn fields<'a, T: Deserialize<'a>>(message: &'a Value) -> Option<T> {
    T::deserialize(message).ok()
}

pub fn text(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("the messages have text keys and nothing that JSON lacks")
}

/// A text, or what stands for one: numbers and truth values as they are written.
pub fn loose_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Counts brackets outside of strings, before any parser recurses.
fn deeper_than(max: usize, text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

/// What names a person or a room: a text, or a whole number as it is written. Neither empty nor longer than
/// [`NAME_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl Name {
    fn checked<E: serde::de::Error>(text: String) -> Result<Self, E> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(E::custom("a name is empty or too long"));
        }
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a text or a whole number")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
        Name::checked(text.to_owned())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Name, E> {
        Name::checked(number.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Name, E> {
        Name::checked(number.to_string())
    }

    /// Some languages write every number with a fraction: `7.0` is 7.
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Name, E> {
        if number.fract() != 0.0 || number.abs() > EXACT_INTEGER_MAX as f64 {
            return Err(E::custom("not a whole number"));
        }
        Name::checked((number as i64).to_string())
    }
}

/// The greatest whole number up to which JavaScript tells neighbours apart: 2⁵³ − 1.
pub const EXACT_INTEGER_MAX: i64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_is_a_text_or_a_whole_number() {
        let name = |value: Value| fields::<Name>(&value).map(|name| name.0);
        assert_eq!(name(json!("anna")).as_deref(), Some("anna"));
        assert_eq!(name(json!(0)).as_deref(), Some("0"));
        assert_eq!(name(json!(-3)).as_deref(), Some("-3"));
        assert_eq!(name(json!(7.0)).as_deref(), Some("7"));
        assert_eq!(name(json!(u64::MAX)).as_deref(), Some("18446744073709551615"));
        for bad in [
            json!(""),
            json!("x".repeat(129)),
            json!(1.5),
            json!(1e300),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(name(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(16)).is_some());
        assert!(parse(&nested(17)).is_none());
        assert!(parse(&nested(100_000)).is_none());
        assert!(parse(&json!({ "text": "[".repeat(50) }).to_string()).is_some());
        assert!(parse(r#"{"text":"\"[[[[[[[[[[[[[[[[[[[["}"#).is_some());
        assert!(parse("{]").is_none());
    }
}
