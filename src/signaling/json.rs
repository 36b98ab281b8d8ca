//! JSON as real clients send it: the one way in which names, numbers and texts are read, for every field of every family.
//!
//! | JSON | as a [`Name`] | as a [`Text`] |
//! |---|---|---|
//! | `"anna"`, `"8.0"` | the text | the text |
//! | `8`, `-3`, `18446744073709551615` | its digits | its digits |
//! | `8.0`, `8e0`, up to 2⁴⁹: some languages write every number in this way | `8` | `8` |
//! | `1.5`, `1e300`, and whole numbers past 2⁴⁹ that are written with a fraction or an exponent | nothing | as JSON writes them |
//! | `true`, `false` | nothing | `true`, `false` |
//! | `null`, an array, an object | nothing | nothing |
//! | `""` | nothing | the text |
//!
//! JSON has no NaN and no infinity; `1e400` is no JSON either.

use std::fmt;

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::limits::JSON_DEPTH_MAX;
use crate::ids::{RoomName, UserId};
use crate::text;

/// The greatest whole number up to which JavaScript tells neighbours apart: 2⁵³ − 1.
pub(crate) const EXACT_INTEGER_MAX: i64 = (1 << 53) - 1;

/// The greatest number with a fraction or an exponent that is read as a whole one. The parser may be wrong by two in the last
/// place; up to this number that never turns one whole number into another. Telephone numbers and milliseconds since 1970 fit.
const WHOLE_FLOAT_MAX: f64 = (1_u64 << 49) as f64;

/// The value of a text. `None` for a text that is no JSON, or is nested too deep.
pub fn parse(text: &str) -> Option<Value> {
    if deeper_than(JSON_DEPTH_MAX, text) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The fields of an object in their order, also those that are there twice. `None` for anything else, and for an object that is
/// nested too deep.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, Value)>> {
    if deeper_than(JSON_DEPTH_MAX, text) {
        return None;
    }
    let Pairs(pairs) = serde_json::from_str(text).ok()?;
    Some(pairs)
}

struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// The values in a text, one after the other, with any white space between and within them. `None` for a part that is no JSON,
/// or is nested too deep. Such a part ends where a later line begins with an object, or at the end of the text.
pub(crate) fn values(text: &str) -> impl Iterator<Item = Option<Value>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        // The parser itself stops at a depth of 128.
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                let (read, behind) = rest.split_at(stream.byte_offset());
                rest = behind;
                Some((!deeper_than(JSON_DEPTH_MAX, read)).then_some(value))
            }
            _ => {
                // A value that is nested too deep for the parser is still one part.
                let nested = valid_length(rest);
                rest = nested.map_or_else(|| next_object(rest), |length| &rest[length..]);
                Some(None)
            }
        }
    })
}

/// The rest of a text after its first line, from the first line that begins with an object. Empty if there is none.
fn next_object(text: &str) -> &str {
    let lines = text.match_indices('\n').map(|(end, _)| &text[end + 1..]);
    // White space is skipped within the line alone. If it were skipped over many empty lines, each of them would skip all lines
    // behind it.
    let starts = lines.map(|line| line.trim_start_matches(|c: char| c != '\n' && c.is_whitespace()));
    let is_object = |start: &&str| object(start).is_some_and(|object| valid_length(object).is_some());
    starts.into_iter().find(is_object).unwrap_or_default()
}

/// The object with which a text begins, found by its brackets alone. `None` if it does not end, or is nested too deep. So a
/// byte is read at most once for each of the objects around it, of which there are no more than may be within one another,
/// however many lines begin with an object.
fn object(text: &str) -> Option<&str> {
    if !text.starts_with('{') {
        return None;
    }
    let mut brackets = Brackets::default();
    for (position, byte) in text.bytes().enumerate() {
        brackets.read(byte);
        let is_broken = brackets.in_string && byte == b'\n';
        if is_broken || brackets.depth > JSON_DEPTH_MAX {
            return None;
        }
        if brackets.depth == 0 {
            return Some(&text[..=position]);
        }
    }
    None
}

