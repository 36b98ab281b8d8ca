//! The fields of a request, however they were sent, and how each is read.

use serde::Deserialize;
use serde_json::Value;

use crate::signaling::json::{self, EXACT_INTEGER_MAX, Name, Text};
use crate::text::TextLimit;

/// Fields of one request that are looked at. Requests have six; what phones add about themselves fits.
const FIELDS_MAX: usize = 200;

/// Fields of a request, in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct Form(Vec<(String, Value)>);

/// What is wrong with a request, for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Name of the field. `None` if the request as a whole is wrong.
    pub field: Option<&'static str>,
    pub sentence: String,
}

impl Problem {
    pub fn new(field: impl Into<Option<&'static str>>, sentence: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            sentence: sentence.into(),
        }
    }
}

impl Form {
    /// The fields of a JSON object.
    pub fn json(text: &str) -> Result<Form, Problem> {
        let bad = "the body is no JSON object, or is nested too deep";
        let pairs = json::pairs(text).ok_or_else(|| Problem::new(None, bad))?;
        Form::new(pairs)
    }

    /// The fields of a form, or of a query.
    pub fn texts(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Form, Problem> {
        let pairs = pairs.into_iter().take(FIELDS_MAX + 1);
        Form::new(pairs.map(|(name, text)| (name, Value::String(text))).collect())
    }

    fn new(pairs: Vec<(String, Value)>) -> Result<Form, Problem> {
        if pairs.len() > FIELDS_MAX {
            return Err(Problem::new(
                None,
                format!("the request has more than {FIELDS_MAX} fields"),
            ));
        }
        Ok(Form(pairs))
    }

    /// All values of a field. Some clients write `[]` behind the name of a list. A value `null` counts as none.
    fn all(&self, field: &str) -> Vec<&Value> {
        let is_it = |name: &str| name.strip_suffix("[]").unwrap_or(name) == field;
        let values = self.0.iter().filter(|(name, value)| is_it(name) && !value.is_null());
        values.map(|(_, value)| value).collect()
    }

    /// The only value of a field.
    fn one(&self, field: &'static str) -> Result<Option<&Value>, Problem> {
        match self.all(field)[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(Problem::new(field, "it is there more than once")),
        }
    }

    /// Whether a field is there, and is not empty.
    pub fn has(&self, field: &str) -> bool {
        self.all(field).iter().any(|value| value.as_str() != Some(""))
    }

    /// The name of a user or a channel.
    pub fn name(&self, field: &'static str) -> Result<String, Problem> {
        let value = self.one(field)?.filter(|value| value.as_str() != Some(""));
        name(field, value.ok_or_else(|| Problem::new(field, "it is missing"))?)
    }

    /// Names: a list, the same field several times, or one text with commas between the names.
    pub fn names(&self, field: &'static str, most: usize) -> Result<Vec<String>, Problem> {
        let mut names: Vec<String> = Vec::new();
        for value in self.all(field) {
            for item in items(field, value)? {
                let name = name(field, &item)?;
                if !names.contains(&name) {
                    names.push(name);
                }
                if names.len() > most {
                    return Err(Problem::new(field, format!("it has more than {most} names")));
                }
            }
        }
        Ok(names)
    }

    /// A text. A field that is missing is an empty one.
    pub fn text(&self, field: &'static str, limit: TextLimit) -> Result<String, Problem> {
        let Some(value) = self.one(field)? else {
            return Ok(String::new());
        };
        let Text(text) = Text::deserialize(value).map_err(|_| Problem::new(field, "it is no text"))?;
        if !limit.holds(&text) {
            let sentence = format!("it has more than {} characters", limit.characters);
            return Err(Problem::new(field, sentence));
        }
        if text.contains('\0') || text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Problem::new(field, "it has a character that no text has"));
        }
        Ok(text)
    }

    /// A whole number. `None` if the field is missing or empty.
    pub fn number(&self, field: &'static str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.one(field)?.filter(|value| value.as_str() != Some("")) else {
            return Ok(None);
        };
        let bad = || Problem::new(field, "it is no whole number, or too large");
        let digits = Name::deserialize(value).ok().and_then(|name| name.text().ok());
        let number: i64 = digits.ok_or_else(bad)?.parse().map_err(|_| bad())?;
        match (-EXACT_INTEGER_MAX..=EXACT_INTEGER_MAX).contains(&number) {
            true => Ok(Some(number)),
            false => Err(bad()),
        }
    }
}

fn name(field: &'static str, value: &Value) -> Result<String, Problem> {
    let bad = |sentence: &str| Problem::new(field, sentence);
    let name = Name::deserialize(value).map_err(|_| bad("it is no name: a text or a whole number, and not empty"))?;
    let name = name.text().map_err(|too_long| bad(&too_long.to_string()))?;
    let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    match name.contains(is_odd) {
        true => Err(bad("it has a character that no name has")),
        false => Ok(name),
    }
}