/// The length of the value with which a text begins. This parser keeps no values and has no greatest depth.
fn valid_length(text: &str) -> Option<usize> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    let value = stream.next()?;
    value.ok().map(|_| stream.byte_offset())
}

/// The fields of one message. `None` if a needed field is missing or is not what it should be, and if the message is no object:
/// serde alone would accept a list of the same values, in the order of the struct's fields. It would do so inside of structs
/// too; so the type of a field is [`Name`], [`Text`], `String`, or a [`Value`] for another call of this function.
pub(crate) fn fields<'a, T: Deserialize<'a>>(message: &'a Value) -> Option<T> {
    message.is_object().then(|| T::deserialize(message).ok())?
}

/// A field that may be missing. A value that is not what it should be counts as missing.
pub(crate) fn if_any<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(Value::deserialize(deserializer)?).ok())
}

#[allow(
    clippy::expect_used,
    reason = "it depends on the message's type alone; transcripts write each"
)]
pub fn text(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("the messages have text keys and nothing that JSON lacks")
}

/// Whether a text is nested deeper than `max`. Called before any parser recurses.
fn deeper_than(max: usize, text: &str) -> bool {
    let mut brackets = Brackets::default();
    text.bytes().any(|byte| {
        brackets.read(byte);
        brackets.depth > max
    })
}

/// Counts the open brackets outside of strings.
#[derive(Default)]
struct Brackets {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Brackets {
    fn read(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'{' | b'[' if !self.in_string => self.depth += 1,
            b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// The name of a person, a room or a device. Never empty. Whether it is too long is checked where it is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Result<String, TooLong>);

/// A name of more characters than [`text::NAME`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has more than {} characters", text::NAME.characters)]
pub(crate) struct TooLong;

impl Name {
    /// The field of a message; `None` if it is missing or is no name.
    pub fn of(message: &Value, field: &str) -> Option<Self> {
        Self::deserialize(message.get(field)?).ok()
    }

    pub fn text(self) -> Result<String, TooLong> {
        self.0
    }

    pub fn user(self) -> Result<UserId, TooLong> {
        self.0.map(|text| UserId(text.into()))
    }

    pub fn room(self) -> Result<RoomName, TooLong> {
        self.0.map(|text| RoomName(text.into()))
    }
}

impl From<i64> for Name {
    fn from(number: i64) -> Self {
        Self(Ok(number.to_string()))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = deserializer.deserialize_any(TextVisitor { only_names: true })?;
        if text.is_empty() {
            return Err(D::Error::custom("a name is empty"));
        }
        Ok(Self(if text::NAME.holds(&text) {
            Ok(text)
        } else {
            Err(TooLong)
        }))
    }
}

/// A text that a person typed, or a value that a client sent in its place. The greatest length depends on the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl Text {
    /// The field of a message; `None` if it is missing or is no text.
    pub fn of(message: &Value, field: &str) -> Option<Self> {
        Self::deserialize(message.get(field)?).ok()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor { only_names: false })
    }
}

/// Reads as the table at the top of this file says.
struct TextVisitor {
    only_names: bool,
}

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a text or a whole number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
        let is_whole = number.fract() == 0.0 && number.abs() <= WHOLE_FLOAT_MAX;
        match (is_whole, self.only_names) {
            (true, _) => Ok(Text((number as i64).to_string())),
            (false, true) => Err(E::custom("not a whole number")),
            (false, false) => Ok(Text(Value::from(number).to_string())),
        }
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Text, E> {
        match self.only_names {
            true => Err(E::custom("not a name")),
            false => Ok(Text(truth.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn name(json: &str) -> Option<Result<String, TooLong>> {
        Name::deserialize(&parse(json)?).ok().map(Name::text)
    }

    fn free_text(json: &str) -> Option<String> {
        Text::deserialize(&parse(json)?).ok().map(|text| text.0)
    }

    #[test]
    fn a_list_is_no_message_whatever_stands_in_it() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Message {
            name: Name,
            #[serde(default, deserialize_with = "if_any")]
            text: Option<Text>,
        }
        let read = |json: &str| fields::<Message>(&parse(json).unwrap());
        assert!(read(r#"{"name":"anna","text":"x"}"#).is_some());
        assert!(read(r#"{"name":"anna"}"#).is_some());
        for json in [
            r#"["anna","x"]"#,
            r#"["anna"]"#,
            r#"[{"name":"anna","text":"x"}]"#,
            r#"{"name":["anna"]}"#,
            r#""anna""#,
            "[]",
            "null",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        let of_a_list = read(r#"{"name":"anna","text":["x"]}"#).unwrap();
        assert_eq!(of_a_list.text, None);
        assert_eq!(Name::of(&json!(["anna"]), "0"), None);
        assert_eq!(Text::of(&json!({ "name": ["anna"] }), "name"), None);
    }

    #[test]
    fn names_and_texts_are_read_by_the_table() {
        for (json, as_name, as_text) in [
            (r#""anna""#, Some("anna"), Some("anna")),
            (r#""8.0""#, Some("8.0"), Some("8.0")),
            ("0", Some("0"), Some("0")),
            ("-3", Some("-3"), Some("-3")),
            (
                "18446744073709551615",
                Some("18446744073709551615"),
                Some("18446744073709551615"),
            ),
            ("9007199254740993", Some("9007199254740993"), Some("9007199254740993")),
            ("8.0", Some("8"), Some("8")),
            ("80e-1", Some("8"), Some("8")),
            ("-0", Some("0"), Some("0")),
            ("9007199254740991", Some("9007199254740991"), Some("9007199254740991")),
            ("562949953421312.0", Some("562949953421312"), Some("562949953421312")),
            ("562949953421314.0", None, Some("562949953421314.0")),
            ("1.5", None, Some("1.5")),
            ("1e300", None, Some("1e+300")),
            ("18446744073709551616", None, Some("1.8446744073709552e+19")),
            ("1e400", None, None),
            ("NaN", None, None),
            ("true", None, Some("true")),
            ("null", None, None),
            ("[1]", None, None),
            ("{}", None, None),
            (r#""""#, None, Some("")),
        ] {
            assert_eq!(name(json), as_name.map(|text| Ok(text.to_owned())), "{json} as a name");
            assert_eq!(free_text(json).as_deref(), as_text, "{json} as a text");
        }
    }

    #[test]
    fn a_name_has_so_many_characters_whatever_their_bytes() {
        for character in ["x", "字", "😀"] {
            let text = |count| json!(character.repeat(count)).to_string();
            assert_eq!(name(&text(128)), Some(Ok(character.repeat(128))));
            assert_eq!(name(&text(129)), Some(Err(TooLong)));
        }
    }

    proptest! {
        #[test]
        fn a_whole_number_is_one_name_however_it_is_written(number in -(1_i64 << 43)..=1 << 43) {
            let expected = Some(Ok(number.to_string()));
            for written in [
                format!("{number}"),
                format!("{number}.0"),
                format!("{number}.000"),
                format!("{number}e0"),
                format!("{number}0E-1"),
                format!("\"{number}\""),
            ] {
                prop_assert_eq!(&name(&written), &expected, "{}", written);
                prop_assert_eq!(free_text(&written), Some(number.to_string()), "{}", written);
            }
        }

        #[test]
        fn a_great_number_is_no_other_name_however_it_is_written(number: i64, zeros in 0_usize..30) {
            let expected = Some(Ok(number.to_string()));
            prop_assert_eq!(&name(&number.to_string()), &expected);
            let written = format!("{number}.{}", "0".repeat(zeros + 1));
            let read = name(&written);
            prop_assert!(read.is_none() || read == expected, "{} is {:?}", written, read);
            let small = number >> 15;
            prop_assert_eq!(name(&format!("{small}.0")), Some(Ok(small.to_string())));
        }

        #[test]
        fn a_number_that_is_not_whole_is_no_name(number in proptest::num::f64::ANY) {
            prop_assume!(number.is_finite() && (number.fract() != 0.0 || number.abs() > 2.0 * WHOLE_FLOAT_MAX));
            prop_assert_eq!(name(&Value::from(number).to_string()), None);
        }

        #[test]
        fn values_are_read_whatever_white_space_is_in_and_between_them(
            numbers in proptest::collection::vec(0_u32..100, 0..20),
            pretty: bool,
            gap in "[ \t\r\n]{0,3}",
        ) {
            let values_in: Vec<Value> = numbers.iter().map(|n| json!({ "type": "x\ny", "list": [n, {}] })).collect();
            let written = values_in.iter().map(|value| match pretty {
                true => serde_json::to_string_pretty(value).unwrap(),
                false => value.to_string(),
            });
            let text = written.collect::<Vec<_>>().join(&gap);
            let read: Vec<_> = values(&text).collect();
            prop_assert_eq!(read, values_in.into_iter().map(Some).collect::<Vec<_>>());
        }

        #[test]
        fn no_text_keeps_the_reader_from_its_end(text in "[\\[\\]{}:,\"\\\\ \n1a字]{0,200}") {
            prop_assert!(values(&text).count() <= text.len());
        }
    }

    #[test]
    fn a_part_that_is_no_json_ends_where_a_later_line_begins_with_an_object() {
        let read = |text: &str| values(text).collect::<Vec<_>>();
        assert_eq!(
            read("{\"a\":\n1}\nnonsense\nmore { of it }\n {\"b\":2} 3"),
            [Some(json!({ "a": 1 })), None, Some(json!({ "b": 2 })), Some(json!(3)),]
        );
        assert_eq!(read("{\n  \"a\": {\n  }\n  \"b\": 1\n}"), [None], "a comma is missing");
        assert_eq!(read(&"x\n".repeat(1_000)), [None]);
        assert_eq!(read(" \r\n "), []);
        let deep = format!("{}1{}\n{{}}", "[".repeat(17), "]".repeat(17));
        assert_eq!(read(&deep), [None, Some(json!({}))]);
        assert_eq!(read(&format!("{}\n{{}}", "[".repeat(10_000))), [None, Some(json!({}))]);
    }

    #[test]
    fn what_is_nested_deeper_than_the_parser_goes_is_one_part() {
        let deep = format!("{}1{}\n{{\"b\":2}}", "{\"a\":\n".repeat(1_000), "}".repeat(1_000));
        assert_eq!(values(&deep).collect::<Vec<_>>(), [None, Some(json!({ "b": 2 }))]);
        assert_eq!(values("1e400\n2").collect::<Vec<_>>(), [None, Some(json!(2))]);
    }

    /// A text that is sixteen times as long takes sixteen times as long, not 256 times.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the time it takes is what is tested")]
    fn a_long_text_of_bad_parts_takes_no_longer_for_each_byte_than_a_short_one() {
        let took = |unit: &str, count: usize| {
            let text = format!("x{}", unit.repeat(count));
            // The least of ten: the machine may do something else meanwhile.
            let times = (0..10).map(|_| {
                let begun = std::time::Instant::now();
                std::hint::black_box(values(&text).count());
                begun.elapsed()
            });
            times.min().unwrap()
        };
        for unit in [
            "\n",
            " \n",
            "\n\u{2003}",
            "x\n",
            "\n{",
            "\n{}",
            "\n{},",
            "\n{\"a\":",
            "\n{\"",
            "\n{\"a\":[",
            "\n{\"a\":[\n{},",
            "\n{\"a\":[\n{}x",
            "\n[",
            "\n{} [",
            "{}\n[[",
        ] {
            let (short, long) = (took(unit, 1_000), took(unit, 16_000));
            assert!(
                long < short * 64 + std::time::Duration::from_millis(20),
                "{unit:?}: {short:?}, sixteen times as much: {long:?}"
            );
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