/// The names in one value of a list. In a form a list may be written as in JSON.
fn items(field: &'static str, value: &Value) -> Result<Vec<Value>, Problem> {
    match value {
        Value::Array(items) => Ok(items.clone()),
        Value::String(text) if text.starts_with('[') => match json::parse(text) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Problem::new(field, "it is no list of names")),
        },
        Value::String(text) => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            Ok(parts.map(Value::from).collect())
        }
        one => Ok(vec![one.clone()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Form {
        Form::texts(
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned())),
        )
        .unwrap()
    }

    fn why<T: std::fmt::Debug>(read: Result<T, Problem>) -> (Option<&'static str>, String) {
        let problem = read.unwrap_err();
        (problem.field, problem.sentence)
    }

    #[test]
    fn names_may_be_numbers_and_are_neither_empty_nor_long_nor_of_another_type() {
        let read = |json: &str| Form::json(json).unwrap().name("uid");
        assert_eq!(read(r#"{"uid":"1234"}"#).unwrap(), "1234");
        assert_eq!(read(r#"{"uid":1234}"#).unwrap(), "1234");
        assert_eq!(read(r#"{"uid":"安娜","more":[{}]}"#).unwrap(), "安娜");
        let long = format!(r#"{{"uid":"{}"}}"#, "x".repeat(129));
        for (json, sentence) in [
            ("{}", "missing"),
            (r#"{"uid":null}"#, "missing"),
            (r#"{"uid":""}"#, "missing"),
            (r#"{"uid":true}"#, "no name"),
            (r#"{"uid":1.5}"#, "no name"),
            (r#"{"uid":["1"]}"#, "no name"),
            (r#"{"uid":{"id":1}}"#, "no name"),
            (r#"{"uid":"1","uid":"2"}"#, "more than once"),
            (r#"{"uid":"a\u0000"}"#, "character"),
            (r#"{"uid":"a\nb"}"#, "character"),
            (&long, "128 characters"),
        ] {
            let (field, said) = why(read(json));
            assert!(field == Some("uid") && said.contains(sentence), "{json:.40}: {said}");
        }
    }

    #[test]
    fn lists_are_read_however_they_are_written() {
        let read = |form: Form| form.names("dst_uid", 3);
        let both = ["1", "2"];
        for json in [
            r#"{"dst_uid":["1","2"]}"#,
            r#"{"dst_uid":[1,2,1]}"#,
            r#"{"dst_uid":"1,2"}"#,
            r#"{"dst_uid":" 1 , 2,"}"#,
            r#"{"dst_uid[]":["1"],"dst_uid":2}"#,
        ] {
            assert_eq!(read(Form::json(json).unwrap()).unwrap(), both, "{json}");
        }
        for pairs in [
            &[("dst_uid", "1,2")][..],
            &[("dst_uid", "1"), ("dst_uid", "2")],
            &[("dst_uid[]", "1"), ("dst_uid[]", "2")],
            &[("dst_uid", r#"["1",2]"#)],
        ] {
            assert_eq!(read(query(pairs)).unwrap(), both, "{pairs:?}");
        }
        assert_eq!(read(query(&[])).unwrap(), [""; 0]);
        assert_eq!(read(query(&[("dst_uid", "")])).unwrap(), [""; 0]);
        for (json, sentence) in [
            (r#"{"dst_uid":["1",""]}"#, "no name"),
            (r#"{"dst_uid":[["1"]]}"#, "no name"),
            (r#"{"dst_uid":{"0":"1"}}"#, "no name"),
            (r#"{"dst_uid":false}"#, "no name"),
            (r#"{"dst_uid":"[1,"}"#, "no list"),
            (r#"{"dst_uid":"1,2,3,4"}"#, "more than 3"),
            (r#"{"dst_uid":["1","2","3","4"]}"#, "more than 3"),
        ] {
            let (field, said) = why(read(Form::json(json).unwrap()));
            assert!(field == Some("dst_uid") && said.contains(sentence), "{json}: {said}");
        }
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let number = |json: &str| Form::json(json).unwrap().number("code");
        for (json, wanted) in [
            (r#"{"code":1}"#, Some(1)),
            (r#"{"code":"1003"}"#, Some(1003)),
            (r#"{"code":2.0}"#, Some(2)),
            (r#"{"code":"-1"}"#, Some(-1)),
            (r#"{"code":""}"#, None),
            ("{}", None),
        ] {
            assert_eq!(number(json).unwrap(), wanted, "{json}");
        }
        for json in [
            r#"{"code":"x"}"#,
            r#"{"code":1.5}"#,
            r#"{"code":[1]}"#,
            r#"{"code":true}"#,
            r#"{"code":9007199254740992}"#,
            r#"{"code":"99999999999999999999"}"#,
            r#"{"code":1,"code":1}"#,
        ] {
            assert_eq!(why(number(json)).0, Some("code"), "{json}");
        }
        let text = |json: &str| Form::json(json).unwrap().text("desp", TextLimit::characters(3));
        assert_eq!(text(r#"{"desp":"接通"}"#).unwrap(), "接通");
        assert_eq!(text(r#"{"desp":12}"#).unwrap(), "12");
        assert_eq!(text("{}").unwrap(), "");
        for json in [
            r#"{"desp":"abcd"}"#,
            r#"{"desp":{}}"#,
            r#"{"desp":[]}"#,
            r#"{"desp":"\u0000"}"#,
        ] {
            assert_eq!(why(text(json)).0, Some("desp"), "{json}");
        }
    }

    #[test]
    fn what_is_no_object_or_has_too_many_fields_is_refused_as_a_whole() {
        for json in [
            "",
            "{",
            "[]",
            r#"[{"uid":"1"}]"#,
            "1",
            "{\"uid\":1}}",
            &"[".repeat(100_000),
        ] {
            assert_eq!(why(Form::json(json)).0, None, "{json:.20}");
        }
        let many = |count: usize| Form::texts((0..count).map(|n| (n.to_string(), String::new())));
        assert!(many(200).is_ok());
        assert!(many(201).is_err());
    }
}
